//! How long after a restart of the server a watch tells its first message, beside rivals: all
//! watch the same thread of the same server at the same time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::actor::{Actor, Face};
use crate::admin::{short, subject};
use crate::server::{PATIENCE, Settings};
use crate::site::Site;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 30)]
    rounds: usize,
}

const FACES: [Face; 6] =
    [Face::Core, Face::C, Face::Python, Face::Go, Face::NatsGo, Face::AsyncNats];

/// Whether libchat lost and repeated nothing.
pub(crate) async fn run(options: Options) -> bool {
    let mut site = Site::single(Settings::default()).await;
    // Nobody's proxy: it would be one of the things measured.
    let url = site.servers[0].url("agent");
    let start = |face: Face| {
        let args = ["watch", face.name(), "t0", "0", "256", "new"];
        Actor::start(face, &url, &args, &[("FAULTS_THREADS", "t0")])
    };
    let watches = FACES.map(start);
    for watch in &watches {
        assert!(watch.has("ready", 1, PATIENCE).await, "{} is not ready", watch.name);
    }
    let talk = Arc::new(Talk::default());
    let talking = tokio::spawn(talk.clone().run(site.servers[0].url("admin")));
    let mut ups = Vec::new();
    for _ in 0..options.rounds {
        sleep(Duration::from_millis(500)).await;
        site.kill();
        sleep(Duration::from_millis(200)).await;
        let up = site.restart().await;
        for watch in &watches {
            let back = watch.until(Duration::from_secs(15), |lines| {
                lines.iter().any(|it| it.is("got") && it.at > up)
            });
            back.await;
        }
        ups.push(up);
    }
    talk.stop.store(true, Ordering::Relaxed);
    talking.await.expect("the talk ends");
    let total = talk.stored.load(Ordering::Relaxed);
    for watch in &watches {
        watch
            .has("got", usize::try_from(total).unwrap_or(usize::MAX), Duration::from_secs(15))
            .await;
    }
    print(&watches, &ups, total)
}

/// Says something every 5 ms, each thing until it is stored.
#[derive(Default)]
struct Talk {
    stop: AtomicBool,
    stored: AtomicU64,
}

impl Talk {
    async fn run(self: Arc<Talk>, url: String) {
        let subject = subject("t0");
        let mut client = None;
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.stored.load(Ordering::Relaxed);
            let id = format!("talk-{n}");
            let payload = json!({"id": id, "from": "talk", "thread": short("t0"),
                "body": n.to_string(), "timestamp": "2026-01-01T00:00:00Z", "thread_name": "t0"});
            if client.is_none() {
                // Made anew each time: a client's own pauses would be measured too.
                let options = async_nats::ConnectOptions::new();
                let options = options.user_and_password("admin".to_owned(), "pw".to_owned());
                client = options.connect(&url).await.ok();
            }
            let Some(connected) = &client else {
                sleep(Duration::from_millis(2)).await;
                continue;
            };
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", id.as_str());
            let request = async_nats::Request::new()
                .payload(payload.to_string().into())
                .headers(headers)
                .timeout(Some(Duration::from_millis(100)));
            match connected.send_request(subject.clone(), request).await {
                Ok(_) => _ = self.stored.fetch_add(1, Ordering::Relaxed),
                Err(_) => client = None,
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn print(watches: &[Actor], ups: &[Instant], total: u64) -> bool {
    println!("{} restarts, {total} messages", ups.len());
    println!("| watch | back after ms, p50 | p99 | lost | twice | out of order |");
    println!("|---|--:|--:|--:|--:|--:|");
    let mut clean = true;
    for (watch, face) in watches.iter().zip(FACES) {
        let lines = watch.lines();
        let got: Vec<_> = lines.iter().filter(|it| it.is("got")).collect();
        let numbers: Vec<u64> = got.iter().map(|it| it.number(2)).collect();
        let once: HashSet<u64> = numbers.iter().copied().collect();
        let lost = total - once.len() as u64;
        let twice = numbers.len() - once.len();
        let disordered = numbers.windows(2).filter(|two| two[1] < two[0]).count();
        let back = ups
            .iter()
            .filter_map(|up| got.iter().find(|it| it.at > *up).map(|it| (it.at - *up).as_millis()));
        let mut back: Vec<u128> = back.collect();
        back.sort_unstable();
        let at = |part: usize| back.get((back.len() * part / 100).min(back.len() - 1));
        let (p50, p99) = (at(50).unwrap_or(&0), at(99).unwrap_or(&0));
        println!("| {} | {p50} | {p99} | {lost} | {twice} | {disordered} |", face.name());
        let is_rival = matches!(face, Face::NatsGo | Face::AsyncNats);
        clean &= is_rival || lost == 0 && twice == 0 && disordered == 0;
    }
    clean
}
