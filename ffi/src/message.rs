//! Messages and cursors
//!
//! Messages never change, and need no handle: one that you retain outlives its watch, its manager
//! and its connection. All functions here may run on several threads at once. They take NULL and
//! answer with nothing: an empty text, 0, NULL. What they return lives as long as the message.

use std::ffi::{CStr, c_char};
use std::sync::{Arc, OnceLock};

use libchat::{Cursor, Message};

use crate::boundary::{Empty, boundary, boundary_out};
use crate::bytes::{Headers, Texts, fields_out, libchat_bytes, libchat_header};
use crate::error::libchat_error;
use crate::local_server::text_out;
use crate::read::text_in;
use crate::status::*;

/// The longest id; none empty, with controls or outer spaces.
pub const LIBCHAT_ID_MAX: usize = 64;

/// A buffer of this size holds any cursor's text.
pub const LIBCHAT_CURSOR_SIZE: usize = 64;

/// A place in one project's stream: save it, as text, and go on from it in any process. All zero is
/// none. Cursors are in order by `seq` if they have the same `incarnation`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct libchat_cursor {
    /// The stream's creation time, in Unix nanoseconds.
    pub incarnation: u64,
    /// The message's number in the stream.
    pub seq: u64,
    /// A mark, to notice a restored stream; 0 is unknown.
    pub check: u32,
    /// 0.
    pub reserved0: u32,
}

// SAFETY: plain numbers.
unsafe impl Empty for libchat_cursor {}

impl From<Cursor> for libchat_cursor {
    fn from(cursor: Cursor) -> libchat_cursor {
        let Cursor { incarnation, seq, check } = cursor;
        libchat_cursor { incarnation, seq, check, reserved0: 0 }
    }
}

impl From<libchat_cursor> for Cursor {
    fn from(cursor: libchat_cursor) -> Cursor {
        let libchat_cursor { incarnation, seq, check, .. } = cursor;
        Cursor { incarnation, seq, check }
    }
}

/// A stored message.
pub struct libchat_message {
    message: Arc<Message>,
    texts: Texts<6>,
    headers: OnceLock<Headers>,
}

const ID: usize = 0;
const SENDER: usize = 1;
const THREAD: usize = 2;
const SHORT: usize = 3;
const REPLY_TO: usize = 4;
const BODY: usize = 5;

impl libchat_message {
    pub(crate) fn new(message: Arc<Message>) -> Arc<libchat_message> {
        let optional = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
        let (thread, reply_to) = (optional(&message.thread), optional(&message.reply_to));
        let texts = Texts::new([
            message.id.as_bytes(),
            message.sender.as_bytes(),
            thread.as_bytes(),
            message.short.as_str().as_bytes(),
            reply_to.as_bytes(),
            message.body.as_bytes(),
        ]);
        Arc::new(libchat_message { message, texts, headers: OnceLock::new() })
    }

    fn headers(&self) -> &[libchat_header] {
        self.headers.get_or_init(|| Headers::new(&self.message.headers)).fields()
    }
}

unsafe fn text(message: *const libchat_message, n: usize) -> libchat_bytes {
    // SAFETY: passed on from the caller.
    unsafe { message.as_ref() }.map_or(libchat_bytes::EMPTY, |message| message.texts.get(n))
}

/// The id its sender gave it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_id(message: *const libchat_message) -> libchat_bytes {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { text(message, ID) }
}

/// Who wrote it, as the sender says; nothing proves it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_sender(message: *const libchat_message) -> libchat_bytes {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { text(message, SENDER) }
}

/// The thread's name; empty if the sender did not store it, or it is not the short's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_thread(message: *const libchat_message) -> libchat_bytes {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { text(message, THREAD) }
}

/// The thread's 8 hex digits, by which it can be addressed too (LIBCHAT_BY_SHORT).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_short(message: *const libchat_message) -> *const c_char {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { text(message, SHORT) }.data.cast()
}

/// The id of the message that this one answers, or empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_reply_to(
    message: *const libchat_message,
) -> libchat_bytes {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { text(message, REPLY_TO) }
}

/// The text: UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_body(message: *const libchat_message) -> libchat_bytes {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { text(message, BODY) }
}

/// When it was sent, by the sender's clock, in Unix nanoseconds; the nearest that fits where that
/// is before 1678 or after 2261.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_sent_ns(message: *const libchat_message) -> i64 {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { message.as_ref() }.map_or(0, |it| nanos(it.message.sent_at))
}

/// When it was sent, in any year from 0 to 9999: in Unix seconds, and the nanoseconds behind them,
/// which `nanos` gets; it may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_sent_seconds(
    message: *const libchat_message,
    nanos: *mut u32,
) -> i64 {
    // SAFETY: the caller keeps the header's rules for `message`.
    let sent_at = unsafe { message.as_ref() }.map(|it| it.message.sent_at);
    if !nanos.is_null() {
        // SAFETY: the caller keeps the header's rules for `nanos`.
        unsafe { nanos.write_unaligned(sent_at.map_or(0, time::OffsetDateTime::nanosecond)) };
    }
    sent_at.map_or(0, time::OffsetDateTime::unix_timestamp)
}

