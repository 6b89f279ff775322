//! Who watches what, and how far each has come: the decisions of the hub, all under one lock.
//!
//! A watch is attached to the live tail, or *detached*: slow, late or resumed. For a detached watch
//! the tail only notes the highest message it `missed`, and a catch-up reads on until it has passed
//! that. Everything the tail skipped is at or below that mark, everything later comes through the
//! tail, and what the tail repeats is at or below the watch's cursor: so nothing is lost and
//! nothing comes twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::config::WatchOptions;
use crate::counters::Counters;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::message::{Cursor, Event};
use crate::name::{Project, Short};
use crate::queue::{Budget, Delivery, Entry, Pushed, Queue};
use crate::stored::{Parsed, Stored};

/// More threads than this, and the tail reads all of them: the server's cost of a filter grows with
/// its length.
const FILTERED_THREADS: usize = 32;

/// One watch, as tail, catch-up and reader share it.
pub(crate) struct Tap {
    pub(crate) id: u64,
    pub(crate) filter: Filter,
    /// The agent whose messages are left out.
    skip: Option<String>,
    pub(crate) queue: Queue,
    /// Set when the watch is taken away.
    pub(crate) gone: CancellationToken,
}

impl Tap {
    /// Whether this watch wants a message whose subject it matches.
    pub(crate) fn wants(&self, parsed: &Parsed) -> bool {
        match parsed {
            Parsed::Message(message) => {
                self.filter.wants(message) && self.skip.as_ref() != Some(&message.sender)
            }
            Parsed::Malformed(_) => true,
        }
    }
}

pub(crate) struct Taps {
    project: Project,
    budget: Arc<Budget>,
    counters: Arc<Counters>,
    places: HashMap<u64, Place>,
    by_thread: HashMap<Short, Vec<u64>>,
    /// Watches of more than one thread.
    broad: Vec<u64>,
    ids: u64,
    /// Whose queues hold what nobody was told of yet.
    touched: Vec<Arc<Tap>>,
    pub(crate) tail: Tail,
}

/// The live tail, as far as its watches must know it.
#[derive(Default)]
pub(crate) struct Tail {
    /// Whether its task lives.
    pub(crate) running: bool,
    /// How far it has been handed out.
    pub(crate) cursor: Cursor,
    /// Everything for its watches up to here is handed out or gone.
    pub(crate) horizon: u64,
    /// What it is filtered by: empty is everything; `None`: not opened yet.
    subjects: Option<Vec<String>>,
    /// It must be opened anew from here or earlier, for a watch it does not cover.
    restart: Option<Cursor>,
    /// Moves with each watch that it does not cover yet.
    pub(crate) version: u64,
    /// Its last opening failed.
    pub(crate) failed: bool,
    stalled: Option<Error>,
}

/// Where a watch stands. Its catch-up moves the cursor while it is detached, the tail while it is
/// not.
struct Place {
    tap: Arc<Tap>,
    cursor: Cursor,
    detached: bool,
    /// The highest sequence the tail had for it while it was detached.
    missed: u64,
    /// Where the stream ended when the watch began, until [`Event::CaughtUp`] is told.
    catching_up_to: Option<Cursor>,
    /// Its catch-up must look again at what stream it reads: that was rolled back.
    reopen: bool,
    /// When its cursor was last known to be a place of the stream.
    seen: Instant,
    /// Everything up to here it has, or it is gone.
    horizon: u64,
}

/// Where a new watch begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    pub(crate) cursor: Cursor,
    /// The stream's incarnation and end, asked for after the call.
    pub(crate) end: Cursor,
    /// Only what comes after `end`.
    pub(crate) is_new: bool,
}

/// What a catch-up must know of its watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) missed: u64,
    pub(crate) catching_up_to: Option<Cursor>,
    pub(crate) reopen: bool,
}

/// What the tail must be opened for.
pub(crate) struct Wanted {
    pub(crate) subjects: Vec<String>,
    pub(crate) from: Cursor,
    /// Where the tail has been: a place of the stream too, if it is still the same.
    pub(crate) been: Cursor,
    pub(crate) version: u64,
}

