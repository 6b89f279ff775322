//! Promise 3 where an operator puts an older copy of the store back: what was numbered before is
//! numbered anew, under the same incarnation.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::*;
use futures_util::FutureExt;
use libchat::{ErrorKind, HistoryOptions, Start, WatchOptions};

fn store(server: &TestServer) -> PathBuf {
    server.folder().join(".libchat/store")
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.expect("cp runs").success());
}

/// Copies the store while the server is stopped.
fn save(server: &mut TestServer) -> PathBuf {
    server.kill();
    let saved = server.folder().join("saved");
    copy(&store(server), &saved);
    server.restart();
    saved
}

/// Puts the copy in the place of the store of a server that is stopped.
fn put_back(server: &TestServer, saved: &Path) {
    std::fs::remove_dir_all(store(server)).expect("the store is removed");
    copy(saved, &store(server));
}

fn roll_back(server: &mut TestServer, saved: &Path) {
    server.kill();
    put_back(server, saved);
    server.restart();
}

fn reset_then(numbers: impl IntoIterator<Item = std::ops::Range<usize>>) -> Vec<String> {
    let mut expected = vec!["reset".to_owned()];
    expected.extend(numbers.into_iter().flat_map(messages));
    expected
}

/// A stream that is shorter than the cursor now is told by its length, one that has grown past it
/// by the check in the cursor.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_behind_a_cursor_is_a_reset_whether_or_not_the_stream_has_grown_past_it() {
    for grown in [false, true] {
        let mut server = TestServer::start();
        let (ana, ben) = (server.open("ana").await, server.open("ben").await);
        let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
        send_numbers(&ben, "plan", 0..5).await;
        let saved = save(&mut server);
        send_numbers(&ben, "plan", 5..10).await;
        assert_eq!(numbers(&watch, 10).await, (0..10).collect::<Vec<_>>());
        let cursor = watch.cursor();
        drop((watch, ana));
        roll_back(&mut server, &saved);
        let end = if grown { 110 } else { 102 };
        send_numbers(&ben, "plan", 100..end).await;
        let ana = server.open("ana").await;
        let options = WatchOptions::from(Start::After(cursor));
        let watch = ana.watch("plan", options).await.expect("watches");
        let shown = events_until(&watch, &format!("message {}", end - 1)).await;
        assert_eq!(shown, reset_then([0..5, 100..end]), "grown: {grown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_under_a_live_watch_is_a_reset() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..5).await;
    let saved = save(&mut server);
    send_numbers(&ben, "plan", 5..10).await;
    assert_eq!(numbers(&watch, 10).await, (0..10).collect::<Vec<_>>());
    roll_back(&mut server, &saved);
    send_numbers(&ben, "plan", 100..110).await;
    assert_eq!(events_until(&watch, "message 109").await, reset_then([0..5, 100..110]));
}

/// The tail stood at the last message of its own threads, before the place of the rollback, and saw
/// nothing wrong: what was stored up to the new watch's old place was never handed out.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_behind_a_new_watch_but_not_behind_the_tail_is_a_reset() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let _old = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..10).await;
    send_numbers(&ben, "noise", 10..50).await;
    let saved = save(&mut server);
    send_numbers(&ben, "noise", 50..100).await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    assert_eq!(events(&watch, 1).await, ["caught up"]);
    roll_back(&mut server, &saved);
    send_numbers(&ben, "plan", 200..210).await;
    assert_eq!(events_until(&watch, "message 209").await, reset_then([0..10, 200..210]));
}

/// The tail was opened anew from the end that the other watch had asked for, behind the rollback,
/// and so never looked at its own place.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_not_hidden_by_a_watch_opened_during_the_outage() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..50).await;
    let saved = save(&mut server);
    send_numbers(&ben, "plan", 50..100).await;
    assert_eq!(numbers(&watch, 100).await, (0..100).collect::<Vec<_>>());
    server.kill();
    eventually("the outage is noticed", || async { !ana.stats().connected }).await;
    put_back(&server, &saved);
    let options = WatchOptions { timeout: Duration::from_secs(60), ..Default::default() };
    let mut other = Box::pin(ana.watch("other", options));
    assert!(other.as_mut().now_or_never().is_none(), "it waits for the server");
    server.restart();
    let _other = within("the other watch", other).await.expect("watches");
    send_numbers(&ben, "plan", 200..210).await;
    assert_eq!(events_until(&watch, "message 209").await, reset_then([0..50, 200..210]));
}

/// The tail took the watch back where its catch-up stood in the old history, as if the new one had
/// been read up to there.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_under_a_busy_catch_up_is_a_reset() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let live = ana.watch_all(WatchOptions::default()).await.expect("watches");
    send_numbers(&ben, "plan", 0..20).await;
    let saved = save(&mut server);
    send_numbers(&ben, "plan", 20..80).await;
    assert_eq!(numbers(&live, 80).await, (0..80).collect::<Vec<_>>());
    let options = WatchOptions { queue: 4, ..WatchOptions::from(Start::All) };
    let watch = ana.watch("plan", options).await.expect("watches");
    assert_eq!(numbers(&watch, 30).await, (0..30).collect::<Vec<_>>(), "past the rollback");
    roll_back(&mut server, &saved);
    send_numbers(&ben, "plan", 1000..1010).await;
    let mut shown = messages(0..30);
    while shown.last().is_none_or(|it| it != "message 1009") {
        shown.push(show(&next_event(&watch).await));
        // A reader at its own pace: its catch-up is at work while the tail notices.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Told at the end of the old stream or of the new one.
    shown.retain(|it| it != "caught up");
    let reset = shown.iter().position(|it| it == "reset");
    let reset = reset.unwrap_or_else(|| panic!("no reset: {shown:?}"));
    assert_eq!(shown[..reset], messages(0..reset), "in order up to the reset");
    assert_eq!(shown[reset..], reset_then([0..20, 1000..1010]));
    assert_eq!(events_until(&live, "message 1009").await, reset_then([0..20, 1000..1010]));
}

/// History gave an empty page from a place that the stream does not have, and a next place to
/// match.
#[tokio::test(flavor = "multi_thread")]
async fn history_after_a_cursor_beyond_a_rollback_is_a_conflict() {
    let mut server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..5).await;
    let saved = save(&mut server);
    send_numbers(&ana, "plan", 5..10).await;
    let next = ana.history("plan", HistoryOptions::default()).await.expect("reads").next;
    roll_back(&mut server, &saved);
    let options = HistoryOptions { start: Start::After(next), ..Default::default() };
    let error = ana.history("plan", options).await.map(drop).expect_err("rolled back");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:#}");
}