/// When it was stored, by the server's clock, in Unix nanoseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_time_ns(message: *const libchat_message) -> i64 {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { message.as_ref() }.map_or(0, |it| nanos(it.message.time))
}

/// Its place: go on from here to get what follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_cursor(message: *const libchat_message) -> libchat_cursor {
    // SAFETY: the caller keeps the header's rules for `message`.
    unsafe { message.as_ref() }.map_or_else(Default::default, |it| it.message.cursor.into())
}

/// The first header field under `name`, compared to the letter as NATS does; NULL if none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_header(
    message: *const libchat_message,
    name: *const c_char,
) -> *const c_char {
    let none = std::ptr::null();
    if name.is_null() {
        return none;
    }
    // SAFETY: the caller keeps the header's rules for both; a field's name is NUL-terminated.
    unsafe {
        let Some(message) = message.as_ref() else { return none };
        let wanted = CStr::from_ptr(name);
        let mut fields = message.headers().iter();
        fields.find(|field| CStr::from_ptr(field.name) == wanted).map_or(none, |field| field.value)
    }
}

/// Gives all header fields, sorted by name, and answers how many; `out` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_headers(
    message: *const libchat_message,
    out: *mut *const libchat_header,
) -> usize {
    // SAFETY: the caller keeps the header's rules for both pointers.
    unsafe {
        let fields = message.as_ref().map_or(&[][..], |message| message.headers());
        if !out.is_null() {
            out.write(fields_out(fields));
        }
        fields.len()
    }
}

/// Keeps a message that a callback or a list has lent, until libchat_message_release. Answers it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_retain(
    message: *const libchat_message,
) -> *const libchat_message {
    if !message.is_null() {
        // SAFETY: every message is in an Arc, and the caller has one alive.
        unsafe { Arc::increment_strong_count(message) };
    }
    message
}

/// Gives back a message that was retained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_message_release(message: *const libchat_message) {
    if !message.is_null() {
        // SAFETY: retained before, and released once for that.
        unsafe { Arc::decrement_strong_count(message) };
    }
}

/// Writes a cursor as text: "c1.<hex>.<number>.<hex>". LIBCHAT_CURSOR_SIZE bytes hold any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_cursor_format(
    cursor: libchat_cursor,
    out: *mut c_char,
    size: usize,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        if size > 0 && !out.is_null() {
            out.write(0);
        }
        boundary(err, || text_out("out", &Cursor::from(cursor).to_string(), out, size))
    }
}

/// Reads a cursor from its text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_cursor_parse(
    text: *const c_char,
    out: *mut libchat_cursor,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            out.set(text_in("cursor", text)?.parse::<Cursor>()?.into());
            Ok(LIBCHAT_OK)
        })
    }
}

