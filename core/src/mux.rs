//! One reply inbox for all requests of a connection: token in the subject, slot in a table.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Message;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};

/// The table from token to the one who waits.
// Not async-nats' own request(): a timed-out request leaves its entry there for the life of the
// client (0.51).
pub(crate) struct Mux {
    prefix: String,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    waiting: HashMap<u64, Waiting>,
}

/// Answers beyond the first that a slot keeps, for one who does not take the first for an answer.
const FURTHER: usize = 4;

#[derive(Default)]
struct Waiting {
    /// `None` when the first answer has come.
    first: Option<oneshot::Sender<Message>>,
    further: VecDeque<Message>,
}

/// A place for answers to one request, however often it is sent. Dropping it forgets the token.
pub(crate) struct Slot {
    mux: Arc<Mux>,
    token: u64,
    answer: oneshot::Receiver<Message>,
}

impl Mux {
    /// `inbox` is ours alone: the caller drew it at random.
    pub(crate) fn new(inbox: &str) -> Arc<Mux> {
        Arc::new(Mux { prefix: format!("{inbox}."), table: Mutex::default() })
    }

    /// What to subscribe to.
    pub(crate) fn subject(&self) -> String {
        format!("{}*", self.prefix)
    }

    pub(crate) fn claim(self: &Arc<Mux>) -> Slot {
        let (sender, answer) = oneshot::channel();
        let mut table = self.table();
        table.next += 1;
        let token = table.next;
        table.waiting.insert(token, Waiting { first: Some(sender), ..Waiting::default() });
        drop(table);
        Slot { mux: self.clone(), token, answer }
    }

    /// Hands `message` to whoever waits for it; an answer nobody waits for any more is dropped.
    pub(crate) fn deliver(&self, message: Message) {
        let token = message.subject.strip_prefix(&self.prefix);
        let Some(token) = token.and_then(|hex| u64::from_str_radix(hex, 16).ok()) else { return };
        let mut table = self.table();
        let Some(waiting) = table.waiting.get_mut(&token) else { return };
        match waiting.first.take() {
            // The receiver may have given up between the look-up and here.
            Some(first) => drop(first.send(message)),
            None if waiting.further.len() < FURTHER => waiting.further.push_back(message),
            None => {}
        }
    }

    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.table().waiting.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The reply subject to send with.
    pub(crate) fn subject(&self) -> String {
        format!("{}{:x}", self.mux.prefix, self.token)
    }

    /// The next answer. Cancel safe.
    pub(crate) async fn answer(&mut self) -> Result<Message, Error> {
        (&mut self.answer)
            .await
            .map_err(|_| Error::new(ErrorKind::Closed, "the connection is closed"))
    }

    /// Makes room for another answer, after one was taken; it may have come already.
    pub(crate) fn arm(&mut self) {
        let (sender, answer) = oneshot::channel();
        self.answer = answer;
        let mut table = self.mux.table();
        let waiting = table.waiting.entry(self.token).or_default();
        match waiting.further.pop_front() {
            // Its receiver is ours.
            Some(message) => drop(sender.send(message)),
            None => waiting.first = Some(sender),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.mux.table().waiting.remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: String) -> Message {
        Message {
            subject: subject.into(),
            reply: None,
            payload: "x".into(),
            headers: None,
            status: None,
            description: None,
            length: 1,
        }
    }

    #[tokio::test]
    async fn an_answer_finds_its_slot_and_dropped_slots_leave_nothing() {
        let mux = Mux::new("_INBOX.a");
        let (mut first, second) = (mux.claim(), mux.claim());
        mux.deliver(message(first.subject()));
        mux.deliver(message("_INBOX.a.zz".into()));
        mux.deliver(message("_INBOX.other.1".into()));
        assert_eq!(first.answer().await.expect("delivered").payload, "x");
        first.arm();
        mux.deliver(message(first.subject()));
        first.answer().await.expect("armed again");
        for _ in 0..FURTHER + 2 {
            mux.deliver(message(first.subject()));
        }
        for _ in 0..FURTHER {
            first.arm();
            first.answer().await.expect("came before it was armed");
        }
        drop((first, second));
        assert_eq!(mux.waiting(), 0);
    }
}
