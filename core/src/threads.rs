//! All threads of a project, without reading all messages.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::answer::CONSUMER_LIMIT;
use crate::config::HistoryOptions;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::history::history;
use crate::message::{Start, ThreadSummary};
use crate::name::{Short, Thread};
use crate::pull::{From, Pull, Pulled};
use crate::reader::PAST;
use crate::stored::{Parsed, Stored};
use crate::stream::{Counts, Stream, Which};

/// How far back to look for a well-formed message behind a malformed last one.
const STEPS_BACK: u64 = 33;
/// Requests under way for last messages that one consumer did not give.
const AT_ONCE: usize = 64;

/// The threads, the most recently used first.
pub(crate) async fn list(
    stream: &Arc<Stream>,
    deadline: Instant,
) -> Result<Vec<ThreadSummary>, Error> {
    let Counts { incarnation, is_single, counts } = stream.counts(deadline).await?;
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    // A consumer may sit on a replica that lags; single messages are asked of the leader.
    let mut lasts = if is_single { lasts(stream, deadline).await? } else { HashMap::new() };
    fetch_missing(stream, &counts, &mut lasts, deadline).await?;
    let mut threads = Vec::with_capacity(counts.len());
    for (subject, message_count) in counts {
        let rest = stream.project.subject_rest(&subject).unwrap_or_default();
        let Ok(short) = rest.parse::<Short>() else { continue };
        // Gone since it was counted.
        let Some(last) = lasts.remove(&subject) else { continue };
        let cursor = last.cursor(incarnation);
        let last = match last.parse(&stream.project, incarnation) {
            Parsed::Message(message) => Some(message),
            Parsed::Malformed(_) => step_back(stream, short, deadline).await?,
        };
        let name = last.as_ref().and_then(|message| message.thread.clone());
        threads.push(ThreadSummary { name, short, message_count, last, cursor });
    }
    Ok(newest_first(threads))
}

/// Asks for each last message that is not there: replaced while they were read, or all of them
/// where they could not be read at once.
async fn fetch_missing(
    stream: &Arc<Stream>,
    counts: &HashMap<String, u64>,
    lasts: &mut HashMap<String, Stored>,
    deadline: Instant,
) -> Result<(), Error> {
    let missing = counts.keys().filter(|it| !lasts.contains_key(*it)).cloned();
    let missing: Vec<String> = missing.collect();
    let fetches = missing.into_iter().map(|it| last_of(stream.clone(), it, deadline));
    let mut fetched = futures_util::stream::iter(fetches).buffer_unordered(AT_ONCE);
    let mut found = Vec::new();
    while let Some(last) = fetched.next().await {
        found.extend(last?);
    }
    lasts.extend(found.into_iter().map(|last| (last.subject.clone(), last)));
    Ok(())
}

// Owns what it needs: rustc cannot tell that a future is Send which borrows in a closure.
async fn last_of(
    stream: Arc<Stream>,
    subject: String,
    deadline: Instant,
) -> Result<Option<Stored>, Error> {
    stream.message(Which::LastOf(&subject), deadline).await
}

/// The last message under each subject, as many as one consumer gives.
async fn lasts(stream: &Arc<Stream>, deadline: Instant) -> Result<HashMap<String, Stored>, Error> {
    let subjects = [stream.project.all_subjects()];
    let what = || format!("read the last messages of {}", stream.name);
    let mut pull =
        match Pull::create(stream, From::LastOfEachSubject, &subjects, PAST, deadline).await {
            Ok(pull) => pull,
            // One request a thread, then.
            Err(failure) if failure.is(CONSUMER_LIMIT) => return Ok(HashMap::new()),
            Err(failure) => return Err(failure.about(what())),
        };
    let mut lasts = HashMap::new();
    if pull.pending == 0 {
        return Ok(lasts);
    }
    // Asked for after the consumer was made: every last message it holds is at or before this.
    let end = stream.info(deadline).await?.state.last_seq;
    loop {
        match timeout_at(deadline, pull.next()).await {
            Ok(Pulled::Message(stored, delivery)) => {
                let seq = stored.seq;
                lasts.insert(stored.subject.clone(), stored);
                if delivery.pending == 0 || seq >= end {
                    return Ok(lasts);
                }
            }
            // What was still to come has been removed meanwhile.
            Ok(Pulled::Idle) => return Ok(lasts),
            Ok(Pulled::Fault(cause)) => {
                tracing::debug!(%cause, "the last messages are asked for one by one");
                return Ok(lasts);
            }
            Err(_) => return Err(Error::new(ErrorKind::Timeout, format!("{} in time", what()))),
        }
    }
}

async fn step_back(
    stream: &Arc<Stream>,
    short: Short,
    deadline: Instant,
) -> Result<Option<Arc<crate::message::Message>>, Error> {
    let filter = Filter::Thread(Thread { name: None, short });
    let options = HistoryOptions { start: Start::Last(STEPS_BACK), ..HistoryOptions::default() };
    Ok(history(stream, &filter, &options, deadline).await?.messages.pop())
}

fn newest_first(mut threads: Vec<ThreadSummary>) -> Vec<ThreadSummary> {
    threads.sort_by_key(|it| Reverse(it.cursor.seq));
    threads
}
