//! A bounded queue from the network to one reader of a watch, and the reason for its end.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::error::Error;
use crate::message::{Event, Message};
use crate::wake::WakeFd;

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

/// What to call when a queue that had nothing to read has something again.
pub(crate) type Hook = Box<dyn Fn() + Send + Sync>;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Full,
    /// The first since the last announcement.
    First,
    More,
}

pub(crate) struct Queue {
    events_max: usize,
    bytes_max: usize,
    budget: Arc<Budget>,
    state: Mutex<State>,
    readable: Notify,
    /// For readers without a runtime: they wait in a thread of their own.
    filled: Condvar,
    room: Notify,
}

#[derive(Default)]
struct State {
    /// Something was pushed of which nobody was told yet.
    unannounced: bool,
    /// Those who wait were told that there is something, and it is not all read yet.
    announced: bool,
    hook: Option<Hook>,
    fd: Option<WakeFd>,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Not an entry: a stall that ended before anyone looked is none, and it needs no room.
    stalled: Option<Error>,
    told: bool,
    end: Option<Error>,
}

impl State {
    fn is_readable(&self) -> bool {
        let stall_changed = self.told != self.stalled.is_some();
        self.end.is_some() || stall_changed || !self.entries.is_empty()
    }

    fn pop(&mut self) -> Option<Result<Event, Error>> {
        if let Some(end) = &self.end {
            return Some(Err(end.clone()));
        }
        if self.told && self.stalled.is_none() {
            self.told = false;
            return Some(Ok(Event::Resumed));
        }
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.weight();
            return Some(Ok(entry.into_event()));
        }
        let reason = self.stalled.clone().filter(|_| !self.told)?;
        self.told = true;
        Some(Ok(Event::Stalled { reason }))
    }
}

impl Queue {
    pub(crate) fn new(events_max: usize, bytes_max: usize, budget: &Arc<Budget>) -> Queue {
        Queue {
            events_max,
            bytes_max,
            budget: budget.clone(),
            state: Mutex::default(),
            readable: Notify::new(),
            filled: Condvar::new(),
            room: Notify::new(),
        }
    }

    /// Takes `entry` if there is room. An empty queue always has, so that no watch starves for what
    /// others hold, and a message larger than the bound passes alone.
    ///
    /// Nobody is told before [`Queue::announce`]: waking a reader costs more than a message does.
    pub(crate) fn push(&self, entry: Entry) -> Pushed {
        let weight = entry.weight();
        let mut state = self.lock();
        if state.end.is_some() {
            // Nobody will read it; the hub forgets this watch in a moment.
            return Pushed::More;
        }
        if !self.has_room(&state, weight) {
            return Pushed::Full;
        }
        state.bytes += weight;
        state.entries.push_back(entry);
        if !state.announced && state.entries.len() > self.events_max / 2 {
            // In the middle of a batch, or it would fill up before its reader knows.
            self.tell(&mut state);
        }
        if std::mem::replace(&mut state.unannounced, true) { Pushed::More } else { Pushed::First }
    }

