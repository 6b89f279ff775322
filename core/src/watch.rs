//! The reader's side of a watch.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::WatchOptions;
use crate::counters::Counters;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::hub::{Hold, Hub};
use crate::message::{Cursor, Event, Message, Start};
use crate::queue::Hook;
use crate::start;
use crate::taps::Begin;

/// What happens in one thread or many, once each and in stream order, until it is dropped or
/// stopped.
///
/// Events are read ahead into a bounded queue. A reader that is slower than the stream loses
/// nothing: it goes on from the stream itself. Dropping a step that waits loses nothing either.
pub struct Watch {
    hold: Hold,
    counters: Arc<Counters>,
    cursor: Mutex<Cursor>,
    gaps: AtomicU64,
}

pub(crate) async fn watch(
    hub: &Arc<Hub>,
    filter: Filter,
    own: &str,
    options: &WatchOptions,
    deadline: Instant,
) -> Result<Watch, Error> {
    let stream = &hub.shared.stream;
    let info = stream.info(deadline).await?;
    let end = Cursor { incarnation: info.incarnation(), seq: info.state.last_seq, check: 0 };
    let subject = filter.subject(&stream.project);
    let cursor = start::place(stream, subject, options.start, None, &info, deadline).await?;
    let begin = Begin { cursor, end, is_new: options.start == Start::New };
    let skip = options.skip_own.then(|| own.to_owned());
    let hold = hub.add(filter, skip, options, begin, deadline).await?;
    let counters = hub.shared.counters.clone();
    Ok(Watch { hold, counters, cursor: Mutex::new(cursor), gaps: AtomicU64::new(0) })
}

impl Watch {
    /// The next message. Gaps and the like are passed over here, logged and counted
    /// ([`Watch::gaps`]).
    ///
    /// Cancel safe. Fails with `Closed` when the watch was stopped or its manager closed.
    pub async fn next(&self) -> Result<Arc<Message>, Error> {
        loop {
            if let Some(message) = message_of(self.next_event().await?) {
                return Ok(message);
            }
        }
    }

    /// The next event, messages and all.
    ///
    /// Cancel safe. Fails with `Closed` when the watch was stopped or its manager closed.
    pub async fn next_event(&self) -> Result<Event, Error> {
        let event = self.hold.tap.queue.pop().await?;
        self.note(&event);
        Ok(event)
    }

    /// What [`Watch::next_event`] would give without waiting.
    pub fn try_next_event(&self) -> Option<Result<Event, Error>> {
        let event = self.hold.tap.queue.try_pop()?;
        if let Ok(event) = &event {
            self.note(event);
        }
        Some(event)
    }

    /// What is there, up to `max` events, in one step: for readers that want speed.
    pub fn take(&self, max: usize) -> Result<Vec<Event>, Error> {
        let mut taken = Vec::new();
        self.hold.tap.queue.take(max, &mut taken)?;
        taken.iter().for_each(|event| self.note(event));
        Ok(taken)
    }

    /// As [`Watch::take`], but waits in the calling thread up to `timeout` for the first event;
    /// `None` waits for ever. Not for async code, whose thread it would hold up.
    pub fn take_blocking(
        &self,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<Event>, Error> {
        // A time too far to be counted is for ever.
        let until = timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout));
        let is_over = || until.is_some_and(|until| until <= std::time::Instant::now());
        loop {
            self.hold.tap.queue.wait_readable(until);
            let taken = self.take(max)?;
            // Another thread may have taken what there was.
            if !taken.is_empty() || is_over() {
                return Ok(taken);
            }
        }
    }

    /// A descriptor for event loops that is readable while [`Watch::take`] has something to say,
    /// the end included. Poll it, never read it.
    ///
    /// Fails with `System` when the process has no descriptor left.
    pub fn fd(&self) -> Result<OwnedFd, Error> {
        self.hold.tap.queue.fd().map_err(|cause| {
            let text = "watch: a descriptor to wait on";
            Error::new(ErrorKind::System, text).because(cause).hint("close files or sockets")
        })
    }

    pub(crate) fn set_hook(&self, hook: Hook) {
        self.hold.tap.queue.set_hook(hook);
    }

    fn note(&self, event: &Event) {
        let cursor = match event {
            Event::Message(message) => {
                self.counters.delivered.add(1);
                message.cursor
            }
            Event::Gap { until, .. } => {
                self.gaps.fetch_add(1, Ordering::Relaxed);
                *until
            }
            Event::CaughtUp { cursor } | Event::Reset { cursor } | Event::Malformed { cursor } => {
                *cursor
            }
            Event::Stalled { .. } | Event::Resumed => return,
        };
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = cursor;
    }

    /// The place of what was last handed out, at first of the start. Save it, and resume after it
    /// with [`Start::After`].
    pub fn cursor(&self) -> Cursor {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gap events handed out so far.
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Ends the watch from any task: whoever waits for its next event gets `Closed`.
    pub fn stop(&self) {
        self.hold.stop();
    }
}

/// The message, if it is one. The rest is logged: whoever reads messages only passes it over.
pub fn message_of(event: Event) -> Option<Arc<Message>> {
    match event {
        Event::Message(message) => return Some(message),
        Event::Gap { after, until } => {
            tracing::warn!(%after, %until, "messages were gone before delivery");
        }
        Event::Reset { cursor } => {
            tracing::warn!(%cursor, "the stream was made anew or restored");
        }
        Event::Malformed { cursor } => tracing::warn!(%cursor, "a stored payload is no envelope"),
        Event::Stalled { reason } => {
            tracing::warn!(reason = %format!("{reason:#}"), "no source");
        }
        Event::CaughtUp { .. } | Event::Resumed => {}
    }
    None
}
