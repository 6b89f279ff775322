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

#[cfg(test)]
mod tests {
    use super::*;

    /// All that C is told about an error.
    fn seen(error: *const libchat_error) -> (libchat_status, [String; 4], u32, bool) {
        let accessors = [
            libchat_error_message,
            libchat_error_hint,
            libchat_error_id,
            libchat_error_remote_code,
        ];
        // SAFETY: NULL or alive; what it returns is NUL-terminated.
        unsafe {
            let text = |of: unsafe extern "C" fn(*const libchat_error) -> *const c_char| -> String {
                CStr::from_ptr(of(error)).to_str().expect("UTF-8").to_owned()
            };
            let (server_code, retryable) =
                (libchat_error_server_code(error), libchat_error_is_retryable(error));
            (libchat_error_code(error), accessors.map(text), server_code, retryable)
        }
    }

    fn check(failure: Failure, status: libchat_status, texts: [&str; 4], code: u32, again: bool) {
        let expected = (status, texts.map(str::to_owned), code, again);
        assert_eq!(seen(failure.as_ptr()), expected, "lent");
        let error = failure.into_raw();
        assert_eq!(seen(error), expected, "given");
        // SAFETY: just given.
        unsafe { libchat_error_free(error) };
    }

    #[test]
    fn an_error_says_what_its_failure_was_given() {
        let plain = Failure::invalid("max: 0");
        check(plain, LIBCHAT_ERR_INVALID_ARGUMENT, ["max: 0", "", "", ""], 0, false);
        let hinted = Failure::closed("a\0b").hint("again").about(c"id").about(c"other");
        check(hinted.clone(), LIBCHAT_ERR_CLOSED, ["a\u{FFFD}b", "again", "id", ""], 0, false);
        drop(hinted);
        let Failure(mut full) = Failure::new(LIBCHAT_ERR_REMOTE, "ask");
        (full.remote_code, full.server_code, full.retryable) = (c"busy".into(), 10_071, true);
        check(Failure(full), LIBCHAT_ERR_REMOTE, ["ask", "", "", "busy"], 10_071, true);
    }

    #[test]
    fn an_error_of_core_comes_whole() {
        let error = "c1".parse::<libchat::Cursor>().expect_err("no cursor");
        let (text, hint) = (error.to_string(), error.hint_text().unwrap_or_default().to_owned());
        let status = LIBCHAT_ERR_INVALID_ARGUMENT;
        check(error.into(), status, [&text, &hint, "", ""], 0, false);
    }

    #[test]
    fn no_error_has_nothing_to_say() {
        assert_eq!(seen(std::ptr::null()), (LIBCHAT_OK, Default::default(), 0, false));
        // SAFETY: NULL.
        unsafe { libchat_error_free(std::ptr::null_mut()) };
    }
}
