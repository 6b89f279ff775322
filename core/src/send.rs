//! Publish, wait for the server's answer, and send again under the same id.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::ack::{self, Ack, Said};
use crate::answer::{DUPLICATE_IN_PROCESS, Refusal};
use crate::api::wrap;
use crate::cancel::{Cancel, cancelled};
use crate::clock::Stamp;
use crate::counters::Counters;
use crate::error::{Error, ErrorKind};
use crate::lanes::{Lanes, Turn};
use crate::link::Outcome;
use crate::message::{Cursor, Receipt};
use crate::mux::Slot;
use crate::name::Short;
use crate::state::Mark;
use crate::stored::Stored;
use crate::stream::{Known, Stream, Which};

/// Sends in flight per manager: where more would only wait at the server.
const WINDOW: usize = 1024;
/// How long an answer may take until the message is sent again.
const RESEND: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// The sends of one manager.
pub(crate) struct Sender {
    stream: Arc<Stream>,
    counters: Arc<Counters>,
    closed: CancellationToken,
    lanes: Arc<Lanes>,
    window: Semaphore,
    /// Sends whose caller does not wait: so many may be under way at once.
    accepted: Arc<Semaphore>,
}

/// A message ready to go.
pub(crate) struct Outgoing {
    pub(crate) id: String,
    /// The caller chose the id, so the caller can safely send it again.
    pub(crate) id_given: bool,
    pub(crate) short: Short,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
    /// The thread's last sequence, 0 for an empty one, if the send depends on it.
    pub(crate) expected: Option<u64>,
    pub(crate) unordered: bool,
    pub(crate) cancel: Option<Cancel>,
    pub(crate) deadline: Instant,
}

/// A send that has its place in the line of its thread. Dropped before it is written, it stores
/// nothing; after that the message may be stored.
pub(crate) struct Sending {
    sender: Arc<Sender>,
    outgoing: Outgoing,
    turn: Option<Turn>,
    /// Fires when the manager is closed or the caller cancels.
    stop: CancellationToken,
}

/// One of the sends that are bounded in number because nobody waits for them.
pub(crate) struct Accepted {
    pub(crate) sending: Sending,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// One message under way.
struct Flight<'a> {
    sender: &'a Sender,
    outgoing: &'a Outgoing,
    stop: &'a CancellationToken,
    subject: String,
    slot: Slot,
    /// When it was first handed to the network.
    first: Option<Stamp>,
    /// A copy is out whose fate is not known.
    unresolved: bool,
    pause: Duration,
}

impl Sender {
    pub(crate) fn new(
        stream: Arc<Stream>,
        counters: Arc<Counters>,
        closed: CancellationToken,
    ) -> Arc<Sender> {
        let (lanes, window) = (Arc::default(), Semaphore::new(WINDOW));
        let accepted = Arc::new(Semaphore::new(WINDOW));
        Arc::new(Sender { stream, counters, closed, lanes, window, accepted })
    }

    /// Takes the last place in the line of the thread, at once.
    pub(crate) fn enter(self: &Arc<Sender>, outgoing: Outgoing) -> Sending {
        let turn = (!outgoing.unordered).then(|| self.lanes.enter(outgoing.short));
        let stop = match outgoing.cancel {
            Some(_) => self.closed.child_token(),
            None => self.closed.clone(),
        };
        Sending { sender: self.clone(), outgoing, turn, stop }
    }

    /// As [`Sender::enter`]; `None` if too many such sends are under way.
    pub(crate) fn accept(self: &Arc<Sender>, outgoing: Outgoing) -> Option<Accepted> {
        let permit = self.accepted.clone().try_acquire_owned().ok()?;
        Some(Accepted { sending: self.enter(outgoing), permit })
    }

    /// Why a send was stopped before it was written.
    fn stopped(&self) -> Error {
        if self.closed.is_cancelled() { closed() } else { cancelled() }
    }

    /// Why a send was stopped while it was under way.
    fn broken_off(&self) -> Error {
        if self.closed.is_cancelled() { closed_error() } else { cancelled() }
    }
}

impl Sending {
    pub(crate) fn id(&self) -> &str {
        &self.outgoing.id
    }

    /// Stores the message, or says which of two happened: unknown, or not stored.
    pub(crate) async fn run(mut self) -> Result<Receipt, Error> {
        let subject = self.sender.stream.project.subject(&self.outgoing.short);
        let (stop, cancel) = (self.stop.clone(), self.outgoing.cancel.clone());
        let result = {
            // Boxed: each future around this one would hold it twice, and be copied everywhere.
            let mut call = Box::pin(self.in_turn(&subject));
            match cancel {
                None => call.await,
                Some(cancel) => tokio::select! {
                    biased;
                    () = cancel.fired() => {
                        stop.cancel();
                        call.await
                    }
                    result = &mut call => result,
                },
            }
        };
        let Outgoing { id, id_given, .. } = &self.outgoing;
        result.map_err(|cause| wrap(cause, format!("send to {subject}")).about(id, *id_given))
    }

