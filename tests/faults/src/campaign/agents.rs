//! What agents do: bursts of sends, readers of watches, and calls. Each is a task.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use libchat::{
    CallOptions, Cancel, Cursor, Error, ErrorKind, ExpectLast, HistoryOptions, Receipt,
    RequestOptions, RespondOptions, SendOptions, Start, WatchOptions,
};
use tokio::time::{sleep, timeout};

use crate::campaign::journal::{Called, Found, Place, Said, Sent, Summary, Watched, body};
use crate::campaign::schedule::{self, Burst, Call, Filter, Stop, Watch, Way};
use crate::campaign::world::{Live, Slot, World, thread};

/// No call takes longer, whatever its deadline: it hangs then.
pub(super) const HANGS: Duration = Duration::from_secs(45);
const REPEATS: usize = 4;

/// One after the other, or all at once.
pub(super) async fn burst(world: Arc<World>, plan: Burst) {
    let Some(live) = world.live(plan.agent) else { return };
    let number = world.number();
    let id = |n: usize| {
        let given = plan.repeat || plan.stop.is_some() || n.is_multiple_of(2);
        given.then(|| format!("{}-{number}-{n}", live.agent))
    };
    let Some(pause_ms) = plan.pause_ms else {
        join_all((0..plan.count).map(|n| send(&world, &live, &plan, id(n), None))).await;
        return;
    };
    let mut last = None;
    for n in 0..plan.count {
        let expect = match plan.way {
            Way::Conditional => Some(match last.take() {
                Some(cursor) => ExpectLast::At(cursor),
                None => newest(&live, plan.thread).await,
            }),
            Way::Ordered | Way::Unordered => None,
        };
        last = send(&world, &live, &plan, id(n), expect).await.and_then(|it| it.cursor);
        sleep(Duration::from_millis(pause_ms)).await;
    }
}

/// The thread's newest message as its reader knows it.
async fn newest(live: &Live, number: usize) -> ExpectLast {
    let start = Start::Last(1);
    let options = HistoryOptions { start, timeout: Duration::from_secs(2), ..Default::default() };
    let page = live.manager.history(thread(number).as_str(), options).await;
    let last = page.ok().and_then(|it| it.messages.last().map(|it| it.cursor));
    last.map_or(ExpectLast::Empty, ExpectLast::At)
}

