//! One agent in one project: checks arguments, calls one verb.

use std::sync::Arc;

use libchat::{
    CallOptions, Error, HistoryOptions, RequestOptions, RespondOptions, SendOptions, Start,
    WatchOptions,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::argument::{Expect, Id, StartIn, Thread};
use crate::convert::{Fields, Payload, Seconds, Text, size};
use crate::message::Receipt;
use crate::opened::Opened;
use crate::respond::Requests;
use crate::threads::{ThreadSummary, history_out};
use crate::trace;
use crate::wait::{Face, call_python};
use crate::watch::Watch;

/// One agent in one project: all verbs. `libchat.open` makes it; it reconnects by itself.
#[pyclass(frozen, weakref, module = "libchat")]
pub(crate) struct Manager {
    opened: Arc<Opened>,
    face: Face,
}

impl Manager {
    pub(crate) fn new(opened: Arc<Opened>, face: Face) -> Manager {
        Manager { opened, face }
    }

    fn core(&self, py: Python<'_>) -> PyResult<Arc<libchat::Manager>> {
        self.opened.core(py)
    }

    fn begin_watch(
        &self,
        py: Python<'_>,
        which: Which,
        start: Option<StartIn>,
        skip_own: bool,
    ) -> PyResult<Py<PyAny>> {
        let start = start.map_or(Start::New, |start| start.0);
        let options = WatchOptions { skip_own, ..WatchOptions::from(start) };
        let (core, opened) = (self.core(py)?, self.opened.clone());
        let watch = async move {
            match which {
                Which::Thread(thread) => core.watch(thread.within(core.project()), options).await,
                Which::All => core.watch_all(options).await,
                Which::Pattern(pattern) => core.watch_pattern(&pattern, options).await,
            }
        };
        self.face.run(py, watch, |py, core| Ok(Py::new(py, Watch::new(core, opened))?.into_any()))
    }

    /// Checks the handler before anything listens, then has libchat/_responder.py run it.
    fn begin_responder<'py>(
        &self,
        py: Python<'py>,
        handler: &Bound<'py, PyAny>,
        concurrency: Option<&Bound<'py, PyAny>>,
        subject: Option<Text>,
        queue_group: Option<Text>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let module = call_python(py, || py.import(intern!(py, "libchat._responder")))?;
        let one = 1_u8.into_pyobject(py)?.into_any();
        let concurrency = concurrency.unwrap_or(&one);
        call_python(py, || module.call_method1("check", (handler, concurrency)))?;
        let requests = self._requests(py, subject, queue_group)?;
        let args = (requests, handler, concurrency);
        call_python(py, || module.getattr("Responder")?.call_method1("_of", args))
    }
}

/// What a watch is of.
enum Which {
    Thread(Thread),
    All,
    Pattern(String),
}

fn threads_out(py: Python<'_>, threads: Vec<libchat::ThreadSummary>) -> PyResult<Py<PyAny>> {
    let threads = threads.into_iter().map(ThreadSummary::from);
    Ok(PyList::new(py, threads.collect::<Vec<_>>())?.into_any().unbind())
}

fn reply_out(py: Python<'_>, reply: libchat::Reply) -> PyResult<Py<PyAny>> {
    Ok(PyBytes::new(py, &reply.payload).into_any().unbind())
}

