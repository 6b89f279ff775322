//! What the sends of a manager came to that nobody waits for, told one after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    sent: Option<Result<Receipt, Failure>>,
    on_sent: libchat_sent_fn,
    user_data: UserData,
    token: Option<TaskTrackerToken>,
}

impl Completer {
    pub(crate) fn new(
        completions: Arc<Completions>,
        on_sent: libchat_sent_fn,
        user_data: UserData,
        token: TaskTrackerToken,
    ) -> Completer {
        Completer { completions, sent: None, on_sent, user_data, token: Some(token) }
    }

    pub(crate) async fn complete(mut self, sending: impl Future<Output = Result<Receipt, Error>>) {
        self.sent = Some(sending.await.map_err(Failure::from));
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        let sent = self.sent.take().unwrap_or_else(|| Err(Failure::panicked()));
        let (on_sent, user_data) = (self.on_sent, self.user_data);
        self.completions.push(Completion { sent, on_sent, user_data, _token: self.token.take() });
    }
}

struct Completion {
    sent: Result<Receipt, Failure>,
    on_sent: libchat_sent_fn,
    user_data: UserData,
    /// Close waits until it is dropped.
    _token: Option<TaskTrackerToken>,
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
        for Completion { sent, on_sent, user_data, _token } in ready {
            let (status, error) = match &sent {
                Ok(_) => (LIBCHAT_OK, std::ptr::null()),
                Err(failure) => (failure.status(), failure.as_ptr()),
            };
            let receipt = receipt_of(&sent);
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
