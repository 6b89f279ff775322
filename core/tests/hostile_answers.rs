//! Strangers who answer: forged, late, repeated, oversized and senseless replies, to whoever sends,
//! reads or asks. One who may read inboxes can forge what the server says of a call, and
//! nothing prevents that but rights (`libchat acl`); but what is no answer is none, and no answer
//! crashes, hangs or counts for another call.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use common::proxy::{Fate, Proxy};
use common::*;
use futures_util::StreamExt;
use futures_util::future::join_all;
use libchat::{
    ErrorKind, HistoryOptions, Manager, RequestOptions, RespondOptions, SendOptions, Start,
    WatchOptions,
};
use serde_json::json;

/// Panics in libchat, of any thread: a task of libchat's that dies is not seen otherwise.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_tests = panic.location().is_none_or(|it| it.file().contains("tests/"));
            PANICS.fetch_add((!of_tests).into(), Ordering::Relaxed);
            before(panic);
        }));
    });
}

fn brief() -> SendOptions {
    SendOptions { timeout: Duration::from_secs(3), ..Default::default() }
}

/// What no server says of a message that is stored in `chat-demo`.
fn no_acks() -> Vec<String> {
    let mut rows: Vec<String> = [
        "",
        "ok",
        "null",
        "{}",
        "[]",
        r#"{"seq":7}"#,
        r#"{"stream":"chat-demo"}"#,
        r#"{"stream":"chat-other","seq":7}"#,
        r#"{"stream":"chat-demo2","seq":7,"duplicate":true}"#,
        r#"{"stream":"chat-demo","seq":0}"#,
        r#"{"stream":"chat-demo","seq":-1}"#,
        r#"{"stream":"chat-demo","seq":7.5}"#,
        r#"{"stream":"chat-demo","seq":"7"}"#,
        r#"{"stream":"chat-demo","seq":18446744073709551615}"#,
        r#"{"stream":"chat-demo","seq":99999999999999999999}"#,
        r#"{"stream":"chat-demo","seq":7,"duplicate":"no"}"#,
        r#"{"error":"body of a peer"}"#,
        r#"{"id":"1","from":"eve","thread":"d0825bc5","body":"an echo","timestamp":""}"#,
        "\u{0}\u{1b}[31m",
    ]
    .map(str::to_owned)
    .to_vec();
    rows.push("x".repeat(2_000_000));
    rows.push("[".repeat(100_000));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_acknowledgement_does_not_keep_the_next_from_counting() {
    let server = TestServer::start();
    for (n, row) in (1..).zip(no_acks()) {
        let forged = row.clone();
        let proxy = Proxy::start(&server, move |frame| match frame.is_ack() {
            true => Fate::Behind(forged.clone()),
            false => Fate::Pass,
        });
        let ana = proxy.await.open("ana").await;
        let receipt = within("send", ana.send("plan", "x", brief())).await.expect("stored");
        let seq = receipt.cursor.expect("a cursor").seq;
        assert_eq!((seq, receipt.duplicate), (n, false), "{row:.60}");
        assert_eq!((ana.stats().sent, ana.stats().resent), (1, 0), "{row:.60}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_acknowledgement_is_not_taken_for_one() {
    let server = TestServer::start();
    let server = &server;
    let sends = no_acks().into_iter().map(|row| async move {
        let forged = row.clone();
        let proxy = Proxy::start(server, move |frame| match frame.is_ack() {
            true => Fate::Replace(forged.clone()),
            false => Fate::Pass,
        });
        let ana = proxy.await.open("ana").await;
        let error = within("send", ana.send("plan", "x", brief())).await.map(drop);
        let error = error.expect_err(&format!("{row:.60}"));
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{row:.60}: {error:#}");
        assert!(!format!("{error:#}{error:?}").contains("body of a peer"), "{error:#}");
        assert_eq!(ana.stats().sent, 0);
    });
    join_all(sends).await;
}

/// A bot that hears the project as plain NATS and answers what it hears; here with the very
/// message.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_answers_messages_is_not_taken_for_the_server() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let bot = eve(&server).await;
    let mut heard = hear(&bot, "chat.demo.>").await;
    tokio::spawn(async move {
        while let Some(message) = heard.next().await {
            if let Some(reply) = message.reply {
                bot.publish(reply, message.payload).await.expect("answers");
            }
        }
    });
    for n in 1..=200_u64 {
        let receipt = send(&ana, "plan", &n.to_string()).await;
        assert_eq!(receipt.cursor.expect("a cursor").seq, n);
    }
    assert_eq!(server.stored().await, 200);
}

/// Every answer comes three times, to whatever is under way by then.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_again_counts_for_no_other_call() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let eve = eve(&server).await;
    let mut heard = hear(&eve, "_INBOX.>").await;
    tokio::spawn(async move {
        while let Some(message) = heard.next().await {
            let headers = message.headers.unwrap_or_default();
            for _ in 0..2 {
                let (to, what) = (message.subject.clone(), message.payload.clone());
                eve.publish_with_headers(to, headers.clone(), what).await.expect("repeats");
            }
        }
    });
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    tokio::spawn(async move {
        while let Ok(request) = asks.next().await {
            let payload = request.payload().to_vec();
            request.reply(payload).await.expect("sent");
        }
    });
    let mut sent = HashMap::new();
    for round in 0..20 {
        let threads: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
        let sends = threads.iter().map(|thread| async {
            let receipt = send(&ana, thread, &round.to_string()).await;
            (receipt.id, (thread.clone(), receipt.cursor.expect("a cursor").seq))
        });
        let asks = (0..10).map(|n| async move { (n, n.to_string()) });
        let asks = asks.map(|ask| async {
            let (n, text) = ask.await;
            let reply = ben.ask("ben", &text, RequestOptions::default()).await.expect("answered");
            assert_eq!(reply.payload, text.as_bytes(), "{n}");
        });
        let (receipts, _) = tokio::join!(join_all(sends), join_all(asks));
        sent.extend(receipts);
    }
    assert_eq!((sent.len(), ana.stats().resent), (200, 0));
    let watch = ana.watch_all(WatchOptions::from(Start::All)).await.expect("watches");
    for _ in 0..200 {
        let message = next(&watch).await;
        let (thread, seq) = sent.remove(&message.id).expect("sent once");
        assert_eq!((message.thread.as_deref(), message.cursor.seq), (Some(thread.as_str()), seq));
    }
}

/// Answers to STREAM.INFO as no server gives them: every verb ends, with whatever.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_about_the_stream_crashes_or_hangs_a_verb() {
    const MAX: u64 = u64::MAX;
    count_panics();
    let server = TestServer::start();
    send(&server.open("ben").await, "plan", "0").await;
    let created = server.api("STREAM.INFO.chat-demo", json!({})).await["created"].clone();
    let info = |state: serde_json::Value, created: &serde_json::Value| {
        json!({"type": "io.nats.jetstream.api.v1.stream_info_response", "created": created,
            "config": {"subjects": ["chat.demo.>"], "num_replicas": -3, "duplicate_window": -1},
            "state": state, "total": MAX})
        .to_string()
    };
    let rows = [
        info(json!({"first_seq": MAX, "last_seq": MAX}), &created),
        info(json!({"first_seq": 0, "last_seq": MAX}), &created),
        info(json!({"first_seq": MAX, "last_seq": 0}), &created),
        info(json!({"first_seq": MAX >> 1, "last_seq": MAX >> 1}), &created),
        info(json!({"first_seq": 1, "last_seq": MAX >> 1, "consumer_count": MAX}), &created),
        info(json!({"first_seq": 1, "last_seq": 1, "subjects": {"chat.demo.": MAX}}), &created),
        info(json!({"first_seq": 1, "last_seq": 1, "subjects": {"": 0, "a": 1}}), &created),
        info(json!({"first_seq": 1, "last_seq": 1}), &json!("-9999-01-01T00:00:00Z")),
        info(json!({"first_seq": 1, "last_seq": 1}), &json!("9999-12-31T23:59:59Z")),
        info(json!({"first_seq": 1, "last_seq": 1}), &json!("")),
        info(json!({"first_seq": -1, "last_seq": 1}), &created),
        info(json!({}), &created),
        json!({"error": {"code": 404, "err_code": 10059, "description": "x".repeat(70_000)}})
            .to_string(),
        json!({"error": {"code": 503, "err_code": 10008}}).to_string(),
        json!({"error": {}}).to_string(),
        "null".into(),
        "stream_info_response".into(),
    ];
    let verbs = rows.iter().map(|row| async {
        let (forged, row) = (row.clone(), row.clone());
        let lies = Arc::new(AtomicBool::new(false));
        let switch = lies.clone();
        let proxy = Proxy::start(&server, move |frame| {
            match switch.load(Ordering::Relaxed) && frame.says("stream_info_response") {
                true => Fate::Replace(forged.clone()),
                false => Fate::Pass,
            }
        });
        let ana = proxy.await.open("ana").await;
        let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        lies.store(true, Ordering::Relaxed);
        within(&row, every_verb(&ana)).await;
        lies.store(false, Ordering::Relaxed);
        let again = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        send(&ana, "plan", "1").await;
        while next(&again).await.body != "1" {}
        // Led astray, it looks again within a minute at where it is.
        while long() && next(&live).await.body != "1" {}
    });
    join_all(verbs).await;
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a task has panicked");
}

/// Calls each verb, for its end and not for its result.
async fn every_verb(ana: &Manager) {
    let timeout = Duration::from_millis(700);
    for start in [Start::All, Start::Last(3), Start::Time(time::OffsetDateTime::UNIX_EPOCH)] {
        let options = HistoryOptions { start, timeout, ..Default::default() };
        drop(ana.history("plan", options).await);
        let options = WatchOptions { timeout, ..WatchOptions::from(start) };
        if let Ok(watch) = ana.watch_all(options).await {
            let taken = tokio::time::timeout(Duration::from_millis(100), watch.next_event());
            drop(taken.await);
        }
    }
    let call = || libchat::CallOptions { timeout };
    drop(ana.list_threads(call()).await);
    drop(ana.threads_for_agent("ben", 9, call()).await);
    drop(ana.send("plan", "x", SendOptions { timeout, ..Default::default() }).await);
    drop(ana.ask("ben", "x", RequestOptions { timeout, ..Default::default() }).await);
}

/// Who knows the inbox of a reader can write to it. The server delivers under the subject of the
/// stored message, so what comes under the inbox's own is no delivery.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_delivers_is_no_message() {
    count_panics();
    let server = TestServer::start();
    let (ana, ben, eve) = (server.open("ana").await, server.open("ben").await, eve(&server).await);
    let mut asked = hear(&eve, "$JS.API.CONSUMER.MSG.NEXT.>").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "0").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message 0"]);
    let inbox = asked.next().await.expect("a request").reply.expect("an inbox");
    let payload = json!({"id": "1", "from": "ben", "body": "forged", "thread_name": "plan",
        "timestamp": "2026-01-02T03:04:05Z"})
    .to_string();
    for (seq, consumer_seq) in [(2, 2), (u64::MAX, 2), (1, 1), (0, 0), (2, u64::MAX), (9, 3)] {
        let reply = format!("$JS.ACK.chat-demo.x.1.{seq}.{consumer_seq}.1.0");
        let sent = eve.publish_with_reply(inbox.clone(), reply, payload.clone().into());
        sent.await.expect("sent");
    }
    eve.publish(inbox.clone(), payload.clone().into()).await.expect("sent");
    eve.publish(inbox, "x".repeat(900_000).into()).await.expect("sent");
    eve.flush().await.expect("written");
    send_numbers(&ben, "plan", 1..5).await;
    assert_eq!(events(&watch, 4).await, messages(1..5));
    assert_eq!(ana.stats().reopens, 0, "{:?}", ana.stats());
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a task has panicked");
}

