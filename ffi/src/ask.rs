//! Request, on any subject, and ask, between agents
//!
//! For answers at once, from who is there now; nothing is stored. An agent answers under its name,
//! on the subject <project>.ask.<agent>.

use std::ffi::c_char;
use std::sync::Arc;

use libchat::{Error, RequestOptions};

use crate::boundary::{Out, boundary_out};
use crate::bytes::{Texts, libchat_bytes};
use crate::error::{Failure, libchat_error};
use crate::manager::{Manager, libchat_manager};
use crate::read::{bytes_in, text_in};
use crate::status::*;
use crate::threads::{call_in, libchat_call_options};

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
            let whom = ("subject", subject);
            request(
                manager,
                whom,
                payload,
                options,
                out,
                |core, subject, payload, options| async move {
                    core.request(&subject, payload, options).await
                },
            )
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
            let whom = ("agent", agent);
            request(manager, whom, payload, options, out, |core, to, payload, options| async move {
                core.ask(&to, payload, options).await
            })
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

/// Reads the arguments, makes the request with `verb`, and gives its answer.
unsafe fn request<F>(
    manager: libchat_manager,
    (what, whom): (&str, *const c_char),
    payload: libchat_bytes,
    options: *const libchat_call_options,
    out: Out<*const libchat_reply>,
    verb: impl FnOnce(Arc<libchat::Manager>, String, Vec<u8>, RequestOptions) -> F,
) -> Result<libchat_status, Failure>
where
    F: Future<Output = Result<libchat::Reply, Error>> + Send + 'static,
{
    let manager = Manager::of(manager)?;
    // SAFETY: passed on from the caller.
    let (whom, payload, call) = unsafe {
        let whom = text_in(what, whom)?.to_owned();
        (whom, bytes_in("payload", payload)?.to_vec(), call_in(options)?)
    };
    let mut read = RequestOptions { headers: call.headers, ..Default::default() };
    read.timeout = call.timeout.unwrap_or(read.timeout);
    let reply = manager.run(call.cancel, verb(manager.core().clone(), whom, payload, read))?;
    out.set(libchat_reply::into_raw(reply));
    Ok(LIBCHAT_OK)
}

impl libchat_reply {
    fn into_raw(reply: libchat::Reply) -> *const libchat_reply {
        Box::into_raw(Box::new(libchat_reply { payload: Texts::new([&reply.payload]) }))
    }
}
