//! Promise 9: close ends everything that a manager started, and leaves nothing.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use futures_util::FutureExt;
use libchat::{ErrorKind, RespondOptions, SendOptions, Start, WatchOptions};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn close_ends_watches_and_responders_and_every_later_call() {
    let server = TestServer::start();
    let ana = Arc::new(server.open("ana").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let responder = ana.answer(RespondOptions::default()).await.expect("answers");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    let waiting = tokio::spawn(async move {
        let watched = watch.next().await.map(drop);
        (watched, responder.next().await.map(drop))
    });
    let begun = Instant::now();
    within("close", ana.close()).await;
    within("close again", ana.close()).await;
    // A bound against a hang: 20 times the 2 s promised.
    assert!(begun.elapsed() < Duration::from_secs(40));
    let (watched, answered) = within("watch and responder", waiting).await.expect("end");
    assert_eq!(watched.expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(answered.expect_err("closed").kind(), ErrorKind::Closed);
    let closed = [
        ana.send("plan", "x", SendOptions::default()).await.map(drop),
        ana.watch("plan", WatchOptions::default()).await.map(drop),
        ana.watch_all(WatchOptions::default()).await.map(drop),
        ana.watch_pattern("*", WatchOptions::default()).await.map(drop),
        ana.history("plan", Default::default()).await.map(drop),
        ana.list_threads(Default::default()).await.map(drop),
        ana.threads_for_agent("ana", 1, Default::default()).await.map(drop),
        ana.request("x.y", "", Default::default()).await.map(drop),
        ana.ask("ben", "", Default::default()).await.map(drop),
        ana.respond("x.y", Default::default()).await.map(drop),
        ana.answer(Default::default()).await.map(drop),
    ];
    for (i, result) in closed.into_iter().enumerate() {
        assert_eq!(result.expect_err("closed").kind(), ErrorKind::Closed, "call {i}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_leaves_no_consumer_on_the_server() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..500).await;
    let options = || WatchOptions { queue: 4, ..WatchOptions::from(Start::All) };
    let mut watches = Vec::new();
    for _ in 0..12 {
        watches.push(ana.watch("plan", options()).await.expect("watches"));
    }
    eventually("catch-ups read", || async { server.consumers().await > 1 }).await;
    within("close", ana.close()).await;
    assert_eq!(server.consumers().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_history_and_scan_leave_no_consumer() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..50).await;
    ana.list_threads(Default::default()).await.expect("lists");
    ana.history("plan", Default::default()).await.expect("reads");
    ana.threads_for_agent("ana", 10, Default::default()).await.expect("scans");
    server.consumers_become(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_tail_ends_30_s_after_the_last_watch() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    drop(watch);
    let begun = Instant::now();
    assert_eq!(server.consumers().await, 1, "another watch may follow");
    server.consumers_become(0).await;
    let took = begun.elapsed();
    figure(format!("no consumer left {took:?} after the last watch"));
    assert!(took > Duration::from_secs(25), "it lingers for the next watch: {took:?}");
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches again");
    send(&ana, "plan", "x").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_manager_ends_like_a_closed_one() {
    let server = TestServer::start();
    let connection = server.connect().await;
    let ana = connection.open("demo", "ana", Default::default()).await.expect("opens");
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    drop(ana);
    let error = loop {
        match within("the end", watch.next_event()).await {
            Ok(_) => continue,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
    server.consumers_become(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_connection_closes_its_managers() {
    let server = TestServer::start();
    let connection = server.connect().await;
    let ana = connection.open("demo", "ana", Default::default()).await.expect("opens");
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let responder = ana.answer(RespondOptions::default()).await.expect("answers");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    within("close", connection.close()).await;
    let ended = within("the watch", watch.next_event()).await.map(drop).expect_err("closed");
    assert_eq!(ended.kind(), ErrorKind::Closed);
    let ended = within("the responder", responder.next()).await.map(drop).expect_err("closed");
    assert_eq!(ended.kind(), ErrorKind::Closed);
    let error = ana.send("plan", "x", SendOptions::default()).await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = connection.open("demo", "ana", Default::default()).await.map(drop);
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_without_a_close_leaves_no_task() {
    let server = TestServer::start();
    let metrics = tokio::runtime::Handle::current().metrics();
    let connection = server.connect().await;
    let ana = connection.open("demo", "ana", Default::default()).await.expect("opens");
    let watch = ana.watch_all(WatchOptions::from(Start::All)).await.expect("watches");
    let responder = ana.answer(RespondOptions::default()).await.expect("answers");
    send(&ana, "plan", "x").await;
    drop((connection, ana, watch, responder));
    eventually("no task is left", || async { metrics.num_alive_tasks() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_during_an_outage_leaves_no_task() {
    let metrics = tokio::runtime::Handle::current().metrics();
    for dialling_anew in [false, true] {
        eventually("no task is left", || async { metrics.num_alive_tasks() == 0 }).await;
        let mut server = TestServer::start();
        if dialling_anew {
            server.api("STREAM.CREATE.chat-demo", brief_stream()).await;
        }
        let ana = server.open("ana").await;
        let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        server.kill();
        eventually("the outage is noticed", || async { !ana.stats().connected }).await;
        if dialling_anew {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        drop((ana, watch));
        eventually("no task is left", || async { metrics.num_alive_tasks() == 0 }).await;
        server.restart();
    }
}

/// Its duplicate window makes an outage of 100 ms a long one.
fn brief_stream() -> serde_json::Value {
    json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "duplicate_window": 400_000_000})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_under_way_at_close_has_an_unknown_outcome() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send(&ana, "plan", "0").await;
    server.signal("STOP");
    let mut sending = Box::pin(ana.send("plan", "1", SendOptions::default()));
    // The first step hands it to the network.
    assert!(sending.as_mut().now_or_never().is_none());
    within("close", ana.close()).await;
    let error = within("the send", sending).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    server.signal("CONT");
}

/// Both waited for their own deadline, and close with them.
#[tokio::test]
async fn a_request_and_a_responder_under_way_end_with_their_manager() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    server.kill();
    let mut request = Box::pin(ana.request("jobs", "", Default::default()));
    let mut respond = Box::pin(ana.respond("jobs", Default::default()));
    assert!(request.as_mut().now_or_never().is_none() && respond.as_mut().now_or_never().is_none());
    ana.close().await;
    let ended = (request.now_or_never(), respond.now_or_never());
    let (Some(Err(request)), Some(Err(respond))) = ended else { panic!("still under way") };
    assert_eq!((request.kind(), respond.kind()), (ErrorKind::Closed, ErrorKind::Closed));
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_and_descriptors_return_to_the_number_before() {
    let mut server = TestServer::start();
    let metrics = tokio::runtime::Handle::current().metrics();
    let cycle = async |server: &mut TestServer, fault: bool| {
        let connection = server.connect().await;
        let ana = connection.open("demo", "ana", Default::default()).await.expect("opens");
        let watches = [
            ana.watch("plan", WatchOptions::default()).await.expect("watches"),
            ana.watch_all(WatchOptions::from(Start::All)).await.expect("watches"),
        ];
        let responder = ana.answer(RespondOptions::default()).await.expect("answers");
        send_numbers(&ana, "plan", 0..20).await;
        assert_eq!(numbers(&watches[0], 20).await.len(), 20);
        if fault {
            server.kill();
            server.restart();
            send(&ana, "plan", "20").await;
        }
        ana.close().await;
        drop((watches, responder));
        connection.close().await;
    };
    cycle(&mut server, false).await;
    eventually("the first cycle ends", || async { metrics.num_alive_tasks() == 0 }).await;
    let before = descriptors();
    for round in 0..10 {
        cycle(&mut server, round == 5).await;
    }
    eventually("no task is left", || async { metrics.num_alive_tasks() == 0 }).await;
    eventually("descriptors are closed", || async { descriptors() <= before }).await;
}
