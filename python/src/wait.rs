//! Calls of the core from Python's threads: the lock released, Ctrl-C heard, forks noticed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libchat::Error;
use libchat::bridge::{self, Broken, Runtime};
use pyo3::prelude::*;

use crate::bell::Bell;
use crate::error;

/// How long Ctrl-C may go unheard in the main thread.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);
/// How long the interpreter's end waits for threads in code of the host's that we called.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The network's thread of this process. It lives as long as the process: Python's exit waits for
/// nobody.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

pub(crate) fn runtime(py: Python<'_>) -> PyResult<&'static Runtime> {
    check_process(py)?;
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    bridge::claim_process();
    let started = Runtime::start().map_err(|cause| error::raise(py, &cause))?;
    // Of two threads that come at once one has its runtime ended again, which has done nothing yet.
    Ok(RUNTIME.get_or_init(|| started))
}

/// Runs `task` to its end, and nobody waits for it.
pub(crate) fn close_behind(task: impl Future<Output = ()> + Send + 'static) {
    if let Some(runtime) = RUNTIME.get() {
        runtime.spawn(task);
    }
}

/// Runs what handlers of signals there are, one of which may have forked this process.
fn look_up(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    check_process(py)
}

/// For libchat.aio.
#[pyfunction]
pub(crate) fn _check_process(py: Python<'_>) -> PyResult<()> {
    check_process(py)
}

pub(crate) fn check_process(py: Python<'_>) -> PyResult<()> {
    if bridge::is_forked() { Err(error::forked(py)) } else { Ok(()) }
}

/// An object of the core's, out of reach in a forked process: there nothing of it may be touched,
/// not even to free it.
pub(crate) struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    pub(crate) fn new(it: T) -> Kept<T> {
        Kept(Some(it))
    }

    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<&T> {
        check_process(py)?;
        self.0.as_ref().ok_or_else(|| error::broken(py, Broken::Ended))
    }

    /// For whoever is about to drop this; `None` in a forked process.
    pub(crate) fn last(&mut self) -> Option<T> {
        let it = self.0.take();
        if bridge::is_forked() {
            std::mem::forget(it);
            return None;
        }
        it
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        drop(self.last());
    }
}

/// How a verb's result reaches its caller: blocking, or by an event loop.
pub(crate) enum Face {
    Blocking,
    Asyncio(Py<Bell>),
}

impl Face {
    pub(crate) fn share(&self, py: Python<'_>) -> Face {
        match self {
            Face::Blocking => Face::Blocking,
            Face::Asyncio(bell) => Face::Asyncio(bell.clone_ref(py)),
        }
    }

    /// The result of `call` as `convert` makes it, or what an event loop is to wait for.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        match self {
            Face::Blocking => {
                let value = wait(py, call)?;
                convert(py, value)
            }
            Face::Asyncio(bell) => {
                let call = bell.get().begin(py, call, convert)?;
                Ok(Py::new(py, call)?.into_any())
            }
        }
    }
}

/// Waits for `call`, without Python's lock. What ends the wait by a signal ends the call.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> PyResult<T> {
    let mut pending = runtime(py)?.begin(None, call);
    loop {
        let ended;
        (pending, ended) = py.detach(move || {
            let ended = pending.wait_for(patience());
            (pending, ended)
        });
        match ended {
            None => {
                if let Err(error) = look_up(py) {
                    if bridge::is_forked() {
                        std::mem::forget(pending);
                    }
                    return Err(error);
                }
            }
            Some(Ok(result)) => return result.map_err(|cause| error::raise(py, &cause)),
            Some(Err(broken)) => return Err(error::broken(py, broken)),
        }
    }
}

/// Repeats `step`, which waits without Python's lock for as long as it is told, until it has
/// something; `None` at the end of `timeout`.
pub(crate) fn until<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut step: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    // A time too far to be counted is for ever.
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let limit = left.map_or(patience(), |left| left.min(patience()));
        if let Some(found) = py.detach(|| step(limit)) {
            return Ok(Some(found));
        }
        look_up(py)?;
        if left.is_some_and(|left| left <= limit) {
            return Ok(None);
        }
    }
}

/// Threads in Python code that was called by ours, and whether the interpreter is about to end.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static IS_LEAVING: AtomicBool = AtomicBool::new(false);

/// Runs Python code from ours. An interpreter that ends unwinds the other threads that want to go
/// on in such code (CPython below 3.14), which frames of Rust do not survive: [`_leave`] waits for
/// those inside, and who comes after it stays outside.
pub(crate) fn call_python<T>(py: Python<'_>, call: impl FnOnce() -> T) -> T {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let inside = Inside;
    if IS_LEAVING.load(Ordering::SeqCst) && !is_main_thread() {
        drop(inside);
        py.detach(|| {
            loop {
                std::thread::park();
            }
        });
    }
    call()
}

/// Called before the interpreter ends.
#[pyfunction]
pub(crate) fn _leave(py: Python<'_>) {
    IS_LEAVING.store(true, Ordering::SeqCst);
    let end = Instant::now() + LEAVE_TIMEOUT;
    // In a forked process those inside are the parent's threads, which are not here.
    let is_somebody_inside = || !bridge::is_forked() && INSIDE.load(Ordering::SeqCst) > 0;
    while is_somebody_inside() && Instant::now() < end {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// How long a wait may last in this thread: Python runs its signal handlers in the main one only.
fn patience() -> Duration {
    if is_main_thread() { SIGNAL_CHECK } else { Duration::MAX }
}

#[cfg(target_os = "linux")]
fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Where it cannot be told every thread counts as one.
#[cfg(not(target_os = "linux"))]
fn is_main_thread() -> bool {
    true
}
