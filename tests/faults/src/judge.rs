//! What the agents were told, against what is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::actor::{FINISH, Line};
use crate::admin::{Stored, short};

/// What a run came to. Zeros where promised.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Acknowledged and not stored, or stored and neither delivered nor told as a gap.
    pub(crate) lost: usize,
    /// Stored twice, or delivered twice.
    pub(crate) twice: usize,
    /// Stored or delivered out of order.
    pub(crate) disordered: usize,
    /// Whatever else was not true: gaps and resets without a reason, calls past their deadline,
    /// errors that do not fit.
    pub(crate) untrue: Vec<String>,
    /// Messages acknowledged.
    pub(crate) acked: usize,
    /// The longest time between two messages of the busy watch.
    pub(crate) silence_ms: u128,
    /// The longest call.
    pub(crate) call_ms: u128,
    /// From the end of the fault to the first message delivered.
    pub(crate) recovery_ms: Option<u128>,
    /// What shows that the fault was hit.
    pub(crate) trace: String,
}

/// What a fault may cause.
#[derive(Clone, Copy)]
pub(crate) struct Allow {
    pub(crate) gaps: bool,
    pub(crate) resets: bool,
    /// Messages inside a thread are removed, which leaves no trace.
    pub(crate) deletions: bool,
    /// Kinds of errors that sends and calls may end with.
    pub(crate) codes: &'static [&'static str],
}

/// One message that an agent tried to send.
pub(crate) struct Sent {
    pub(crate) thread: String,
    pub(crate) id: String,
    pub(crate) tried: Instant,
    /// The sequence it was told; 0 if the receipt had none.
    pub(crate) acked: Option<u64>,
    /// Whether an attempt had an unknown outcome, and whether one was refused for good.
    unknown: bool,
    refused: bool,
    n: u64,
}

/// No fault lasts longer than 15 s, nor does finding out that a connection is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// How far beyond its timeout a call may end on a busy machine.
const LATE: u128 = 2_500;
const SEND_TIMEOUT: u128 = 10_000;
const CALL_TIMEOUT: u128 = 5_000;

/// The sends of an agent, in the order of the first tries.
pub(crate) fn sends(name: &str, lines: &[Line]) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    let mut place = HashMap::new();
    for line in lines {
        let (thread, n) = (line.word(1), line.number(2));
        let key = (thread.to_owned(), n);
        match line.word(0) {
            "try" => {
                place.entry(key).or_insert_with(|| {
                    let (thread, id) = (thread.to_owned(), format!("{name}-{thread}-{n}"));
                    let (tried, acked) = (line.at, None);
                    let (unknown, refused) = (false, false);
                    sent.push(Sent { thread, id, tried, acked, unknown, refused, n });
                    sent.len() - 1
                });
            }
            "ok" => sent[place[&key]].acked = Some(line.number(3)),
            "err" if line.word(3) == "OUTCOME_UNKNOWN" => sent[place[&key]].unknown = true,
            // Not those of the opening and the setting up.
            "err" => _ = place.get(&key).map(|&at| sent[at].refused = true),
            _ => {}
        }
    }
    sent
}

impl Verdict {
    /// Every send against what is stored. What was tried before `wiped` the operator may have
    /// removed.
    pub(crate) fn sends(&mut self, sent: &[Sent], stored: &[Stored], wiped: Option<Instant>) {
        let mut copies: HashMap<&str, Vec<u64>> = HashMap::new();
        for message in stored {
            copies.entry(&message.id).or_default().push(message.seq);
        }
        let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for send in sent {
            let seqs = copies.get(send.id.as_str()).map_or(&[][..], Vec::as_slice);
            self.twice += seqs.len().saturating_sub(1);
            self.acked += usize::from(send.acked.is_some());
            let excused = wiped.is_some_and(|wiped| send.tried <= wiped);
            if send.acked.is_some() && seqs.is_empty() && !excused {
                self.lost += 1;
                self.untrue.push(format!("acked and lost: {}", send.id));
            }
            if send.refused && !send.unknown && !seqs.is_empty() {
                self.untrue.push(format!("said to be not stored, and is: {}", send.id));
            }
            let Some(&seq) = seqs.first() else { continue };
            if send.acked.is_some_and(|acked| acked != 0 && acked != seq) && !excused {
                self.untrue.push(format!("its receipt names another place: {}", send.id));
            }
            let (last_n, last_seq) = last.entry(&send.thread).or_default();
            if send.n > *last_n && seq < *last_seq {
                self.disordered += 1;
            }
            (*last_n, *last_seq) = (send.n, seq);
        }
    }

