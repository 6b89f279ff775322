//! What can go wrong, and what the caller can do about it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Why a call failed. One kind for each thing a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the call: an argument or a setting breaks its rule.
    InvalidArgument,
    /// Fix the order of calls: this one does not fit what was done before, as answering a request
    /// twice.
    InvalidState,
    /// Look at the machine: the operating system refused a file, a process or a socket.
    System,
    /// Try again: the deadline passed and nothing was ever handed to the network.
    Timeout,
    /// Try again, or check the address: the server cannot be reached. An open connection keeps
    /// reconnecting by itself.
    Disconnected,
    /// Open a new one: the manager, watch or connection was closed.
    Closed,
    /// Ask the operator for the right that the text names.
    Unauthorized,
    /// Try later: nobody listens on this subject.
    NoResponders,
    /// Send again with the same id ([`Error::id`]): the message may or may not be stored, and the
    /// server drops the copy.
    OutcomeUnknown,
    /// Read [`Error::remote_code`]: the handler that answered failed, and said so.
    Remote,
    /// Nothing to do: the caller cancelled, and nothing was stored.
    Cancelled,
    /// Check the name: there is no such stream, thread or message.
    NotFound,
    /// Look at what is there: it differs from what the call expected.
    Conflict,
    /// Send less: the server's limit is smaller than this message.
    TooLarge,
    /// Close watches, or raise the limit: the manager has as many as it may.
    TooManySubscribers,
    /// Read the text: any other answer of the server ([`Error::server_code`]).
    Server,
}

impl ErrorKind {
    /// Every kind, for bindings that must translate each of them.
    pub const ALL: &'static [ErrorKind] = &[
        ErrorKind::InvalidArgument,
        ErrorKind::InvalidState,
        ErrorKind::System,
        ErrorKind::Timeout,
        ErrorKind::Disconnected,
        ErrorKind::Closed,
        ErrorKind::Unauthorized,
        ErrorKind::NoResponders,
        ErrorKind::OutcomeUnknown,
        ErrorKind::Remote,
        ErrorKind::Cancelled,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::TooLarge,
        ErrorKind::TooManySubscribers,
        ErrorKind::Server,
    ];

    /// The kind as a word, the same in every language: `outcome_unknown`.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::InvalidArgument => "invalid_argument",
            ErrorKind::InvalidState => "invalid_state",
            ErrorKind::System => "system",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Disconnected => "disconnected",
            ErrorKind::Closed => "closed",
            ErrorKind::Unauthorized => "unauthorized",
            ErrorKind::NoResponders => "no_responders",
            ErrorKind::OutcomeUnknown => "outcome_unknown",
            ErrorKind::Remote => "remote",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::TooManySubscribers => "too_many_subscribers",
            ErrorKind::Server => "server",
        }
    }
}

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The innermost cause of `error`: async-nats prints each of its errors with all those below.
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |it| it.source());
    chain.last().unwrap_or(error).to_string()
}

/// A failed call: its [`kind`](Error::kind), what was tried on what, the cause, and what to do.
///
/// `{}` prints this error alone, `{:#}` the chain of causes joined by `: `. Neither ever holds a
/// message body or a secret.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    text: String,
    hint: Option<Cow<'static, str>>,
    id: Option<String>,
    retryable: bool,
    server_code: Option<u32>,
    remote_code: Option<String>,
    cause: Option<Cause>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Error {
        let retryable =
            matches!(kind, ErrorKind::Timeout | ErrorKind::Disconnected | ErrorKind::NoResponders);
        Error(Box::new(Inner {
            kind,
            text: text.into(),
            hint: None,
            id: None,
            retryable,
            server_code: None,
            remote_code: None,
            cause: None,
        }))
    }

    pub(crate) fn because(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Marks the error with the id of the message it is about; trying again is safe only if the
    /// caller chose that id, since a repeated call would otherwise draw a fresh one.
    pub(crate) fn about(mut self, id: &str, given_by_caller: bool) -> Error {
        self.0.id = Some(id.to_owned());
        if self.0.kind == ErrorKind::OutcomeUnknown {
            self.0.retryable = given_by_caller;
        }
        self
    }

    pub(crate) fn server(mut self, code: u32) -> Error {
        self.0.server_code = Some(code);
        self
    }

    pub(crate) fn remote(mut self, code: impl Into<String>) -> Error {
        self.0.remote_code = Some(code.into());
        self
    }

    /// What kind of failure this is, for code that decides what to do next.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it, as a sentence for people, where there is something to say.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The id of the message a failed send was about; with it the send can be repeated safely.
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    /// Whether the same call may succeed later, and repeating it can do no harm.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The `err_code` of a JetStream answer, as the NATS documentation lists them.
    pub fn server_code(&self) -> Option<u32> {
        self.0.server_code
    }

    /// The code that a remote handler gave for its failure ([`ErrorKind::Remote`]).
    pub fn remote_code(&self) -> Option<&str> {
        self.0.remote_code.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)?;
        if f.alternate() {
            let mut cause = std::error::Error::source(self);
            while let Some(link) = cause {
                write!(f, ": {link}")?;
                cause = link.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self:#}", self.0.kind.code())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn the_alternate_form_joins_the_chain() {
        let inner = Error::new(ErrorKind::Server, "stream chat-demo: JetStream is off");
        let outer = Error::new(ErrorKind::Server, "open demo").because(inner);
        assert_eq!(outer.to_string(), "open demo");
        assert_eq!(format!("{outer:#}"), "open demo: stream chat-demo: JetStream is off");
    }

    #[test]
    fn an_unknown_outcome_is_retryable_only_under_the_callers_own_id() {
        let error = Error::new(ErrorKind::OutcomeUnknown, "send");
        assert!(!error.clone().about("x", false).is_retryable());
        assert!(error.about("x", true).is_retryable());
    }
}
