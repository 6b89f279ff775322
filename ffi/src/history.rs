//! History

use std::ffi::c_char;

use libchat::HistoryOptions;

use crate::boundary::boundary_out;
use crate::cancel::{cancel_in, libchat_cancel};
use crate::error::{Failure, libchat_error};
use crate::events::{Events, libchat_events};
use crate::manager::{Manager, libchat_manager};
use crate::message::libchat_cursor;
use crate::read::{Options, count_in, flags_in, options_in, text_in, timeout_in};
use crate::send::{LIBCHAT_BY_SHORT, thread_in};
use crate::status::*;
use crate::watch::{LIBCHAT_START_ALL, LIBCHAT_START_LAST, LIBCHAT_START_NEW};
use crate::watch::{libchat_start, start_in};

/// How much of the past to read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_history_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// For LIBCHAT_START_AFTER, and LIBCHAT_START_LAST.
    pub cursor: libchat_cursor,
    /// For LIBCHAT_START_TIME: Unix nanoseconds.
    pub time_ns: i64,
    /// Bound on the bodies, in bytes, but 1 is read; 0 is none.
    pub max_bytes: u64,
    /// Ends the call.
    pub cancel: libchat_cancel,
    /// 0 is LIBCHAT_START_ALL here.
    pub start: libchat_start,
    /// At most so many messages; 0 is 1000.
    pub limit: u32,
    /// How long the whole call may take; 0 is 30000.
    pub timeout_ms: u32,
    /// LIBCHAT_BY_SHORT.
    pub flags: u32,
}

// SAFETY: plain data without padding, the size first.
unsafe impl Options for libchat_history_options {}

/// Reads past messages of a thread, oldest first, up to the stream's end as it is at the call: a
/// list of MESSAGE and GAP events, to be released.
///
/// `options`  NULL for the defaults: the oldest 1,000
///
/// libchat_events_truncated says whether there is more.
///
/// Fails with CONFLICT when the cursor is another stream's, or the stream is made anew meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_history(
    manager: libchat_manager,
    thread: *const c_char,
    options: *const libchat_history_options,
    out: *mut *const libchat_events,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let manager = Manager::of(manager)?;
            let thread = text_in("thread", thread)?.to_owned();
            let options = options_in(options)?;
            let cancel = cancel_in(options.cancel)?;
            let read = history_options(&options)?;
            let by_short = options.flags & LIBCHAT_BY_SHORT != 0;
            let core = manager.core().clone();
            let history = manager.run(cancel, async move {
                core.history(thread_in(&thread, by_short)?, read).await
            })?;
            out.set(Events::of_history(history).into_raw());
            Ok(LIBCHAT_OK)
        })
    }
}

fn history_options(options: &libchat_history_options) -> Result<HistoryOptions, Failure> {
    flags_in(options.flags, LIBCHAT_BY_SHORT)?;
    let mut read = HistoryOptions::default();
    if options.limit != 0 {
        read.limit = count_in(options.limit);
    }
    let start = if options.start == LIBCHAT_START_NEW { LIBCHAT_START_ALL } else { options.start };
    let last = u64::try_from(read.limit).unwrap_or(u64::MAX);
    read.start = start_in(start, options.cursor, options.time_ns, last)?;
    if start == LIBCHAT_START_LAST && options.cursor != libchat_cursor::default() {
        read.before = Some(options.cursor.into());
    }
    if options.max_bytes != 0 {
        read.max_bytes = Some(count_in(options.max_bytes));
    }
    read.timeout = timeout_in(options.timeout_ms).unwrap_or(read.timeout);
    Ok(read)
}
