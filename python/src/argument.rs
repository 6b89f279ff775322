//! Arguments of verbs that may be of several types.

use libchat::{ExpectLast, Short, Start, ThreadRef, thread_short};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString};

use crate::convert::{instant, unexpected, utf8};
use crate::cursor::{Cursor, Last};
use crate::error::invalid;
use crate::message::Message;
use crate::threads::ThreadSummary;

/// Which thread: its name, or a value that is of it.
pub(crate) enum Thread {
    Name(String),
    /// A name counts where it is that thread's.
    Of(Option<String>, Short),
}

impl<'py> FromPyObject<'_, 'py> for Thread {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Thread> {
        if let Ok(name) = object.cast::<PyString>() {
            return Ok(Thread::Name(utf8(&name)?));
        }
        if let Ok(message) = object.cast::<Message>() {
            let message = message.get().core();
            return Ok(Thread::Of(message.thread.clone(), message.short));
        }
        match object.cast::<ThreadSummary>() {
            Ok(thread) => Ok(Thread::Of(Some(thread.get().name.clone()), thread.get().short)),
            Err(_) => Err(unexpected(&object, "a thread's name, a Message or a ThreadSummary")),
        }
    }
}

impl Thread {
    pub(crate) fn within(&self, project: &str) -> ThreadRef<'_> {
        match self {
            Thread::Name(name) => ThreadRef::Name(name),
            Thread::Of(Some(name), short)
                if thread_short(project, name).is_ok_and(|named| named == *short) =>
            {
                ThreadRef::Name(name)
            }
            Thread::Of(_, short) => ThreadRef::Short(*short),
        }
    }
}

/// A message's id, or the message.
pub(crate) struct Id(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Id {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Id> {
        if let Ok(id) = object.cast::<PyString>() {
            return Ok(Id(utf8(&id)?));
        }
        match object.cast::<Message>() {
            Ok(message) => Ok(Id(message.get().core().id.clone())),
            Err(_) => Err(unexpected(&object, "a message's id or a Message")),
        }
    }
}

/// Where a watch or a history begins.
pub(crate) struct StartIn(pub(crate) Start);

impl<'py> FromPyObject<'_, 'py> for StartIn {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<StartIn> {
        if let Ok(word) = object.cast::<PyString>() {
            return match &*utf8(&word)? {
                "new" => Ok(StartIn(Start::New)),
                "all" => Ok(StartIn(Start::All)),
                other => {
                    let text = format!("start {other:?}: must be \"new\" or \"all\"");
                    let hint = "or a Cursor, a datetime, Last(n); a cursor's text: Cursor(text)";
                    Err(invalid(object.py(), &text, hint))
                }
            };
        }
        if let Ok(cursor) = object.cast::<Cursor>() {
            return Ok(StartIn(Start::After(cursor.get().0)));
        }
        if let Ok(last) = object.cast::<Last>() {
            return Ok(StartIn(Start::Last(last.get().n)));
        }
        match object.cast::<PyDateTime>() {
            Ok(time) => Ok(StartIn(Start::Time(instant(&time)?))),
            Err(_) => {
                let expected = "\"new\", \"all\", a Cursor, an aware datetime or Last(n)";
                Err(unexpected(&object, expected))
            }
        }
    }
}

/// What a conditional send expects.
pub(crate) struct Expect(pub(crate) ExpectLast);

impl<'py> FromPyObject<'_, 'py> for Expect {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Expect> {
        if let Ok(cursor) = object.cast::<Cursor>() {
            return Ok(Expect(ExpectLast::At(cursor.get().0)));
        }
        match object.cast::<PyString>() {
            Ok(word) if utf8(&word)? == "empty" => Ok(Expect(ExpectLast::Empty)),
            Ok(word) => {
                let text = format!("expect_last {:?}: must be \"empty\"", utf8(&word)?);
                let hint = "or a Cursor; a cursor's text: Cursor(text)";
                Err(invalid(object.py(), &text, hint))
            }
            Err(_) => Err(unexpected(&object, "a Cursor or \"empty\"")),
        }
    }
}
