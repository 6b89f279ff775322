//! Stored messages from a cursor on: the one way they are read. Watches, catch-up, history, lists
//! and scans are made of it.
//!
//! A reader opens a consumer, checks that the stream is still the one its cursor belongs to, and
//! hands out what comes in stream order. When anything is wrong it opens anew from its cursor, for
//! ever; each opening is an epoch that begins with the same checks. Where the server has no
//! consumer to spare, it fetches message by message instead.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::CONSUMER_LIMIT;
use crate::api::REQUEST_TIMEOUT;
use crate::asked::Shape;
use crate::epoch::{Item, Place, gap};
use crate::error::{Error, ErrorKind};
use crate::fault::{BACKOFF_MIN, Health};
use crate::message::Cursor;
use crate::pull::{From, Pull, Pulled};
use crate::random;
use crate::state::State;
use crate::stored::Stored;
use crate::stream::{Info, Stream, Which};

/// The live tail: a large window, and slow heartbeats since it is idle most of its life.
pub(crate) const TAIL: Shape =
    Shape { batch: 1024, max_bytes: 8 << 20, heartbeat: Duration::from_secs(5), live: true };
/// Everything that ends.
pub(crate) const PAST: Shape =
    Shape { batch: 4096, max_bytes: 1 << 20, heartbeat: Duration::from_secs(1), live: false };

/// Others need consumers too: bones agents, lists, catch-ups. The server allows 1,000 a stream.
const CONSUMERS_FOR_TAILS: usize = 900;
/// How stale the horizon of an idle tail may be.
const PROBE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(1);
/// Half of what a watch's queue holds by default, so that one batch leaves no quick reader behind.
const BATCH_MAX: usize = 128;
/// So many epochs without a message, and the next one is read by itself.
const BARREN_EPOCHS: u32 = 2;

pub(crate) struct Reader {
    stream: Arc<Stream>,
    subjects: Vec<String>,
    shape: Shape,
    cursor: Cursor,
    /// Everything of our subjects up to here is handed out or gone.
    horizon: u64,
    /// How far the caller wants to get; asks the server when nothing comes.
    goal: u64,
    /// The stream's last sequence when this epoch began.
    last_seq: u64,
    source: Source,
    /// What the last epoch read from, until there is a connection to delete it on.
    stale: Source,
    link_state: watch::Receiver<State>,
    generation: u64,
    /// Delivered by the server, not yet handed out: kept here so that no await loses it.
    taken: Vec<Taken>,
    /// Whether the server had more for us behind the last one handed out.
    lagging: bool,
    /// Whether a consumer that has nothing more means that there is nothing more: a replica may
    /// lag.
    is_single: bool,
    ask_leader: bool,
    /// A place further on, where the caller has been; checked with the first epoch.
    been: Option<Cursor>,
    /// The stream's end in an epoch not yet told of, and when that began.
    began: Option<(u64, std::time::Instant)>,
    probe: Probe,
    /// Where this epoch began, and how many before it handed out nothing.
    epoch: Cursor,
    barren: u32,
    pub(crate) health: Health,
}

struct Taken {
    stored: Stored,
    pending: u64,
    after_pause: bool,
}

enum Source {
    None,
    Pull(Box<Pull>),
    Poll { consumer_again: Instant, next: Instant },
}

/// Keeps the horizon of an idle tail near the stream's end, so that what expires in other threads
/// meanwhile is no gap of ours at the next epoch.
struct Probe {
    at: Instant,
    /// The stream's end at a moment since which only a heartbeat is awaited.
    last_seq: Option<u64>,
}

impl Reader {
    pub(crate) fn new(
        stream: Arc<Stream>,
        subjects: Vec<String>,
        cursor: Cursor,
        shape: Shape,
    ) -> Reader {
        let link_state = stream.link.state();
        Reader {
            stream,
            subjects,
            shape,
            cursor,
            horizon: cursor.seq,
            goal: 0,
            last_seq: 0,
            source: Source::None,
            stale: Source::None,
            link_state,
            generation: 0,
            taken: Vec::new(),
            lagging: false,
            is_single: true,
            ask_leader: false,
            been: None,
            began: None,
            epoch: Cursor::default(),
            barren: 0,
            probe: Probe { at: Instant::now(), last_seq: None },
            health: Health::default(),
        }
    }

