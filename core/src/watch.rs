//! The reader's side of a watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::WatchOptions;
use crate::counters::Counters;
use crate::error::Error;
use crate::filter::Filter;
use crate::hub::{Hold, Hub};
use crate::message::{Cursor, Event, Message, Start};
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
            match self.next_event().await? {
                Event::Message(message) => return Ok(message),
                Event::Gap { after, until } => {
                    tracing::warn!(%after, %until, "messages were gone before delivery");
                }
                Event::Reset { cursor } => {
                    tracing::warn!(%cursor, "the stream was made anew or restored")
                }
                Event::Malformed { cursor } => {
                    tracing::warn!(%cursor, "a stored payload is no envelope")
                }
                Event::Stalled { reason } => {
                    tracing::warn!(reason = %format!("{reason:#}"), "no source")
                }
                Event::CaughtUp { .. } | Event::Resumed => {}
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