/// Beyond the years 1677 to 2262 the nearest that can be said.
fn nanos(time: time::OffsetDateTime) -> i64 {
    let nanos = time.unix_timestamp_nanos();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn no_message_has_nothing_to_say() {
        let texts = [
            libchat_message_id,
            libchat_message_sender,
            libchat_message_thread,
            libchat_message_reply_to,
            libchat_message_body,
        ];
        let none = ptr::null();
        let mut headers = ptr::dangling();
        // SAFETY: NULL; `headers` can be written.
        unsafe {
            for text in texts.map(|text| text(none)) {
                assert_eq!((*text.data, text.len), (0, 0));
            }
            assert_eq!(*libchat_message_short(none), 0);
            assert_eq!((libchat_message_sent_ns(none), libchat_message_time_ns(none)), (0, 0));
            assert_eq!(libchat_message_sent_seconds(none, ptr::null_mut()), 0);
            assert_eq!(libchat_message_cursor(none), libchat_cursor::default());
            assert!(libchat_message_header(none, c"a".as_ptr()).is_null());
            assert_eq!(libchat_message_headers(none, &mut headers), 0);
            assert!(headers.is_null() && libchat_message_retain(none).is_null());
            libchat_message_release(none);
        }
    }

    const CURSOR: libchat_cursor =
        libchat_cursor { incarnation: u64::MAX, seq: u64::MAX, check: u32::MAX, reserved0: 0 };
    const TEXT: &CStr = c"c1.ffffffffffffffff.18446744073709551615.ffffffff";

    fn format(out: &mut [c_char]) -> libchat_status {
        // SAFETY: `out` can be written as far as said.
        unsafe { libchat_cursor_format(CURSOR, out.as_mut_ptr(), out.len(), ptr::null_mut()) }
    }

    #[test]
    fn a_cursor_is_written_where_there_is_room() {
        let mut out = [1; LIBCHAT_CURSOR_SIZE];
        assert_eq!(format(&mut out), LIBCHAT_OK);
        // SAFETY: just written, with its NUL.
        assert_eq!(unsafe { CStr::from_ptr(out.as_ptr()) }, TEXT);
        let needed = TEXT.count_bytes() + 1;
        assert_eq!(format(&mut vec![1; needed]), LIBCHAT_OK);
        for size in [1, needed - 1] {
            let mut out = vec![1; size];
            assert_eq!(format(&mut out), LIBCHAT_ERR_INVALID_ARGUMENT);
            assert_eq!(out.first(), Some(&0), "an empty text");
        }
        assert_eq!(format(&mut []), LIBCHAT_ERR_INVALID_ARGUMENT);
    }

    #[test]
    fn a_cursor_is_read_or_all_zero() {
        let mut out = libchat_cursor::default();
        let mut parse = |text: *const c_char| {
            // SAFETY: NULL or NUL-terminated; `out` can be written.
            (unsafe { libchat_cursor_parse(text, &mut out, ptr::null_mut()) }, out)
        };
        assert_eq!(parse(TEXT.as_ptr()), (LIBCHAT_OK, CURSOR));
        for text in [c"".as_ptr(), c"c1.1.2".as_ptr(), c"c1.\xff.2.3".as_ptr(), ptr::null()] {
            assert_eq!(parse(text), (LIBCHAT_ERR_INVALID_ARGUMENT, libchat_cursor::default()));
        }
    }

    #[test]
    fn times_that_nanoseconds_cannot_say_are_the_nearest() {
        let year = |year| {
            let date = time::Date::from_ordinal_date(year, 1).expect("a date");
            nanos(date.midnight().assume_utc())
        };
        assert_eq!((year(1), year(1970), year(9999)), (i64::MIN, 0, i64::MAX));
    }

    fn message() -> Arc<libchat_message> {
        let time = time::OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(5);
        let short = libchat::thread_short("demo", "plan").expect("a name");
        let envelope = libchat::wire::Envelope {
            id: "1".to_owned(),
            sender: "ana".to_owned(),
            thread: short.to_string(),
            body: "a\0b".to_owned(),
            timestamp: time,
            reply_to: String::new(),
            thread_name: "plan".to_owned(),
        };
        let headers =
            [("a", "1"), ("b", "\u{e9}")].map(|(name, value)| (name.into(), value.into()));
        let subject = format!("chat.demo.{short}");
        let read = libchat::wire::read("demo", &subject, headers.into(), envelope.encode());
        libchat_message::new(read.expect("an envelope"))
    }

    #[test]
    fn a_retained_message_outlives_its_list() {
        let lent = message();
        let text = |text: libchat_bytes| {
            // SAFETY: text of a message that is alive, with its NUL.
            unsafe { std::slice::from_raw_parts(text.data, text.len + 1) }
        };
        // SAFETY: the message is alive until it is released as often as it was retained.
        unsafe {
            let kept = libchat_message_retain(Arc::as_ptr(&lent));
            assert_eq!(libchat_message_retain(kept), kept);
            libchat_message_release(kept);
            drop(lent);
            assert_eq!(text(libchat_message_id(kept)), b"1\0");
            assert_eq!(text(libchat_message_sender(kept)), b"ana\0");
            assert_eq!(text(libchat_message_thread(kept)), b"plan\0");
            assert_eq!(text(libchat_message_reply_to(kept)), b"\0");
            assert_eq!(text(libchat_message_body(kept)), b"a\0b\0");
            assert_eq!(CStr::from_ptr(libchat_message_short(kept)).count_bytes(), 8);
            assert_eq!((libchat_message_sent_ns(kept), libchat_message_time_ns(kept)), (5, 1));
            assert_eq!(libchat_message_cursor(kept).seq, 1);
            libchat_message_release(kept);
        }
    }

    #[test]
    fn header_fields_are_made_once_on_whatever_thread() {
        let message = message();
        let seen = |message: &Arc<libchat_message>| {
            let (message, mut first) = (Arc::as_ptr(message), ptr::null());
            // SAFETY: the message is alive; `first` can be written.
            unsafe {
                assert_eq!(libchat_message_headers(message, ptr::null_mut()), 2);
                assert_eq!(libchat_message_headers(message, &mut first), 2);
                let value = CStr::from_ptr(libchat_message_header(message, c"b".as_ptr()));
                assert_eq!(value.to_str(), Ok("\u{e9}"));
                assert!(libchat_message_header(message, c"B".as_ptr()).is_null());
                assert!(libchat_message_header(message, ptr::null()).is_null());
                first.addr()
            }
        };
        let other = {
            let message = message.clone();
            std::thread::spawn(move || seen(&message))
        };
        assert_eq!(seen(&message), other.join().expect("ends"));
    }
}
