//! Reads on from the stream for a watch that the live tail has left behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::epoch::Item;
use crate::message::Event;
use crate::queue::{Budget, Delivery, Entry, Pushed};
use crate::reader::{PAST, Reader};
use crate::stored::Parsed;
use crate::stream::Stream;
use crate::taps::{Tap, Taps};

/// Catch-ups that hold a reader at the same time.
const AT_ONCE: usize = 8;
/// A reader is given up, for others to have one, when its watch takes nothing for so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the live tail and the catch-ups of a manager share.
pub(crate) struct Shared {
    pub(crate) stream: Arc<Stream>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) closed: CancellationToken,
    taps: Mutex<Taps>,
    permits: Semaphore,
}

impl Shared {
    pub(crate) fn new(
        stream: Arc<Stream>,
        budget: Arc<Budget>,
        counters: Arc<Counters>,
        closed: CancellationToken,
    ) -> Arc<Shared> {
        let taps = Taps::new(stream.project.clone(), budget.clone(), counters.clone());
        let (taps, permits) = (Mutex::new(taps), Semaphore::new(AT_ONCE));
        Arc::new(Shared { stream, budget, counters, closed, taps, permits })
    }

    pub(crate) fn taps(&self) -> MutexGuard<'_, Taps> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when the watch is attached again, taken away, or everything is closed.
pub(crate) async fn catch_up(shared: Arc<Shared>, tap: Arc<Tap>) {
    tokio::select! {
        () = shared.closed.cancelled() => {}
        () = tap.gone.cancelled() => {}
        () = read_until_attached(&shared, &tap) => {}
    }
}

async fn read_until_attached(shared: &Shared, tap: &Tap) {
    loop {
        tap.queue.room().await;
        let Ok(_permit) = shared.permits.acquire().await else { return };
        if read_on(shared, tap).await {
            return;
        }
    }
}

/// `false`: the watch takes nothing more for now.
async fn read_on(shared: &Shared, tap: &Tap) -> bool {
    let Some(cursor) = shared.taps().reopen(tap.id) else { return true };
    let subjects = tap.filter.subjects(&shared.stream.project);
    let mut reader = Reader::new(shared.stream.clone(), subjects, cursor, PAST);
    loop {
        let Some(standing) = shared.taps().standing(tap.id) else { return true };
        if standing.reopen {
            return false;
        }
        let start = standing.catching_up_to.map_or(0, |end| end.seq);
        reader.set_goal(standing.missed.max(start));
        let items = reader.next().await;
        tap.queue.set_stalled(reader.health.stalled().cloned());
        for item in items {
            if !give_item(shared, tap, item).await {
                return false;
            }
        }
        tap.queue.announce();
        shared.taps().advance(tap.id, reader.cursor());
        if let Some(end) = standing.catching_up_to {
            let same_stream = end.incarnation == reader.cursor().incarnation;
            let end = if same_stream { end.seq } else { reader.last_seq() };
            if reader.horizon() >= end {
                let cursor = reader.reached();
                if !give(tap, Entry::Event(Event::CaughtUp { cursor })).await {
                    return false;
                }
                tap.queue.announce();
                shared.taps().caught_up(tap.id);
            }
        }
        if shared.taps().attach(tap.id, reader.horizon()) {
            return true;
        }
    }
}

async fn give_item(shared: &Shared, tap: &Tap, item: Item) -> bool {
    let Shared { stream, budget, counters, .. } = shared;
    let (cursor, entry) = match item {
        Item::Gap { after, until } => {
            counters.gaps.add(1);
            (until, Some(Entry::Event(Event::Gap { after, until })))
        }
        Item::Reset(cursor) => {
            counters.resets.add(1);
            (cursor, Some(Entry::Event(Event::Reset { cursor })))
        }
        Item::Stored(incarnation, stored) => {
            let cursor = stored.cursor(incarnation);
            // A stream may hold other subjects than the project's.
            let rest = stream.project.subject_rest(&stored.subject);
            let matches = rest.is_some_and(|rest| tap.filter.matches(rest));
            let parsed = stored.parse(&stream.project, incarnation);
            let entry = match &parsed {
                _ if !matches || !tap.wants(&parsed) => None,
                Parsed::Message(message) => {
                    Some(Entry::Message(Delivery::new(message.clone(), budget)))
                }
                Parsed::Malformed(cursor) => {
                    counters.malformed.add(1);
                    Some(Entry::Event(Event::Malformed { cursor: *cursor }))
                }
            };
            (cursor, entry)
        }
    };
    if let Some(entry) = entry
        && !give(tap, entry).await
    {
        return false;
    }
    shared.taps().advance(tap.id, cursor);
    true
}

/// `false` if there was no room for a second.
async fn give(tap: &Tap, entry: Entry) -> bool {
    while tap.queue.push(entry.clone()) == Pushed::Full {
        tap.queue.announce();
        // Half a queue at a time: waking for every single place would cost more than the message.
        let room = async {
            tap.queue.room().await;
            tap.queue.room_for(&entry).await;
        };
        if timeout(PATIENCE, room).await.is_err() {
            return false;
        }
    }
    true
}
