//! What all values have: `__repr__`, `__match_args__`, pickling, a schema for pydantic.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyNone, PyTuple, PyType};

use crate::error::invalid;

/// Gives a class what it has as a value: `value!(Gap: "after", "until")`. Its fields are arguments
/// of the same names, and `to_dict()` gives what they can be built from again.
macro_rules! value {
    ($class:ident: $($field:literal),*) => {
        #[pymethods]
        impl $class {
            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
                let fields: &[&str] = &[$($field),*];
                PyTuple::new(py, fields)
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                crate::value::repr(slf.as_any(), &[$($field),*])
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
                crate::value::reduce(slf.as_any())
            }

            #[classmethod]
            fn __get_pydantic_core_schema__<'py>(
                class: &Bound<'py, PyType>,
                _source: &Bound<'py, PyAny>,
                _handler: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                crate::value::pydantic_schema(class, "value_schema")
            }
        }
    };
}
pub(crate) use value;

/// `Gap(after=…, until=…)`
pub(crate) fn repr(value: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<String> {
    let shown = fields.iter().map(|field| {
        let it = value.getattr(*field)?;
        let shown = match it.hasattr("isoformat")? {
            true => it.str()?,
            false => it.repr()?,
        };
        Ok(format!("{field}={shown}"))
    });
    let shown = shown.collect::<PyResult<Vec<_>>>()?.join(", ");
    Ok(format!("{}({shown})", value.get_type().name()?))
}

/// What pickle keeps: `to_dict()`, of which `_build` makes the value again.
pub(crate) fn reduce<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let py = value.py();
    let build = py.import(intern!(py, "libchat._libchat"))?.getattr(intern!(py, "_build"))?;
    let dict = value.call_method0(intern!(py, "to_dict"))?;
    (build, (value.get_type(), dict)).into_pyobject(py)
}

/// A value from what `to_dict()` gave of it.
#[pyfunction]
pub(crate) fn _build<'py>(
    class: &Bound<'py, PyType>,
    dict: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let (fields, event) = (dict.copy()?, dict.get_item("event")?);
    if event.is_some() {
        fields.del_item("event")?;
    }
    let value = class.call((), Some(&fields))?;
    let own = value.call_method0(intern!(py, "to_dict"))?.cast::<PyDict>()?.get_item("event")?;
    let is_own = match (&event, &own) {
        (Some(event), Some(own)) => event.eq(own)?,
        (event, own) => event.is_none() && own.is_none(),
    };
    if is_own {
        return Ok(value);
    }
    let event = event.unwrap_or_else(|| PyNone::get(py).to_owned().into_any());
    Err(invalid(py, &format!("{}: event {event}: another's", class.name()?), ""))
}

pub(crate) fn pydantic_schema<'py>(
    class: &Bound<'py, PyType>,
    kind: &str,
) -> PyResult<Bound<'py, PyAny>> {
    class.py().import("libchat._pydantic")?.call_method1(kind, (class,))
}
