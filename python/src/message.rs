//! Messages, receipts and requests.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use libchat::{Headers, Short};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDateTime, PyDict, PyMappingProxy, PyTuple, PyType};
use time::OffsetDateTime;

use crate::convert::{
    Fields, Instant, Payload, Text, headers_dict, headers_out, time_out, time_text,
};
use crate::cursor::{Cursor, CursorIn};
use crate::error::{self, invalid};
use crate::value::value;

/// A stored message.
#[pyclass(frozen, eq, hash, module = "libchat")]
pub(crate) struct Message(Arc<libchat::Message>);

impl Message {
    pub(crate) fn new(core: Arc<libchat::Message>) -> Message {
        Message(core)
    }

    pub(crate) fn core(&self) -> &libchat::Message {
        &self.0
    }

    fn time_ns(&self) -> i128 {
        self.0.time.unix_timestamp_nanos()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        // Of repeated header fields Python has the first.
        fn headers(it: &libchat::Message) -> Vec<(&str, &str)> {
            let mut fields: Vec<_> = it.headers.iter().collect();
            fields.dedup_by_key(|field| field.0);
            fields
        }
        fn rest(it: &libchat::Message) -> impl PartialEq {
            let id = (&it.id, &it.reply_to, it.cursor, it.sent_at, it.time);
            (id, &it.sender, &it.thread, it.short, &it.body)
        }
        let (ours, theirs) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || (rest(ours) == rest(theirs) && headers(ours) == headers(theirs))
    }
}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0.id, self.0.cursor).hash(state);
    }
}

#[pymethods]
impl Message {
    #[new]
    #[pyo3(signature = (*, id=None, sender=None, thread=None, short=None, body=None, reply_to=None,
                        sent_at=None, time=None, time_ns=None, cursor=None, headers=None))]
    #[pyo3(text_signature = "(*, id='', sender='', thread='', short='00000000', body='', \
                             reply_to=None, sent_at=None, time=None, time_ns=None, cursor=None, \
                             headers=None)")]
    #[expect(clippy::too_many_arguments, reason = "a message has so many fields")]
    fn py_new(
        py: Python<'_>,
        id: Option<Text>,
        sender: Option<Text>,
        thread: Option<Text>,
        short: Option<Text>,
        body: Option<Text>,
        reply_to: Option<Text>,
        sent_at: Option<Instant>,
        time: Option<Instant>,
        time_ns: Option<&Bound<'_, PyAny>>,
        cursor: Option<CursorIn>,
        headers: Option<Fields>,
    ) -> PyResult<Message> {
        let text = |text: Option<Text>| text.map(|text| text.0).unwrap_or_default();
        let time = time.map_or(OffsetDateTime::UNIX_EPOCH, |time| time.0);
        let time = time_ns.map_or(Ok(time), exact_time)?;
        let mut message =
            libchat::Message::new(short_in(py, short)?, &text(sender), &text(body), time);
        message.id = text(id);
        message.thread = Some(text(thread)).filter(|name| !name.is_empty());
        message.reply_to = reply_to.map(|id| id.0);
        message.sent_at = sent_at.map_or(time, |sent_at| sent_at.0);
        message.cursor = cursor.map(|cursor| cursor.0.0).unwrap_or_default();
        message.headers = headers.map(|fields| fields.0).unwrap_or_default().into_iter().collect();
        Ok(Message(Arc::new(message)))
    }

    /// The sender's id of this message: 32 hex digits unless the sender chose one.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// Who wrote it, as the sender says; nothing proves it.
    #[getter]
    fn sender(&self) -> &str {
        &self.0.sender
    }

    /// The thread's name; "" if the sender did not store it, or it is not the name of `short`.
    #[getter]
    fn thread(&self) -> &str {
        self.0.thread.as_deref().unwrap_or_default()
    }

    /// The thread's 8 hex digits, from the subject it was stored under.
    #[getter]
    fn short(&self) -> &str {
        self.0.short.as_str()
    }

    /// The text.
    #[getter]
    fn body(&self) -> &str {
        &self.0.body
    }

    /// The id of the message this one answers.
    #[getter]
    fn reply_to(&self) -> Option<&str> {
        self.0.reply_to.as_deref()
    }

    /// The sender's clock when it was sent, UTC, to the microsecond.
    #[getter]
    fn sent_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        time_out(py, self.0.sent_at)
    }

    /// The server's clock when it was stored, UTC, to the microsecond.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        time_out(py, self.0.time)
    }

    /// The same in Unix nanoseconds, exactly.
    #[getter(time_ns)]
    fn py_time_ns(&self) -> i128 {
        self.time_ns()
    }

    /// Its place in the stream: resume from here to get what follows.
    #[getter]
    fn cursor(&self) -> Cursor {
        Cursor(self.0.cursor)
    }

    /// Header fields, `traceparent` among them where the sender gave one.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
        headers_out(py, &self.0.headers)
    }

    /// The message as `libchat read --json` prints it: times RFC 3339, the cursor as text.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("id", &self.0.id)?;
        dict.set_item("sender", &self.0.sender)?;
        dict.set_item("thread", self.thread())?;
        dict.set_item("short", self.short())?;
        dict.set_item("body", &self.0.body)?;
        dict.set_item("reply_to", self.reply_to())?;
        dict.set_item("sent_at", time_text(self.0.sent_at))?;
        dict.set_item("time", time_text(self.0.time))?;
        dict.set_item("time_ns", self.time_ns())?;
        dict.set_item("cursor", self.0.cursor.to_string())?;
        dict.set_item("headers", headers_dict(py, &self.0.headers)?)?;
        Ok(dict)
    }
}
value!(Message: "id", "sender", "thread", "short", "body", "reply_to", "sent_at", "time", "cursor",
                "headers");

