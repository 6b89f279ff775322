//! What must be true of every watch: nothing lost, nothing twice, in order, and true events.

use std::collections::HashSet;
use std::time::Instant;

use libchat::{Cursor, ErrorKind, Event};

use crate::campaign::journal::{Place, Scope, Watched};
use crate::campaign::model::{Lay, Model};
use crate::campaign::schedule::{Fault, Start};

/// From a start, or a reset, to the next one.
struct Leg {
    incarnation: u64,
    from: u64,
    /// Everything up to here is told, or said to be gone.
    to: u64,
    told: HashSet<u64>,
    gaps: Vec<(u64, u64)>,
    /// When it came to where.
    steps: Vec<(u64, Instant)>,
}

impl Leg {
    fn from(cursor: Cursor) -> Leg {
        let Cursor { incarnation, seq, .. } = cursor;
        let (told, gaps, steps) = (HashSet::new(), Vec::new(), Vec::new());
        Leg { incarnation, from: seq, to: seq, told, gaps, steps }
    }

    fn step(&mut self, to: u64, at: Instant) {
        self.to = self.to.max(to);
        self.steps.push((self.to, at));
    }

    /// When it had passed this place.
    fn passed(&self, seq: u64) -> Option<Instant> {
        let at = self.steps.partition_point(|(to, _)| *to < seq);
        self.steps.get(at).map(|it| it.1)
    }
}

/// A watch, walked through.
struct Walk<'w> {
    watched: &'w Watched,
    legs: Vec<Leg>,
    caught_up: usize,
    found: Vec<(&'static str, String)>,
}

impl Watched {
    fn wants(&self, short: &str) -> bool {
        self.short.as_ref().is_none_or(|it| it == short)
    }
}

impl Model<'_> {
    pub(super) fn watch(&mut self, number: usize, watched: &Watched) {
        let legs = vec![Leg::from(watched.first)];
        let mut walk = Walk { watched, legs, caught_up: 0, found: Vec::new() };
        for (at, event) in &watched.events {
            walk.event(self, *at, event);
        }
        walk.begins(self);
        walk.ends(self);
        for (place, leg) in walk.legs.iter().enumerate() {
            let missing = walk.missing(self, leg);
            if let Some((at, lay)) = missing.first() {
                let text = format!(
                    "{} in leg {place} from {} to {}, the first {lay:?} at {at:?}, gaps {:?}",
                    missing.len(),
                    leg.from,
                    leg.to,
                    leg.gaps
                );
                walk.found.push(("a watch lost something", text));
            }
        }
        let agent = &self.journal.lives[watched.life].agent;
        let who = format!(
            "watch {number} of {agent}, {:?} from {:?} {:?}",
            watched.filter, watched.start, watched.after
        );
        for (kind, text) in walk.found {
            self.find(kind, format!("{who}: {text}"));
        }
    }
}

