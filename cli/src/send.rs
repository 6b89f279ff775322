//! Storing a message.

use std::path::PathBuf;

use clap::Args;
use libchat::SendOptions;

use crate::failure::Failure;
use crate::input::{self, Thread};
use crate::options::{HELP, Options};
use crate::output::{print, print_json};
use crate::render::{receipt_json, receipt_text};
use crate::session::{self, Role, interruptible};

const NOTE: &str = "\
Returns when the server has stored it, and prints where. When that cannot be known (exit \
code 7), sending again under the same --id within the server's duplicate window (2 \
minutes by default) stores it once.";

/// Store a message in a thread
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Send {
    #[command(flatten)]
    thread: Thread,
    /// The message; `-`, or none in a pipe: standard input without its last newline
    text: Option<String>,
    /// Send a file's content as it is
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
    /// Idempotency key, up to 64 bytes: a second message under it is dropped
    #[arg(long, value_name = "KEY")]
    id: Option<String>,
    /// The id of the message that this one answers
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
    /// A header field to store with it; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
}

impl Send {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        let thread = self.thread.to_ref()?;
        let body = match &self.file {
            Some(file) => input::file(file)?,
            None => input::text(self.text.as_deref())?,
        };
        let send = SendOptions {
            id: self.id,
            reply_to: self.reply_to,
            headers: self.headers,
            timeout: options.timeout(),
            ..SendOptions::default()
        };
        let receipt = session::run(options, Role::Writer, async |manager| {
            interruptible(manager.send(thread, body, send)).await
        })
        .await?;
        match options.json {
            true => print_json(receipt_json(&receipt)),
            false => print(receipt_text(&receipt).as_bytes()),
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a header reads name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}
