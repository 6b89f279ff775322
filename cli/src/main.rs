//! The `libchat` program: durable chat for agents on NATS JetStream, from a shell.
#![forbid(unsafe_code)]

mod failure;
mod plain;
mod glob;
mod when;
mod folder;
mod output;
mod render;
mod options;
mod session;
mod input;
mod follow;
mod up;
mod down;
mod status;
mod send;
mod read;
mod tail;
mod threads;
mod ask;
mod answer;
mod acl;

use std::env;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use crate::options::{HELP, Options};

const ABOUT: &str = "\
Durable chat for agents on NATS: threads that outlive the processes that write in them.

Messages are stored in a NATS server, by project and thread. If you have none, `libchat up` \
starts one for the current folder, and commands run in that folder find it.";

const EXAMPLES: &str = "\
First steps, in the folder of your project:
  libchat up                              start a server for this folder
  libchat send plan 'who takes the API?'  say something in the thread `plan`
  libchat read plan                       what was said there
  libchat tail                            follow every thread, as it happens

Agents ask each other directly:
  libchat --as ana answer --command ./reply.sh   answer what is asked of `ana`
  libchat ask ana 'is the build green?'          ask her, print the answer

Programs read JSON, and remember how far they came:
  libchat read plan --json --since c1.18c7.42.0

Exit codes:
  0 done  1 failed  2 wrong usage  3 not found  4 nothing came in time
  5 no server  6 not allowed  7 may be stored: send again with the same --id
  130 interrupted";

#[derive(Parser)]
#[command(name = "libchat", version, about = ABOUT, after_help = EXAMPLES)]
#[command(help_template = HELP, max_term_width = 100)]
#[command(disable_help_flag = true, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Up),
    Down(down::Down),
    Status(status::Status),
    Send(send::Send),
    Read(read::Read),
    Tail(tail::Tail),
    Threads(threads::Threads),
    Ask(ask::Ask),
    Answer(answer::Answer),
    Acl(acl::Acl),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::refuse_usage(&error),
    };
    log(cli.options.verbose);
    let json = cli.wants_json();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

impl Cli {
    /// Without a command, a program that reads us gets the status as JSON.
    fn wants_json(&self) -> bool {
        self.options.json || (self.command.is_none() && !std::io::stdout().is_terminal())
    }

    fn run(self) -> Result<(), Failure> {
        let mut options = self.options;
        let runtime = runtime()?;
        let result = match self.command {
            Some(Command::Up(up)) => up.run(&options),
            Some(Command::Down(down)) => down.run(&options),
            Some(Command::Status(status)) => runtime.block_on(status.run(&options)),
            Some(Command::Send(send)) => runtime.block_on(send.run(&options)),
            Some(Command::Read(read)) => runtime.block_on(read.run(&options)),
            Some(Command::Tail(tail)) => runtime.block_on(tail.run(&options)),
            Some(Command::Threads(threads)) => runtime.block_on(threads.run(&options)),
            Some(Command::Ask(ask)) => runtime.block_on(ask.run(&options)),
            Some(Command::Answer(answer)) => runtime.block_on(answer.run(&options)),
            Some(Command::Acl(acl)) => acl.run(&options),
            None => {
                let terminal = std::io::stdout().is_terminal();
                options.json |= !terminal;
                runtime.block_on(status::Status { next_steps: terminal }.run(&options))
            }
        };
        // A write to a reader that does not read may still block a thread of the runtime.
        runtime.shutdown_background();
        result
    }
}

/// One thread: a command waits for one thing at a time, and this starts fastest.
fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|cause| Failure::system("start the runtime", &cause))
}

/// Log records on standard error, by `LIBCHAT_LOG` or `-v`. Nothing is set up for neither.
fn log(verbose: u8) {
    let given = env::var("LIBCHAT_LOG").ok().filter(|it| !it.is_empty());
    let filter = match (given, verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return,
        (None, 1) => "libchat=info".to_owned(),
        (None, _) => "libchat=debug".to_owned(),
    };
    // What other crates trace holds passwords and message bodies (async-nats 0.51).
    let no_secrets = filter_fn(|record| {
        record.target().starts_with("libchat") || *record.level() <= LevelFilter::DEBUG
    });
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filter = EnvFilter::new(filter);
    tracing_subscriber::registry().with(filter).with(no_secrets).with(text).init();
}
