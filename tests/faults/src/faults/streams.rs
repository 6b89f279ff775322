//! The operator, or another program, changes the stream under the agents.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::admin::{stream_with, subject};
use crate::backup;
use crate::judge::Allow;
use crate::scene::{FAULT, Fault, PLAN, Plan, Scene, TOLD};

/// Messages are removed, and watches are told so.
const REMOVED: Fault = Fault { allow: Allow { gaps: true, ..TOLD }, ..FAULT };

/// The stream becomes another one.
const REPLACED: Fault = Fault {
    allow: Allow { resets: true, gaps: true, codes: GONE, ..TOLD },
    trace: &["resets"],
    ..FAULT
};

/// A stream that is not there, or is another one than the call began with.
const GONE: &[&str] = &["TIMEOUT", "DISCONNECTED", "OUTCOME_UNKNOWN", "NOT_FOUND", "CONFLICT"];

/// A reader slower than the sender, by more than what it fetches at once (1 MiB).
const SLOW: Plan = Plan { watch_pause_ms: 20, queue: 4, size: 20_000, ..PLAN };

pub(super) const ALL: &[&Fault] = &[
    &Fault {
        name: "consumers deleted",
        trace: &["reopens"],
        inject: |it| Box::pin(delete_consumers(it)),
        ..FAULT
    },
    &Fault { name: "stream purged", inject: |it| Box::pin(purge(it)), ..REMOVED },
    &Fault {
        name: "purged under a slow reader",
        plan: SLOW,
        trace: &["gaps"],
        inject: |it| Box::pin(purge(it)),
        ..REMOVED
    },
    &Fault {
        name: "one thread purged",
        allow: Allow { gaps: true, deletions: true, ..TOLD },
        inject: |it| Box::pin(purge_thread(it)),
        ..REMOVED
    },
    &Fault {
        name: "expiry under a slow reader",
        plan: SLOW,
        trace: &["gaps"],
        inject: |it| Box::pin(expire(it)),
        ..REMOVED
    },
    &Fault {
        name: "stream sealed",
        plan: Plan { stays: true, ..PLAN },
        allow: Allow { codes: &["CONFLICT"], ..TOLD },
        trace: &["CONFLICT"],
        inject: |it| Box::pin(seal(it)),
        ..FAULT
    },
    &Fault { name: "stream deleted for a while", inject: |it| Box::pin(delete(it)), ..REPLACED },
    &Fault { name: "stream made anew", inject: |it| Box::pin(remake(it)), ..REPLACED },
    &Fault { name: "stream restored", inject: |it| Box::pin(restore(it)), ..REPLACED },
    &Fault { name: "store rolled back", inject: |it| Box::pin(roll_back(it)), ..REPLACED },
    &Fault { name: "stream edited under load", inject: |it| Box::pin(edit(it)), ..FAULT },
    &Fault { name: "opened by the original", inject: |it| Box::pin(open_like_bones(it)), ..FAULT },
    &Fault {
        name: "no acknowledgements",
        // A refusal to open is what libchat says of such a stream.
        allow: Allow { codes: &["OUTCOME_UNKNOWN", "CONFLICT"], ..TOLD },
        trace: &["OUTCOME_UNKNOWN"],
        inject: |it| Box::pin(no_ack(it)),
        ..FAULT
    },
    &Fault {
        name: "duplicate window shorter than an outage",
        // Who repeats a call after the window stores twice: only the caller knows.
        plan: Plan { repeat: false, ..PLAN },
        trace: &["reconnects"],
        inject: |it| Box::pin(short_window(it)),
        ..FAULT
    },
];

async fn delete_consumers(scene: &mut Scene) {
    let admin = scene.admin();
    for _ in 0..5 {
        admin.delete_consumers().await;
        scene.flow().await;
    }
}

async fn purge(scene: &mut Scene) {
    for _ in 0..3 {
        scene.admin().purge(json!({})).await;
        scene.wipes();
        scene.flow().await;
    }
}

async fn purge_thread(scene: &mut Scene) {
    let subject = subject("t1");
    for _ in 0..3 {
        scene.admin().purge(json!({"filter": subject})).await;
        scene.wipes();
        scene.flow().await;
    }
}

async fn expire(scene: &mut Scene) {
    let age = |nanos: u64| json!({"max_age": nanos, "duplicate_window": 1_000_000_000});
    scene.admin().edit_stream(age(1_000_000_000)).await;
    sleep(Duration::from_secs(8)).await;
    scene.admin().edit_stream(json!({"max_age": 0})).await;
    scene.wipes();
}

async fn seal(scene: &mut Scene) {
    scene.admin().edit_stream(json!({"sealed": true})).await;
    scene.pause(500..1_500).await;
}

async fn delete(scene: &mut Scene) {
    scene.admin().delete_stream().await;
    scene.pause(200..1_500).await;
    scene.admin().make_stream(1).await;
    scene.wipes();
}

async fn remake(scene: &mut Scene) {
    scene.admin().delete_stream().await;
    scene.admin().make_stream(1).await;
    scene.wipes();
}

async fn restore(scene: &mut Scene) {
    let admin = scene.admin();
    let backup = backup::take(&admin).await;
    scene.flow().await;
    admin.delete_stream().await;
    backup::restore(&admin, &backup).await;
    scene.wipes();
}

async fn roll_back(scene: &mut Scene) {
    let saved = scene.site.save().await;
    scene.flow().await;
    scene.site.put_back(&saved).await;
    scene.wipes();
}

async fn edit(scene: &mut Scene) {
    let edits: [Value; 4] = [
        json!({"description": "tuned"}),
        json!({"max_msgs_per_subject": 100_000}),
        json!({"duplicate_window": 30_000_000_000_u64}),
        json!({"allow_direct": true, "max_msg_size": 1_000_000}),
    ];
    for edit in edits {
        scene.admin().edit_stream(edit).await;
        scene.flow().await;
    }
}

async fn open_like_bones(scene: &mut Scene) {
    scene.admin().edit_stream(json!({"duplicate_window": 60_000_000_000_u64})).await;
    for _ in 0..3 {
        let request = stream_with(json!({"max_age": 86_400_000_000_000_u64}));
        scene.admin().must("STREAM.UPDATE.chat-demo", request).await;
        scene.flow().await;
    }
}

async fn no_ack(scene: &mut Scene) {
    scene.admin().edit_stream(json!({"no_ack": true})).await;
    sleep(Duration::from_secs(11)).await;
    scene.admin().edit_stream(json!({"no_ack": false})).await;
}

async fn short_window(scene: &mut Scene) {
    scene.admin().edit_stream(json!({"duplicate_window": 400_000_000})).await;
    // Senders look at it again after a reconnect.
    scene.site.kill();
    scene.site.restart().await;
    scene.flow().await;
    scene.site.kill();
    scene.pause(1_000..4_000).await;
    scene.site.restart().await;
}