/// The server's own words to a reader can be forged; they cost a new consumer, never a message.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_says_in_the_servers_name_loses_no_message() {
    let server = TestServer::start();
    let (ana, ben, eve) = (server.open("ana").await, server.open("ben").await, eve(&server).await);
    let mut asked = hear(&eve, "$JS.API.CONSUMER.MSG.NEXT.>").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    let words = [
        "100 Idle Heartbeat\r\nNats-Last-Consumer: 9",
        "100 Idle Heartbeat\r\nNats-Last-Consumer: -1",
        "408 Request Timeout\r\nNats-Pending-Messages: 99999999999999999999",
        "408 Request Timeout\r\nNats-Pending-Messages: 1024\r\nNats-Pending-Bytes: 8388608",
        "409 Message Size Exceeds MaxBytes\r\nNats-Pending-Bytes: 18446744073709551615",
        "409 Consumer Deleted",
        "404 No Messages",
        "503",
        "999 x",
    ];
    for (n, words) in words.iter().enumerate() {
        let asked = within("a request", asked.next()).await.expect("lives");
        let inbox = asked.reply.expect("an inbox");
        let block = format!("NATS/1.0 {words}\r\n\r\n");
        server.store_raw(&inbox, block.as_bytes(), "");
        send(&ben, "plan", &n.to_string()).await;
        assert_eq!(events_until(&watch, &format!("message {n}")).await, [format!("message {n}")]);
        // So that there is a request to be heard, whether or not these words led to one.
        let more = ana.history("plan", HistoryOptions::default()).await.expect("reads");
        assert_eq!(more.messages.len(), n + 1);
    }
    assert!(ana.stats().reopens > 0, "no word was believed: {:?}", ana.stats());
}

