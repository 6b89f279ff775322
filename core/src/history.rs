//! Past messages of a thread, bounded by count and bytes.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::config::HistoryOptions;
use crate::epoch::{Item, belongs};
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::message::{Cursor, History};
use crate::reader::{PAST, Reader};
use crate::start;
use crate::stored::Parsed;
use crate::stream::{Info, Stream};

/// Reads until the stream's end as it was at the start, or a bound.
pub(crate) async fn history(
    stream: &Arc<Stream>,
    filter: &Filter,
    options: &HistoryOptions,
    deadline: Instant,
) -> Result<History, Error> {
    let subject = filter.subject(&stream.project);
    let (start, before) = (options.start, options.before);
    let places = (before.unwrap_or_default(), start.given().unwrap_or_default());
    let info = stream.info_at(places, deadline).await?;
    for given in before.into_iter().chain(start.given()) {
        if !belongs(stream, given, &info, deadline).await? {
            return Err(foreign(stream, &info));
        }
    }
    let from = start::place(stream, subject.clone(), start, before, &info, deadline).await?;
    let end =
        before.map_or(u64::MAX, |before| before.seq.saturating_sub(1)).min(info.state.last_seq);
    let mut page = Page { filter, options, bytes: 0, found: empty(from) };
    if end <= from.seq {
        return Ok(page.found);
    }
    let mut reader = Reader::new(stream.clone(), vec![subject], from, PAST);
    reader.set_goal(end);
    let mut items = reader.open(deadline).await?;
    loop {
        for item in items {
            if page.is_complete(stream, item, end)? {
                return Ok(page.found);
            }
        }
        if reader.horizon() >= end {
            page.found.next = Cursor { seq: end.max(page.found.next.seq), ..page.found.next };
            if page.found.next.seq != reader.cursor().seq {
                page.found.next.check = 0;
            }
            return Ok(page.found);
        }
        if let Some(error) = reader.health.refused() {
            return Err(error.clone());
        }
        items = timeout_at(deadline, reader.next()).await.map_err(|_| late(stream, &reader))?;
    }
}

fn empty(next: Cursor) -> History {
    History { messages: Vec::new(), truncated: false, next, gaps: Vec::new(), malformed: 0 }
}

fn late(stream: &Stream, reader: &Reader) -> Error {
    let text = format!("read stream {} in time: came to {}", stream.name, reader.cursor());
    let error = Error::new(ErrorKind::Timeout, text);
    match reader.health.reason() {
        Some(cause) => error.because(cause.clone()),
        None => error.hint("give it more time, or a lower limit"),
    }
}

/// What has been read so far.
struct Page<'a> {
    filter: &'a Filter,
    options: &'a HistoryOptions,
    bytes: usize,
    found: History,
}

impl Page<'_> {
    /// `true`: the page ends before this item.
    fn is_complete(&mut self, stream: &Stream, item: Item, end: u64) -> Result<bool, Error> {
        let (incarnation, stored) = match item {
            Item::Gap { after, until } => {
                self.found.gaps.push((after, until));
                self.found.next = until;
                return Ok(false);
            }
            Item::Reset(_) => return Err(made_anew(stream)),
            Item::Stored(incarnation, stored) => (incarnation, stored),
        };
        let cursor = stored.cursor(incarnation);
        if cursor.seq > end {
            return Ok(true);
        }
        let message = match stored.parse(&stream.project, incarnation) {
            Parsed::Malformed(_) => {
                self.found.malformed += 1;
                self.found.next = cursor;
                return Ok(false);
            }
            Parsed::Message(message) => message,
        };
        if self.filter.wants(&message) {
            let bytes = self.bytes + message.body.len();
            let too_many = self.found.messages.len() >= self.options.limit;
            let too_large = self.options.max_bytes.is_some_and(|max| bytes > max);
            if too_many || (too_large && !self.found.messages.is_empty()) {
                self.found.truncated = true;
                return Ok(true);
            }
            self.bytes = bytes;
            self.found.messages.push(message);
        }
        self.found.next = cursor;
        Ok(false)
    }
}

fn foreign(stream: &Stream, info: &Info) -> Error {
    let text = format!("the cursor is no place of stream {}, made {}", stream.name, info.created());
    Error::new(ErrorKind::Conflict, text)
        .hint("the stream was made anew or restored: begin with all")
}

fn made_anew(stream: &Stream) -> Error {
    let text = format!("stream {} was made anew while it was read", stream.name);
    Error::new(ErrorKind::Conflict, text).hint("begin again with all")
}
