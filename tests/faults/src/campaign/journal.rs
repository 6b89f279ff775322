//! What is noted while a schedule runs: every call with its times, every event, what the operator
//! did, and what was stored.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libchat::{Cursor, Error, ErrorKind, Event, Receipt, Stats};

use crate::admin::Stored;
use crate::campaign::schedule::{Fault, Filter, Start};

/// Incarnation and sequence.
pub(super) type Place = (u64, u64);

#[derive(Default)]
pub(super) struct Journal {
    pub(super) lives: Vec<Life>,
    pub(super) sends: Vec<Sent>,
    pub(super) watches: Vec<Watched>,
    pub(super) calls: Vec<Called>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) removals: Vec<Removal>,
    pub(super) snapshots: Vec<Snapshot>,
    /// Stored by the operator, under the last token of a subject.
    pub(super) malformed: Vec<(Place, String)>,
    /// How late the process itself has been.
    pub(super) late: Duration,
    /// What is counted and not judged: messages of nats.go's watch, and those that it missed.
    pub(super) plain: (usize, usize),
    /// Counted and not judged, too: receipts that name the stream before.
    pub(super) stale: usize,
    /// What the harness itself found.
    pub(super) found: Vec<(&'static str, String)>,
}

/// A manager from its opening to its end.
pub(super) struct Life {
    pub(super) agent: String,
    pub(super) closing: Option<Instant>,
    /// Just before that.
    pub(super) stats: Option<Stats>,
}

pub(super) struct Sent {
    pub(super) life: usize,
    /// Known at the end of the call, unless the caller gave it.
    pub(super) id: String,
    pub(super) short: String,
    pub(super) size: usize,
    pub(super) ordered: bool,
    pub(super) expect: Option<Option<Place>>,
    /// Ended early on purpose, or by a short deadline.
    pub(super) curbed: bool,
    /// Not libchat's: its times are a little late.
    pub(super) foreign: bool,
    pub(super) begun: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) timeout: Duration,
    pub(super) said: Said,
}

#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Nothing: the future was dropped, or it never came back.
    Nothing,
    Acked {
        place: Option<Place>,
        duplicate: bool,
    },
    Failed(ErrorKind, String),
}

pub(super) fn said(result: &Result<Receipt, Error>) -> Said {
    match result {
        Ok(receipt) => Said::Acked {
            place: receipt.cursor.map(|it| (it.incarnation, it.seq)),
            duplicate: receipt.duplicate,
        },
        Err(error) => Said::Failed(error.kind(), format!("{error:#}")),
    }
}

impl Sent {
    /// Notes what it said; nothing if it was dropped.
    pub(super) fn end(&mut self, result: Option<&Result<Receipt, Error>>) {
        self.ended = Some(Instant::now());
        let Some(result) = result else { return };
        self.said = said(result);
        let id = match result {
            Ok(receipt) => Some(receipt.id.as_str()),
            Err(error) => error.id(),
        };
        if let Some(id) = id {
            self.id = id.to_owned();
        }
    }

    pub(super) fn is_acked(&self) -> bool {
        matches!(self.said, Said::Acked { .. })
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.said, Said::Nothing | Said::Failed(ErrorKind::OutcomeUnknown, _))
    }
}

pub(super) struct Watched {
    pub(super) life: usize,
    pub(super) filter: Filter,
    pub(super) short: Option<String>,
    pub(super) start: Start,
    /// The cursor it was given.
    pub(super) after: Option<Cursor>,
    /// The agent whose messages are left out.
    pub(super) skip: Option<String>,
    pub(super) called: Instant,
    pub(super) returned: Instant,
    /// Its cursor when it was set up.
    pub(super) first: Cursor,
    pub(super) events: Vec<(Instant, Event)>,
    /// Its cursor when it was closed; it was read to the end of the run otherwise.
    pub(super) closed: Option<Cursor>,
    /// It ended by itself.
    pub(super) over: Option<(Instant, ErrorKind)>,
}

pub(super) struct Called {
    pub(super) life: usize,
    pub(super) what: String,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) timeout: Duration,
    pub(super) failed: Option<(ErrorKind, String)>,
    pub(super) found: Found,
}

/// What a call that worked has found.
pub(super) enum Found {
    Nothing,
    Thread { short: String, messages: Vec<(Place, String)> },
    Threads(Vec<Summary>),
    ThreadsOf { agent: String, shorts: Vec<String> },
}

pub(super) struct Summary {
    pub(super) short: String,
    pub(super) count: u64,
    pub(super) place: Place,
    pub(super) last: Option<String>,
}

/// From when to when something was broken.
pub(super) struct Trouble {
    pub(super) fault: Fault,
    pub(super) begun: Instant,
    /// `None`: the operator is at it.
    pub(super) ended: Option<Instant>,
}

/// What the operator took away.
pub(super) struct Removal {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) incarnation: u64,
    pub(super) scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everything,
    Below(u64),
    ThreadBelow(String, u64),
    One(u64),
}

impl Removal {
    pub(super) fn takes(&self, place: Place, short: &str) -> bool {
        let (incarnation, seq) = place;
        let within = match &self.scope {
            Scope::Everything => true,
            Scope::Below(first) => seq < *first,
            Scope::ThreadBelow(thread, first) => seq < *first && thread == short,
            Scope::One(one) => seq == *one,
        };
        incarnation == self.incarnation && within
    }
}

/// All that was stored at a moment.
pub(super) struct Snapshot {
    pub(super) incarnation: u64,
    pub(super) stored: Vec<Stored>,
}

/// The journal as tasks share it.
#[derive(Default)]
pub(super) struct Notes(Mutex<Journal>);

impl Notes {
    pub(super) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, kind: &'static str, text: String) {
        self.lock().found.push((kind, text));
    }
}

/// What is said in a thread.
pub(super) fn body(short: &str, size: usize) -> String {
    let letters = short.repeat(size / short.len() + 1);
    letters[..size].to_owned()
}