    async fn in_turn(&mut self, subject: &str) -> Result<Receipt, Error> {
        let deadline = self.outgoing.deadline;
        let (sender, stop) = (&self.sender, &self.stop);
        if let Some(turn) = &mut self.turn {
            sender.wait(turn.come(), stop, deadline).await?;
        }
        let _permit = sender.wait(sender.window.acquire(), stop, deadline).await?;
        let flight = Flight {
            sender,
            outgoing: &self.outgoing,
            stop,
            subject: subject.to_owned(),
            slot: sender.stream.link.claim(),
            first: None,
            unresolved: false,
            pause: PAUSE_MIN,
        };
        flight.run().await
    }
}

impl Sender {
    /// Waits for something that comes before the write.
    async fn wait<T>(
        &self,
        what: impl Future<Output = T>,
        stop: &CancellationToken,
        deadline: Instant,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(self.stopped()),
            done = timeout_at(deadline, what) => done.map_err(|_| {
                Error::new(ErrorKind::Timeout, "its turn did not come in time; nothing was sent")
            }),
        }
    }
}

impl Flight<'_> {
    async fn run(mut self) -> Result<Receipt, Error> {
        loop {
            let known = self.may_write().await.map_err(|cause| self.failed(cause))?;
            let mark = self.sender.stream.link.mark();
            let floor = self.sender.stream.highest();
            if let Err(cause) = self.write().await {
                let late = Instant::now() >= self.outgoing.deadline;
                if late || cause.kind() != ErrorKind::Disconnected {
                    return Err(self.failed(cause));
                }
                // The client was given up before it took the message: the next one will.
                sleep_until(Instant::now() + PAUSE_MIN).await;
                continue;
            }
            let until = self.outgoing.deadline.min(Instant::now() + RESEND);
            match self.said(mark, until).await {
                Ok(said) => {
                    if let Some(ack) = self.read(said).await? {
                        return self.receipt(ack, known, floor).await;
                    }
                }
                Err(Outcome::Refused(cause)) => return Err(self.failed(cause)),
                Err(Outcome::Cancelled) => {
                    self.unresolved = true;
                    return Err(self.failed(self.sender.broken_off()));
                }
                Err(_) => self.unresolved = true,
            }
            if Instant::now() >= self.outgoing.deadline {
                let cause = Error::new(ErrorKind::Timeout, "the server did not answer in time");
                return Err(self.failed(cause));
            }
        }
    }

    /// Waits for a connection on which the message may be written, for the first time or again.
    async fn may_write(&self) -> Result<Known, Error> {
        let stream = &self.sender.stream;
        let deadline = self.outgoing.deadline;
        let standing = async {
            let generation = stream.link.ready(deadline).await?;
            stream.link.hears()?;
            stream.known(generation, deadline).await
        };
        let known = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(self.sender.stopped()),
            known = standing => known?,
        };
        let age = self.first.map_or(Duration::ZERO, |first| first.age());
        if self.unresolved && age > known.duplicate_window / 2 {
            let text = "too long since it was first sent for the server to notice a copy";
            return Err(Error::new(ErrorKind::OutcomeUnknown, text));
        }
        Ok(known)
    }

    async fn write(&mut self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(self.sender.stopped());
        }
        let Outgoing { headers, payload, .. } = self.outgoing;
        let (reply, headers) = (Some(self.slot.subject()), Some(headers.clone()));
        let link = &self.sender.stream.link;
        match link.publish_now(&self.subject, reply, headers, payload.clone()) {
            Some(written) => written?,
            // Rare, and boxed like all that is: each send would hold and copy its room.
            None => Box::pin(self.write_when_there_is_room()).await?,
        }
        if self.first.is_some() {
            self.sender.counters.resent.add(1);
        }
        self.first.get_or_insert_with(Stamp::now);
        Ok(())
    }

    async fn write_when_there_is_room(&self) -> Result<(), Error> {
        let Outgoing { headers, payload, deadline, .. } = self.outgoing;
        let reply = Some(self.slot.subject());
        let link = &self.sender.stream.link;
        let publish = link.publish(&self.subject, reply, Some(headers.clone()), payload.clone());
        let written = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(self.sender.stopped()),
            written = timeout_at(*deadline, publish) => written,
        };
        written.map_err(|_| link.unreachable())?
    }

    /// What the server says. What others write to the reply subject is no answer: anyone who may
    /// read inboxes knows it, and one who hears the message itself may answer it too.
    async fn said(&mut self, mark: Mark, until: Instant) -> Result<Said, Outcome> {
        let Stream { link, name, .. } = &*self.sender.stream;
        loop {
            let outcome = link.outcome(&mut self.slot, &self.subject, mark, until, self.stop).await;
            let Outcome::Answer(message) = outcome else { return Err(outcome) };
            match ack::read(&message, name) {
                Some(said) => return Ok(said),
                None if Instant::now() >= until => return Err(Outcome::Silence),
                None => self.slot.arm(),
            }
        }
    }

    /// `None`: to be sent again, after a pause.
    async fn read(&mut self, said: Said) -> Result<Option<Ack>, Error> {
        let refusal = match said {
            Said::Stored(ack) => return Ok(Some(ack)),
            Said::Refused(refusal) => refusal,
            Said::Nothing => {
                Box::pin(self.stream_is_there()).await?;
                return self.again().await;
            }
        };
        if !refusal.passes() {
            if let Some(ack) = Box::pin(self.stored_before(&refusal)).await {
                return Ok(Some(ack));
            }
            return Err(self.failed(refusal.error("the server refused it")));
        }
        // A copy is being stored: whether it will be is not known yet.
        self.unresolved |= refusal.err_code == DUPLICATE_IN_PROCESS;
        self.again().await
    }

    /// The server compares a conditional send with the thread before it looks for a copy. Was a
    /// copy stored, then it is the first message behind the one expected.
    async fn stored_before(&self, refusal: &Refusal) -> Option<Ack> {
        let expected = self.outgoing.expected.filter(|_| refusal.is_wrong_last())?;
        let stored = self.look(Which::Next(expected.checked_add(1)?, &self.subject)).await?;
        let is_copy = ack::is_copy(&stored, &self.subject, &self.outgoing.payload);
        is_copy.then_some(Ack { seq: stored.seq, duplicate: true })
    }

    /// A stored message; `None` where there is none, and where we may not look: the server's word
    /// stands then.
    async fn look(&self, which: Which<'_>) -> Option<Stored> {
        let look = self.sender.stream.message(which, self.outgoing.deadline);
        self.stop.run_until_cancelled(look).await?.ok()?
    }

    /// The server knows an id, not whose it is: was another message stored under it, then the
    /// server has dropped this one.
    async fn check_copy(&self, seq: u64) -> Result<(), Error> {
        match self.look(Which::Seq(seq)).await {
            Some(stored) if !ack::is_copy(&stored, &self.subject, &self.outgoing.payload) => {
                let text = format!("its id is that of another message, stored as number {seq}");
                Err(Error::new(ErrorKind::Conflict, text).hint("send it under another id"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Nobody took the message: either no leader for now, or no stream at all.
    async fn stream_is_there(&self) -> Result<(), Error> {
        let stream = &self.sender.stream;
        if stream.known_now().incarnation == 0 || !stream.link.server_has_jetstream() {
            return Ok(());
        }
        // Where the question itself fails, the send goes on trying until its deadline.
        match stream.refresh(self.outgoing.deadline.min(Instant::now() + RESEND)).await {
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {
                Err(self.failed(cause))
            }
            Ok(_) | Err(_) => {
                tracing::debug!(stream = stream.name, "no leader for the stream");
                Ok(())
            }
        }
    }

    async fn again(&mut self) -> Result<Option<Ack>, Error> {
        let until = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.slot.arm();
        if until >= self.outgoing.deadline {
            let text = "no stream took it in time: its leader is away";
            return Err(self.failed(Error::new(ErrorKind::NoResponders, text)));
        }
        tokio::select! {
            () = self.stop.cancelled() => Err(self.failed(self.sender.broken_off())),
            () = sleep_until(until) => Ok(None),
        }
    }

    async fn receipt(&self, ack: Ack, known: Known, floor: u64) -> Result<Receipt, Error> {
        if ack.duplicate {
            Box::pin(self.check_copy(ack.seq)).await?;
        }
        let stream = &self.sender.stream;
        let mut incarnation = known.incarnation;
        if incarnation != 0 && !ack.duplicate && ack.seq <= floor {
            // Lower than what was acknowledged before it was sent: this is not the stream known.
            let refresh = Box::pin(stream.refresh(self.outgoing.deadline));
            incarnation = match self.stop.run_until_cancelled(refresh).await {
                Some(Ok(known)) => known.incarnation,
                Some(Err(_)) | None => 0,
            };
        }
        stream.raise_highest(ack.seq);
        let counters = &self.sender.counters;
        if ack.duplicate {
            counters.duplicates.add(1);
        }
        counters.sent.add(1);
        Ok(Receipt {
            id: self.outgoing.id.clone(),
            cursor: (incarnation != 0).then_some(Cursor { incarnation, seq: ack.seq, check: 0 }),
            duplicate: ack.duplicate,
        })
    }

    /// The error that says which of two it is: unknown, or not stored.
    fn failed(&self, cause: Error) -> Error {
        let silent = cause.kind() == ErrorKind::Timeout && self.first.is_some();
        if !(self.unresolved || silent) {
            return cause;
        }
        let error = match cause.kind() {
            ErrorKind::OutcomeUnknown => cause,
            _ => Error::new(ErrorKind::OutcomeUnknown, "no answer says whether it is stored")
                .because(cause),
        };
        error.hint("send again with the same id: the server drops the copy")
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the manager is closed; nothing was sent")
}

fn closed_error() -> Error {
    Error::new(ErrorKind::Closed, "the manager was closed while it was under way")
}