impl Taps {
    pub(crate) fn new(project: Project, budget: Arc<Budget>, counters: Arc<Counters>) -> Taps {
        Taps {
            project,
            budget,
            counters,
            places: HashMap::new(),
            by_thread: HashMap::new(),
            broad: Vec::new(),
            ids: 0,
            touched: Vec::new(),
            tail: Tail::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds a watch; `true` if it begins detached and needs a catch-up.
    pub(crate) fn insert(
        &mut self,
        filter: Filter,
        skip: Option<String>,
        options: &WatchOptions,
        begin: Begin,
    ) -> (Arc<Tap>, bool) {
        self.ids += 1;
        let detached = self.begins_detached(&filter, begin);
        let queue = Queue::new(options.queue, options.queue_bytes, &self.budget);
        let tap =
            Arc::new(Tap { id: self.ids, filter, skip, queue, gone: CancellationToken::new() });
        if begin.is_new {
            tap.queue.push(Entry::Event(Event::CaughtUp { cursor: begin.cursor }));
            tap.queue.announce();
        }
        let same_stream = self.tail.cursor.incarnation == begin.end.incarnation;
        let tail_seq = if same_stream { self.tail.cursor.seq } else { 0 };
        let place = Place {
            tap: tap.clone(),
            cursor: begin.cursor,
            detached,
            missed: if detached { begin.end.seq.max(tail_seq) } else { 0 },
            catching_up_to: (!begin.is_new).then_some(begin.end),
            reopen: false,
            seen: Instant::now(),
            horizon: 0,
        };
        if !detached {
            tap.queue.set_stalled(self.tail.stalled.clone());
        }
        match tap.filter.thread() {
            Some(short) => self.by_thread.entry(short).or_default().push(tap.id),
            None => self.broad.push(tap.id),
        }
        self.places.insert(tap.id, place);
        (tap, detached)
    }

    fn begins_detached(&mut self, filter: &Filter, begin: Begin) -> bool {
        let tail = &mut self.tail;
        if !tail.running {
            tail.cursor = begin.end;
            tail.restart = Some(begin.end);
            tail.version += 1;
            return !begin.is_new;
        }
        let same_stream = tail.cursor.incarnation == begin.end.incarnation;
        let covered = tail.subjects.as_ref().is_some_and(|subjects| {
            subjects.is_empty() || subjects.contains(&filter.subject(&self.project))
        });
        if !covered || tail.failed {
            let before = tail.restart.unwrap_or(tail.cursor);
            tail.restart =
                Some(if same_stream && begin.end.seq < before.seq { begin.end } else { before });
            tail.version += 1;
            return !same_stream || !begin.is_new;
        }
        // What the tail has handed out past the end that was asked for went by this watch.
        let passed = !same_stream || tail.cursor.seq > begin.end.seq;
        passed || !begin.is_new
    }

    /// Takes a watch away and ends its queue.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(Place { tap, .. }) = self.places.remove(&id) else { return };
        match tap.filter.thread() {
            Some(short) => {
                let ids = self.by_thread.entry(short).or_default();
                ids.retain(|it| *it != id);
                if ids.is_empty() {
                    self.by_thread.remove(&short);
                }
            }
            None => self.broad.retain(|it| *it != id),
        }
        tap.gone.cancel();
        tap.queue.end(closed());
    }

    /// Takes every watch away.
    pub(crate) fn clear(&mut self) {
        let ids: Vec<u64> = self.places.keys().copied().collect();
        ids.into_iter().for_each(|id| self.remove(id));
    }

    /// What the tail must be opened for, unless it is open for it.
    pub(crate) fn wanted(&mut self, is_open: bool) -> Option<Wanted> {
        let narrow = self.broad.is_empty() && self.by_thread.len() <= FILTERED_THREADS;
        let mut subjects = Vec::new();
        if narrow {
            subjects.extend(self.by_thread.keys().map(|short| self.project.subject(short)));
            subjects.sort_unstable();
        }
        let tail = &mut self.tail;
        let covered = self.places.is_empty() || tail.subjects.as_ref() == Some(&subjects);
        if is_open && covered && tail.restart.is_none() {
            return None;
        }
        let from = match tail.restart.take() {
            Some(at) if at.incarnation == tail.cursor.incarnation && at.seq < tail.cursor.seq => at,
            _ => tail.cursor,
        };
        tail.subjects = Some(subjects.clone());
        Some(Wanted { subjects, from, been: tail.cursor, version: tail.version })
    }

    /// Whether the tail could not be opened, and nobody waits for it any more.
    pub(crate) fn is_vain(&self) -> bool {
        self.places.is_empty() && self.tail.failed
    }

    /// The tail has nothing to do and stops.
    pub(crate) fn stop_if_idle(&mut self) -> bool {
        let idle = self.places.is_empty();
        if idle {
            self.tail = Tail { version: self.tail.version, ..Tail::default() };
        }
        idle
    }

    /// Hands a message of the tail to every watch that wants it. Gives the watches that had no
    /// room.
    pub(crate) fn stored(&mut self, stored: Stored) -> Vec<Arc<Tap>> {
        let mut detached = Vec::new();
        let cursor = stored.cursor(self.tail.cursor.incarnation);
        self.tail.cursor = cursor;
        let Some(rest) = self.project.subject_rest(&stored.subject) else { return detached };
        let mut ids: Vec<u64> = Vec::new();
        if let Ok(short) = rest.parse::<Short>() {
            ids.extend(self.by_thread.get(&short).into_iter().flatten());
        }
        ids.extend(
            self.broad
                .iter()
                .filter(|id| self.places.get(id).is_some_and(|it| it.tap.filter.matches(rest))),
        );
        if ids.is_empty() {
            return detached;
        }
        let parsed = stored.parse(&self.project, cursor.incarnation);
        let entry = match &parsed {
            Parsed::Message(message) => {
                Entry::Message(Delivery::new(message.clone(), &self.budget))
            }
            Parsed::Malformed(cursor) => {
                self.counters.malformed.add(1);
                Entry::Event(Event::Malformed { cursor: *cursor })
            }
        };
        for id in ids {
            let Some(place) = self.places.get_mut(&id) else { continue };
            if place.offer(cursor, &parsed, &entry, &mut self.touched) {
                detached.push(place.tap.clone());
            }
        }
        detached
    }

    /// Tells of what was gone before the tail could read it.
    pub(crate) fn gap(&mut self, after: Cursor, until: Cursor) -> Vec<Arc<Tap>> {
        self.tail.cursor = until;
        let mut detached = Vec::new();
        for place in self.places.values_mut().filter(|it| !it.detached) {
            let had = place.cursor.seq.max(place.horizon).max(self.tail.horizon);
            if place.cursor.incarnation != until.incarnation || had >= until.seq {
                continue;
            }
            let after = match had > after.seq {
                true if had == place.cursor.seq => place.cursor,
                true => Cursor { seq: had, check: 0, ..until },
                false => after,
            };
            if place.push(Entry::Event(Event::Gap { after, until }), &mut self.touched) {
                place.cursor = until;
                self.counters.gaps.add(1);
            } else {
                // Its catch-up will see the same.
                place.detach(until.seq);
                detached.push(place.tap.clone());
            }
        }
        detached
    }

    /// Tells that another stream has taken the place of the one known.
    pub(crate) fn reset(&mut self, cursor: Cursor) -> Vec<Arc<Tap>> {
        let rolled_back = self.tail.cursor.incarnation == cursor.incarnation;
        self.tail.cursor = cursor;
        self.tail.horizon = cursor.seq;
        let mut detached = Vec::new();
        for place in self.places.values_mut() {
            if place.detached {
                place.lose_marks(rolled_back);
            } else if place.cursor.incarnation == cursor.incarnation && !rolled_back {
                // Begun on the new stream, before the tail had noticed it.
            } else if place.push(Entry::Event(Event::Reset { cursor }), &mut self.touched) {
                (place.cursor, place.horizon) = (cursor, cursor.seq);
                self.counters.resets.add(1);
            } else {
                place.detach(0);
                detached.push(place.tap.clone());
            }
        }
        detached
    }

    /// The stream ended at `last_seq` in an epoch that began at `began`: who had come further by
    /// then has been on a stream that was rolled back. A filtered tail does not see that by itself.
    pub(crate) fn end_at(&mut self, last_seq: u64, began: Instant) -> Vec<Arc<Tap>> {
        let mut detached = Vec::new();
        let incarnation = self.tail.cursor.incarnation;
        for place in self.places.values_mut().filter(|it| !it.detached) {
            let same_stream = place.cursor.incarnation == incarnation;
            if same_stream && place.cursor.seq > last_seq && place.seen < began {
                // No stream's cursor: its catch-up begins with a reset, however far this stream has
                // grown by then.
                place.cursor = Cursor::default();
                // The tail goes on from where it is: all before that is for the catch-up to read.
                place.detach(last_seq);
                detached.push(place.tap.clone());
            }
        }
        detached
    }

    /// The watches whose queues are to be announced, once the lock is free.
    pub(crate) fn take_touched(&mut self) -> Vec<Arc<Tap>> {
        std::mem::take(&mut self.touched)
    }

    /// Tells the attached watches whether the tail has a source.
    pub(crate) fn stall(&mut self, stalled: Option<&Error>) {
        if self.tail.stalled.is_some() != stalled.is_some() {
            self.tail.stalled = stalled.cloned();
            for place in self.places.values().filter(|it| !it.detached) {
                place.tap.queue.set_stalled(stalled.cloned());
            }
        }
    }

    pub(crate) fn standing(&self, id: u64) -> Option<Standing> {
        let Place { missed, catching_up_to, reopen, .. } = *self.places.get(&id)?;
        Some(Standing { missed, catching_up_to, reopen })
    }

    /// Notes how far a catch-up has come.
    pub(crate) fn advance(&mut self, id: u64, cursor: Cursor) {
        if let Some(place) = self.places.get_mut(&id).filter(|it| !it.reopen) {
            place.cursor = cursor;
        }
    }

    /// Where a catch-up that opens begins; what the tail said of the stream is heeded with that.
    pub(crate) fn reopen(&mut self, id: u64) -> Option<Cursor> {
        let place = self.places.get_mut(&id)?;
        place.reopen = false;
        Some(place.cursor)
    }

    pub(crate) fn caught_up(&mut self, id: u64) {
        if let Some(place) = self.places.get_mut(&id) {
            place.catching_up_to = None;
        }
    }

    /// Gives a watch back to the tail, if its catch-up has everything up to `horizon` and that is
    /// all the tail had for it.
    pub(crate) fn attach(&mut self, id: u64, horizon: u64) -> bool {
        let Some(place) = self.places.get_mut(&id) else { return true };
        let same_stream = place.cursor.incarnation == self.tail.cursor.incarnation;
        let behind = place.missed > horizon || place.catching_up_to.is_some();
        if !same_stream || behind || place.reopen {
            return false;
        }
        place.detached = false;
        (place.seen, place.horizon) = (Instant::now(), horizon);
        place.tap.queue.set_stalled(self.tail.stalled.clone());
        true
    }
}

impl Place {
    /// `true` if there was no room: the watch is detached now.
    fn offer(
        &mut self,
        cursor: Cursor,
        parsed: &Parsed,
        entry: &Entry,
        touched: &mut Vec<Arc<Tap>>,
    ) -> bool {
        if self.detached {
            // Whatever its cursor: that may still be a place of the stream before a reset.
            self.missed = self.missed.max(cursor.seq);
            return false;
        }
        let same_stream = cursor.incarnation == self.cursor.incarnation;
        if same_stream && cursor.seq <= self.cursor.seq {
            return false;
        }
        if !same_stream {
            // Begun on a stream that the tail has not noticed yet.
            return false;
        }
        if !self.tap.wants(parsed) || self.push(entry.clone(), touched) {
            self.cursor = cursor;
            return false;
        }
        self.detach(cursor.seq);
        true
    }

