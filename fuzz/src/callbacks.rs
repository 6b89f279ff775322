//! Callbacks that look at what they are lent.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

use chat::bytes::libchat_bytes;
use chat::error::{libchat_error, libchat_error_code};
use chat::events::{libchat_event, libchat_flow};
use chat::message::{libchat_message_body, libchat_message_headers};
use chat::respond::{libchat_incoming, libchat_request_reply};
use chat::send::libchat_receipt;
use chat::status::libchat_status;

/// The callback of this letter, or NULL.
pub(crate) fn address(letter: char, choice: u8) -> u64 {
    match letter {
        _ if choice.is_multiple_of(8) => 0,
        'E' => on_event as *const () as u64,
        'D' => on_done as *const () as u64,
        'R' => on_request as *const () as u64,
        _ => unreachable!("{letter}"),
    }
}

type Error = *const libchat_error;

fn sum(bytes: libchat_bytes) -> u64 {
    let bytes = unsafe { std::slice::from_raw_parts(bytes.data, bytes.len + 1) };
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

pub(crate) extern "C" fn on_event(
    _: u64,
    it: *const libchat_event,
    _: *mut c_void,
) -> libchat_flow {
    unsafe {
        libchat_message_headers((*it).message, null_mut());
        (sum(libchat_message_body((*it).message)) % 7 == 6).into()
    }
}

extern "C" fn on_done(_: u64, status: libchat_status, error: Error, _: *mut c_void) {
    assert_eq!(unsafe { libchat_error_code(error) }, if status < 100 { 0 } else { status });
}

extern "C" fn on_request(_: u64, incoming: *const libchat_incoming, _: *mut c_void) {
    unsafe { libchat_request_reply((*incoming).id, (*incoming).payload, null_mut()) };
}

pub(crate) extern "C" fn on_sent(
    status: libchat_status,
    receipt: *const libchat_receipt,
    error: Error,
    user_data: *mut c_void,
) {
    assert_eq!(unsafe { (*receipt).id[64] }, 0);
    on_done(0, status, error, user_data);
}

pub(crate) extern "C" fn log(_: i32, _: *const c_char, text: libchat_bytes, _: *mut c_void) {
    sum(text);
}
