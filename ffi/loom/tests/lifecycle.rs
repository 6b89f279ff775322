//! When callbacks run, and when the last one has: `ffi/src/lifecycle.rs` in every order in which
//! threads can come to its lock, which is loom's here (`build.rs`).
#![allow(missing_docs)] // a test

use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Figure;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread::{self, JoinHandle};

use lifecycle::Lifecycle;

#[path = "../../src/lifecycle.rs"]
mod lifecycle;

/// A watch, to which every turn comes on a new thread. What the threads tell each other is loom's;
/// the figures are std's, so that they only see the orders and add none.
struct Watch {
    lifecycle: Lifecycle,
    /// Events to tell.
    queue: AtomicUsize,
    /// The callback of this number ends it.
    ends_at: usize,
    /// Set by who has muted it.
    muted: AtomicBool,
    wakes: Figure,
    turns: Figure,
    under_way: Figure,
    told: Figure,
    told_late: Figure,
    ends: Figure,
}

impl Watch {
    /// There is more to tell.
    fn fill(self: &Arc<Watch>, more: usize) {
        self.queue.fetch_add(more, SeqCst);
        let wants_turn = self.lifecycle.wake();
        self.push_if(wants_turn);
    }

    fn mute(&self) {
        self.lifecycle.mute();
        self.muted.store(true, SeqCst);
    }

    fn end(self: &Arc<Watch>) {
        let wants_turn = self.lifecycle.end();
        self.push_if(wants_turn);
        self.muted.store(true, SeqCst);
    }

    fn join(&self) {
        assert!(self.lifecycle.join(None));
        assert_eq!(self.ends.load(SeqCst), 1, "joined before the end");
    }

    fn push_if(self: &Arc<Watch>, wants_turn: bool) {
        self.wakes.fetch_add(1, SeqCst);
        if wants_turn {
            beside(self, |watch| while watch.turn() {});
        }
    }

    /// As `turn` in `ffi/src/dispatch.rs`.
    fn turn(self: &Arc<Watch>) -> bool {
        assert_eq!(self.under_way.swap(1, SeqCst), 0, "two turns at once");
        let turns = self.turns.fetch_add(1, SeqCst) + 1;
        assert!(turns <= self.wakes.load(SeqCst), "a turn that nobody asked for");
        self.lifecycle.begin_turn();
        if !self.lifecycle.is_ending() {
            self.call();
        }
        if !self.lifecycle.is_ending() {
            self.under_way.store(0, SeqCst);
            return self.lifecycle.end_turn(false);
        }
        assert_eq!(self.ends.fetch_add(1, SeqCst), 0, "a second end");
        self.under_way.store(0, SeqCst);
        self.lifecycle.finish();
        false
    }

    fn call(self: &Arc<Watch>) {
        for _ in 0..self.queue.swap(0, SeqCst) {
            let muted = self.muted.load(SeqCst);
            if !self.lifecycle.may_call() {
                break;
            }
            assert!(!muted, "let through after it was muted");
            assert_eq!(self.ends.load(SeqCst), 0, "told after the end");
            self.told_late.fetch_add(self.muted.load(SeqCst).into(), SeqCst);
            if self.told.fetch_add(1, SeqCst) + 1 == self.ends_at {
                self.end();
            }
        }
    }
}

fn beside(watch: &Arc<Watch>, work: fn(&Arc<Watch>)) -> JoinHandle<()> {
    let watch = watch.clone();
    thread::spawn(move || work(&watch))
}

/// Tries what `host` does with a watch in every order; a thread that waits for ever is an error.
/// `told` are the numbers of callbacks that may have run in the end.
fn model(ends_at: usize, told: &'static [usize], host: fn(&Arc<Watch>)) {
    loom::model(move || {
        let watch = Arc::new(Watch {
            lifecycle: Lifecycle::new(),
            queue: AtomicUsize::new(0),
            ends_at,
            muted: AtomicBool::new(false),
            wakes: Figure::new(0),
            turns: Figure::new(0),
            under_way: Figure::new(0),
            told: Figure::new(0),
            told_late: Figure::new(0),
            ends: Figure::new(0),
        });
        host(&watch);
        watch.join();
        assert!(told.contains(&watch.told.load(SeqCst)), "told {:?}", watch.told);
        assert!(watch.told_late.load(SeqCst) <= 1, "told {:?} after mute", watch.told_late);
    });
}

/// No callback's number.
const NEVER: usize = 0;

/// One that was let through before may still begin.
#[test]
fn after_mute_has_returned_no_callback_is_let_through() {
    model(NEVER, &[0, 1, 2], |watch| {
        watch.fill(2);
        watch.mute();
        watch.end();
    });
}

#[test]
fn after_end_has_returned_no_callback_is_let_through() {
    model(NEVER, &[0, 1, 2], |watch| {
        watch.fill(2);
        watch.end();
    });
}

#[test]
fn all_who_join_return_after_the_last_call() {
    model(NEVER, &[0], |watch| {
        let other = beside(watch, |watch| watch.join());
        watch.end();
        watch.join();
        other.join().expect("returns");
    });
}

#[test]
fn two_who_end_it_at_once_make_one_last_call() {
    model(NEVER, &[0, 1], |watch| {
        watch.fill(1);
        let other = beside(watch, Watch::end);
        watch.end();
        other.join().expect("returns");
    });
}

#[test]
fn what_comes_during_a_turn_is_told_in_another() {
    model(3, &[3], |watch| (0..3).for_each(|_| watch.fill(1)));
}

#[test]
fn of_two_who_wake_it_at_once_none_is_lost() {
    model(2, &[2], |watch| {
        let other = beside(watch, |watch| watch.fill(1));
        watch.fill(1);
        other.join().expect("returns");
    });
}

#[test]
fn a_callback_that_ends_it_is_the_last() {
    model(1, &[1], |watch| watch.fill(2));
}

#[test]
fn a_callback_and_a_host_that_end_it_at_once_make_one_last_call() {
    model(1, &[0, 1], |watch| {
        watch.fill(2);
        watch.end();
    });
}

#[test]
fn what_comes_after_the_end_asks_for_no_turn() {
    model(NEVER, &[0, 1], |watch| {
        let other = beside(watch, |watch| watch.fill(1));
        watch.end();
        watch.join();
        watch.end();
        other.join().expect("returns");
    });
}
