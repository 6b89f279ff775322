//! What the connection is in, as its events tell it.

use std::collections::VecDeque;
use std::str::Chars;
use std::time::Duration;

use async_nats::{Event, ServerError};
use tokio::sync::watch;

use crate::clock::Stamp;
use crate::error::{Error, ErrorKind};

const VIOLATIONS_KEPT: usize = 32;

/// `generation` moves with every new TCP connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// The client whose events count.
    client: u64,
    /// The last client that calls can use.
    installed: u64,
    pub(crate) generation: u64,
    up: bool,
    down_since: Option<Stamp>,
    last_error: Option<String>,
    violation: u64,
    violations: VecDeque<Violation>,
    /// What all answers come on.
    inbox: String,
    inbox_refused: bool,
}

/// What the connection was when a request was about to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) generation: u64,
    violation: u64,
}

/// A right that the server has refused.
#[derive(Clone, Debug)]
struct Violation {
    number: u64,
    right: Right,
    subject: String,
}

/// What one may do with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Publish,
    Subscribe,
}

impl State {
    /// Of a connection whose answers come on `inbox`.
    pub(crate) fn new(inbox: String) -> State {
        State { inbox, ..State::default() }
    }

    /// Whether there is a connection, through a client that calls can use.
    pub(crate) fn is_up(&self) -> bool {
        self.up && self.installed == self.client
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { generation: self.generation, violation: self.violation }
    }

    /// How long there has been no connection.
    pub(crate) fn down_for(&self) -> Duration {
        self.down_since.map_or(Duration::ZERO, |since| since.age())
    }

    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// The refusal of `subject` recorded since `mark`.
    pub(crate) fn refusal(&self, right: Right, subject: &str, mark: Mark) -> Option<Error> {
        let refused = |it: &&Violation| {
            it.number > mark.violation && it.right == right && is_same(&it.subject, subject)
        };
        let refused = self.violations.iter().find(refused)?;
        Some(missing(right, &refused.subject, "ask the operator for the right to this subject"))
    }

    /// Why no answer can come on this connection, if so.
    pub(crate) fn deaf(&self) -> Option<Error> {
        let hint = "connect with the inbox prefix that this user may listen to (inbox_prefix)";
        self.inbox_refused.then(|| missing(Right::Subscribe, &self.inbox, hint))
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.inbox_refused
    }

    /// The server takes our subscription to the answers.
    pub(crate) fn hears_again(&mut self) {
        self.inbox_refused = false;
    }

    /// Returns when the connection of `generation` is no more.
    pub(crate) async fn lost(state: &mut watch::Receiver<State>, generation: u64) {
        if state.wait_for(|it| !it.is_up() || it.generation != generation).await.is_err() {
            // The link itself is gone, and with it the one who waits here.
            std::future::pending::<()>().await;
        }
    }

    /// From now on the events of another client count; gives its number.
    pub(crate) fn expect_client(state: &watch::Sender<State>) -> u64 {
        let mut number = 0;
        state.send_modify(|state| {
            state.client += 1;
            number = state.client;
        });
        number
    }

    /// Calls can use the client of this number.
    pub(crate) fn install(&mut self, number: u64) {
        self.installed = number;
    }

    pub(crate) fn connected(&mut self) {
        self.generation += 1;
        self.up = true;
        self.down_since = None;
        self.last_error = None;
        self.inbox_refused = false;
    }

    pub(crate) fn disconnected(&mut self) {
        self.up = false;
        self.down_since.get_or_insert_with(Stamp::now);
    }

    pub(crate) fn failed(&mut self, error: String) {
        self.last_error = Some(error);
    }

    /// Takes in an event of client `number`.
    pub(crate) fn note(state: &watch::Sender<State>, number: u64, event: Event) {
        state.send_if_modified(|state| {
            if state.client != number {
                return false;
            }
            match event {
                Event::Connected => state.connected(),
                Event::Disconnected | Event::Closed => state.disconnected(),
                Event::ServerError(ServerError::Other(text)) => state.server_error(text),
                Event::ServerError(error) => state.failed(error.to_string()),
                Event::ClientError(error) => state.failed(error.to_string()),
                Event::SlowConsumer(_) => {
                    // A reader sees the hole in its deliveries, a request its deadline.
                    tracing::warn!("messages of a full subscription were dropped");
                    return false;
                }
                Event::LameDuckMode | Event::Draining => return false,
            }
            true
        });
    }

    fn server_error(&mut self, text: String) {
        if let Some((right, subject)) = violation(&text) {
            self.violation += 1;
            let number = self.violation;
            self.inbox_refused |= right == Right::Subscribe && subject == self.inbox;
            self.violations.push_back(Violation { number, right, subject });
            if self.violations.len() > VIOLATIONS_KEPT {
                self.violations.pop_front();
            }
        }
        self.failed(text);
    }
}

