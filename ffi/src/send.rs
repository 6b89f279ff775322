//! Send

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use libchat::bridge::{self, AcceptedSend};
use libchat::{ExpectLast, Receipt, SendOptions, Short, ThreadRef};

use crate::boundary::{Empty, boundary, boundary_out, fd_out};
use crate::bytes::{c_text, libchat_bytes, libchat_header};
use crate::cancel::{cancel_in, libchat_cancel};
use crate::completions::{Completion, Tell};
use crate::dispatch::UserData;
use crate::error::{Failure, libchat_error};
use crate::manager::{Manager, libchat_manager};
use crate::message::{LIBCHAT_ID_MAX, libchat_cursor};
use crate::read::{
    Options, bytes_in, flags_in, headers_in, optional_text_in, options_in, text_in, timeout_in,
};
use crate::status::*;

/// `thread` is the 8 hex digits, not the name.
pub const LIBCHAT_BY_SHORT: u32 = 1;
/// CONFLICT unless the thread ends at `expect_last`.
pub const LIBCHAT_EXPECT_LAST: u32 = 2;
/// Faster: do not wait for earlier sends to the thread.
pub const LIBCHAT_UNORDERED: u32 = 4;
/// libchat_send_async: what comes of it is kept for libchat_sent_take.
pub const LIBCHAT_KEEP: u32 = 16;

/// How to send one message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_send_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// Idempotency key; NULL draws a fresh one of 32 hex digits. Sending twice under one id, within
    /// the stream's duplicate window (2 minutes by default), stores once.
    pub id: *const c_char,
    /// The id of the message that this one answers, or NULL.
    pub reply_to: *const c_char,
    /// Header fields to store with it.
    pub headers: *const libchat_header,
    /// How many.
    pub headers_len: usize,
    /// With LIBCHAT_EXPECT_LAST; all zero is an empty thread.
    pub expect_last: libchat_cursor,
    /// Ends the call.
    pub cancel: libchat_cancel,
    /// How long the whole call may take; 0 is 10000.
    pub timeout_ms: u32,
    /// LIBCHAT_BY_SHORT, LIBCHAT_EXPECT_LAST, LIBCHAT_UNORDERED, LIBCHAT_KEEP.
    pub flags: u32,
}

// SAFETY: plain data without padding, the size first.
unsafe impl Options for libchat_send_options {}

/// Proof that a message is stored; of a send that failed, its id.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_receipt {
    /// The message's id, also of a send that failed, once its arguments were found good.
    pub id: [c_char; 65],
    /// 1: it was stored before; the cursor is the first copy's.
    pub duplicate: u8,
    /// 0.
    pub reserved: [u8; 6],
    /// All zero: this agent may not read where it is stored.
    pub cursor: libchat_cursor,
}

const _: () = assert!(size_of::<[c_char; 65]>() == LIBCHAT_ID_MAX + 1);

// SAFETY: plain numbers.
unsafe impl Empty for libchat_receipt {}

/// Told once what a send came to; `receipt` and `error` are lent until it returns. Those of one
/// manager come one after the other.
pub type libchat_sent_fn = Option<
    unsafe extern "C" fn(
        status: libchat_status,
        receipt: *const libchat_receipt,
        error: *const libchat_error,
        user_data: *mut c_void,
    ),
>;