    /// The last place handed out, or where reading began.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The place up to which everything is handed out, as a cursor.
    pub(crate) fn reached(&self) -> Cursor {
        let check = if self.horizon > self.cursor.seq { 0 } else { self.cursor.check };
        Cursor { seq: self.horizon.max(self.cursor.seq), check, ..self.cursor }
    }

    pub(crate) fn horizon(&self) -> u64 {
        self.horizon
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// A place that must belong to the stream too, for this to be the one read before.
    pub(crate) fn set_been(&mut self, been: Cursor) {
        self.been = Some(been);
    }

    /// The stream's end at the beginning of an epoch, and when it was asked for; once each.
    pub(crate) fn take_epoch(&mut self) -> Option<(u64, std::time::Instant)> {
        self.began.take()
    }

    pub(crate) fn set_goal(&mut self, goal: u64) {
        self.goal = goal;
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.source, Source::None)
    }

    pub(crate) fn is_polling(&self) -> bool {
        matches!(self.source, Source::Poll { .. })
    }

    /// Opens for the first time, so that a lasting refusal is an error and not a stall.
    pub(crate) async fn open(&mut self, deadline: Instant) -> Result<Vec<Item>, Error> {
        let since = Instant::now();
        loop {
            match self.begin(deadline).await {
                Ok(items) => return Ok(items),
                Err(cause) if is_lasting(&cause) || Instant::now() >= deadline => {
                    self.health.failed(since, cause.clone());
                    return Err(cause);
                }
                Err(_) => sleep(BACKOFF_MIN).await,
            }
        }
    }

    /// What comes next, perhaps nothing but a changed [`Health::stalled`] or [`Reader::horizon`].
    /// Cancel safe. Never fails: it tries until it is dropped.
    pub(crate) async fn next(&mut self) -> Vec<Item> {
        match &mut self.source {
            Source::None => self.reopen().await,
            Source::Pull(_) => self.pull().await,
            Source::Poll { next, .. } => {
                sleep_until(*next).await;
                let polled = self.poll().await;
                polled.unwrap_or_else(|reason| self.fail(reason))
            }
        }
    }

    async fn reopen(&mut self) -> Vec<Item> {
        let deadline = self.health.next_try().await;
        let begun = self.begin(deadline).await;
        begun.unwrap_or_else(|reason| self.fail(reason))
    }

    /// Notes a fault; the next step opens anew.
    fn fail(&mut self, reason: Error) -> Vec<Item> {
        if self.is_open() {
            self.stale = std::mem::replace(&mut self.source, Source::None);
        }
        self.taken.clear();
        let cause = format!("{reason:#}");
        tracing::debug!(stream = self.stream.name, cause, "a reader has no source");
        self.health.failed(Instant::now(), reason);
        Vec::new()
    }

    /// Begins an epoch: looks at the stream, then opens a source behind the cursor.
    async fn begin(&mut self, deadline: Instant) -> Result<Vec<Item>, Error> {
        self.source = Source::None;
        self.generation = self.stream.link.ready(deadline).await?;
        // Deletes the consumer that the last epoch left on the server.
        self.stale = Source::None;
        let began = std::time::Instant::now();
        let info = self.stream.info_at(self.places(), deadline).await?;
        let mut place = self.checked(&info, deadline).await?;
        let barren = self.barren_after(&place);
        if barren >= BARREN_EPOCHS {
            place.step_over(&self.stream, &self.subjects, deadline).await?;
        }
        let source = self.source(&info, place.cursor, deadline).await?;
        let after = self.stream.info(deadline).await?;
        if after.incarnation() != info.incarnation() || after.state.last_seq < place.cursor.seq {
            return Err(Error::new(ErrorKind::Disconnected, "the stream was made anew just now"));
        }
        // Removed between the two looks: the consumer never had it.
        place.begins_at(after.state.first_seq);
        if let Source::Pull(pull) = &source
            && let Some(error) = pull.refused()
        {
            return Err(error);
        }
        (self.barren, self.epoch) = (barren, place.cursor);
        self.cursor = place.cursor;
        (self.last_seq, self.horizon) = (info.state.last_seq, place.horizon);
        self.lagging = true;
        self.is_single = info.is_single();
        self.began = Some((info.state.last_seq, began));
        self.been = None;
        self.source = source;
        if matches!(&self.source, Source::Pull(pull) if pull.pending == 0) {
            // Looked up before the consumer was made, so nothing of ours lies between.
            self.nothing_pending();
        }
        // Whether what was refused is given now shows only when something comes.
        if self.health.refused().is_none() || self.is_polling() {
            self.health.recovered();
        }
        Ok(place.items)
    }

