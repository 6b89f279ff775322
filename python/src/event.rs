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
    ($class:ident, $word:literal) => {
        #[pyclass(frozen, eq, hash, get_all, module = "libchat")]
        #[derive(PartialEq, Eq, Hash)]
        pub(crate) struct $class {
            cursor: Cursor,
        }

        #[pymethods]
        impl $class {
            #[new]
            fn new(cursor: CursorIn) -> $class {
                $class { cursor: cursor.0 }
            }

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

event_at_a_cursor!(CaughtUp, "caught_up");
event_at_a_cursor!(Reset, "reset");
event_at_a_cursor!(Malformed, "malformed");

#[pyclass(frozen, eq, hash, get_all, module = "libchat", from_py_object)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Gap {
    pub(crate) after: Cursor,
    pub(crate) until: Cursor,
}

#[pymethods]
impl Gap {
    #[new]
    fn new(after: CursorIn, until: CursorIn) -> Gap {
        Gap { after: after.0, until: until.0 }
    }

    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("event", "gap")?;
        dict.set_item("after", self.after.to_string())?;
        dict.set_item("until", self.until.to_string())?;
        Ok(dict)
    }
}
value!(Gap: "after", "until");

#[pyclass(frozen, eq, hash, get_all, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Stalled {
    reason: String,
}

#[pymethods]
impl Stalled {
    #[new]
    fn new(reason: Text) -> Stalled {
        Stalled { reason: reason.0 }
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("event", "stalled")?;
        dict.set_item("reason", &self.reason)?;
        Ok(dict)
    }
}
value!(Stalled: "reason");

#[pyclass(frozen, eq, hash, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Resumed;

#[pymethods]
impl Resumed {
    #[new]
    fn new() -> Resumed {
        Resumed
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("event", "resumed")?;
        Ok(dict)
    }
}
value!(Resumed:);
