//! What the server gives runs out, or is taken away.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::judge::Allow;
use crate::proxy::Network;
use crate::scene::{FAULT, Fault, PLAN, Plan, Scene, TOLD};

/// Room for some of what is sent, which is then made by a purge.
const FULL: Fault = Fault {
    plan: Plan { size: 2_000, ..PLAN },
    allow: Allow { gaps: true, codes: &["SERVER"], ..TOLD },
    trace: &["SERVER"],
    inject: |it| Box::pin(fill_and_purge(it)),
    ..FAULT
};

pub(super) const ALL: &[&Fault] = &[
    &Fault {
        name: "disk full",
        settings: |it| it.disk_mb = Some(4),
        plan: Plan { size: 10_000, ..PLAN },
        allow: Allow { codes: FULL_DISK, ..TOLD },
        trace: &["SERVER", "TIMEOUT", "OUTCOME_UNKNOWN"],
        inject: |it| Box::pin(fill_disk(it)),
        ..FAULT
    },
    &Fault {
        name: "server's storage full",
        settings: |it| it.store = "max_file_store: 1MB".to_owned(),
        ..FULL
    },
    &Fault {
        name: "account's storage full",
        settings: |it| it.account = "{ max_file: 1MB, max_mem: 10MB }".to_owned(),
        ..FULL
    },
    &Fault {
        name: "account's consumers used up",
        settings: |it| it.account = "{ max_file: 1GB, max_mem: 10MB, max_consumers: 4 }".to_owned(),
        inject: |it| Box::pin(use_up_consumers(it)),
        ..FAULT
    },
    &Fault { name: "stream full, refusing", inject: |it| Box::pin(fill_stream(it)), ..FULL },
    &Fault {
        name: "largest payload lowered",
        plan: Plan { size: 3_000, ..PLAN },
        allow: Allow { codes: &["TOO_LARGE", "OUTCOME_UNKNOWN"], ..TOLD },
        trace: &["TOO_LARGE"],
        inject: |it| Box::pin(lower_payload(it)),
        ..FAULT
    },
    &Fault {
        name: "JetStream off for the account",
        // A server that begins with JetStream says for a moment that there is no stream.
        allow: Allow {
            codes: &["TIMEOUT", "OUTCOME_UNKNOWN", "SERVER", "NO_RESPONDERS", "NOT_FOUND"],
            ..TOLD
        },
        trace: &["SERVER", "TIMEOUT", "OUTCOME_UNKNOWN", "resent", "reopens"],
        inject: |it| Box::pin(jetstream_off(it)),
        ..FAULT
    },
    &Fault {
        name: "permissions revoked",
        allow: Allow { codes: &["UNAUTHORIZED", "OUTCOME_UNKNOWN"], ..TOLD },
        trace: &["UNAUTHORIZED"],
        inject: |it| Box::pin(revoke(it)),
        ..FAULT
    },
    &Fault {
        name: "user removed",
        allow: Allow {
            codes: &["UNAUTHORIZED", "DISCONNECTED", "TIMEOUT", "OUTCOME_UNKNOWN"],
            ..TOLD
        },
        trace: &["stalled"],
        inject: |it| Box::pin(remove_user(it)),
        ..FAULT
    },
    &Fault {
        name: "1 MB bodies to a slow reader",
        plan: Plan { size: 1_000_000, pause_ms: 30, watch_pause_ms: 40, queue: 4, ..PLAN },
        trace: &["detaches"],
        inject: |it| Box::pin(async { it.flow().await }),
        ..FAULT
    },
];

async fn fill_and_purge(scene: &mut Scene) {
    let full = scene.sender.count("err") + 20;
    scene.sender.has("err", full, Duration::from_secs(30)).await;
    scene.admin().purge(json!({})).await;
    scene.wipes();
}

/// A server whose disk is full switches JetStream off by itself, until it is started again.
const FULL_DISK: &[&str] = &["SERVER", "TIMEOUT", "DISCONNECTED", "OUTCOME_UNKNOWN"];

async fn fill_disk(scene: &mut Scene) {
    let full = scene.sender.count("err") + 5;
    scene.sender.has("err", full, Duration::from_secs(60)).await;
    scene.site.kill();
    let (disk, server) = (&scene.site.disk, &mut scene.site.servers[0]);
    disk.as_ref().expect("a disk").grow(server, 64);
    scene.site.restart().await;
}

async fn fill_stream(scene: &mut Scene) {
    let full = json!({"discard": "new", "max_bytes": 500_000});
    scene.admin().edit_stream(full).await;
    let full = scene.sender.count("err") + 20;
    scene.sender.has("err", full, Duration::from_secs(30)).await;
    scene.admin().edit_stream(json!({"discard": "old", "max_bytes": -1})).await;
}

async fn use_up_consumers(scene: &mut Scene) {
    let admin = scene.admin();
    let mut refusals = 0;
    for round in 0..5 {
        // Whoever had one loses it, and finds others in its place.
        admin.delete_consumers().await;
        for n in 0..6 {
            let name = format!("other-{round}-{n}");
            let config = json!({"stream_name": "chat-demo", "action": "create",
                "config": {"name": name, "ack_policy": "none", "mem_storage": true}});
            let made = admin.api(&format!("CONSUMER.CREATE.chat-demo.{name}"), config).await;
            refusals += usize::from(!made["error"].is_null());
        }
        scene.flow().await;
    }
    assert!(refusals >= 5, "{refusals} refusals: there was room");
}

async fn lower_payload(scene: &mut Scene) {
    scene.site.reload(|it| it.top = "max_payload: 1KB".to_owned()).await;
    reconnect(scene).await;
    scene.sender.has("err", 10, Duration::from_secs(20)).await;
    scene.site.reload(|it| it.top = "max_payload: 1MB".to_owned()).await;
    reconnect(scene).await;
}

/// A client learns of the server's limits when it connects.
async fn reconnect(scene: &mut Scene) {
    scene.site.network(Network::Cut);
    scene.pause(50..200).await;
    scene.site.network(Network::Open);
}

async fn jetstream_off(scene: &mut Scene) {
    scene.site.reload(|it| it.account = "disabled".to_owned()).await;
    scene.pause(2_000..6_000).await;
    scene.site.reload(|it| it.account = "enabled".to_owned()).await;
}

/// By turns, as the seed says: to send and ask, or to hear answers.
async fn revoke(scene: &mut Scene) {
    let denied = match scene.rng.bool() {
        true => "permissions: { publish: { deny: [\"chat.demo.>\", \"$JS.API.>\"] } }",
        false => "permissions: { subscribe: { deny: [\"_INBOX.>\"] } }",
    };
    scene.site.reload(|it| it.agent = denied.to_owned()).await;
    scene.pause(1_000..3_000).await;
    scene.site.reload(|it| it.agent = String::new()).await;
}

async fn remove_user(scene: &mut Scene) {
    scene.site.reload(|it| it.agents_known = false).await;
    // Longer than a watch waits before it says so.
    sleep(Duration::from_secs(13)).await;
    scene.site.reload(|it| it.agents_known = true).await;
}
