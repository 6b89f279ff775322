//! Requests on their way to a handler, which libchat/_responder.py runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::convert::{Payload, Seconds, Text};
use crate::message::Request;
use crate::opened::Opened;
use crate::wait::{Face, Kept};

/// Requests on a subject, for any number of threads or tasks that wait for them.
#[pyclass(frozen, module = "libchat._libchat")]
pub(crate) struct Requests {
    core: Kept<Arc<libchat::Responder>>,
    face: Face,
    /// Lives as long as anything answers through it.
    opened: Arc<Opened>,
}

impl Requests {
    pub(crate) fn new(core: libchat::Responder, face: Face, opened: Arc<Opened>) -> Requests {
        Requests { core: Kept::new(Arc::new(core)), face, opened }
    }
}

#[pymethods]
impl Requests {
    /// The next request, and what answers it.
    fn next(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let core = self.core.get(py)?.clone();
        let (face, opened) = (self.face.share(py), self.opened.clone());
        self.face.run(py, async move { core.next().await }, move |py, request| {
            let value = Request::from(&request);
            let request = Kept::new(Mutex::new(Some(request)));
            let answer = Answer { request, face, _opened: opened };
            Ok((value, answer).into_pyobject(py)?.into_any().unbind())
        })
    }

    /// Waits until it was stopped or the manager closed; False at the end of `timeout`.
    fn stopped(&self, py: Python<'_>, timeout: Option<Seconds>) -> PyResult<Py<PyAny>> {
        let core = self.core.get(py)?.clone();
        let limit = timeout.map_or(Duration::MAX, |timeout| timeout.0);
        let stopped = async move { Ok(tokio::time::timeout(limit, core.stopped()).await.is_ok()) };
        self.face.run(py, stopped, |py, stopped| {
            Ok(stopped.into_pyobject(py)?.to_owned().into_any().unbind())
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.core.get(py)?.stop();
        Ok(())
    }
}

/// A request to be answered once. Dropped unanswered, it counts as failed.
#[pyclass(frozen, module = "libchat._libchat")]
pub(crate) struct Answer {
    request: Kept<Mutex<Option<libchat::Request>>>,
    face: Face,
    _opened: Arc<Opened>,
}

impl Answer {
    fn take(&self, py: Python<'_>) -> PyResult<Option<libchat::Request>> {
        Ok(self.request.get(py)?.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

#[pymethods]
impl Answer {
    fn reply(&self, py: Python<'_>, payload: Payload) -> PyResult<Py<PyAny>> {
        let request = self.take(py)?;
        let reply = async move {
            let Some(request) = request else { return Ok(()) };
            request.reply(payload.0).await
        };
        self.face.run(py, reply, |py, ()| Ok(py.None()))
    }

    fn fail(&self, py: Python<'_>, code: Text, text: Text) -> PyResult<Py<PyAny>> {
        let request = self.take(py)?;
        let fail = async move {
            let Some(request) = request else { return Ok(()) };
            request.fail(&code.0, &text.0).await
        };
        self.face.run(py, fail, |py, ()| Ok(py.None()))
    }
}

/// Whether a handler may fail with `code`; for whoever must not lose the request over it.
#[pyfunction]
pub(crate) fn _check_code(py: Python<'_>, code: Text) -> PyResult<()> {
    libchat::bridge::check_code(&code.0).map_err(|cause| crate::error::raise(py, &cause))
}