#[pymethods]
impl Manager {
    /// The project's name.
    #[getter]
    fn project(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.core(py)?.project().to_owned())
    }

    /// This agent's name: the sender of what it sends.
    #[getter]
    fn agent(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.core(py)?.agent().to_owned())
    }

    /// Stores one message in `thread` and waits for the server's word on it.
    #[pyo3(signature = (thread, body, *, id=None, reply_to=None, headers=None, unordered=false,
                        expect_last=None, timeout=Seconds::new(10)))]
    #[pyo3(text_signature = "($self, thread, body, *, id=None, reply_to=None, headers=None, \
                             unordered=False, expect_last=None, timeout=10.0)")]
    #[expect(clippy::too_many_arguments, reason = "each is an option that a caller names")]
    fn send(
        &self,
        py: Python<'_>,
        thread: Thread,
        body: Payload,
        id: Option<Text>,
        reply_to: Option<Id>,
        headers: Option<Fields>,
        unordered: bool,
        expect_last: Option<Expect>,
        timeout: Seconds,
    ) -> PyResult<Py<PyAny>> {
        let options = SendOptions {
            id: id.map(|id| id.0),
            reply_to: reply_to.map(|id| id.0),
            headers: trace::inject(py, headers)?,
            unordered,
            expect_last: expect_last.map(|expect| expect.0),
            timeout: timeout.0,
            ..SendOptions::default()
        };
        let core = self.core(py)?;
        let send = async move { core.send(thread.within(core.project()), body.0, options).await };
        self.face.run(py, send, |py, receipt| Ok(Py::new(py, Receipt::from(receipt))?.into_any()))
    }

    /// Watches one thread.
    #[pyo3(signature = (thread, *, start=None, skip_own=false))]
    #[pyo3(text_signature = "($self, thread, *, start='new', skip_own=False)")]
    fn watch(
        &self,
        py: Python<'_>,
        thread: Thread,
        start: Option<StartIn>,
        skip_own: bool,
    ) -> PyResult<Py<PyAny>> {
        self.begin_watch(py, Which::Thread(thread), start, skip_own)
    }

    /// Watches every thread of the project. As `watch` otherwise.
    #[pyo3(signature = (*, start=None, skip_own=false))]
    #[pyo3(text_signature = "($self, *, start='new', skip_own=False)")]
    fn watch_all(
        &self,
        py: Python<'_>,
        start: Option<StartIn>,
        skip_own: bool,
    ) -> PyResult<Py<PyAny>> {
        self.begin_watch(py, Which::All, start, skip_own)
    }

    /// Watches the threads whose short matches a NATS subject pattern. As `watch` otherwise.
    #[pyo3(signature = (pattern, *, start=None, skip_own=false))]
    #[pyo3(text_signature = "($self, pattern, *, start='new', skip_own=False)")]
    fn watch_pattern(
        &self,
        py: Python<'_>,
        pattern: Text,
        start: Option<StartIn>,
        skip_own: bool,
    ) -> PyResult<Py<PyAny>> {
        self.begin_watch(py, Which::Pattern(pattern.0), start, skip_own)
    }

    /// Past messages of a thread, oldest first, up to the stream's end as it was at the call.
    #[pyo3(signature = (thread, *, start=None, limit=None, max_bytes=None))]
    #[pyo3(text_signature = "($self, thread, *, start='all', limit=1000, max_bytes=None)")]
    fn history(
        &self,
        py: Python<'_>,
        thread: Thread,
        start: Option<StartIn>,
        limit: Option<&Bound<'_, PyAny>>,
        max_bytes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let options = HistoryOptions {
            start: start.map_or(Start::All, |start| start.0),
            limit: limit.map_or(Ok(1000), |it| size("limit", it))?,
            max_bytes: max_bytes.map(|it| size("max_bytes", it)).transpose()?,
            ..HistoryOptions::default()
        };
        let core = self.core(py)?;
        let history = async move { core.history(thread.within(core.project()), options).await };
        self.face.run(py, history, |py, found| Ok(Py::new(py, history_out(py, found)?)?.into_any()))
    }

    /// Every thread of the project, the most recently used first: complete, or an error.
    #[pyo3(signature = (*, timeout=Seconds::new(10)))]
    #[pyo3(text_signature = "($self, *, timeout=10.0)")]
    fn list_threads(&self, py: Python<'_>, timeout: Seconds) -> PyResult<Py<PyAny>> {
        let core = self.core(py)?;
        let list = async move { core.list_threads(CallOptions { timeout: timeout.0 }).await };
        self.face.run(py, list, threads_out)
    }

    /// The threads that `agent` has written in, the most recently used first: complete, or an
    /// error.
    #[pyo3(signature = (agent, max_threads=None, *, timeout=Seconds::new(30)))]
    #[pyo3(text_signature = "($self, agent, max_threads=20, *, timeout=30.0)")]
    fn threads_for_agent(
        &self,
        py: Python<'_>,
        agent: Text,
        max_threads: Option<&Bound<'_, PyAny>>,
        timeout: Seconds,
    ) -> PyResult<Py<PyAny>> {
        let max = max_threads.map_or(Ok(20), |it| size("max_threads", it))?;
        let core = self.core(py)?;
        let options = CallOptions { timeout: timeout.0 };
        let list = async move { core.threads_for_agent(&agent.0, max, options).await };
        self.face.run(py, list, threads_out)
    }

    /// Sends `payload` to whoever listens on `subject` and waits for the first answer.
    #[pyo3(signature = (subject, payload=None, *, timeout=Seconds::new(30)))]
    #[pyo3(text_signature = "($self, subject, payload=b'', *, timeout=30.0)")]
    fn request(
        &self,
        py: Python<'_>,
        subject: Text,
        payload: Option<Payload>,
        timeout: Seconds,
    ) -> PyResult<Py<PyAny>> {
        let payload = payload.map(|payload| payload.0).unwrap_or_default();
        let (core, options) = (self.core(py)?, request_options(py, timeout)?);
        let request = async move { core.request(&subject.0, payload, options).await };
        self.face.run(py, request, reply_out)
    }

    /// Asks an agent of this project: `request` on its own subject.
    #[pyo3(signature = (agent, payload, *, timeout=Seconds::new(30)))]
    #[pyo3(text_signature = "($self, agent, payload, *, timeout=30.0)")]
    fn ask(
        &self,
        py: Python<'_>,
        agent: Text,
        payload: Payload,
        timeout: Seconds,
    ) -> PyResult<Py<PyAny>> {
        let (core, options) = (self.core(py)?, request_options(py, timeout)?);
        let ask = async move { core.ask(&agent.0, payload.0, options).await };
        self.face.run(py, ask, reply_out)
    }

    /// Answers what is asked on `subject`, until the responder is closed.
    #[pyo3(signature = (subject, handler, *, concurrency=None, queue_group=None))]
    #[pyo3(text_signature = "($self, subject, handler, *, concurrency=1, queue_group=None)")]
    fn respond<'py>(
        &self,
        py: Python<'py>,
        subject: Text,
        handler: &Bound<'py, PyAny>,
        concurrency: Option<&Bound<'py, PyAny>>,
        queue_group: Option<Text>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.begin_responder(py, handler, concurrency, Some(subject), queue_group)
    }

    /// Answers what is asked of this agent: `respond` on its own subject.
    #[pyo3(signature = (handler, *, concurrency=None))]
    #[pyo3(text_signature = "($self, handler, *, concurrency=1)")]
    fn answer<'py>(
        &self,
        py: Python<'py>,
        handler: &Bound<'py, PyAny>,
        concurrency: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.begin_responder(py, handler, concurrency, None, None)
    }

    /// For those who run handlers: requests on `subject`, or on this agent's own.
    fn _requests(
        &self,
        py: Python<'_>,
        subject: Option<Text>,
        queue_group: Option<Text>,
    ) -> PyResult<Py<PyAny>> {
        let queue_group = queue_group.map(|group| group.0);
        let options = RespondOptions { queue_group, ..RespondOptions::default() };
        let core = self.core(py)?;
        let listen = async move {
            match subject {
                Some(subject) => core.respond(&subject.0, options).await,
                None => core.answer(options).await,
            }
        };
        let (opened, face) = (self.opened.clone(), self.face.share(py));
        self.face.run(py, listen, |py, core| {
            Ok(Py::new(py, Requests::new(core, face, opened))?.into_any())
        })
    }

    /// What this manager has counted since it was opened.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.core(py)?.stats();
        let dict = PyDict::new(py);
        dict.set_item("sent", stats.sent)?;
        dict.set_item("resent", stats.resent)?;
        dict.set_item("duplicates", stats.duplicates)?;
        dict.set_item("delivered", stats.delivered)?;
        dict.set_item("malformed", stats.malformed)?;
        dict.set_item("gaps", stats.gaps)?;
        dict.set_item("resets", stats.resets)?;
        dict.set_item("detaches", stats.detaches)?;
        dict.set_item("reopens", stats.reopens)?;
        dict.set_item("reconnects", stats.reconnects)?;
        dict.set_item("watches", stats.watches)?;
        dict.set_item("buffered_bytes", stats.buffered_bytes)?;
        dict.set_item("connected", u64::from(stats.connected))?;
        dict.set_item("polling", u64::from(stats.polling))?;
        Ok(dict)
    }

    /// Ends everything this manager started, within 2 s. Again: nothing.
    fn close(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let closing = self.opened.close(py)?;
        let close = async move {
            closing.await;
            Ok::<(), Error>(())
        };
        self.face.run(py, close, |py, ()| Ok(py.None()))
    }

    fn __enter__(slf: Py<Manager>) -> Py<Manager> {
        slf
    }

    #[pyo3(signature = (_type, _value, _traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _type: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py).map(drop)
    }
}

fn request_options(py: Python<'_>, timeout: Seconds) -> PyResult<RequestOptions> {
    Ok(RequestOptions { headers: trace::inject(py, None)?, timeout: timeout.0 })
}