fn missing(right: Right, subject: &str, hint: &'static str) -> Error {
    let to = match right {
        Right::Publish => "publish to",
        Right::Subscribe => "subscribe to",
    };
    Error::new(ErrorKind::Unauthorized, format!("no right to {to} {subject}")).hint(hint)
}

/// A server maps the API's subjects of its own domain before it looks at rights (2.15), and names
/// what it has mapped them to.
fn is_same(refused: &str, asked: &str) -> bool {
    let mapped = || asked.strip_prefix("$JS.")?.split_once(".API.").map(|(_, verb)| verb);
    refused == asked || mapped().is_some_and(|verb| refused.strip_prefix("$JS.API.") == Some(verb))
}

/// `Permissions Violation for Publish to "chat.demo.d0825bc5"`, or `for Subscription to "…"`
fn violation(text: &str) -> Option<(Right, String)> {
    let text = text.trim_matches('\'').strip_prefix("Permissions Violation for ")?;
    let right = if text.starts_with("Publish") { Right::Publish } else { Right::Subscribe };
    Some((right, unquoted(text.split_once('"')?.1)?))
}

/// What Go has quoted, up to the closing quote.
fn unquoted(text: &str) -> Option<String> {
    let mut chars = text.chars();
    let mut out = String::new();
    loop {
        out.push(match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                'u' => by_number(&mut chars, 4)?,
                'U' => by_number(&mut chars, 8)?,
                // Control characters and broken UTF-8, of which no subject of ours has any.
                other => other,
            },
            plain => plain,
        });
    }
}

fn by_number(chars: &mut Chars<'_>, digits: usize) -> Option<char> {
    let hex: String = chars.by_ref().take(digits).collect();
    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_found_by_right_and_subject_and_only_after_the_call_began() {
        let mut state = State::default();
        let before = state.mark();
        state.server_error(r#"Permissions Violation for Publish to "chat.demo.a""#.into());
        let error = state.refusal(Right::Publish, "chat.demo.a", before).expect("recorded");
        assert_eq!(error.to_string(), "no right to publish to chat.demo.a");
        assert!(state.refusal(Right::Publish, "chat.demo.a", state.mark()).is_none());
        assert!(state.refusal(Right::Publish, "chat.demo.b", before).is_none());
        assert!(state.refusal(Right::Subscribe, "chat.demo.a", before).is_none());
        state.server_error(
            r#"Permissions Violation for Subscription to "x" using queue "q""#.into(),
        );
        assert!(state.refusal(Right::Subscribe, "x", before).is_some());
        let mark = state.mark();
        state.server_error("Maximum Connections Exceeded".into());
        assert_eq!(state.mark().violation, mark.violation);
    }

    #[test]
    fn a_subject_is_read_as_go_writes_it() {
        let read = |quoted: &str| {
            violation(&format!("Permissions Violation for Publish to {quoted}")).map(|it| it.1)
        };
        assert_eq!(read(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(read(r#""a\u200bä\U000e0001""#).as_deref(), Some("a\u{200b}ä\u{e0001}"));
        for broken in ["a", "\"a", r#""\u12""#, r#""\ud800""#] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_refused_inbox_makes_one_connection_deaf() {
        let mut state = State::new("_INBOX.a.*".into());
        state.server_error(r#"Permissions Violation for Publish to "_INBOX.a.*""#.into());
        assert!(state.deaf().is_none());
        state.server_error(r#"Permissions Violation for Subscription to "_INBOX.a.*""#.into());
        let error = state.deaf().expect("refused");
        assert_eq!(error.to_string(), "no right to subscribe to _INBOX.a.*");
        state.connected();
        assert!(state.deaf().is_none());
    }

    #[test]
    fn events_of_an_abandoned_client_change_nothing() {
        let state = watch::Sender::new(State { client: 2, installed: 2, ..State::default() });
        State::note(&state, 1, Event::Connected);
        assert!(!state.borrow().is_up());
        State::note(&state, 2, Event::Connected);
        assert!(state.borrow().is_up());
        State::note(&state, 2, Event::Disconnected);
        assert!(!state.borrow().is_up() && state.borrow().down_since.is_some());
        assert_eq!(state.borrow().generation, 1);
    }

    #[test]
    fn there_is_no_connection_without_a_client_that_calls_can_use() {
        let state = watch::Sender::new(State::default());
        let number = State::expect_client(&state);
        State::note(&state, number, Event::Connected);
        assert!(!state.borrow().is_up());
        state.send_modify(|it| it.install(number));
        assert!(state.borrow().is_up());
        State::expect_client(&state);
        assert!(!state.borrow().is_up());
    }
}
