//! For faces in other languages, whose callers have threads and no async runtime: threads of our
//! own, waits in the caller's thread, and a check for forked processes.
//!
//! It changes with the faces that are built on it; programs in Rust need none of it.
#![allow(unsafe_code)] // signal masks, forks

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;

use crate::ask;
use crate::cancel::{Cancel, unless_cancelled};
use crate::config::SendOptions;
use crate::error::{Error, ErrorKind};
use crate::manager::Manager;
use crate::message::Receipt;
use crate::name::ThreadRef;
use crate::send::Accepted;
use crate::watch::Watch;

pub use crate::log::{LogSink, is_logging, set_log};
pub use crate::wake::WakeFd;
pub use crate::watch::message_of;

/// Whose thread this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The host program's.
    Host,
    /// A thread of [`spawn_thread`]: it may wait for calls, but not for its own end.
    Call,
    /// The network's: it must wait for nothing.
    Io,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Host) };
}

/// The calling thread's role.
pub fn role() -> Role {
    ROLE.get()
}

/// Starts a thread for callbacks, with all signals blocked, so that the host's handlers never run
/// on it, nor does a broken connection end the host by SIGPIPE.
pub fn spawn_thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    spawn(name, Role::Call, work)
}

fn spawn(
    name: &str,
    role: Role,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let body = move || {
        ROLE.set(role);
        work();
    };
    let _before = Mask::block_all();
    let thread = Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|cause| {
        Error::new(ErrorKind::System, format!("start thread {name}")).because(cause)
    })
}

/// The calling thread's signal mask, put back when this is dropped. Threads inherit the mask of the
/// one that starts them, so that there is no moment without it.
struct Mask(libc::sigset_t);

