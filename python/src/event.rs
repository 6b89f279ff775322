//! What a watch tells besides messages.

use libchat::Event;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::convert::Text;
use crate::cursor::{Cursor, CursorIn};
use crate::message::Message;
use crate::value::value;

/// The Python object for an event.
pub(crate) fn event_out(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    Ok(match event {
        Event::Message(message) => Py::new(py, Message::new(message))?.into_any(),
        Event::CaughtUp { cursor } => Py::new(py, CaughtUp { cursor: Cursor(cursor) })?.into_any(),
        Event::Gap { after, until } => {
            Py::new(py, Gap { after: Cursor(after), until: Cursor(until) })?.into_any()
        }
        Event::Reset { cursor } => Py::new(py, Reset { cursor: Cursor(cursor) })?.into_any(),
        Event::Malformed { cursor } => {
            Py::new(py, Malformed { cursor: Cursor(cursor) })?.into_any()
        }
        Event::Stalled { reason } => {
            Py::new(py, Stalled { reason: format!("{reason:#}") })?.into_any()
        }
        Event::Resumed => Py::new(py, Resumed)?.into_any(),
        // An event that this face does not know yet is of no use to its caller.
        _ => py.None(),
    })
}

macro_rules! event_at_a_cursor {
    ($(#[$doc:meta])* $class:ident($word:literal) { $(#[$place:meta])* cursor }) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, get_all, module = "libchat")]
        #[derive(PartialEq, Eq, Hash)]
        pub(crate) struct $class {
            $(#[$place])*
            cursor: Cursor,
        }

        #[pymethods]
        impl $class {
            #[new]
            fn new(cursor: CursorIn) -> $class {
                $class { cursor: cursor.0 }
            }

            /// The event as `libchat tail --json` prints it.
            fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let dict = PyDict::new(py);
                dict.set_item("event", $word)?;
                dict.set_item("cursor", self.cursor.to_string())?;
                Ok(dict)
            }
        }
        value!($class: "cursor");
    };
}

event_at_a_cursor! {
    /// Once in a watch: all that was stored when it began is delivered. The first event of a watch
    /// that starts with new messages.
    CaughtUp("caught_up") {
        /// Everything up to here is delivered.
        cursor
    }
}
event_at_a_cursor! {
    /// The stream was deleted and made anew, restored or rolled back; all of today's follows.
    Reset("reset") {
        /// The beginning of today's stream.
        cursor
    }
}
event_at_a_cursor! {
    /// What is stored at `cursor` is no message: another program wrote it.
    Malformed("malformed") {
        /// Its place.
        cursor
    }
}

/// Messages after `after` up to `until` expired or were purged before they could be delivered.
#[pyclass(frozen, eq, hash, get_all, module = "libchat", from_py_object)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Gap {
    /// The last place before the gap.
    pub(crate) after: Cursor,
    /// The last place within the gap.
    pub(crate) until: Cursor,
}

#[pymethods]
impl Gap {
    #[new]
    fn new(after: CursorIn, until: CursorIn) -> Gap {
        Gap { after: after.0, until: until.0 }
    }

    /// The event as `libchat tail --json` prints it.
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("event", "gap")?;
        dict.set_item("after", self.after.to_string())?;
        dict.set_item("until", self.until.to_string())?;
        Ok(dict)
    }
}
value!(Gap: "after", "until");

/// For 10 s there has been no working source; nothing is lost, delivery waits for Resumed.
#[pyclass(frozen, eq, hash, get_all, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Stalled {
    /// What stands in the way, for people.
    reason: String,
}

#[pymethods]
impl Stalled {
    #[new]
    fn new(reason: Text) -> Stalled {
        Stalled { reason: reason.0 }
    }

    /// The event as `libchat tail --json` prints it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("event", "stalled")?;
        dict.set_item("reason", &self.reason)?;
        Ok(dict)
    }
}
value!(Stalled: "reason");

/// The source works again after Stalled.
#[pyclass(frozen, eq, hash, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Resumed;

#[pymethods]
impl Resumed {
    #[new]
    fn new() -> Resumed {
        Resumed
    }

    /// The event as `libchat tail --json` prints it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("event", "resumed")?;
        Ok(dict)
    }
}
value!(Resumed:);
