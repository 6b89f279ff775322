//! Promise 11: every call ends by its deadline, even where the server is frozen and the client's
//! own queue is full.

mod common;

use std::time::{Duration, Instant};

use common::*;
use futures_util::future::join_all;
use libchat::{CallOptions, Manager, RequestOptions, SendOptions, WatchOptions};

/// A bound against a hang, over deadlines of 1 s.
const BOUND: Duration = Duration::from_secs(6);

/// How long each of many requests with a deadline of 1 s took, and whether it failed; the first
/// ones are large enough to fill every buffer on the way.
async fn ask_a_lot(ana: &Manager) -> Vec<(Duration, bool)> {
    let asks = (0..4_000).map(|n| async move {
        let begun = Instant::now();
        let options = RequestOptions { timeout: Duration::from_secs(1), ..Default::default() };
        let bytes = if n < 60 { 500_000 } else { 10 };
        let asked = ana.request("x.y", vec![b'x'; bytes], options).await;
        (begun.elapsed(), asked.is_err())
    });
    within("the requests", join_all(asks)).await
}

/// Requests waited for room in the client's queue without looking at their deadline.
#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_frozen_server_end_by_their_deadline() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    server.signal("STOP");
    let asked = ask_a_lot(&ana).await;
    server.signal("CONT");
    assert!(asked.iter().all(|(_, failed)| *failed));
    let longest = asked.iter().map(|(took, _)| *took).max().expect("requests");
    assert!(longest < BOUND, "longest {longest:?}");
}

/// Subscriptions, API requests and close waited for room in the client's queue for ever.
#[tokio::test(flavor = "multi_thread")]
async fn every_other_call_over_a_full_queue_ends_by_its_deadline() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    server.signal("STOP");
    let timeout = Duration::from_secs(1);
    let others = async {
        // The requests before it have filled the queue at their first poll.
        tokio::task::yield_now().await;
        let begun = Instant::now();
        let list = ana.list_threads(CallOptions { timeout });
        let watch = ana.watch("plan", WatchOptions { timeout, ..Default::default() });
        let history =
            ana.history("plan", libchat::HistoryOptions { timeout, ..Default::default() });
        let sent = ana.send("plan", "x", SendOptions { timeout, ..Default::default() });
        let answer = ana.answer(libchat::RespondOptions { timeout, ..Default::default() });
        // A responder that has subscribed is good, whether or not the server says so.
        let (list, watch, history, sent, _) = tokio::join!(list, watch, history, sent, answer);
        let failed = [list.is_err(), watch.is_err(), history.is_err(), sent.is_err()];
        (begun.elapsed(), failed)
    };
    let all = async { tokio::join!(ask_a_lot(&ana), others) };
    let (_, (took, failed)) = within("the calls", all).await;
    let begun = Instant::now();
    within("close", ana.close()).await;
    let closed = begun.elapsed();
    server.signal("CONT");
    assert_eq!(failed, [true; 4]);
    assert!(took < BOUND, "{took:?}");
    assert!(closed < BOUND, "close took {closed:?}");
}

/// `Instant + Duration` panics where the sum is out of range.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_timeout_is_no_panic() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let timeout = Duration::MAX;
    send(&ana, "plan", "0").await;
    ana.send("plan", "1", SendOptions { timeout, ..Default::default() }).await.expect("stored");
    let options = WatchOptions { timeout, ..WatchOptions::from(libchat::Start::Last(1)) };
    let watch = ana.watch("plan", options).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["message 1"]);
    let options = libchat::HistoryOptions { timeout, ..Default::default() };
    assert_eq!(ana.history("plan", options).await.expect("reads").messages.len(), 2);
    assert_eq!(ana.list_threads(CallOptions { timeout }).await.expect("lists").len(), 1);
    let options = RequestOptions { timeout, ..Default::default() };
    ana.request("x.y", "", options.clone()).await.map(drop).expect_err("nobody is there");
    let options = libchat::RespondOptions { timeout, ..Default::default() };
    let asks = ana.answer(options).await.expect("answers");
    let options = RequestOptions { timeout, ..Default::default() };
    let (asked, ()) = tokio::join!(ana.ask("ana", "?", options), async {
        asks.next().await.expect("a request").reply("!").await.expect("sent");
    });
    asked.expect("answered");
    let options = libchat::OpenOptions { timeout, ..Default::default() };
    server.connect().await.open("demo", "ben", options).await.map(drop).expect("opens");
    let options =
        libchat::ConnectOptions { timeout: Some(timeout), ..server.server().connect_options() };
    libchat::connect(options).await.map(drop).expect("connects");
}
