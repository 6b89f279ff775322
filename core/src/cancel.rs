//! Ends a call from somewhere else.

use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};

/// Ends the calls it was given to, from any thread. Clones are the same token; it stays fired.
///
/// Dropping a future ends a call too, but nobody is told what became of it. A send that was given a
/// token and is cancelled answers: `Cancelled`, and nothing is stored, or `OutcomeUnknown`.
#[derive(Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// A token that has not fired.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Ends every call that has this token, those to come included.
    pub fn fire(&self) {
        self.0.cancel();
    }

    /// Whether it has fired.
    pub fn is_fired(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns when it fires.
    pub(crate) async fn fired(&self) {
        self.0.cancelled().await;
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_fired()).finish()
    }
}

/// Runs `call` until it ends or `cancel` fires.
pub(crate) async fn unless_cancelled<T>(
    cancel: Option<Cancel>,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(cancel) = cancel else { return call.await };
    tokio::select! {
        biased;
        () = cancel.fired() => Err(cancelled()),
        result = call => result,
    }
}

pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled by its caller")
}
