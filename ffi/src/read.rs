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

/// Fills the caller's `out`, of which only the size is set, with as much of `value` as fits; with
/// zeros if there is none.
///
/// # Safety
/// NULL, or readable and writable for as many bytes as its first field says.
pub(crate) unsafe fn struct_out<T: Options>(
    out: *mut T,
    value: Result<T, Failure>,
) -> Result<libchat_status, Failure> {
    if out.is_null() {
        return Err(Failure::invalid("out: NULL"));
    }
    // SAFETY: the caller has at least the size.
    let size = unsafe { ptr::read_unaligned(out.cast::<usize>()) };
    if !(size_of::<usize>()..=STRUCT_MAX).contains(&size) {
        let text = format!("out: struct_size {size}: not the size of a struct");
        return Err(Failure::invalid(&text).hint("begin with LIBCHAT_INIT"));
    }
    let head = size_of::<usize>();
    // SAFETY: `size` bytes can be written; both structs have the size first.
    unsafe {
        ptr::write_bytes(out.cast::<u8>().add(head), 0, size - head);
        let value = value?;
        let from: *const u8 = ptr::from_ref(&value).cast();
        let fits = size.min(size_of::<T>()) - head;
        ptr::copy_nonoverlapping(from.add(head), out.cast::<u8>().add(head), fits);
    }
    Ok(LIBCHAT_OK)
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
