//! The agents' own processes and clocks.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use crate::scene::{FAULT, Fault, PLAN, Plan, Scene};

pub(super) const ALL: &[&Fault] = &[
    &Fault { name: "agent killed, resumed", inject: |it| Box::pin(kill_agents(it)), ..FAULT },
    &Fault {
        name: "agent frozen 12 s",
        inject: |it| Box::pin(freeze_watch(it)),
        trace: &["reopens", "reconnects", "detaches"],
        ..FAULT
    },
    &Fault {
        name: "sender's clock a day off",
        plan: Plan { clock: true, ..PLAN },
        inject: |it| Box::pin(set_clock(it)),
        ..FAULT
    },
    &Fault {
        name: "suspended with sends in flight",
        plan: Plan { clock: true, repeat: false, ..PLAN },
        trace: &["OUTCOME_UNKNOWN"],
        inject: |it| Box::pin(suspend(it)),
        ..FAULT
    },
];

async fn kill_agents(scene: &mut Scene) {
    for _ in 0..3 {
        let away = Duration::from_millis(scene.rng.u64(0..1_000));
        scene.resume_busy(away).await;
        scene.restart_sender().await;
        scene.flow().await;
    }
}

async fn freeze_watch(scene: &mut Scene) {
    scene.busy.signal(Signal::STOP);
    sleep(Duration::from_secs(12)).await;
    scene.busy.signal(Signal::CONT);
}

async fn set_clock(scene: &mut Scene) {
    for seconds in [86_400, -86_400, 0] {
        scene.set_clock(seconds);
        scene.flow().await;
    }
}

/// The machine sleeps with sends on their way to a server that does not answer; when it wakes, the
/// server may have forgotten their ids.
async fn suspend(scene: &mut Scene) {
    scene.site.servers[0].signal(Signal::STOP);
    scene.pause(200..1_500).await;
    scene.sender.signal(Signal::STOP);
    scene.set_clock(300);
    scene.sender.signal(Signal::CONT);
    sleep(Duration::from_secs(4)).await;
    scene.site.servers[0].signal(Signal::CONT);
}
