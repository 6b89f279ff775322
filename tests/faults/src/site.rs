//! Where agents talk: one server behind a network that can be broken, or a cluster of three.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::admin::Admin;
use crate::proxy::{Network, Proxy};
use crate::server::{Server, Settings, address, free_ports};

/// Now and then another program is given a free port first.
const TRIES: usize = 5;

pub(crate) struct Site {
    pub(crate) servers: Vec<Server>,
    proxy: Option<Proxy>,
    pub(crate) disk: Option<Disk>,
    folder: TempDir,
}

/// A disk of the server's own, in memory. Where nothing may be mounted, the server is told that it
/// has so much.
pub(crate) struct Disk(Option<PathBuf>);

impl Disk {
    fn new(server: &mut Server, mb: u32) -> Disk {
        let folder = server.store();
        std::fs::create_dir(&folder).expect("a folder");
        if mount(&folder, &format!("size={mb}m")) {
            return Disk(Some(folder));
        }
        println!("not run: a full disk (nothing may be mounted here); max_file_store instead");
        server.settings.store = format!("max_file_store: {mb}MB");
        Disk(None)
    }

    /// For a server that is stopped.
    pub(crate) fn grow(&self, server: &mut Server, mb: u32) {
        match &self.0 {
            Some(folder) => assert!(mount(folder, &format!("remount,size={mb}m"))),
            None => server.settings.store = format!("max_file_store: {mb}MB"),
        }
    }
}

fn mount(folder: &Path, options: &str) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "libchat-faults"]).arg(folder);
    mount.stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            let ended = Command::new("umount").arg(folder).status();
            if !ended.is_ok_and(|it| it.success()) {
                println!("left behind: a disk mounted at {}", folder.display());
            }
        }
    }
}

impl Site {
    /// One server, with the stream of project `demo`.
    pub(crate) async fn single(settings: Settings) -> Site {
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let port = free_ports(1)[0];
            let mut server = Server::new(folder.path(), "s0", port, settings.clone());
            let disk = settings.disk_mb.map(|mb| Disk::new(&mut server, mb));
            server.launch();
            if server.is_up().await.is_none() {
                continue;
            }
            let proxy = Some(Proxy::start(port).await);
            let site = Site { servers: vec![server], proxy, disk, folder };
            site.admin().make_stream(1).await;
            return site;
        }
        panic!("nats-server ends, again and again: is its configuration right?");
    }

    /// Three servers, with the stream of project `demo` on each.
    pub(crate) async fn cluster(settings: Settings) -> Site {
        'ports: for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let ports = free_ports(6);
            let (clients, routes) = ports.split_at(3);
            let server = |n: usize| {
                let name = format!("s{n}");
                Server::new(folder.path(), &name, clients[n], settings.clone())
                    .in_cluster(routes[n], routes)
            };
            let mut servers: Vec<Server> = (0..3).map(server).collect();
            servers.iter_mut().for_each(Server::launch);
            for server in &mut servers {
                if server.is_up().await.is_none() {
                    continue 'ports;
                }
            }
            let site = Site { servers, proxy: None, disk: None, folder };
            site.admin().make_stream(3).await;
            return site;
        }
        panic!("nats-server ends, again and again: is its configuration right?");
    }

    /// What agents are told.
    pub(crate) fn url(&self) -> String {
        let servers = self.servers.iter().map(|it| it.url("agent"));
        match &self.proxy {
            Some(proxy) => address("agent", proxy.port),
            None => servers.collect::<Vec<_>>().join(","),
        }
    }

    /// The operator, who comes in past the broken network.
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(self.servers.iter().map(|it| it.url("admin")).collect())
    }

    pub(crate) fn network(&self, network: Network) {
        self.proxy.as_ref().expect("a single server has one").set(network);
    }

    pub(crate) fn kill(&mut self) {
        self.servers[0].kill();
    }

    pub(crate) async fn restart(&mut self) -> Instant {
        self.servers[0].restart().await
    }

    /// Has the servers read what `change` made of their settings.
    pub(crate) async fn reload(&mut self, change: impl Fn(&mut Settings)) {
        self.servers.iter_mut().for_each(|it| change(&mut it.settings));
        join_all(self.servers.iter().map(Server::reload)).await;
    }

    /// The place of the server that leads the stream.
    pub(crate) async fn leader(&self) -> usize {
        let admin = self.admin();
        loop {
            let info = admin.stream().await;
            let leader = info["cluster"]["leader"].as_str().unwrap_or_default();
            if let Some(at) = self.servers.iter().position(|it| it.name == leader) {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A copy of the store, taken while the server is stopped.
    pub(crate) async fn save(&mut self) -> PathBuf {
        self.kill();
        let saved = self.folder.path().join("saved");
        copy(&self.servers[0].store(), &saved);
        self.restart().await;
        saved
    }

    /// Puts a copy in the place of the store, the server being stopped meanwhile.
    pub(crate) async fn put_back(&mut self, saved: &Path) {
        self.kill();
        let store = self.servers[0].store();
        std::fs::remove_dir_all(&store).expect("the store is removed");
        copy(saved, &store);
        self.restart().await;
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.expect("cp runs").success());
}
