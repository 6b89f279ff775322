//! Options of every call: fields, defaults, checks. Each struct is filled by name over its default:
//! `SendOptions { id: Some("job-7".into()), ..Default::default() }`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind};
use crate::message::{Cursor, Start};

/// How to reach and enter the server. All fields empty: the discovery order of
/// [`connect`](crate::connect).
#[derive(Clone, Default)]
pub struct ConnectOptions {
    /// One address or several with commas: `nats://host:4222`, `tls://host`, `host`.
    pub servers: Option<String>,
    /// A context of the `nats` program, by name.
    pub context: Option<String>,
    /// This connection's name in the server's lists; `libchat` by default.
    pub name: Option<String>,
    /// Credentials file: user JWT and seed.
    pub creds_file: Option<PathBuf>,
    /// File with an nkey seed.
    pub nkey_file: Option<PathBuf>,
    /// User name, with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<String>,
    /// Token.
    pub token: Option<String>,
    /// PEM file of certificate authorities to trust instead of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// PEM file of this client's certificate, with `tls_key_file`.
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file of the certificate's key.
    pub tls_key_file: Option<PathBuf>,
    /// Refuse a server that does not offer TLS.
    pub tls_required: bool,
    /// Begin TLS before the server speaks; the server must be set so too.
    pub tls_first: bool,
    /// JetStream domain, when the stream is behind a leaf node.
    pub js_domain: Option<String>,
    /// First part of reply subjects; `_INBOX` by default.
    pub inbox_prefix: Option<String>,
    /// Bound on what is queued for all watches of the connection, in bytes; 0 is 64 MiB. Every
    /// watch may hold one message beyond it, so that none starves another.
    pub buffer_bytes: usize,
    /// How long connecting may take; `None` is 5 s.
    pub timeout: Option<Duration>,
}

impl std::fmt::Debug for ConnectOptions {
    /// Names what is set, never a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions").field("context", &self.context).finish_non_exhaustive()
    }
}

/// What to do with the stream's maximum age when opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// Leave an existing stream as its operator set it; a new one keeps messages for ever.
    #[default]
    Keep,
    /// Keep messages for ever.
    Unbounded,
    /// Drop messages older than this; at least 100 ms, the server's limit.
    MaxAge(Duration),
}

/// How to open a project.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Make the project's stream if there is none; `true` by default.
    pub create: bool,
    /// What to do with the stream's maximum age.
    pub retention: Retention,
    /// How many watches may be live at once; 1,024 by default.
    pub max_subscribers: usize,
    /// How long opening may take; 10 s by default.
    pub timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            create: true,
            retention: Retention::Keep,
            max_subscribers: 1024,
            timeout: Duration::from_secs(10),
        }
    }
}

impl OpenOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Retention::MaxAge(age) = self.retention {
            if age < Duration::from_millis(100) {
                return invalid(format!("retention {age:?}: must be at least 100 ms"));
            }
            if i64::try_from(age.as_nanos()).is_err() {
                return invalid(format!("retention {age:?}: must be below 292 years"));
            }
        }
        if self.max_subscribers == 0 {
            return invalid("max_subscribers: must be > 0");
        }
        Ok(())
    }
}

/// How to send one message.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// Idempotency key, at most 64 bytes; `None` draws a fresh one. Sending twice under one id
    /// within the stream's duplicate window (2 minutes by default) stores once. An id is the whole
    /// project's: where another message has it, the send fails with `Conflict`.
    pub id: Option<String>,
    /// The id of the message this one answers.
    pub reply_to: Option<String>,
    /// Header fields to store with it; names starting with `Nats-` are the server's.
    pub headers: Vec<(String, String)>,
    /// Do not wait behind this manager's earlier sends to the same thread: faster, order not kept.
    pub unordered: bool,
    /// Store only if the thread's newest message is still this one; else `Conflict`.
    pub expect_last: Option<ExpectLast>,
    /// Ends the call from elsewhere, and has it say what became of the message.
    pub cancel: Option<Cancel>,
    /// Deadline of the whole call; 10 s by default.
    pub timeout: Duration,
}

