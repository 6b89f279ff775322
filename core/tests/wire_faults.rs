//! Promises 1, 3 and 5 where the network loses what the server sent, or the connection ends at the
//! wrong moment.

mod common;

use std::time::{Duration, Instant};

use common::proxy::{Fate, Frame, Proxy};
use common::*;
use libchat::{ErrorKind, SendOptions, WatchOptions};
use serde_json::json;

/// Loses the `n`th delivery of a stored message.
fn lose_delivery(n: usize) -> impl FnMut(&Frame<'_>) -> Fate + Send + 'static {
    let mut seen = 0;
    move |frame| {
        seen += usize::from(frame.is_delivery());
        if frame.is_delivery() && seen == n { Fate::Lose } else { Fate::Pass }
    }
}

/// `fate` for the first word that a message is stored.
fn first_ack(fate: Fate) -> impl FnMut(&Frame<'_>) -> Fate + Send + 'static {
    let mut fate = Some(fate);
    move |frame| {
        let taken = if frame.is_ack() { fate.take() } else { None };
        taken.unwrap_or(Fate::Pass)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_delivery_is_read_again() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    let ana = Proxy::start(&server, lose_delivery(3)).await.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..8).await;
    assert_eq!(numbers(&watch, 8).await, (0..8).collect::<Vec<_>>());
    assert!(ana.stats().reopens > 0, "the fault was not hit: {:?}", ana.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_last_delivery_is_noticed_by_the_heartbeat() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    let ana = Proxy::start(&server, lose_delivery(3)).await.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..3).await;
    let begun = Instant::now();
    assert_eq!(numbers(&watch, 3).await, [0, 1, 2]);
    assert!(ana.stats().reopens > 0, "the fault was not hit: {:?}", ana.stats());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(9), "a heartbeat comes after 5 s: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_falls_silent_is_replaced() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    let mut silent: Option<String> = None;
    let proxy = Proxy::start(&server, move |frame| {
        if frame.is_delivery() && silent.is_none() {
            silent = Some(frame.sid.to_owned());
        }
        if silent.as_deref() == Some(frame.sid) { Fate::Lose } else { Fate::Pass }
    });
    let ana = proxy.await.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..3).await;
    assert_eq!(numbers(&watch, 3).await, [0, 1, 2]);
    assert!(ana.stats().reopens > 0, "the fault was not hit: {:?}", ana.stats());
    assert_eq!(ana.stats().reconnects, 0, "the connection was good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_noticed_at_once() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    server.kill();
    server.restart();
    send_numbers(&ben, "plan", 0..3).await;
    let begun = Instant::now();
    assert_eq!(numbers(&watch, 3).await, [0, 1, 2]);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "waiting for its silence takes 10 s: {took:?}");
    assert!(ana.stats().reconnects > 0, "the fault was not hit: {:?}", ana.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_repeated_as_soon_as_there_is_a_new_connection() {
    let server = TestServer::start();
    let ana = Proxy::start(&server, first_ack(Fate::Cut)).await.open("ana").await;
    let begun = Instant::now();
    let receipt = send(&ana, "plan", "x").await;
    let took = begun.elapsed();
    assert!(receipt.duplicate && ana.stats().resent == 1, "{:?}", ana.stats());
    assert!(took < Duration::from_millis(1500), "silence alone takes 2 s: {took:?}");
    assert_eq!(server.stored().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_once_the_server_may_have_forgotten_its_id() {
    let server = TestServer::start();
    drop(server.open("ana").await);
    server.update_stream(json!({"duplicate_window": 1_000_000_000})).await;
    let ana = Proxy::start(&server, first_ack(Fate::Lose)).await.open("ana").await;
    let options = SendOptions { timeout: Duration::from_secs(5), ..Default::default() };
    let error = ana.send("plan", "x", options).await.expect_err("its answer was lost");
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:#}");
    assert_eq!((server.stored().await, ana.stats().resent), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_in_process_leaves_the_outcome_unknown() {
    const IN_PROCESS: &str = r#"{"error": {"code": 409, "err_code": 10158,
        "description": "duplicate message id is in process"}, "stream": "chat-demo", "seq": 0}"#;
    let server = TestServer::start();
    let proxy = Proxy::start(&server, |frame| match frame.is_ack() {
        true => Fate::Replace(IN_PROCESS.to_owned()),
        false => Fate::Pass,
    });
    let ana = proxy.await.open("ana").await;
    let options = SendOptions { timeout: Duration::from_secs(1), ..Default::default() };
    let error = ana.send("plan", "x", options).await.expect_err("no answer says that it is stored");
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:#}");
    assert!(ana.stats().resent > 0, "{:?}", ana.stats());
}
