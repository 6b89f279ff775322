//! Request, on any subject, and ask, between agents
//!
//! For answers at once, from who is there now; nothing is stored. An agent answers under its name,
//! on the subject <project>.ask.<agent>.

use std::ffi::c_char;

use libchat::RequestOptions;

use crate::boundary::boundary_out;
use crate::bytes::{Texts, libchat_bytes};
use crate::error::{Failure, libchat_error};
use crate::manager::{Manager, libchat_manager};
use crate::read::{bytes_in, text_in};
use crate::status::*;
use crate::threads::{Call, call_in, libchat_call_options};

/// An answer.
pub struct libchat_reply {
    payload: Texts<1>,
}

/// Sends `payload` to whoever listens on `subject`, and waits for the first answer.
///
/// `options`  NULL for the defaults
/// `out`      gets the answer, to be released
///
/// Fails with
///   NO_RESPONDERS  nobody listens there; told at once
///   TIMEOUT        no answer came in time; whether it was handled is not known
///   REMOTE         the handler failed (libchat_error_remote_code); between libchat's only
///   CANCELLED      it may have been handled
///   TOO_LARGE      the server's limit is smaller
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_request(
    manager: libchat_manager,
    subject: *const c_char,
    payload: libchat_bytes,
    options: *const libchat_call_options,
    out: *mut *const libchat_reply,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let manager = Manager::of(manager)?;
            let subject = text_in("subject", subject)?.to_owned();
            let payload = bytes_in("payload", payload)?.to_vec();
            let (call, options) = request_options(options)?;
            let core = manager.core().clone();
            let request = async move { core.request(&subject, payload, options).await };
            out.set(libchat_reply::into_raw(manager.run(call.cancel, request)?));
            Ok(LIBCHAT_OK)
        })
    }
}

/// Asks an agent of this project. As libchat_request otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_ask(
    manager: libchat_manager,
    agent: *const c_char,
    payload: libchat_bytes,
    options: *const libchat_call_options,
    out: *mut *const libchat_reply,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let manager = Manager::of(manager)?;
            let agent = text_in("agent", agent)?.to_owned();
            let payload = bytes_in("payload", payload)?.to_vec();
            let (call, options) = request_options(options)?;
            let core = manager.core().clone();
            let ask = async move { core.ask(&agent, payload, options).await };
            out.set(libchat_reply::into_raw(manager.run(call.cancel, ask)?));
            Ok(LIBCHAT_OK)
        })
    }
}

/// The answer: any bytes, lent until it is released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_reply_payload(reply: *const libchat_reply) -> libchat_bytes {
    // SAFETY: the caller keeps the header's rules for `reply`.
    unsafe { reply.as_ref() }.map_or(libchat_bytes::EMPTY, |reply| reply.payload.get(0))
}

/// Frees an answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_reply_release(reply: *const libchat_reply) {
    if !reply.is_null() {
        // SAFETY: it came from `into_raw`, and is released once.
        drop(unsafe { Box::from_raw(reply.cast_mut()) });
    }
}

unsafe fn request_options(
    options: *const libchat_call_options,
) -> Result<(Call, RequestOptions), Failure> {
    // SAFETY: passed on from the caller.
    let mut call = unsafe { call_in(options) }?;
    let mut read =
        RequestOptions { headers: std::mem::take(&mut call.headers), ..Default::default() };
    read.timeout = call.timeout.unwrap_or(read.timeout);
    Ok((call, read))
}

impl libchat_reply {
    fn into_raw(reply: libchat::Reply) -> *const libchat_reply {
        Box::into_raw(Box::new(libchat_reply { payload: Texts::new([&reply.payload]) }))
    }
}
