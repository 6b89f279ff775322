//! What functions answer
//!
//! A status of 100 or more is a failure; treat one that you do not know so, too. No number is ever
//! reused. Of a send that failed the message is not stored, but for two: OUTCOME_UNKNOWN, when the
//! server's answer did not come (with the same id, from the receipt or libchat_error_id, it can be
//! sent again: the server drops the copy), and PANIC, after which the object is of no more use. A
//! connection that was made reconnects by itself after DISCONNECTED.

use std::ffi::{CStr, c_char};

use libchat::ErrorKind;

/// What a function answers.
pub type libchat_status = i32;

/// Done.
pub const LIBCHAT_OK: libchat_status = 0;
/// No failure: nothing will ever follow.
pub const LIBCHAT_END: libchat_status = 1;
/// No failure: nothing came in time.
pub const LIBCHAT_EMPTY: libchat_status = 2;

/// Fix the call: an argument or option breaks its rule.
pub const LIBCHAT_ERR_INVALID_ARGUMENT: libchat_status = 100;
/// Fix the call: of another kind, or never issued.
pub const LIBCHAT_ERR_INVALID_HANDLE: libchat_status = 101;
/// Fix the order of calls: it does not fit the last.
pub const LIBCHAT_ERR_INVALID_STATE: libchat_status = 102;
/// Call it on a thread of yours: it waits for this one.
pub const LIBCHAT_ERR_WOULD_DEADLOCK: libchat_status = 103;
/// Call exec, or open nothing before a fork.
pub const LIBCHAT_ERR_FORKED: libchat_status = 104;
/// Leave the option out: this library knows it not.
pub const LIBCHAT_ERR_UNSUPPORTED: libchat_status = 105;
/// Try after a completion: nothing was taken.
pub const LIBCHAT_ERR_BUSY: libchat_status = 106;
/// Look at the machine: it refused a file or thread.
pub const LIBCHAT_ERR_SYSTEM: libchat_status = 107;

/// Try again: of a send, nothing was sent.
pub const LIBCHAT_ERR_TIMEOUT: libchat_status = 200;
/// Try again, or check the address: no server.
pub const LIBCHAT_ERR_DISCONNECTED: libchat_status = 201;
/// Open a new one: this was closed.
pub const LIBCHAT_ERR_CLOSED: libchat_status = 202;
/// Ask the operator for the right it names.
pub const LIBCHAT_ERR_UNAUTHORIZED: libchat_status = 203;
/// Try later: nobody listens there.
pub const LIBCHAT_ERR_NO_RESPONDERS: libchat_status = 204;
/// Send again with the same id: it may be stored.
pub const LIBCHAT_ERR_OUTCOME_UNKNOWN: libchat_status = 205;
/// See remote_code: the handler failed, and said so.
pub const LIBCHAT_ERR_REMOTE: libchat_status = 206;
/// You cancelled it; nothing was stored.
pub const LIBCHAT_ERR_CANCELLED: libchat_status = 207;

/// Check the name: no such stream or message.
pub const LIBCHAT_ERR_NOT_FOUND: libchat_status = 300;
/// Look at what is there: it is not what was expected.
pub const LIBCHAT_ERR_CONFLICT: libchat_status = 301;
/// Send less: the limit of the server is smaller.
pub const LIBCHAT_ERR_TOO_LARGE: libchat_status = 302;
/// Close watches, or open with max_subscribers.
pub const LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS: libchat_status = 303;
/// Read the message: any other answer of the server.
pub const LIBCHAT_ERR_SERVER: libchat_status = 304;

/// Report it: a bug in libchat.
pub const LIBCHAT_ERR_PANIC: libchat_status = 900;

/// The name of a status, as "OUTCOME_UNKNOWN"; "?" for one that this library does not know. It
/// lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn libchat_status_name(status: libchat_status) -> *const c_char {
    name(status).as_ptr()
}

