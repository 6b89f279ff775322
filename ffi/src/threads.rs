//! Threads

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use libchat::{CallOptions, ThreadSummary};

use crate::boundary::{boundary, boundary_out};
use crate::bytes::{Texts, libchat_bytes, libchat_header};
use crate::cancel::{cancel_in, libchat_cancel};
use crate::error::{Failure, libchat_error};
use crate::manager::{Manager, libchat_manager};
use crate::message::{libchat_cursor, libchat_message, libchat_message_body};
use crate::message::{libchat_message_sender, libchat_message_time_ns};
use crate::read::{Options, blank_out, count_in, flags_in, headers_in, options_in};
use crate::read::{struct_out, text_in, timeout_in};
use crate::status::*;

/// How to call what waits for an answer: lists, request and ask.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_call_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// Request and ask: header fields to send with it.
    pub headers: *const libchat_header,
    /// How many.
    pub headers_len: usize,
    /// Ends the call.
    pub cancel: libchat_cancel,
    /// How long the whole call may take; 0 is 30000.
    pub timeout_ms: u32,
    /// 0.
    pub flags: u32,
}

// SAFETY: plain data without padding, the size first.
unsafe impl Options for libchat_call_options {}

/// A list of threads; it never changes.
pub struct libchat_threads {
    threads: Vec<Thread>,
}

struct Thread {
    texts: Texts<2>,
    last: Option<Arc<libchat_message>>,
    message_count: u64,
    cursor: libchat_cursor,
}

/// One thread of a list; its texts are lent until the list is released.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_thread_summary {
    /// LIBCHAT_INIT sets it; what fits is filled.
    pub struct_size: usize,
    /// Its 8 hex digits.
    pub short_id: *const c_char,
    /// Its name; empty when the last message does not carry it.
    pub name: libchat_bytes,
    /// Empty, like the next, if the newest 33 are malformed.
    pub last_sender: libchat_bytes,
    /// The last message's text.
    pub last_body: libchat_bytes,
    /// How many messages are stored in it.
    pub message_count: u64,
    /// When the last was stored, by the server's clock.
    pub last_activity_ns: i64,
    /// The newest message's place.
    pub cursor: libchat_cursor,
}

// SAFETY: plain data without padding, the size first.
unsafe impl Options for libchat_thread_summary {}

/// Lists the threads of the project, the most recently used first: complete, or an error. Its cost
/// grows with the threads, not with the messages.
///
/// `options`  NULL for the defaults
/// `out`      gets a list, to be released
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_list_threads(
    manager: libchat_manager,
    options: *const libchat_call_options,
    out: *mut *const libchat_threads,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let manager = Manager::of(manager)?;
            let (options, call) = call_options(options)?;
            let core = manager.core().clone();
            let listed =
                manager.run(call.cancel, async move { core.list_threads(options).await })?;
            out.set(libchat_threads::into_raw(listed));
            Ok(LIBCHAT_OK)
        })
    }
}

/// Lists the threads that `agent` has written in, the most recently used first, at most
/// `max_threads`: complete, or an error. As libchat_list_threads otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_threads_for_agent(
    manager: libchat_manager,
    agent: *const c_char,
    max_threads: u32,
    options: *const libchat_call_options,
    out: *mut *const libchat_threads,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let manager = Manager::of(manager)?;
            let agent = text_in("agent", agent)?.to_owned();
            let max = count_in(max_threads);
            let (options, call) = call_options(options)?;
            let core = manager.core().clone();
            let listed = manager.run(call.cancel, async move {
                core.threads_for_agent(&agent, max, options).await
            })?;
            out.set(libchat_threads::into_raw(listed));
            Ok(LIBCHAT_OK)
        })
    }
}

/// How many threads it has; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_threads_len(threads: *const libchat_threads) -> usize {
    // SAFETY: the caller keeps the header's rules for `threads`.
    unsafe { threads.as_ref() }.map_or(0, |list| list.threads.len())
}

/// Fills `out` with thread number `index`, from 0 on. `out->struct_size` must be set.
///
/// Fails with INVALID_ARGUMENT past the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_threads_get(
    threads: *const libchat_threads,
    index: usize,
    out: *mut libchat_thread_summary,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        let size = blank_out(out);
        boundary(ptr::null_mut(), || {
            let thread = threads.as_ref().and_then(|list| list.threads.get(index));
            let thread = thread.ok_or_else(|| Failure::invalid("index: past the end"))?;
            Ok(struct_out(out, size?, thread.summary()))
        })
    }
}

/// Frees a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_threads_release(threads: *const libchat_threads) {
    if !threads.is_null() {
        // SAFETY: it came from `into_raw`, and is released once.
        drop(unsafe { Box::from_raw(threads.cast_mut()) });
    }
}

/// What goes with a call beside what core's listing takes.
pub(crate) struct Call {
    pub(crate) cancel: Option<libchat::Cancel>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Option<std::time::Duration>,
}

/// # Safety
/// As [`options_in`] and [`headers_in`].
pub(crate) unsafe fn call_in(options: *const libchat_call_options) -> Result<Call, Failure> {
    // SAFETY: passed on from the caller.
    unsafe {
        let options = options_in(options)?;
        flags_in(options.flags, 0)?;
        Ok(Call {
            cancel: cancel_in(options.cancel)?,
            headers: headers_in(options.headers, options.headers_len)?,
            timeout: timeout_in(options.timeout_ms),
        })
    }
}

unsafe fn call_options(
    options: *const libchat_call_options,
) -> Result<(CallOptions, Call), Failure> {
    // SAFETY: passed on from the caller.
    let call = unsafe { call_in(options) }?;
    if !call.headers.is_empty() {
        return Err(Failure::invalid("headers: a listing sends none"));
    }
    let mut options = CallOptions::default();
    options.timeout = call.timeout.unwrap_or(options.timeout);
    Ok((options, call))
}

impl libchat_threads {
    fn into_raw(threads: Vec<ThreadSummary>) -> *const libchat_threads {
        let threads = threads.into_iter().map(Thread::new).collect();
        Box::into_raw(Box::new(libchat_threads { threads }))
    }
}

impl Thread {
    fn new(summary: ThreadSummary) -> Thread {
        let name = summary.name.unwrap_or_default();
        Thread {
            texts: Texts::new([summary.short.as_str().as_bytes(), name.as_bytes()]),
            last: summary.last.map(libchat_message::new),
            message_count: summary.message_count,
            cursor: summary.cursor.into(),
        }
    }

    fn summary(&self) -> libchat_thread_summary {
        let last = self.last.as_ref().map_or(ptr::null(), Arc::as_ptr);
        // SAFETY: NULL, or a message that lives as long as the list.
        let (sender, body, time) = unsafe {
            (
                libchat_message_sender(last),
                libchat_message_body(last),
                libchat_message_time_ns(last),
            )
        };
        libchat_thread_summary {
            struct_size: 0,
            short_id: self.texts.get(0).data.cast(),
            name: self.texts.get(1),
            last_sender: sender,
            last_body: body,
            message_count: self.message_count,
            last_activity_ns: time,
            cursor: self.cursor,
        }
    }
}
