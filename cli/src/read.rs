//! The messages of one thread.

use clap::Args;
use libchat::{Start, WatchOptions};

use crate::failure::Failure;
use crate::follow::Follow;
use crate::input::Thread;
use crate::options::{HELP, Options};
use crate::session::{self, Role, interruptible};
use crate::when;

const NOTE: &str = "\
Ends with the newest one, or goes on with what follows (--follow). At its end it says \
how far it came; with --since and that cursor the next call goes on from there, and \
neither loses nor repeats a message.";

/// Print the messages of a thread
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Read {
    #[command(flatten)]
    thread: Thread,
    /// Begin with the last N messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    last: u64,
    /// Begin after a cursor (c1.18c7.42.0), at a time (2026-07-30T14:00:00Z), or some time ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = when::start, conflicts_with = "last")]
    since: Option<Start>,
    /// Begin with the oldest message
    #[arg(long, conflicts_with_all = ["last", "since"])]
    all: bool,
    /// Go on with what follows, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

impl Read {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        let thread = self.thread.to_ref()?;
        let role = if self.follow { Role::Listener } else { Role::Reader };
        let watch = WatchOptions { timeout: options.timeout(), ..WatchOptions::from(self.start()) };
        let follow = Follow {
            options,
            with_thread: false,
            globs: &[],
            from: None,
            patience: (!self.follow).then(|| options.timeout()),
        };
        session::run(options, role, async |manager| {
            follow.run(&interruptible(manager.watch(thread, watch)).await?).await
        })
        .await
    }

    fn start(&self) -> Start {
        match self.since {
            Some(since) => since,
            None if self.all => Start::All,
            None => Start::Last(self.last),
        }
    }
}
