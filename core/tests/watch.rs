//! Promises 3 and 5: a watch delivers every message once, in order, from its start.

mod common;

use common::*;
use libchat::{Start, WatchOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_watch_begins_with_what_is_sent_after_it() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send(&ben, "plan", "before").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "after").await;
    send(&ben, "other", "not for this watch").await;
    send(&ben, "plan", "later").await;
    assert_eq!(events(&watch, 3).await, ["caught up", "message after", "message later"]);
    let message =
        ana.history("plan", Default::default()).await.expect("history").messages[1].clone();
    assert_eq!((message.sender.as_str(), message.thread.as_deref()), ("ben", Some("plan")));
    assert_eq!(message.short, libchat::thread_short("demo", "plan").expect("a short"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_after_a_cursor() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    send_numbers(&ben, "plan", 0..10).await;
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(numbers(&watch, 4).await, [0, 1, 2, 3]);
    let cursor = watch.cursor();
    drop((watch, ana));
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::from(Start::After(cursor))).await.expect("watches");
    send(&ben, "plan", "10").await;
    let shown = events(&watch, 8).await;
    let expected: Vec<_> = (4..10).map(|n| format!("message {n}")).collect();
    assert_eq!(shown[..6], expected);
    let mut rest = shown[6..].to_vec();
    rest.sort();
    assert_eq!(rest, ["caught up", "message 10"]);
}
