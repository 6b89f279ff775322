//! What must be true of a run: every send and call against what was really stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use libchat::{ErrorKind, Event};

use crate::campaign::journal::{Found, Journal, Place, Said, Scope, Sent, body};
use crate::campaign::schedule::Fault;

/// Something that was not as promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The same for the same promise, whatever the names and numbers.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// What lay in a place: a message of this id, or what is no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lay<'a> {
    pub(super) id: &'a str,
    pub(super) short: &'a str,
}

/// A message: all calls that were to send it, and all places where it was stored.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub(super) calls: Vec<(usize, &'a Sent)>,
    pub(super) places: Vec<Place>,
}

impl Group<'_> {
    /// When the first acknowledgement had come.
    pub(super) fn acked(&self) -> Option<Instant> {
        let acked = self.calls.iter().filter(|(_, it)| it.is_acked());
        acked.filter_map(|(_, it)| it.ended).min()
    }

    pub(super) fn begun(&self) -> Instant {
        self.calls[0].1.begun
    }

    fn first(&self) -> usize {
        self.calls[0].0
    }

    fn last(&self) -> usize {
        self.calls[self.calls.len() - 1].0
    }
}

pub(super) struct Model<'a> {
    pub(super) journal: &'a Journal,
    pub(super) truth: BTreeMap<Place, Lay<'a>>,
    pub(super) groups: HashMap<&'a str, Group<'a>>,
    /// What is stored at the end.
    pub(super) left: HashSet<Place>,
    pub(super) found: Vec<Finding>,
    /// Receipts that name the stream before.
    stale: usize,
}

/// How far beyond its timeout a call may end on a busy machine.
pub(super) const LATE: Duration = Duration::from_millis(2_500);
/// How long after an outage its connections may still be dead.
const AFTER: Duration = Duration::from_secs(15);

/// Everything that is not as promised, and how many receipts name the stream before.
pub(super) fn judge(journal: &Journal) -> (Vec<Finding>, usize) {
    let mut model = Model {
        journal,
        truth: BTreeMap::new(),
        groups: HashMap::new(),
        left: HashSet::new(),
        found: Vec::new(),
        stale: 0,
    };
    for (kind, text) in &journal.found {
        model.find(kind, text.clone());
    }
    model.gather();
    model.sends();
    model.order();
    model.conditions();
    for (number, watched) in journal.watches.iter().enumerate() {
        model.watch(number, watched);
    }
    for called in &journal.calls {
        model.call(called);
    }
    for (number, life) in journal.lives.iter().enumerate() {
        model.stats(number, life);
    }
    (model.found, model.stale)
}

impl<'a> Model<'a> {
    pub(super) fn find(&mut self, kind: &'static str, text: String) {
        self.found.push(Finding { kind, text });
    }

    /// Puts together what lay where, from all who have seen it.
    fn gather(&mut self) {
        let journal = self.journal;
        for (number, sent) in journal.sends.iter().enumerate().filter(|(_, it)| !it.id.is_empty()) {
            self.groups.entry(&sent.id).or_default().calls.push((number, sent));
        }
        for snapshot in &journal.snapshots {
            for it in &snapshot.stored {
                let lay = Lay { id: &it.id, short: &it.short };
                self.seen((snapshot.incarnation, it.seq), lay, "stored");
            }
        }
        if let Some(last) = journal.snapshots.last() {
            self.left.extend(last.stored.iter().map(|it| (last.incarnation, it.seq)));
        }
        for (place, short) in &journal.malformed {
            self.seen(*place, Lay { id: "", short }, "stored by the operator");
        }
        for watched in &journal.watches {
            for (_, event) in &watched.events {
                let Event::Message(message) = event else { continue };
                let place = (message.cursor.incarnation, message.cursor.seq);
                let lay = Lay { id: &message.id, short: message.short.as_str() };
                self.seen(place, lay, "told");
                self.is_true(message);
            }
        }
        for called in &journal.calls {
            if let Found::Thread { short, messages } = &called.found {
                for (place, id) in messages {
                    self.seen(*place, Lay { id, short }, "in a history");
                }
            }
        }
        for sent in &journal.sends {
            self.receipt(sent);
        }
    }

