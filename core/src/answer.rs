//! What the server's refusals mean: one table from `err_code` to what to do.

use serde::Deserialize;

use crate::error::{Error, ErrorKind};

/// The error object of a JetStream answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) code: u32,
    #[serde(default)]
    pub(crate) err_code: u32,
    #[serde(default)]
    pub(crate) description: String,
}

/// `err_code`s that some code asks for by name. Numbers as nats-server's errors.json lists them.
pub(crate) const CONSUMER_NOT_FOUND: u32 = 10014;
pub(crate) const CONSUMER_LIMIT: u32 = 10026;
pub(crate) const MESSAGE_NOT_FOUND: u32 = 10037;
pub(crate) const STREAM_NAME_IN_USE: u32 = 10058;
pub(crate) const STREAM_NOT_FOUND: u32 = 10059;
pub(crate) const DUPLICATE_IN_PROCESS: u32 = 10158;

const WRONG_LAST: [u32; 2] = [10071, 10164];

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It passes by itself: ask again until the deadline.
    Wait,
    /// It stays: say so at once, with this hint.
    Say(ErrorKind, &'static str),
}

use Verdict::{Say, Wait};

const TABLE: &[(u32, Verdict)] = &[
    (10008, Wait), // JetStream system temporarily unavailable
    (10009, Wait), // the peer asked is not the leader
    (DUPLICATE_IN_PROCESS, Wait),
    (10167, Wait), // too many requests
    (10023, Say(ErrorKind::Server, "give the server more memory or storage, or drop old messages")),
    (
        CONSUMER_LIMIT,
        Say(ErrorKind::Server, "the stream has as many readers as it may: close some"),
    ),
    (MESSAGE_NOT_FOUND, Say(ErrorKind::NotFound, "")),
    (CONSUMER_NOT_FOUND, Say(ErrorKind::NotFound, "")),
    (10039, Say(ErrorKind::Server, "JetStream is off for this account: enable it for the account")),
    (10047, Say(ErrorKind::Server, "give the account more storage, or drop old messages")),
    (10052, Say(ErrorKind::InvalidArgument, "")), // stream settings the server does not take
    (10054, Say(ErrorKind::TooLarge, "send less, or raise the stream's max_msg_size")),
    (STREAM_NAME_IN_USE, Say(ErrorKind::Conflict, "")),
    (
        STREAM_NOT_FOUND,
        Say(
            ErrorKind::NotFound,
            "nobody has opened this project here yet: check its name, and the server",
        ),
    ),
    (10065, Say(ErrorKind::Conflict, "another stream holds these subjects")),
    (
        WRONG_LAST[0],
        Say(ErrorKind::Conflict, "the thread's newest message is another one: read it first"),
    ),
    (
        WRONG_LAST[1],
        Say(ErrorKind::Conflict, "the thread's newest message is another one: read it first"),
    ),
    (
        10076,
        Say(ErrorKind::Server, "JetStream is off: start nats-server with -js, or run `libchat up`"),
    ),
    (10077, Say(ErrorKind::Server, "the stream is full: raise its limits, or drop old messages")),
    (10109, Say(ErrorKind::Conflict, "the stream is sealed: nothing can be added")),
];

impl Refusal {
    fn verdict(&self) -> Verdict {
        match TABLE.iter().find(|(code, _)| *code == self.err_code) {
            Some((_, verdict)) => *verdict,
            None if self.code == 503 || self.code == 429 => Wait,
            None => Say(ErrorKind::Server, ""),
        }
    }

    /// Whether a conditional send found another last message than it expected.
    pub(crate) fn is_wrong_last(&self) -> bool {
        WRONG_LAST.contains(&self.err_code)
    }

    /// Whether asking again may succeed.
    pub(crate) fn passes(&self) -> bool {
        self.verdict() == Wait
    }

    /// The refusal as an error about `what`.
    pub(crate) fn error(&self, what: impl Into<String>) -> Error {
        let (kind, hint) = match self.verdict() {
            Wait => (ErrorKind::Server, "the server is busy or choosing a leader: try again"),
            Say(kind, hint) => (kind, hint),
        };
        let cause = format!("{} ({})", self.description, self.err_code);
        let error = Error::new(kind, what).because(cause).server(self.err_code);
        if hint.is_empty() { error } else { error.hint(hint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u32, err_code: u32, expected: Option<ErrorKind>) {
        let refusal = Refusal { code, err_code, description: "why".into() };
        let said = (!refusal.passes()).then(|| refusal.error("x").kind());
        assert_eq!(said, expected, "{code}/{err_code}");
    }

    #[test]
    fn what_passes_is_asked_again() {
        for (code, err_code) in [(503, 10008), (500, 10009), (409, 10158), (429, 10167)] {
            check(code, err_code, None);
        }
        check(503, 10999, None);
        check(429, 0, None);
    }

    #[test]
    fn what_stays_is_said_at_once() {
        use ErrorKind::{Conflict, InvalidArgument, NotFound, Server, TooLarge};
        let rows = [
            (500, 10023, Server),
            (400, 10026, Server),
            (404, 10037, NotFound),
            (404, 10014, NotFound),
            (503, 10039, Server),
            (500, 10047, Server),
            (500, 10052, InvalidArgument),
            (400, 10054, TooLarge),
            (400, 10058, Conflict),
            (404, 10059, NotFound),
            (400, 10065, Conflict),
            (400, 10071, Conflict),
            (400, 10164, Conflict),
            (503, 10076, Server),
            (503, 10077, Server),
            (400, 10109, Conflict),
            (400, 10999, Server),
            (500, 10999, Server),
        ];
        for (code, err_code, kind) in rows {
            check(code, err_code, Some(kind));
        }
    }

    #[test]
    fn every_row_is_tested_once() {
        let mut codes: Vec<u32> = TABLE.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert_eq!(TABLE.len(), 20, "a new row needs its line in the tests above");
    }

    #[test]
    fn the_text_gives_the_servers_words_and_number() {
        let refusal =
            Refusal { code: 503, err_code: 10077, description: "maximum bytes exceeded".into() };
        let error = refusal.error("send to chat.demo.d0825bc5");
        assert_eq!(
            format!("{error:#}"),
            "send to chat.demo.d0825bc5: maximum bytes exceeded (10077)"
        );
        assert_eq!(error.server_code(), Some(10077));
    }
}
