//! The C ABI beside the core: what a C host pays for its callbacks and lists.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use libchat::{Event, Manager, OpenOptions, SendOptions, Start, WatchOptions};
use tempfile::TempDir;

use crate::report::Row;
use crate::{Result, Server, root};

const ROUNDS: usize = 5;
const STORED: usize = 200_000;
const SENT: usize = 100_000;
const THREADS: usize = 100;
const IN_FLIGHT: usize = 1024;
const BODY: &str = "x";
const BODY_LEN: usize = 300;
/// For the messages to read, and for those to send, so that one does not slow the other.
const READ: &str = "read";
const SEND: &str = "send";

pub(crate) async fn measure() -> Result<Vec<Row>> {
    let program = Program::build()?;
    let server = Server::start()?;
    let connection = server.connect().await?;
    let reader = connection.open(READ, "bench", OpenOptions::default()).await?;
    let sender = connection.open(SEND, "bench", OpenOptions::default()).await?;
    store(&reader, STORED, THREADS).await?;
    let [mut core, mut callback, mut pull, mut send, mut send_async] = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        core.push(read(&reader).await?);
        callback.push(program.rate(&server, READ, "callback", STORED)?);
        pull.push(program.rate(&server, READ, "pull", STORED)?);
        send.push(store(&sender, SENT, 1).await?);
        send_async.push(program.rate(&server, SEND, "send", SENT)?);
    }
    connection.close().await;
    Ok(vec![
        Row {
            what: "C callback reads 200,000 stored messages of 300 B",
            rival: "core, `take(256)`",
            ours: callback,
            theirs: core.clone(),
            aim: 0.9,
        },
        Row {
            what: "C pull reads the same, 256 at once",
            rival: "core, `take(256)`",
            ours: pull,
            theirs: core,
            aim: 0.9,
        },
        Row {
            what: "C `send_async`, unordered, 1,024 in flight",
            rival: "core, 1,024 futures",
            ours: send_async,
            theirs: send,
            aim: 0.9,
        },
    ])
}

/// Sends `count` messages with 1,024 in flight; per second.
async fn store(manager: &Manager, count: usize, threads: usize) -> Result<f64> {
    let body = BODY.repeat(BODY_LEN);
    let names: Vec<String> = (0..threads).map(|n| format!("thread {n}")).collect();
    let begun = Instant::now();
    let sends = (0..count).map(|n| {
        let options = SendOptions { unordered: true, ..Default::default() };
        manager.send(names[n % threads].as_str(), body.as_bytes(), options)
    });
    let mut sends = futures_util::stream::iter(sends).buffer_unordered(IN_FLIGHT);
    while let Some(sent) = sends.next().await {
        sent?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Reads all that is stored; per second.
async fn read(manager: &Manager) -> Result<f64> {
    let begun = Instant::now();
    let watch = Arc::new(manager.watch_all(WatchOptions::from(Start::All)).await?);
    // In a thread of its own, as a host's reader is.
    let reading = tokio::task::spawn_blocking(move || {
        let mut left = STORED;
        while left > 0 {
            let taken = watch.take_blocking(256, None)?;
            let messages = taken.iter().filter(|event| matches!(event, Event::Message(_)));
            left = left.saturating_sub(messages.count());
        }
        Ok::<_, libchat::Error>(())
    });
    reading.await??;
    Ok(STORED as f64 / begun.elapsed().as_secs_f64())
}

/// bench/abi.c, compiled and linked with the library of the same build.
struct Program {
    folder: TempDir,
}

impl Program {
    fn build() -> Result<Program> {
        let program = Program { folder: tempfile::tempdir()? };
        let library = library()?;
        let soname = concat!("libchat.so.0.", env!("CARGO_PKG_VERSION_MINOR"));
        for name in ["libchat.so", soname] {
            std::os::unix::fs::symlink(&library, program.path(name))?;
        }
        let status = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()))
            .args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(program.path("abi"))
            .arg(root().join("bench/abi.c"))
            .arg("-I")
            .arg(root().join("include"))
            .arg("-L")
            .arg(program.folder.path())
            .args(["-lchat", "-lpthread"])
            .status()?;
        if status.success() { Ok(program) } else { Err("bench/abi.c does not compile".into()) }
    }

    /// Runs it with `count` messages; per second.
    fn rate(&self, server: &Server, project: &str, mode: &str, count: usize) -> Result<f64> {
        let output = Command::new(self.path("abi"))
            .args([&server.url(), project, mode, &count.to_string()])
            .env("LD_LIBRARY_PATH", self.folder.path())
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        Ok(count as f64 / seconds)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Built beside this program.
fn library() -> Result<PathBuf> {
    let library = std::env::current_exe()?.with_file_name("libchat.so");
    if Path::new(&library).exists() { Ok(library) } else { Err("no libchat.so: make bench".into()) }
}
