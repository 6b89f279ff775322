//! What is said to a publish, and of which message.

use async_nats::{Message, StatusCode};
use serde::Deserialize;

use crate::answer::Refusal;
use crate::envelope::Envelope;
use crate::stored::{Stored, is_place};

/// The server's word on a message.
#[derive(Debug)]
pub(crate) enum Said {
    Stored(Ack),
    Refused(Refusal),
    /// No stream takes this subject, for now or for good.
    Nothing,
}

/// Where a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) seq: u64,
    /// It was before.
    pub(crate) duplicate: bool,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

/// `None` for what the server does not say of a message that this stream takes.
pub(crate) fn read(message: &Message, stream: &str) -> Option<Said> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Some(Said::Nothing);
    }
    read_payload(&message.payload, stream)
}

pub(crate) fn read_payload(payload: &[u8], stream: &str) -> Option<Said> {
    let answer: Answer = serde_json::from_slice(payload).ok()?;
    if let Some(refusal) = answer.error {
        return Some(Said::Refused(refusal));
    }
    let Answer { seq, duplicate, .. } = answer;
    let is_ours = answer.stream == stream && is_place(seq);
    is_ours.then_some(Said::Stored(Ack { seq, duplicate }))
}

/// Whether `stored` is a copy of what `payload` was to store under `subject`: with its id, and of
/// the same sender or with the same text. Two agents that say the same under one id mean it once.
pub(crate) fn is_copy(stored: &Stored, subject: &str, payload: &[u8]) -> bool {
    match (Envelope::decode(&stored.payload), Envelope::decode(payload)) {
        (Ok(theirs), Ok(ours)) => {
            let alike = theirs.sender == ours.sender || theirs.body == ours.body;
            stored.subject == subject && theirs.id == ours.id && alike
        }
        _ => false,
    }
}
