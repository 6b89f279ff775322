//! One live tail for all watches of a manager: opened with the first watch, closed 30 s after the
//! last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::TaskTracker;

use crate::catch_up::{Shared, catch_up};
use crate::config::WatchOptions;
use crate::epoch::Item;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::reader::{Reader, TAIL};
use crate::taps::{Begin, Tap, Wanted, closed};

/// A closed watch is often followed by another one.
const LINGER: Duration = Duration::from_secs(30);
/// How long an opening of the tail may keep a new watch from hearing why it fails.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Hub {
    pub(crate) shared: Arc<Shared>,
    tasks: TaskTracker,
    watches_max: usize,
    changed: Notify,
    opened: watch::Sender<Opened>,
    polling: AtomicBool,
}

/// How opening the tail for watches up to `version` went.
#[derive(Clone, Default)]
struct Opened {
    version: u64,
    error: Option<Error>,
}

/// A watch's hold on the hub; dropping it takes the watch away.
pub(crate) struct Hold {
    hub: Arc<Hub>,
    pub(crate) tap: Arc<Tap>,
}

impl Hold {
    pub(crate) fn stop(&self) {
        self.hub.shared.taps().remove(self.tap.id);
        self.hub.changed.notify_one();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Hub {
    pub(crate) fn new(shared: Arc<Shared>, watches_max: usize, tasks: TaskTracker) -> Arc<Hub> {
        Arc::new(Hub {
            shared,
            tasks,
            watches_max,
            changed: Notify::new(),
            opened: watch::Sender::new(Opened::default()),
            polling: AtomicBool::new(false),
        })
    }

    pub(crate) fn watches(&self) -> usize {
        self.shared.taps().len()
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.polling.load(Ordering::Relaxed)
    }

    /// Ends every watch.
    pub(crate) fn close(&self) {
        self.shared.taps().clear();
    }

    /// Adds a watch; returns when the tail covers it.
    pub(crate) async fn add(
        self: &Arc<Hub>,
        filter: Filter,
        skip: Option<String>,
        options: &WatchOptions,
        begin: Begin,
        deadline: Instant,
    ) -> Result<Hold, Error> {
        let (hold, version) = self.insert(filter, skip, options, begin)?;
        let mut opened = self.opened.subscribe();
        let wait = timeout_at(deadline, opened.wait_for(|it| it.version >= version));
        match wait.await {
            Ok(Ok(opened)) => match &opened.error {
                Some(error) => Err(error.clone()),
                None => Ok(hold),
            },
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the live tail did not open in time")),
        }
    }

    fn insert(
        self: &Arc<Hub>,
        filter: Filter,
        skip: Option<String>,
        options: &WatchOptions,
        begin: Begin,
    ) -> Result<(Hold, u64), Error> {
        let mut taps = self.shared.taps();
        if self.shared.closed.is_cancelled() {
            return Err(closed());
        }
        if taps.len() >= self.watches_max {
            let text = format!("{} watches are live, all that max_subscribers allows", taps.len());
            let error = Error::new(ErrorKind::TooManySubscribers, text);
            return Err(error.hint("close one, or open the manager with a higher max_subscribers"));
        }
        let (tap, detached) = taps.insert(filter, skip, options, begin);
        let version = taps.tail.version;
        let start = !std::mem::replace(&mut taps.tail.running, true);
        drop(taps);
        if start {
            self.tasks.spawn(self.clone().run());
        }
        if detached {
            self.tasks.spawn(catch_up(self.shared.clone(), tap.clone()));
        }
        self.changed.notify_one();
        Ok((Hold { hub: self.clone(), tap }, version))
    }

    /// The tail's task. Where everything is closed, the connection perhaps, it ends the watches
    /// too.
    async fn run(self: Arc<Hub>) {
        let closed = self.shared.closed.clone();
        if closed.run_until_cancelled(self.follow()).await.is_none() {
            self.close();
        }
    }

    async fn follow(self: &Arc<Hub>) {
        let mut tail: Option<Reader> = None;
        let mut empty_since = None;
        loop {
            let wanted = self.shared.taps().wanted(tail.is_some());
            if let Some(wanted) = wanted {
                drop(tail.take());
                tail = Some(self.open(wanted).await);
            }
            let Some(reader) = &mut tail else { return };
            if self.watches() > 0 {
                empty_since = None;
            } else if empty_since.is_none() {
                empty_since = Some(Instant::now());
            }
            let vain = self.shared.taps().is_vain();
            if vain && self.stop_if_idle() {
                return;
            }
            let idle_at = empty_since.unwrap_or_else(Instant::now) + LINGER;
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                items = reader.next() => {
                    self.hand_out(items, reader);
                    // Lets the readers that this has woken take it before the next batch comes.
                    yield_now().await;
                }
                () = sleep_until(idle_at) => if self.stop_if_idle() { return },
            }
        }
    }

    fn stop_if_idle(&self) -> bool {
        let stops = self.shared.taps().stop_if_idle();
        if stops {
            self.polling.store(false, Ordering::Relaxed);
        }
        stops
    }

    async fn open(self: &Arc<Hub>, wanted: Wanted) -> Reader {
        let stream = self.shared.stream.clone();
        let mut reader = Reader::new(stream, wanted.subjects, wanted.from, TAIL);
        reader.set_been(wanted.been);
        let result = reader.open(Instant::now() + OPEN_TIMEOUT).await;
        let error = match result {
            Ok(items) => {
                self.hand_out(items, &mut reader);
                None
            }
            // The watches that wait for it leave; older ones go on waiting for a source.
            Err(error) => Some(error),
        };
        self.shared.taps().tail.failed = error.is_some();
        self.opened.send_replace(Opened { version: wanted.version, error });
        reader
    }

    fn hand_out(self: &Arc<Hub>, items: Vec<Item>, reader: &mut Reader) {
        self.polling.store(reader.is_polling(), Ordering::Relaxed);
        self.shared.counters.reopens.add(reader.health.take_reopens());
        let mut taps = self.shared.taps();
        let mut detached = Vec::new();
        let is_reset = items.iter().any(|item| matches!(item, Item::Reset(_)));
        if let Some((last_seq, began)) = reader.take_epoch().filter(|_| !is_reset) {
            detached.extend(taps.end_at(last_seq, began));
        }
        for item in items {
            detached.extend(match item {
                Item::Stored(_, stored) => taps.stored(stored),
                Item::Gap { after, until } => taps.gap(after, until),
                Item::Reset(cursor) => taps.reset(cursor),
            });
        }
        taps.tail.cursor = reader.cursor();
        taps.tail.horizon = taps.tail.horizon.max(reader.horizon());
        if reader.is_open() && std::mem::take(&mut taps.tail.failed) {
            // A watch that comes now is covered, and must not hear of what has passed.
            self.opened.send_modify(|it| it.error = None);
        }
        taps.stall(reader.health.stalled());
        let touched = taps.take_touched();
        drop(taps);
        touched.iter().for_each(|tap| tap.queue.announce());
        self.shared.counters.detaches.add(detached.len() as u64);
        for tap in detached {
            self.tasks.spawn(catch_up(self.shared.clone(), tap));
        }
    }
}
