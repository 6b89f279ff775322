//! A nats-server of its own for each test, and what tests ask of it behind libchat's back.
#![allow(dead_code, unreachable_pub)] // each test file uses a part

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libchat::{
    Connection, Event, LocalServer, LocalServerOptions, Manager, Message, OpenOptions, SendOptions,
    Watch,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub mod proxy;

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct TestServer {
    folder: TempDir,
    server: LocalServer,
    options: LocalServerOptions,
}

impl TestServer {
    pub fn start() -> TestServer {
        TestServer::with_config("")
    }

    pub fn with_config(lines: &str) -> TestServer {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let options = LocalServerOptions {
            extra_config: Some(lines.to_owned()).filter(|it| !it.is_empty()),
            ..Default::default()
        };
        let server = LocalServer::start(folder.path(), &options).expect("nats-server starts");
        TestServer { folder, server, options }
    }

    /// As a crash would: SIGKILL.
    pub fn kill(&self) {
        self.server.kill().expect("nats-server is killed");
    }

    /// On the same port and store.
    pub fn restart(&mut self) {
        self.server =
            LocalServer::start(self.folder.path(), &self.options).expect("nats-server restarts");
    }

    pub fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill")
            .args([&format!("-{name}"), &self.server.pid().to_string()])
            .status();
        assert!(status.expect("kill runs").success());
        // The signal is on its way to threads that may run on.
        let begun = Instant::now();
        while name == "STOP" && !self.is_stopped() {
            assert!(begun.elapsed() < PATIENCE, "still not: stopped");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether every thread of the server is; elsewhere than on Linux that cannot be seen.
    fn is_stopped(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.server.pid()));
        tasks.into_iter().flatten().flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat"));
            stat.is_ok_and(|it| it.rsplit(") ").next().is_some_and(|it| it.starts_with('T')))
        })
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn server(&self) -> &LocalServer {
        &self.server
    }

    pub async fn connect(&self) -> Connection {
        libchat::connect(self.server.connect_options()).await.expect("connects")
    }

    /// `agent` in project `demo`, on a connection of its own.
    pub async fn open(&self, agent: &str) -> Manager {
        self.open_with(agent, OpenOptions::default()).await
    }

    pub async fn open_with(&self, agent: &str, options: OpenOptions) -> Manager {
        self.connect().await.open("demo", agent, options).await.expect("opens")
    }

    /// A plain NATS client.
    pub async fn client(&self) -> async_nats::Client {
        let password = self.server.password().to_owned();
        async_nats::ConnectOptions::with_user_and_password(self.server.user().to_owned(), password)
            .connect(self.server.url())
            .await
            .expect("a plain client connects")
    }

    /// A JetStream API request: `api("STREAM.PURGE.chat-demo", json!({}))`.
    pub async fn api(&self, verb: &str, request: Value) -> Value {
        api(&self.client().await, verb, request).await
    }

    /// Publishes any payload under a subject of the stream and waits until it is stored.
    pub async fn store(&self, subject: &str, payload: &[u8]) -> u64 {
        let reply = self.client().await.request(subject.to_owned(), payload.to_vec().into()).await;
        let ack: Value = serde_json::from_slice(&reply.expect("an answer").payload).expect("JSON");
        ack["seq"].as_u64().unwrap_or_else(|| panic!("not stored: {ack}"))
    }

    pub async fn consumers(&self) -> u64 {
        self.api("STREAM.INFO.chat-demo", json!({})).await["state"]["consumer_count"]
            .as_u64()
            .expect("count")
    }

    /// Waits until the stream has `n` consumers.
    pub async fn consumers_become(&self, n: u64) {
        let client = self.client().await;
        eventually(&format!("{n} consumers"), || async {
            let info = api(&client, "STREAM.INFO.chat-demo", json!({})).await;
            info["state"]["consumer_count"] == n
        })
        .await;
    }

    /// The names of the stream's consumers.
    pub async fn consumer_names(&self) -> Vec<String> {
        let names = self.api("CONSUMER.NAMES.chat-demo", json!({})).await;
        let names = names["consumers"].as_array().cloned().unwrap_or_default();
        names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Err(error) = self.server.kill() {
            figure(format!("nats-server is left behind: {error:#}"));
        }
    }
}

pub async fn api(client: &async_nats::Client, verb: &str, request: Value) -> Value {
    let reply = client.request(format!("$JS.API.{verb}"), request.to_string().into()).await;
    serde_json::from_slice(&reply.expect("the API answers").payload).expect("JSON")
}

/// Asks again until `holds`, or fails saying `what` did not come about.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails instead of hanging.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("hangs: {what}"))
}

pub async fn send(manager: &Manager, thread: &str, body: &str) -> libchat::Receipt {
    manager.send(thread, body, SendOptions::default()).await.expect("stored")
}

/// Sends `thread` the bodies `from..to`, one after the other.
pub async fn send_numbers(manager: &Manager, thread: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        send(manager, thread, &n.to_string()).await;
    }
}

pub async fn next(watch: &Watch) -> Arc<Message> {
    within("the next message", watch.next()).await.expect("the watch lives")
}

pub async fn next_event(watch: &Watch) -> Event {
    within("the next event", watch.next_event()).await.expect("the watch lives")
}

