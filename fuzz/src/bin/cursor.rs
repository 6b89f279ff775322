//! The text of cursors: what is read is written the same, and nothing is written past its end.
#![no_main]

use std::ffi::{CString, c_char};
use std::ptr;

use chat::message::*;
use chat::status::*;
use libfuzzer_sys::fuzz_target;

fn parse(text: &[u8]) -> (libchat_status, libchat_cursor) {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let text = CString::new(&text[..end]).expect("no NUL");
    let mut out = libchat_cursor { incarnation: 1, seq: 1, check: 1, reserved0: 1 };
    // SAFETY: NUL-terminated, and `out` can be written.
    let status = unsafe { libchat_cursor_parse(text.as_ptr(), &mut out, ptr::null_mut()) };
    (status, out)
}

/// Writes into a buffer of exactly this size; what stands there before its NUL.
fn format(cursor: libchat_cursor, size: usize) -> (libchat_status, Vec<u8>) {
    let mut out: Box<[c_char]> = vec![1; size].into();
    // SAFETY: `out` can be written as far as said.
    let status = unsafe { libchat_cursor_format(cursor, out.as_mut_ptr(), size, ptr::null_mut()) };
    let text = out.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned());
    (status, text.collect())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, text)) = bytes.split_first() else { return };
    let (status, cursor) = parse(text);
    if status != LIBCHAT_OK {
        assert_eq!((status, cursor), (LIBCHAT_ERR_INVALID_ARGUMENT, libchat_cursor::default()));
    }
    let (status, whole) = format(cursor, LIBCHAT_CURSOR_SIZE);
    assert_eq!((status, parse(&whole)), (LIBCHAT_OK, (LIBCHAT_OK, cursor)));
    let size = usize::from(*size) % (LIBCHAT_CURSOR_SIZE + 2);
    let expected = if size > whole.len() {
        (LIBCHAT_OK, whole)
    } else {
        (LIBCHAT_ERR_INVALID_ARGUMENT, Vec::new())
    };
    assert_eq!(format(cursor, size), expected);
});
