//! History: bounded, paged, up to the stream's end as it was.

mod common;

use common::*;
use libchat::{Cursor, ErrorKind, History, HistoryOptions, Manager, Start};
use serde_json::json;

async fn read(manager: &Manager, options: HistoryOptions) -> History {
    within("history", manager.history("plan", options)).await.expect("history")
}

fn bodies(page: &History) -> Vec<usize> {
    page.messages.iter().map(|message| message.body.parse().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_thread_has_an_empty_history() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let page = read(&ana, HistoryOptions::default()).await;
    assert!(page.messages.is_empty() && !page.truncated);
    send(&ana, "other", "x").await;
    assert!(read(&ana, HistoryOptions::default()).await.messages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_loss() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    for n in 0..25 {
        send(&ana, "plan", &n.to_string()).await;
        send(&ana, "noise", "x").await;
    }
    let mut start = Start::All;
    let mut all = Vec::new();
    loop {
        let page = read(&ana, HistoryOptions { start, limit: 10, ..Default::default() }).await;
        all.extend(bodies(&page));
        start = Start::After(page.next);
        if !page.truncated {
            break;
        }
    }
    assert_eq!(all, (0..25).collect::<Vec<_>>());
    send(&ana, "plan", "25").await;
    let page = read(&ana, HistoryOptions { start, ..Default::default() }).await;
    assert_eq!(bodies(&page), [25], "the last page's end is where new messages begin");
    let exact = read(&ana, HistoryOptions { limit: 26, ..Default::default() }).await;
    assert!(!exact.truncated, "a bound that was just enough truncates nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_messages_and_those_before_them() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    for n in 0..60 {
        send(&ana, if n % 3 == 0 { "plan" } else { "noise" }, &n.to_string()).await;
    }
    let last = |n, before| HistoryOptions { start: Start::Last(n), before, ..Default::default() };
    let page = read(&ana, last(4, None)).await;
    assert_eq!(bodies(&page), [48, 51, 54, 57]);
    let earlier = read(&ana, last(4, Some(page.messages[0].cursor))).await;
    assert_eq!(bodies(&earlier), [36, 39, 42, 45]);
    assert_eq!(read(&ana, last(100, None)).await.messages.len(), 20);
    assert!(read(&ana, last(5, Some(Cursor { seq: 1, ..page.next }))).await.messages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_bound_a_page_but_one_message_always_fits() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    for n in 0..6 {
        send(&ana, "plan", &format!("{n:0>1000}")).await;
    }
    let page = read(&ana, HistoryOptions { max_bytes: Some(2_500), ..Default::default() }).await;
    assert_eq!((page.messages.len(), page.truncated), (2, true));
    let page = read(&ana, HistoryOptions { max_bytes: Some(1), ..Default::default() }).await;
    assert_eq!((page.messages.len(), page.truncated), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_malformed_payloads_are_told() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 1..11).await;
    let third = read(&ana, HistoryOptions::default()).await.messages[2].cursor;
    server.api("STREAM.PURGE.chat-demo", json!({"seq": 8})).await;
    let short = libchat::thread_short("demo", "plan").expect("a short");
    server.store(&format!("chat.demo.{short}"), b"{").await;
    let page =
        read(&ana, HistoryOptions { start: Start::After(third), ..Default::default() }).await;
    assert_eq!(bodies(&page), [8, 9, 10]);
    assert_eq!(page.malformed, 1);
    let gaps: Vec<_> = page.gaps.iter().map(|(after, until)| (after.seq, until.seq)).collect();
    assert_eq!(gaps, [(3, 7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_stream_is_a_conflict() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..5).await;
    let cursor = read(&ana, HistoryOptions::default()).await.next;
    server.api("STREAM.DELETE.chat-demo", json!({})).await;
    let ben = server.open("ben").await;
    send_numbers(&ben, "plan", 0..9).await;
    let options = HistoryOptions { start: Start::After(cursor), ..Default::default() };
    let error = ben.history("plan", options).await.expect_err("another stream");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_removed_while_they_are_read_do_not_hang_it() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let pad = "x".repeat(2_000);
    let sends = (0..3_000).map(|_| ana.send("plan", &pad, Default::default()));
    for sent in futures_util::future::join_all(sends).await {
        sent.expect("stored");
    }
    let options = HistoryOptions { limit: 10_000, ..Default::default() };
    let reading = ana.history("plan", options);
    let purging = async {
        server.api("STREAM.PURGE.chat-demo", json!({"keep": 10})).await;
    };
    let (page, ()) = within("both", async { tokio::join!(reading, purging) }).await;
    let page = page.expect("history");
    let lost: u64 = page.gaps.iter().map(|(after, until)| until.seq - after.seq).sum();
    assert_eq!(
        page.messages.len() as u64 + lost,
        3_000,
        "every message is read or told to be gone"
    );
}