    fn seen(&mut self, place: Place, lay: Lay<'a>, how: &str) {
        let before = *self.truth.entry(place).or_insert(lay);
        if before != lay {
            let text = format!("{place:?}: {before:?}, and {lay:?} {how}");
            return self.find("two messages in one place", text);
        }
        if lay.id.is_empty() {
            return;
        }
        match self.groups.get_mut(lay.id) {
            Some(group) if group.places.contains(&place) => {}
            Some(group) => group.places.push(place),
            None => self.find("never sent", format!("{lay:?} at {place:?}, {how}")),
        }
    }

    /// Whether a message that was told is as it was sent.
    fn is_true(&mut self, message: &libchat::Message) {
        let Some(group) = self.groups.get(message.id.as_str()) else { return };
        let sent = group.calls[0].1;
        let agent = &self.journal.lives[sent.life].agent;
        let same = message.body == body(&sent.short, sent.size) || sent.foreign;
        if !same || message.sender != *agent || message.short.as_str() != sent.short {
            self.find("another message than was sent", message.id.clone());
        }
    }

    fn receipt(&mut self, sent: &'a Sent) {
        let Said::Acked { place: Some(place), .. } = sent.said else { return };
        let Some(group) = self.groups.get(sent.id.as_str()) else { return };
        if group.places.contains(&place) {
            return;
        }
        let lay = Lay { id: &sent.id, short: &sent.short };
        match self.truth.get(&place) {
            // Nobody has seen it, so it has been removed since.
            None if group.places.is_empty() => self.seen(place, lay, "in a receipt"),
            // A manager that knew of no message learns late that the stream is another one: who
            // resumes from there is told of a reset.
            _ if self.is_stale(place) && group.places.iter().any(|it| it.1 == place.1) => {
                self.stale += 1;
            }
            there => {
                let text = format!(
                    "{} at {place:?}: is at {:?}, and there is {there:?}",
                    sent.id, group.places
                );
                self.find("untrue receipt", text);
            }
        }
    }

    /// Whether it is a place of a stream that is no more.
    fn is_stale(&self, place: Place) -> bool {
        let mut replaced = self.journal.removals.iter().filter(|it| it.scope == Scope::Everything);
        replaced.any(|it| it.incarnation == place.0)
    }

    /// Whether nothing has removed it before `until`.
    pub(super) fn survives(&self, place: Place, short: &str, until: Instant) -> bool {
        let removals = &self.journal.removals;
        !removals.iter().any(|it| it.begun < until && it.takes(place, short))
    }

    /// Places of what was acknowledged before `when` and is there until `until`.
    pub(super) fn there(&self, when: Instant, until: Instant) -> Vec<(Place, Lay<'a>)> {
        let acked = self.groups.values().filter(|it| it.acked().is_some_and(|at| at < when));
        let single = acked.filter(|it| it.places.len() == 1).map(|it| it.places[0]);
        let places = single.filter_map(|place| Some((place, *self.truth.get(&place)?)));
        places.filter(|(place, lay)| self.survives(*place, lay.short, until)).collect()
    }

    fn sends(&mut self) {
        let mut found = Vec::new();
        for (id, group) in &self.groups {
            let failed = |it: &Sent| !it.is_acked() && !it.is_unknown();
            if group.calls.iter().all(|(_, it)| failed(it)) && !group.places.is_empty() {
                let said = &group.calls[0].1.said;
                found
                    .push(("said to be not stored", format!("{id}: {said:?}: {:?}", group.places)));
            }
            found.extend(self.lost(id, group));
            found.extend(self.twice(id, group));
        }
        for sent in &self.journal.sends {
            found.extend(self.sent(sent));
        }
        found.into_iter().for_each(|(kind, text)| self.find(kind, text));
    }

    fn lost(&self, id: &str, group: &Group<'_>) -> Option<(&'static str, String)> {
        group.acked()?;
        let gone = |place: &Place| {
            let short = self.truth.get(place).map_or("", |it| it.short);
            let removals = &self.journal.removals;
            removals.iter().any(|it| it.takes(*place, short) && it.ended > group.begun())
        };
        let is_there = |place: &Place| self.left.contains(place) || gone(place);
        let any_removal = !self.journal.removals.is_empty();
        let lost = match group.places.is_empty() {
            // nats.go's receipts are not known by place.
            true => !any_removal,
            false => !group.places.iter().any(is_there),
        };
        lost.then(|| ("acknowledged and lost", format!("{id} at {:?}", group.places)))
    }