    /// Tells those who wait of what was pushed.
    pub(crate) fn announce(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.unannounced) {
            self.tell(&mut state);
        }
    }

    /// Says that there is no source, and why; or that there is one again.
    pub(crate) fn set_stalled(&self, stalled: Option<Error>) {
        self.change(|state| state.stalled = stalled);
    }

    /// Ends the queue: what it holds is dropped, and its reader gets `why`.
    pub(crate) fn end(&self, why: Error) {
        self.change(|state| {
            state.entries.clear();
            state.bytes = 0;
            state.end.get_or_insert(why);
        });
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
        self.free(State::pop)
    }

    /// Appends up to `max` events to `taken`, as many as there are.
    pub(crate) fn take(&self, max: usize, taken: &mut Vec<Event>) -> Result<(), Error> {
        self.free(|state| {
            for _ in 0..max {
                match state.pop() {
                    Some(Ok(event)) => taken.push(event),
                    Some(Err(end)) => return Err(end),
                    None => break,
                }
            }
            Ok(())
        })
    }

    /// Changes the state by reading from it, and tells whoever waits for room once there is so much
    /// that filling it is worth a reader.
    fn free<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let (was_roomy, was_empty) = (self.is_roomy(&state), state.entries.is_empty());
        let done = read(&mut state);
        self.tell(&mut state);
        let is_emptied = state.entries.is_empty() && !was_empty;
        if is_emptied || (self.is_roomy(&state) && !was_roomy) {
            self.room.notify_one();
        }
        done
    }

    fn is_roomy(&self, state: &State) -> bool {
        state.entries.len() <= self.events_max / 2 && state.bytes <= self.bytes_max / 2
    }

    /// Waits, in the caller's own thread, until there is something to take; `None`: for ever.
    pub(crate) fn wait_readable(&self, until: Option<Instant>) {
        let state = self.lock();
        let Some(until) = until else {
            drop(self.filled.wait_while(state, |state| !state.is_readable()));
            return;
        };
        let left = until.saturating_duration_since(Instant::now());
        drop(self.filled.wait_timeout_while(state, left, |state| !state.is_readable()));
    }

    /// Has `hook` called whenever there is something to read where there was nothing, and once now
    /// if there is. It is called under locks: it must not block, nor call back.
    pub(crate) fn set_hook(&self, hook: Hook) {
        let mut state = self.lock();
        if state.is_readable() {
            hook();
        }
        state.hook = Some(hook);
    }

    /// A descriptor that is readable while there is something to take.
    pub(crate) fn fd(&self) -> io::Result<OwnedFd> {
        let mut state = self.lock();
        if let Some(fd) = &state.fd {
            return fd.duplicate();
        }
        let fd = WakeFd::new()?;
        let duplicate = fd.duplicate();
        state.fd = Some(fd);
        // As if it had been there when what is readable was announced.
        state.announced = false;
        self.tell(&mut state);
        duplicate
    }

    /// Changes the state, and tells those who wait what came of it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = change(&mut state);
        self.tell(&mut state);
        done
    }

    fn tell(&self, state: &mut State) {
        let is_readable = state.is_readable();
        if is_readable {
            // Also where it was before: of two readers that wait, each needs a mark of its own.
            self.readable.notify_one();
        }
        let was_announced = std::mem::replace(&mut state.announced, is_readable);
        if is_readable && !was_announced {
            self.filled.notify_all();
            state.fd.iter().for_each(WakeFd::raise);
            state.hook.iter().for_each(|hook| hook());
        } else if was_announced && !is_readable {
            state.fd.iter().for_each(WakeFd::lower);
        }
    }

    /// Waits until half of the queue is free, so that filling it again is worth a reader.
    pub(crate) async fn room(&self) {
        self.wait(|state| {
            state.entries.is_empty() || (self.is_roomy(state) && !self.budget.is_spent())
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
        assert!((1..=4).all(|seq| queue.push(gap(seq)) != Pushed::Full));
        assert_eq!(queue.push(gap(5)), Pushed::Full);
        queue.pop().await.expect("first");
        queue.pop().await.expect("second");
        queue.room().await;
        assert_ne!(queue.push(gap(5)), Pushed::Full);
    }

    #[test]
    fn an_empty_queue_takes_one_entry_whatever_its_size() {
        let queue = queue(4, 1);
        assert_eq!(queue.push(gap(1)), Pushed::First);
        assert_eq!(queue.push(gap(2)), Pushed::Full);
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
        assert_ne!(queue.push(gap(2)), Pushed::Full, "nobody is told to wait");
    }

    /// Two entries pushed while nobody waits leave one mark; of two readers that had looked before
    /// them, the second slept beside its entry.
    #[tokio::test]
    async fn two_entries_wake_two_readers() {
        let queue = queue(4, 1 << 20);
        assert_eq!([queue.push(gap(1)), queue.push(gap(2))], [Pushed::First, Pushed::More]);
        queue.announce();
        for reader in ["first", "second"] {
            assert!(queue.readable.notified().now_or_never().is_some(), "the {reader} sleeps");
            assert!(queue.try_pop().is_some(), "the {reader} finds nothing");
        }
    }

    #[test]
    fn hook_and_descriptor_tell_each_change_from_nothing_to_something() {
        let queue = queue(4, 1 << 20);
        let called = Arc::new(AtomicUsize::new(0));
        let count = called.clone();
        queue.set_hook(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let fd = queue.fd().expect("a descriptor");
        let readable = || {
            let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
            let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut fds, Some(&none)).expect("polls") == 1
        };
        for round in 1..=3 {
            queue.push(gap(1));
            queue.push(gap(2));
            assert!(!readable(), "told before it was announced");
            assert!(round > 1 || queue.push(gap(3)) == Pushed::More && readable(), "half full");
            queue.announce();
            assert_eq!((readable(), called.load(Ordering::Relaxed)), (true, round));
            let mut taken = Vec::new();
            queue.take(1, &mut taken).expect("lives");
            assert!(readable(), "one is left");
            queue.take(9, &mut taken).expect("lives");
            assert_eq!((readable(), taken.len() > 1), (false, true));
        }
        queue.end(Error::new(ErrorKind::Closed, "closed"));
        assert_eq!((readable(), called.load(Ordering::Relaxed)), (true, 4));
        queue.take(9, &mut Vec::new()).expect_err("the end");
        assert!(readable(), "for ever");
    }
}
