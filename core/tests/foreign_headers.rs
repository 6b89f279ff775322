//! Other clients may store any header block: the server does not read it, and async-nats drops the
//! connection over one that it cannot read.

mod common;

use common::*;
use libchat::{Start, WatchOptions};
use serde_json::json;

/// One of them stopped every watch of the project for ever.
#[tokio::test(flavor = "multi_thread")]
async fn no_header_block_stops_a_watch() {
    let blocks: [&[u8]; 5] = [
        b"NATS/1.0\r\nA: \xff\r\n\r\n",
        b"NATS/1.0\r\nA b: x\r\n\r\n",
        b"NATS/1.0\r\nAb\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nA: x\r\n\r\n",
        b"NATS/1.0 408 Request Timeout\r\nA: x\r\n\r\n",
    ];
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let mut expected = vec!["message first".to_owned()];
    send(&ben, "plan", "first").await;
    for (n, block) in blocks.into_iter().enumerate() {
        let envelope = json!({"id": n.to_string(), "from": "eve", "thread": short.as_str(),
            "body": format!("odd {n}"), "timestamp": "2026-01-02T03:04:05Z"});
        server.store_raw(&format!("chat.demo.{short}"), block, &envelope.to_string());
        send(&ben, "plan", &format!("after {n}")).await;
        expected.extend([format!("message odd {n}"), format!("message after {n}")]);
    }
    assert_eq!(events_until(&live, "message after 4").await, expected);
    assert!(ana.stats().reconnects > 0, "the fault was not hit: {:?}", ana.stats());
    let past = ana.watch("plan", WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(events_until(&past, "message after 4").await, expected);
}