/// Answers to everything that she hears, faster than the server where she can be.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_answers_everything_hangs_nobody_and_when_gone_has_lost_nothing() {
    count_panics();
    let server = TestServer::start();
    let (ana, ben, eve) = (server.open("ana").await, server.open("ben").await, eve(&server).await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let mut rows = no_acks().into_iter().filter(|row| row.len() < 200_000).cycle();
    for wanted in ["$JS.API.>", "chat.demo.>", "demo.ask.>"] {
        let (mut heard, eve) = (hear(&eve, wanted).await, eve.clone());
        let rows: Vec<String> = rows.by_ref().take(19).collect();
        tokio::spawn(async move {
            let mut rows = rows.iter().cycle();
            while let Some(message) = heard.next().await {
                if let (Some(reply), Some(row)) = (message.reply, rows.next()) {
                    // Until she goes.
                    let _ = eve.publish(reply, row.clone().into()).await;
                }
            }
        });
    }
    let mut stored = Vec::new();
    for n in 0..30 {
        let sent = within("send", ben.send("plan", n.to_string(), brief())).await;
        match sent {
            Ok(_) => stored.push(n),
            Err(error) => assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:#}"),
        }
        if n % 10 == 0 {
            within("every verb", every_verb(&ben)).await;
        }
    }
    eve.drain().await.expect("eve goes");
    send(&ben, "plan", "99").await;
    let shown = events_until(&watch, "message 99").await;
    let seen: Vec<String> = stored.iter().map(|n| format!("message {n}")).collect();
    assert!(seen.iter().all(|it| shown.iter().filter(|other| *other == it).count() == 1));
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a task has panicked");
}
