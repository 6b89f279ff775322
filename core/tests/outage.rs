//! Promises 1, 9 and 10 over an outage after which the server may have forgotten the ids of
//! messages: the old client's queue is not sent, and everything else goes on with a new client.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use futures_util::FutureExt;
use futures_util::future::join_all;
use libchat::{ErrorKind, Manager, RequestOptions, RespondOptions, SendOptions, WatchOptions};
use serde_json::json;
use tokio::sync::mpsc;

/// `ana`, who makes a new client after an outage of 0.1 s.
async fn open_impatient(server: &TestServer) -> Manager {
    drop(server.open("ana").await);
    server.update_stream(json!({"duplicate_window": 400_000_000})).await;
    server.open("ana").await
}

/// Kills the server, for longer than `ana` keeps her client.
async fn long_outage(server: &TestServer, ana: &Manager) {
    server.kill();
    eventually("the outage is noticed", || async { !ana.stats().connected }).await;
    // That the old client is given up shows nowhere.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Handed to the network while the clients changed, they found none, and failed at once.
#[tokio::test(flavor = "multi_thread")]
async fn sends_that_wait_for_the_server_are_stored_when_it_is_back() {
    let mut server = TestServer::start();
    let ana = Arc::new(open_impatient(&server).await);
    let rounds = if long() { 20 } else { 4 };
    for round in 1..=rounds {
        long_outage(&server, &ana).await;
        // New clients are tried for in a rhythm: each round meets it elsewhere.
        tokio::time::sleep(Duration::from_millis(70 * (round % 4))).await;
        let (waiting, mut waits) = mpsc::unbounded_channel();
        let sends: Vec<_> = (0..200)
            .map(|n| tokio::spawn(send_in_an_outage(ana.clone(), n, waiting.clone())))
            .collect();
        for _ in &sends {
            within("a send that waits", waits.recv()).await;
        }
        server.restart();
        let sent = within("the sends", join_all(sends)).await;
        let failed = sent.into_iter().filter_map(|it| it.expect("no panic").err());
        let failed: Vec<_> = failed.collect();
        assert!(failed.is_empty(), "{} of 200, {:?}", failed.len(), failed.first());
        assert_eq!(server.stored().await, 200 * round);
    }
}

/// Says when it waits.
async fn send_in_an_outage(
    ana: Arc<Manager>,
    n: usize,
    waiting: mpsc::UnboundedSender<()>,
) -> Result<(), String> {
    let thread = format!("thread {n}");
    let options = SendOptions { timeout: Duration::from_secs(60), ..Default::default() };
    let mut send = std::pin::pin!(ana.send(&thread, "x", options));
    assert!(send.as_mut().now_or_never().is_none(), "there is no server");
    waiting.send(()).expect("the test counts");
    send.await.map(drop).map_err(|error| format!("{error:#}"))
}

/// A loop that subscribes again without waiting for anything would leave the others no thread to
/// run on. Watched from outside of that runtime.
#[test]
fn a_responder_goes_on_in_a_runtime_of_one_thread() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut server = TestServer::start();
            let ana = open_impatient(&server).await;
            let asks = ana.answer(RespondOptions::default()).await.expect("answers");
            long_outage(&server, &ana).await;
            server.restart();
            eventually("ana is back", || async { ana.stats().connected }).await;
            let client = server.client().await;
            tokio::spawn(async move {
                while let Ok(request) = asks.next().await {
                    request.reply("here").await.expect("sent");
                }
            });
            let asked = || async { client.request("demo.ask.ana", "".into()).await.is_ok() };
            eventually("ana answers again", asked).await;
        });
        done.send(()).expect("the test waits");
    });
    finished.recv_timeout(Duration::from_secs(60)).expect("the runtime's only thread is held up");
}

/// The task that makes the new client held its connection, and dialled for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_without_a_close_leaves_no_task_that_dials() {
    let server = TestServer::start();
    let ana = open_impatient(&server).await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    long_outage(&server, &ana).await;
    drop((ana, watch));
    let metrics = tokio::runtime::Handle::current().metrics();
    eventually("no task is left", || async { metrics.num_alive_tasks() == 0 }).await;
}

/// A call that waited for room in the full queue of the old client kept it alive, and it sent its
/// queue when the server was back.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_full_queue_is_sent_after_the_outage() {
    let mut server = TestServer::start();
    let ana = open_impatient(&server).await;
    server.signal("STOP");
    let ask = |bytes: usize| {
        let options = RequestOptions { timeout: Duration::from_secs(1), ..Default::default() };
        ana.request("x.y", vec![b'x'; bytes], options)
    };
    let large = (0..60).map(|_| ask(500_000));
    let ghost = async {
        tokio::task::yield_now().await;
        let options = SendOptions { timeout: Duration::from_millis(300), ..Default::default() };
        ana.send("plan", "ghost", options).await
    };
    let small = async {
        tokio::task::yield_now().await;
        join_all((0..3_000).map(|_| ask(10))).await
    };
    let all = async { tokio::join!(join_all(large), ghost, small) };
    let (large, ghost, small) = within("the calls", all).await;
    assert_eq!(ghost.expect_err("frozen").kind(), ErrorKind::OutcomeUnknown);
    assert!(large.iter().chain(&small).all(|it| it.is_err()));
    long_outage(&server, &ana).await;
    server.restart();
    send(&ana, "plan", "after").await;
    let page = ana.history("plan", Default::default()).await.expect("reads");
    assert_eq!(page.messages.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_its_clients_to_leave_loses_and_repeats_nothing() {
    let lame_duck = "lame_duck_duration: 30s\nlame_duck_grace_period: 1s";
    let mut server = TestServer::with_config(lame_duck);
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..5).await;
    server.signal("USR2");
    eventually("they leave", || async { !ana.stats().connected }).await;
    let options = || SendOptions { timeout: Duration::from_secs(60), ..Default::default() };
    let sends = (5..10).map(|n: usize| ben.send("plan", n.to_string(), options()));
    let restart = async {
        server.kill();
        server.restart();
    };
    let (sent, ()) = within("the sends", async { tokio::join!(join_all(sends), restart) }).await;
    assert!(sent.iter().all(|it| it.is_ok()), "{sent:?}");
    assert_eq!(numbers(&watch, 10).await, (0..10).collect::<Vec<_>>());
    assert!(watch.try_next_event().is_none_or(|it| show(&it.expect("lives")) != "message 9"));
}
