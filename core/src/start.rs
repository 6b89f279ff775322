//! From where a caller wants to begin to a place in the stream.

use std::collections::VecDeque;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::answer::CONSUMER_LIMIT;
use crate::api::Failure;
use crate::error::{Error, ErrorKind};
use crate::message::{Cursor, Start};
use crate::pull::{From, Pull};
use crate::stream::{Info, Stream, Which};

/// The place after which reading `subject` begins.
pub(crate) async fn place(
    stream: &Arc<Stream>,
    subject: String,
    start: Start,
    before: Option<Cursor>,
    info: &Info,
    deadline: Instant,
) -> Result<Cursor, Error> {
    let at = |seq| Cursor { incarnation: info.incarnation(), seq, check: 0 };
    let search = Search { stream, subjects: [subject], deadline };
    match start {
        Start::New => Ok(at(info.state.last_seq)),
        Start::All => Ok(at(info.state.first_seq.saturating_sub(1))),
        Start::After(cursor) => Ok(cursor),
        Start::Time(time) => Ok(at(search.time(time, info).await?)),
        Start::Last(n) => Ok(at(search.last(n, before, info).await?.saturating_sub(1))),
    }
}

fn unix_ns(time: OffsetDateTime) -> Result<i64, Error> {
    i64::try_from(time.unix_timestamp_nanos()).map_err(|_| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("start at {time}: beyond what the server can count"),
        )
    })
}

/// Looks for a place by asking consumers where they would begin and how much they would deliver; by
/// single messages where the server has no consumer to spare.
struct Search<'a> {
    stream: &'a Arc<Stream>,
    subjects: [String; 1],
    deadline: Instant,
}

impl Search<'_> {
    /// The sequence before the first message stored at or after `time`.
    async fn time(&self, time: OffsetDateTime, info: &Info) -> Result<u64, Error> {
        let ns = unix_ns(time)?;
        match Pull::probe(self.stream, From::Time(ns), &self.subjects, self.deadline).await {
            Ok(probed) => Ok(probed.before),
            Err(failure) if failure.is(CONSUMER_LIMIT) => self.time_by_messages(ns, info).await,
            Err(failure) => {
                Err(failure.about(format!("find {time} in stream {}", self.stream.name)))
            }
        }
    }

    async fn time_by_messages(&self, ns: i64, info: &Info) -> Result<u64, Error> {
        let all = self.stream.project.all_subjects();
        let (mut low, mut high) = (info.state.first_seq.saturating_sub(1), info.state.last_seq);
        // Everything up to `low` is older, everything behind `high` is not.
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.stream.message(Which::Next(middle + 1, &all), self.deadline).await?;
            match found {
                Some(stored) if stored.seq <= high && stored.time_ns < ns => low = stored.seq,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// The sequence at which the last `n` messages begin, those from `before` on not counted.
    async fn last(&self, n: u64, before: Option<Cursor>, info: &Info) -> Result<u64, Error> {
        match self.last_by_counts(n, before, info).await {
            Err(failure) if failure.is(CONSUMER_LIMIT) => {
                self.last_by_messages(n, before, info).await
            }
            result => result.map_err(|failure| {
                failure.about(format!("find the last {n} messages in stream {}", self.stream.name))
            }),
        }
    }

    async fn last_by_counts(
        &self,
        n: u64,
        before: Option<Cursor>,
        info: &Info,
    ) -> Result<u64, Failure> {
        let (first, end) = (info.state.first_seq.max(1), info.state.last_seq + 1);
        let after = match before {
            Some(cursor) => self.from(cursor.seq).await?,
            None => 0,
        };
        let wanted = n.saturating_add(after);
        if self.from(first).await? <= wanted {
            return Ok(first);
        }
        // From `low` on there are more than wanted, from `high` on fewer.
        let (mut low, mut high) = (first, end);
        let mut step = wanted;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let guess = end.saturating_sub(step).max(middle).min(high - 1);
            match self.from(guess).await? {
                found if found == wanted => return Ok(guess),
                found if found < wanted => high = guess,
                _ => low = guess,
            }
            step = step.saturating_mul(2);
        }
        Ok(high)
    }

    async fn from(&self, seq: u64) -> Result<u64, Failure> {
        Ok(Pull::probe(self.stream, From::Seq(seq), &self.subjects, self.deadline).await?.pending)
    }

    /// Goes through all of them, holding the last `n` places.
    async fn last_by_messages(
        &self,
        n: u64,
        before: Option<Cursor>,
        info: &Info,
    ) -> Result<u64, Error> {
        let end = before.map_or(info.state.last_seq + 1, |cursor| cursor.seq);
        let mut last = VecDeque::new();
        let mut seq = info.state.first_seq.max(1);
        loop {
            let next = Which::Next(seq, &self.subjects[0]);
            match self.stream.message(next, self.deadline).await? {
                Some(stored) if stored.seq < end => {
                    seq = stored.seq + 1;
                    last.push_back(stored.seq);
                    if last.len() as u64 > n {
                        last.pop_front();
                    }
                }
                Some(_) | None => return Ok(last.front().copied().unwrap_or(end)),
            }
        }
    }
}
