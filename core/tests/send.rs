//! Promises 1 and 2: what a receipt and each failure of a send mean, and in which order messages
//! are stored.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use libchat::{
    Cursor, ErrorKind, ExpectLast, HistoryOptions, OpenOptions, SendOptions, Start, WatchOptions,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_names_the_place_of_the_stored_message() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let options = SendOptions {
        reply_to: Some("that".into()),
        headers: vec![("traceparent".into(), "00-ab-cd-01".into())],
        ..Default::default()
    };
    let receipt = ana.send("plan", "hello <&> \u{2028} wörld", options).await.expect("stored");
    let page = ana.history("plan", HistoryOptions::default()).await.expect("history");
    let [message] = page.messages.as_slice() else { panic!("{page:?}") };
    let cursor = receipt.cursor.expect("may read the stream's information");
    assert_eq!((cursor.incarnation, cursor.seq), (message.cursor.incarnation, message.cursor.seq));
    assert_eq!((message.id.as_str(), receipt.duplicate), (receipt.id.as_str(), false));
    assert_eq!(receipt.id.len(), 32);
    assert_eq!(message.body, "hello <&> \u{2028} wörld");
    assert_eq!(message.reply_to.as_deref(), Some("that"));
    assert_eq!(message.headers.get("traceparent"), Some("00-ab-cd-01"));
    assert_eq!(message.headers.iter().len(), 1, "the server's own are left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_again_under_one_id_stores_once() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let options = || SendOptions { id: Some("job-7".into()), ..Default::default() };
    let first = ana.send("plan", "one", options()).await.expect("stored");
    let second = ana.send("plan", "one", options()).await.expect("already stored");
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.cursor, second.cursor);
    let again = SendOptions { expect_last: Some(ExpectLast::Empty), ..options() };
    let third = ana.send("plan", "one", again).await.expect("a copy is no conflict");
    assert!(third.duplicate);
    assert_eq!(ana.history("plan", Default::default()).await.expect("history").messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_send_conflicts_when_the_thread_has_moved() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let expect = |expect| SendOptions { expect_last: Some(expect), ..Default::default() };
    let first = ana.send("plan", "1", expect(ExpectLast::Empty)).await.expect("empty");
    let error =
        ana.send("plan", "2", expect(ExpectLast::Empty)).await.expect_err("no longer empty");
    assert_eq!((error.kind(), error.server_code()), (ErrorKind::Conflict, Some(10071)));
    let at = first.cursor.expect("a cursor");
    send(&ana, "other", "elsewhere").await;
    ana.send("plan", "2", expect(ExpectLast::At(at))).await.expect("still the newest");
    let error = ana.send("plan", "3", expect(ExpectLast::At(at))).await.expect_err("moved");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let foreign = Cursor { incarnation: at.incarnation + 1, ..at };
    let error = ana.send("plan", "3", expect(ExpectLast::At(foreign))).await.expect_err("foreign");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[track_caller]
fn refused(result: Result<libchat::Receipt, libchat::Error>, text: &str) {
    let error = result.expect_err(text);
    assert_eq!((error.kind(), format!("{error:#}").as_str()), (ErrorKind::InvalidArgument, text));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_before_anything_is_sent() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    refused(ana.send("", "x", SendOptions::default()).await, "thread: must not be empty");
    let bytes = [b'a', 0xff, b'b'];
    refused(ana.send("plan", bytes, SendOptions::default()).await, "body: not UTF-8 at byte 1");
    let options = SendOptions { id: Some(String::new()), ..Default::default() };
    refused(ana.send("plan", "x", options).await, "id: must not be empty");
    let headers = vec![("Nats-Msg-Id".into(), "x".into())];
    let options = SendOptions { headers, ..Default::default() };
    let error = ana.send("plan", "x", options).await.expect_err("the server's own header");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(ana.list_threads(Default::default()).await.expect("lists").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_said_at_once_and_not_stored() {
    let server = TestServer::with_config("max_payload: 64KB");
    let ana = server.open("ana").await;
    let error =
        ana.send("plan", "x".repeat(70_000), SendOptions::default()).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().starts_with("send to chat.demo."), "{error}");
    let update = json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "max_msg_size": 100});
    assert!(server.api("STREAM.UPDATE.chat-demo", update).await["error"].is_null());
    let error =
        ana.send("plan", "x".repeat(200), SendOptions::default()).await.expect_err("too large");
    assert_eq!((error.kind(), error.server_code()), (ErrorKind::TooLarge, Some(10054)));
    assert!(!error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_says_so_at_once() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let full =
        json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "max_msgs": 2, "discard": "new"});
    assert!(server.api("STREAM.UPDATE.chat-demo", full).await["error"].is_null());
    send_numbers(&ana, "plan", 0..2).await;
    let error = ana.send("plan", "one more", SendOptions::default()).await.expect_err("full");
    assert_eq!((error.kind(), error.server_code()), (ErrorKind::Server, Some(10077)));
    assert!(error.hint_text().is_some_and(|hint| hint.contains("full")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_to_a_deleted_stream_is_not_found() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    server.api("STREAM.DELETE.chat-demo", json!({})).await;
    let error = ana.send("plan", "x", SendOptions::default()).await.expect_err("no stream");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_said_at_once_with_its_subject() {
    let server = TestServer::with_config(SEND_DENIED);
    let ana = connect_as(&server, "reader").await.open("demo", "ana", OpenOptions::default()).await;
    let ana = ana.expect("reading is allowed");
    let begun = Instant::now();
    let error = ana.send("plan", "x", SendOptions::default()).await.expect_err("may not send");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    let short = libchat::thread_short("demo", "plan").expect("a short");
    assert!(format!("{error:#}").contains(&format!("chat.demo.{short}")), "{error:#}");
    assert!(begun.elapsed() < Duration::from_secs(5), "said after {:?}", begun.elapsed());
}

/// Users instead of the local server's only one: `reader` may do everything but publish messages.
const SEND_DENIED: &str = r#"
authorization {}
accounts {
  A { jetstream: enabled, users: [
    { user: reader, password: pw, permissions: { publish: { deny: ["chat.demo.*"] } } }
    { user: sender, password: pw, permissions: {
        publish: { allow: ["chat.demo.*"] }, subscribe: { allow: ["_INBOX.>"] } } }
    { user: admin, password: pw }
  ] }
}
"#;

async fn connect_as(server: &TestServer, user: &str) -> libchat::Connection {
    let options = libchat::ConnectOptions {
        servers: Some(server.server().url().to_owned()),
        user: Some(user.to_owned()),
        password: Some("pw".to_owned()),
        ..Default::default()
    };
    libchat::connect(options).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_may_only_send_sends_without_a_cursor() {
    let server = TestServer::with_config(SEND_DENIED);
    let admin = connect_as(&server, "admin").await;
    let admin = admin.open("demo", "admin", OpenOptions::default()).await.expect("opens");
    let sender = connect_as(&server, "sender").await;
    let sender =
        sender.open("demo", "ana", OpenOptions::default()).await.expect("opens to send only");
    let receipt = sender.send("plan", "x", SendOptions::default()).await.expect("stored");
    assert_eq!(receipt.cursor, None);
    assert_eq!(admin.history("plan", Default::default()).await.expect("history").messages.len(), 1);
    let error =
        sender.watch("plan", WatchOptions::default()).await.map(drop).expect_err("may not read");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_found_no_server_was_not_sent_and_is_not_sent_later() {
    let mut server = TestServer::start();
    let ana = server.open("ana").await;
    server.kill();
    eventually("the outage is noticed", || async { !ana.stats().connected }).await;
    let options = SendOptions { timeout: Duration::from_millis(300), ..Default::default() };
    let error = ana.send("plan", "never", options).await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error:?}");
    assert!(error.is_retryable() && error.id().is_some());
    server.restart();
    send(&ana, "plan", "after").await;
    let page = ana.history("plan", Default::default()).await.expect("history");
    assert_eq!(page.messages.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_without_an_answer_has_an_unknown_outcome_and_can_be_repeated() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send(&ana, "plan", "0").await;
    server.signal("STOP");
    let options = SendOptions {
        id: Some("job".into()),
        timeout: Duration::from_millis(500),
        ..Default::default()
    };
    let error = ana.send("plan", "1", options).await.expect_err("frozen");
    assert_eq!((error.kind(), error.id()), (ErrorKind::OutcomeUnknown, Some("job")), "{error:?}");
    assert!(error.is_retryable(), "the caller gave the id");
    server.signal("CONT");
    let options = SendOptions { id: Some("job".into()), ..Default::default() };
    let receipt = ana.send("plan", "1", options).await.expect("stored, now or before");
    assert!(receipt.duplicate, "the first copy had been written to the socket");
    assert_eq!(ana.history("plan", Default::default()).await.expect("history").messages.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_send_that_was_not_written_is_not_stored() {
    let mut server = TestServer::start();
    let ana = server.open("ana").await;
    server.kill();
    eventually("the outage is noticed", || async { !ana.stats().connected }).await;
    let sending = ana.send("plan", "dropped", SendOptions::default());
    tokio::time::timeout(Duration::from_millis(50), sending).await.expect_err("no server");
    server.restart();
    send(&ana, "plan", "kept").await;
    let page = ana.history("plan", Default::default()).await.expect("history");
    assert_eq!(page.messages.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["kept"]);
}

/// `total` numbered messages to 16 threads with 64 sends outstanding, the server killed `kills`
/// times.
async fn storm(total: usize, kills: usize) {
    const THREADS: usize = 16;
    const OUTSTANDING: usize = 64;
    let mut server = TestServer::start();
    let (ana, ben) = (Arc::new(server.open("ana").await), server.open("ben").await);
    let watch = ben.watch_all(WatchOptions::default()).await.expect("watches");
    let (done, mut progress) = tokio::sync::watch::channel(0usize);
    let sender = ana.clone();
    let sending = tokio::spawn(async move {
        let mut outstanding = FuturesUnordered::new();
        let (mut next, mut longest) = (0, Duration::ZERO);
        while next < total || !outstanding.is_empty() {
            while next < total && outstanding.len() < OUTSTANDING {
                let (sender, n) = (sender.clone(), next);
                outstanding.push(async move {
                    let begun = Instant::now();
                    let thread = format!("thread {}", n % THREADS);
                    let options =
                        SendOptions { timeout: Duration::from_secs(30), ..Default::default() };
                    sender.send(&thread, n.to_string(), options).await.expect("stored");
                    begun.elapsed()
                });
                next += 1;
            }
            if let Some(took) = outstanding.next().await {
                longest = longest.max(took);
                done.send_modify(|it| *it += 1);
            }
        }
        longest
    });
    for kill in 1..=kills {
        let mark = total * kill / (kills + 1);
        progress.wait_for(|it| *it >= mark).await.expect("the sender lives");
        server.kill();
        server.restart();
    }
    let longest = within("the sends", sending).await.expect("all stored");
    let mut last = vec![None; THREADS];
    let mut seen = HashSet::new();
    for _ in 0..total {
        let message = next(&watch).await;
        let n: usize = message.body.parse().expect("a number");
        assert!(seen.insert(n), "{n} came twice");
        let before = last[n % THREADS].replace(n);
        let expected = before.map_or(n % THREADS, |before| before + THREADS);
        assert_eq!(n, expected, "thread {} out of order", n % THREADS);
    }
    assert!(watch.try_next_event().is_none(), "something came twice");
    let info = server.api("STREAM.INFO.chat-demo", json!({})).await;
    assert_eq!(info["state"]["messages"], total);
    let stats = ana.stats();
    assert_eq!(stats.reconnects, kills as u64, "{stats:?}");
    assert!(stats.resent > 0, "the fault was not hit: {stats:?}");
    assert!(ben.stats().reopens >= kills as u64, "the fault was not hit: {:?}", ben.stats());
    figure(format!(
        "{total} sends, {kills} kills: longest send {longest:?}, {} resent",
        stats.resent
    ));
    // A bound against a hang: 20 times the 2 s aimed at.
    assert!(longest < Duration::from_secs(40), "longest send {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_are_stored_once_and_in_order_across_kills_of_the_server() {
    if long() { storm(20_000, 5).await } else { storm(5_000, 2).await }
}

#[tokio::test(flavor = "multi_thread")]
async fn outstanding_sends_of_a_thread_are_stored_in_call_order() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let sends = (0..2_000).map(|n: i32| ana.send("plan", n.to_string(), SendOptions::default()));
    for result in futures_util::future::join_all(sends).await {
        result.expect("stored");
    }
    let options = HistoryOptions { start: Start::All, limit: 5_000, ..Default::default() };
    let page = ana.history("plan", options).await.expect("history");
    let bodies = page.messages.iter().map(|it| it.body.parse::<i32>().expect("a number"));
    assert!(bodies.eq(0..2_000), "out of order");
}