fn name(status: libchat_status) -> &'static CStr {
    match status {
        LIBCHAT_OK => c"OK",
        LIBCHAT_END => c"END",
        LIBCHAT_EMPTY => c"EMPTY",
        LIBCHAT_ERR_INVALID_ARGUMENT => c"INVALID_ARGUMENT",
        LIBCHAT_ERR_INVALID_HANDLE => c"INVALID_HANDLE",
        LIBCHAT_ERR_INVALID_STATE => c"INVALID_STATE",
        LIBCHAT_ERR_WOULD_DEADLOCK => c"WOULD_DEADLOCK",
        LIBCHAT_ERR_FORKED => c"FORKED",
        LIBCHAT_ERR_UNSUPPORTED => c"UNSUPPORTED",
        LIBCHAT_ERR_BUSY => c"BUSY",
        LIBCHAT_ERR_SYSTEM => c"SYSTEM",
        LIBCHAT_ERR_TIMEOUT => c"TIMEOUT",
        LIBCHAT_ERR_DISCONNECTED => c"DISCONNECTED",
        LIBCHAT_ERR_CLOSED => c"CLOSED",
        LIBCHAT_ERR_UNAUTHORIZED => c"UNAUTHORIZED",
        LIBCHAT_ERR_NO_RESPONDERS => c"NO_RESPONDERS",
        LIBCHAT_ERR_OUTCOME_UNKNOWN => c"OUTCOME_UNKNOWN",
        LIBCHAT_ERR_REMOTE => c"REMOTE",
        LIBCHAT_ERR_CANCELLED => c"CANCELLED",
        LIBCHAT_ERR_NOT_FOUND => c"NOT_FOUND",
        LIBCHAT_ERR_CONFLICT => c"CONFLICT",
        LIBCHAT_ERR_TOO_LARGE => c"TOO_LARGE",
        LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS => c"TOO_MANY_SUBSCRIBERS",
        LIBCHAT_ERR_SERVER => c"SERVER",
        LIBCHAT_ERR_PANIC => c"PANIC",
        _ => c"?",
    }
}

pub(crate) fn of(kind: ErrorKind) -> libchat_status {
    match kind {
        ErrorKind::InvalidArgument => LIBCHAT_ERR_INVALID_ARGUMENT,
        ErrorKind::InvalidState => LIBCHAT_ERR_INVALID_STATE,
        ErrorKind::System => LIBCHAT_ERR_SYSTEM,
        ErrorKind::Timeout => LIBCHAT_ERR_TIMEOUT,
        ErrorKind::Disconnected => LIBCHAT_ERR_DISCONNECTED,
        ErrorKind::Closed => LIBCHAT_ERR_CLOSED,
        ErrorKind::Unauthorized => LIBCHAT_ERR_UNAUTHORIZED,
        ErrorKind::NoResponders => LIBCHAT_ERR_NO_RESPONDERS,
        ErrorKind::OutcomeUnknown => LIBCHAT_ERR_OUTCOME_UNKNOWN,
        ErrorKind::Remote => LIBCHAT_ERR_REMOTE,
        ErrorKind::Cancelled => LIBCHAT_ERR_CANCELLED,
        ErrorKind::NotFound => LIBCHAT_ERR_NOT_FOUND,
        ErrorKind::Conflict => LIBCHAT_ERR_CONFLICT,
        ErrorKind::TooLarge => LIBCHAT_ERR_TOO_LARGE,
        ErrorKind::TooManySubscribers => LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS,
        ErrorKind::Server => LIBCHAT_ERR_SERVER,
        // ErrorKind may grow in core; the test below fails until it has a status of its own.
        _ => LIBCHAT_ERR_PANIC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_of_its_own_under_the_same_name() {
        for kind in ErrorKind::ALL {
            let name = name(of(*kind)).to_str().expect("ASCII");
            assert_eq!(name, kind.code().to_uppercase());
        }
    }
}
