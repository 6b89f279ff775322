//! A bounded queue from the network to one reader of a watch, and the reason for its end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::Error;
use crate::message::{Event, Message};

/// What an event other than a message counts for.
const EVENT_WEIGHT: usize = 128;

/// Bytes queued for all watches of a connection.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget { limit, used: AtomicUsize::new(0) })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn is_spent(&self) -> bool {
        self.used() > self.limit
    }
}

/// A message on its way to any number of queues, counted once.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    weight: usize,
    budget: Arc<Budget>,
}

impl Delivery {
    pub(crate) fn new(message: Arc<Message>, budget: &Arc<Budget>) -> Arc<Delivery> {
        let weight = message.weight();
        budget.used.fetch_add(weight, Ordering::Relaxed);
        Arc::new(Delivery { message, weight, budget: budget.clone() })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Message(Arc<Delivery>),
    Event(Event),
}

impl Entry {
    fn weight(&self) -> usize {
        match self {
            Entry::Message(delivery) => delivery.weight,
            Entry::Event(_) => EVENT_WEIGHT,
        }
    }

    fn into_event(self) -> Event {
        match self {
            Entry::Message(delivery) => Event::Message(delivery.message.clone()),
            Entry::Event(event) => event,
        }
    }
}

pub(crate) struct Queue {
    events_max: usize,
    bytes_max: usize,
    budget: Arc<Budget>,
    state: Mutex<State>,
    readable: Notify,
    room: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Not an entry: a stall that ended before anyone looked is none, and it needs no room.
    stalled: Option<Error>,
    told: bool,
    end: Option<Error>,
}

impl Queue {
    pub(crate) fn new(events_max: usize, bytes_max: usize, budget: &Arc<Budget>) -> Queue {
        Queue {
            events_max,
            bytes_max,
            budget: budget.clone(),
            state: Mutex::default(),
            readable: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Takes `entry` if there is room. An empty queue always has, so that no watch starves for what
    /// others hold, and a message larger than the bound passes alone.
    pub(crate) fn push(&self, entry: Entry) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            // Nobody will read it; the hub forgets this watch in a moment.
            return true;
        }
        let weight = entry.weight();
        if !self.has_room(&state, weight) {
            return false;
        }
        state.bytes += weight;
        state.entries.push_back(entry);
        drop(state);
        self.readable.notify_one();
        true
    }

    /// Says that there is no source, and why; or that there is one again.
    pub(crate) fn set_stalled(&self, stalled: Option<Error>) {
        let mut state = self.lock();
        let changed = state.stalled.is_some() != stalled.is_some();
        state.stalled = stalled;
        drop(state);
        if changed {
            self.readable.notify_one();
        }
    }

    /// Ends the queue: what it holds is dropped, and its reader gets `why`.
    pub(crate) fn end(&self, why: Error) {
        let mut state = self.lock();
        state.entries.clear();
        state.bytes = 0;
        state.end.get_or_insert(why);
        drop(state);
        self.readable.notify_one();
        self.room.notify_one();
    }

    /// The next event, or why there is none any more. Cancel safe.
    pub(crate) async fn pop(&self) -> Result<Event, Error> {
        loop {
            if let Some(next) = self.try_pop() {
                return next;
            }
            self.readable.notified().await;
        }
    }

    pub(crate) fn try_pop(&self) -> Option<Result<Event, Error>> {
        let mut state = self.lock();
        if let Some(end) = &state.end {
            // Others may wait here too: the end is for all of them.
            self.readable.notify_one();
            return Some(Err(end.clone()));
        }
        if state.told && state.stalled.is_none() {
            state.told = false;
            return Some(Ok(Event::Resumed));
        }
        if let Some(entry) = state.entries.pop_front() {
            state.bytes -= entry.weight();
            if !state.entries.is_empty() {
                // Two entries that came while nobody waited have left one mark for two readers.
                self.readable.notify_one();
            }
            drop(state);
            self.room.notify_one();
            return Some(Ok(entry.into_event()));
        }
        if let Some(reason) = state.stalled.clone().filter(|_| !state.told) {
            state.told = true;
            return Some(Ok(Event::Stalled { reason }));
        }
        None
    }

