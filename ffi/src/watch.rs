//! Watch
//!
//! A watch tells what happens in one thread or many, once each and in stream order, from where it
//! starts: to a callback, or to whoever takes it (pull mode). A slow reader loses nothing and holds
//! up nobody: what its queue has no room for is read from the stream later.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use libchat::{Error, Start, WatchOptions};
use time::OffsetDateTime;

use crate::boundary::{Out, boundary, boundary_out, fd_out};
use crate::cancel::{cancel_in, libchat_cancel};
use crate::dispatch::{Caller, is_on_own_thread, join};
use crate::error::{Failure, libchat_error};
use crate::events::{Events, libchat_done_fn, libchat_event_fn, libchat_events, libchat_watch};
use crate::manager::{Manager, libchat_manager};
use crate::message::libchat_cursor;
use crate::read::{Options, count_in, flags_in, options_in, text_in, timeout_in, wait_in};
use crate::send::{LIBCHAT_BY_SHORT, thread_in};
use crate::status::*;
use crate::watcher::Watcher;

/// Where a watch or a history begins.
pub type libchat_start = i32;
/// With what is stored after the call.
pub const LIBCHAT_START_NEW: libchat_start = 0;
/// With the oldest message stored.
pub const LIBCHAT_START_ALL: libchat_start = 1;
/// After `cursor`. One that is not of today's stream gives RESET and then everything in a watch,
/// CONFLICT in history; all zero is INVALID_ARGUMENT.
pub const LIBCHAT_START_AFTER: libchat_start = 2;
/// With the first that was stored at `time_ns` or later.
pub const LIBCHAT_START_TIME: libchat_start = 3;
/// With the last `limit`; history: before `cursor`.
pub const LIBCHAT_START_LAST: libchat_start = 4;

/// Leave out what this agent wrote itself.
pub const LIBCHAT_SKIP_OWN: u32 = 8;

/// How to watch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_watch_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// Told each event. NULL is pull mode: libchat_watch_take.
    pub on_event: libchat_event_fn,
    /// Told the end, in both modes; may be NULL.
    pub on_done: libchat_done_fn,
    /// Handed to both.
    pub user_data: *mut c_void,
    /// For LIBCHAT_START_AFTER.
    pub cursor: libchat_cursor,
    /// For LIBCHAT_START_TIME: Unix nanoseconds.
    pub time_ns: i64,
    /// For LIBCHAT_START_LAST: how many.
    pub limit: u64,
    /// Ends the setting up.
    pub cancel: libchat_cancel,
    /// Bytes held for a slow reader; 0 is 8 MiB.
    pub queue_bytes: u64,
    /// Where to begin.
    pub start: libchat_start,
    /// Events held for a slow reader; 0 is 256.
    pub queue: u32,
    /// How long setting up may take; 0 is 10000.
    pub timeout_ms: u32,
    /// LIBCHAT_BY_SHORT (watch_thread only), LIBCHAT_SKIP_OWN.
    pub flags: u32,
}

// SAFETY: plain data without padding, the size first; the callbacks are the caller's word.
unsafe impl Options for libchat_watch_options {}

/// Watches one thread. Returns when it is set up: with LIBCHAT_START_NEW every message stored after
/// that is told, and none stored before the call. `*out` is written before the first callback.
///
/// `options`  NULL for the defaults: pull mode, new messages
///
/// Fails with
///   TOO_MANY_SUBSCRIBERS  the manager has as many watches as it may
///   TIMEOUT, DISCONNECTED, UNAUTHORIZED, NOT_FOUND  it could not be set up
/// Then no callback ever runs, and `user_data` stays yours.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_thread(
    manager: libchat_manager,
    thread: *const c_char,
    options: *const libchat_watch_options,
    out: *mut libchat_watch,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let name = text_in("thread", thread)?.to_owned();
            let options = options_in(options)?;
            flags_in(options.flags, LIBCHAT_BY_SHORT | LIBCHAT_SKIP_OWN)?;
            let by_short = options.flags & LIBCHAT_BY_SHORT != 0;
            set_up(manager, &options, out, move |core, options| async move {
                core.watch(thread_in(&name, by_short)?, options).await
            })
        })
    }
}

/// Watches every thread of the project. As libchat_watch_thread otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_all(
    manager: libchat_manager,
    options: *const libchat_watch_options,
    out: *mut libchat_watch,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let options = options_in(options)?;
            flags_in(options.flags, LIBCHAT_SKIP_OWN)?;
            set_up(
                manager,
                &options,
                out,
                |core, options| async move { core.watch_all(options).await },
            )
        })
    }
}

/// Watches the threads whose short matches `pattern`: "*", ">" or 8 hex digits, as NATS subjects
/// have them. As libchat_watch_thread otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_pattern(
    manager: libchat_manager,
    pattern: *const c_char,
    options: *const libchat_watch_options,
    out: *mut libchat_watch,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let pattern = text_in("pattern", pattern)?.to_owned();
            let options = options_in(options)?;
            flags_in(options.flags, LIBCHAT_SKIP_OWN)?;
            set_up(manager, &options, out, move |core, options| async move {
                core.watch_pattern(&pattern, options).await
            })
        })
    }
}

