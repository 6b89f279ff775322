//! The threads an agent has written in.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::epoch::Item;
use crate::error::{Error, ErrorKind};
use crate::message::{Cursor, ThreadSummary};
use crate::name::Short;
use crate::reader::{PAST, Reader};
use crate::stored::{Parsed, Stored};
use crate::stream::Stream;
use crate::threads;

/// The newest `max_threads` of them. Reads every message once; holds only the threads found.
pub(crate) async fn threads_for_agent(
    stream: &Arc<Stream>,
    agent: &str,
    max_threads: usize,
    deadline: Instant,
) -> Result<Vec<ThreadSummary>, Error> {
    if max_threads == 0 {
        return Ok(Vec::new());
    }
    let written_in = scan(stream, agent, deadline).await?;
    let mut threads = threads::list(stream, deadline).await?;
    threads.retain(|thread| written_in.contains(&thread.short));
    threads.truncate(max_threads);
    Ok(threads)
}

async fn scan(
    stream: &Arc<Stream>,
    agent: &str,
    deadline: Instant,
) -> Result<HashSet<Short>, Error> {
    let info = stream.info(deadline).await?;
    let (first, end) = (info.state.first_seq, info.state.last_seq);
    let from = Cursor { incarnation: info.incarnation(), seq: first.saturating_sub(1), check: 0 };
    let mut found = HashSet::new();
    if from.seq >= end {
        return Ok(found);
    }
    let mut reader = Reader::new(stream.clone(), Vec::new(), from, PAST);
    reader.set_goal(end);
    let mut items = reader.open(deadline).await?;
    loop {
        for item in items {
            match item {
                Item::Stored(incarnation, stored) => {
                    found.extend(thread_of(stream, stored, agent, incarnation, &found));
                }
                Item::Reset(_) => {
                    let text = format!("stream {} was made anew while it was read", stream.name);
                    return Err(Error::new(ErrorKind::Conflict, text).hint("ask again"));
                }
                // What is gone is in no list any more.
                Item::Gap { .. } => {}
            }
        }
        if reader.horizon() >= end {
            return Ok(found);
        }
        if let Some(error) = reader.health.refused() {
            return Err(error.clone());
        }
        items = timeout_at(deadline, reader.next()).await.map_err(|_| {
            let text = format!("read stream {} in time: came to {}", stream.name, reader.cursor());
            Error::new(ErrorKind::Timeout, text).hint("give it more time")
        })?;
    }
}

fn thread_of(
    stream: &Stream,
    stored: Stored,
    agent: &str,
    incarnation: u64,
    known: &HashSet<Short>,
) -> Option<Short> {
    let short = stored.short(&stream.project)?;
    if known.contains(&short) {
        return None;
    }
    match stored.parse(&stream.project, incarnation) {
        Parsed::Message(message) => (message.sender == agent).then_some(short),
        Parsed::Malformed(_) => None,
    }
}
