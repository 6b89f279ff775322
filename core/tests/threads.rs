//! Promise 7: lists are complete, and cost what the threads cost.

mod common;

use std::collections::HashMap;
use std::time::Instant;

use common::*;
use libchat::{CallOptions, Manager, ThreadSummary};
use serde_json::json;

async fn list(manager: &Manager) -> Vec<ThreadSummary> {
    within("list", manager.list_threads(CallOptions::default())).await.expect("lists")
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_come_newest_first_with_counts_and_last_messages() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    assert!(list(&ana).await.is_empty());
    send(&ana, "a", "1").await;
    send(&ben, "b", "2").await;
    send(&ben, "a", "3").await;
    let threads = list(&ana).await;
    let shown: Vec<_> = threads
        .iter()
        .map(|it| {
            let last = it.last.as_ref().expect("a last message");
            (it.name.as_deref(), it.message_count, last.sender.as_str(), last.body.as_str())
        })
        .collect();
    assert_eq!(shown, [(Some("a"), 2, "ben", "3"), (Some("b"), 1, "ben", "2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_last_payload_is_stepped_over_and_counted() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let subject = format!("chat.demo.{short}");
    send(&ana, "plan", "good").await;
    server.store(&subject, b"bad").await;
    let seq = server.store(&subject, b"bad").await;
    let threads = list(&ana).await;
    assert_eq!((threads[0].message_count, threads[0].cursor.seq), (3, seq));
    assert_eq!(threads[0].last.as_ref().expect("the good one").body, "good");
    for _ in 0..40 {
        server.store(&subject, b"bad").await;
    }
    assert_eq!(list(&ana).await[0].last, None, "nothing good among the newest");
    server.store("chat.demo.not.a.thread", b"x").await;
    assert_eq!(list(&ana).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_for_an_agent_are_those_it_wrote_in() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    for n in 0..10 {
        send(&ana, &format!("t{n}"), "x").await;
        if n % 2 == 0 {
            send(&ben, &format!("t{n}"), "y").await;
        }
    }
    let of = async |agent: &str, max| {
        let threads =
            ana.threads_for_agent(agent, max, CallOptions::default()).await.expect("scans");
        threads.into_iter().map(|it| it.name.expect("a name")).collect::<Vec<_>>()
    };
    assert_eq!(of("ben", 20).await, ["t8", "t6", "t4", "t2", "t0"]);
    assert_eq!(of("ben", 2).await, ["t8", "t6"]);
    assert_eq!(of("ana", 20).await.len(), 10);
    assert!(of("nobody", 20).await.is_empty());
    assert!(of("ben", 0).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_while_messages_flow_is_complete() {
    let server = TestServer::start();
    let limited =
        json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "max_msgs_per_subject": 1});
    assert!(server.api("STREAM.CREATE.chat-demo", limited).await["error"].is_null());
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    for n in 0..50 {
        send(&ben, &format!("t{n}"), "x").await;
    }
    let flow = async {
        for n in 0..500 {
            send(&ben, &format!("t{}", n % 50), "y").await;
        }
    };
    let lists = async {
        for _ in 0..30 {
            let threads = list(&ana).await;
            assert_eq!(threads.len(), 50);
            assert!(threads.iter().all(|it| it.last.is_some()));
        }
    };
    tokio::join!(flow, lists);
}

/// Fills the stream through the plain client, in windows of acknowledged messages.
async fn fill(server: &TestServer, messages: usize, threads: usize) {
    let client = server.client().await;
    let shorts: Vec<_> = (0..threads)
        .map(|n| libchat::thread_short("demo", &format!("t{n}")).expect("a short"))
        .collect();
    for n in 0..messages {
        let short = shorts[n % threads];
        let payload = json!({
            "id": format!("{n:032x}"), "from": format!("agent-{}", n % 50),
            "thread": short.as_str(),
            "body": "x".repeat(100),
            "timestamp": "2026-01-02T03:04:05Z",
            "thread_name": format!("t{}", n % threads),
        });
        client
            .publish(format!("chat.demo.{short}"), payload.to_string().into())
            .await
            .expect("published");
    }
    client.flush().await.expect("flushed");
    eventually("all are stored", || async {
        api(&client, "STREAM.INFO.chat-demo", json!({})).await["state"]["messages"] == messages
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_costs_threads_and_agrees_with_a_full_scan() {
    let (messages, threads) = if long() { (200_000, 5_000) } else { (20_000, 1_000) };
    let server = TestServer::start();
    let ana = server.open("ana").await;
    fill(&server, messages, threads).await;
    let begun = Instant::now();
    let listed = list(&ana).await;
    let list_took = begun.elapsed();
    let begun = Instant::now();
    let watch =
        ana.watch_all(libchat::WatchOptions::from(libchat::Start::All)).await.expect("watches");
    let mut scanned: HashMap<_, (u64, u64)> = HashMap::new();
    for _ in 0..messages {
        let message = next(&watch).await;
        let entry = scanned.entry(message.short).or_default();
        *entry = (entry.0 + 1, message.cursor.seq);
    }
    let scan_took = begun.elapsed();
    figure(format!(
        "{messages} messages, {threads} threads: list {list_took:?}, full scan {scan_took:?}"
    ));
    assert_eq!(listed.len(), threads);
    for thread in &listed {
        assert_eq!((thread.message_count, thread.cursor.seq), scanned[&thread.short]);
    }
    assert!(listed.is_sorted_by_key(|it| std::cmp::Reverse(it.cursor.seq)));
}