/// Pull mode: takes up to `max` events, waiting up to `timeout_ms` for the first.
///
/// OK: `*out` is a list of at least one, to be released. EMPTY: none came in time. END: the watch
/// was stopped. Otherwise `*out` is NULL.
///
/// Fails with INVALID_STATE on a watch with a callback, with CLOSED when the manager was closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_take(
    watch: libchat_watch,
    max: usize,
    timeout_ms: u32,
    out: *mut *const libchat_events,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let watch = Watcher::to_pull(watch)?;
            if max == 0 {
                return Err(Failure::invalid("max: 0"));
            }
            let timeout = wait_in(timeout_ms);
            let taken = match watch.core().take_blocking(max, timeout) {
                Ok(taken) => taken,
                Err(_) if watch.was_stopped() => return Ok(LIBCHAT_END),
                Err(error) => return Err(error.into()),
            };
            if taken.is_empty() {
                return Ok(LIBCHAT_EMPTY);
            }
            out.set(Events::of_watch(taken).into_raw());
            Ok(LIBCHAT_OK)
        })
    }
}

/// Pull mode: gives a descriptor to poll, in an event loop of yours. It is readable while
/// libchat_watch_take would not wait, and from the end on for ever; each change from nothing to
/// something is an edge for whoever polls for edges. It may be readable for nothing. Never read it.
///
/// Each call gives another descriptor, which is yours: take it out of your loop, then close it,
/// before or after the watch. It is not blocking, and not inherited by programs that are started.
///
/// Fails with INVALID_STATE on a watch with a callback, with SYSTEM when no descriptor is left;
/// `*out` is -1 then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_fd(
    watch: libchat_watch,
    out: *mut isize,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe { fd_out(out, err, || Ok(Watcher::to_pull(watch)?.core().fd()?)) }
}

/// Stops, from any thread and any callback: once it has returned no further `on_event` begins. One
/// begun already, perhaps only just, perhaps this very one, finishes; then `on_done` comes. Who
/// waits in libchat_watch_take gets END. Again: OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_stop(watch: libchat_watch) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(ptr::null_mut(), || {
            Watcher::of(watch)?.stop();
            Ok(LIBCHAT_OK)
        })
    }
}

/// Waits until `on_done` has returned. It does not stop: call libchat_watch_stop before, or wait
/// for the end that the callback decides on.
///
/// Fails with TIMEOUT after `timeout_ms` (call again), and at once with WOULD_DEADLOCK on a thread
/// of libchat, as in a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_join(
    watch: libchat_watch,
    timeout_ms: u32,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe { boundary(err, || join("the watch", || Watcher::of(watch), timeout_ms)) }
}

/// Stops, waits until `on_done` has returned, and gives the handle back, which a watch that has
/// ended keeps until then. On a thread of libchat, as in a callback, it does not wait. Do not call
/// it while you hold a lock that the callbacks take. 0 and a closed handle: OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_watch_close(watch: libchat_watch) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(ptr::null_mut(), || {
            let Some(watch) = Watcher::to_close(watch)? else { return Ok(LIBCHAT_OK) };
            watch.stop();
            if !is_on_own_thread() {
                watch.lifecycle().join(None);
            }
            watch.release();
            Ok(LIBCHAT_OK)
        })
    }
}

/// Sets up a watch with `watch`, adds it, and arms its callbacks.
fn set_up<F>(
    manager: libchat_manager,
    options: &libchat_watch_options,
    out: Out<libchat_watch>,
    watch: impl FnOnce(Arc<libchat::Manager>, WatchOptions) -> F,
) -> Result<libchat_status, Failure>
where
    F: Future<Output = Result<libchat::Watch, Error>> + Send + 'static,
{
    let manager = Manager::of(manager)?;
    let read = watch_options(options)?;
    let cancel = cancel_in(options.cancel)?;
    let core = manager.run(cancel, watch(manager.core().clone(), read))?;
    Watcher::add(&manager, core, options, out)?;
    Ok(LIBCHAT_OK)
}

fn watch_options(options: &libchat_watch_options) -> Result<WatchOptions, Failure> {
    let start = start_in(options.start, options.cursor, options.time_ns, options.limit)?;
    let mut read = WatchOptions {
        start,
        skip_own: options.flags & LIBCHAT_SKIP_OWN != 0,
        ..WatchOptions::default()
    };
    if options.queue != 0 {
        read.queue = count_in(options.queue);
    }
    if options.queue_bytes != 0 {
        read.queue_bytes = count_in(options.queue_bytes);
    }
    read.timeout = timeout_in(options.timeout_ms).unwrap_or(read.timeout);
    Ok(read)
}

/// A start, from the fields that go with it.
pub(crate) fn start_in(
    start: libchat_start,
    cursor: libchat_cursor,
    time_ns: i64,
    limit: u64,
) -> Result<Start, Failure> {
    Ok(match start {
        LIBCHAT_START_NEW => Start::New,
        LIBCHAT_START_ALL => Start::All,
        LIBCHAT_START_AFTER => Start::After(cursor.into()),
        LIBCHAT_START_TIME => {
            let time = OffsetDateTime::from_unix_timestamp_nanos(time_ns.into());
            Start::Time(time.map_err(|cause| Failure::invalid(&format!("time_ns: {cause}")))?)
        }
        LIBCHAT_START_LAST => Start::Last(limit),
        other => {
            let text = format!("start: unknown {other}");
            return Err(Failure::new(LIBCHAT_ERR_UNSUPPORTED, &text));
        }
    })
}
