//! Python's own types in and out: texts, times, numbers, headers.

use std::time::Duration;

use libchat::Headers;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyDateTime, PyDelta, PyDict, PyMapping, PyMappingProxy, PyString, PyTzInfo,
};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{OffsetDateTime, UtcDateTime, UtcOffset};

use crate::error::invalid;

/// Text that can be written as UTF-8.
pub(crate) struct Text(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Text> {
        Ok(Text(utf8(&*object.cast::<PyString>()?)?))
    }
}

pub(crate) fn utf8(text: &Bound<'_, PyString>) -> PyResult<String> {
    let hint = "it holds a lone surrogate: decode bytes by utf-8 with errors=\"replace\"";
    let invalid = |_| invalid(text.py(), "a text that cannot be written as UTF-8", hint);
    text.to_cow().map(|text| text.into_owned()).map_err(invalid)
}

/// A text, or any bytes; which of them a verb takes the core says.
pub(crate) struct Payload(pub(crate) Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Payload {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Payload> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Payload(utf8(&text)?.into_bytes()));
        }
        match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(Payload(bytes.as_bytes().to_vec())),
            Err(_) => Err(unexpected(&object, "str or bytes")),
        }
    }
}

pub(crate) fn unexpected(object: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    let text = match object.get_type().name() {
        Ok(found) => format!("expected {expected}, got {found}"),
        Err(error) => return error,
    };
    PyTypeError::new_err(text)
}

/// Seconds, or a timedelta.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl Seconds {
    pub(crate) const fn new(seconds: u64) -> Seconds {
        Seconds(Duration::from_secs(seconds))
    }
}

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Seconds> {
        let seconds = match object.extract::<f64>() {
            Ok(seconds) => seconds,
            Err(_) => match object.cast::<PyDelta>() {
                Ok(delta) => {
                    delta.call_method0(intern!(object.py(), "total_seconds"))?.extract()?
                }
                Err(_) => return Err(unexpected(&object, "seconds or a timedelta")),
            },
        };
        if seconds.is_nan() || seconds < 0.0 {
            return Err(invalid(
                object.py(),
                &format!("a time of {seconds} s: must be 0 or more"),
                "",
            ));
        }
        // More than can be counted is for ever.
        Ok(Seconds(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
    }
}

/// For the Python files: a timeout as any verb takes it, in seconds.
#[pyfunction]
pub(crate) fn _seconds(timeout: Seconds) -> f64 {
    timeout.0.as_secs_f64()
}

/// Header fields.
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl<'py> FromPyObject<'_, 'py> for Fields {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Fields> {
        let Ok(fields) = object.cast::<PyMapping>() else {
            return Err(unexpected(&object, "a mapping of header fields"));
        };
        let items = fields.items()?.into_iter();
        let text = |item: Bound<'py, PyAny>| {
            let (name, value) = item.extract::<(Text, Text)>()?;
            Ok((name.0, value.0))
        };
        Ok(Fields(items.map(text).collect::<PyResult<_>>()?))
    }
}

/// Header fields as a mapping that cannot be changed; of a name that stands there twice, the first
/// value.
pub(crate) fn headers_out<'py>(
    py: Python<'py>,
    headers: &Headers,
) -> PyResult<Bound<'py, PyMappingProxy>> {
    Ok(PyMappingProxy::new(py, headers_dict(py, headers)?.as_mapping()))
}

pub(crate) fn headers_dict<'py>(
    py: Python<'py>,
    headers: &Headers,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in headers.iter() {
        if !dict.contains(name)? {
            dict.set_item(name, value)?;
        }
    }
    Ok(dict)
}

/// The instant that an aware datetime names.
pub(crate) fn instant(time: &Bound<'_, PyDateTime>) -> PyResult<OffsetDateTime> {
    let py = time.py();
    if time.call_method0(intern!(py, "utcoffset"))?.is_none() {
        let text = format!("datetime {time}: without a time zone it names no instant");
        return Err(invalid(py, &text, "make it aware, as datetime.now(timezone.utc) is"));
    }
    let utc = time.call_method1(intern!(py, "astimezone"), (PyTzInfo::utc(py)?,))?;
    utc.extract()
}

/// An instant of a value that is built by hand: an aware datetime, or its RFC 3339 text.
pub(crate) struct Instant(pub(crate) OffsetDateTime);

impl<'py> FromPyObject<'_, 'py> for Instant {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Instant> {
        if let Ok(text) = object.cast::<PyString>() {
            let text = utf8(&text)?;
            return OffsetDateTime::parse(&text, &Rfc3339).map(Instant).map_err(|cause| {
                invalid(object.py(), &format!("time {text:?}: {cause}"), "it is read as RFC 3339")
            });
        }
        match object.cast::<PyDateTime>() {
            Ok(time) => Ok(Instant(instant(&time)?)),
            Err(_) => Err(unexpected(&object, "an aware datetime or its RFC 3339 text")),
        }
    }
}

/// An aware datetime in UTC. A sender's clock may show a year that Python has not: its first or
/// last moment then.
pub(crate) fn time_out<'py>(
    py: Python<'py>,
    time: OffsetDateTime,
) -> PyResult<Bound<'py, PyDateTime>> {
    let (first, last) = (datetime!(0001-01-01 0:00 UTC), datetime!(9999-12-31 23:59:59.999999 UTC));
    let time = match time.checked_to_offset(UtcOffset::UTC) {
        Some(utc) => utc.clamp(first, last),
        // Only at the end of what can be counted is there no UTC.
        None if time.year() > 0 => last,
        None => first,
    };
    UtcDateTime::from(time).into_pyobject(py)
}

/// RFC 3339, UTC, as the command line writes it.
pub(crate) fn time_text(time: OffsetDateTime) -> String {
    let utc = time.checked_to_offset(UtcOffset::UTC).unwrap_or(time);
    utc.format(&Rfc3339).unwrap_or_default()
}

/// A number of things, which the core may check further.
pub(crate) fn count(what: &str, object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let py = object.py();
    object.extract::<u64>().map_err(|error| {
        if !error.is_instance_of::<PyOverflowError>(py) {
            return PyTypeError::new_err(format!("{what}: {}", error.value(py)));
        }
        match object.lt(0) {
            Ok(true) => invalid(py, &format!("{what} {object}: must be 0 or more"), ""),
            Ok(false) => invalid(py, &format!("{what} {object}: must be below 2**64"), ""),
            Err(error) => error,
        }
    })
}

/// The same for what lies in memory.
pub(crate) fn size(what: &str, object: &Bound<'_, PyAny>) -> PyResult<usize> {
    // More than this machine can hold is no bound.
    count(what, object).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}
