//! What the demo claims, each claim computed from what its processes wrote down.

use std::collections::BTreeMap;

use libchat::{Cursor, ThreadSummary};

use crate::journal::{self, Asked, Note, Seen};
use crate::script::Script;

/// All that is known when the conversation is over.
pub(crate) struct Evidence {
    pub(crate) script: Script,
    /// The notes of each agent, over all its processes, and of those who look on.
    pub(crate) journals: BTreeMap<String, Vec<Note>>,
    pub(crate) threads: Vec<ThreadSummary>,
    pub(crate) absences: Vec<Absence>,
    pub(crate) outages: Vec<Outage>,
    /// Every agent has ended by itself and without an error, and the server has ended.
    pub(crate) all_ended_well: bool,
}

/// An agent was killed and started again.
pub(crate) struct Absence {
    pub(crate) agent: String,
    /// How many messages there were when it was started again.
    pub(crate) stored: usize,
}

/// The server was killed and started again.
pub(crate) struct Outage {
    pub(crate) pids: [u32; 2],
    pub(crate) seconds: f64,
}

pub(crate) struct Claim {
    pub(crate) text: String,
    pub(crate) holds: bool,
}

impl Evidence {
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![self.all_arrived(), self.stored_once()];
        claims.extend(self.absences.iter().map(|absence| self.caught_up(absence)));
        claims.extend(self.outages.iter().map(|outage| self.outlived(outage)));
        claims.extend([self.nothing_odd(), self.answered(), self.refused(), self.nobody_left()]);
        claims
    }

    /// Everybody saw all lines, in the script's order and at the same places of one stream.
    fn all_arrived(&self) -> Claim {
        let lines = self.script.lines.iter();
        let expected: Vec<_> =
            lines.map(|line| [&line.id, &line.thread, &line.from, &line.text]).collect();
        let seen: Vec<Vec<&Seen>> = self.journals.values().map(|it| journal::seen(it)).collect();
        let arrived = seen.iter().all(|it| {
            it.iter().map(|seen| seen.words()).eq(expected.iter().copied()) && *it == seen[0]
        });
        let agents = self.script.agents().join(", ");
        Claim {
            text: format!("each message arrived once and in order at {agents} and here"),
            holds: arrived && in_order(&seen[0]),
        }
    }

    fn stored_once(&self) -> Claim {
        let mut expected = BTreeMap::new();
        for line in &self.script.lines {
            *expected.entry(Some(line.thread.as_str())).or_insert(0) += 1;
        }
        let stored = self.threads.iter().map(|it| (it.name.as_deref(), it.message_count));
        let count: u64 = self.threads.iter().map(|it| it.message_count).sum();
        Claim {
            text: format!("{count} messages are stored in {} threads", self.threads.len()),
            holds: stored.collect::<BTreeMap<_, _>>() == expected
                && self.threads.len() == expected.len(),
        }
    }

    fn caught_up(&self, Absence { agent, stored }: &Absence) -> Claim {
        let lives: Vec<&[Note]> = lives(&self.journals[agent]).collect();
        let known = lives.first().map_or(Vec::new(), |notes| journal::seen(notes));
        let missed = missed(&self.journals[agent]);
        let resumed = match lives[..] {
            [_, [Note::Started { after: Some(after), .. }, ..]] => {
                known.last().is_some_and(|last| last.cursor == *after)
            }
            _ => false,
        };
        Claim {
            text: format!(
                "{agent}, killed after {} messages, resumed there and caught up on {}",
                known.len(),
                missed.len()
            ),
            holds: resumed && !missed.is_empty() && known.len() + missed.len() == *stored,
        }
    }

    /// Everybody noticed, so it did happen.
    fn outlived(&self, Outage { pids: [before, after], seconds }: &Outage) -> Claim {
        let reconnects = self.every(|note| match note {
            Note::Ended { reconnects } => Some(*reconnects),
            _ => None,
        });
        let sends = self.every(|note| match note {
            Note::Said { took_ms, .. } => Some(*took_ms),
            _ => None,
        });
        let all_noticed = reconnects.len() == self.journals.len() && !reconnects.contains(&0);
        Claim {
            text: format!(
                "server dead for {seconds:.2} s: all reconnected, the slowest send took {:.2} s",
                sends.into_iter().fold(0.0, f64::max) / 1000.0
            ),
            holds: all_noticed && before != after,
        }
    }

    fn nothing_odd(&self) -> Claim {
        let odd = self.every(|note| match note {
            Note::Odd(what) => Some(what.as_str()),
            _ => None,
        });
        match odd[..] {
            [] => Claim { text: "no watch reported a gap or a reset".into(), holds: true },
            _ => Claim { text: format!("a watch reported {}", odd.join(", ")), holds: false },
        }
    }

    fn answered(&self) -> Claim {
        let (asked, as_written) = self.asked(|answer| answer.is_some());
        let times = asked.iter().map(|it| format!("{} in {:.1} ms", it.to, it.took_ms));
        let text = format!("asked directly, and answered: {}", join(times));
        Claim { text, holds: as_written }
    }

    /// At once: far within the second after which an ask gives up.
    fn refused(&self) -> Claim {
        let (asked, as_written) = self.asked(|answer| answer.is_none());
        let times = asked.iter().map(|it| format!("{} in {:.1} ms", it.to, it.took_ms));
        let text = format!("asked while away, and refused: {}", join(times));
        Claim { text, holds: as_written && asked.iter().all(|it| it.took_ms < 500.0) }
    }

    /// What was asked with such an answer, and whether that is what the script has.
    fn asked(&self, is_such: impl Fn(&Option<String>) -> bool) -> (Vec<&Asked>, bool) {
        let asked = self.every(|note| match note {
            Note::Asked(asked) if is_such(&asked.answer) => Some(asked),
            _ => None,
        });
        let questions = self.script.questions().filter(|it| is_such(&it.answer));
        let expected: BTreeMap<_, _> = questions.map(|it| (&it.text, &it.answer)).collect();
        let found = asked.iter().map(|it| (&it.text, &it.answer));
        let as_written = !expected.is_empty() && found.collect::<BTreeMap<_, _>>() == expected;
        (asked, as_written)
    }

    fn nobody_left(&self) -> Claim {
        Claim {
            text: "every agent ended by itself, and no server is left".into(),
            holds: self.all_ended_well,
        }
    }

    /// What `find` finds in the notes of everybody.
    fn every<'a, T>(&'a self, find: impl Fn(&'a Note) -> Option<T>) -> Vec<T> {
        self.journals.values().flatten().filter_map(find).collect()
    }
}

/// What an agent saw between its last start and the end of its catching up.
pub(crate) fn missed(notes: &[Note]) -> Vec<&Seen> {
    let last = lives(notes).last().unwrap_or_default();
    let end = last.iter().position(|note| matches!(note, Note::CaughtUp)).unwrap_or(last.len());
    journal::seen(&last[..end])
}

/// The notes of one process after another.
fn lives(notes: &[Note]) -> impl Iterator<Item = &[Note]> {
    notes.chunk_by(|_, next| !matches!(next, Note::Started { .. }))
}

fn in_order(seen: &[&Seen]) -> bool {
    let cursors: Result<Vec<Cursor>, _> = seen.iter().map(|it| it.cursor.parse()).collect();
    cursors.is_ok_and(|cursors| cursors.is_sorted_by(|before, after| before < after))
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
