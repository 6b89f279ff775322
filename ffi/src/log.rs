//! Log

use std::ffi::{c_char, c_void};

use libchat::bridge::{LogSink, set_log};

use crate::boundary::boundary;
use crate::bytes::{c_text, libchat_bytes};
use crate::status::*;

/// Takes one line of the log. `level` is 1 for errors, 2 for warnings, 3 for what is worth knowing,
/// 4 and 5 for whoever looks for a fault; `target` says which part of libchat speaks. Both texts
/// end with the call. It runs on any thread, perhaps under a lock of libchat: it must return soon,
/// and every function that has a status answers WOULD_DEADLOCK in it.
pub type libchat_log_fn = Option<
    unsafe extern "C" fn(
        level: i32,
        target: *const c_char,
        text: libchat_bytes,
        user_data: *mut c_void,
    ),
>;

/// Has the log written by `log`, up to `level_max` (1 to 5); NULL ends it, as it is at the start.
/// For the whole process. When it returns, the function set before runs no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_set_log(
    log: libchat_log_fn,
    user_data: *mut c_void,
    level_max: i32,
) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(std::ptr::null_mut(), || {
            let sink = log.map(|log| Host { log, user_data }.into_sink());
            set_log(u8::try_from(level_max.clamp(0, 5)).unwrap_or_default(), sink);
            Ok(LIBCHAT_OK)
        })
    }
}

/// The host's function.
struct Host {
    log: unsafe extern "C" fn(i32, *const c_char, libchat_bytes, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the header says that it is called on any thread; the pointer is only handed back.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn into_sink(self) -> LogSink {
        Box::new(move |level, target, text| self.write(level, target, text))
    }

    fn write(&self, level: u8, target: &str, text: &str) {
        let (target, text) = (c_text(target), c_text(text));
        let bytes = libchat_bytes { data: text.as_ptr().cast(), len: text.as_bytes().len() };
        // SAFETY: the host gave it for this, and both texts live until it returns.
        unsafe { (self.log)(level.into(), target.as_ptr(), bytes, self.user_data) };
    }
}
