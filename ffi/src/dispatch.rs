//! The threads on which callbacks run: one more starts whenever all are busy, up to a bound, so
//! that a callback that blocks holds up no other.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use libchat::bridge::{self, Role};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::Failure;
use crate::events::libchat_done_fn;
use crate::latch::{late, until};
use crate::lifecycle::Lifecycle;
use crate::read::wait_in;
use crate::status::*;

/// Something that calls back: a watch, a responder, the completions of a manager's sends.
pub(crate) trait Caller: Send + Sync {
    fn lifecycle(&self) -> &Lifecycle;

    /// Runs callbacks as long as [`Lifecycle::may_call`], but not for ever. Whether there is more.
    fn call(&self) -> bool;

    /// The turn before was ended by a panic.
    fn panicked(&self);

    /// Runs the last callback.
    fn last_call(&self);
}

pub(crate) struct Dispatcher {
    state: Mutex<State>,
    filled: Condvar,
    threads_max: usize,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<dyn Caller>>,
    /// Threads that wait for something to do.
    idle: usize,
    threads: Vec<JoinHandle<()>>,
    ending: bool,
}

impl Dispatcher {
    /// With one thread, so that there is one in any case.
    pub(crate) fn start(threads_max: usize) -> Result<Arc<Dispatcher>, Failure> {
        let dispatcher =
            Arc::new(Dispatcher { state: Mutex::default(), filled: Condvar::new(), threads_max });
        let first = dispatcher.start_thread()?;
        dispatcher.lock().threads.push(first);
        Ok(dispatcher)
    }

    /// Gives `caller` a turn if it has something to do and no turn yet.
    pub(crate) fn wake(self: &Arc<Dispatcher>, caller: &Arc<impl Caller + 'static>) {
        if caller.lifecycle().wake() {
            self.push(caller.clone());
        }
    }

    /// The same for a hook of core's, under whose locks no caller may be dropped: one that is woken
    /// goes into the queue, and one that is not is not touched.
    pub(crate) fn wake_weak(
        self: &Arc<Dispatcher>,
        lifecycle: &Lifecycle,
        caller: &Weak<impl Caller + 'static>,
    ) {
        if lifecycle.wake()
            && let Some(caller) = caller.upgrade()
        {
            self.push(caller);
        }
    }

    /// Mutes `caller` and gives it its last call.
    pub(crate) fn end(self: &Arc<Dispatcher>, caller: &Arc<impl Caller + 'static>) {
        if caller.lifecycle().end() {
            self.push(caller.clone());
        }
    }

    fn push(self: &Arc<Dispatcher>, caller: Arc<dyn Caller>) {
        let mut state = self.lock();
        state.ready.push_back(caller);
        let is_busy = state.ready.len() > state.idle && !state.ending;
        if is_busy && state.threads.len() < self.threads_max {
            match self.start_thread() {
                Ok(thread) => state.threads.push(thread),
                // The threads that there are will come to it.
                Err(failure) => tracing::warn!(?failure, "callbacks wait for a thread"),
            }
        }
        drop(state);
        self.filled.notify_one();
    }

    fn start_thread(self: &Arc<Dispatcher>) -> Result<JoinHandle<()>, Failure> {
        let dispatcher = self.clone();
        Ok(bridge::spawn_thread("libchat-call", move || dispatcher.run())?)
    }

    fn run(self: Arc<Dispatcher>) {
        while let Some(caller) = self.next() {
            if turn(&*caller) {
                self.push(caller);
            }
        }
    }

    fn next(&self) -> Option<Arc<dyn Caller>> {
        let mut state = self.lock();
        loop {
            if let Some(caller) = state.ready.pop_front() {
                return Some(caller);
            }
            if state.ending {
                return None;
            }
            state.idle += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Ends the threads when all that is ready has had its turn, and waits for them.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.ending = true;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.filled.notify_all();
        for thread in threads {
            // Callbacks are guarded, so that a thread does not end by a panic.
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it must have another turn.
fn turn(caller: &dyn Caller) -> bool {
    let lifecycle = caller.lifecycle();
    lifecycle.begin_turn();
    let mut more = false;
    if !lifecycle.is_ending() {
        match catch_unwind(AssertUnwindSafe(|| caller.call())) {
            Ok(rest) => more = rest,
            Err(_) => caller.panicked(),
        }
    }
    if !lifecycle.is_ending() {
        return lifecycle.end_turn(more);
    }
    if catch_unwind(AssertUnwindSafe(|| caller.last_call())).is_err() {
        tracing::error!("the last callback ended by a panic");
    }
    lifecycle.finish();
    false
}

/// The host's pointer, which is only handed back.
#[derive(Clone, Copy)]
pub(crate) struct UserData(pub(crate) *mut c_void);

// SAFETY: libchat never looks behind it; the header says that callbacks run on other threads.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// Whether this thread runs callbacks: it must not wait for their end.
pub(crate) fn is_on_own_thread() -> bool {
    bridge::role() != Role::Host
}

/// Waits until the last callback of what `find` finds has returned, which a thread that runs
/// callbacks must not.
pub(crate) fn join<C: Caller>(
    what: &str,
    find: impl FnOnce() -> Result<Arc<C>, Failure>,
    timeout_ms: u32,
) -> Result<libchat_status, Failure> {
    if is_on_own_thread() {
        let text = "join: called on a thread of libchat, which cannot wait for its own end";
        return Err(
            Failure::new(LIBCHAT_ERR_WOULD_DEADLOCK, text).hint("stop here, and join elsewhere")
        );
    }
    if find()?.lifecycle().join(until(wait_in(timeout_ms))) {
        Ok(LIBCHAT_OK)
    } else {
        Err(late(what))
    }
}

/// The last callback of a watch or a responder, and why it comes.
pub(crate) struct Ending {
    handle: u64,
    on_done: libchat_done_fn,
    user_data: UserData,
    /// By its user, rather than with its manager.
    stopped: AtomicBool,
    failure: Mutex<Option<Failure>>,
    /// The manager's close waits until it is dropped.
    token: Mutex<Option<TaskTrackerToken>>,
}

impl Ending {
    pub(crate) fn new(
        handle: u64,
        on_done: libchat_done_fn,
        user_data: UserData,
        token: TaskTrackerToken,
    ) -> Ending {
        let (stopped, failure) = (AtomicBool::new(false), Mutex::new(None));
        Ending { handle, on_done, user_data, stopped, failure, token: Mutex::new(Some(token)) }
    }

    /// Its user has stopped it.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Something else has ended it.
    pub(crate) fn fail(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Tells it: END, or why it came.
    pub(crate) fn tell(&self) {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let failure = match failure {
            None if self.was_stopped() => None,
            None => Some(Failure::closed("the manager is closed")),
            failure => failure,
        };
        let (status, error) = match &failure {
            Some(failure) => (failure.status(), failure.as_ptr()),
            None => (LIBCHAT_END, ptr::null()),
        };
        if let Some(on_done) = self.on_done {
            // SAFETY: the host gave it for this; the error lives until it returns.
            unsafe { on_done(self.handle, status, error, self.user_data.0) };
        }
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(token);
    }
}
