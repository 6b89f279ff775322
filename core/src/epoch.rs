//! The beginning of an epoch: is the stream still the one the cursor belongs to, and is all of it
//! there?

use tokio::time::Instant;

use crate::api::{REQUEST_TIMEOUT, wrap};
use crate::error::{Error, ErrorKind};
use crate::message::Cursor;
use crate::stored::{Stored, check};
use crate::stream::{Info, Stream, Which};

/// What a reader hands out.
#[derive(Debug)]
pub(crate) enum Item {
    /// With the stream's incarnation.
    Stored(u64, Stored),
    /// Gone before it could be read.
    Gap { after: Cursor, until: Cursor },
    /// Another stream than the cursor's: everything of it follows.
    Reset(Cursor),
}

/// Where reading goes on after the checks, and what they found.
pub(crate) struct Place {
    pub(crate) cursor: Cursor,
    /// Everything up to here is handed out or gone.
    pub(crate) horizon: u64,
    pub(crate) items: Vec<Item>,
}

impl Place {
    /// `been` is another place where reading has been, or the same.
    pub(crate) async fn checked(
        stream: &Stream,
        (cursor, been): (Cursor, Cursor),
        horizon: u64,
        info: &Info,
        deadline: Instant,
    ) -> Result<Place, Error> {
        let first_seq = info.state.first_seq;
        let belong = belongs(stream, cursor, info, deadline).await?
            && (been == cursor || belongs(stream, been, info, deadline).await?);
        if !belong {
            let seq = first_seq.saturating_sub(1);
            let cursor = Cursor { incarnation: info.incarnation(), seq, check: 0 };
            return Ok(Place { cursor, horizon: seq, items: vec![Item::Reset(cursor)] });
        }
        let mut place = Place { cursor, horizon: cursor.seq.max(horizon), items: Vec::new() };
        place.begins_at(first_seq);
        Ok(place)
    }

    /// Tells what is gone, where the stream begins behind this place.
    pub(crate) fn begins_at(&mut self, first_seq: u64) {
        let place = self.cursor.seq.max(self.horizon);
        if first_seq > place + 1 {
            self.items.push(gap(self.cursor, place, first_seq - 1));
            self.cursor = Cursor { seq: first_seq - 1, check: 0, ..self.cursor };
            self.horizon = self.cursor.seq;
        }
    }

    /// Reads the next message by itself. One whose headers async-nats cannot read costs the whole
    /// connection each time it is delivered (0.51); fetched like this, we read them ourselves.
    pub(crate) async fn step_over(
        &mut self,
        stream: &Stream,
        subjects: &[String],
        deadline: Instant,
    ) -> Result<(), Error> {
        let all = [stream.project.all_subjects()];
        let subjects = if subjects.is_empty() { &all } else { subjects };
        let mut first: Option<Stored> = None;
        for subject in subjects {
            let next = Which::Next(self.cursor.seq + 1, subject);
            if let Some(stored) = stream.message(next, deadline).await?
                && first.as_ref().is_none_or(|first| stored.seq < first.seq)
            {
                first = Some(stored);
            }
        }
        if let Some(stored) = first {
            self.cursor = stored.cursor(self.cursor.incarnation);
            self.horizon = self.horizon.max(stored.seq);
            self.items.push(Item::Stored(self.cursor.incarnation, stored));
        }
        Ok(())
    }
}

impl Place {
    /// Reads on message by message, at most `max` of them; `true` if there is more up to `end`.
    pub(crate) async fn fetch(
        &mut self,
        stream: &Stream,
        subject: &str,
        end: u64,
        max: usize,
    ) -> Result<bool, Error> {
        while self.horizon < end {
            if self.items.len() >= max {
                return Ok(true);
            }
            let deadline = Instant::now() + REQUEST_TIMEOUT;
            let next = Which::Next(self.cursor.seq + 1, subject);
            match stream.message(next, deadline).await {
                // What was fetched is good.
                Err(_) if !self.items.is_empty() => return Ok(true),
                Err(reason) => return Err(reason),
                Ok(None) => self.horizon = end,
                Ok(Some(stored)) => {
                    self.cursor = stored.cursor(self.cursor.incarnation);
                    self.horizon = self.horizon.max(stored.seq);
                    self.items.push(Item::Stored(self.cursor.incarnation, stored));
                }
            }
        }
        Ok(false)
    }
}

/// Whether `cursor` is a place of the stream that `info` describes.
pub(crate) async fn belongs(
    stream: &Stream,
    cursor: Cursor,
    info: &Info,
    deadline: Instant,
) -> Result<bool, Error> {
    if cursor.incarnation != info.incarnation() || cursor.seq > info.state.last_seq {
        return Ok(false);
    }
    if cursor.check == 0 || cursor.seq < info.state.first_seq {
        return Ok(true);
    }
    match stream.message(Which::Seq(cursor.seq), deadline).await {
        Ok(Some(stored)) => Ok(check(stored.time_ns) == cursor.check),
        // Deleted since: it cannot be checked.
        Ok(None) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(true),
        Err(error) => Err(wrap(error, "check the cursor")),
    }
}

/// Nothing between `after` and `until` is left of what lay behind `cursor`.
pub(crate) fn gap(cursor: Cursor, after: u64, until: u64) -> Item {
    let check = if after == cursor.seq { cursor.check } else { 0 };
    Item::Gap {
        after: Cursor { seq: after, check, ..cursor },
        until: Cursor { seq: until, check: 0, ..cursor },
    }
}