    /// How long each call took, and what it said.
    pub(crate) fn calls(&mut self, lines: &[Line], allow: Allow) {
        for line in lines {
            let (what, code, ms, timeout) = match line.word(0) {
                "ok" => ("send", "OK", line.number(5), SEND_TIMEOUT),
                // What ends with its agent may say so.
                FINISH => return,
                "err" if line.word(1) == "watch" => continue,
                "err" => ("send", line.word(3), line.number(4), SEND_TIMEOUT),
                "did" => (line.word(1), line.word(2), line.number(3), CALL_TIMEOUT),
                _ => continue,
            };
            let ms = u128::from(ms);
            self.call_ms = self.call_ms.max(ms);
            if ms > timeout + LATE {
                self.untrue.push(format!("{what} took {ms} ms"));
            }
            if code != "OK" && !allow.codes.contains(&code) {
                self.untrue.push(format!("{what} said {code} after {ms} ms"));
            }
        }
    }

    /// Every list and history that worked holds what was acknowledged before it began.
    pub(crate) fn complete(&mut self, calls: &[Line], sender: &[Line], before: u64) {
        let times = |word: &str, thread: Option<&str>| -> Vec<Instant> {
            let wanted = |it: &&Line| it.is(word) && thread.is_none_or(|of| of == it.word(1));
            sender.iter().filter(wanted).map(|it| it.at).collect()
        };
        let (all, first_thread) = (times("ok", None), times("ok", Some("t0")));
        let (all_tries, first_tries) = (times("try", None), times("try", Some("t0")));
        let mut begun = None;
        for line in calls {
            match (line.word(0), line.word(1)) {
                // Lines of two agents come by two pipes: what came close together may have
                // happened the other way round.
                ("begin", _) => begun = Some(line.at - Duration::from_millis(500)),
                ("did", verb @ ("list" | "history")) if line.word(2) == "OK" => {
                    let (old, acks, tries) = match verb {
                        "list" => (before, &all, &all_tries),
                        _ => (before / 2, &first_thread, &first_tries),
                    };
                    let acks = begun.map_or(0, |begun| acks.partition_point(|it| *it < begun));
                    let least = old + acks as u64;
                    let until = line.at + Duration::from_millis(500);
                    let most = old + tries.partition_point(|it| *it < until) as u64;
                    let count = line.number(4);
                    if !(least..=most).contains(&count) {
                        self.untrue.push(format!("{verb} found {count} of {least} to {most}"));
                    }
                }
                _ => {}
            }
        }
    }

    /// A watch that began with new messages, against what was sent and what is stored.
    pub(crate) fn watch(&mut self, watch: &Watched<'_>, allow: Allow) {
        let mut at = At::default();
        for line in watch.lines {
            match line.word(0) {
                "gap" if !allow.gaps => self.strange(watch, line),
                "reset" if !allow.resets => self.strange(watch, line),
                "malformed" | "over" | "unknown" => self.strange(watch, line),
                _ => self.twice += at.take(line, &mut self.disordered),
            }
        }
        let kept = watch.stored.iter().filter(|it| at.has_gap_at(it.seq)).count();
        if kept > 0 {
            self.untrue.push(format!("{}: a gap where {kept} messages are stored", watch.name));
        }
        let missing = watch.missing(&at);
        self.lost += missing.len();
        let told =
            |id: &String| format!("{}: neither delivered nor told as a gap: {id}", watch.name);
        self.untrue.extend(missing.iter().take(3).map(told));
    }

    fn strange(&mut self, watch: &Watched<'_>, line: &Line) {
        self.untrue.push(format!("{}: {}", watch.name, line.words.join(" ")));
    }

