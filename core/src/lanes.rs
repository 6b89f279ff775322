//! The lines in which sends wait for each other.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::name::Short;

/// One line per thread, so that at most one message of a thread is on the wire. An entry is there
/// as long as somebody is at its head, and holds those who wait behind.
// No tokio lock: that takes its place in the line only when the task has budget left, so that sends
// polled together could overtake each other.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<Short, VecDeque<oneshot::Sender<()>>>>);

/// A place in a line.
pub(crate) struct Turn {
    lanes: Arc<Lanes>,
    short: Short,
    /// Told when this place is the head; `None` when it is.
    head: Option<oneshot::Receiver<()>>,
}

impl Lanes {
    /// Takes the last place of the line, at once.
    pub(crate) fn enter(self: &Arc<Lanes>, short: Short) -> Turn {
        let mut lanes = self.lock();
        let head = match lanes.entry(short) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                None
            }
            Entry::Occupied(mut line) => {
                let (sender, head) = oneshot::channel();
                line.get_mut().push_back(sender);
                Some(head)
            }
        };
        Turn { lanes: self.clone(), short, head }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Short, VecDeque<oneshot::Sender<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until this place is the head of its line.
    pub(crate) async fn come(&mut self) {
        if let Some(head) = &mut self.head {
            // The sender is dropped only when the whole table is.
            let _ = head.await;
            self.head = None;
        }
    }

    fn is_head(&mut self) -> bool {
        self.head.as_mut().is_none_or(|head| head.try_recv().is_ok())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let lanes = self.lanes.clone();
        let mut lanes = lanes.lock();
        // One who gave up while waiting is passed over when its turn comes.
        if !self.is_head() {
            return;
        }
        let Entry::Occupied(mut line) = lanes.entry(self.short) else { return };
        while let Some(next) = line.get_mut().pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
        line.remove();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_line_is_first_come_first_served_and_leaves_nothing() {
        let lanes = Arc::<Lanes>::default();
        let short: Short = "d0825bc5".parse().expect("a short");
        let mut turns: Vec<_> = (0..4).map(|_| lanes.enter(short)).collect();
        turns[0].come().await;
        for waiting in &mut turns[1..] {
            assert!(waiting.come().now_or_never().is_none());
        }
        drop(turns.remove(1));
        drop(turns.remove(0));
        let [next, last] = &mut turns[..] else { panic!("two are left") };
        assert!(last.come().now_or_never().is_none());
        next.come().now_or_never().expect("the one who gave up is passed over");
        drop(turns.remove(0));
        // Told that it is the head, and given up before it knew.
        drop(turns);
        assert!(lanes.lock().is_empty());
    }

    #[tokio::test]
    async fn a_place_is_taken_whatever_the_task_has_spent() {
        let lanes = Arc::<Lanes>::default();
        let short: Short = "d0825bc5".parse().expect("a short");
        let order = Mutex::new(Vec::new());
        let calls = (0..1_000).map(|n| {
            let (lanes, order) = (&lanes, &order);
            async move {
                let mut turn = lanes.enter(short);
                turn.come().await;
                tokio::task::yield_now().await;
                order.lock().expect("no panic").push(n);
            }
        });
        futures_util::future::join_all(calls).await;
        assert!(order.into_inner().expect("no panic").is_sorted());
    }
}
