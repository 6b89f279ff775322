//! Cancel tokens
//!
//! A token in the options of a call ends that call when it is fired, from any thread: the call
//! answers CANCELLED, a send that was written already OUTCOME_UNKNOWN. One token may be given to
//! any number of calls; it stays fired.

use std::sync::Arc;

use libchat::{Cancel, bridge};

use crate::boundary::{boundary, boundary_out};
use crate::error::{Failure, libchat_error};
use crate::handles::Table;
use crate::status::*;

/// A cancel token; 0 in options is none.
pub type libchat_cancel = u64;

static CANCELS: Table<(u64, Cancel)> = Table::new(5);

/// Makes a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_cancel_new(
    out: *mut libchat_cancel,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            bridge::claim_process();
            let token = CANCELS.insert(|handle| Arc::new((handle, Cancel::new())))?;
            out.set(token.0);
            Ok(LIBCHAT_OK)
        })
    }
}

/// Ends every call that was given this token, and those that will be.
#[unsafe(no_mangle)]
pub extern "C" fn libchat_cancel_fire(cancel: libchat_cancel) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(std::ptr::null_mut(), || {
            CANCELS.get(cancel)?.1.fire();
            Ok(LIBCHAT_OK)
        })
    }
}

/// Gives a token back; calls that have it go on.
#[unsafe(no_mangle)]
pub extern "C" fn libchat_cancel_close(cancel: libchat_cancel) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(std::ptr::null_mut(), || {
            if cancel != 0 {
                CANCELS.remove(cancel)?;
            }
            Ok(LIBCHAT_OK)
        })
    }
}

/// The token of an option.
pub(crate) fn cancel_in(cancel: libchat_cancel) -> Result<Option<Cancel>, Failure> {
    match cancel {
        0 => Ok(None),
        handle => Ok(Some(CANCELS.get(handle)?.1.clone())),
    }
}
