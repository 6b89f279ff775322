//! From where a caller wants to begin to a place in the stream.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::message::{Cursor, Start};
use crate::pull::{From, Pull};
use crate::stream::{Info, Stream};

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
    let subjects = [subject];
    match start {
        Start::New => Ok(at(info.state.last_seq)),
        Start::All => Ok(at(info.state.first_seq.saturating_sub(1))),
        Start::After(cursor) => Ok(cursor),
        Start::Time(time) => {
            let from = From::Time(unix_ns(time)?);
            let probed = Pull::probe(stream, from, &subjects, deadline).await;
            Ok(at(probed.map_err(|it| it.about(format!("find {time} in {}", stream.name)))?.before))
        }
        Start::Last(n) => {
            let search = Search { stream, subjects, deadline };
            Ok(at(search.last(n, before, info).await?.saturating_sub(1)))
        }
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

/// Looks for the n-th last message by asking consumers how much they would deliver.
struct Search<'a> {
    stream: &'a Arc<Stream>,
    subjects: [String; 1],
    deadline: Instant,
}

impl Search<'_> {
    /// The sequence at which the last `n` messages begin, those after `before` not counted.
    async fn last(&self, n: u64, before: Option<Cursor>, info: &Info) -> Result<u64, Error> {
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

    async fn from(&self, seq: u64) -> Result<u64, Error> {
        let probed = Pull::probe(self.stream, From::Seq(seq), &self.subjects, self.deadline).await;
        let name = &self.stream.name;
        Ok(probed
            .map_err(|it| it.about(format!("count the messages of {name} from {seq} on")))?
            .pending)
    }
}