impl Walk<'_> {
    fn find(&mut self, kind: &'static str, text: impl Into<String>) {
        self.found.push((kind, text.into()));
    }

    fn leg(&mut self) -> &mut Leg {
        self.legs.last_mut().expect("there is always one")
    }

    fn event(&mut self, model: &Model<'_>, at: Instant, event: &Event) {
        match event {
            Event::Message(message) => {
                self.told(message.cursor, at, message.short.as_str());
                if self.watched.skip.as_ref() == Some(&message.sender) {
                    self.find("its own, which it skips", message.id.clone());
                }
            }
            Event::Malformed { cursor } => {
                let lay = model.truth.get(&(cursor.incarnation, cursor.seq));
                if lay.is_some_and(|it| !it.id.is_empty()) {
                    self.find("a message told as malformed", format!("{cursor}: {lay:?}"));
                }
                let short = lay.map(|it| it.short).or(self.watched.short.as_deref());
                self.told(*cursor, at, short.unwrap_or_default());
            }
            Event::CaughtUp { cursor } => self.caught_up(model, *cursor, at),
            Event::Gap { after, until } => self.gap(model, (*after, *until), at),
            Event::Reset { cursor } => {
                if !model.removed_by(at, true) || cursor.incarnation == self.leg().incarnation {
                    self.find("a reset without a reason", cursor.to_string());
                }
                self.legs.push(Leg::from(*cursor));
            }
            Event::Stalled { reason } => {
                let broken = model.journal.troubles.iter().any(|it| {
                    let kind = !matches!(it.fault, Fault::Malformed { .. } | Fault::Full { .. });
                    kind && it.begun < at
                });
                if !broken {
                    self.find("stalled without a reason", format!("{reason:#}"));
                }
            }
            Event::Resumed => {}
            other => self.find("an event unknown here", format!("{other:?}")),
        }
    }

    fn told(&mut self, cursor: Cursor, at: Instant, short: &str) {
        let leg = self.legs.last_mut().expect("there is always one");
        let (seq, to) = (cursor.seq, leg.to);
        if cursor.incarnation != leg.incarnation {
            let text = format!("{cursor} after {}", leg.incarnation);
            self.legs.push(Leg::from(Cursor { seq: seq - 1, ..cursor }));
            self.find("another stream without a reset", text);
        } else if leg.told.contains(&seq) {
            self.find("told twice", cursor.to_string());
        } else if seq <= to {
            self.find("told out of order", format!("{cursor} after {to}"));
        }
        let leg = self.leg();
        leg.told.insert(seq);
        leg.step(seq, at);
        if !self.watched.wants(short) {
            self.find("of another thread", format!("{cursor} of {short}"));
        }
    }

    fn caught_up(&mut self, model: &Model<'_>, cursor: Cursor, at: Instant) {
        self.caught_up += 1;
        if self.caught_up > 1 {
            self.find("caught up twice", cursor.to_string());
        }
        let (incarnation, to) = (self.leg().incarnation, self.leg().to);
        if cursor.incarnation != incarnation || cursor.seq < to {
            self.find("caught up somewhere else", format!("{cursor} at {incarnation}, {to}"));
        }
        let called = self.watched.called;
        let before = model.there(called, at).into_iter().find(|(place, lay)| {
            self.watched.wants(lay.short) && place.0 == cursor.incarnation && place.1 > cursor.seq
        });
        if let Some(before) = before {
            self.find("caught up too soon", format!("{cursor}: {before:?}"));
        }
        self.leg().step(cursor.seq, at);
    }

    fn gap(&mut self, model: &Model<'_>, (after, until): (Cursor, Cursor), at: Instant) {
        let text = format!("{after} to {until}");
        let leg = self.leg();
        let place = |seq| (until.incarnation, seq);
        let covers_told = leg.told.iter().any(|it| after.seq < *it && *it <= until.seq);
        let odd = until.incarnation != leg.incarnation || until.seq <= leg.to || after > until;
        let is_behind = odd || covers_told;
        leg.gaps.push((after.seq, until.seq));
        leg.step(until.seq, at);
        if is_behind {
            self.find("a gap where it has been", text.clone());
        }
        if !model.removed_by(at, false) {
            self.find("a gap without a reason", text.clone());
        }
        let covered = model.truth.range(place(after.seq + 1)..=place(until.seq));
        let mut left =
            covered.filter(|(at, lay)| model.left.contains(at) && self.watched.wants(lay.short));
        if let Some(left) = left.next() {
            self.find("a gap over what is there", format!("{text}: {left:?}"));
        }
    }

    /// Where it began, against when it was called and returned.
    fn begins(&mut self, model: &Model<'_>) {
        let Watched { called, returned, first, start, .. } = *self.watched;
        let wanted = |place: &Place, lay: &Lay<'_>| {
            self.watched.wants(lay.short) && place.0 == first.incarnation
        };
        let before = model.there(called, returned);
        let before: Vec<_> = before.into_iter().filter(|(at, lay)| wanted(at, lay)).collect();
        let ahead = before.iter().filter(|(place, _)| place.1 > first.seq);
        let mut found = Vec::new();
        match start {
            Start::New => {
                found.extend(ahead.map(|it| ("new, and was there before", format!("{it:?}"))));
                for group in model.groups.values() {
                    let [place] = group.places[..] else { continue };
                    let later = !group.calls[0].1.foreign && group.begun() > returned;
                    if later && place.0 == first.incarnation && place.1 <= first.seq {
                        found.push(("new, and left out", format!("{place:?}, {first}")));
                    }
                }
            }
            Start::All => {
                let behind = before.iter().filter(|(place, _)| place.1 <= first.seq);
                found.extend(behind.map(|it| ("all, and left out", format!("{it:?}, {first}"))));
            }
            Start::Last(n) => {
                let least = ahead.count() as u64;
                let lays = model.truth.range((first.incarnation, first.seq + 1)..);
                let lays = lays.filter(|(at, lay)| wanted(at, lay));
                let most = lays.filter(|(_, lay)| match model.groups.get(lay.id) {
                    Some(group) => group.calls[0].1.foreign || group.begun() < returned,
                    None => true,
                });
                let most = most.count() as u64;
                if least > n || most < n.min(before.len() as u64) {
                    let text = format!("{n} are {least} to {most}, of {}", before.len());
                    found.push(("not the last ones", text));
                }
            }
            Start::AfterThatOf(_) => {}
        }
        found.truncate(3);
        self.found.extend(found);
    }

    fn ends(&mut self, model: &Model<'_>) {
        let life = &model.journal.lives[self.watched.life];
        if let Some((at, kind)) = self.watched.over {
            let closed = life.closing.is_some_and(|it| it <= at) && kind == ErrorKind::Closed;
            if !closed {
                self.find("a watch that ends by itself", kind.code());
            }
        }
        let last = self.watched.events.iter().rev().find_map(|(_, event)| match event {
            Event::Message(message) => Some(message.cursor),
            Event::Malformed { cursor } | Event::CaughtUp { cursor } | Event::Reset { cursor } => {
                Some(*cursor)
            }
            Event::Gap { until, .. } => Some(*until),
            _ => None,
        });
        if let Some(cursor) = self.watched.closed
            && cursor != last.unwrap_or(self.watched.first)
        {
            self.find("another cursor than was told", format!("{cursor}, {last:?}"));
        }
        if self.watched.closed.is_some() || self.watched.over.is_some() {
            return;
        }
        let wanted = model
            .truth
            .iter()
            .rev()
            .find(|(place, lay)| model.left.contains(place) && self.watched.wants(lay.short));
        let Some((&place, lay)) = wanted else { return };
        let (incarnation, to) = (self.leg().incarnation, self.leg().to);
        if place.0 != incarnation || place.1 > to {
            let text = format!("at {to} of {incarnation}; {lay:?} is at {place:?}");
            self.find("a watch that is stuck", text);
        }
    }

    /// What the stretch should have told.
    fn missing<'m>(&self, model: &Model<'m>, leg: &Leg) -> Vec<(Place, Lay<'m>)> {
        let place = |seq| (leg.incarnation, seq);
        let passed = model.truth.range(place(leg.from + 1)..place(leg.to.max(leg.from) + 1));
        let missing = passed.filter(|((_, seq), lay)| {
            let told = leg.told.contains(seq);
            let gap = leg.gaps.iter().any(|(after, until)| after < seq && seq <= until);
            !told && !gap && self.watched.wants(lay.short)
        });
        let missing = missing.filter(|(_, lay)| {
            let own = model.groups.get(lay.id).map(|it| it.calls[0].1.life);
            let own = own.map(|it| &model.journal.lives[it].agent);
            own.is_none() || own != self.watched.skip.as_ref()
        });
        let missing = missing.filter(|(at, lay)| {
            let passed = leg.passed(at.1);
            !model.journal.removals.iter().any(|removal| {
                // Who reads a thread only may not be told of a purge in time.
                let silent = match removal.scope {
                    Scope::Below(_) => self.watched.short.is_some(),
                    _ => true,
                };
                let before = passed.is_none_or(|it| removal.begun < it);
                silent && before && removal.takes(**at, lay.short)
            })
        });
        missing.map(|(at, lay)| (*at, *lay)).collect()
    }
}
