//! When a callback may run, and when the last one has: the states of everything that calls back.
//!
//! One dispatcher thread at a time has a *turn* with an object. Before each callback it asks, under
//! the lock, whether it may still call; `mute` takes the same lock. So once `mute` has returned no
//! further callback starts, and the one that runs, if any, finishes by itself.

use std::time::Instant;

#[cfg(libchat_loom)]
use loom::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(libchat_loom))]
use std::sync::{Condvar, Mutex, MutexGuard};

pub(crate) struct Lifecycle {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// It waits for a turn.
    queued: bool,
    /// A thread has a turn with it.
    running: bool,
    /// It was woken during the turn: another must follow.
    woken: bool,
    /// No more callbacks but the last.
    muted: bool,
    /// The last callback is due.
    ending: bool,
    /// The last callback has returned.
    done: bool,
}

impl Lifecycle {
    pub(crate) fn new() -> Lifecycle {
        Lifecycle { state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    /// There is something to do. `true`: the caller must see that it gets a turn.
    #[must_use]
    pub(crate) fn wake(&self) -> bool {
        self.lock().wants_turn()
    }

    /// No callback starts any more, but the last.
    pub(crate) fn mute(&self) {
        self.lock().muted = true;
    }

    /// Mutes it and makes the last callback due. `true` as for [`Lifecycle::wake`].
    #[must_use]
    pub(crate) fn end(&self) -> bool {
        let mut state = self.lock();
        state.muted = true;
        state.ending = true;
        state.wants_turn()
    }

    /// A turn begins.
    pub(crate) fn begin_turn(&self) {
        let mut state = self.lock();
        state.queued = false;
        state.running = true;
    }

    /// Whether a callback may start now.
    pub(crate) fn may_call(&self) -> bool {
        !self.lock().muted
    }

    /// Whether the last callback is due.
    pub(crate) fn is_ending(&self) -> bool {
        self.lock().ending
    }

    /// The turn ends, with `more` to do or not. `true`: the caller must see that it gets another.
    #[must_use]
    pub(crate) fn end_turn(&self, more: bool) -> bool {
        let mut state = self.lock();
        state.running = false;
        let more = more || state.woken;
        state.woken = false;
        more && state.wants_turn()
    }

    /// The last callback has returned; the turn ends with it.
    pub(crate) fn finish(&self) {
        self.lock().done = true;
        self.changed.notify_all();
    }

    /// Waits until the last callback has returned; `false` if it has not by then.
    pub(crate) fn join(&self, until: Option<Instant>) -> bool {
        let mut state = self.lock();
        while !state.done {
            match self.wait(state, until) {
                Some(again) => state = again,
                None => return false,
            }
        }
        true
    }

    #[cfg(not(libchat_loom))]
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'a, State>> {
        let Some(until) = until else {
            return Some(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let waited = self.changed.wait_timeout(state, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// loom knows no time.
    #[cfg(libchat_loom)]
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        _: Option<Instant>,
    ) -> Option<MutexGuard<'a, State>> {
        Some(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wants_turn(&mut self) -> bool {
        if self.done || self.queued {
            return false;
        }
        if self.running {
            self.woken = true;
            return false;
        }
        self.queued = true;
        true
    }
}
