//! Answers to what an agent is asked.

use std::io;
use std::process::{Output, Stdio};

use clap::Args;
use libchat::{Error, Manager, Request, RespondOptions};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::{Failure, tell};
use crate::options::{HELP, Options};
use crate::output::{json_line, print_in_background};
use crate::plain;
use crate::render::{headers_json, indented, payload_json};
use crate::session::{self, Role, interruptible};
use crate::when;

/// What the asker is told of a command that failed.
const REASON_MAX: usize = 200;

const NOTE: &str = "\
With a fixed text, or with what a command prints: it gets the question in its standard \
input, and is run by `sh -c`, one at a time. If it ends with another exit code than 0, \
the asker is told so, with the first line of its standard error. Prints every question.";

/// Answer what is asked of the agent (--as)
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Answer {
    /// The answer to everything
    #[arg(required_unless_present = "command", conflicts_with = "command")]
    text: Option<String>,
    /// Answer with what this prints
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// End after N questions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Answer {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        session::run(options, Role::Writer, async |manager| {
            interruptible(self.answer(manager, options)).await
        })
        .await
    }

    async fn answer(&self, manager: &Manager, options: &Options) -> Result<(), Failure> {
        let listen = RespondOptions { timeout: options.timeout(), ..RespondOptions::default() };
        let responder = manager.answer(listen).await?;
        let (agent, project) = (plain::line(manager.agent()), plain::line(manager.project()));
        options.note(&format!("answering as {agent} in {project}"));
        let mut left = self.count;
        while left != Some(0) {
            let request = responder.next().await?;
            print_in_background(question(&request, options.json)).await?;
            // One answer that cannot be given, being too large, is no reason to give no others.
            if let Err(error) = self.reply(request).await {
                tell(&format!("libchat: {}\n", plain::line(&format!("{error:#}"))));
            }
            left = left.map(|left| left - 1);
        }
        Ok(())
    }

    async fn reply(&self, request: Request) -> Result<(), Error> {
        let Some(command) = &self.command else {
            return request.reply(self.text.as_deref().unwrap_or_default()).await;
        };
        let reason = match run(command, request.payload()).await {
            Ok(output) if output.status.success() => {
                return request.reply(output.stdout).await;
            }
            Ok(output) => reason(&output),
            Err(cause) => cause.to_string(),
        };
        tell(&format!("libchat: command failed: {}\n", plain::line(&reason)));
        request.fail("command", &reason).await
    }
}

fn question(request: &Request, json: bool) -> String {
    if json {
        let (key, payload) = payload_json(request.payload());
        let mut question = Map::new();
        question.insert("subject".into(), request.subject().into());
        question.insert(key.into(), payload);
        question.insert("headers".into(), headers_json(request.headers()));
        return json_line(Value::Object(question));
    }
    let time = when::local(OffsetDateTime::now_utc());
    format!("{time} {}\n", indented(&String::from_utf8_lossy(request.payload())))
}

/// Runs `command` with `input`; it ends with us.
async fn run(command: &str, input: &[u8]) -> io::Result<Output> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command need not read its input.
            let _ = stdin.write_all(input).await;
        }
    };
    tokio::join!(feed, child.wait_with_output()).1
}

/// The first line of its standard error, else how it ended.
fn reason(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    match complaint.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => line.chars().take(REASON_MAX).collect(),
        None => output.status.to_string(),
    }
}
