//! A stream's backup and restore as the `nats` program does them, by the server's own API.

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::admin::Admin;

pub(crate) struct Backup {
    config: Value,
    state: Value,
    chunks: Vec<Vec<u8>>,
}

pub(crate) async fn take(admin: &Admin) -> Backup {
    let client = admin.client().await;
    let inbox = client.new_inbox();
    let mut deliveries = client.subscribe(inbox.clone()).await.expect("subscribes");
    let request = json!({"deliver_subject": inbox, "no_consumers": true});
    let answer = client
        .request("$JS.API.STREAM.SNAPSHOT.chat-demo", request.to_string().into())
        .await
        .expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert!(answer["error"].is_null(), "{answer}");
    let mut chunks = Vec::new();
    while let Some(chunk) = deliveries.next().await {
        if chunk.payload.is_empty() {
            break;
        }
        chunks.push(chunk.payload.to_vec());
        if let Some(reply) = chunk.reply {
            client.publish(reply, "".into()).await.expect("published");
        }
    }
    Backup { config: answer["config"].clone(), state: answer["state"].clone(), chunks }
}

pub(crate) async fn restore(admin: &Admin, backup: &Backup) {
    let client = admin.client().await;
    let ask = |subject: String, payload: Vec<u8>| {
        let client = client.clone();
        async move { client.request(subject, payload.into()).await.expect("an answer").payload }
    };
    let request = json!({"config": backup.config, "state": backup.state}).to_string();
    let answer = ask("$JS.API.STREAM.RESTORE.chat-demo".to_owned(), request.into()).await;
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let subject = answer["deliver_subject"].as_str().unwrap_or_else(|| panic!("{answer}"));
    for chunk in &backup.chunks {
        ask(subject.to_owned(), chunk.clone()).await;
    }
    let done = ask(subject.to_owned(), Vec::new()).await;
    let done: Value = serde_json::from_slice(&done).expect("JSON");
    assert!(done["error"].is_null(), "{done}");
}
