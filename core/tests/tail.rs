//! The live tail that watches share: what one of them goes through is not told to another.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::proxy::{Fate, Proxy};
use common::*;
use libchat::WatchOptions;
use serde_json::json;

/// How the tail had first been opened was told to every later watch, long after it was open.
#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_failed_is_not_told_to_a_later_watch() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let short = json!({"consumer_limits": {"inactive_threshold": 1_000_000_000}});
    server.update_stream(short).await;
    let refused = ana.watch("plan", WatchOptions::default()).await.map(drop);
    refused.expect_err("the stream takes no consumer as long-lived as ours");
    server.update_stream(json!({})).await;
    // Does the refused watch's tail open after all, then within a second.
    let opened = server.consumers_become(1);
    drop(tokio::time::timeout(Duration::from_millis(1500), opened).await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("the stream takes it");
    send(&ana, "plan", "x").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_failed_for_one_watch_is_not_told_to_the_next() {
    const REFUSED: &str = r#"{"type": "io.nats.jetstream.api.v1.consumer_create_response",
        "error": {"code": 400, "err_code": 10012, "description": "refused by the test"}}"#;
    let server = TestServer::start();
    let refuses = Arc::new(AtomicBool::new(false));
    let asked = refuses.clone();
    let proxy = Proxy::start(&server, move |frame| {
        let refuse = frame.says("consumer_create_response") && asked.load(Ordering::Relaxed);
        if refuse { Fate::Replace(REFUSED.to_owned()) } else { Fate::Pass }
    });
    let ana = proxy.await.open("ana").await;
    let old = ana.watch("old", WatchOptions::default()).await.expect("watches");
    refuses.store(true, Ordering::Relaxed);
    let refused = ana.watch("plan", WatchOptions::default()).await.map(drop);
    assert_eq!(refused.expect_err("refused").server_code(), Some(10012));
    refuses.store(false, Ordering::Relaxed);
    send(&ana, "old", "1").await;
    assert_eq!(events(&old, 2).await, ["caught up", "message 1"]);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("the tail is open");
    send(&ana, "plan", "2").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message 2"]);
}

/// Known wrong: nothing of the old watch's thread was lost. The tail knows that it has everything
/// up to its last message, and once a minute of idleness up to the stream's end; opened anew for
/// another thread in between, it cannot tell whose messages were purged, and says so rather than
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_other_threads_is_told_as_a_gap_when_another_watch_comes_within_a_minute() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "1").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message 1"]);
    send_numbers(&ben, "noise", 0..100).await;
    let purged = server.api("STREAM.PURGE.chat-demo", json!({"seq": 90})).await;
    assert_eq!(purged["success"], true);
    let _other = ana.watch("other", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "2").await;
    assert_eq!(events(&watch, 2).await, ["gap 1..89", "message 2"]);
}