impl Mask {
    fn block_all() -> Mask {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: sigfillset initialises `all`, and pthread_sigmask, which cannot fail with these
        // arguments, `before`. It changes nothing but the calling thread's mask.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Mask(before.assume_init())
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the mask is one that the system gave.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Whether this process was forked from one that had claimed it.
static IS_FORKED: AtomicBool = AtomicBool::new(false);

/// Notes that this process is about to open something that does not survive a fork.
pub fn claim_process() {
    extern "C" fn forked() {
        IS_FORKED.store(true, Ordering::Relaxed);
    }
    static CLAIM: Once = Once::new();
    CLAIM.call_once(|| {
        // SAFETY: a store is all that it does in the child, which no lock can hold up. It fails
        // only for want of memory: a child is then as little protected as by any other library.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    });
}

/// Whether this process was forked from one that had opened something: its locks may be held and
/// its threads are gone, so that nothing of libchat may be touched.
pub fn is_forked() -> bool {
    IS_FORKED.load(Ordering::Relaxed)
}

/// Why a call has no result of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A bug: it panicked.
    Panicked,
    /// It was to wait on a thread of the runtime, where nothing may.
    OwnThread,
    /// The runtime has ended.
    Ended,
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The thread on which a connection works. All calls run there, never on the caller's thread.
// Of our own rather than tokio's workers: where the system has no thread left those panic, or hang.
pub struct Runtime {
    handle: runtime::Handle,
    /// Tasks on their way to the thread.
    arrivals: UnboundedSender<Boxed>,
    /// How long the end may wait for the system's resolver.
    end: Mutex<Option<oneshot::Sender<Duration>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Runtime {
    /// Starts the thread; `System` if there can be none.
    pub fn start() -> Result<Runtime, Error> {
        let built = runtime::Builder::new_current_thread()
            // Those in the system's resolver: tokio's only ones.
            .thread_name("libchat-io")
            .on_thread_start(|| ROLE.set(Role::Io))
            .enable_all()
            .build();
        let runtime = built.map_err(|cause| {
            Error::new(ErrorKind::System, "start the network's thread").because(cause)
        })?;
        let handle = runtime.handle().clone();
        let (arrivals, arriving) = unbounded_channel();
        let (end, ended) = oneshot::channel();
        let thread = spawn("libchat-io", Role::Io, move || {
            runtime.spawn(start_arrivals(arriving));
            let limit = runtime.block_on(ended).unwrap_or_default();
            runtime.shutdown_timeout(limit);
        })?;
        Ok(Runtime {
            handle,
            arrivals,
            end: Mutex::new(Some(end)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `task` to its end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.handle.spawn(task).abort_handle())
    }

    /// The same for one of many tasks, which nobody aborts.
    pub fn spawn_many(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Refused where the thread has ended: the task is dropped, as it is there.
        let _ = self.arrivals.send(Box::pin(task));
    }

    /// Starts `call`, which `cancel` may end.
    pub fn begin<T: Send + 'static>(
        &self,
        cancel: Option<Cancel>,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Pending<T> {
        let (sender, result) = sync_channel(1);
        let task = self.begin_then(unless_cancelled(cancel, call), move |ended| {
            // Nobody waits any more where this fails.
            let _ = sender.send(ended);
        });
        Pending { result, task }
    }

    /// Starts `call`, and has `then` run on the runtime's thread when it ends: it must not block.
    /// Not when the task is aborted before.
    pub fn begin_then<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
        then: impl FnOnce(Result<Result<T, Error>, Broken>) + Send + 'static,
    ) -> Task {
        // Boxed: what wraps it would hold it twice.
        let call = Box::pin(call);
        self.spawn(async move {
            let ended = AssertUnwindSafe(call).catch_unwind().await;
            then(ended.map_err(|_| Broken::Panicked));
        })
    }

    /// Stops the thread and waits for its end. `limit` is for one in the system's resolver, which
    /// nothing ends, and which is left behind then. Not on the thread itself.
    pub fn end(&self, limit: Duration) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(end) = end {
            // Refused where the thread has ended.
            let _ = end.send(limit);
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Tasks are guarded, so that it does not end by a panic.
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Starts what has arrived, all of it before any of it runs.
// tokio takes one task of another thread's at a time, and then runs what that one wakes: each
// message would go to the network by itself. And it makes a system call for each.
async fn start_arrivals(mut arriving: UnboundedReceiver<Boxed>) {
    let mut tasks = Vec::new();
    while arriving.recv_many(&mut tasks, ARRIVALS).await > 0 {
        tasks.drain(..).for_each(|task| drop(tokio::spawn(task)));
    }
}

/// How many tasks are started at once.
const ARRIVALS: usize = 64;

/// Something that runs on a [`Runtime`], whether this is kept or not.
pub struct Task(AbortHandle);

impl Task {
    /// Ends it at its next step.
    pub fn abort(&self) {
        self.0.abort();
    }
}

/// A call under way. Dropping it ends the call.
pub struct Pending<T> {
    result: Receiver<Result<Result<T, Error>, Broken>>,
    task: Task,
}

impl<T> Pending<T> {
    /// Waits in the calling thread for the result.
    pub fn wait(self) -> Result<Result<T, Error>, Broken> {
        if role() == Role::Io {
            return Err(Broken::OwnThread);
        }
        self.result.recv().unwrap_or(Err(Broken::Ended))
    }

    /// The same for at most `limit`; `None` if there is no result yet.
    pub fn wait_for(&self, limit: Duration) -> Option<Result<Result<T, Error>, Broken>> {
        if role() == Role::Io {
            return Some(Err(Broken::OwnThread));
        }
        match self.result.recv_timeout(limit) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(Broken::Ended)),
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a send came to.
type Sent = Result<Receipt, Error>;

/// A message that was taken to be sent without waiting.
pub struct AcceptedSend<F> {
    /// Its id.
    pub id: String,
    /// Sends it. To be run at once: later messages to the thread wait behind it.
    pub sent: F,
    /// Its place among those that may be under way; free when dropped.
    pub slot: SendSlot,
}

/// One of the 1,024 sends of a manager that may be under way without anybody waiting.
pub struct SendSlot {
    _permit: OwnedSemaphorePermit,
}

/// Takes a message to be sent without waiting: it is stored in the order of these calls. `None` if
/// every slot is taken.
pub fn accept_send(
    manager: &Manager,
    thread: ThreadRef<'_>,
    body: &[u8],
    options: SendOptions,
) -> Result<Option<AcceptedSend<impl Future<Output = Sent> + Send + use<>>>, Error> {
    let accepted = manager.accept(thread, body, options)?;
    Ok(accepted.map(|Accepted { sending, permit }| AcceptedSend {
        id: sending.id().to_owned(),
        sent: sending.run(),
        slot: SendSlot { _permit: permit },
    }))
}

/// Has `hook` called whenever `watch` has something to take where it had nothing, and once now if
/// it has. It is called under locks: it must not block, nor call libchat.
pub fn on_readable(watch: &Watch, hook: impl Fn() + Send + Sync + 'static) {
    watch.set_hook(Box::new(hook));
}

/// What [`Request::fail`](crate::Request::fail) asks of a code; for whoever must not lose the
/// request over it.
pub fn check_code(code: &str) -> Result<(), Error> {
    ask::check_code(code)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// The mask of blocked signals and the name of the calling thread, as the kernel has them.
    fn status(field: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("field");
        line.trim().to_owned()
    }

    #[test]
    fn threads_have_all_signals_blocked_and_the_starter_has_not() {
        let before = status("SigBlk:");
        let (sender, seen) = channel();
        let thread = spawn_thread("libchat-call", move || {
            sender.send((status("SigBlk:"), status("Name:"), role())).expect("sent");
        });
        let runtime = Runtime::start().expect("starts");
        let io = runtime.begin(None, async { Ok((status("SigBlk:"), status("Name:"), role())) });
        for (name, role, seen) in [
            ("libchat-call", Role::Call, seen.recv().expect("ran")),
            ("libchat-io", Role::Io, io.wait().expect("ran").expect("ended")),
        ] {
            // The two signals that threads themselves need cannot be blocked, nor KILL and STOP.
            assert_eq!(seen, ("fffffffe7ffbfeff".into(), name.into(), role));
        }
        thread.expect("started").join().expect("ends");
        runtime.end(Duration::from_secs(60));
        assert_eq!(status("SigBlk:"), before);
    }

    #[test]
    fn a_panic_a_cancel_and_the_end_are_told_apart() {
        let runtime = Runtime::start().expect("starts");
        let panics = runtime.begin::<()>(None, async { panic!("on purpose") });
        assert_eq!(panics.wait().expect_err("panicked"), Broken::Panicked);
        let cancel = Cancel::new();
        let call = runtime.begin::<()>(Some(cancel.clone()), std::future::pending());
        assert!(call.wait_for(Duration::from_millis(1)).is_none());
        cancel.fire();
        let error = call.wait().expect("ran").expect_err("cancelled");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let left = runtime.begin::<()>(None, std::future::pending());
        runtime.end(Duration::from_secs(60));
        assert_eq!(left.wait().expect_err("ended"), Broken::Ended);
        let late = runtime.begin(None, async { Ok(()) });
        assert_eq!(late.wait().expect_err("ended"), Broken::Ended);
    }

    #[test]
    fn a_runtimes_thread_never_waits() {
        let runtime = std::sync::Arc::new(Runtime::start().expect("starts"));
        let inner = runtime.clone();
        let outer =
            runtime.begin(None, async move { Ok(inner.begin(None, async { Ok(()) }).wait()) });
        let inner = outer.wait().expect("ran").expect("ended");
        assert_eq!(inner.expect_err("not here"), Broken::OwnThread);
    }
}
