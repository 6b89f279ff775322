//! A question to an agent.

use std::time::Duration;

use clap::Args;
use libchat::RequestOptions;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::input;
use crate::options::{HELP, Options};
use crate::output::{print, print_json};
use crate::plain;
use crate::render::{headers_json, payload_json};
use crate::session::{self, Role, interruptible};

/// An agent may have to think.
const PATIENCE: Duration = Duration::from_secs(30);

const NOTE: &str = "\
The question is not stored: an agent that is not listening is not found (exit code 3).";

/// Ask an agent, and print its answer
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Ask {
    /// Who is asked
    agent: String,
    /// The question; `-`, or none in a pipe: standard input without its last newline
    text: Option<String>,
}

impl Ask {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        let question = input::text(self.text.as_deref())?;
        let request =
            RequestOptions { timeout: options.timeout_or(PATIENCE), ..RequestOptions::default() };
        let reply = session::run(options, Role::Reader, async |manager| {
            interruptible(manager.ask(&self.agent, question, request)).await
        })
        .await?;
        if options.json {
            let (key, payload) = payload_json(&reply.payload);
            let mut answer = Map::new();
            answer.insert(key.into(), payload);
            answer.insert("headers".into(), headers_json(&reply.headers));
            return print_json(Value::Object(answer));
        }
        print(&printable(reply.payload))
    }
}

/// Text ends with a newline and holds no control sequence; other bytes are printed as they are.
fn printable(payload: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(payload) {
        Ok(text) => format!("{}\n", plain::body(&text).trim_end_matches('\n')).into_bytes(),
        Err(bytes) => bytes.into_bytes(),
    }
}
