//! What the sends of a manager came to that nobody waits for, told one after the other.

use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libchat::bridge::SendSlot;
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

struct Completion {
    sent: Result<Receipt, Failure>,
    on_sent: libchat_sent_fn,
    user_data: UserData,
    slot: SendSlot,
    /// Close waits until it is dropped.
    _token: TaskTrackerToken,
}

impl Completer {
    pub(crate) fn new(
        completions: Arc<Completions>,
        id: CString,
        slot: SendSlot,
        on_sent: libchat_sent_fn,
        user_data: UserData,
        token: TaskTrackerToken,
    ) -> Completer {
        // What is told where the task ends without a word.
        let sent = Err(Failure::panicked().about(&id));
        let completion = Completion { sent, on_sent, user_data, slot, _token: token };
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
}

impl Completions {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>) -> Arc<Completions> {
        let (lifecycle, ready) = (Lifecycle::new(), Mutex::default());
        Arc::new(Completions { lifecycle, dispatcher, ready })
    }

    fn push(self: &Arc<Completions>, completion: Completion) {
        self.ready().push_back(completion);
        self.dispatcher.wake(self);
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
        for Completion { sent, on_sent, user_data, slot, _token } in ready {
            let (status, error) = match &sent {
                Ok(_) => (LIBCHAT_OK, std::ptr::null()),
                Err(failure) => (failure.status(), failure.as_ptr()),
            };
            let receipt = receipt_of(&sent);
            // Free for what the callback sends.
            drop(slot);
            if let Some(on_sent) = on_sent {
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
