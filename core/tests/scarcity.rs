//! Where the server or the machine has little to give: no consumer to spare, messages larger than
//! what is asked for at once, memory for a few of them.

mod common;

use common::*;
use libchat::{ConnectOptions, HistoryOptions, OpenOptions, Start, WatchOptions};
use serde_json::json;
use time::OffsetDateTime;

/// Where a start by count or by time lies was asked of a consumer, and failed without one.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_consumer_to_spare_every_start_begins_where_it_says() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..10).await;
    server.update_stream(json!({"max_consumers": 1})).await;
    let only = json!({"stream_name": "chat-demo",
        "config": {"name": "only", "durable_name": "only", "ack_policy": "none"}});
    let made = server.api("CONSUMER.CREATE.chat-demo.only", only).await;
    assert!(made["error"].is_null(), "{made}");
    let page = ana.history("plan", HistoryOptions::default()).await.expect("reads");
    let seventh = page.messages[7].time;
    let starts = [
        (Start::All, 0),
        (Start::Last(3), 7),
        (Start::Last(100), 0),
        (Start::Time(OffsetDateTime::UNIX_EPOCH), 0),
        (Start::Time(seventh), 7),
        (Start::Time(OffsetDateTime::now_utc()), 10),
    ];
    for (start, first) in starts {
        let watch = ana.watch("plan", WatchOptions::from(start)).await.expect("watches");
        let mut expected = messages(first..10);
        expected.push("caught up".into());
        assert_eq!(events(&watch, expected.len()).await, expected, "{start:?}");
        let options = HistoryOptions { start, ..Default::default() };
        let page = ana.history("plan", options).await.expect("reads");
        assert_eq!(page.messages.len(), 10 - first, "{start:?}");
    }
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ana, "plan", 10..15).await;
    assert_eq!(numbers(&watch, 5).await, [10, 11, 12, 13, 14]);
    assert!(ana.stats().polling && server.consumers().await == 1, "{:?}", ana.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_what_is_asked_for_at_once_is_read() {
    let server = TestServer::with_config("max_payload: 4MB");
    let ana = server.open("ana").await;
    send(&ana, "plan", &"x".repeat(2_000_000)).await;
    send(&ana, "plan", "1").await;
    let page = within("history", ana.history("plan", Default::default())).await.expect("reads");
    assert_eq!(page.messages.len(), 2);
}

/// What was asked for at once grew only to what the server takes today: asking went on for ever, as
/// fast as the server could refuse.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_the_server_takes_today_is_read() {
    let mut server = TestServer::with_config("max_payload: 4MB");
    let ana = server.open("ana").await;
    send(&ana, "plan", &"x".repeat(2_000_000)).await;
    send(&ana, "plan", "1").await;
    ana.close().await;
    server.kill();
    server.restart_with("max_payload: 512KB");
    let ana = server.open("ana").await;
    let page = within("history", ana.history("plan", Default::default())).await.expect("reads");
    assert_eq!(page.messages.len(), 2);
    let watch = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(next(&watch).await.body.len(), 2_000_000);
    assert_eq!(events(&watch, 2).await, ["message 1", "caught up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slow_late_watches_hold_stays_within_the_bound() {
    const BUDGET: u64 = 4 << 20;
    const WATCHES: u64 = 24;
    const BODY: u64 = 900_000;
    /// One message of each catch-up that runs, and of the tail.
    const IN_FLIGHT: u64 = 9;
    let server = TestServer::start();
    let ben = server.open("ben").await;
    let options =
        ConnectOptions { buffer_bytes: BUDGET as usize, ..server.server().connect_options() };
    let connection = libchat::connect(options).await.expect("connects");
    let ana = connection.open("demo", "ana", OpenOptions::default()).await.expect("opens");
    let body = "x".repeat(BODY as usize);
    for n in 0..6 {
        send(&ben, "plan", &format!("{n} {body}")).await;
    }
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        watches.push(ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches"));
    }
    let bound = BUDGET + (WATCHES + IN_FLIGHT) * (BODY + 10_000);
    let within_bound = || {
        let held = ana.stats().buffered_bytes;
        assert!(held <= bound, "{held} bytes are held, {bound} are allowed");
        held
    };
    let one_each = || async { within_bound() >= WATCHES * BODY };
    eventually("every watch holds a message", one_each).await;
    for n in 0..6 {
        for watch in &watches {
            let message = next(watch).await;
            assert!(message.body.starts_with(&format!("{n} ")), "{n}: {}", &message.body[..8]);
            within_bound();
        }
    }
    assert_eq!(events(&watches[0], 1).await, ["caught up"]);
}
