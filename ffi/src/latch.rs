//! Something that happens once and is waited for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::status::*;

#[derive(Default)]
pub(crate) struct Latch {
    happened: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    pub(crate) fn set(&self) {
        *self.happened.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for it; fails with TIMEOUT after `limit`, which `None` is not.
    pub(crate) fn wait(&self, what: &str, limit: Option<Duration>) -> Result<(), Failure> {
        let happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = limit else {
            drop(self.changed.wait_while(happened, |happened| !*happened));
            return Ok(());
        };
        let waited = self.changed.wait_timeout_while(happened, limit, |happened| !*happened);
        let (happened, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *happened { Ok(()) } else { Err(late(what)) }
    }
}

/// A time too far to be counted is for ever.
pub(crate) fn until(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

pub(crate) fn late(what: &str) -> Failure {
    Failure::new(LIBCHAT_ERR_TIMEOUT, &format!("{what} has not ended in time; it goes on ending"))
        .hint("call again to go on waiting; a callback that does not return keeps it")
}
