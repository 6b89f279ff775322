//! The agent in Rust: one manager of libchat, and a line for all that happens (README.md).

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Subcommand;
use futures_util::future::join_all;
use libchat::{
    CallOptions, Connection, Error, ErrorKind, Event, HistoryOptions, Manager, Message,
    OpenOptions, RequestOptions, RespondOptions, SendOptions, Start, Watch, WatchOptions,
};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

#[derive(Subcommand)]
pub(crate) enum Role {
    /// Send numbers to some threads, side by side.
    Send(Send),
    /// Watch a thread, or `*`.
    Watch {
        name: String,
        thread: String,
        pause_ms: u64,
        queue: usize,
        /// `new`, `all` or a cursor.
        start: String,
    },
    /// Repeat one call: open, list, history, agent or request.
    Call { name: String, verb: String, pause_ms: u64 },
}

#[derive(clap::Args)]
pub(crate) struct Send {
    name: String,
    prefix: String,
    threads: usize,
    /// In each thread; 0: until the end.
    count: u64,
    pause_ms: u64,
    /// Letters in the body behind the number.
    size: usize,
    /// 1: repeat what has an unknown outcome.
    repeat: u8,
    first: u64,
}

fn tell(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    // The harness has gone: so do we, when our input ends.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

macro_rules! tell {
    ($($text:tt)*) => { tell(format_args!($($text)*)) };
}

fn code(error: &Error) -> String {
    error.kind().code().to_uppercase()
}

fn millis(since: Instant) -> u128 {
    since.elapsed().as_millis()
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Cancelled when standard input ends.
fn input_end() -> CancellationToken {
    let end = CancellationToken::new();
    let ended = end.clone().drop_guard();
    tokio::spawn(async move {
        let mut rest = Vec::new();
        // An input that cannot be read has ended, too.
        let _ = tokio::io::stdin().read_to_end(&mut rest).await;
        drop(ended);
    });
    end
}

/// Of this process, all told.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn tell_tasks() {
    loop {
        pause(5_000).await;
        tell!("tasks {}", tasks());
    }
}

/// Runs until standard input ends.
pub(crate) async fn run(role: Role) {
    let end = input_end();
    let name = match &role {
        Role::Send(send) => &send.name,
        Role::Watch { name, .. } | Role::Call { name, .. } => name,
    };
    let begun = Instant::now();
    let opened = end.run_until_cancelled(open(name)).await;
    let Some((connection, manager)) = opened else { return tell!("end") };
    let tasks_told = tokio::spawn(tell_tasks());
    let play = async {
        match &role {
            Role::Send(send) => {
                tell!("ready {}", millis(begun));
                join_all((0..send.threads).map(|k| flow(&manager, send, k))).await;
            }
            Role::Watch { thread, pause_ms, queue, start, .. } => {
                watch(&manager, thread, *pause_ms, *queue, start, begun).await;
            }
            Role::Call { verb, pause_ms, .. } => {
                tell!("ready {}", millis(begun));
                calls(&connection, &manager, verb, *pause_ms).await;
            }
        }
        end.cancelled().await;
    };
    end.run_until_cancelled(play).await;
    tasks_told.abort();
    let stats = manager.stats();
    connection.close().await;
    tell!(
        "stats sent={} resent={} duplicates={} delivered={} gaps={} resets={} detaches={} \
         reopens={} reconnects={} tasks={}",
        stats.sent,
        stats.resent,
        stats.duplicates,
        stats.delivered,
        stats.gaps,
        stats.resets,
        stats.detaches,
        stats.reopens,
        stats.reconnects,
        tasks()
    );
    tell!("end");
}

async fn open(name: &str) -> (Connection, Manager) {
    loop {
        let begun = Instant::now();
        let opened = async {
            let connection = libchat::connect(Default::default()).await?;
            let manager = connection.open("demo", name, OpenOptions::default()).await?;
            Ok::<_, Error>((connection, manager))
        };
        match opened.await {
            Ok(opened) => return opened,
            Err(error) => tell!("err open 0 {} {}", code(&error), millis(begun)),
        }
        pause(100).await;
    }
}

/// One thread's numbers, one after the other.
async fn flow(manager: &Manager, send: &Send, k: usize) {
    let thread = format!("{}{k}", send.prefix);
    let letters = if send.size > 0 { format!(" {}", "x".repeat(send.size)) } else { String::new() };
    let mut n = send.first;
    while send.count == 0 || n < send.first + send.count {
        let body = format!("{n}{letters}");
        let id = format!("{}-{thread}-{n}", send.name);
        let repeats = if send.repeat == 1 { 5 } else { 0 };
        for repeat in 0..=repeats {
            tell!("try {thread} {n}");
            let begun = Instant::now();
            let options = SendOptions { id: Some(id.clone()), ..Default::default() };
            match manager.send(thread.as_str(), &body, options).await {
                Ok(receipt) => {
                    let seq = receipt.cursor.map_or(0, |it| it.seq);
                    let duplicate = u8::from(receipt.duplicate);
                    tell!("ok {thread} {n} {seq} {duplicate} {}", millis(begun));
                }
                Err(error) => {
                    tell!("err {thread} {n} {} {}", code(&error), millis(begun));
                    if error.kind() == ErrorKind::OutcomeUnknown && repeat < repeats {
                        continue;
                    }
                    pause(100).await;
                }
            }
            break;
        }
        pause(send.pause_ms).await;
        n += 1;
    }
}

async fn watch(
    manager: &Manager,
    thread: &str,
    pause_ms: u64,
    queue: usize,
    start: &str,
    begun: Instant,
) {
    let start = match start {
        "new" => Start::New,
        "all" => Start::All,
        cursor => Start::After(cursor.parse().expect("new, all or a cursor")),
    };
    let options = || WatchOptions { queue, ..WatchOptions::from(start) };
    let set_up = loop {
        let watch: Result<Watch, Error> = match thread {
            "*" => manager.watch_all(options()).await,
            name => manager.watch(name, options()).await,
        };
        match watch {
            Ok(watch) => break watch,
            Err(error) => tell!("err watch 0 {} {}", code(&error), millis(begun)),
        }
        pause(100).await;
    };
    tell!("ready {}", millis(begun));
    loop {
        match set_up.next_event().await {
            Ok(Event::Message(message)) => {
                got(&message);
                pause(pause_ms).await;
            }
            Ok(Event::CaughtUp { .. }) => tell!("caughtup"),
            Ok(Event::Gap { after, until }) => tell!("gap {} {}", after.seq, until.seq),
            Ok(Event::Reset { .. }) => tell!("reset"),
            Ok(Event::Malformed { cursor }) => tell!("malformed {}", cursor.seq),
            Ok(Event::Stalled { .. }) => tell!("stalled"),
            Ok(Event::Resumed) => tell!("resumed"),
            Ok(other) => tell!("unknown {other:?}"),
            Err(error) => return tell!("over {}", code(&error)),
        }
    }
}

fn got(message: &Message) {
    let Message { thread, sender, cursor, id, body, .. } = message;
    let (thread, n) = (thread.as_deref().unwrap_or("-"), body.split(' ').next().unwrap_or("-"));
    tell!("got {thread} {n} {sender} {} {cursor} {id}", cursor.seq);
}

async fn calls(connection: &Connection, manager: &Manager, verb: &str, pause_ms: u64) {
    let subject = format!("jobs.{}", manager.agent());
    if verb == "request" {
        let responder = manager.respond(&subject, RespondOptions::default()).await;
        let responder = responder.expect("listens");
        tokio::spawn(async move {
            while let Ok(request) = responder.next().await {
                let payload = request.payload().to_vec();
                // Where the server is away, the requester sees it.
                let _ = request.reply(payload).await;
            }
        });
    }
    loop {
        tell!("begin {verb}");
        let begun = Instant::now();
        let (code, count) = match call(connection, manager, verb, &subject).await {
            Ok(count) => ("OK".to_owned(), count),
            Err(error) => (code(&error), 0),
        };
        tell!("did {verb} {code} {} {count}", millis(begun));
        pause(pause_ms).await;
    }
}

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

async fn call(
    connection: &Connection,
    manager: &Manager,
    verb: &str,
    subject: &str,
) -> Result<u64, Error> {
    let timeout = CALL_TIMEOUT;
    match verb {
        "open" => {
            let options = OpenOptions { timeout, ..Default::default() };
            connection.open("demo", "visitor", options).await?.close().await;
            Ok(0)
        }
        "list" => {
            let threads = manager.list_threads(CallOptions { timeout }).await?;
            Ok(threads.iter().map(|it| it.message_count).sum())
        }
        "agent" => {
            let options = CallOptions { timeout };
            let threads = manager.threads_for_agent("ben", 10_000, options).await?;
            Ok(threads.len() as u64)
        }
        "request" => {
            let options = RequestOptions { timeout, ..Default::default() };
            let reply = manager.request(subject, "ping", options).await?;
            Ok(u64::from(reply.payload == b"ping"))
        }
        _ => history(manager).await,
    }
}

/// All of `t0`, page by page, within one timeout.
async fn history(manager: &Manager) -> Result<u64, Error> {
    let (begun, mut start, mut count) = (Instant::now(), Start::All, 0);
    loop {
        let timeout = CALL_TIMEOUT.saturating_sub(begun.elapsed());
        let options = HistoryOptions { start, timeout, ..Default::default() };
        let page = manager.history("t0", options).await?;
        count += page.messages.len() as u64;
        if !page.truncated {
            return Ok(count);
        }
        start = Start::After(page.next);
    }
}
