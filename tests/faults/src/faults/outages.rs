//! The server, the cluster or the network between goes away and comes back.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use crate::judge::Allow;
use crate::proxy::Network;
use crate::scene::{FAULT, Fault, PLAN, Plan, Scene, TOLD};
use crate::server::PATIENCE;

const OUTAGE: Fault = Fault { trace: &["reconnects", "resent", "reopens"], ..FAULT };

/// The server is killed under calls of one kind.
const fn killed_during(name: &'static str, verb: &'static str) -> Fault {
    let plan = Plan { verb, ..PLAN };
    Fault { name, plan, inject: |it| Box::pin(kills(it)), ..OUTAGE }
}

pub(super) const ALL: &[&Fault] = &[
    &Fault { name: "server killed", inject: |it| Box::pin(kill(it)), ..OUTAGE },
    &killed_during("server killed during open", "open"),
    &killed_during("server killed during list", "list"),
    &killed_during("server killed during history", "history"),
    &killed_during("server killed during threads_for_agent", "agent"),
    &Fault {
        plan: Plan { verb: "request", ..PLAN },
        allow: Allow {
            codes: &["TIMEOUT", "DISCONNECTED", "OUTCOME_UNKNOWN", "NO_RESPONDERS"],
            ..TOLD
        },
        ..killed_during("server killed during request", "request")
    },
    &Fault { name: "server frozen 10 s", inject: |it| Box::pin(freeze(it)), ..OUTAGE },
    &Fault { name: "connections cut", inject: |it| Box::pin(cut(it)), ..OUTAGE },
    &Fault { name: "connection half open", inject: |it| Box::pin(half_open(it)), ..OUTAGE },
    &Fault { name: "slow link", inject: |it| Box::pin(slow(it)), trace: &[], ..OUTAGE },
    &Fault {
        name: "server in lame-duck mode",
        settings: |it| it.top = "lame_duck_duration: 30s\nlame_duck_grace_period: 1s".to_owned(),
        inject: |it| Box::pin(lame_duck(it)),
        ..OUTAGE
    },
    &Fault { name: "leader killed", cluster: true, inject: |it| Box::pin(leader(it)), ..OUTAGE },
    &Fault {
        name: "leader killed 3 times in 10,000 sends",
        cluster: true,
        plan: Plan { threads: 8, pause_ms: 0, ..PLAN },
        inject: |it| Box::pin(leaders(it)),
        ..OUTAGE
    },
    &Fault {
        name: "two of three killed",
        cluster: true,
        inject: |it| Box::pin(two_of_three(it)),
        ..OUTAGE
    },
];

async fn kill(scene: &mut Scene) {
    scene.site.kill();
    scene.pause(50..2_000).await;
    scene.site.restart().await;
}

async fn kills(scene: &mut Scene) {
    for _ in 0..3 {
        kill(scene).await;
        scene.flow().await;
    }
}

async fn freeze(scene: &mut Scene) {
    scene.site.servers[0].signal(Signal::STOP);
    sleep(Duration::from_secs(10)).await;
    scene.site.servers[0].signal(Signal::CONT);
}

async fn cut(scene: &mut Scene) {
    for _ in 0..5 {
        scene.site.network(Network::Cut);
        scene.pause(0..500).await;
        scene.site.network(Network::Open);
        scene.flow().await;
    }
}

async fn half_open(scene: &mut Scene) {
    scene.site.network(Network::HalfOpen);
    scene.pause(1_000..12_000).await;
    scene.site.network(Network::Open);
}

async fn slow(scene: &mut Scene) {
    scene.site.network(Network::Slow);
    sleep(Duration::from_secs(6)).await;
    let lines = scene.sender.lines();
    let slow = lines.iter().any(|it| it.is("ok") && it.number(5) >= 200);
    assert!(slow, "no send was slow: the fault was not hit");
    scene.site.network(Network::Open);
}

async fn lame_duck(scene: &mut Scene) {
    scene.site.servers[0].signal(Signal::USR2);
    scene.pause(1_000..4_000).await;
    scene.site.kill();
    scene.site.restart().await;
}

async fn leader(scene: &mut Scene) {
    let leader = scene.site.leader().await;
    scene.site.servers[leader].kill();
    scene.pause(500..6_000).await;
    scene.site.servers[leader].restart().await;
}

async fn leaders(scene: &mut Scene) {
    for sent in [2_500, 5_000, 7_500] {
        scene.sender.has("ok", sent, PATIENCE).await;
        leader(scene).await;
    }
    scene.sender.has("ok", 10_000, PATIENCE).await;
}

async fn two_of_three(scene: &mut Scene) {
    let one = scene.rng.usize(0..3);
    let two = (one + 1) % 3;
    scene.site.servers[one].kill();
    scene.site.servers[two].kill();
    scene.pause(500..4_000).await;
    scene.site.servers[one].restart().await;
    scene.pause(0..1_000).await;
    scene.site.servers[two].restart().await;
}
