//! Figures

use crate::boundary::boundary;
use crate::error::libchat_error;
use crate::manager::{Manager, libchat_manager};
use crate::read::{Options, blank_out, struct_out};
use crate::status::*;

/// What a manager has counted since it was opened.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_stats {
    /// LIBCHAT_INIT sets it; what fits is filled.
    pub struct_size: usize,
    /// Messages stored.
    pub sent: u64,
    /// Repeated under the same id, for want of an answer.
    pub resent: u64,
    /// Answers saying that a message was stored already.
    pub duplicates: u64,
    /// Messages handed to watches.
    pub delivered: u64,
    /// Stored payloads that are no message.
    pub malformed: u64,
    /// GAP events.
    pub gaps: u64,
    /// RESET events.
    pub resets: u64,
    /// Times a watch was too slow for the live tail.
    pub detaches: u64,
    /// Times the live tail was opened again after a fault.
    pub reopens: u64,
    /// Times the connection was made again.
    pub reconnects: u64,
    /// Watches that are live now.
    pub watches: u64,
    /// Bytes queued now for all watches of the connection.
    pub buffered_bytes: u64,
    /// 1: the connection is up now.
    pub connected: u32,
    /// 1: no consumer to spare; the tail asks by turns.
    pub polling: u32,
}

// SAFETY: plain numbers without padding, the size first.
unsafe impl Options for libchat_stats {}

/// Fills `out` with the figures of now. `out->struct_size` must be set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_manager_stats(
    manager: libchat_manager,
    out: *mut libchat_stats,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        let size = blank_out(out);
        boundary(err, || {
            let figures = figures(&*Manager::of(manager)?);
            Ok(struct_out(out, size?, figures))
        })
    }
}

fn figures(manager: &Manager) -> libchat_stats {
    let stats = manager.core().stats();
    libchat_stats {
        struct_size: 0,
        sent: stats.sent,
        resent: stats.resent,
        duplicates: stats.duplicates,
        delivered: stats.delivered,
        malformed: stats.malformed,
        gaps: stats.gaps,
        resets: stats.resets,
        detaches: stats.detaches,
        reopens: stats.reopens,
        reconnects: stats.reconnects,
        watches: stats.watches,
        buffered_bytes: stats.buffered_bytes,
        connected: stats.connected.into(),
        polling: stats.polling.into(),
    }
}
