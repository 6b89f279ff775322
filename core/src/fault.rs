//! How long a reader has had no source, why, and when it tries again.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::REQUEST_TIMEOUT;
use crate::error::Error;

/// The first pause before trying again; it doubles up to the last.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long without a source until it is said.
const STALL: Duration = Duration::from_secs(10);

pub(crate) struct Fault {
    since: Instant,
    pub(crate) reason: Error,
    pub(crate) backoff: Duration,
}

impl Fault {
    pub(crate) fn new(since: Instant, reason: Error) -> Fault {
        Fault { since, reason, backoff: BACKOFF_MIN }
    }

    /// Trying again has failed too.
    pub(crate) fn again(&mut self, reason: Error) {
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.reason = reason;
    }

    pub(crate) fn is_stall(&self) -> bool {
        self.since.elapsed() >= STALL
    }

    /// For the next try: long enough for one request, short enough to say in time that nothing
    /// works.
    pub(crate) fn deadline(&self) -> Instant {
        let (request, stall) = (Instant::now() + REQUEST_TIMEOUT, self.since + STALL);
        if self.is_stall() { request } else { request.min(stall) }
    }
}
