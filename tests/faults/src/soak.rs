//! Half an hour of faults: nothing may grow but the stream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::actor::{Actor, Face};
use crate::admin::Admin;
use crate::proxy::Network;
use crate::scene::{self, FAULT, Fault, PLAN, Plan, Scene};
use crate::server::PATIENCE;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// By what it is of, in the order of time.
type Samples = BTreeMap<String, Vec<[u64; 3]>>;

const EVERY: Duration = Duration::from_secs(10);

/// Whether everything was as promised and nothing grew.
pub(crate) async fn run(options: Options) -> bool {
    let fault = Fault {
        name: "soak",
        plan: Plan { pause_ms: 100, ..PLAN },
        trace: &["reconnects", "resent", "reopens"],
        ..FAULT
    };
    let mut samples = Samples::new();
    let mut faults = BTreeMap::new();
    let mut scene = Scene::open(&fault, Face::Core, options.seed).await;
    let url = scene.site.url();
    let args = |name| ["watch", name, "*", "0", "256", "new"];
    let others = Face::OTHERS.map(|face| Actor::start(face, &url, &args(face.name()), &[]));
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    let mut next = Instant::now() + EVERY;
    while Instant::now() < end {
        let name = one_fault(&mut scene).await;
        *faults.entry(name).or_insert(0_u32) += 1;
        // Time to come to rest, so that what is sampled is not a fault.
        scene.sender.has("ok", scene.sender.count("ok") + 50, Duration::from_secs(30)).await;
        sleep(next.saturating_duration_since(Instant::now())).await;
        next = Instant::now() + EVERY;
        sample(&scene, &others, &mut samples).await;
    }
    println!("faults: {faults:?}");
    // Of the busy and the idle watch, of the other faces, and of a list under way.
    let mut clean = consumers_become(&scene.admin(), 2 + others.len() + 1).await;
    for mut other in others {
        clean &= other.finish().await;
    }
    let (verdict, site) = scene::finish(scene, &fault).await;
    clean &= consumers_become(&site.admin(), 0).await;
    println!("{} acked, {} lost, {} twice", verdict.acked, verdict.lost, verdict.twice);
    for text in &verdict.untrue {
        println!("    {text}");
    }
    clean & verdict.is_clean() & is_flat(&samples)
}

async fn one_fault(scene: &mut Scene) -> &'static str {
    match scene.rng.u8(0..6) {
        0 => {
            scene.site.kill();
            scene.pause(50..3_000).await;
            scene.site.restart().await;
            "server killed"
        }
        1 => {
            scene.site.servers[0].signal(Signal::STOP);
            scene.pause(100..4_000).await;
            scene.site.servers[0].signal(Signal::CONT);
            "server frozen"
        }
        2 => network(scene, Network::Cut, "connections cut").await,
        3 => network(scene, Network::HalfOpen, "connection half open").await,
        4 => network(scene, Network::Slow, "slow link").await,
        _ => {
            scene.admin().delete_consumers().await;
            "consumers deleted"
        }
    }
}

async fn network(scene: &mut Scene, network: Network, name: &'static str) -> &'static str {
    scene.site.network(network);
    scene.pause(50..4_000).await;
    scene.site.network(Network::Open);
    name
}

async fn sample(scene: &Scene, others: &[Actor], samples: &mut Samples) {
    let own = [&scene.sender, &scene.busy, &scene.idle, &scene.caller];
    for actor in own.into_iter().chain(others) {
        let name = format!("{} RSS KB, descriptors, threads", actor.name);
        samples.entry(name).or_default().push(of_process(actor.pid()));
    }
    for actor in [&scene.busy, &scene.caller] {
        let lines = actor.lines();
        let tasks = lines.iter().rev().find(|it| it.is("tasks")).map_or(0, |it| it.number(1));
        samples.entry(format!("{} tasks", actor.name)).or_default().push([tasks, 0, 0]);
    }
}

/// Whether no more are left when the server has forgotten those whose readers lost it (60 s).
async fn consumers_become(admin: &Admin, most: usize) -> bool {
    let begun = Instant::now();
    loop {
        let left = admin.consumers().await.len();
        let time = begun.elapsed();
        if left <= most || time > PATIENCE {
            println!("{left} consumers after {} s, at most {most} expected", time.as_secs());
            return left <= most;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Its RSS in KB, its descriptors and its threads.
fn of_process(pid: u32) -> [u64; 3] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let number = |key: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default()
    };
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    [number("VmRSS:"), descriptors as u64, number("Threads:")]
}

/// The medians of the second quarter of the time and of the last are much the same: the first has
/// what is made once.
fn is_flat(samples: &Samples) -> bool {
    println!("| of | early | late | most |");
    println!("|---|--:|--:|--:|");
    let mut flat = true;
    for (name, series) in samples {
        let quarter = (series.len() / 4).max(1);
        let early: Vec<_> = series.iter().skip(quarter).take(quarter).collect();
        let late: Vec<_> = series.iter().rev().take(quarter).collect();
        for n in 0..name.split(", ").count() {
            let early = median(early.iter().map(|it| it[n]));
            let late = median(late.iter().map(|it| it[n]));
            let most = series.iter().map(|it| it[n]).max().unwrap_or_default();
            let what = name.split(", ").nth(n).unwrap_or_default();
            // A tenth and a little: 2 MB, or two of what is counted.
            let slack = early / 10 + if what.ends_with("KB") { 2_048 } else { 2 };
            let grew = late > early + slack;
            flat &= !grew;
            println!("| {what} | {early} | {late} | {most} |{}", if grew { " grew" } else { "" });
        }
    }
    flat
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
