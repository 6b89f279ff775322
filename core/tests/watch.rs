//! Promises 3, 4 and 5: a watch delivers every message once, in order, from its start, however slow
//! its reader and whatever others do.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use futures_util::StreamExt;
use libchat::{ErrorKind, Event, OpenOptions, SendOptions, Start, WatchOptions};
use serde_json::json;
use time::OffsetDateTime;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_watch_begins_with_what_is_sent_after_it() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send(&ben, "plan", "before").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "after").await;
    send(&ben, "other", "not for this watch").await;
    send(&ben, "plan", "later").await;
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    let message = next(&watch).await;
    assert_eq!((message.sender.as_str(), message.thread.as_deref()), ("ben", Some("plan")));
    assert_eq!(message.short, libchat::thread_short("demo", "plan").expect("a short"));
    assert_eq!(watch.cursor(), message.cursor);
    assert_eq!(events(&watch, 1).await, ["message later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_after_a_cursor() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    send_numbers(&ben, "plan", 0..10).await;
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(numbers(&watch, 4).await, [0, 1, 2, 3]);
    let cursor = watch.cursor();
    drop((watch, ana));
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::from(Start::After(cursor))).await.expect("watches");
    let missed: Vec<_> = (4..10).map(|n| format!("message {n}")).collect();
    assert_eq!(events(&watch, 6).await, missed);
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    send(&ben, "plan", "10").await;
    assert_eq!(events(&watch, 1).await, ["message 10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_start_begins_where_it_says() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    for n in 0..40 {
        send(&ben, if n % 4 == 0 { "plan" } else { "noise" }, &n.to_string()).await;
    }
    let all = ana.history("plan", Default::default()).await.expect("history").messages;
    let sixth = all[5].clone();
    let starts = [
        (Start::All, 0),
        (Start::After(all[2].cursor), 3),
        (Start::Time(sixth.time), 5),
        (Start::Time(OffsetDateTime::UNIX_EPOCH), 0),
        (Start::Last(1), 9),
        (Start::Last(4), 6),
        (Start::Last(10), 0),
        (Start::Last(1_000), 0),
    ];
    for (start, first) in starts {
        let watch = ana.watch("plan", WatchOptions::from(start)).await.expect("watches");
        let mut expected: Vec<_> = (first..10).map(|n| format!("message {}", n * 4)).collect();
        expected.push("caught up".into());
        assert_eq!(events(&watch, expected.len()).await, expected, "{start:?}");
    }
    let future = Start::Time(OffsetDateTime::now_utc() + Duration::from_secs(3600));
    let watch = ana.watch("plan", WatchOptions::from(future)).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_all_and_patterns_cover_the_threads_they_name() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let all = ana.watch_all(WatchOptions::default()).await.expect("watches");
    let star = ana.watch_pattern("*", WatchOptions::default()).await.expect("watches");
    let one = ana.watch_pattern(short.as_str(), WatchOptions::default()).await.expect("watches");
    let by_short = ana.watch(short, WatchOptions::default()).await.expect("watches");
    let deeper = ana.watch_pattern(">", WatchOptions::default()).await.expect("watches");
    for (thread, body) in [("plan", "1"), ("other", "2"), ("plan", "3")] {
        send(&ben, thread, body).await;
    }
    let seq = server.store("chat.demo.not.a.thread", b"{}").await;
    send(&ben, "plan", "4").await;
    for watch in [&all, &star] {
        let expected = ["caught up", "message 1", "message 2", "message 3", "message 4"];
        assert_eq!(events(watch, 5).await, expected);
    }
    for watch in [&one, &by_short] {
        assert_eq!(events(watch, 4).await, ["caught up", "message 1", "message 3", "message 4"]);
    }
    assert_eq!(events(&deeper, 6).await[4], format!("malformed {seq}"));
    for pattern in ["", "a..b", ">.a", "a b"] {
        let error = ana.watch_pattern(pattern, WatchOptions::default()).await.map(drop);
        assert_eq!(error.expect_err(pattern).kind(), ErrorKind::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_messages_are_left_out_on_request() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    for start in [Start::New, Start::All] {
        let options = WatchOptions { skip_own: true, ..WatchOptions::from(start) };
        let watch = ana.watch("plan", options).await.expect("watches");
        send(&ana, "plan", "mine").await;
        send(&ben, "plan", "yours").await;
        assert_eq!(next(&watch).await.body, "yours");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_no_envelope_is_malformed_and_counted() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "1").await;
    let seq = server.store(&format!("chat.demo.{short}"), b"not JSON").await;
    send(&ben, "plan", "2").await;
    let expected = [
        "caught up".to_owned(),
        "message 1".into(),
        format!("malformed {seq}"),
        "message 2".into(),
    ];
    assert_eq!(events(&live, 4).await, expected);
    assert_eq!(ana.stats().malformed, 1);
    let past = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(events(&past, 3).await, expected[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bones_payload_is_read_and_a_false_name_is_not_believed() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let bones = json!({
        "id": "1", "from": "bo", "thread": short.as_str(), "body": "hi",
        "timestamp": "2026-01-02T03:04:05Z",
    });
    server.store(&format!("chat.demo.{short}"), bones.to_string().as_bytes()).await;
    let mut forged = bones.clone();
    forged["thread_name"] = "another".into();
    forged["thread"] = "00000000".into();
    server.store(&format!("chat.demo.{short}"), forged.to_string().as_bytes()).await;
    for _ in 0..2 {
        let message = next(&watch).await;
        assert_eq!(
            (message.sender.as_str(), message.thread.clone(), message.short),
            ("bo", None, short)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_set_up_while_messages_flow_misses_none() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, Arc::new(server.open("ben").await));
    let rounds = 200;
    let first = ana.watch("steady", WatchOptions::default()).await.expect("watches");
    assert_eq!(events(&first, 1).await, ["caught up"]);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let sender = ben.clone();
    let steady = tokio::spawn(async move {
        let mut n = 0;
        while !*stopped.borrow() {
            send_numbers(&sender, "steady", n..n + 1).await;
            n += 1;
        }
        n
    });
    for round in 0..rounds {
        let thread = format!("thread {}", round % 40);
        let sender = ben.clone();
        let name = thread.clone();
        let flowing = tokio::spawn(async move {
            let mut cursors = Vec::new();
            for n in 0..8 {
                let receipt = send(&sender, &name, &format!("{round}.{n}")).await;
                cursors.push(receipt.cursor.expect("a cursor").seq);
            }
            cursors
        });
        let watch = ana.watch(&thread, WatchOptions::default()).await.expect("watches");
        let began = watch.cursor().seq;
        let last = send(&ben, &thread, "last").await;
        let sent = flowing.await.expect("sent");
        let after: Vec<u64> = sent.into_iter().filter(|seq| *seq > began).collect();
        let mut got = Vec::new();
        let end = last.cursor.expect("a cursor").seq.max(after.iter().copied().max().unwrap_or(0));
        while got.last() != Some(&end) {
            got.push(next(&watch).await.cursor.seq);
        }
        got.retain(|seq| *seq != last.cursor.expect("a cursor").seq);
        assert_eq!(got, after, "round {round}");
    }
    stop.send(true).expect("the sender lives");
    let total = steady.await.expect("sent");
    assert_eq!(numbers(&first, total).await, (0..total).collect::<Vec<_>>());
}

/// The resident memory of this process in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).expect("kB").parse::<usize>().expect("a number") / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_among_fast_ones_holds_up_nobody_and_gets_everything() {
    let total = if long() { 20_000 } else { 5_000 };
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let slow = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let mut fast = Vec::new();
    for _ in 0..99 {
        let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        fast.push(tokio::spawn(async move { numbers(&watch, total).await.len() }));
    }
    let before = resident();
    let pad = "x".repeat(300);
    let sends = (0..total).map(|n| {
        let headers = vec![("Pad".into(), pad.clone())];
        let options = SendOptions { headers, ..Default::default() };
        ben.send("plan", n.to_string(), options)
    });
    let publishing = std::time::Instant::now();
    let mut sends = futures_util::stream::iter(sends).buffered(256);
    while let Some(sent) = sends.next().await {
        sent.expect("stored");
    }
    let published = publishing.elapsed();
    for fast in fast {
        assert_eq!(within("a fast watch", fast).await.expect("reads"), total);
    }
    let delivered = publishing.elapsed();
    let grown = resident().saturating_sub(before);
    let stats = ana.stats();
    assert!(stats.detaches > 0, "the slow watch was never left behind: {stats:?}");
    assert!(stats.buffered_bytes <= 64 << 20, "{stats:?}");
    let mut seen = HashSet::new();
    for n in numbers(&slow, total).await {
        assert!(seen.insert(n), "{n} came twice");
    }
    figure(format!(
        "{total} messages published in {published:?}, at 99 watches after {delivered:?}; \
         memory grew by {grown} MiB, {} bytes queued, {} times left behind",
        stats.buffered_bytes, stats.detaches
    ));
    assert!(grown < 256, "memory grew by {grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_to_slow_readers_stay_within_the_bound() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    let options =
        libchat::ConnectOptions { buffer_bytes: 16 << 20, ..server.server().connect_options() };
    let connection = libchat::connect(options).await.expect("connects");
    let ana = connection.open("demo", "ana", OpenOptions::default()).await.expect("opens");
    let mut watches = Vec::new();
    for _ in 0..10 {
        watches.push(ana.watch("plan", WatchOptions::default()).await.expect("watches"));
    }
    let body = "x".repeat(1_000_000);
    for n in 0..60 {
        send(&ben, "plan", &format!("{n} {body}")).await;
    }
    eventually("watches are left behind", || async { ana.stats().detaches >= 10 }).await;
    let bound = (16 << 20) + 11 * 1_100_000;
    assert!(ana.stats().buffered_bytes < bound, "{:?}", ana.stats());
    for watch in &watches {
        for n in 0..60 {
            let message = next(watch).await;
            assert!(message.body.starts_with(&format!("{n} ")), "{n}: {}", &message.body[..8]);
            assert!(ana.stats().buffered_bytes < bound, "{:?}", ana.stats());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_watches_than_allowed_and_room_again_after_one_ends() {
    let server = TestServer::start();
    let ana =
        server.open_with("ana", OpenOptions { max_subscribers: 2, ..Default::default() }).await;
    let first = ana.watch("a", WatchOptions::default()).await.expect("watches");
    let _second = ana.watch("b", WatchOptions::default()).await.expect("watches");
    let error = ana.watch("c", WatchOptions::default()).await.map(drop).expect_err("one too many");
    assert_eq!(error.kind(), ErrorKind::TooManySubscribers);
    first.stop();
    assert_eq!(first.next_event().await.map(drop).expect_err("stopped").kind(), ErrorKind::Closed);
    ana.watch("c", WatchOptions::default()).await.expect("room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_threads_are_watched_through_one_consumer() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let mut watches = Vec::new();
    for n in 0..40 {
        watches.push(
            ana.watch(&format!("thread {n}"), WatchOptions::default()).await.expect("watches"),
        );
    }
    server.consumers_become(1).await;
    for n in 0..40 {
        send(&ben, &format!("thread {n}"), &n.to_string()).await;
    }
    for (n, watch) in watches.iter().enumerate() {
        assert_eq!(events(watch, 2).await, ["caught up".to_owned(), format!("message {n}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_a_stall_with_its_reason_then_resumed() {
    let mut server = TestServer::start();
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    server.kill();
    let Event::Stalled { reason } = next_event(&watch).await else { panic!("no stall") };
    assert_eq!(reason.kind(), ErrorKind::Disconnected, "{reason:#}");
    server.restart();
    send(&ana, "plan", "x").await;
    assert_eq!(events(&watch, 2).await, ["resumed", "message x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_given_up_loses_nothing() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let sending = tokio::spawn(async move { send_numbers(&ben, "plan", 0..300).await });
    let mut got = Vec::new();
    while got.len() < 300 {
        let step = tokio::time::timeout(Duration::from_micros(300), watch.next()).await;
        if let Ok(message) = step {
            got.push(message.expect("the watch lives").body.parse::<usize>().expect("a number"));
        }
    }
    within("the sends", sending).await.expect("sent");
    assert_eq!(got, (0..300).collect::<Vec<_>>());
}