    pub(crate) fn silence(&mut self, lines: &[Line], from: Instant, until: Instant) {
        let got = lines.iter().filter(|it| it.is("got") && (from..until).contains(&it.at));
        let times: Vec<Instant> = std::iter::once(from).chain(got.map(|it| it.at)).collect();
        let longest = times.windows(2).map(|two| two[1] - two[0]).max();
        let longest = longest.unwrap_or(Duration::ZERO);
        self.silence_ms = self.silence_ms.max(longest.as_millis());
        if longest > SILENCE {
            self.untrue.push(format!("nothing was told for {} s", longest.as_secs()));
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.twice + self.disordered == 0 && self.untrue.is_empty()
    }
}

/// What has come since the beginning, or since the last reset.
#[derive(Default)]
struct At {
    ids: HashSet<String>,
    last: u64,
    gaps: Vec<(u64, u64)>,
    resets: usize,
}

impl At {
    /// Takes in what a watch told; how often it told a message too often.
    fn take(&mut self, line: &Line, disordered: &mut usize) -> usize {
        match line.word(0) {
            "got" => return self.got(line, disordered),
            "gap" => self.gaps.push((line.number(1), line.number(2))),
            "reset" => *self = At { resets: self.resets + 1, ..At::default() },
            _ => {}
        }
        0
    }

    /// How often this message has come already, or should not have come at all.
    fn got(&mut self, line: &Line, disordered: &mut usize) -> usize {
        let seq = line.number(4);
        *disordered += usize::from(seq < self.last);
        self.last = self.last.max(seq);
        let is_old = self.resets == 0 && line.word(3) == "old";
        usize::from(is_old || !self.ids.insert(line.word(6).to_owned()))
    }

    fn has_gap_at(&self, seq: u64) -> bool {
        self.gaps.iter().any(|(after, until)| *after < seq && seq <= *until)
    }
}

/// A watch of one thread, or of all.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'a> {
    pub(crate) name: &'a str,
    pub(crate) thread: Option<&'a str>,
    pub(crate) lines: &'a [Line],
    pub(crate) sent: &'a [Sent],
    pub(crate) stored: &'a [Stored],
    pub(crate) wiped: Option<Instant>,
    pub(crate) deletions: bool,
}

