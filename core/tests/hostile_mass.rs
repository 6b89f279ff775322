//! Sheer mass from hostile peers: what it costs is bounded, and nothing of it is lost or hides what
//! honest agents wrote. One at a time, since memory is the process's.

mod common;

use std::time::Duration;

use common::*;
use libchat::{CallOptions, ConnectOptions, OpenOptions, Start, WatchOptions};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().await
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = pages.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("pages");
    pages * 4096
}

/// The most that `resident` grows while `work` runs.
async fn growth<T>(work: impl Future<Output = T>) -> (T, usize) {
    let before = resident();
    let mut most = before;
    tokio::pin!(work);
    loop {
        let tick = tokio::time::timeout(Duration::from_millis(5), &mut work);
        let done = tick.await;
        most = most.max(resident());
        if let Ok(done) = done {
            return (done, most - before);
        }
    }
}

/// Publishes all of them by one plain client, and waits until they are stored.
async fn store_all(server: &TestServer, messages: impl Iterator<Item = (String, String)>) {
    let client = server.client().await;
    let mut count = server.stored().await;
    for (subject, payload) in messages {
        client.publish(subject, payload.into()).await.expect("published");
        count += 1;
    }
    client.flush().await.expect("written");
    eventually("all are stored", || async { server.stored().await >= count }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_bodies_to_a_slow_reader_stay_within_the_bound() {
    const BODY: usize = 7 << 20;
    const MESSAGES: usize = 40;
    const BUDGET: usize = 16 << 20;
    let _alone = alone().await;
    let server = TestServer::with_config("max_payload: 8MB");
    let ben = server.open("ben").await;
    let options = ConnectOptions { buffer_bytes: BUDGET, ..server.server().connect_options() };
    let connection = libchat::connect(options).await.expect("connects");
    let ana = connection.open("demo", "ana", OpenOptions::default()).await.expect("opens");
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let body = "x".repeat(BODY);
    let ((), grown) = growth(async {
        for n in 0..MESSAGES {
            send(&ben, "plan", &format!("{n} {body}")).await;
        }
        let past = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
        for watch in [&live, &past] {
            for n in 0..MESSAGES {
                let message = next(watch).await;
                assert!(message.body.starts_with(&format!("{n} ")) && message.body.len() > BODY);
                assert!(ana.stats().buffered_bytes <= (BUDGET + 3 * (BODY + 10_000)) as u64);
            }
        }
    })
    .await;
    figure(format!("{MESSAGES} bodies of {} MB: {} MB grown", BODY >> 20, grown >> 20));
    // What is queued, one read ahead by each, what the network holds of each, and the sender's.
    assert!(grown < BUDGET + 20 * BODY, "{} MB grown", grown >> 20);
}

/// A header field costs more in memory than on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_very_many_fields_is_bounded_too() {
    /// The server takes 64 KiB of header.
    const FIELDS: usize = 13_000;
    let _alone = alone().await;
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let block = format!("NATS/1.0\r\n{}\r\n", "A:b\r\n".repeat(FIELDS));
    let ((), grown) = growth(async {
        for n in 0..20 {
            let envelope = json!({"id": "1", "from": "eve", "body": n.to_string()});
            server.store_raw(&subject("plan"), block.as_bytes(), &envelope.to_string());
        }
        for n in 0..20 {
            let message = next(&watch).await;
            assert_eq!(
                (message.body.as_str(), message.headers.iter().len()),
                (&*n.to_string(), FIELDS)
            );
            assert!(ana.stats().buffered_bytes < (8 << 20) + (20 << 20), "{:?}", ana.stats());
        }
    })
    .await;
    figure(format!("20 blocks of {FIELDS} fields: {} MB grown", grown >> 20));
    assert!(grown < 200 << 20, "{} MB grown", grown >> 20);
}

/// More than one page of the server's answer, when it is long.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_threads_are_listed() {
    let count = if long() { 100_001 } else { 10_001 };
    let _alone = alone().await;
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send(&ana, "honest", "first").await;
    let envelope = json!({"id": "1", "from": "eve", "body": "x".repeat(300)}).to_string();
    let threads = (1..count).map(|n| (format!("chat.demo.{n:08x}"), envelope.clone()));
    store_all(&server, threads).await;
    let call = || CallOptions { timeout: Duration::from_secs(60) };
    let (threads, grown) = growth(within("list", ana.list_threads(call()))).await;
    let threads = threads.expect("lists");
    assert_eq!(threads.len(), count);
    assert_eq!(threads[count - 1].name.as_deref(), Some("honest"));
    assert!(threads.iter().all(|it| it.message_count == 1 && it.last.is_some()));
    let each = grown / count;
    figure(format!("{count} threads: {each} bytes grown for each"));
    assert!(each < 6_000, "{each} bytes for each thread");
    let mine = within("scan", ana.threads_for_agent("ana", 9, call())).await.expect("scans");
    assert_eq!(mine.len(), 1);
}

/// Subjects that are no thread's are no threads, however many: their bodies are not held.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_under_no_threads_subject_costs_a_list_nothing() {
    const STRAY: usize = 1_000;
    const BODY: usize = 100_000;
    let _alone = alone().await;
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send(&ana, "honest", "first").await;
    let body = "x".repeat(BODY);
    store_all(&server, (0..STRAY).map(|n| (format!("chat.demo.stray-{n}"), body.clone()))).await;
    let (threads, grown) = growth(within("list", ana.list_threads(Default::default()))).await;
    assert_eq!(threads.expect("lists").len(), 1);
    figure(format!("{STRAY} strays of {BODY} bytes: {} MB grown", grown >> 20));
    assert!(grown < STRAY * BODY / 2, "{} MB grown", grown >> 20);
}

/// Each thread whose last payload is no envelope is looked into: one peer made every list fail for
/// everybody with some thousand of them.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_threads_that_end_in_rubbish_are_listed() {
    let count = if long() { 10_000 } else { 3_000 };
    let _alone = alone().await;
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let good = json!({"id": "1", "from": "ben", "body": "good"}).to_string();
    let threads = (0..count).flat_map(|n| {
        let subject = format!("chat.demo.{n:08x}");
        let mut payloads = vec!["rubbish".to_owned(); 1 + n % 3];
        if n % 2 == 0 {
            payloads.insert(0, good.clone());
        }
        payloads.into_iter().map(move |payload| (subject.clone(), payload))
    });
    store_all(&server, threads).await;
    let begun = std::time::Instant::now();
    let threads = within("list", ana.list_threads(Default::default())).await.expect("lists");
    figure(format!("{count} threads that end in rubbish: {:?}", begun.elapsed()));
    assert_eq!(threads.len(), count);
    assert_eq!(threads.iter().filter(|it| it.last.is_some()).count(), count / 2);
}