/// Stores one message in `thread` and waits for the server's word on it.
///
/// `thread`   its name; any text but the empty one
/// `body`     UTF-8; {NULL, 0} is an empty body
/// `options`  NULL for the defaults
/// `out`      gets the receipt; may be NULL
///
/// Fails with
///   TIMEOUT, DISCONNECTED  nothing was sent
///   OUTCOME_UNKNOWN        the message may be stored. Send again with the same id (`out->id`): the
///                          server drops the copy.
///   CANCELLED              nothing was sent
///   TOO_LARGE              the server's limit is smaller than this message
///   CONFLICT               LIBCHAT_EXPECT_LAST: the thread has moved on; or the id is another
///                          message's
///   NOT_FOUND              the stream was deleted
/// After any failure but OUTCOME_UNKNOWN and PANIC the message is not stored.
///
/// Blocks up to `options->timeout_ms`. Calls of one thread of yours are stored in their order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_send(
    manager: libchat_manager,
    thread: *const c_char,
    body: libchat_bytes,
    options: *const libchat_send_options,
    out: *mut libchat_receipt,
    err: *mut *mut libchat_error,
) -> libchat_status {
    let mut unwanted = receipt(c"", None);
    let out = if out.is_null() { &raw mut unwanted } else { out };
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let manager = Manager::of(manager)?;
            let thread = text_in("thread", thread)?.to_owned();
            let body = bytes_in("body", body)?.to_vec();
            let Sending { options, by_short, keep } = send_options(options)?;
            if keep {
                return Err(Failure::invalid("flags: LIBCHAT_KEEP is for libchat_send_async"));
            }
            let id = c_text(options.id.as_deref().unwrap_or_default());
            let core = manager.core().clone();
            let sent = manager.run(None, async move {
                core.send(thread_in(&thread, by_short)?, body, options).await
            });
            let sent = sent.map_err(|failure| failure.about(&id));
            out.set(receipt_of(&sent));
            sent.map(|_| LIBCHAT_OK)
        })
    }
}

/// Sends without waiting; `on_sent` is told what came of it. Arguments as for libchat_send, copied
/// before it returns. Messages to one thread are stored in the order of the calls.
///
/// OK: exactly one `on_sent` follows, perhaps before this returns. Anything else: none does. With
/// LIBCHAT_KEEP `on_sent` must be NULL: libchat_sent_take hands it out.
///
/// Fails with BUSY when 1,024 of this manager's sends are under way or kept: try again when one has
/// ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_send_async(
    manager: libchat_manager,
    thread: *const c_char,
    body: libchat_bytes,
    options: *const libchat_send_options,
    on_sent: libchat_sent_fn,
    user_data: *mut c_void,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            let manager = Manager::of(manager)?;
            let thread = text_in("thread", thread)?;
            let body = bytes_in("body", body)?;
            let Sending { options, by_short, keep } = send_options(options)?;
            let tell = match (keep, on_sent) {
                (false, _) => Tell::Call(on_sent),
                (true, None) => Tell::Keep,
                (true, Some(_)) => {
                    return Err(Failure::invalid("on_sent: given, and LIBCHAT_KEEP too"));
                }
            };
            let thread = thread_in(thread, by_short)?;
            let accepted = bridge::accept_send(manager.core(), thread, body, options)?;
            let Some(AcceptedSend { id, sent, slot }) = accepted else {
                let text = "as many sends are under way as may be";
                return Err(Failure::new(LIBCHAT_ERR_BUSY, text)
                    .hint("nothing was taken: try again after a completion"));
            };
            let completer = manager.completer(c_text(&id), slot, tell, UserData(user_data));
            manager.conn().runtime().spawn_many(completer.complete(sent));
            Ok(LIBCHAT_OK)
        })
    }
}

/// What one send came to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_sent {
    /// As given to libchat_send_async.
    pub user_data: *mut c_void,
    /// Why it failed: yours to free; NULL after OK.
    pub error: *mut libchat_error,
    /// What a waiting libchat_send would have answered.
    pub status: libchat_status,
    /// 0.
    pub reserved0: u32,
    /// Its receipt.
    pub receipt: libchat_receipt,
}

/// Takes what sends with LIBCHAT_KEEP came to, in the order of their ends, without waiting.
///
/// `out`  room for `max`, of which `*len` are filled
///
/// OK: at least one. EMPTY: none now. Fails with CLOSED once the manager is closed: its close waits
/// until all is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_sent_take(
    manager: libchat_manager,
    out: *mut libchat_sent,
    max: usize,
    len: *mut usize,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(len, err, |len| {
            if out.is_null() || max == 0 {
                return Err(Failure::invalid("out: NULL, or without room"));
            }
            let taken = Manager::completions_of(manager)?.take(max);
            len.set(taken.len());
            if taken.is_empty() {
                return Ok(LIBCHAT_EMPTY);
            }
            for (at, completion) in taken.into_iter().enumerate() {
                out.add(at).write_unaligned(sent_of(completion));
            }
            Ok(LIBCHAT_OK)
        })
    }
}

