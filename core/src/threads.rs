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
use crate::message::{Message, Start, ThreadSummary};
use crate::name::{Short, Thread};
use crate::pull::{From, Pull, Pulled};
use crate::reader::PAST;
use crate::stored::{Parsed, Stored};
use crate::stream::{Counts, Stream, Which};

/// How far back to look for a well-formed message behind a malformed last one.
const STEPS_BACK: u64 = 33;
/// Requests under way for last messages that one consumer did not give.
const AT_ONCE: usize = 64;
/// Threads looked into at the same time, each by a consumer.
const LOOKS_AT_ONCE: usize = 8;

/// The threads, the most recently used first.
pub(crate) async fn list(
    stream: &Arc<Stream>,
    deadline: Instant,
) -> Result<Vec<ThreadSummary>, Error> {
    let Counts { incarnation, is_single, mut counts } = stream.counts(deadline).await?;
    counts.retain(|subject, _| short_of(stream, subject).is_some());
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    // A consumer may sit on a replica that lags; single messages are asked of the leader.
    let mut lasts = if is_single { lasts(stream, deadline).await? } else { HashMap::new() };
    fetch_missing(stream, &counts, &mut lasts, deadline).await?;
    let mut threads = Vec::with_capacity(counts.len());
    for (subject, message_count) in counts {
        let Some(short) = short_of(stream, &subject) else { continue };
        // Gone since it was counted.
        let Some(last) = lasts.remove(&subject) else { continue };
        let cursor = last.cursor(incarnation);
        let last = match last.parse(&stream.project, incarnation) {
            Parsed::Message(message) => Some(message),
            Parsed::Malformed(_) => None,
        };
        threads.push(ThreadSummary { name: None, short, message_count, last, cursor });
    }
    step_back(stream, &mut threads, deadline).await?;
    for thread in &mut threads {
        thread.name = thread.last.as_ref().and_then(|message| message.thread.clone());
    }
    Ok(newest_first(threads))
}

fn short_of(stream: &Stream, subject: &str) -> Option<Short> {
    stream.project.subject_rest(subject)?.parse().ok()
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
            Ok(Pulled::Message { stored, pending, .. }) => {
                let seq = stored.seq;
                // What is no thread's is not held: it may be much.
                if stored.short(&stream.project).is_some() {
                    lasts.insert(stored.subject.clone(), stored);
                }
                if pending == 0 || seq >= end {
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

/// Looks for the last message of the threads that end in something else.
async fn step_back(
    stream: &Arc<Stream>,
    threads: &mut [ThreadSummary],
    deadline: Instant,
) -> Result<(), Error> {
    // There may be many: whoever may send can make them.
    let wanted = threads.iter().enumerate().filter(|(_, it)| it.last.is_none());
    let looks: Vec<_> = wanted
        .map(|(at, it)| (at, last_message(stream.clone(), it.short, it.message_count, deadline)))
        .map(|(at, look)| async move { (at, look.await) })
        .collect();
    let mut found = futures_util::stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
    while let Some((at, last)) = found.next().await {
        if let Some(thread) = threads.get_mut(at) {
            thread.last = last?;
        }
    }
    Ok(())
}

async fn last_message(
    stream: Arc<Stream>,
    short: Short,
    message_count: u64,
    deadline: Instant,
) -> Result<Option<Arc<Message>>, Error> {
    let filter = Filter::Thread(Thread { name: None, short });
    // Where a number of messages begins takes several requests.
    let start = if message_count <= STEPS_BACK { Start::All } else { Start::Last(STEPS_BACK) };
    let options = HistoryOptions { start, ..HistoryOptions::default() };
    Ok(history(&stream, &filter, &options, deadline).await?.messages.pop())
}

fn newest_first(mut threads: Vec<ThreadSummary>) -> Vec<ThreadSummary> {
    threads.sort_by_key(|it| Reverse(it.cursor.seq));
    threads
}
