//! The core's errors as Python's exceptions, which libchat/errors.py defines.

use libchat::bridge::Broken;
use libchat::{Error, ErrorKind};
use pyo3::intern;
use pyo3::prelude::*;

use crate::wait::call_python;

/// The class for a kind.
fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "InvalidArgument",
        ErrorKind::InvalidState => "InvalidState",
        ErrorKind::System => "System",
        ErrorKind::Timeout => "Timeout",
        ErrorKind::Disconnected => "Disconnected",
        ErrorKind::Closed => "Closed",
        ErrorKind::Unauthorized => "Unauthorized",
        ErrorKind::NoResponders => "NoResponders",
        ErrorKind::OutcomeUnknown => "OutcomeUnknown",
        ErrorKind::Remote => "Remote",
        ErrorKind::NotFound => "NotFound",
        ErrorKind::Conflict => "Conflict",
        ErrorKind::TooLarge => "TooLarge",
        ErrorKind::TooManySubscribers => "TooManySubscribers",
        ErrorKind::Server => "Server",
        // Python's own ways to give up a call leave nobody to tell; another kind is a bug of ours.
        _ => "Bug",
    }
}

/// Every kind's code with its class, for the test that walks them.
#[pyfunction]
pub(crate) fn _classes() -> Vec<(&'static str, &'static str)> {
    ErrorKind::ALL.iter().map(|kind| (kind.code(), class(*kind))).collect()
}

/// The exception for `error`.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let text = format!("{error:#}");
    let remote = error.remote_code().filter(|_| error.kind() == ErrorKind::Remote);
    let made = match remote {
        Some(code) => new(py, class(error.kind()), (code, text)),
        None => new(py, class(error.kind()), (text,)),
    };
    let set = |exception: Bound<'_, PyAny>| {
        exception.setattr(intern!(py, "retryable"), error.is_retryable())?;
        if let Some(id) = error.id() {
            exception.setattr(intern!(py, "id"), id)?;
        }
        if let Some(code) = error.server_code() {
            exception.setattr(intern!(py, "server_code"), code)?;
        }
        with_hint(exception, error.hint_text())
    };
    made.and_then(set).unwrap_or_else(|error| error)
}

/// An argument that breaks its rule.
pub(crate) fn invalid(py: Python<'_>, text: &str, hint: &str) -> PyErr {
    raise_as(py, "InvalidArgument", text, Some(hint).filter(|hint| !hint.is_empty()))
}

/// A call in a process that was forked from one that had opened something.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    let text = "this process was forked from one that had opened something";
    let hint = "open nothing before the fork, or start processes by `spawn`, as \
                multiprocessing.set_start_method(\"spawn\") does";
    raise_as(py, "Forked", text, Some(hint))
}

/// A call without a result of its own.
pub(crate) fn broken(py: Python<'_>, broken: Broken) -> PyErr {
    let text = match broken {
        Broken::Panicked => "a bug of libchat: the call panicked; what it had to do may be done",
        Broken::OwnThread => "a bug of libchat: the network's thread was to wait for itself",
        Broken::Ended => "a bug of libchat: the network's thread has ended",
    };
    raise_as(py, "Bug", text, Some("report it, with what standard error shows"))
}

fn raise_as(py: Python<'_>, class: &str, text: &str, hint: Option<&str>) -> PyErr {
    new(py, class, (text,)).and_then(|it| with_hint(it, hint)).unwrap_or_else(|error| error)
}

fn new<'py>(
    py: Python<'py>,
    class: &str,
    args: impl pyo3::call::PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    call_python(py, || py.import(intern!(py, "libchat.errors"))?.getattr(class)?.call1(args))
}

/// The hint as an attribute, and as a note, so that a traceback shows it.
fn with_hint(exception: Bound<'_, PyAny>, hint: Option<&str>) -> PyResult<PyErr> {
    if let Some(hint) = hint {
        exception.setattr("hint", hint)?;
        exception.call_method1("add_note", (format!("hint: {hint}"),))?;
    }
    Ok(PyErr::from_value(exception))
}
