//! Places in a stream.

use std::hash::{BuildHasher, BuildHasherDefault};

use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

use crate::convert::{Text, count};
use crate::error::{self, invalid};
use crate::value::pydantic_schema;

/// A place in a project's stream, from which any process can resume.
#[pyclass(frozen, module = "libchat", from_py_object)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cursor(pub(crate) libchat::Cursor);

#[pymethods]
impl Cursor {
    #[new]
    #[pyo3(signature = (text, /))]
    fn new(py: Python<'_>, text: Text) -> PyResult<Cursor> {
        text.0.parse().map(Cursor).map_err(|cause| error::raise(py, &cause))
    }

    /// The message's number in the stream, from 1 on; 0 is before the first.
    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Cursor('{}')", self.0)
    }

    /// Ordered within one incarnation of the stream.
    fn __richcmp__(&self, py: Python<'_>, other: Cursor, op: CompareOp) -> PyResult<bool> {
        match op {
            CompareOp::Eq => Ok(self == &other),
            CompareOp::Ne => Ok(self != &other),
            op => self.0.partial_cmp(&other.0).map(|order| op.matches(order)).ok_or_else(|| {
                let text = format!("cursors {self} and {other}: of two streams, without an order");
                invalid(py, &text, "the stream was made anew between them")
            }),
        }
    }

    fn __hash__(&self) -> u64 {
        BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(self.0)
    }

    fn __reduce__(slf: &Bound<'_, Cursor>) -> (Py<PyType>, (String,)) {
        (slf.get_type().unbind(), (slf.get().0.to_string(),))
    }

    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        class: &Bound<'py, PyType>,
        _source: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        pydantic_schema(class, "text_schema")
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A cursor for a value that is built by hand, or its text.
pub(crate) struct CursorIn(pub(crate) Cursor);

impl<'py> FromPyObject<'_, 'py> for CursorIn {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<CursorIn> {
        if object.is_instance_of::<PyString>() {
            let text = object.extract::<Text>()?;
            return Cursor::new(object.py(), text).map(CursorIn);
        }
        Ok(CursorIn(*object.cast::<Cursor>()?.get()))
    }
}

/// Begins a watch or a history with the last `n` messages, at least 1; a watch goes on with what
/// follows.
#[pyclass(frozen, eq, hash, module = "libchat")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Last {
    /// How many.
    #[pyo3(get)]
    pub(crate) n: u64,
}

#[pymethods]
impl Last {
    #[classattr]
    fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        PyTuple::new(py, ["n"])
    }

    #[new]
    #[pyo3(signature = (n, /))]
    fn new(n: &Bound<'_, PyAny>) -> PyResult<Last> {
        match count("Last", n)? {
            0 => Err(invalid(n.py(), "Last 0: must be 1 or more", "")),
            n => Ok(Last { n }),
        }
    }

    fn __repr__(&self) -> String {
        format!("Last({})", self.n)
    }

    fn __reduce__(slf: &Bound<'_, Last>) -> (Py<PyType>, (u64,)) {
        (slf.get_type().unbind(), (slf.get().n,))
    }

    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        class: &Bound<'py, PyType>,
        _source: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        pydantic_schema(class, "number_schema")
    }
}
