//! What must be true of a run: every send and call against what was really stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use libchat::{ErrorKind, Event};

use crate::campaign::journal::{
    Called, Found, Journal, Life, Place, Said, Scope, Sent, Summary, body,
};
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
const LATE: Duration = Duration::from_millis(2_500);
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
    fn fits(
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

    fn call(&mut self, called: &'a Called) {
        let took = called.ended - called.begun;
        let what = &called.what;
        if took > called.timeout + LATE + self.journal.late {
            self.find("a late call", format!("{what} took {took:?} of {:?}", called.timeout));
        }
        if let Some((kind, text)) = &called.failed {
            let short = called.timeout < Duration::from_secs(2) && *kind == ErrorKind::Timeout;
            let asked = what == "ask"
                && matches!(kind, ErrorKind::NoResponders | ErrorKind::Timeout | ErrorKind::Remote);
            let fits = self.fits(*kind, called.life, called.begun, called.ended, false);
            if !(short || asked || fits) {
                self.find("an error without a reason", format!("{what}: {text}"));
            }
        }
        match &called.found {
            Found::Nothing => {}
            Found::Thread { short, messages } => self.history(called, short, messages),
            Found::Threads(threads) => self.list(called, threads),
            Found::ThreadsOf { agent, shorts } => self.threads_of(called, agent, shorts),
        }
    }

    fn history(&mut self, called: &Called, short: &str, messages: &[(Place, String)]) {
        if let Some(two) = messages.windows(2).find(|two| two[0].0 >= two[1].0) {
            self.find("a history out of order", format!("{two:?}"));
        }
        let told: HashSet<Place> = messages.iter().map(|it| it.0).collect();
        let there = self.there(called.begun, called.ended);
        let missing = there.iter().find(|(at, lay)| lay.short == short && !told.contains(at));
        if let Some(missing) = missing {
            self.find("a history that is not complete", format!("{missing:?}"));
        }
    }

    fn list(&mut self, called: &Called, threads: &[Summary]) {
        if let Some(two) = threads.windows(2).find(|two| two[0].place <= two[1].place) {
            self.find("a list out of order", format!("{:?}, {:?}", two[0].place, two[1].place));
        }
        let mut least: HashMap<&str, (u64, Place)> = HashMap::new();
        for (place, lay) in self.there(called.begun, called.ended) {
            let (count, last) = least.entry(lay.short).or_default();
            (*count, *last) = (*count + 1, place.max(*last));
        }
        let by_short: HashMap<&str, &Summary> =
            threads.iter().map(|it| (it.short.as_str(), it)).collect();
        for (short, (count, last)) in least {
            let Some(summary) = by_short.get(short) else {
                self.find("a list that is not complete", format!("no {short} of {count}"));
                continue;
            };
            if summary.count < count || summary.place < last {
                let text = format!(
                    "{short}: {} to {:?} of {count} to {last:?}",
                    summary.count, summary.place
                );
                self.find("a list that is not complete", text);
            }
        }
        for summary in threads {
            let all = self.truth.values().filter(|it| it.short == summary.short).count();
            let unseen = self.groups.values().filter(|it| it.places.is_empty());
            let unseen = unseen.filter(|it| it.calls[0].1.short == summary.short).count();
            let known =
                summary.last.as_ref().is_none_or(|it| self.groups.contains_key(it.as_str()));
            if summary.count > (all + unseen) as u64 || !known {
                let text = format!("{}: {} of {all}, {unseen}", summary.short, summary.count);
                self.find("a list of what never was", text);
            }
        }
    }

    fn threads_of(&mut self, called: &Called, agent: &str, shorts: &[String]) {
        let is_by = |sent: &Sent| self.journal.lives[sent.life].agent == agent;
        let there = self.there(called.begun, called.ended);
        let missing = there.iter().find(|(_, lay)| {
            let by = self.groups.get(lay.id).is_some_and(|it| is_by(it.calls[0].1));
            by && !shorts.iter().any(|it| it == lay.short)
        });
        let tried = |short: &String| {
            let mut sends = self.journal.sends.iter().filter(|it| is_by(it));
            sends.any(|it| it.short == *short && it.begun < called.ended)
        };
        let strange = shorts.iter().find(|it| !tried(it));
        let text = format!("of {agent}: missing {missing:?}, strange {strange:?}");
        if missing.is_some() || strange.is_some() {
            self.find("threads of another agent", text);
        }
    }

    /// A manager's counters against what it was seen to do.
    fn stats(&mut self, number: usize, life: &Life) {
        let Some(stats) = life.stats else { return };
        let journal = self.journal;
        let sends = || journal.sends.iter().filter(|it| it.life == number);
        let acked = sends().filter(|it| it.is_acked()).count() as u64;
        let copy = |it: &&Sent| matches!(it.said, Said::Acked { duplicate: true, .. });
        let copies = sends().filter(copy).count() as u64;
        let watches = journal.watches.iter().filter(|it| it.life == number);
        let events = || watches.clone().flat_map(|it| it.events.iter().map(|it| &it.1));
        let count = |of: fn(&&Event) -> bool| events().filter(of).count() as u64;
        let told = count(|it| matches!(it, Event::Message(_)));
        let gaps = count(|it| matches!(it, Event::Gap { .. }));
        let resets = count(|it| matches!(it, Event::Reset { .. }));
        let malformed = count(|it| matches!(it, Event::Malformed { .. }));
        let exact = [(stats.sent, acked), (stats.duplicates, copies), (stats.delivered, told)];
        let least = [(stats.gaps, gaps), (stats.resets, resets)];
        let exact = exact.iter().all(|(counted, seen)| counted == seen);
        let least = least.iter().all(|(counted, seen)| counted >= seen);
        let malformed = (malformed == 0) || stats.malformed > 0;
        if !exact || !least || !malformed || stats.watches > 0 {
            let text = format!(
                "{}: {stats:?}, seen: {acked} sent, {copies} copies, {told} told, {gaps} gaps, \
                 {resets} resets",
                life.agent
            );
            self.find("untrue counters", text);
        }
    }

    /// Whether the operator has taken the stream away, or part of it, by then.
    pub(super) fn removed_by(&self, at: Instant, everything: bool) -> bool {
        let fits = |scope: &Scope| !everything || *scope == Scope::Everything;
        self.journal.removals.iter().any(|it| it.begun <= at && fits(&it.scope))
    }
}
