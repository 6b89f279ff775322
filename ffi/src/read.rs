//! Reads what the caller hands in: everything is checked, and copied before the call returns.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::slice;
use std::time::Duration;

use crate::bytes::{libchat_bytes, libchat_header};
use crate::error::Failure;
use crate::status::*;
use crate::version::LIBCHAT_INFINITE;

/// Larger than any option struct will ever be.
const STRUCT_MAX: usize = 4096;
/// The size field itself.
const HEAD: usize = size_of::<usize>();
const HEADERS_MAX: usize = 4096;

/// An option struct.
///
/// # Safety
/// `repr(C)` without padding, a `usize` that holds the size first, and any bits are a value, all
/// zero the defaults.
pub(crate) unsafe trait Options: Copy {}

/// The options at `options`, which may be of an older or newer header: what it does not have is
/// zero, what we do not know must be.
///
/// # Safety
/// NULL, or readable for as many bytes as its first field says.
pub(crate) unsafe fn options_in<T: Options>(options: *const T) -> Result<T, Failure> {
    // SAFETY: `Options` allows zero.
    let mut read: T = unsafe { std::mem::zeroed() };
    if options.is_null() {
        return Ok(read);
    }
    let bytes: *const u8 = options.cast();
    // SAFETY: the caller has at least the size.
    let size = unsafe { ptr::read_unaligned(options.cast::<usize>()) };
    if !(size_of::<usize>()..=STRUCT_MAX).contains(&size) {
        let text = format!("options: struct_size {size}: not the size of an option struct");
        return Err(Failure::invalid(&text).hint("begin with LIBCHAT_INIT"));
    }
    let known = size.min(size_of::<T>());
    // SAFETY: `size` bytes can be read, and `read` has room for as many as are known.
    let rest = unsafe {
        ptr::copy_nonoverlapping(bytes, ptr::from_mut(&mut read).cast(), known);
        slice::from_raw_parts(bytes.add(known), size - known)
    };
    if rest.iter().any(|byte| *byte != 0) {
        let text = "options: set beyond what this library knows";
        return Err(Failure::new(LIBCHAT_ERR_UNSUPPORTED, text)
            .hint("leave the option out, or use a newer libchat"));
    }
    Ok(read)
}

/// The size of the struct at `out`, whose first field says it; zeroes the rest.
///
/// # Safety
/// NULL, or readable and writable for as many bytes as its first field says.
pub(crate) unsafe fn blank_out<T: Options>(out: *mut T) -> Result<usize, Failure> {
    if out.is_null() {
        return Err(Failure::invalid("out: NULL"));
    }
    // SAFETY: the caller has at least the size.
    let size = unsafe { ptr::read_unaligned(out.cast::<usize>()) };
    if !(HEAD..=STRUCT_MAX).contains(&size) {
        let text = format!("out: struct_size {size}: not the size of a struct");
        return Err(Failure::invalid(&text).hint("begin with LIBCHAT_INIT"));
    }
    // SAFETY: `size` bytes can be written.
    unsafe { ptr::write_bytes(out.cast::<u8>().add(HEAD), 0, size - HEAD) };
    Ok(size)
}

/// Fills the caller's struct of `size` bytes with as much of `value` as fits.
///
/// # Safety
/// `out` can be written for `size` bytes, as [`blank_out`] has found.
pub(crate) unsafe fn struct_out<T: Options>(out: *mut T, size: usize, value: T) -> libchat_status {
    let from: *const u8 = ptr::from_ref(&value).cast();
    let fits = size.min(size_of::<T>()) - HEAD;
    // SAFETY: both structs have the size first, which stays the caller's.
    unsafe { ptr::copy_nonoverlapping(from.add(HEAD), out.cast::<u8>().add(HEAD), fits) };
    LIBCHAT_OK
}

/// Fails if `flags` has a bit that is not in `known`.
pub(crate) fn flags_in(flags: u32, known: u32) -> Result<(), Failure> {
    match flags & !known {
        0 => Ok(()),
        unknown => {
            let text = format!("options: flags: unknown {unknown:#x}");
            Err(Failure::new(LIBCHAT_ERR_UNSUPPORTED, &text))
        }
    }
}

