//! Errors
//!
//! Every function that can fail for more than one reason has a last argument `err`. It may be NULL;
//! else it is always written: NULL, or an error that is yours to free. The functions here take NULL
//! and answer as if there were nothing to say. What they return lives as long as the error.

use std::ffi::{CStr, CString, c_char};
use std::fmt;

use libchat::Error;
use libchat::bridge::Broken;

use crate::bytes::c_text;
use crate::status::*;

/// Why a call failed.
#[derive(Clone)]
pub struct libchat_error {
    status: libchat_status,
    message: CString,
    hint: CString,
    id: CString,
    remote_code: CString,
    server_code: u32,
    retryable: bool,
}

/// The status that the function answered, or LIBCHAT_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_code(error: *const libchat_error) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { error.as_ref() }.map_or(LIBCHAT_OK, |error| error.status)
}

/// What was tried, on what, and why it failed: one line, for people. It holds no message body and
/// no secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_message(error: *const libchat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { text(error, |error| &error.message) }
}

/// What to do about it, or "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_hint(error: *const libchat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { text(error, |error| &error.hint) }
}

/// The id of the message that a failed send was about, to send it again with; or "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_id(error: *const libchat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { text(error, |error| &error.id) }
}

/// LIBCHAT_ERR_REMOTE: the code that the handler gave (libchat_request_fail); else "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_remote_code(error: *const libchat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { text(error, |error| &error.remote_code) }
}

/// The err_code of the server's answer, as NATS documents them for JetStream; or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_server_code(error: *const libchat_error) -> u32 {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { error.as_ref() }.map_or(0, |error| error.server_code)
}

/// Whether the same call may succeed later, and repeating it can do no harm: OUTCOME_UNKNOWN only
/// if you gave the id, since a repeated call would otherwise draw a fresh one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_is_retryable(error: *const libchat_error) -> bool {
    // SAFETY: the caller keeps the header's rules for `error`.
    unsafe { error.as_ref() }.is_some_and(|error| error.retryable)
}

/// Frees an error. Those that a callback is given are not yours: the library frees them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_error_free(error: *mut libchat_error) {
    if !error.is_null() {
        // SAFETY: it came from `Failure::into_raw`, and the caller frees it once.
        drop(unsafe { Box::from_raw(error) });
    }
}

unsafe fn text(
    error: *const libchat_error,
    field: impl FnOnce(&libchat_error) -> &CString,
) -> *const c_char {
    // SAFETY: passed on from the caller.
    unsafe { error.as_ref() }.map_or(c"", |error| field(error).as_c_str()).as_ptr()
}

/// A failure on its way to the caller.
#[derive(Clone)]
pub(crate) struct Failure(Box<libchat_error>);

impl Failure {
    pub(crate) fn new(status: libchat_status, text: &str) -> Failure {
        Failure(Box::new(libchat_error {
            status,
            message: c_text(text),
            hint: CString::default(),
            id: CString::default(),
            remote_code: CString::default(),
            server_code: 0,
            retryable: status == LIBCHAT_ERR_BUSY,
        }))
    }

    pub(crate) fn invalid(text: &str) -> Failure {
        Failure::new(LIBCHAT_ERR_INVALID_ARGUMENT, text)
    }

    pub(crate) fn closed(text: &str) -> Failure {
        Failure::new(LIBCHAT_ERR_CLOSED, text)
    }

    pub(crate) fn panicked() -> Failure {
        Failure::new(LIBCHAT_ERR_PANIC, "a bug in libchat: it panicked")
            .hint("report it, with what was written to standard error")
    }

    pub(crate) fn hint(mut self, hint: &str) -> Failure {
        self.0.hint = c_text(hint);
        self
    }

    /// Marks it with the message it is about, where it has no mark yet.
    pub(crate) fn about(mut self, id: &CStr) -> Failure {
        if self.0.id.is_empty() {
            self.0.id = id.into();
        }
        self
    }

    pub(crate) fn status(&self) -> libchat_status {
        self.0.status
    }

    pub(crate) fn id(&self) -> &CStr {
        &self.0.id
    }

    pub(crate) fn as_ptr(&self) -> *const libchat_error {
        &*self.0
    }

    /// Gives it to the caller, who frees it.
    pub(crate) fn into_raw(self) -> *mut libchat_error {
        Box::into_raw(self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0.status, self.0.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let optional = |text: Option<&str>| text.map(c_text).unwrap_or_default();
        Failure(Box::new(libchat_error {
            status: of(error.kind()),
            message: c_text(&format!("{error:#}")),
            hint: optional(error.hint_text()),
            id: optional(error.id()),
            remote_code: optional(error.remote_code()),
            server_code: error.server_code().unwrap_or(0),
            retryable: error.is_retryable(),
        }))
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Failure {
        match broken {
            Broken::Panicked => Failure::panicked(),
            Broken::Ended => Failure::closed("the connection is closed"),
            Broken::OwnThread => Failure::new(
                LIBCHAT_ERR_WOULD_DEADLOCK,
                "this call waits, which a thread of the network must not",
            ),
        }
    }
}
