//! Listings and pages of the past.

use libchat::Short;
use pyo3::PyTypeInfo;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyIterator, PyList, PyTuple, PyType};
use time::OffsetDateTime;

use crate::convert::{Instant, Text, count, time_out, time_text};
use crate::cursor::{Cursor, CursorIn};
use crate::event::Gap;
use crate::message::{Message, short_in};
use crate::value::{_build, value};

/// One thread of a listing. Every verb that takes a thread takes it.
#[pyclass(frozen, eq, hash, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct ThreadSummary {
    /// Its name; "" if the last message does not carry it.
    #[pyo3(get)]
    pub(crate) name: String,
    pub(crate) short: Short,
    last_activity: Option<OffsetDateTime>,
    /// How many messages are stored in it, malformed ones included.
    #[pyo3(get)]
    message_count: u64,
    /// Who wrote the last message; "" if the newest 33 payloads are malformed.
    #[pyo3(get)]
    last_sender: String,
    /// The last message's text.
    #[pyo3(get)]
    last_body: String,
    /// The place of the newest message, malformed or not.
    #[pyo3(get)]
    cursor: Cursor,
}

impl From<libchat::ThreadSummary> for ThreadSummary {
    fn from(thread: libchat::ThreadSummary) -> ThreadSummary {
        let last = thread.last.as_deref();
        ThreadSummary {
            name: thread.name.unwrap_or_default(),
            short: thread.short,
            last_activity: last.map(|last| last.time),
            message_count: thread.message_count,
            last_sender: last.map_or_else(String::new, |last| last.sender.clone()),
            last_body: last.map_or_else(String::new, |last| last.body.clone()),
            cursor: Cursor(thread.cursor),
        }
    }
}

#[pymethods]
impl ThreadSummary {
    #[new]
    #[pyo3(signature = (*, name=None, short=None, last_activity=None, message_count=None,
                        last_sender=None, last_body=None, cursor=None))]
    #[pyo3(text_signature = "(*, name='', short='00000000', last_activity=None, message_count=0, \
                             last_sender='', last_body='', cursor=None)")]
    #[expect(clippy::too_many_arguments, reason = "a summary has so many fields")]
    fn new(
        py: Python<'_>,
        name: Option<Text>,
        short: Option<Text>,
        last_activity: Option<Instant>,
        message_count: Option<&Bound<'_, PyAny>>,
        last_sender: Option<Text>,
        last_body: Option<Text>,
        cursor: Option<CursorIn>,
    ) -> PyResult<ThreadSummary> {
        let text = |text: Option<Text>| text.map(|text| text.0).unwrap_or_default();
        Ok(ThreadSummary {
            name: text(name),
            short: short_in(py, short)?,
            last_activity: last_activity.map(|time| time.0),
            message_count: message_count.map_or(Ok(0), |it| count("message_count", it))?,
            last_sender: text(last_sender),
            last_body: text(last_body),
            cursor: cursor.map_or(Cursor(Default::default()), |cursor| cursor.0),
        })
    }

    /// Its 8 hex digits.
    #[getter]
    fn short(&self) -> &str {
        self.short.as_str()
    }

    /// When the last message was stored, by the server's clock, UTC; None if the newest 33 payloads
    /// are malformed.
    #[getter]
    fn last_activity<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        self.last_activity.map(|time| time_out(py, time)).transpose()
    }

    /// The thread as `libchat threads --json` prints it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("name", &self.name)?;
        dict.set_item("short", self.short.as_str())?;
        dict.set_item("last_activity", self.last_activity.map(time_text))?;
        dict.set_item("message_count", self.message_count)?;
        dict.set_item("last_sender", &self.last_sender)?;
        dict.set_item("last_body", &self.last_body)?;
        dict.set_item("cursor", self.cursor.to_string())?;
        Ok(dict)
    }
}
value!(ThreadSummary: "name", "short", "last_activity", "message_count", "last_sender", "last_body",
                      "cursor");

/// Past messages, oldest first: a sequence that also says where it ended and what was missing.
#[pyclass(frozen, sequence, module = "libchat")]
pub(crate) struct History {
    messages: Py<PyTuple>,
    /// A bound was reached before the end: go on from `next`.
    #[pyo3(get)]
    truncated: bool,
    /// Where this page ended: pass it as `start` to go on, now or later.
    #[pyo3(get)]
    next: Cursor,
    /// What expired or was purged while it was read.
    #[pyo3(get)]
    gaps: Py<PyTuple>,
    /// How many stored payloads were no message.
    #[pyo3(get)]
    malformed: u64,
}

