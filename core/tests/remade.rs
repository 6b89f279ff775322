//! Promises 3, 6 and 7 where the stream was deleted and made anew: nothing of the old one is told
//! as if it were of the new one.

mod common;

use common::*;
use libchat::{Cursor, ErrorKind, HistoryOptions, Start, WatchOptions};

/// The incarnation known since the stream was opened is that of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_stream_made_anew_names_that_stream() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..5).await;
    server.remake_stream().await;
    let receipt = send(&ana, "plan", "x").await.cursor.expect("a cursor");
    let ben = server.open("ben").await;
    let page = ben.history("plan", Default::default()).await.expect("reads");
    assert_eq!(page.messages[0].cursor.incarnation, receipt.incarnation);
}

/// The list's cursors were given the incarnation known since the stream was opened, so that a watch
/// from them began with a Reset that was none.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_a_stream_made_anew_names_that_stream() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send(&ben, "plan", "1").await;
    server.remake_stream().await;
    let cleo = server.open("cleo").await;
    let receipt = send(&cleo, "plan", "2").await.cursor.expect("a cursor");
    let threads = ana.list_threads(Default::default()).await.expect("lists");
    assert_eq!(threads[0].cursor.incarnation, receipt.incarnation);
}

/// Only the sequence of `before` was looked at: a place of another stream meant nothing here.
#[tokio::test(flavor = "multi_thread")]
async fn history_before_a_cursor_of_another_stream_is_a_conflict() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..5).await;
    let foreign = Cursor { incarnation: 12_345, seq: 1_000, check: 0 };
    let options =
        HistoryOptions { start: Start::Last(3), before: Some(foreign), ..Default::default() };
    let error = ana.history("plan", options).await.map(drop).expect_err("not of this stream");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:#}");
}

/// The mark up to which a catch-up must come is one of the old stream: kept for the new one, which
/// is shorter, it would hold the watch and a consumer for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_left_behind_before_a_reset_is_given_back_to_the_tail() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let options = WatchOptions { queue: 4, ..WatchOptions::default() };
    let watch = ana.watch("plan", options).await.expect("watches");
    send_numbers(&ben, "plan", 1..101).await;
    eventually("the slow watch is left behind", || async { ana.stats().detaches > 0 }).await;
    server.remake_stream().await;
    send_numbers(&ben, "plan", 1000..1010).await;
    let shown = events_until(&watch, "message 1009").await;
    assert_eq!(shown[shown.len() - 10..], messages(1000..1010));
    server.consumers_become(1).await;
}

/// The catch-ups of the first eight, which went on for ever, left none for the others.
#[tokio::test(flavor = "multi_thread")]
async fn more_watches_than_catch_ups_left_behind_before_a_reset_all_go_on() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let mut watches = Vec::new();
    for _ in 0..20 {
        let options = WatchOptions { queue: 4, ..WatchOptions::default() };
        watches.push(ana.watch("plan", options).await.expect("watches"));
    }
    send_numbers(&ben, "plan", 1..201).await;
    eventually("all are left behind", || async { ana.stats().detaches >= 20 }).await;
    server.remake_stream().await;
    send_numbers(&ben, "plan", 1000..1010).await;
    let reads = watches.iter().map(|watch| events_until(watch, "message 1009"));
    for shown in futures_util::future::join_all(reads).await {
        assert_eq!(shown.iter().filter(|it| *it == "reset").count(), 1, "{shown:?}");
        assert_eq!(shown[shown.len() - 10..], messages(1000..1010));
    }
}
