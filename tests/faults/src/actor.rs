//! An agent: a process that prints what it does and is told, line by line (README.md).

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

/// What an agent is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Core,
    C,
    Python,
    Go,
    /// The original's format by plain nats.go, without libchat.
    NatsGo,
    /// An ordered consumer of async-nats, without libchat.
    AsyncNats,
}

impl Face {
    pub(crate) const OTHERS: [Face; 3] = [Face::C, Face::Python, Face::Go];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Face::Core => "core",
            Face::C => "C",
            Face::Python => "Python",
            Face::Go => "Go",
            Face::NatsGo => "nats.go",
            Face::AsyncNats => "async-nats",
        }
    }

    /// The program and its first arguments; scripts/faults builds those that are not this one.
    fn command(self) -> Command {
        let this = || std::env::current_exe().expect("this program's path");
        let (program, first) = match self {
            Face::Core => (this(), Some("agent")),
            Face::AsyncNats => (this(), Some("rival")),
            Face::C => (built("c"), None),
            Face::Python => (built("python"), None),
            Face::Go => (built("go"), None),
            Face::NatsGo => (built("go"), Some("plain")),
        };
        let mut command = Command::new(program);
        command.args(first);
        command
    }
}

/// Where scripts/faults builds the agents that are not this program.
pub(crate) fn agents_folder() -> Option<PathBuf> {
    std::env::var_os("LIBCHAT_FAULTS_AGENTS").map(PathBuf::from)
}

/// One of them.
pub(crate) fn built(name: &str) -> PathBuf {
    agents_folder().expect("LIBCHAT_FAULTS_AGENTS: run scripts/faults, which sets it").join(name)
}

/// The harness's own line in a journal: here it asked the agent to end.
pub(crate) const FINISH: &str = "finish";

/// A line, and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) words: Vec<String>,
}

impl Line {
    pub(crate) fn word(&self, n: usize) -> &str {
        self.words.get(n).map_or("", String::as_str)
    }

    /// A number; 0 if it is none.
    pub(crate) fn number(&self, n: usize) -> u64 {
        self.word(n).parse().unwrap_or_default()
    }

    pub(crate) fn is(&self, first: &str) -> bool {
        self.word(0) == first
    }
}

#[derive(Default)]
struct Journal(Mutex<Vec<Line>>);

impl Journal {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are then.
    fn push(&self, line: Line) -> usize {
        let mut lines = self.lines();
        lines.push(line);
        lines.len()
    }
}

pub(crate) struct Actor {
    pub(crate) name: String,
    process: Child,
    input: Option<ChildStdin>,
    journal: Arc<Journal>,
    /// How many lines there are; closed when there will be no more.
    count: watch::Receiver<usize>,
}

impl Actor {
    /// `args` is the role, the name, and what the role takes.
    pub(crate) fn start(face: Face, url: &str, args: &[&str], env: &[(&str, &str)]) -> Actor {
        let mut command = face.command();
        command.args(args).env("LIBCHAT_URL", url).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.kill_on_drop(true).spawn().expect("the agent starts");
        let journal = Arc::<Journal>::default();
        let (told, count) = watch::channel(0);
        let output = process.stdout.take().expect("piped");
        tokio::spawn(read(output, journal.clone(), told));
        let input = process.stdin.take();
        Actor { name: args[1].to_owned(), process, input, journal, count }
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.journal.lines().clone()
    }

    pub(crate) fn count(&self, first: &str) -> usize {
        self.journal.lines().iter().filter(|it| it.is(first)).count()
    }

    /// Waits until the lines are as wished, or there will be no more, or `patience` is at its end.
    /// Whether they are.
    pub(crate) async fn until(
        &self,
        patience: Duration,
        mut holds: impl FnMut(&[Line]) -> bool,
    ) -> bool {
        let mut count = self.count.clone();
        let wait = async {
            loop {
                if holds(&self.lines()) {
                    return true;
                }
                // Judging costs more than a line: not for each of them.
                tokio::time::sleep(Duration::from_millis(5)).await;
                if count.changed().await.is_err() {
                    return holds(&self.lines());
                }
            }
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(false)
    }

    /// Waits for so many lines that begin with this word.
    pub(crate) async fn has(&self, first: &str, n: usize, patience: Duration) -> bool {
        self.until(patience, |lines| lines.iter().filter(|it| it.is(first)).count() >= n).await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("a signal");
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.expect("the agent is killed");
        self.all_read().await;
    }

    /// Asks it to end; `false` if it does not within 10 s, or not well.
    pub(crate) async fn finish(&mut self) -> bool {
        self.journal.push(Line { at: Instant::now(), words: vec![FINISH.to_owned()] });
        drop(self.input.take());
        let ended = tokio::time::timeout(Duration::from_secs(10), self.process.wait()).await;
        match ended {
            Ok(status) => {
                self.all_read().await;
                status.is_ok_and(|it| it.success())
            }
            Err(_) => {
                self.kill().await;
                false
            }
        }
    }

    async fn all_read(&self) {
        let mut count = self.count.clone();
        while count.changed().await.is_ok() {}
    }

    /// A counter that it printed at its end.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let lines = self.lines();
        let stats = lines.iter().rev().find(|it| it.is("stats"));
        let words = stats.map(|it| it.words.as_slice()).unwrap_or_default();
        let value = words.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|it| it.parse().ok()).unwrap_or_default()
    }
}

async fn read(output: ChildStdout, journal: Arc<Journal>, told: watch::Sender<usize>) {
    let mut output = BufReader::new(output);
    let mut text = String::new();
    while output.read_line(&mut text).await.is_ok_and(|it| it > 0) {
        // What a killed agent wrote half is no line.
        if let Some(line) = text.strip_suffix('\n') {
            let words = line.split(' ').map(str::to_owned).collect();
            told.send_replace(journal.push(Line { at: Instant::now(), words }));
        }
        text.clear();
    }
}
