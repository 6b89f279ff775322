//! From the network's thread to an event loop: one descriptor for all calls and watches of a
//! manager.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libchat::Error;
use libchat::bridge::{Broken, Task, WakeFd};
use pyo3::prelude::*;

use crate::error;
use crate::wait::runtime;

/// Makes the result of a call, when an event loop has time for it.
type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What has come: a call's end, or a watch that has something (no `Finish`).
type Ready = (u64, Option<Finish>);

/// Rings when a call has ended or a watch has something to read.
#[pyclass(frozen, module = "libchat._libchat")]
pub(crate) struct Bell {
    ring: Arc<Ring>,
    /// What the event loop waits on.
    fd: OwnedFd,
    tokens: AtomicU64,
}

struct Ring {
    fd: WakeFd,
    /// `None` when nobody will ever take what is ready.
    ready: Mutex<Option<Vec<Ready>>>,
}

impl Ring {
    fn push(&self, ready: Ready) {
        let mut all = self.ready();
        let Some(open) = &mut *all else {
            // What a result holds may ring too when it is dropped.
            drop(all);
            return;
        };
        open.push(ready);
        if open.len() == 1 {
            self.fd.raise();
        }
    }

    fn take(&self) -> Vec<Ready> {
        let mut ready = self.ready();
        self.fd.lower();
        ready.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) -> Option<Vec<Ready>> {
        self.ready().take()
    }

    fn ready(&self) -> MutexGuard<'_, Option<Vec<Ready>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Bell {
    #[new]
    fn new() -> PyResult<Bell> {
        let fd = WakeFd::new()?;
        let duplicate = fd.duplicate()?;
        let ring = Arc::new(Ring { fd, ready: Mutex::new(Some(Vec::new())) });
        Ok(Bell { ring, fd: duplicate, tokens: AtomicU64::new(0) })
    }

    fn fileno(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Drops what is ready, and all that comes: there is no event loop any more.
    fn close(&self) {
        drop(self.ring.close());
    }

    /// What has come since the last time: (token, result, error), all None but the token for a
    /// watch.
    fn take(&self, py: Python<'_>) -> Vec<(u64, Option<Py<PyAny>>, Option<PyErr>)> {
        let ready = self.ring.take().into_iter();
        let finished = ready.map(|(token, finish)| match finish.map(|finish| finish(py)) {
            None => (token, None, None),
            Some(Ok(result)) => (token, Some(result), None),
            Some(Err(error)) => (token, None, Some(error)),
        });
        finished.collect()
    }
}

impl Bell {
    /// Starts `call`; the bell rings at its end.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        py: Python<'_>,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Call> {
        let (token, ring) = (self.token(), self.ring.clone());
        let task = runtime(py)?.begin_then(call, move |ended| {
            let finish = move |py: Python<'_>| finish(py, ended, convert);
            ring.push((token, Some(Box::new(finish))));
        });
        Ok(Call { token, task })
    }

    /// A token, and what tells the event loop of it.
    pub(crate) fn watch(&self) -> (u64, impl Fn() + Send + Sync + 'static) {
        let (token, ring) = (self.token(), self.ring.clone());
        (token, move || ring.push((token, None)))
    }

    fn token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }
}

fn finish<T>(
    py: Python<'_>,
    ended: Result<Result<T, Error>, Broken>,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    match ended {
        Ok(Ok(value)) => convert(py, value),
        Ok(Err(cause)) => Err(error::raise(py, &cause)),
        Err(broken) => Err(error::broken(py, broken)),
    }
}

/// A call under way, for an event loop. Dropping it ends the call.
#[pyclass(frozen, module = "libchat._libchat")]
pub(crate) struct Call {
    #[pyo3(get)]
    token: u64,
    task: Task,
}

impl Drop for Call {
    fn drop(&mut self) {
        if !libchat::bridge::is_forked() {
            self.task.abort();
        }
    }
}