    fn places(&self) -> (Cursor, Cursor) {
        (self.cursor, self.been.unwrap_or(self.cursor))
    }

    async fn checked(&self, info: &Info, deadline: Instant) -> Result<Place, Error> {
        // What an answer once said of the end may have been false, or the stream rolled back since.
        let horizon = self.horizon.min(info.state.last_seq);
        Place::checked(&self.stream, self.places(), horizon, info, deadline).await
    }

    /// How many epochs in a row, the one before `place` included, have handed out nothing.
    fn barren_after(&self, place: &Place) -> u32 {
        if place.cursor == self.epoch { self.barren + 1 } else { 0 }
    }

    async fn source(
        &self,
        info: &Info,
        cursor: Cursor,
        deadline: Instant,
    ) -> Result<Source, Error> {
        if self.shape.live && info.state.consumer_count >= CONSUMERS_FOR_TAILS {
            return Ok(poll_source());
        }
        let from = From::Seq(cursor.seq + 1);
        match Pull::create(&self.stream, from, &self.subjects, self.shape, deadline).await {
            Ok(pull) => Ok(Source::Pull(Box::new(pull))),
            Err(failure) if failure.is(CONSUMER_LIMIT) => Ok(poll_source()),
            Err(failure) => Err(failure.about(format!("read stream {}", self.stream.name))),
        }
    }

    async fn pull(&mut self) -> Vec<Item> {
        if std::mem::take(&mut self.ask_leader) && self.taken.is_empty() && self.horizon < self.goal
        {
            let confirmed = self.confirm().await;
            return confirmed.unwrap_or_else(|reason| self.fail(reason));
        }
        let first = if self.taken.is_empty() {
            let Source::Pull(pull) = &mut self.source else { return Vec::new() };
            tokio::select! {
                biased;
                pulled = pull.next() => Some(pulled),
                () = State::lost(&mut self.link_state, self.generation) => {
                    let text = "the connection was lost";
                    return self.fail(Error::new(ErrorKind::Disconnected, text));
                }
            }
        } else {
            None
        };
        let (mut idle, mut pulled) = (false, first);
        loop {
            match pulled {
                Some(Pulled::Message { stored, pending, after_pause }) => {
                    self.taken.push(Taken { stored, pending, after_pause })
                }
                Some(Pulled::Idle) => idle = true,
                Some(Pulled::Fault(reason)) => {
                    // What came before the fault is good.
                    let items = self.hand_out().await;
                    self.fail(reason);
                    return items.unwrap_or_default();
                }
                None => {}
            }
            if self.taken.len() >= BATCH_MAX {
                break;
            }
            let Source::Pull(pull) = &mut self.source else { break };
            match pull.ready() {
                Some(next) => pulled = Some(next),
                None => break,
            }
        }
        if idle || !self.taken.is_empty() {
            self.health.recovered();
        }
        let items = match self.hand_out().await {
            Ok(items) if items.is_empty() && idle => self.on_idle().await,
            other => other,
        };
        items.unwrap_or_else(|reason| self.fail(reason))
    }

    /// Nothing came for a heartbeat.
    async fn on_idle(&mut self) -> Result<Vec<Item>, Error> {
        if self.horizon < self.goal {
            return self.confirm().await;
        }
        if let Some(last_seq) = self.probe.last_seq.take() {
            self.horizon = self.horizon.max(last_seq);
        } else if self.shape.live && self.probe.at.elapsed() >= PROBE {
            let info = self.stream.info(Instant::now() + REQUEST_TIMEOUT).await?;
            if info.state.last_seq < self.cursor.seq {
                return Err(Error::new(ErrorKind::Conflict, "the stream ends before our place"));
            }
            if info.incarnation() == self.cursor.incarnation {
                self.probe = Probe { at: Instant::now(), last_seq: Some(info.state.last_seq) };
            }
        }
        Ok(Vec::new())
    }

