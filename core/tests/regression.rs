//! Faults that were found, one test each.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::proxy::{Fate, Proxy};
use common::*;
use libchat::{HistoryOptions, OpenOptions, Retention, SendOptions, Start, WatchOptions};
use serde_json::json;

/// A header block that async-nats refuses, as any other client may store.
const UNREADABLE: &[u8] = b"NATS/1.0\r\nBad Name\xff: x\r\n\r\n";

/// async-nats 0.51 drops the whole connection over a header it cannot read, at each delivery anew:
/// one such message stopped every watch of the project for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_unreadable_headers_stops_nobody() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let bad = json!({"id": "1", "from": "eve", "thread": short.as_str(), "body": "bad headers",
        "timestamp": "2026-01-02T03:04:05Z"});
    send(&ben, "plan", "before").await;
    assert_eq!(events(&live, 2).await, ["caught up", "message before"]);
    server.store_raw(&format!("chat.demo.{short}"), UNREADABLE, &bad.to_string());
    send(&ben, "plan", "after").await;
    assert_eq!(events(&live, 2).await, ["message bad headers", "message after"]);
    let past = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    let all = ["message before", "message bad headers", "message after", "caught up"];
    assert_eq!(events(&past, 4).await, all);
    let page = ana.history("plan", Default::default()).await.expect("history");
    assert_eq!(page.messages.len(), 3);
    server.store_raw(&format!("chat.demo.{short}"), UNREADABLE, &bad.to_string());
    let threads = ana.list_threads(Default::default()).await.expect("lists");
    assert_eq!((threads.len(), threads[0].message_count), (1, 4));
    assert!(ana.stats().reconnects > 0, "the fault was not hit: {:?}", ana.stats());
}

/// What an async-nats client has queued is sent when it reconnects, however late: after the server
/// had forgotten the ids, a message that its caller had sent again was stored twice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_queued_is_sent_after_a_long_outage() {
    let mut server = TestServer::start();
    let age = Retention::MaxAge(Duration::from_secs(3600));
    let ana = server.open_with("ana", OpenOptions { retention: age, ..Default::default() }).await;
    let brief =
        json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "duplicate_window": 400_000_000});
    assert!(server.api("STREAM.UPDATE.chat-demo", brief).await["error"].is_null());
    drop(ana);
    let ana = server.open("ana").await;
    send(&ana, "plan", "0").await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let tasks = metrics.num_alive_tasks();
    server.signal("STOP");
    let options = |id: &str| SendOptions {
        id: Some(id.to_owned()),
        timeout: Duration::from_millis(200),
        ..Default::default()
    };
    // Handed to a client that cannot write: the server is frozen, then gone.
    let pad = "x".repeat(500_000);
    let sends = (0..40).map(|n| {
        let options = SendOptions { unordered: true, ..options(&format!("b{n}")) };
        ana.send("bulk", format!("{n}{pad}"), options)
    });
    let results = futures_util::future::join_all(sends).await;
    assert!(results.iter().any(|it| it.is_err()));
    server.kill();
    eventually("the outage is noticed", || async { !ana.stats().connected }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.restart();
    send(&ana, "plan", "1").await;
    let stored = results.iter().filter(|it| it.is_ok()).count();
    let bulk = ana.history("bulk", Default::default()).await.expect("history");
    assert_eq!(bulk.messages.len(), stored, "the server was frozen until it was killed");
    eventually("the old client's tasks end", || async { metrics.num_alive_tasks() <= tasks }).await;
}

/// A request for messages whose bytes one of them fills to the last is over without a word from the
/// server. What it had not used of its number of messages was awaited for ever, so nothing more was
/// asked for, and only 2.5 s of silence made a new consumer.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_filled_to_the_last_byte_is_followed_by_another() {
    /// Bytes asked for at once by whoever reads the past.
    const AT_ONCE: usize = 1 << 20;
    let server = TestServer::start();
    let (tell, told) = mpsc::channel();
    let proxy = Proxy::start(&server, move |frame| {
        let what = match frame {
            it if it.is_delivery() => it.size().to_string(),
            it if it.ends_a_request() => "the server ends a request".to_owned(),
            it if it.says("consumer_create_response") => "a consumer is made".to_owned(),
            _ => return Fate::Pass,
        };
        // The test may have ended.
        let _ = tell.send(what);
        Fate::Pass
    });
    let ana = proxy.await.open("ana").await;
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let subject = format!("chat.demo.{short}");
    let payload = |n: usize, zeros: usize| {
        let body = "0".repeat(zeros) + &n.to_string();
        json!({"id": "1", "from": "ben", "thread": short.as_str(), "body": body,
            "timestamp": "2026-01-02T03:04:05Z"})
        .to_string()
    };
    server.store(&subject, payload(0, 0).as_bytes()).await;
    let first = ana.history("plan", HistoryOptions::default()).await.expect("history");
    let size: usize = told.try_iter().filter_map(|it| it.parse::<usize>().ok()).sum();
    // No number in a delivery's reply has more than one digit, so all have the same overhead.
    for n in 1..9 {
        server.store(&subject, payload(n, AT_ONCE - size).as_bytes()).await;
    }
    let options = HistoryOptions { start: Start::After(first.next), ..Default::default() };
    let page = ana.history("plan", options).await.expect("history");
    let read: Vec<usize> =
        page.messages.iter().map(|it| it.body.parse().expect("a number")).collect();
    assert_eq!(read, (1..9).collect::<Vec<_>>());
    let mut expected = vec!["a consumer is made".to_owned()];
    expected.extend((1..9).map(|_| AT_ONCE.to_string()));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
}