/// An instant given in nanoseconds.
fn exact_time(ns: &Bound<'_, PyAny>) -> PyResult<OffsetDateTime> {
    let exact = ns.extract::<i128>().map(OffsetDateTime::from_unix_timestamp_nanos);
    match exact {
        Ok(Ok(time)) => Ok(time),
        Err(error) if !error.is_instance_of::<PyOverflowError>(ns.py()) => Err(error),
        _ => Err(invalid(ns.py(), &format!("time_ns {ns}: not between the years 0 and 9999"), "")),
    }
}

/// A thread's short for a value that is built by hand.
pub(crate) fn short_in(py: Python<'_>, short: Option<Text>) -> PyResult<Short> {
    let text = short.map_or("00000000".into(), |short| short.0);
    text.parse().map_err(|cause| error::raise(py, &cause))
}

/// Proof that a message is stored.
#[pyclass(frozen, eq, hash, get_all, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Receipt {
    /// The message's id: the caller's, or the one drawn for it.
    id: String,
    /// Where it is stored; None if this agent may not read the stream's information.
    cursor: Option<Cursor>,
    /// It was stored before, under the same id; the cursor is the first copy's.
    duplicate: bool,
}

impl From<libchat::Receipt> for Receipt {
    fn from(receipt: libchat::Receipt) -> Receipt {
        let libchat::Receipt { id, cursor, duplicate, .. } = receipt;
        Receipt { id, cursor: cursor.map(Cursor), duplicate }
    }
}

#[pymethods]
impl Receipt {
    #[new]
    #[pyo3(signature = (id, cursor=None, duplicate=false))]
    fn new(id: Text, cursor: Option<CursorIn>, duplicate: bool) -> Receipt {
        Receipt { id: id.0, cursor: cursor.map(|cursor| cursor.0), duplicate }
    }

    /// The receipt as `libchat send --json` prints it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("id", &self.id)?;
        dict.set_item("cursor", self.cursor.map(|cursor| cursor.to_string()))?;
        dict.set_item("duplicate", self.duplicate)?;
        Ok(dict)
    }
}
value!(Receipt: "id", "cursor", "duplicate");

/// What a handler is asked.
#[pyclass(frozen, eq, module = "libchat")]
#[derive(PartialEq)]
pub(crate) struct Request {
    subject: String,
    payload: Vec<u8>,
    headers: Headers,
}

impl From<&libchat::Request> for Request {
    fn from(request: &libchat::Request) -> Request {
        Request {
            subject: request.subject().to_owned(),
            payload: request.payload().to_owned(),
            headers: request.headers().clone(),
        }
    }
}

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (subject, payload=None, headers=None))]
    #[pyo3(text_signature = "(subject, payload=b'', headers=None)")]
    fn new(subject: Text, payload: Option<Payload>, headers: Option<Fields>) -> Request {
        let fields = headers.map(|fields| fields.0).unwrap_or_default();
        Request {
            subject: subject.0,
            payload: payload.map(|payload| payload.0).unwrap_or_default(),
            headers: fields.into_iter().collect(),
        }
    }

    /// The subject it came on.
    #[getter]
    fn subject(&self) -> &str {
        &self.subject
    }

    /// What is asked: any bytes.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.payload)
    }

    /// Header fields, `traceparent` among them where the sender gave one.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
        headers_out(py, &self.headers)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.subject, &self.payload).hash(&mut hasher);
        hasher.finish()
    }

    /// The request as a dict of its fields.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("subject", &self.subject)?;
        dict.set_item("payload", PyBytes::new(py, &self.payload))?;
        dict.set_item("headers", headers_dict(py, &self.headers)?)?;
        Ok(dict)
    }
}
value!(Request: "subject", "payload", "headers");
