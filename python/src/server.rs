//! A folder's own server, for libchat/_server.py.

use std::path::PathBuf;

use libchat::{LocalServer, LocalServerOptions};
use pyo3::prelude::*;

use crate::error;

/// Starts the server of `folder`, or finds it running: its address, user and password in it.
#[pyfunction]
pub(crate) fn _start_server(
    py: Python<'_>,
    folder: PathBuf,
    nats_server: Option<PathBuf>,
) -> PyResult<String> {
    let options = LocalServerOptions { nats_server, ..LocalServerOptions::default() };
    let started = py.detach(|| LocalServer::start(&folder, &options));
    let server = started.map_err(|cause| error::raise(py, &cause))?;
    Ok(server.url_with_login())
}

#[pyfunction]
pub(crate) fn _stop_server(py: Python<'_>, folder: PathBuf) -> PyResult<bool> {
    py.detach(|| LocalServer::stop(&folder)).map_err(|cause| error::raise(py, &cause))
}