    fn twice(&self, id: &str, group: &Group<'_>) -> Option<(&'static str, String)> {
        let mut places = group.places.clone();
        places.sort_unstable();
        let two = places.windows(2).find(|two| two[0].0 == two[1].0)?;
        let short = self.truth.get(&two[0]).map_or("", |it| it.short);
        // What is gone the server does not know any more, nor what its window has forgotten.
        let gone = self.journal.removals.iter().any(|it| it.takes(two[0], short));
        let troubles = &self.journal.troubles;
        let forgets = troubles.iter().any(|it| matches!(it.fault, Fault::Expire { .. }));
        (!gone && !forgets).then(|| ("stored twice", format!("{id} at {places:?}")))
    }

    fn sent(&self, sent: &Sent) -> Option<(&'static str, String)> {
        let ended = sent.ended?;
        let took = ended - sent.begun;
        if took > sent.timeout + LATE + self.journal.late && !sent.foreign {
            let text = format!("send of {} took {took:?} of {:?}", sent.id, sent.timeout);
            return Some(("a late call", text));
        }
        let Said::Failed(kind, text) = &sent.said else { return None };
        let conditional = sent.expect.is_some() && *kind == ErrorKind::Conflict;
        let curbed =
            matches!(kind, ErrorKind::OutcomeUnknown | ErrorKind::Timeout | ErrorKind::Cancelled);
        let fits = conditional
            || (sent.curbed && curbed)
            || self.fits(*kind, sent.life, sent.begun, ended, true);
        (!fits).then(|| ("an error without a reason", format!("send of {}: {text}", sent.id)))
    }

    /// Whether something that happened explains an error of this kind.
    pub(super) fn fits(
        &self,
        kind: ErrorKind,
        life: usize,
        begun: Instant,
        ended: Instant,
        sends: bool,
    ) -> bool {
        use ErrorKind::{
            Closed, Conflict, Disconnected, NoResponders, NotFound, OutcomeUnknown, Server,
            Timeout, Unauthorized,
        };
        let closing = self.journal.lives.get(life).and_then(|it| it.closing);
        let is_closed = closing.is_some_and(|it| it <= ended);
        let open = |it: ErrorKind| !matches!(it, OutcomeUnknown) || sends;
        let away: &[ErrorKind] = &[Timeout, Disconnected, OutcomeUnknown, NoResponders];
        let gone: &[ErrorKind] =
            &[Timeout, Disconnected, OutcomeUnknown, NoResponders, NotFound, Conflict];
        let explained = self.journal.troubles.iter().any(|trouble| {
            let over = trouble.ended.is_some_and(|it| it + AFTER < begun);
            let kinds = match trouble.fault {
                Fault::Kill { .. }
                | Fault::Freeze { .. }
                | Fault::Cut { .. }
                | Fault::HalfOpen { .. }
                | Fault::Slow { .. } => away,
                Fault::Remake { .. } => gone,
                Fault::Full { .. } if sends => &[Server],
                Fault::Revoke { .. } => &[Unauthorized, Timeout, Disconnected, OutcomeUnknown],
                _ => &[],
            };
            trouble.begun <= ended && !over && kinds.contains(&kind)
        });
        open(kind) && (explained || (is_closed && matches!(kind, Closed | OutcomeUnknown)))
    }

