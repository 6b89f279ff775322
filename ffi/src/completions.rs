//! What the sends of a manager came to that nobody waits for: told one after the other, or taken.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libchat::bridge::{SendSlot, WakeFd};
use libchat::{Error, Receipt};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::dispatch::{Caller, Dispatcher, UserData};
use crate::error::Failure;
use crate::lifecycle::Lifecycle;
use crate::send::{libchat_sent_fn, receipt_of};
use crate::status::*;

/// Sees to it that one completion comes of a send, whatever becomes of its task.
pub(crate) struct Completer {
    completions: Arc<Completions>,
    completion: Option<Completion>,
}

pub(crate) struct Completion {
    pub(crate) sent: Result<Receipt, Failure>,
    pub(crate) user_data: UserData,
    tell: Tell,
    slot: SendSlot,
    /// Close waits until it is dropped.
    _token: TaskTrackerToken,
}

/// How the host hears of a completion.
#[derive(Clone, Copy)]
pub(crate) enum Tell {
    Call(libchat_sent_fn),
    /// It takes it, when it wants to.
    Keep,
}

impl Completer {
    pub(crate) fn new(
        completions: Arc<Completions>,
        id: CString,
        slot: SendSlot,
        tell: Tell,
        user_data: UserData,
        token: TaskTrackerToken,
    ) -> Completer {
        // What is told where the task ends without a word.
        let sent = Err(Failure::panicked().about(&id));
        let completion = Completion { sent, user_data, tell, slot, _token: token };
        Completer { completions, completion: Some(completion) }
    }

    pub(crate) async fn complete(mut self, sent: impl Future<Output = Result<Receipt, Error>>) {
        let sent = sent.await.map_err(Failure::from);
        if let Some(completion) = &mut self.completion {
            completion.sent = sent;
        }
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if let Some(completion) = self.completion.take() {
            self.completions.push(completion);
        }
    }
}

/// Those of one manager.
pub(crate) struct Completions {
    lifecycle: Lifecycle,
    dispatcher: Arc<Dispatcher>,
    ready: Mutex<VecDeque<Completion>>,
    kept: Mutex<Kept>,
}

/// Those that the host takes.
#[derive(Default)]
struct Kept {
    all: VecDeque<Completion>,
    /// Readable while there is something to take, and from the end on.
    wake: Option<Arc<WakeFd>>,
    is_ended: bool,
}

impl Completions {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>) -> Arc<Completions> {
        let (ready, kept) = (Mutex::default(), Mutex::default());
        Arc::new(Completions { lifecycle: Lifecycle::new(), dispatcher, ready, kept })
    }

    fn push(self: &Arc<Completions>, completion: Completion) {
        if let Tell::Keep = completion.tell {
            let mut kept = self.kept();
            kept.all.push_back(completion);
            let wake = kept.wake.clone().filter(|_| kept.all.len() == 1);
            drop(kept);
            // Not under the lock: whoever this wakes wants it.
            if let Some(wake) = wake {
                wake.raise();
            }
            return;
        }
        self.ready().push_back(completion);
        self.dispatcher.wake(self);
    }

    /// Takes up to `max` of those that are kept.
    pub(crate) fn take(&self, max: usize) -> Vec<Completion> {
        let mut kept = self.kept();
        let count = max.min(kept.all.len());
        let taken = kept.all.drain(..count).collect();
        // Also when nothing was there: what is raised late is raised for what was taken.
        if kept.all.is_empty()
            && !kept.is_ended
            && let Some(wake) = &kept.wake
        {
            wake.lower();
        }
        taken
    }

    /// A descriptor that is readable while there is something to take, and from the end on.
    pub(crate) fn fd(&self) -> io::Result<OwnedFd> {
        let mut kept = self.kept();
        let wake = match kept.wake.take() {
            Some(wake) => wake,
            None => Arc::new(WakeFd::new()?),
        };
        if kept.is_ended || !kept.all.is_empty() {
            wake.raise();
        }
        kept.wake.insert(wake).duplicate()
    }

    /// Nothing will follow.
    pub(crate) fn end(&self) {
        let mut kept = self.kept();
        kept.is_ended = true;
        if let Some(wake) = &kept.wake {
            wake.raise();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Completion>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller for Completions {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn call(&self) -> bool {
        let ready = std::mem::take(&mut *self.ready());
        for Completion { sent, user_data, tell, slot, _token } in ready {
            let (status, error) = match &sent {
                Ok(_) => (LIBCHAT_OK, std::ptr::null()),
                Err(failure) => (failure.status(), failure.as_ptr()),
            };
            let receipt = receipt_of(&sent);
            // Free for what the callback sends.
            drop(slot);
            if let Tell::Call(Some(on_sent)) = tell {
                // SAFETY: the host gave it for this; both pointers live until it returns.
                unsafe { on_sent(status, &receipt, error, user_data.0) };
            }
        }
        false
    }

    /// What the lost turn had taken were completions that did not return; the rest goes on.
    fn panicked(&self) {}

    fn last_call(&self) {}
}
