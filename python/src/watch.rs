//! The reader's side of a watch.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libchat::bridge::{message_of, on_readable};
use libchat::{Error, ErrorKind, Event};
use pyo3::prelude::*;

use crate::bell::Bell;
use crate::convert::Seconds;
use crate::cursor::Cursor;
use crate::error;
use crate::event::event_out;
use crate::message::Message;
use crate::opened::Opened;
use crate::wait::{Kept, until};

/// What happens in one thread or many, once each and in stream order, until it is closed.
#[pyclass(frozen, weakref, module = "libchat")]
pub(crate) struct Watch {
    core: Kept<Arc<libchat::Watch>>,
    /// By its own `close`: iteration ends rather than fails then.
    closed: AtomicBool,
    fd: OnceLock<OwnedFd>,
    /// Lives as long as anything reads from it.
    _opened: Arc<Opened>,
}

impl Watch {
    pub(crate) fn new(core: libchat::Watch, opened: Arc<Opened>) -> Watch {
        let core = Kept::new(Arc::new(core));
        Watch { core, closed: AtomicBool::new(false), fd: OnceLock::new(), _opened: opened }
    }

    /// The next event, waited for without Python's lock; `None` at the end of `timeout`.
    fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Option<Result<Event, Error>>> {
        let core = self.core.get(py)?;
        if let Some(next) = core.try_next_event() {
            return Ok(Some(next));
        }
        until(py, timeout, |limit| match core.take_blocking(1, Some(limit)) {
            Ok(mut taken) => taken.pop().map(Ok),
            Err(end) => Some(Err(end)),
        })
    }

    /// As [`Watch::wait`], for messages only.
    fn wait_message(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Option<Result<Message, Error>>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match self.wait(py, left.or(timeout))? {
                None => return Ok(None),
                Some(Err(end)) => return Ok(Some(Err(end))),
                Some(Ok(event)) => {
                    if let Some(message) = message_of(event) {
                        return Ok(Some(Ok(Message::new(message))));
                    }
                }
            }
        }
    }

    /// What iteration makes of a step: its end where this watch was closed.
    fn step<T>(&self, py: Python<'_>, step: Option<Result<T, Error>>) -> PyResult<Option<T>> {
        match step {
            Some(Err(end)) if self.is_closed() && end.kind() == ErrorKind::Closed => Ok(None),
            step => raised(py, step),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

fn raised<T>(py: Python<'_>, step: Option<Result<T, Error>>) -> PyResult<Option<T>> {
    step.transpose().map_err(|end| error::raise(py, &end))
}

#[pymethods]
impl Watch {
    fn __iter__(slf: Py<Watch>) -> Py<Watch> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Message>> {
        let step = self.wait_message(py, None)?;
        self.step(py, step)
    }

    /// The next message; None if there is none in time, and only then.
    #[pyo3(signature = (timeout=None))]
    fn next(&self, py: Python<'_>, timeout: Option<Seconds>) -> PyResult<Option<Message>> {
        let step = self.wait_message(py, timeout.map(|timeout| timeout.0))?;
        raised(py, step)
    }

    /// The next event, messages and all; None if there is none in time, and only then.
    #[pyo3(signature = (timeout=None))]
    fn next_event(&self, py: Python<'_>, timeout: Option<Seconds>) -> PyResult<Option<Py<PyAny>>> {
        let step = self.wait(py, timeout.map(|timeout| timeout.0))?;
        raised(py, step)?.map(|event| event_out(py, event)).transpose()
    }

    /// Iterates events, messages and all, as iterating the watch itself gives messages.
    fn events(slf: Py<Watch>) -> Events {
        Events { watch: slf }
    }

    /// Gap events handed out or passed over so far.
    #[getter]
    fn gaps(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.core.get(py)?.gaps())
    }

    /// The place of what was last handed out, at first of the start.
    #[getter]
    fn cursor(&self, py: Python<'_>) -> PyResult<Cursor> {
        Ok(Cursor(self.core.get(py)?.cursor()))
    }

    /// A descriptor for event loops, this watch's own, made at the first call.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let core = self.core.get(py)?;
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_raw_fd());
        }
        let fd = core.fd().map_err(|cause| error::raise(py, &cause))?;
        // Of two threads that come at once one has its descriptor closed again.
        Ok(self.fd.get_or_init(|| fd).as_raw_fd())
    }

    /// Ends the watch, from any thread: whoever waits in it is told. Again: nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.closed.store(true, Ordering::Relaxed);
        self.core.get(py)?.stop();
        Ok(())
    }

    fn __enter__(slf: Py<Watch>) -> Py<Watch> {
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
        self.close(py)
    }

    /// For libchat.aio: has `bell` ring with the token that this gives.
    fn _ring(&self, py: Python<'_>, bell: &Bell) -> PyResult<u64> {
        let (token, hook) = bell.watch();
        on_readable(self.core.get(py)?, hook);
        Ok(token)
    }

    /// For libchat.aio: the next message that is there, or None.
    fn _message_now(&self, py: Python<'_>) -> PyResult<Option<Message>> {
        let core = self.core.get(py)?;
        while let Some(event) = raised(py, core.try_next_event())? {
            if let Some(message) = message_of(event) {
                return Ok(Some(Message::new(message)));
            }
        }
        Ok(None)
    }

    /// For libchat.aio: the next event that is there, or None.
    fn _event_now(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let event = raised(py, self.core.get(py)?.try_next_event())?;
        event.map(|event| event_out(py, event)).transpose()
    }

    /// For libchat.aio: whether it was closed by its own `close`.
    #[getter]
    fn _closed(&self) -> bool {
        self.is_closed()
    }
}

/// Iterates all events of a watch.
#[pyclass(frozen, module = "libchat._libchat")]
pub(crate) struct Events {
    watch: Py<Watch>,
}

#[pymethods]
impl Events {
    fn __iter__(slf: Py<Events>) -> Py<Events> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let watch = self.watch.get();
        let step = watch.wait(py, None)?;
        watch.step(py, step)?.map(|event| event_out(py, event)).transpose()
    }
}
