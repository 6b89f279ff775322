//! A watch and whom it tells.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use libchat::ErrorKind;
use libchat::bridge;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::boundary::Out;
use crate::dispatch::{Caller, Dispatcher, UserData, tell_done};
use crate::error::Failure;
use crate::events::libchat_watch;
use crate::events::{LIBCHAT_CONTINUE, Lent, libchat_done_fn, libchat_event, libchat_event_fn};
use crate::handles::Table;
use crate::lifecycle::Lifecycle;
use crate::manager::Manager;
use crate::status::*;
use crate::watch::libchat_watch_options;

static WATCHES: Table<Watcher> = Table::new(3);

/// How many events are taken from the queue at once.
const BATCH: usize = 64;
/// How many a watch may have in one turn, where others wait for a thread.
const TURN: usize = 512;

/// A watch and whom it tells.
pub(crate) struct Watcher {
    handle: u64,
    core: libchat::Watch,
    lifecycle: Arc<Lifecycle>,
    dispatcher: Arc<Dispatcher>,
    manager: Weak<Manager>,
    on_event: libchat_event_fn,
    on_done: libchat_done_fn,
    user_data: UserData,
    /// By its user, rather than with its manager.
    stopped: AtomicBool,
    panicked: AtomicBool,
    /// The manager's close waits until it is dropped.
    token: Mutex<Option<TaskTrackerToken>>,
}

impl Watcher {
    pub(crate) fn add(
        manager: &Arc<Manager>,
        core: libchat::Watch,
        options: &libchat_watch_options,
        out: Out<libchat_watch>,
    ) -> Result<(), Failure> {
        let watch = WATCHES.insert(|handle| {
            Arc::new(Watcher {
                handle,
                core,
                lifecycle: Arc::new(Lifecycle::new()),
                dispatcher: manager.conn().dispatcher().clone(),
                manager: Arc::downgrade(manager),
                on_event: options.on_event,
                on_done: options.on_done,
                user_data: UserData(options.user_data),
                stopped: AtomicBool::new(false),
                panicked: AtomicBool::new(false),
                token: Mutex::new(Some(manager.token())),
            })
        })?;
        // Before the manager knows of it, whose close may end it at once.
        out.set(watch.handle);
        if let Err(closed) = manager.add_watch(watch.handle, &watch) {
            out.set(0);
            Watcher::remove(watch.handle);
            return Err(closed);
        }
        if watch.on_event.is_some() {
            let (dispatcher, lifecycle) = (watch.dispatcher.clone(), watch.lifecycle.clone());
            let weak = Arc::downgrade(&watch);
            bridge::on_readable(&watch.core, move || dispatcher.wake_weak(&lifecycle, &weak));
        }
        Ok(())
    }

    pub(crate) fn of(handle: libchat_watch) -> Result<Arc<Watcher>, Failure> {
        WATCHES.get(handle)
    }

    /// `None` if it is closed already.
    pub(crate) fn to_close(handle: libchat_watch) -> Result<Option<Arc<Watcher>>, Failure> {
        WATCHES.get_to_close(handle)
    }

    /// A watch in pull mode.
    pub(crate) fn to_pull(handle: libchat_watch) -> Result<Arc<Watcher>, Failure> {
        let watch = WATCHES.get(handle)?;
        if watch.on_event.is_some() {
            let text = "this watch has a callback, which gets its events";
            return Err(Failure::new(LIBCHAT_ERR_INVALID_STATE, text));
        }
        Ok(watch)
    }

    pub(crate) fn remove(handle: u64) {
        // A handle that we issued; gone already is as good.
        drop(WATCHES.remove(handle));
    }

    pub(crate) fn stop(self: &Arc<Watcher>) {
        self.stopped.store(true, Ordering::Release);
        self.end();
    }

    /// Ends it, for whatever reason.
    pub(crate) fn end(self: &Arc<Watcher>) {
        // Muted first: what the queue holds must not be told while it ends.
        self.dispatcher.end(self);
        self.core.stop();
    }

    pub(crate) fn core(&self) -> &libchat::Watch {
        &self.core
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Takes it out of the tables.
    pub(crate) fn release(&self) {
        if let Some(manager) = self.manager.upgrade() {
            manager.forget_watch(self.handle);
        }
        Watcher::remove(self.handle);
    }

    /// Within a turn, which then ends with the last call.
    fn finish_turn(&self) {
        // No turn to ask for: this one goes on to the end.
        let _ = self.lifecycle.end();
    }

    /// Tells one event; whether the next may follow.
    fn tell(&self, event: &libchat_event) -> bool {
        let Some(on_event) = self.on_event else { return false };
        if !self.lifecycle.may_call() {
            return false;
        }
        // SAFETY: the host gave it for this; the event lives until it returns.
        let flow = unsafe { on_event(self.handle, event, self.user_data.0) };
        flow == LIBCHAT_CONTINUE
    }
}

impl Caller for Watcher {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn call(&self) -> bool {
        if self.on_event.is_none() {
            return false;
        }
        for _ in 0..TURN / BATCH {
            let taken = match self.core.take(BATCH) {
                Ok(taken) => taken,
                Err(_) => {
                    // Ended in core, without us: with its manager.
                    self.finish_turn();
                    return false;
                }
            };
            let is_all = taken.len() < BATCH;
            for event in taken {
                let event = Lent::new(event);
                if !self.tell(event.event()) {
                    if self.lifecycle.may_call() {
                        self.stopped.store(true, Ordering::Release);
                        self.finish_turn();
                        self.core.stop();
                    }
                    return false;
                }
            }
            if is_all {
                return false;
            }
        }
        true
    }

    fn panicked(&self) {
        self.panicked.store(true, Ordering::Relaxed);
        self.finish_turn();
        self.core.stop();
    }

    fn last_call(&self) {
        let failure = if self.panicked.load(Ordering::Relaxed) {
            Some(Failure::panicked())
        } else if self.stopped.load(Ordering::Acquire) {
            None
        } else {
            Some(match self.core.take(1) {
                Err(error) if error.kind() != ErrorKind::Closed => error.into(),
                _ => Failure::closed("the manager is closed"),
            })
        };
        tell_done(self.on_done, self.handle, failure, self.user_data);
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(token);
    }
}
