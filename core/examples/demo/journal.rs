//! What an agent writes down, one JSON object a line: its memory after a kill, and our evidence.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use libchat::{Cursor, Message};
use serde::{Deserialize, Serialize};

use crate::Result;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// A process begins, and watches what follows `after`; everything without one.
    Started {
        after: Option<String>,
    },
    Saw(Seen),
    /// All that was stored before this process began is read.
    CaughtUp,
    Asked(Asked),
    Said {
        took_ms: f64,
    },
    /// Anything a watch tells that is no message: a gap, a reset, …
    Odd(String),
    Ended {
        reconnects: u64,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) to: String,
    pub(crate) text: String,
    /// `None`: nobody was there to answer.
    pub(crate) answer: Option<String>,
    pub(crate) took_ms: f64,
}

/// A message, as a watch delivered it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) cursor: String,
    pub(crate) id: String,
    pub(crate) thread: String,
    pub(crate) sender: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn of(message: &Message) -> Seen {
        Seen {
            cursor: message.cursor.to_string(),
            id: message.id.clone(),
            thread: message.thread.clone().unwrap_or_else(|| message.short.to_string()),
            sender: message.sender.clone(),
            body: message.body.clone(),
        }
    }

    /// What its sender decided: all but the place where it is stored.
    pub(crate) fn words(&self) -> [&str; 4] {
        [&self.id, &self.thread, &self.sender, &self.body]
    }
}

pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Goes on with the journal of `agent`, or begins it, and gives what is in it.
    ///
    /// The cursor to resume from is that of the last message in it: what was seen and where to go
    /// on are one line, and a kill cannot part them. A line that the kill cut short is removed,
    /// and its message comes again. (To outlive a crash of the machine takes `sync_data`, too.)
    pub(crate) fn open(folder: &Path, agent: &str) -> Result<(Journal, Vec<Note>)> {
        let options = OpenOptions::new().read(true).append(true).create(true).clone();
        let mut file = options.open(path(folder, agent))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = whole_lines(&bytes);
        file.set_len(whole.len() as u64)?;
        Ok((Journal { file }, parse(whole)?))
    }

    pub(crate) fn note(&mut self, note: &Note) -> Result {
        let mut line = serde_json::to_vec(note)?;
        line.push(b'\n');
        Ok(self.file.write_all(&line)?)
    }
}

/// The journal of an agent that may still be writing.
pub(crate) fn read(folder: &Path, agent: &str) -> Result<Vec<Note>> {
    parse(whole_lines(&fs::read(path(folder, agent))?))
}

pub(crate) fn seen(notes: &[Note]) -> Vec<&Seen> {
    let seen = notes.iter().filter_map(|note| match note {
        Note::Saw(seen) => Some(seen),
        _ => None,
    });
    seen.collect()
}

/// Where the agent was when it wrote the last of these notes.
pub(crate) fn cursor(notes: &[Note]) -> Result<Option<Cursor>> {
    Ok(seen(notes).last().map(|seen| seen.cursor.parse()).transpose()?)
}

fn path(folder: &Path, agent: &str) -> PathBuf {
    folder.join(format!("{agent}.jsonl"))
}

fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}

fn parse(lines: &[u8]) -> Result<Vec<Note>> {
    let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_slice).collect::<std::result::Result<_, _>>()?)
}
