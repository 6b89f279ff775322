//! The live tail that watches share: what one of them goes through is not told to another.

mod common;

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
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("the stream takes it");
    send(&ana, "plan", "x").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message x"]);
}

/// The same where an older watch keeps the tail that failed to open for a newer one.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_opens_after_all_takes_new_watches() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let old = ana.watch("old", WatchOptions::default()).await.expect("watches");
    let short = json!({"consumer_limits": {"inactive_threshold": 1_000_000_000}});
    server.update_stream(short).await;
    let refused = ana.watch("plan", WatchOptions::default()).await.map(drop);
    refused.expect_err("the stream takes no consumer as long-lived as ours");
    server.update_stream(json!({})).await;
    send(&ana, "old", "1").await;
    assert_eq!(events(&old, 2).await, ["caught up", "message 1"]);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("the tail is open");
    send(&ana, "plan", "2").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message 2"]);
}

/// The tail knew only the last message of its own threads: opened anew for another thread, it took
/// what was purged of others since then for a loss of the old watch.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_other_threads_is_no_gap_when_another_watch_comes() {
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
    assert_eq!(events(&watch, 1).await, ["message 2"]);
}
