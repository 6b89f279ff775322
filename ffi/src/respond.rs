//! Respond on any subject, and answer as an agent
//!
//! A responder has a callback, or leaves the answer to any other thread of yours.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use libchat::{Error, RespondOptions, bridge};

use crate::boundary::{Out, boundary, boundary_out};
use crate::bytes::{libchat_bytes, libchat_header};
use crate::cancel::{cancel_in, libchat_cancel};
use crate::dispatch::{Caller, is_on_own_thread, join};
use crate::error::{Failure, libchat_error};
use crate::events::libchat_done_fn;
use crate::manager::{Manager, libchat_manager};
use crate::read::{
    Options, bytes_in, optional_text_in, options_in, reserved_in, text_in, timeout_in,
};
use crate::responder::{OpenRequest, Responder};
use crate::status::*;

/// What answers requests.
pub type libchat_responder = u64;

/// One request that waits for its answer: give it from any thread, once.
pub type libchat_request_id = u64;

/// A request, lent until the callback returns: copy what you need later, but the id is yours.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_incoming {
    /// For libchat_request_reply or libchat_request_fail.
    pub id: libchat_request_id,
    /// The subject it came on.
    pub subject: *const c_char,
    /// What is asked: any bytes.
    pub payload: libchat_bytes,
    /// Its header fields.
    pub headers: *const libchat_header,
    /// How many.
    pub headers_len: usize,
    /// 0.
    pub reserved: [u64; 2],
}

/// Told the requests of one responder, one after the other. It may answer, or leave that to another
/// thread.
pub type libchat_request_fn = Option<
    unsafe extern "C" fn(
        responder: libchat_responder,
        incoming: *const libchat_incoming,
        user_data: *mut c_void,
    ),
>;

/// How to respond.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_respond_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// Told each request. Must be given.
    pub on_request: libchat_request_fn,
    /// Told the end; may be NULL.
    pub on_done: libchat_done_fn,
    /// Handed to both.
    pub user_data: *mut c_void,
    /// NULL: each responder gets all; else one of the group.
    pub queue_group: *const c_char,
    /// Ends the setting up.
    pub cancel: libchat_cancel,
    /// How many may be open at once; 0 is 1. 256 more (8 MiB) are held, others are told "busy".
    pub concurrency: u32,
    /// After it a request has failed ("timeout"); 0 is 30000.
    pub answer_timeout_ms: u32,
    /// How long setting up may take; 0 is 10000.
    pub timeout_ms: u32,
    /// 0.
    pub reserved0: u32,
}

// SAFETY: plain data without padding, the size first; the callbacks are the caller's word.
unsafe impl Options for libchat_respond_options {}

/// Listens for requests on `subject`. Returns when the server knows of it; `*out` is written before
/// the first callback. If it fails, no callback ever runs, and `user_data` stays yours.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_respond(
    manager: libchat_manager,
    subject: *const c_char,
    options: *const libchat_respond_options,
    out: *mut libchat_responder,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let subject = text_in("subject", subject)?.to_owned();
            listen(manager, options, out, move |core, options| async move {
                core.respond(&subject, options).await
            })
        })
    }
}

/// Listens for what is asked of this agent. As libchat_respond otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_answer(
    manager: libchat_manager,
    options: *const libchat_respond_options,
    out: *mut libchat_responder,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            listen(manager, options, out, |core, options| async move { core.answer(options).await })
        })
    }
}

/// Answers a request, from any thread. Whether the answer arrives is not known.
///
/// Fails with INVALID_STATE when it was answered already, or its time is over; with TOO_LARGE for
/// more than the server takes, which the one who asks is told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_request_reply(
    request: libchat_request_id,
    payload: libchat_bytes,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            let payload = bytes_in("payload", payload)?.to_vec();
            let (conn, open) = OpenRequest::take(request)?;
            conn.run(None, async move { open.request.reply(payload).await })?;
            Ok(LIBCHAT_OK)
        })
    }
}

/// Says that a request failed. Who asks gets REMOTE with `code` and `text`, if that is libchat, and
/// no reply at all otherwise.
///
/// `code`  a word of at most 64 letters, digits, "_", "-" or "."
/// `text`  for people
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_request_fail(
    request: libchat_request_id,
    code: *const c_char,
    text: *const c_char,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            let code = text_in("code", code)?.to_owned();
            let text = text_in("text", text)?.to_owned();
            // Before the request is taken, which must not be lost over it.
            bridge::check_code(&code)?;
            let (conn, open) = OpenRequest::take(request)?;
            conn.run(None, async move { open.request.fail(&code, &text).await })?;
            Ok(LIBCHAT_OK)
        })
    }
}

/// Takes no new requests: once it has returned no further `on_request` begins. What is open can
/// still be answered; `on_done` comes when all of it is, or its time is over. From any thread and
/// any callback; again: OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_responder_stop(responder: libchat_responder) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(ptr::null_mut(), || {
            Responder::of(responder)?.stop();
            Ok(LIBCHAT_OK)
        })
    }
}

/// Waits until `on_done` has returned. As libchat_watch_join.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_responder_join(
    responder: libchat_responder,
    timeout_ms: u32,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe { boundary(err, || join("the responder", || Responder::of(responder), timeout_ms)) }
}

/// Stops, fails what is open (with the code "unanswered"), waits until `on_done` has returned, and
/// gives the handle back. As libchat_watch_close otherwise. For answers to come first: stop and
/// join before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_responder_close(responder: libchat_responder) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(ptr::null_mut(), || {
            let Some(responder) = Responder::to_close(responder)? else {
                return Ok(LIBCHAT_OK);
            };
            responder.stop();
            responder.end();
            if !is_on_own_thread() {
                responder.lifecycle().join(None);
            }
            responder.release();
            Ok(LIBCHAT_OK)
        })
    }
}

/// Sets up a responder with `respond`, adds it, and lets it listen.
unsafe fn listen<F>(
    manager: libchat_manager,
    options: *const libchat_respond_options,
    out: Out<libchat_responder>,
    respond: impl FnOnce(Arc<libchat::Manager>, RespondOptions) -> F,
) -> Result<libchat_status, Failure>
where
    F: Future<Output = Result<libchat::Responder, Error>> + Send + 'static,
{
    // SAFETY: passed on from the caller, who vouches for the fields too.
    let (options, queue_group) = unsafe {
        let options = options_in(options)?;
        (options, optional_text_in("queue_group", options.queue_group)?.map(str::to_owned))
    };
    reserved_in(options.reserved0)?;
    if options.on_request.is_none() {
        return Err(Failure::invalid("on_request: NULL"));
    }
    let manager = Manager::of(manager)?;
    let cancel = cancel_in(options.cancel)?;
    let mut read = RespondOptions { queue_group, ..Default::default() };
    read.timeout = timeout_in(options.timeout_ms).unwrap_or(read.timeout);
    let core = manager.run(cancel, respond(manager.core().clone(), read))?;
    Responder::add(&manager, core, &options, out)?;
    Ok(LIBCHAT_OK)
}