/// Only what a manager itself had sent told it that the stream was another one: a receipt from one
/// that had not sent yet named the stream before, where the place may be another message's.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_receipt_names_todays_stream() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    send(&ben, "plan", "before").await;
    let ana = server.open("ana").await;
    server.remake_stream().await;
    let receipt = ana.send("plan", "after", SendOptions::default()).await.expect("stored");
    let page = ben.history("plan", Default::default()).await.expect("history");
    let place = page.messages[0].cursor;
    let said = receipt.cursor.expect("may look");
    assert_eq!((said.incarnation, said.seq), (place.incarnation, place.seq));
}

/// After a reconnect one send asks for the stream's standing, for all: those behind it waited as
/// long as that one might, whatever their own deadlines.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_waits_for_anothers_question_keeps_its_deadline() {
    let server = TestServer::start();
    let mut is_cut = false;
    let questions = Arc::new(AtomicUsize::new(0));
    let lost = questions.clone();
    let proxy = Proxy::start(&server, move |frame| {
        if frame.is_ack() && !std::mem::replace(&mut is_cut, true) {
            return Fate::Cut;
        }
        if is_cut && frame.says("stream_info") {
            lost.fetch_add(1, Relaxed);
            return Fate::Lose;
        }
        Fate::Pass
    });
    let ana = Arc::new(proxy.await.open("ana").await);
    let patient = tokio::spawn({
        let ana = ana.clone();
        async move { ana.send("plan", "patient", SendOptions::default()).await }
    });
    eventually("the first has asked", || async { questions.load(Relaxed) > 0 }).await;
    let timeout = Duration::from_millis(200);
    let begun = std::time::Instant::now();
    let options = SendOptions { timeout, ..Default::default() };
    let error = ana.send("other", "brief", options).await.expect_err("nobody answers");
    assert_eq!(error.kind(), libchat::ErrorKind::Timeout, "{error:?}");
    assert!(begun.elapsed() < timeout + Duration::from_secs(1), "after {:?}", begun.elapsed());
    patient.abort();
}

/// After a change of leaders the new one answered for a moment as if it had not stored yet what a
/// replica had already delivered: that was told as a reset, and everything a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_lags_for_a_moment_is_no_reset() {
    let server = TestServer::start();
    let lagging = Arc::new(AtomicUsize::new(0));
    let left = lagging.clone();
    let proxy = Proxy::start(&server, move |frame| {
        let Some(info) = frame.text().filter(|it| it.contains("stream_info")) else {
            return Fate::Pass;
        };
        match left.fetch_update(Relaxed, Relaxed, |it| it.checked_sub(1)) {
            Ok(_) => Fate::Replace(
                info.replace("\"last_seq\":2", "\"last_seq\":1")
                    .replace("\"num_replicas\":1", "\"num_replicas\":3"),
            ),
            Err(_) => Fate::Pass,
        }
    });
    let ana = proxy.await.open("ana").await;
    send_numbers(&ana, "plan", 0..2).await;
    let page = ana.history("plan", HistoryOptions::default()).await.expect("history");
    lagging.store(6, Relaxed);
    let start = Start::After(page.next);
    let watch = ana.watch("plan", WatchOptions::from(start)).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    lagging.store(3, Relaxed);
    let options = HistoryOptions { start, ..Default::default() };
    let page = ana.history("plan", options).await.expect("its cursor is today's");
    assert_eq!(page.messages.len(), 0);
    send(&ana, "plan", "2").await;
    assert_eq!(events(&watch, 1).await, ["message 2"]);
}
