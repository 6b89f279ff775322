//! The caller's OpenTelemetry context, where the process has OpenTelemetry.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::Fields;
use crate::wait::call_python;

/// Adds the current context to `headers`. Nothing is imported in a process that has not done so: it
/// has no context either.
pub(crate) fn inject(py: Python<'_>, headers: Option<Fields>) -> PyResult<Vec<(String, String)>> {
    let mut fields = headers.map(|fields| fields.0).unwrap_or_default();
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    if modules.contains(intern!(py, "opentelemetry.context"))? {
        let current = || py.import("libchat._trace")?.call_method0("current");
        let carrier = call_python(py, current)?;
        for (name, value) in carrier.cast::<PyDict>()?.iter() {
            let name: String = name.extract()?;
            if !fields.iter().any(|(given, _)| given.eq_ignore_ascii_case(&name)) {
                fields.push((name, value.extract()?));
            }
        }
    }
    Ok(fields)
}
