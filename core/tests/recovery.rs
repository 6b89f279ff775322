//! Promise 3 under faults: restart, a deleted consumer, a purge, another stream in the place of the
//! old.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::proxy::{Fate, Proxy};
use common::*;
use libchat::{Event, Start, WatchOptions};
use serde_json::json;

const PURGE: &str = "STREAM.PURGE.chat-demo";

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_has_received_nothing_survives_a_restart() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send_numbers(&ben, "plan", 0..100).await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    server.kill();
    server.restart();
    send_numbers(&ben, "plan", 100..120).await;
    assert_eq!(numbers(&watch, 20).await, (100..120).collect::<Vec<_>>());
    assert!(ana.stats().reconnects > 0, "the fault was not hit: {:?}", ana.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_has_received_something_survives_a_restart() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..10).await;
    assert_eq!(numbers(&watch, 10).await, (0..10).collect::<Vec<_>>());
    server.kill();
    server.restart();
    send_numbers(&ben, "plan", 10..20).await;
    assert_eq!(numbers(&watch, 10).await, (10..20).collect::<Vec<_>>());
    assert!(ana.stats().reopens > 0, "the fault was not hit: {:?}", ana.stats());
    assert!(watch.try_next_event().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_made_again_from_the_same_place() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send_numbers(&ben, "plan", 0..50).await;
    for received in [0, 3] {
        let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        assert_eq!(events(&watch, 1).await, ["caught up"]);
        send_numbers(&ben, "plan", 0..received).await;
        assert_eq!(numbers(&watch, received).await.len(), received);
        let before = ana.stats().reopens;
        for name in server.consumer_names().await {
            let deleted = server.api(&format!("CONSUMER.DELETE.chat-demo.{name}"), json!({})).await;
            assert_eq!(deleted["success"], true);
        }
        send_numbers(&ben, "plan", 100..110).await;
        assert_eq!(numbers(&watch, 10).await, (100..110).collect::<Vec<_>>());
        assert!(ana.stats().reopens > before, "the fault was not hit: {:?}", ana.stats());
        assert_eq!((watch.gaps(), ana.stats().resets), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_what_was_delivered_is_no_event() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..5).await;
    assert_eq!(events(&watch, 6).await.len(), 6);
    server.api(PURGE, json!({})).await;
    send_numbers(&ben, "plan", 5..7).await;
    assert_eq!(events(&watch, 2).await, ["message 5", "message 6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_before_a_slow_reader_came_to_it_is_a_gap() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let options = WatchOptions { queue: 4, ..WatchOptions::default() };
    let watch = ana.watch("plan", options).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    send_numbers(&ben, "plan", 1..101).await;
    eventually("the slow watch is left behind", || async { ana.stats().detaches > 0 }).await;
    let purged = server.api(PURGE, json!({"seq": 91})).await;
    assert_eq!(purged["success"], true);
    let mut shown = Vec::new();
    let mut last = 0;
    while last < 100 {
        let event = next_event(&watch).await;
        match &event {
            Event::Message(message) => {
                let n: usize = message.body.parse().expect("a number");
                assert!(n > last, "{n} after {last}");
                last = n;
            }
            Event::Gap { after, until } => {
                assert_eq!((after.seq, until.seq), (last as u64, 90));
                last = 90;
            }
            other => panic!("{}", show(other)),
        }
        shown.push(show(&event));
    }
    assert_eq!(shown.iter().filter(|it| it.starts_with("gap")).count(), 1, "{shown:?}");
    assert_eq!(
        shown[shown.len() - 10..].to_vec(),
        (91..101).map(|n| format!("message {n}")).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_from_before_a_purge_begins_with_a_gap() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send_numbers(&ben, "plan", 1..11).await;
    let watch = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(numbers(&watch, 3).await, [1, 2, 3]);
    let cursor = watch.cursor();
    server.api(PURGE, json!({"seq": 8})).await;
    let watch = ana.watch("plan", WatchOptions::from(Start::After(cursor))).await.expect("watches");
    assert_eq!(
        events(&watch, 5).await,
        ["gap 3..7", "message 8", "message 9", "message 10", "caught up"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_under_a_live_watch_is_a_reset() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    for received in [0, 3] {
        let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        send_numbers(&ben, "plan", 0..received).await;
        assert_eq!(events(&watch, received + 1).await.len(), received + 1);
        server.remake_stream().await;
        send_numbers(&ben, "plan", 10..15).await;
        let expected =
            ["reset", "message 10", "message 11", "message 12", "message 13", "message 14"];
        assert_eq!(events(&watch, 6).await, expected);
        assert!(watch.try_next_event().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_under_a_detached_watch_is_a_reset() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let options = WatchOptions { queue: 4, ..WatchOptions::default() };
    let watch = ana.watch("plan", options).await.expect("watches");
    send_numbers(&ben, "plan", 1..101).await;
    eventually("the slow watch is left behind", || async { ana.stats().detaches > 0 }).await;
    server.remake_stream().await;
    send_numbers(&ben, "plan", 1000..1010).await;
    let mut shown = Vec::new();
    while shown.last().is_none_or(|it| it != "message 1009") {
        shown.push(show(&next_event(&watch).await));
    }
    assert_eq!(shown.iter().filter(|it| *it == "reset").count(), 1, "{shown:?}");
    let reset = shown.iter().position(|it| it == "reset").expect("a reset");
    let after: Vec<_> = (1000..1010).map(|n| format!("message {n}")).collect();
    assert_eq!(shown[reset + 1..], after);
    let before: Vec<_> = (1..reset).map(|n| format!("message {n}")).collect();
    assert_eq!(shown[1..reset], before, "in order up to the reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_under_a_catch_up_is_a_reset() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send_numbers(&ben, "plan", 1..301).await;
    let options = WatchOptions { queue: 4, ..WatchOptions::from(Start::All) };
    let watch = ana.watch("plan", options).await.expect("watches");
    assert_eq!(numbers(&watch, 20).await, (1..21).collect::<Vec<_>>());
    server.remake_stream().await;
    send_numbers(&ben, "plan", 1000..1010).await;
    let mut shown = Vec::new();
    while shown.last().is_none_or(|it| it != "caught up") {
        shown.push(show(&next_event(&watch).await));
    }
    while !shown.contains(&"message 1009".to_owned()) {
        shown.push(show(&next_event(&watch).await));
    }
    let reset = shown.iter().position(|it| it == "reset").expect("a reset");
    let after: Vec<_> =
        shown[reset + 1..].iter().filter(|it| *it != "caught up").cloned().collect();
    assert_eq!(after, (1000..1010).map(|n| format!("message {n}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_stream_gives_a_reset_then_everything() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send_numbers(&ben, "plan", 1..11).await;
    let watch = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(numbers(&watch, 5).await, [1, 2, 3, 4, 5]);
    let cursor = watch.cursor();
    drop(watch);
    server.remake_stream().await;
    send_numbers(&ben, "plan", 1..4).await;
    let watch = ana.watch("plan", WatchOptions::from(Start::After(cursor))).await.expect("watches");
    assert_eq!(
        events(&watch, 5).await,
        ["reset", "message 1", "message 2", "message 3", "caught up"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_loses_and_repeats_nothing() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..5).await;
    server.signal("STOP");
    let sending = tokio::spawn(async move {
        send_numbers(&ben, "plan", 5..10).await;
        ben.stats()
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    server.signal("CONT");
    assert_eq!(numbers(&watch, 10).await, (0..10).collect::<Vec<_>>());
    let stats = within("the sends", sending).await.expect("sent");
    assert!(stats.resent > 0, "the fault was not hit: {stats:?}");
    assert!(watch.try_next_event().is_none());
}

/// Purges by the raw protocol, and returns when it is done.
fn purge_now(address: &str, user: &str, password: &str) {
    let mut socket = TcpStream::connect(address).expect("connects");
    let login = json!({"user": user, "pass": password, "verbose": false});
    write!(socket, "CONNECT {login}\r\nSUB done 1\r\nPUB $JS.API.{PURGE} done 2\r\n{{}}\r\n")
        .expect("writes");
    let mut lines = BufReader::new(socket).lines();
    assert!(lines.any(|line| line.expect("reads").contains("\"success\":true")));
}

/// Between a look at the stream and the making of a consumer a purge was seen by neither: what it
/// took was told by nobody. At each of the looks that a watch from the past takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_while_a_reader_opens_is_told() {
    for look in 1..=5 {
        let server = TestServer::start();
        let ben = server.open("ben").await;
        send_numbers(&ben, "plan", 0..5).await;
        let first =
            ben.history("plan", Default::default()).await.expect("reads").messages[0].cursor;
        let looks = Arc::new(AtomicUsize::new(0));
        let local = server.server();
        let address = local.url().trim_start_matches("nats://").to_owned();
        let login = (local.user().to_owned(), local.password().to_owned());
        let left = looks.clone();
        let proxy = Proxy::start(&server, move |frame| {
            let is_look = frame.says("stream_info");
            if is_look && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                purge_now(&address, &login.0, &login.1);
            }
            Fate::Pass
        });
        let ana = proxy.await.open("ana").await;
        looks.store(look, Ordering::Relaxed);
        let watch = ana.watch("plan", WatchOptions::from(Start::After(first))).await;
        let watch = watch.expect("watches");
        let mut told = vec![first.seq];
        eventually("the purge", || async { server.stored().await == 0 }).await;
        send(&ben, "plan", "after").await;
        while told.last() != Some(&6) {
            match next_event(&watch).await {
                Event::Message(message) => told.push(message.cursor.seq),
                Event::Gap { after, until } => told.extend(after.seq + 1..=until.seq),
                _ => {}
            }
        }
        assert_eq!(told, [1, 2, 3, 4, 5, 6], "at look {look}");
    }
}