async fn send(
    world: &World,
    live: &Live,
    plan: &Burst,
    id: Option<String>,
    expect: Option<ExpectLast>,
) -> Option<Receipt> {
    for repeat in 0..=REPEATS {
        let result = send_once(world, live, plan, id.clone(), expect).await?;
        match result {
            Ok(receipt) => return Some(receipt),
            Err(error) => {
                let unknown = error.kind() == ErrorKind::OutcomeUnknown;
                if !(unknown && plan.repeat) || repeat == REPEATS {
                    return None;
                }
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    None
}

/// `None`: the future was dropped.
async fn send_once(
    world: &World,
    live: &Live,
    plan: &Burst,
    id: Option<String>,
    expect: Option<ExpectLast>,
) -> Option<Result<Receipt, Error>> {
    let short = world.short(plan.thread);
    let cancel = Cancel::new();
    let deadline = Duration::from_millis(plan.timeout_ms);
    let options = SendOptions {
        id: id.clone(),
        unordered: plan.way == Way::Unordered,
        expect_last: expect,
        cancel: matches!(plan.stop, Some(Stop::CancelAfterUs(_))).then(|| cancel.clone()),
        timeout: deadline,
        ..Default::default()
    };
    let name = thread(plan.thread);
    let text = body(&short, plan.size);
    let mut call = Box::pin(live.manager.send(name.as_str(), text, options));
    let mut note = Some(Sent {
        life: live.number,
        id: id.unwrap_or_default(),
        short,
        size: plan.size,
        ordered: plan.way != Way::Unordered,
        expect: expect.map(place),
        curbed: plan.stop.is_some() || plan.timeout_ms < 5_000,
        foreign: false,
        begun: Instant::now(),
        ended: None,
        timeout: deadline,
        said: Said::Nothing,
    });
    // The journal's order is the order of the first polls, which is the one that is promised.
    let (at, first) = poll_fn(|context| {
        let mut journal = world.notes.lock();
        journal.sends.extend(note.take().map(|it| Sent { begun: Instant::now(), ..it }));
        Poll::Ready((journal.sends.len() - 1, call.as_mut().poll(context)))
    })
    .await;
    let rest = async {
        match first {
            Poll::Ready(result) => Some(result),
            Poll::Pending => finish(call.as_mut(), plan.stop, &cancel).await,
        }
    };
    let Ok(result) = timeout(HANGS, rest).await else {
        world.notes.find("a call hangs", format!("send of {}", live.agent));
        return None;
    };
    world.notes.lock().sends[at].end(result.as_ref());
    result
}

/// Waits for a send, or ends it as the plan says.
async fn finish(
    mut call: Pin<&mut impl Future<Output = Result<Receipt, Error>>>,
    stop: Option<Stop>,
    cancel: &Cancel,
) -> Option<Result<Receipt, Error>> {
    match stop {
        None => Some(call.await),
        Some(Stop::DropAfterUs(us)) => timeout(micros(us), call).await.ok(),
        Some(Stop::CancelAfterUs(us)) => match timeout(micros(us), call.as_mut()).await {
            Ok(result) => Some(result),
            Err(_) => {
                cancel.fire();
                Some(call.await)
            }
        },
    }
}

fn micros(us: u64) -> Duration {
    Duration::from_micros(us)
}

fn place(expect: ExpectLast) -> Option<Place> {
    match expect {
        ExpectLast::Empty => None,
        ExpectLast::At(cursor) => Some((cursor.incarnation, cursor.seq)),
    }
}

/// Opens a watch and reads it until its slot is closed.
pub(super) async fn watch(world: Arc<World>, plan: Watch, after: Option<Cursor>) {
    let Some(live) = world.live(plan.agent) else { return };
    let start = match (plan.start, after) {
        (_, Some(cursor)) => Start::After(cursor),
        (schedule::Start::New, None) => Start::New,
        (schedule::Start::Last(n), None) => Start::Last(n),
        (schedule::Start::All | schedule::Start::AfterThatOf(_), None) => Start::All,
    };
    let options = WatchOptions {
        start,
        skip_own: plan.skip_own,
        queue: plan.queue,
        timeout: Duration::from_millis(plan.timeout_ms),
        ..Default::default()
    };
    let short = match plan.filter {
        Filter::All | Filter::Any => None,
        Filter::Thread(number) | Filter::Short(number) => Some(world.short(number)),
    };
    let called = Instant::now();
    let opening = async {
        match plan.filter {
            Filter::All => live.manager.watch_all(options).await,
            Filter::Any => live.manager.watch_pattern(">", options).await,
            Filter::Thread(number) => live.manager.watch(thread(number).as_str(), options).await,
            Filter::Short(number) => {
                live.manager.watch_pattern(&world.short(number), options).await
            }
        }
    };
    let Ok(opened) = timeout(HANGS, opening).await else {
        return world.notes.find("a call hangs", format!("watch of {}", live.agent));
    };
    note(&world, &live, "watch", called, plan.timeout_ms, &opened, Found::Nothing);
    let Ok(watch) = opened else { return };
    let watched = Watched {
        life: live.number,
        filter: plan.filter,
        short,
        start: if after.is_none() { plan.start } else { schedule::Start::AfterThatOf(0) },
        after,
        skip: plan.skip_own.then(|| live.agent.clone()),
        called,
        returned: Instant::now(),
        first: watch.cursor(),
        events: Vec::new(),
        closed: None,
        over: None,
    };
    let (number, slot) = {
        let mut journal = world.notes.lock();
        journal.watches.push(watched);
        let number = journal.watches.len() - 1;
        (number, Arc::new(Slot::new(number, plan.clone(), watch)))
    };
    drop(live);
    world.put(plan.slot, slot.clone());
    read(&world, number, &slot, plan.pause_ms).await;
}

async fn read(world: &World, number: usize, slot: &Slot, pause_ms: u64) {
    loop {
        let event = tokio::select! {
            biased;
            () = slot.end.cancelled() => break,
            event = slot.watch.next_event() => event,
        };
        let at = Instant::now();
        match event {
            Ok(event) => world.notes.lock().watches[number].events.push((at, event)),
            Err(error) => {
                let mut journal = world.notes.lock();
                let asked = slot.is_asked();
                let watched = &mut journal.watches[number];
                watched.over = (!asked).then_some((at, error.kind()));
                watched.closed = Some(slot.watch.cursor());
                return;
            }
        }
        if pause_ms > 0 && !world.hurry.is_cancelled() {
            sleep(Duration::from_millis(pause_ms)).await;
        }
    }
    if !world.hurry.is_cancelled() {
        world.notes.lock().watches[number].closed = Some(slot.watch.cursor());
    }
    slot.watch.stop();
}

/// Notes how a call went.
fn note<T>(
    world: &World,
    live: &Live,
    what: &str,
    begun: Instant,
    timeout_ms: u64,
    result: &Result<T, Error>,
    found: Found,
) {
    let failed = result.as_ref().err().map(|it| (it.kind(), format!("{it:#}")));
    let timeout = Duration::from_millis(timeout_ms);
    let (life, what, ended) = (live.number, what.to_owned(), Instant::now());
    world.notes.lock().calls.push(Called { life, what, begun, ended, timeout, failed, found });
}

pub(super) async fn call(world: Arc<World>, agent: usize, call: Call, timeout_ms: u64) {
    let Some(live) = world.live(agent) else { return };
    let begun = Instant::now();
    let run = async {
        match call {
            Call::History { thread, limit } => {
                history(&world, &live, thread, limit, timeout_ms).await
            }
            Call::List => list(&live, timeout_ms).await,
            Call::ThreadsOf(of) => threads_of(&world, &live, of, timeout_ms).await,
            Call::Ask(of) => ask(&world, &live, of, timeout_ms).await,
            Call::Answer => answer(&world, &live, timeout_ms).await,
        }
    };
    let what = match call {
        Call::History { .. } => "history",
        Call::List => "list",
        Call::ThreadsOf(_) => "threads of",
        Call::Ask(_) => "ask",
        Call::Answer => "answer",
    };
    let Ok(result) = timeout(HANGS, run).await else {
        return world.notes.find("a call hangs", format!("{what} of {}", live.agent));
    };
    let (result, found) = match result {
        Ok(found) => (Ok(()), found),
        Err(error) => (Err(error), Found::Nothing),
    };
    note(&world, &live, what, begun, timeout_ms, &result, found);
}

/// All of a thread, page by page, within one timeout.
async fn history(
    world: &World,
    live: &Live,
    number: usize,
    limit: usize,
    timeout_ms: u64,
) -> Result<Found, Error> {
    let until = Instant::now() + Duration::from_millis(timeout_ms);
    let (mut start, mut messages) = (Start::All, Vec::new());
    loop {
        let timeout = until.saturating_duration_since(Instant::now());
        let options = HistoryOptions { start, limit, timeout, ..Default::default() };
        let page = live.manager.history(thread(number).as_str(), options).await?;
        messages.extend(page.messages.iter().map(|it| {
            let Cursor { incarnation, seq, .. } = it.cursor;
            ((incarnation, seq), it.id.clone())
        }));
        if !page.truncated {
            return Ok(Found::Thread { short: world.short(number), messages });
        }
        start = Start::After(page.next);
    }
}

async fn list(live: &Live, timeout_ms: u64) -> Result<Found, Error> {
    let options = CallOptions { timeout: Duration::from_millis(timeout_ms) };
    let threads = live.manager.list_threads(options).await?;
    let threads = threads.iter().map(|it| Summary {
        short: it.short.to_string(),
        count: it.message_count,
        place: (it.cursor.incarnation, it.cursor.seq),
        last: it.last.as_ref().map(|it| it.id.clone()),
    });
    Ok(Found::Threads(threads.collect()))
}

async fn threads_of(world: &World, live: &Live, of: usize, ms: u64) -> Result<Found, Error> {
    let options = CallOptions { timeout: Duration::from_millis(ms) };
    let agent = world.name(of);
    let threads = live.manager.threads_for_agent(&agent, 1_000, options).await?;
    let shorts = threads.iter().map(|it| it.short.to_string()).collect();
    Ok(Found::ThreadsOf { agent, shorts })
}

async fn ask(world: &World, live: &Live, of: usize, timeout_ms: u64) -> Result<Found, Error> {
    let timeout = Duration::from_millis(timeout_ms);
    let question = format!("question {}", world.number());
    let options = RequestOptions { timeout, ..Default::default() };
    let reply = live.manager.ask(&world.name(of), &question, options).await?;
    if reply.payload != question.as_bytes() {
        world.notes.find("another's answer", question);
    }
    Ok(Found::Nothing)
}

/// Repeats what it is asked, as long as the manager lives.
async fn answer(world: &World, live: &Live, timeout_ms: u64) -> Result<Found, Error> {
    let timeout = Duration::from_millis(timeout_ms);
    let options = RespondOptions { timeout, ..Default::default() };
    let responder = live.manager.answer(options).await?;
    world.readers.spawn(async move {
        while let Ok(request) = responder.next().await {
            let payload = request.payload().to_vec();
            // Where the server is away, the one who asks sees it.
            let _ = request.reply(payload).await;
        }
    });
    Ok(Found::Nothing)
}
