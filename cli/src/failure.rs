//! Why a command ends early, how it says so, and with which exit code.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use libchat::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::plain;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const NOTHING_CAME: u8 = 4;
const NO_SERVER: u8 = 5;
const NOT_ALLOWED: u8 = 6;
const OUTCOME_UNKNOWN: u8 = 7;
const INTERRUPTED: u8 = 130;

/// The exit code of every kind.
const EXIT_CODES: [(ErrorKind, u8); 16] = [
    (ErrorKind::InvalidArgument, USAGE),
    (ErrorKind::InvalidState, FAILED),
    (ErrorKind::System, FAILED),
    (ErrorKind::Timeout, NOTHING_CAME),
    (ErrorKind::Disconnected, NO_SERVER),
    (ErrorKind::Closed, FAILED),
    (ErrorKind::Unauthorized, NOT_ALLOWED),
    (ErrorKind::NoResponders, NOT_FOUND),
    (ErrorKind::OutcomeUnknown, OUTCOME_UNKNOWN),
    (ErrorKind::Remote, FAILED),
    (ErrorKind::Cancelled, INTERRUPTED),
    (ErrorKind::NotFound, NOT_FOUND),
    (ErrorKind::Conflict, FAILED),
    (ErrorKind::TooLarge, FAILED),
    (ErrorKind::TooManySubscribers, FAILED),
    (ErrorKind::Server, FAILED),
];

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What went wrong, to be told.
    Told(Box<Told>),
    /// Ctrl-C.
    Interrupted,
    /// Whoever read our output has gone, as `head` does. Nothing to tell.
    ReaderGone,
}

/// What is told of an error.
#[derive(Debug)]
pub(crate) struct Told {
    exit: u8,
    code: &'static str,
    message: String,
    hint: Option<String>,
    retryable: bool,
    id: Option<String>,
    server_code: Option<u32>,
    remote_code: Option<String>,
}

impl Told {
    fn new(kind: ErrorKind, message: String) -> Told {
        Told {
            exit: exit_code(kind),
            code: kind.code(),
            message,
            hint: None,
            retryable: false,
            id: None,
            server_code: None,
            remote_code: None,
        }
    }

    /// The value of `error` in what is printed under `--json`.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), self.code.into());
        error.insert("message".into(), self.message.as_str().into());
        error.insert("hint".into(), self.hint.as_deref().into());
        error.insert("retryable".into(), self.retryable.into());
        if let Some(id) = &self.id {
            error.insert("id".into(), id.as_str().into());
        }
        if let Some(code) = self.server_code {
            error.insert("server_code".into(), code.into());
        }
        if let Some(code) = &self.remote_code {
            error.insert("remote_code".into(), code.as_str().into());
        }
        Value::Object(error)
    }

    /// A peer's words may be in it.
    fn to_text(&self) -> String {
        let mut text = format!("libchat: {}\n", plain::line(&self.message));
        if let Some(hint) = &self.hint {
            text += &format!("hint: {}\n", plain::line(hint));
        }
        text
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let id = error.id().map(str::to_owned);
        let hint = match (error.kind(), &id) {
            (ErrorKind::OutcomeUnknown, Some(id)) => {
                Some(format!("send it again with --id {id}: the server drops the copy"))
            }
            _ => error.hint_text().map(str::to_owned),
        };
        Failure::Told(Box::new(Told {
            hint,
            retryable: error.is_retryable(),
            id,
            server_code: error.server_code(),
            remote_code: error.remote_code().map(str::to_owned),
            ..Told::new(error.kind(), format!("{error:#}"))
        }))
    }
}

/// Of writing to standard output; for other files there is [`Failure::system`].
impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Failure {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::system("write to standard output", &cause),
        }
    }
}

impl Failure {
    /// The command line asks for what cannot be done.
    pub(crate) fn usage(message: impl Into<String>, hint: &str) -> Failure {
        Failure::of(ErrorKind::InvalidArgument, message, Some(hint))
    }

    /// The operating system refused something.
    pub(crate) fn system(what: impl Display, cause: &io::Error) -> Failure {
        Failure::of(ErrorKind::System, format!("{what}: {cause}"), None)
    }

    /// Nothing came in time.
    pub(crate) fn timeout(message: impl Into<String>) -> Failure {
        Failure::of(ErrorKind::Timeout, message, Some("give it more time with --timeout"))
    }

    fn of(kind: ErrorKind, message: impl Into<String>, hint: Option<&str>) -> Failure {
        let hint = hint.map(str::to_owned);
        Failure::Told(Box::new(Told { hint, ..Told::new(kind, message.into()) }))
    }

    /// Tells it on standard error; gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        match self {
            Failure::Told(told) if json => {
                let line = json!({"error": told.to_json()}).to_string();
                tell(&(plain::quiet(line) + "\n"));
                ExitCode::from(told.exit)
            }
            Failure::Told(told) => {
                tell(&told.to_text());
                ExitCode::from(told.exit)
            }
            Failure::Interrupted => ExitCode::from(INTERRUPTED),
            Failure::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

fn exit_code(kind: ErrorKind) -> u8 {
    EXIT_CODES.iter().find(|(known, _)| *known == kind).map_or(FAILED, |(_, code)| *code)
}

/// Help and version are no errors; the rest is told as other errors are.
pub(crate) fn refuse_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nothing can be told to a reader who has gone.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    let json = env::args_os().any(|arg| arg == "--json" || arg == "-j");
    if !json {
        tell(&format!("libchat: {text}\n"));
        return ExitCode::from(USAGE);
    }
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = (!rest.is_empty()).then(|| one_line(rest));
    let told = Told { hint, ..Told::new(ErrorKind::InvalidArgument, one_line(message)) };
    Failure::Told(Box::new(told)).report(true)
}

/// Writes to standard error.
pub(crate) fn tell(text: &str) {
    // Whoever closed standard error does not want to be told.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_exit_code() {
        for kind in ErrorKind::ALL {
            let rows = EXIT_CODES.iter().filter(|(known, _)| known == kind).count();
            assert_eq!(rows, 1, "{kind:?}: one row in EXIT_CODES");
        }
        assert_eq!(EXIT_CODES.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn a_usage_error_is_told_in_both_forms() {
        let Failure::Told(told) = Failure::usage("no project", "give --project NAME") else {
            panic!("told");
        };
        assert_eq!(told.exit, 2);
        assert_eq!(told.to_text(), "libchat: no project\nhint: give --project NAME\n");
        let expected = json!({"code": "invalid_argument", "message": "no project",
            "hint": "give --project NAME", "retryable": false});
        assert_eq!(told.to_json(), expected);
    }

    #[test]
    fn what_a_peer_said_cannot_drive_the_terminal() {
        let failure = Failure::timeout("the handler failed: \x1b[2Jgone\nlibchat: all is well");
        let Failure::Told(told) = failure else { panic!("told") };
        let text = told.to_text();
        assert_eq!(
            text.lines().next(),
            Some("libchat: the handler failed: gone libchat: all is well")
        );
    }

    #[test]
    fn a_reader_who_goes_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure, Failure::ReaderGone));
    }
}
