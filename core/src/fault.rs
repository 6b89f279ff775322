//! How long a reader has had no source, why, and when it tries again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::REQUEST_TIMEOUT;
use crate::error::{Error, ErrorKind};

/// The first pause before trying again; it doubles up to the last.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long without a source until it is said.
const STALL: Duration = Duration::from_secs(10);

/// Whether a reader has a source, and how often it has found one again.
#[derive(Default)]
pub(crate) struct Health {
    fault: Option<Fault>,
    reopens: u64,
}

impl Health {
    /// Why there has been no source for 10 s, if so.
    pub(crate) fn stalled(&self) -> Option<&Error> {
        self.fault.as_ref().filter(|it| it.is_stall()).map(|it| &it.reason)
    }

    /// Why there is no source now.
    pub(crate) fn reason(&self) -> Option<&Error> {
        self.fault.as_ref().map(|it| &it.reason)
    }

    /// The right that is missing, where no source can be had without it.
    pub(crate) fn refused(&self) -> Option<&Error> {
        self.reason().filter(|it| it.kind() == ErrorKind::Unauthorized)
    }

    /// How often a source was found again since this was last asked.
    pub(crate) fn take_reopens(&mut self) -> u64 {
        std::mem::take(&mut self.reopens)
    }

    /// There has been no source since then.
    pub(crate) fn failed(&mut self, since: Instant, reason: Error) {
        match &mut self.fault {
            Some(fault) => fault.again(reason),
            None => self.fault = Some(Fault::new(since, reason)),
        }
    }

    /// The source works again.
    pub(crate) fn recovered(&mut self) {
        if self.fault.take().is_some() {
            self.reopens += 1;
        }
    }

    /// Waits until it is time to try again; gives that try's deadline.
    pub(crate) async fn next_try(&self) -> Instant {
        let Some(fault) = &self.fault else { return Instant::now() + REQUEST_TIMEOUT };
        sleep(fault.backoff).await;
        fault.deadline()
    }
}

struct Fault {
    since: Instant,
    reason: Error,
    backoff: Duration,
}

impl Fault {
    fn new(since: Instant, reason: Error) -> Fault {
        Fault { since, reason, backoff: BACKOFF_MIN }
    }

    /// Trying again has failed too.
    fn again(&mut self, reason: Error) {
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.reason = reason;
    }

    fn is_stall(&self) -> bool {
        self.since.elapsed() >= STALL
    }

    /// For the next try: long enough for one request, short enough to say in time that nothing
    /// works.
    fn deadline(&self) -> Instant {
        let (request, stall) = (Instant::now() + REQUEST_TIMEOUT, self.since + STALL);
        if self.is_stall() { request } else { request.min(stall) }
    }
}