/// A number of things; more than there can be is as many as there can be.
pub(crate) fn count_in(count: impl TryInto<usize>) -> usize {
    count.try_into().unwrap_or(usize::MAX)
}

/// Fails if a field that has no meaning yet has a value.
pub(crate) fn reserved_in(reserved: u32) -> Result<(), Failure> {
    match reserved {
        0 => Ok(()),
        _ => Err(Failure::new(LIBCHAT_ERR_UNSUPPORTED, "options: reserved0: set")),
    }
}

/// A name.
///
/// # Safety
/// NULL, or NUL-terminated and alive as long as `'a`.
pub(crate) unsafe fn text_in<'a>(what: &str, text: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: passed on from the caller.
    let text = unsafe { optional_text_in(what, text) }?;
    text.ok_or_else(|| Failure::invalid(&format!("{what}: NULL")))
}

/// A name that may be left out.
///
/// # Safety
/// As [`text_in`].
pub(crate) unsafe fn optional_text_in<'a>(
    what: &str,
    text: *const c_char,
) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: NUL-terminated, as the caller says.
    let text = unsafe { CStr::from_ptr(text) }.to_str().map_err(|cause| {
        Failure::invalid(&format!("{what}: not UTF-8 at byte {}", cause.valid_up_to()))
    });
    text.map(Some)
}

/// A body or a payload.
///
/// # Safety
/// `data` is readable for `len` bytes as long as `'a`, unless that is 0.
pub(crate) unsafe fn bytes_in<'a>(what: &str, bytes: libchat_bytes) -> Result<&'a [u8], Failure> {
    let libchat_bytes { data, len } = bytes;
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::invalid(&format!("{what}: NULL with a length of {len}"))),
        (false, _) if isize::try_from(len).is_err() => {
            Err(Failure::invalid(&format!("{what}: a length of {len}")))
        }
        // SAFETY: readable, as the caller says.
        (false, _) => Ok(unsafe { slice::from_raw_parts(data, len) }),
    }
}

/// Header fields.
///
/// # Safety
/// `headers` is readable for `len` fields, each of two names, unless that is 0.
pub(crate) unsafe fn headers_in(
    headers: *const libchat_header,
    len: usize,
) -> Result<Vec<(String, String)>, Failure> {
    if len == 0 {
        return Ok(Vec::new());
    }
    if headers.is_null() || len > HEADERS_MAX {
        let text = format!("headers: NULL, or more than {HEADERS_MAX}, with a length of {len}");
        return Err(Failure::invalid(&text));
    }
    let field = |at: usize| {
        // SAFETY: readable, as the caller says.
        unsafe {
            let libchat_header { name, value } = ptr::read_unaligned(headers.add(at));
            let name = text_in("header name", name)?;
            Ok((name.to_owned(), text_in(&format!("header {name}"), value)?.to_owned()))
        }
    };
    (0..len).map(field).collect()
}

/// A time of an option struct, where 0 is the default.
pub(crate) fn timeout_in(timeout_ms: u32) -> Option<Duration> {
    match timeout_ms {
        0 => None,
        LIBCHAT_INFINITE => Some(Duration::MAX),
        ms => Some(Duration::from_millis(ms.into())),
    }
}

