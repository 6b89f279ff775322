//! JetStream's API: one JSON request, asked again until it is answered or the deadline passes.

use std::time::Duration;

use async_nats::{Message, StatusCode};
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::Refusal;
use crate::error::{Error, ErrorKind};
use crate::link::{Link, Outcome, closed};

/// One try; a deadline may hold several.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// A server that says it runs no JetStream may still route to one that does, so a little patience.
const JETSTREAM_OFF: Duration = Duration::from_secs(2);

/// Why a request has no result: the server's refusal, or anything else.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    Failed(Error),
}

impl Failure {
    /// The failure as an error about `what`.
    pub(crate) fn about(self, what: impl Into<String>) -> Error {
        match self {
            Failure::Refused(refusal) => refusal.error(what),
            Failure::Failed(cause) => wrap(cause, what),
        }
    }

    /// Whether the server refused with this `err_code`.
    pub(crate) fn is(&self, err_code: u32) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.err_code == err_code)
    }

    /// Whether a right is missing.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Failure::Failed(error) if error.kind() == ErrorKind::Unauthorized)
    }
}

/// The same error, one link further up.
pub(crate) fn wrap(cause: Error, what: impl Into<String>) -> Error {
    let mut error = Error::new(cause.kind(), what);
    if let Some(hint) = cause.hint_text() {
        error = error.hint(hint.to_owned());
    }
    if let Some(code) = cause.server_code() {
        error = error.server(code);
    }
    error.because(cause)
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

impl Link {
    /// The subject of an API verb such as `STREAM.INFO.chat-demo`.
    pub(crate) fn api_subject(&self, verb: &str) -> String {
        match self.js_domain() {
            Some(domain) => format!("$JS.{domain}.API.{verb}"),
            None => format!("$JS.API.{verb}"),
        }
    }

    /// Asks until there is an answer. The request must bear being asked twice.
    pub(crate) async fn api<T: DeserializeOwned>(
        &self,
        verb: &str,
        request: &impl Serialize,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let subject = self.api_subject(verb);
        let payload = serde_json::to_vec(request).map_err(|cause| failed(verb, cause))?;
        let payload = bytes::Bytes::from(payload);
        let begun = Instant::now();
        let mut slot = self.claim();
        let mut pause = PAUSE_MIN;
        let mut last = None;
        loop {
            self.ready(deadline).await.map_err(Failure::Failed)?;
            let mark = self.mark();
            let reply = Some(slot.subject());
            let publish = self.publish(&subject, reply, None, payload.clone());
            match timeout_at(deadline, publish).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.kind() == ErrorKind::Disconnected => last = Some(error),
                Ok(Err(error)) => return Err(Failure::Failed(error)),
                Err(_) => last = Some(self.unreachable()),
            }
            let until = deadline.min(Instant::now() + REQUEST_TIMEOUT);
            match self.outcome(&mut slot, &subject, mark, until, &self.closed).await {
                Outcome::Answer(message) => {
                    match self.read(verb, &message, begun)? {
                        Ok(value) => return Ok(value),
                        Err(busy) => last = Some(busy),
                    }
                    slot.arm();
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Outcome::Reconnected | Outcome::Silence => {}
                Outcome::Refused(error) | Outcome::Deaf(error) => {
                    return Err(Failure::Failed(error));
                }
                Outcome::Cancelled => return Err(Failure::Failed(closed())),
            }
            if Instant::now() >= deadline {
                let error = Error::new(ErrorKind::Timeout, format!("{verb}: no answer in time"));
                return Err(Failure::Failed(match last {
                    Some(cause) => error.because(cause),
                    None => error,
                }));
            }
        }
    }

    /// `Ok(Err(_))`: the server is not ready to answer yet.
    fn read<T: DeserializeOwned>(
        &self,
        verb: &str,
        message: &Message,
        begun: Instant,
    ) -> Result<Result<T, Error>, Failure> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            if !self.server_has_jetstream() && begun.elapsed() >= JETSTREAM_OFF {
                return Err(Failure::Failed(jetstream_off(&self.servers())));
            }
            return Ok(Err(Error::new(ErrorKind::NoResponders, "JetStream does not answer")));
        }
        let answer: Answer =
            serde_json::from_slice(&message.payload).map_err(|cause| failed(verb, cause))?;
        match answer.error {
            Some(refusal) if refusal.passes() => Ok(Err(refusal.error(verb))),
            Some(refusal) => Err(Failure::Refused(refusal)),
            None => {
                Ok(Ok(serde_json::from_slice(&message.payload)
                    .map_err(|cause| failed(verb, cause))?))
            }
        }
    }
}

fn jetstream_off(servers: &str) -> Error {
    Error::new(ErrorKind::Server, format!("{servers} runs no JetStream"))
        .hint("start nats-server with -js, or run `libchat up`")
}

/// Where it is wrong, and not what stands there, as serde would say: it may be a peer's word.
fn failed(verb: &str, cause: serde_json::Error) -> Failure {
    let at = format!("line {}, column {}", cause.line(), cause.column());
    Failure::Failed(
        Error::new(ErrorKind::Server, format!("{verb}: not the JSON expected")).because(at),
    )
}
