//! The real program, in a scratch folder with a server of its own.
#![allow(dead_code, unreachable_pub)] // each test file uses a part

pub mod schema;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use libchat::{Cursor, LocalServer, LocalServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the machine a test runs on may have set.
const VARIABLES: [&str; 18] = [
    "CLICOLOR_FORCE",
    "LIBCHAT_AGENT",
    "LIBCHAT_LOG",
    "LIBCHAT_PROJECT",
    "LIBCHAT_URL",
    "NATS_CA",
    "NATS_CERT",
    "NATS_CONTEXT",
    "NATS_CREDS",
    "NATS_KEY",
    "NATS_NKEY",
    "NATS_PASSWORD",
    "NATS_TIMEOUT",
    "NATS_TOKEN",
    "NATS_URL",
    "NATS_USER",
    "NO_COLOR",
    "XDG_CONFIG_HOME",
];

/// A folder named `shop`, for `ana`. Its server is killed with it.
pub struct Shop {
    scratch: TempDir,
}

/// The one that make has been told of, or has installed.
pub fn nats_server() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/nats-server");
    std::env::var_os("LIBCHAT_NATS_SERVER").map_or_else(|| installed.into(), PathBuf::from)
}

impl Shop {
    /// Without a server.
    pub fn closed() -> Shop {
        let shop = Shop { scratch: tempfile::tempdir().expect("a scratch folder") };
        std::fs::create_dir(shop.path()).expect("folder shop");
        shop
    }

    pub fn open() -> Shop {
        let shop = Shop::closed();
        shop.ok(&["up"]);
        shop
    }

    /// With these lines in the configuration of its server, `{password}` replaced.
    pub fn open_with(config: &str) -> Shop {
        let shop = Shop::open();
        let password = shop.server().password().to_owned();
        LocalServer::stop(&shop.path()).expect("stops");
        let extra_config = Some(config.replace("{password}", &password));
        let options = LocalServerOptions { extra_config, ..Default::default() };
        LocalServer::start(&shop.path(), &options).expect("starts again");
        shop
    }

    pub fn path(&self) -> PathBuf {
        self.scratch.path().canonicalize().expect("scratch folder").join("shop")
    }

    pub fn server(&self) -> LocalServer {
        LocalServer::find(&self.path()).expect("hub.json").expect("a server runs")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_libchat"));
        command.args(args).current_dir(self.path());
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.env("HOME", self.scratch.path()).env("USER", "ana").env("TZ", "UTC");
        command.env("LIBCHAT_NATS_SERVER", nats_server());
        command
    }

    pub fn spawn(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args), "")
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.spawn(args).end()
    }

    /// What a command that does well prints.
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// The one JSON document a command prints, checked against its schema.
    pub fn json(&self, args: &[&str], schema: &str) -> Value {
        let [line] = self.json_lines(args).try_into().expect("one line");
        schema::check(schema, &line);
        line
    }

    pub fn json_lines(&self, args: &[&str]) -> Vec<Value> {
        let args = [args, &["--json"]].concat();
        self.ok(&args).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Stores a message; gives its place.
    pub fn send(&self, thread: &str, body: &str) -> Cursor {
        let receipt = self.json(&["send", thread, body], "receipt");
        text(&receipt["cursor"]).parse().expect("a cursor")
    }

    pub fn send_numbers(&self, thread: &str, numbers: std::ops::Range<usize>) {
        for n in numbers {
            self.send(thread, &n.to_string());
        }
    }

    /// An answer to a request of JetStream's API, behind libchat's back.
    pub fn api(&self, verb: &str, request: &str) -> Value {
        self.request(&format!("$JS.API.{verb}"), request)
    }

    /// What is answered to a publish on any subject.
    pub fn request(&self, subject: &str, payload: &str) -> Value {
        let server = self.server();
        let stream = TcpStream::connect(server.url().trim_start_matches("nats://"));
        let mut stream = stream.expect("connects");
        let login = json!({"verbose": false, "user": server.user(), "pass": server.password()});
        let publish = format!("PUB {subject} answer {}\r\n{payload}\r\n", payload.len());
        write!(stream, "CONNECT {login}\r\nSUB answer 1\r\n{publish}").expect("writes");
        let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
        lines.by_ref().find(|line| line.starts_with("MSG answer ")).expect("an answer");
        serde_json::from_str(&lines.next().expect("its payload")).expect("JSON")
    }

    pub fn consumers(&self) -> u64 {
        let info = self.api("STREAM.INFO.chat-shop", "");
        info["state"]["consumer_count"].as_u64().unwrap_or_else(|| panic!("{info}"))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Ok(Some(server)) = LocalServer::find(&self.path()) {
            let killed = server.kill();
            let message = "nats-server is left behind";
            assert!(killed.is_ok() || thread::panicking(), "{message}: {killed:?}");
        }
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("text: {value}"))
}

/// A command that has ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> String {
        self.code(0).stdout
    }

    #[track_caller]
    pub fn code(self, code: i32) -> Ran {
        let Ran { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "stdout: {stdout}stderr: {stderr}");
        self
    }

    /// The error a command under --json ends with, checked against its schema.
    #[track_caller]
    pub fn error(self, code: i32) -> Value {
        let ran = self.code(code);
        let error: Value = serde_json::from_str(ran.stderr.trim()).expect("one error on stderr");
        schema::check("error", &error);
        error["error"].clone()
    }
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command, input: &str) -> Running {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("libchat runs");
        let mut stdin = child.stdin.take().expect("stdin");
        stdin.write_all(input.as_bytes()).expect("input");
        let stdout = lines(child.stdout.take().expect("stdout"));
        let stderr = lines(child.stderr.take().expect("stderr"));
        Running { child, stdout, stderr }
    }

    /// The next line of standard output.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line.trim_end().to_owned(),
            Err(_) => panic!("no line; stderr: {:?}", self.stderr.try_iter().collect::<Vec<_>>()),
        }
    }

    #[track_caller]
    pub fn json(&self, schema: &str) -> Value {
        let value = serde_json::from_str(&self.line()).expect("JSON");
        schema::check(schema, &value);
        value
    }

    /// Waits for a line on standard error that holds `words`.
    #[track_caller]
    pub fn notice(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.stderr.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("stderr never says {words:?}"));
            if line.contains(words) {
                return line.trim_end().to_owned();
            }
        }
    }

    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end, with what it has not been asked for yet.
    pub fn end(mut self) -> Ran {
        let status = ended(&mut self.child);
        let rest = |lines: &Receiver<String>| -> String {
            std::iter::from_fn(|| lines.recv_timeout(PATIENCE).ok()).collect()
        };
        Ran { code: status.code(), stdout: rest(&self.stdout), stderr: rest(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
    assert!(status.expect("kill runs").success());
}

/// Waits for the end of a process.
pub fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whole lines as they come; what a killed process has not finished is none.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            let read = reader.read_line(&mut line);
            if !matches!(read, Ok(1..)) || !line.ends_with('\n') || sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("write");
}
