//! A watch and whom it tells.

use std::sync::{Arc, Weak};

use libchat::bridge;

use crate::boundary::Out;
use crate::dispatch::{Caller, Dispatcher, Ending, UserData};
use crate::error::Failure;
use crate::events::{LIBCHAT_CONTINUE, Lent, libchat_event, libchat_event_fn, libchat_watch};
use crate::handles::Table;
use crate::lifecycle::Lifecycle;
use crate::manager::{Child, Manager};
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
    user_data: UserData,
    ending: Ending,
}

impl Watcher {
    pub(crate) fn add(
        manager: &Arc<Manager>,
        core: libchat::Watch,
        options: &libchat_watch_options,
        out: Out<libchat_watch>,
    ) -> Result<(), Failure> {
        let user_data = UserData(options.user_data);
        let watch = WATCHES.insert(|handle| {
            Arc::new(Watcher {
                handle,
                core,
                lifecycle: Arc::new(Lifecycle::new()),
                dispatcher: manager.conn().dispatcher().clone(),
                manager: Arc::downgrade(manager),
                on_event: options.on_event,
                user_data,
                ending: Ending::new(handle, options.on_done, user_data, manager.token()),
            })
        })?;
        manager.adopt(watch.handle, watch.clone(), out)?;
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

    pub(crate) fn stop(self: &Arc<Watcher>) {
        self.ending.stop();
        self.end();
    }

    /// Ends it, for whatever reason.
    fn end(self: &Arc<Watcher>) {
        // Muted first: what the queue holds must not be told while it ends.
        self.dispatcher.end(self);
        self.core.stop();
    }

    pub(crate) fn core(&self) -> &libchat::Watch {
        &self.core
    }

    pub(crate) fn was_stopped(&self) -> bool {
        self.ending.was_stopped()
    }

    /// Takes it out of the tables.
    pub(crate) fn release(&self) {
        if let Some(manager) = self.manager.upgrade() {
            manager.forget(self.handle);
        }
        self.remove();
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
                        self.ending.stop();
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
        self.ending.fail(Failure::panicked());
        self.finish_turn();
        self.core.stop();
    }

    fn last_call(&self) {
        self.ending.tell();
    }
}

impl Child for Watcher {
    fn end_with_manager(self: Arc<Watcher>) {
        self.end();
    }

    fn remove(&self) {
        // A handle that we issued; gone already is as good.
        drop(WATCHES.remove(self.handle));
    }
}