    /// `false` if there was no room.
    fn push(&self, entry: Entry, touched: &mut Vec<Arc<Tap>>) -> bool {
        let pushed = self.tap.queue.push(entry);
        if pushed == Pushed::First {
            touched.push(self.tap.clone());
        }
        pushed != Pushed::Full
    }

    fn detach(&mut self, missed: u64) {
        self.detached = true;
        self.missed = missed;
    }

    /// What the tail had of the old stream is no mark in the new one, of which all is still to
    /// come. A rolled-back stream is told apart by the mark of the cursor, so one without begins
    /// anew.
    fn lose_marks(&mut self, rolled_back: bool) {
        self.missed = 0;
        self.reopen |= rolled_back;
        if rolled_back && self.cursor.check == 0 {
            self.cursor = Cursor::default();
        }
    }
}

/// How every watch ends.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the watch is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(incarnation: u64, seq: u64) -> Cursor {
        Cursor { incarnation, seq, check: 0 }
    }

    /// The places of one project, and a watch of everything that begins as it says.
    fn taps(begin: Begin) -> (Taps, Arc<Tap>) {
        let project = Project::new("demo").expect("a project");
        let mut taps = Taps::new(project, Budget::new(1 << 20), Arc::default());
        let tap = insert(&mut taps, begin).0;
        taps.tail.running = true;
        taps.wanted(false);
        (taps, tap)
    }

    fn insert(taps: &mut Taps, begin: Begin) -> (Arc<Tap>, bool) {
        taps.insert(Filter::All, None, &WatchOptions::default(), begin)
    }

    fn new(end: Cursor) -> Begin {
        Begin { cursor: end, end, is_new: true }
    }

    /// A watch from the beginning of a stream that ends at 100.
    fn past() -> Begin {
        Begin { cursor: at(1, 0), end: at(1, 100), is_new: false }
    }

    #[test]
    fn a_new_watch_that_the_tail_has_passed_begins_detached() {
        let (mut taps, _) = taps(new(at(1, 5)));
        taps.tail.cursor.seq = 9;
        let (tap, detached) = insert(&mut taps, new(at(1, 7)));
        assert!(detached);
        assert!(!taps.attach(tap.id, 8));
        assert!(taps.attach(tap.id, 9));
    }

    #[test]
    fn a_new_watch_of_another_stream_than_the_tails_begins_detached() {
        let (mut taps, _) = taps(new(at(2, 5)));
        assert!(
            insert(&mut taps, new(at(1, 100))).1,
            "or no message of the tail would ever reach it"
        );
    }

    #[test]
    fn a_watch_that_has_caught_up_waits_for_what_the_tail_had_for_it() {
        let (mut taps, tap) = taps(past());
        assert!(!taps.attach(tap.id, 100), "not before it was told that it has caught up");
        taps.caught_up(tap.id);
        assert!(!taps.attach(tap.id, 99));
        assert!(taps.attach(tap.id, 100));
    }

    #[test]
    fn a_reset_leaves_a_detached_watch_no_mark_of_the_old_stream() {
        for catch_up_is_first in [false, true] {
            let (mut taps, tap) = taps(past());
            taps.caught_up(tap.id);
            if catch_up_is_first {
                taps.advance(tap.id, at(2, 10));
                taps.reset(at(2, 0));
            } else {
                taps.reset(at(2, 0));
                assert!(!taps.attach(tap.id, 200), "its catch-up is still on the old stream");
                taps.advance(tap.id, at(2, 10));
            }
            assert!(taps.attach(tap.id, 10), "catch-up first: {catch_up_is_first}");
        }
    }

    #[test]
    fn a_catch_up_on_a_rolled_back_stream_must_look_again() {
        let (mut taps, tap) = taps(past());
        taps.caught_up(tap.id);
        taps.advance(tap.id, at(1, 90));
        taps.reset(at(1, 0));
        assert!(!taps.attach(tap.id, 90));
        assert!(taps.standing(tap.id).is_some_and(|standing| standing.reopen));
        assert_eq!(taps.reopen(tap.id), Some(Cursor::default()), "without a mark: from the start");
    }

    #[test]
    fn who_is_beyond_the_streams_end_was_on_a_stream_that_is_no_more() {
        let (mut taps, _) = taps(new(at(1, 10)));
        insert(&mut taps, new(at(1, 100)));
        let before = Instant::now();
        insert(&mut taps, new(at(1, 120)));
        assert!(taps.end_at(50, before).len() == 1, "the third began after the end was asked for");
    }

    #[test]
    fn a_gap_is_none_for_a_watch_that_had_all_of_it() {
        let (mut taps, tap) = taps(new(at(1, 10)));
        tap.queue.try_pop().expect("caught up").expect("lives");
        taps.tail.horizon = 40;
        taps.gap(at(1, 10), at(1, 40));
        assert!(tap.queue.try_pop().is_none());
        taps.gap(at(1, 10), at(1, 60));
        let Some(Ok(Event::Gap { after, until })) = tap.queue.try_pop() else { panic!("no gap") };
        assert_eq!((after.seq, until.seq), (40, 60));
    }
}