fn sent_of(completion: Completion) -> libchat_sent {
    let Completion { sent, user_data, .. } = completion;
    let receipt = receipt_of(&sent);
    let (status, error) = match sent {
        Ok(_) => (LIBCHAT_OK, ptr::null_mut()),
        Err(failure) => (failure.status(), failure.into_raw()),
    };
    libchat_sent { user_data: user_data.0, error, status, reserved0: 0, receipt }
}

/// Gives a descriptor to poll: it is readable while libchat_sent_take has something, and from the
/// close of the manager on. Otherwise it is as libchat_watch_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_sent_fd(
    manager: libchat_manager,
    out: *mut isize,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        fd_out(out, err, || {
            Manager::completions_of(manager)?.fd().map_err(|cause| {
                let text = format!("sent: a descriptor to wait on: {cause}");
                Failure::new(LIBCHAT_ERR_SYSTEM, &text).hint("close files or sockets")
            })
        })
    }
}

/// What the options of a send say.
struct Sending {
    options: SendOptions,
    by_short: bool,
    keep: bool,
}

unsafe fn send_options(options: *const libchat_send_options) -> Result<Sending, Failure> {
    // SAFETY: passed on from the caller, who vouches for the fields too.
    unsafe {
        let options = options_in(options)?;
        let flags = LIBCHAT_BY_SHORT | LIBCHAT_EXPECT_LAST | LIBCHAT_UNORDERED | LIBCHAT_KEEP;
        flags_in(options.flags, flags)?;
        let mut read = SendOptions {
            id: optional_text_in("id", options.id)?.map(str::to_owned),
            reply_to: optional_text_in("reply_to", options.reply_to)?.map(str::to_owned),
            headers: headers_in(options.headers, options.headers_len)?,
            unordered: options.flags & LIBCHAT_UNORDERED != 0,
            cancel: cancel_in(options.cancel)?,
            ..SendOptions::default()
        };
        if options.flags & LIBCHAT_EXPECT_LAST != 0 {
            let empty = options.expect_last == libchat_cursor::default();
            let at = ExpectLast::At(options.expect_last.into());
            read.expect_last = Some(if empty { ExpectLast::Empty } else { at });
        } else if options.expect_last != libchat_cursor::default() {
            return Err(Failure::invalid("expect_last: set without LIBCHAT_EXPECT_LAST"));
        }
        read.timeout = timeout_in(options.timeout_ms).unwrap_or(read.timeout);
        let is_set = |flag| options.flags & flag != 0;
        Ok(Sending {
            by_short: is_set(LIBCHAT_BY_SHORT),
            keep: is_set(LIBCHAT_KEEP),
            options: read,
        })
    }
}

/// The thread by its name or its short.
pub(crate) fn thread_in(thread: &str, by_short: bool) -> Result<ThreadRef<'_>, libchat::Error> {
    if by_short { Ok(thread.parse::<Short>()?.into()) } else { Ok(thread.into()) }
}

pub(crate) fn receipt_of(sent: &Result<Receipt, Failure>) -> libchat_receipt {
    match sent {
        Ok(stored) => receipt(&c_text(&stored.id), Some(stored)),
        Err(failure) => receipt(failure.id(), None),
    }
}

fn receipt(id: &CStr, stored: Option<&Receipt>) -> libchat_receipt {
    let mut receipt = libchat_receipt {
        id: [0; 65],
        duplicate: stored.is_some_and(|it| it.duplicate).into(),
        reserved: [0; 6],
        cursor: stored.and_then(|it| it.cursor).unwrap_or_default().into(),
    };
    // Ids are checked to be shorter, so that there is a NUL.
    for (to, from) in receipt.id.iter_mut().take(LIBCHAT_ID_MAX).zip(id.to_bytes()) {
        *to = from.cast_signed();
    }
    receipt
}