    /// Turns what was taken into items, with the gaps between them.
    async fn hand_out(&mut self) -> Result<Vec<Item>, Error> {
        let mut first_seq = 0;
        if self.may_hide_a_gap() {
            let info = self.stream.info(Instant::now() + REQUEST_TIMEOUT).await?;
            if info.incarnation() == self.cursor.incarnation {
                first_seq = info.state.first_seq;
            }
        }
        let mut items = Vec::with_capacity(self.taken.len());
        for Taken { stored, pending, .. } in std::mem::take(&mut self.taken) {
            let seq = stored.seq;
            if seq <= self.cursor.seq {
                continue;
            }
            let place = self.cursor.seq.max(self.horizon);
            if first_seq > place + 1 && seq > place + 1 {
                items.push(gap(self.cursor, place, first_seq.min(seq) - 1));
            }
            self.cursor = stored.cursor(self.cursor.incarnation);
            self.horizon = self.horizon.max(seq);
            self.lagging = true;
            if pending == 0 {
                self.nothing_pending();
            }
            items.push(Item::Stored(self.cursor.incarnation, stored));
        }
        Ok(items)
    }

    /// The consumer has nothing more for us.
    fn nothing_pending(&mut self) {
        self.lagging = false;
        if self.is_single {
            self.horizon = self.horizon.max(self.last_seq);
        } else {
            self.ask_leader = true;
        }
    }

    /// A jump in the sequence says nothing while we keep up: others' threads lie between. While we
    /// lag, or the server had nothing to send by, what lay between may have expired or been purged
    /// before it came to that. Without a filter every jump is one.
    fn may_hide_a_gap(&self) -> bool {
        let mut last = self.cursor.seq.max(self.horizon);
        let mut lagging = self.lagging;
        let all = self.subjects.is_empty();
        for Taken { stored, pending, after_pause } in &self.taken {
            if (all || lagging || *after_pause) && stored.seq > last + 1 {
                return true;
            }
            last = stored.seq;
            lagging = *pending > 0;
        }
        false
    }

    /// Asks whether anything of ours is left before the goal, when none comes.
    async fn confirm(&mut self) -> Result<Vec<Item>, Error> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let info = self.stream.info(deadline).await?;
        if info.incarnation() != self.cursor.incarnation {
            return Err(Error::new(ErrorKind::Conflict, "the stream was made anew"));
        }
        let subject = self.one_subject();
        let left =
            self.stream.message(Which::Next(self.cursor.seq + 1, &subject), deadline).await?;
        if let Some(left) = left {
            // Its delivery is on the way, or it lies beyond the goal.
            self.horizon = self.horizon.max(left.seq - 1);
            return Ok(Vec::new());
        }
        let mut items = Vec::new();
        let place = self.cursor.seq.max(self.horizon);
        if info.state.first_seq > place + 1 {
            let until = info.state.first_seq - 1;
            items.push(gap(self.cursor, place, until));
            self.cursor = Cursor { seq: until, check: 0, ..self.cursor };
        }
        self.horizon = self.horizon.max(info.state.last_seq);
        Ok(items)
    }

    /// One round without a consumer.
    async fn poll(&mut self) -> Result<Vec<Item>, Error> {
        if let Source::Poll { consumer_again, .. } = &self.source
            && Instant::now() >= *consumer_again
        {
            return self.begin(Instant::now() + REQUEST_TIMEOUT).await;
        }
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let info = self.stream.info_at(self.places(), deadline).await?;
        let mut place = self.checked(&info, deadline).await?;
        let (stream, end) = (&self.stream, info.state.last_seq);
        let more = place.fetch(stream, &self.one_subject(), end, BATCH_MAX).await?;
        self.cursor = place.cursor;
        self.horizon = place.horizon;
        self.last_seq = end;
        if let Source::Poll { next, .. } = &mut self.source {
            *next = if more { Instant::now() } else { Instant::now() + POLL };
        }
        Ok(place.items)
    }

    /// A subject that covers ours in one request.
    fn one_subject(&self) -> String {
        match self.subjects.as_slice() {
            [one] => one.clone(),
            _ => self.stream.project.all_subjects(),
        }
    }
}

/// Tries for a consumer again after 30 to 60 s, not all processes at once.
fn poll_source() -> Source {
    let mut byte = [0u8; 1];
    random::fill(&mut byte);
    let pause = Duration::from_millis(30_000 + u64::from(byte[0]) * 117);
    Source::Poll { consumer_again: Instant::now() + pause, next: Instant::now() }
}

/// Whether trying again cannot help.
fn is_lasting(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Timeout | ErrorKind::NoResponders)
}