    /// The order of each manager's sends to each thread.
    fn order(&mut self) {
        let mut lines: HashMap<(usize, &str), Vec<(&str, &Group<'_>)>> = HashMap::new();
        for (id, group) in &self.groups {
            let sent = group.calls[0].1;
            if sent.ordered && !group.places.is_empty() {
                lines.entry((sent.life, &sent.short)).or_default().push((id, group));
            }
        }
        let mut found = Vec::new();
        for line in lines.values() {
            for (one, a) in line {
                for (other, b) in line.iter().filter(|(_, b)| a.last() < b.first()) {
                    let single = a.places.len() == 1 && b.places.len() == 1;
                    let (x, y) = (a.places[0], b.places[0]);
                    if single && x.0 == y.0 && x.1 > y.1 {
                        found.push(format!("{one} at {x:?}, {other} at {y:?}"));
                    }
                }
            }
        }
        found.into_iter().for_each(|text| self.find("out of order", text));
    }

    /// Sends that expected something of their thread.
    fn conditions(&mut self) {
        let mut found = Vec::new();
        for sent in &self.journal.sends {
            let Said::Acked { place: Some(place), duplicate: false } = sent.said else { continue };
            let (Some(expect), Some(ended)) = (sent.expect, sent.ended) else { continue };
            let last = match expect {
                Some((incarnation, _)) if incarnation != place.0 => {
                    found.push(format!("{} at {place:?} after {expect:?}", sent.id));
                    continue;
                }
                Some((_, last)) => last,
                None => 0,
            };
            let between = self.truth.range((place.0, last + 1)..place);
            let mut between = between.filter(|(at, lay)| {
                lay.short == sent.short && self.survives(**at, lay.short, ended)
            });
            if let Some(other) = between.next() {
                found.push(format!("{} at {place:?} after {expect:?}: {other:?}", sent.id));
            }
        }
        found.into_iter().for_each(|text| self.find("against its condition", text));
    }

    /// Whether the operator has taken the stream away, or part of it, by then.
    pub(super) fn removed_by(&self, at: Instant, everything: bool) -> bool {
        let fits = |scope: &Scope| !everything || *scope == Scope::Everything;
        self.journal.removals.iter().any(|it| it.begun <= at && fits(&it.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::schedule::{Act, Burst, Filter, Schedule, Start, Step, Watch, Way};
    use crate::campaign::{journal::Said, world};

    /// A watch from the first, and twenty messages.
    fn schedule() -> Schedule {
        let watch = Watch {
            slot: 0,
            agent: 0,
            filter: Filter::All,
            start: Start::All,
            queue: 256,
            pause_ms: 0,
            skip_own: false,
            timeout_ms: 5_000,
        };
        let burst = Burst {
            agent: 1,
            thread: 0,
            count: 20,
            size: 9,
            way: Way::Ordered,
            timeout_ms: 10_000,
            pause_ms: Some(1),
            repeat: true,
            stop: None,
        };
        let acts = [Act::Watch(watch), Act::Burst(burst)];
        let steps = acts.map(|act| Step { after_ms: 200, act }).to_vec();
        let (cluster, shared, mixed) = (false, false, false);
        Schedule { seed: 1, cluster, agents: 2, shared, threads: 1, mixed, steps }
    }

    /// A true run, and what the model says when it is told lies of it.
    #[tokio::test(flavor = "multi_thread")]
    async fn lies_are_found() {
        let check = |journal: &Journal, expected: &[&str]| {
            let kinds: Vec<_> = judge(journal).0.iter().map(|it| it.kind).collect();
            assert_eq!(kinds, expected);
        };
        let mut journal = world::run(&schedule()).await;
        check(&journal, &[]);
        let events = &mut journal.watches[0].events;
        let missed = events.remove(5);
        check(&journal, &["a watch lost something", "untrue counters"]);
        journal.watches[0].events.insert(6, missed.clone());
        check(&journal, &["told out of order"]);
        journal.watches[0].events.swap(5, 6);
        journal.watches[0].events.insert(7, missed);
        check(&journal, &["told twice", "untrue counters"]);
        journal.watches[0].events.remove(7);
        journal.sends[3].said = Said::Failed(ErrorKind::Timeout, String::new());
        check(&journal, &["said to be not stored", "an error without a reason", "untrue counters"]);
        let place = journal.snapshots[0].stored[3].seq;
        let incarnation = journal.snapshots[0].incarnation;
        journal.sends[3].said =
            Said::Acked { place: Some((incarnation, place + 1)), duplicate: false };
        check(&journal, &["untrue receipt"]);
        journal.sends[3].said = Said::Acked { place: Some((incarnation, place)), duplicate: false };
        check(&journal, &[]);
        journal.snapshots[0].stored.remove(3);
        check(&journal, &["acknowledged and lost"]);
    }
}