    /// Waits until half of the queue is free, so that filling it again is worth a reader.
    pub(crate) async fn room(&self) {
        self.wait(|state| {
            let half_empty =
                state.entries.len() <= self.events_max / 2 && state.bytes <= self.bytes_max / 2;
            state.entries.is_empty() || (half_empty && !self.budget.is_spent())
        })
        .await;
    }

    /// Waits until `entry` can be pushed.
    pub(crate) async fn room_for(&self, entry: &Entry) {
        self.wait(|state| self.has_room(state, entry.weight())).await;
    }

    /// Only one waits for room: the catch-up of this watch.
    async fn wait(&self, enough: impl Fn(&State) -> bool) {
        loop {
            {
                let state = self.lock();
                if state.end.is_some() || enough(&state) {
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    fn has_room(&self, state: &State, weight: usize) -> bool {
        let full = state.entries.len() >= self.events_max
            || state.bytes + weight > self.bytes_max
            || self.budget.is_spent();
        state.entries.is_empty() || !full
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::error::ErrorKind;
    use crate::message::Cursor;

    fn gap(seq: u64) -> Entry {
        let cursor = Cursor { seq, ..Cursor::default() };
        Entry::Event(Event::Malformed { cursor })
    }

    fn queue(events_max: usize, bytes_max: usize) -> Queue {
        Queue::new(events_max, bytes_max, &Budget::new(1 << 20))
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_has_room_again_when_half_is_read() {
        let queue = queue(4, 1 << 20);
        assert!((1..=4).all(|seq| queue.push(gap(seq))));
        assert!(!queue.push(gap(5)));
        queue.pop().await.expect("first");
        queue.pop().await.expect("second");
        queue.room().await;
        assert!(queue.push(gap(5)));
    }

    #[test]
    fn an_empty_queue_takes_one_entry_whatever_its_size() {
        let queue = queue(4, 1);
        assert!(queue.push(gap(1)));
        assert!(!queue.push(gap(2)));
    }

    #[tokio::test]
    async fn stalls_are_told_after_what_was_queued_and_end_before_what_follows() {
        let queue = queue(4, 1 << 20);
        let reason = || Some(Error::new(ErrorKind::Disconnected, "down"));
        queue.set_stalled(reason());
        queue.set_stalled(None);
        assert!(queue.try_pop().is_none(), "a stall nobody saw");
        queue.push(gap(1));
        queue.set_stalled(reason());
        assert!(matches!(queue.pop().await, Ok(Event::Malformed { .. })));
        assert!(matches!(queue.pop().await, Ok(Event::Stalled { .. })));
        queue.set_stalled(None);
        queue.push(gap(2));
        assert!(matches!(queue.pop().await, Ok(Event::Resumed)));
        assert!(matches!(queue.pop().await, Ok(Event::Malformed { .. })));
    }

    #[tokio::test]
    async fn the_end_is_final_and_for_every_reader() {
        let queue = queue(4, 1 << 20);
        queue.push(gap(1));
        queue.end(Error::new(ErrorKind::Closed, "closed"));
        for _ in 0..2 {
            assert_eq!(queue.pop().await.expect_err("ended").kind(), ErrorKind::Closed);
        }
        assert!(queue.push(gap(2)), "nobody is told to wait");
    }

    /// Two entries pushed while nobody waits leave one mark; of two readers that had looked before
    /// them, the second slept beside its entry.
    #[tokio::test]
    async fn two_entries_wake_two_readers() {
        let queue = queue(4, 1 << 20);
        assert!(queue.push(gap(1)) && queue.push(gap(2)));
        for reader in ["first", "second"] {
            assert!(queue.readable.notified().now_or_never().is_some(), "the {reader} sleeps");
            assert!(queue.try_pop().is_some(), "the {reader} finds nothing");
        }
    }
}