/// A time of an argument, where 0 is not to wait; `None` is to wait for ever.
pub(crate) fn wait_in(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != LIBCHAT_INFINITE).then(|| Duration::from_millis(timeout_ms.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Pair {
        struct_size: usize,
        number: u64,
        time: u32,
        flags: u32,
    }

    // SAFETY: plain numbers without padding, the size first.
    unsafe impl Options for Pair {}

    const FILLED: Pair = Pair { struct_size: 24, number: 7, time: 8, flags: 9 };

    /// `size`, then bytes of 1 as far as `FILLED` goes, then `tail`; one byte further on if it is
    /// to be unaligned. No byte more than `size` says is there.
    struct Host(Vec<u8>, usize);

    impl Host {
        fn new(size: usize, there: usize, tail: u8, shift: usize) -> Host {
            let mut bytes = vec![0; shift];
            bytes.extend_from_slice(&size.to_ne_bytes());
            bytes.extend([7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0]);
            bytes.resize(shift + there, 0);
            if let Some(last) = bytes.get_mut(shift + 24..).and_then(<[u8]>::last_mut) {
                *last = tail;
            }
            Host(bytes, shift)
        }

        fn read(&self) -> Result<Pair, String> {
            // SAFETY: as many bytes as the size says, or eight where that is no size.
            unsafe { options_in(self.0[self.1..].as_ptr().cast::<Pair>()) }.map_err(told)
        }

        fn fill(&mut self, value: Result<Pair, Failure>) -> Result<libchat_status, String> {
            let out = self.0[self.1..].as_mut_ptr().cast::<Pair>();
            // SAFETY: as above.
            let filled =
                unsafe { blank_out(out).and_then(|size| Ok(struct_out(out, size, value?))) };
            filled.map_err(told)
        }
    }

    fn told(failure: Failure) -> String {
        format!("{failure:?}")
    }

    #[test]
    fn options_are_read_as_far_as_both_sides_know_them() {
        let check = |size, tail, expected| {
            for shift in [0, 1] {
                assert_eq!(Host::new(size, size, tail, shift).read(), Ok(expected), "{size}");
            }
        };
        check(8, 0, Pair { struct_size: 8, ..Pair::default() });
        check(16, 0, Pair { struct_size: 16, number: 7, ..Pair::default() });
        check(20, 0, Pair { struct_size: 20, flags: 0, ..FILLED });
        check(24, 0, FILLED);
        check(25, 0, Pair { struct_size: 25, ..FILLED });
        check(STRUCT_MAX, 0, Pair { struct_size: STRUCT_MAX, ..FILLED });
        // SAFETY: NULL.
        let none = unsafe { options_in(ptr::null::<Pair>()) };
        assert_eq!(none.map_err(told), Ok(Pair::default()));
    }

    #[test]
    fn options_that_are_not_known_or_have_no_size_are_refused() {
        for size in [25, 40, STRUCT_MAX] {
            let unknown = r#"105 "options: set beyond what this library knows""#;
            assert_eq!(Host::new(size, size, 1, 0).read(), Err(unknown.to_owned()), "{size}");
        }
        for size in [0, 7, STRUCT_MAX + 1, usize::MAX] {
            let text =
                format!(r#"100 "options: struct_size {size}: not the size of an option struct""#);
            assert_eq!(Host::new(size, 8, 0, 1).read(), Err(text));
        }
    }

    #[test]
    fn a_struct_is_filled_as_far_as_it_goes() {
        for (size, shift) in [8, 16, 20, 24, 40].into_iter().flat_map(|it| [(it, 0), (it, 1)]) {
            let mut host = Host::new(size, size, 1, shift);
            assert_eq!(host.fill(Ok(Pair { number: 70, time: 80, ..FILLED })), Ok(LIBCHAT_OK));
            let mut expected = Host::new(size, size, 0, shift);
            for (at, value) in [(8, 70), (16, 80)].into_iter().filter(|(at, _)| *at < size) {
                expected.0[shift + at] = value;
            }
            assert_eq!(host.0, expected.0, "{size}");
        }
    }

    #[test]
    fn a_struct_is_zero_where_there_is_nothing_to_fill_it_with() {
        let mut host = Host::new(40, 40, 1, 0);
        let closed = host.fill(Err(Failure::closed("gone")));
        assert_eq!(closed, Err(r#"202 "gone""#.to_owned()));
        assert_eq!((host.0[0], host.0[8..].iter().max()), (40, Some(&0)));
        for size in [0, 7, STRUCT_MAX + 1, usize::MAX] {
            let mut host = Host::new(size, 8, 0, 1);
            let text = format!(r#"100 "out: struct_size {size}: not the size of a struct""#);
            assert_eq!(host.fill(Ok(FILLED)), Err(text));
            assert_eq!(host.0, Host::new(size, 8, 0, 1).0, "nothing is written");
        }
        // SAFETY: NULL.
        let none = unsafe { blank_out(ptr::null_mut::<Pair>()) };
        assert_eq!(none.map_err(told), Err(r#"100 "out: NULL""#.to_owned()));
    }

    #[test]
    fn bytes_are_what_their_length_says() {
        let check = |data: *const u8, len, expected: Result<&[u8], &str>| {
            // SAFETY: NULL, without a length, or as long as it says.
            let read = unsafe { bytes_in("body", libchat_bytes { data, len }) }.map_err(told);
            assert_eq!(read, expected.map_err(str::to_owned));
        };
        let body = b"a\0\xff";
        check(body.as_ptr(), 3, Ok(body));
        check(body.as_ptr(), 0, Ok(b""));
        check(ptr::null(), 0, Ok(b""));
        check(ptr::dangling(), 0, Ok(b""));
        check(ptr::null(), 3, Err(r#"100 "body: NULL with a length of 3""#));
        let long = format!(r#"100 "body: a length of {}""#, usize::MAX);
        check(body.as_ptr(), usize::MAX, Err(&long));
    }

    #[test]
    fn a_name_is_utf_8() {
        let check = |text: *const c_char, expected: Result<&str, &str>| {
            // SAFETY: NULL or NUL-terminated.
            let read = unsafe { text_in("thread", text) }.map_err(told);
            assert_eq!(read, expected.map_err(str::to_owned));
        };
        check(c"plän".as_ptr(), Ok("plän"));
        check(c"".as_ptr(), Ok(""));
        check(ptr::null(), Err(r#"100 "thread: NULL""#));
        check(c"ab\xff".as_ptr(), Err(r#"100 "thread: not UTF-8 at byte 2""#));
        // SAFETY: NULL.
        let none = unsafe { optional_text_in("id", ptr::null()) };
        assert_eq!(none.map_err(told), Ok(None));
    }

    #[test]
    fn header_fields_are_copied() {
        let check = |fields: &[libchat_header], len, expected: Result<&[(&str, &str)], &str>| {
            let first = if fields.is_empty() { ptr::null() } else { fields.as_ptr() };
            // SAFETY: as many fields as said, NULL, or more than are looked at.
            let read = unsafe { headers_in(first, len) }.map_err(told);
            let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
            let expected = expected.map(|fields| fields.iter().map(owned).collect());
            assert_eq!(read, expected.map_err(str::to_owned));
        };
        let field = |name: &'static CStr, value| libchat_header { name: name.as_ptr(), value };
        let two = [field(c"b", c"1".as_ptr()), field(c"a", c"".as_ptr())];
        check(&two, 2, Ok(&[("b", "1"), ("a", "")]));
        check(&two, 0, Ok(&[]));
        check(&[], 0, Ok(&[]));
        let many = "headers: NULL, or more than 4096, with a length of";
        check(&[], 1, Err(&format!("100 \"{many} 1\"")));
        check(&two, 4097, Err(&format!("100 \"{many} 4097\"")));
        check(&[field(c"b", ptr::null())], 1, Err(r#"100 "header b: NULL""#));
        check(&[field(c"b", c"\xc3".as_ptr())], 1, Err(r#"100 "header b: not UTF-8 at byte 0""#));
        let nameless = libchat_header { name: ptr::null(), value: c"1".as_ptr() };
        check(&[nameless], 1, Err(r#"100 "header name: NULL""#));
    }

    #[test]
    fn what_has_no_meaning_yet_is_refused() {
        assert_eq!((flags_in(5, 7).map_err(told), reserved_in(0).map_err(told)), (Ok(()), Ok(())));
        let flags = r#"105 "options: flags: unknown 0xa""#;
        assert_eq!(flags_in(0xf, 5).map_err(told), Err(flags.to_owned()));
        let reserved = r#"105 "options: reserved0: set""#;
        assert_eq!(reserved_in(1).map_err(told), Err(reserved.to_owned()));
    }
}