pub(crate) fn history_out(py: Python<'_>, history: libchat::History) -> PyResult<History> {
    let messages = history.messages.into_iter().map(Message::new);
    let gaps = history.gaps.into_iter();
    let gaps = gaps.map(|(after, until)| Gap { after: Cursor(after), until: Cursor(until) });
    Ok(History {
        messages: PyTuple::new(py, messages.collect::<Vec<_>>())?.unbind(),
        truncated: history.truncated,
        next: Cursor(history.next),
        gaps: PyTuple::new(py, gaps.collect::<Vec<_>>())?.unbind(),
        malformed: history.malformed,
    })
}

#[pymethods]
impl History {
    #[new]
    #[pyo3(signature = (messages, truncated=false, next=None, gaps=None, malformed=None))]
    #[pyo3(text_signature = "(messages, truncated=False, next=None, gaps=(), malformed=0)")]
    fn new(
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        truncated: bool,
        next: Option<CursorIn>,
        gaps: Option<&Bound<'_, PyAny>>,
        malformed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<History> {
        let messages = all_of::<Message>(messages)?;
        let gaps = gaps.map_or_else(|| Ok(PyTuple::empty(py)), all_of::<Gap>)?;
        let next = next.map_or(Cursor(Default::default()), |next| next.0);
        let malformed = malformed.map_or(Ok(0), |it| count("malformed", it))?;
        Ok(History { messages: messages.unbind(), truncated, next, gaps: gaps.unbind(), malformed })
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.messages.bind(py).len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.messages.bind(py).as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.messages.bind(py).try_iter()
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let messages = self.messages.bind(py).to_list();
        messages.reverse()?;
        messages.try_iter()
    }

    fn __contains__(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.messages.bind(py).contains(message)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<History>() else { return Ok(false) };
        let other = other.get();
        Ok((self.truncated, self.next, self.malformed)
            == (other.truncated, other.next, other.malformed)
            && self.messages.bind(py).eq(&other.messages)?
            && self.gaps.bind(py).eq(&other.gaps)?)
    }

    #[pyo3(signature = (value, *bounds))]
    #[pyo3(text_signature = "($self, value, start=0, stop=9223372036854775807, /)")]
    fn index<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
        bounds: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let args = std::iter::once(value.clone()).chain(bounds.iter());
        let args = PyTuple::new(py, args.collect::<Vec<_>>())?;
        self.messages.bind(py).call_method1(intern!(py, "index"), args)
    }

    #[pyo3(signature = (value, /))]
    fn count<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.messages.bind(py).call_method1(intern!(py, "count"), (value,))
    }

    /// The messages as a tuple.
    #[getter]
    fn messages(&self, py: Python<'_>) -> Py<PyTuple> {
        self.messages.clone_ref(py)
    }

    /// The page and its messages as JSON has them.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dicts = |values: &Py<PyTuple>| {
            let each = values.bind(py).iter().map(|it| it.call_method0(intern!(py, "to_dict")));
            PyList::new(py, each.collect::<PyResult<Vec<_>>>()?)
        };
        let dict = PyDict::new(py);
        dict.set_item("messages", dicts(&self.messages)?)?;
        dict.set_item("truncated", self.truncated)?;
        dict.set_item("next", self.next.to_string())?;
        dict.set_item("gaps", dicts(&self.gaps)?)?;
        dict.set_item("malformed", self.malformed)?;
        Ok(dict)
    }
}
value!(History: "messages", "truncated", "next", "gaps", "malformed");

/// Values of one class, or what `to_dict()` gives of them.
fn all_of<'py, T: PyTypeInfo>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let py = values.py();
    let each = values.try_iter()?.map(|value| {
        let value = value?;
        match value.cast::<PyDict>() {
            Ok(dict) => _build(&py.get_type::<T>(), dict),
            Err(_) => Ok(value.cast::<T>()?.clone().into_any()),
        }
    });
    PyTuple::new(py, each.collect::<PyResult<Vec<_>>>()?)
}
