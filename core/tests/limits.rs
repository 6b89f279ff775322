//! The server's limits: no consumer to spare, what is missing is read one by one, and nothing is
//! lost.

mod common;

use common::*;
use libchat::{Start, WatchOptions};
use serde_json::json;

async fn limit_consumers(server: &TestServer, n: u64) {
    let stream = json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "max_consumers": n});
    let made = server.api("STREAM.CREATE.chat-demo", stream).await;
    assert!(made["error"].is_null(), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_consumer_to_spare_everything_still_works() {
    let server = TestServer::start();
    limit_consumers(&server, 1).await;
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    send_numbers(&ben, "plan", 0..30).await;
    let taken = ben.watch("plan", WatchOptions::default()).await.expect("the only consumer");
    let past = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("polls");
    let live = ana.watch("plan", WatchOptions::default()).await.expect("polls");
    send_numbers(&ben, "plan", 30..40).await;
    assert_eq!(numbers(&taken, 10).await, (30..40).collect::<Vec<_>>());
    assert_eq!(numbers(&past, 40).await, (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(&live, 10).await, (30..40).collect::<Vec<_>>());
    assert!(ana.stats().polling && !ben.stats().polling, "{:?}", ana.stats());
    assert_eq!(ana.history("plan", Default::default()).await.expect("reads").messages.len(), 40);
    let threads = ana.list_threads(Default::default()).await.expect("lists");
    assert_eq!((threads.len(), threads[0].message_count), (1, 40));
    let threads = ana.threads_for_agent("ben", 5, Default::default()).await.expect("scans");
    assert_eq!(threads.len(), 1);
    assert!(past.try_next_event().is_none_or(|event| show(&event.expect("lives")) == "caught up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_900_consumers_on_the_tail_polls_so_that_others_get_theirs() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let client = server.client().await;
    for n in 0..900 {
        let consumer = json!({"stream_name": "chat-demo", "action": "create", "config": {
            "name": format!("c{n}"), "ack_policy": "none", "mem_storage": true,
            "inactive_threshold": 300_000_000_000u64,
        }});
        let made = api(&client, &format!("CONSUMER.CREATE.chat-demo.c{n}"), consumer).await;
        assert!(made["error"].is_null(), "{made}");
    }
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("polls");
    send_numbers(&ben, "plan", 0..20).await;
    assert_eq!(numbers(&watch, 20).await, (0..20).collect::<Vec<_>>());
    assert!(ana.stats().polling, "{:?}", ana.stats());
    assert_eq!(server.consumers().await, 900, "no consumer of ours");
    if long() {
        for n in 0..900 {
            api(&client, &format!("CONSUMER.DELETE.chat-demo.c{n}"), json!({})).await;
        }
        eventually("a consumer is tried again within 30 to 60 s", || async {
            !ana.stats().polling
        })
        .await;
        send_numbers(&ben, "plan", 20..40).await;
        assert_eq!(numbers(&watch, 20).await, (20..40).collect::<Vec<_>>());
    }
}