/// An event in one word and number, for comparing whole sequences: `message 7`, `gap 3..9`.
pub fn show(event: &Event) -> String {
    match event {
        Event::Message(message) => format!("message {}", message.body),
        Event::CaughtUp { .. } => "caught up".into(),
        Event::Gap { after, until } => format!("gap {}..{}", after.seq, until.seq),
        Event::Reset { .. } => "reset".into(),
        Event::Malformed { cursor } => format!("malformed {}", cursor.seq),
        Event::Stalled { .. } => "stalled".into(),
        Event::Resumed => "resumed".into(),
        other => format!("{other:?}"),
    }
}

/// The next `n` events, shown.
pub async fn events(watch: &Watch, n: usize) -> Vec<String> {
    let mut shown = Vec::new();
    for _ in 0..n {
        shown.push(show(&next_event(watch).await));
    }
    shown
}

/// The bodies of the next `n` messages, as numbers.
pub async fn numbers(watch: &Watch, n: usize) -> Vec<usize> {
    let mut numbers = Vec::with_capacity(n);
    for _ in 0..n {
        numbers.push(next(watch).await.body.parse().expect("a number"));
    }
    numbers
}

/// Prints a measured figure, for the note and not for a verdict.
#[allow(clippy::print_stdout)]
pub fn figure(text: String) {
    println!("figure: {text}");
}

/// Whether the full length of a test was asked for (`make test-long`).
pub fn long() -> bool {
    std::env::var_os("LIBCHAT_TEST_LONG").is_some()
}

impl TestServer {
    /// On the same port and store, with other lines of configuration.
    pub fn restart_with(&mut self, lines: &str) {
        self.options.extra_config = Some(lines.to_owned());
        self.restart();
    }

    /// Changes the stream's settings behind everybody's back.
    pub async fn update_stream(&self, settings: Value) {
        let done = self.api("STREAM.UPDATE.chat-demo", stream_with(settings)).await;
        assert!(done["error"].is_null(), "{done}");
    }

    /// Deletes the stream and makes it anew, empty.
    pub async fn remake_stream(&self) {
        let deleted = self.api("STREAM.DELETE.chat-demo", json!({})).await;
        assert_eq!(deleted["success"], true);
        let made = self.api("STREAM.CREATE.chat-demo", stream_with(json!({}))).await;
        assert!(made["error"].is_null(), "{made}");
    }

    /// Stores `payload` with these very header bytes, by the raw protocol.
    pub fn store_raw(&self, subject: &str, headers: &[u8], payload: &str) {
        let server = &self.server;
        let address = server.url().trim_start_matches("nats://");
        let mut socket = TcpStream::connect(address).expect("connects");
        let login = json!({"user": server.user(), "pass": server.password(), "verbose": false,
            "pedantic": false, "headers": true, "protocol": 1});
        let total = headers.len() + payload.len();
        write!(socket, "CONNECT {login}\r\nHPUB {subject} {} {total}\r\n", headers.len())
            .expect("writes");
        socket.write_all(headers).expect("writes");
        write!(socket, "{payload}\r\nPING\r\n").expect("writes");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("PONG\r\n") {
            let mut part = [0; 4096];
            let read = socket.read(&mut part).expect("reads");
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..read]);
        }
    }

    /// How many lines of the server's log contain `text`.
    pub fn log_lines(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(self.server.log_file());
        log.expect("a log").lines().filter(|line| line.contains(text)).count()
    }

    /// How many messages are stored.
    pub async fn stored(&self) -> u64 {
        let info = self.api("STREAM.INFO.chat-demo", json!({})).await;
        info["state"]["messages"].as_u64().expect("a count")
    }
}

/// The stream of project `demo` with these settings.
pub fn stream_with(settings: Value) -> Value {
    let mut stream = json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "storage": "file"});
    let settings = settings.as_object().expect("settings").clone();
    stream.as_object_mut().expect("an object").extend(settings);
    stream
}

/// `user`, password `pw`, in project `demo` under its own name: for accounts made by configuration.
pub async fn open_as(server: &TestServer, user: &str) -> Manager {
    let options = libchat::ConnectOptions {
        servers: Some(server.server().url().to_owned()),
        user: Some(user.to_owned()),
        password: Some("pw".to_owned()),
        ..Default::default()
    };
    let connection = libchat::connect(options).await.expect("connects");
    connection.open("demo", user, OpenOptions::default()).await.expect("opens")
}

/// What the watch tells up to the event that shows as `last`; what it says of its source is left
/// out.
pub async fn events_until(watch: &Watch, last: &str) -> Vec<String> {
    let mut shown = Vec::new();
    while shown.last().is_none_or(|it| it != last) {
        let event = show(&next_event(watch).await);
        if !["caught up", "stalled", "resumed"].contains(&event.as_str()) {
            shown.push(event);
        }
    }
    shown
}

/// Messages as [`show`] shows them.
pub fn messages(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("message {n}")).collect()
}

/// The subject of a thread of project `demo`.
pub fn subject(thread: &str) -> String {
    format!("chat.demo.{}", libchat::thread_short("demo", thread).expect("a short"))
}

/// A stranger's client, which does not hear itself.
pub async fn eve(server: &TestServer) -> async_nats::Client {
    let local = server.server();
    async_nats::ConnectOptions::with_user_and_password(
        local.user().to_owned(),
        local.password().to_owned(),
    )
    .no_echo()
    .connect(local.url())
    .await
    .expect("eve connects")
}

/// Subscribed when it returns: the server works in turn.
pub async fn hear(client: &async_nats::Client, subject: &str) -> async_nats::Subscriber {
    let heard = client.subscribe(subject.to_owned()).await.expect("subscribes");
    api(client, "INFO", json!({})).await;
    heard
}