impl Watched<'_> {
    /// The ids of messages that should have come.
    fn missing(&self, at: &At) -> Vec<String> {
        let Some(ready) = self.lines.iter().find(|it| it.is("ready")) else {
            return vec!["the watch was never set up".to_owned()];
        };
        let short = self.thread.map(short);
        let places: HashMap<&str, u64> =
            self.stored.iter().map(|it| (it.id.as_str(), it.seq)).collect();
        let mut missing = Vec::new();
        for send in self.sent {
            let ours = self.thread.is_none_or(|it| it == send.thread);
            if !ours || at.ids.contains(&send.id) || send.tried < ready.at {
                continue;
            }
            let stored = places.get(send.id.as_str()).copied();
            let Some(seq) = stored.or(send.acked) else { continue };
            // What the operator removed is told as a reset, or as a gap.
            let wiped = self.wiped.is_some_and(|it| send.tried <= it);
            let excused = wiped && stored.is_none() && (at.resets > 0 || self.deletions);
            if !(at.has_gap_at(seq) || excused) {
                missing.push(send.id.clone());
            }
        }
        if at.resets > 0 {
            let ours = |it: &&Stored| short.as_ref().is_none_or(|short| *short == it.short);
            let all = self.stored.iter().filter(ours).filter(|it| !at.ids.contains(&it.id));
            missing.extend(all.map(|it| it.id.clone()));
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Whether all has come that must.
    pub(crate) fn is_complete(&self) -> bool {
        let mut at = At::default();
        let mut disordered = 0;
        for line in self.lines {
            at.take(line, &mut disordered);
        }
        self.missing(&at).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: Allow = Allow { gaps: true, resets: false, deletions: false, codes: &[] };

    fn lines(text: &str) -> Vec<Line> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        text.lines().map(|line| Line { at: Instant::now(), words: words(line.trim()) }).collect()
    }

    fn stored(ids: &[&str]) -> Vec<Stored> {
        let one = |(seq, id): (u64, &&str)| {
            let id = format!("ben-t0-{id}");
            Stored { seq, short: short("t0"), id, is_off_by_days: false }
        };
        (1..).zip(ids).map(one).collect()
    }

    const SENT: &str = "try t0 0\nok t0 0 1 0 3\ntry t0 1\nok t0 1 2 0 3\ntry t0 2\nok t0 2 3 0 3";

    #[track_caller]
    fn judged(sender: &str, ids: &[&str], watch: &str) -> (usize, usize, usize, Vec<String>) {
        // The watch is ready before the first try.
        let ready = lines("ready 1");
        let sender = lines(sender);
        let watch = [ready, lines(watch)].concat();
        let (sent, stored) = (sends("ben", &sender), stored(ids));
        let mut verdict = Verdict::default();
        verdict.sends(&sent, &stored, None);
        verdict.calls(&sender, ALLOW);
        let watched = Watched {
            name: "busy",
            thread: None,
            lines: &watch,
            sent: &sent,
            stored: &stored,
            wiped: None,
            deletions: false,
        };
        verdict.watch(&watched, ALLOW);
        (verdict.lost, verdict.twice, verdict.disordered, verdict.untrue)
    }

    fn got(numbers: &[(u32, u32)]) -> String {
        let line = |(n, seq): &(u32, u32)| format!("got t0 {n} ben {seq} - ben-t0-{n}");
        numbers.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_right_is_clean() {
        let all = got(&[(0, 1), (1, 2), (2, 3)]);
        assert_eq!(judged(SENT, &["0", "1", "2"], &all), (0, 0, 0, vec![]));
    }

    #[test]
    fn what_is_lost_twice_or_out_of_order_is_counted() {
        let check = |ids: &[&str], watch: &str, expected: (usize, usize, usize)| {
            let (lost, twice, disordered, _) = judged(SENT, ids, watch);
            assert_eq!((lost, twice, disordered), expected, "{ids:?} {watch}");
        };
        let (all, ids) = (got(&[(0, 1), (1, 2), (2, 3)]), ["0", "1", "2"]);
        check(&ids, &got(&[(0, 1), (2, 3)]), (1, 0, 0));
        check(&ids, &format!("{all}\n{}", got(&[(1, 2)])), (0, 1, 1));
        check(&ids, &got(&[(0, 1), (2, 3), (1, 2)]), (0, 0, 1));
        check(&["0", "1"], &all, (1, 0, 0));
        check(&["0", "1", "2", "1"], &all, (0, 1, 0));
        check(&["0", "2", "1"], &all, (0, 0, 1));
        check(&ids, &format!("got t1 0 old 0 - old-0\n{all}"), (0, 1, 0));
    }

    #[test]
    fn what_is_not_true_is_said() {
        let check = |sender: &str, ids: &[&str], watch: &str| {
            let (.., untrue) = judged(sender, ids, watch);
            assert_eq!(untrue.len(), 1, "{untrue:?}");
        };
        let first = got(&[(0, 1)]);
        // Refused, and stored all the same; of a kind that does not fit; too late.
        let allowed = "try t0 0\nerr t0 0 OUTCOME_UNKNOWN 3\nok t0 0 1 1 3";
        check(allowed, &["0"], &first);
        check("try t0 0\nok t0 0 1 0 60000", &["0"], &first);
        check("try t0 0\nok t0 0 7 0 3", &["0"], &first);
        check("try t0 0\nok t0 0 1 0 3", &["0"], &format!("{first}\ngap 0 9"));
        check("try t0 0\nok t0 0 1 0 3", &["0"], &format!("{first}\nreset"));
        check("try t0 0\nok t0 0 1 0 3", &["0"], &format!("{first}\nover CLOSED"));
        let (.., untrue) = judged("try t0 0\nerr t0 0 SERVER 3", &["0"], &first);
        assert_eq!(untrue.len(), 2, "refused and stored, and of a kind that is not allowed");
    }
}