impl Default for SendOptions {
    fn default() -> SendOptions {
        SendOptions {
            id: None,
            reply_to: None,
            headers: Vec::new(),
            unordered: false,
            expect_last: None,
            cancel: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The state of a thread that a conditional send expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectLast {
    /// The thread has no message.
    Empty,
    /// The thread's newest message is at this place.
    At(Cursor),
}

/// How to watch.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Where to begin; new messages by default.
    pub start: Start,
    /// Leave out what this manager's own agent wrote.
    pub skip_own: bool,
    /// Events held for a slow reader before it goes on from the stream; 256 by default.
    pub queue: usize,
    /// The same in bytes; 8 MiB by default.
    pub queue_bytes: usize,
    /// How long the set-up may take; 10 s by default.
    pub timeout: Duration,
}

impl Default for WatchOptions {
    fn default() -> WatchOptions {
        WatchOptions {
            start: Start::New,
            skip_own: false,
            queue: 256,
            queue_bytes: 8 << 20,
            timeout: Duration::from_secs(10),
        }
    }
}

impl WatchOptions {
    /// The same defaults from another place on.
    pub fn from(start: Start) -> WatchOptions {
        WatchOptions { start, ..WatchOptions::default() }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.queue == 0 || self.queue_bytes == 0 {
            return invalid("watch: queue and queue_bytes: must be > 0");
        }
        check_start(self.start)
    }
}

/// How much of a thread's past to read.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// Where to begin; the oldest message by default. [`Start::New`] makes no sense here.
    pub start: Start,
    /// With [`Start::Last`]: the last ones before this place.
    pub before: Option<Cursor>,
    /// At most so many messages; 1,000 by default.
    pub limit: usize,
    /// At most so many bytes of bodies, but always one message; `None` is no bound.
    pub max_bytes: Option<usize>,
    /// Deadline of the whole call; 30 s by default.
    pub timeout: Duration,
}

impl Default for HistoryOptions {
    fn default() -> HistoryOptions {
        HistoryOptions {
            start: Start::All,
            before: None,
            limit: 1000,
            max_bytes: None,
            timeout: Duration::from_secs(30),
        }
    }
}

impl HistoryOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.start == Start::New {
            return invalid("history: start: new messages are not history");
        }
        if self.before.is_some() && !matches!(self.start, Start::Last(_)) {
            return invalid("history: before: goes with Start::Last only");
        }
        if self.limit == 0 {
            return invalid("history: limit: must be > 0");
        }
        check_start(self.start)
    }
}

/// How long a listing may take.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// Deadline of the whole call; 30 s by default.
    pub timeout: Duration,
}

impl Default for CallOptions {
    fn default() -> CallOptions {
        CallOptions { timeout: Duration::from_secs(30) }
    }
}

/// How to request or ask.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// Header fields of the request, `traceparent` among them.
    pub headers: Vec<(String, String)>,
    /// How long to wait for the reply; 30 s by default.
    pub timeout: Duration,
}

impl Default for RequestOptions {
    fn default() -> RequestOptions {
        RequestOptions { headers: Vec::new(), timeout: Duration::from_secs(30) }
    }
}

/// How to respond or answer.
#[derive(Clone, Debug)]
pub struct RespondOptions {
    /// Share the requests with the other responders of this group; `None`: every responder gets
    /// each.
    pub queue_group: Option<String>,
    /// Requests held before they are read; further ones are answered `busy`. 256 by default.
    pub queue: usize,
    /// How long the set-up may take; 10 s by default.
    pub timeout: Duration,
}

impl Default for RespondOptions {
    fn default() -> RespondOptions {
        RespondOptions { queue_group: None, queue: 256, timeout: Duration::from_secs(10) }
    }
}

fn check_start(start: Start) -> Result<(), Error> {
    match start {
        Start::After(cursor) if cursor == Cursor::default() => {
            invalid("start: the cursor is empty: begin with all instead")
        }
        Start::Last(0) => invalid("start: last 0 messages: begin with new instead"),
        _ => Ok(()),
    }
}

fn invalid(text: impl Into<String>) -> Result<(), Error> {
    Err(Error::new(ErrorKind::InvalidArgument, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(result: Result<(), Error>, text: &str) {
        let error = result.expect_err(text);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidArgument, text));
    }

    #[test]
    fn defaults_pass() {
        OpenOptions::default().check().expect("open");
        WatchOptions::default().check().expect("watch");
        HistoryOptions::default().check().expect("history");
    }

    #[test]
    fn a_retention_must_be_one_the_server_takes() {
        let check =
            |age| OpenOptions { retention: Retention::MaxAge(age), ..Default::default() }.check();
        refuses(check(Duration::from_millis(99)), "retention 99ms: must be at least 100 ms");
        check(Duration::from_millis(100)).expect("the server's limit");
        check(Duration::MAX).expect_err("more than the server's clock can count");
    }

    #[test]
    fn bounds_must_let_something_through() {
        refuses(
            OpenOptions { max_subscribers: 0, ..Default::default() }.check(),
            "max_subscribers: must be > 0",
        );
        refuses(
            WatchOptions { queue: 0, ..Default::default() }.check(),
            "watch: queue and queue_bytes: must be > 0",
        );
        refuses(
            HistoryOptions { limit: 0, ..Default::default() }.check(),
            "history: limit: must be > 0",
        );
    }

    #[test]
    fn a_start_must_name_a_place() {
        refuses(
            WatchOptions::from(Start::After(Cursor::default())).check(),
            "start: the cursor is empty: begin with all instead",
        );
        refuses(
            WatchOptions::from(Start::Last(0)).check(),
            "start: last 0 messages: begin with new instead",
        );
        refuses(
            HistoryOptions { start: Start::New, ..Default::default() }.check(),
            "history: start: new messages are not history",
        );
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let options = ConnectOptions { password: Some("hunter2".into()), ..Default::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
