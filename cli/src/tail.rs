//! Every thread, as it happens.

use clap::Args;
use libchat::{Start, WatchOptions};

use crate::failure::Failure;
use crate::follow::Follow;
use crate::options::{HELP, Options};
use crate::session::{self, Role, interruptible};
use crate::when;

const NOTE: &str = "\
Prints what is sent from now on, or from --since on, until Ctrl-C. What could not be \
delivered because it expired or was purged is said, never passed over.";

/// Follow every thread, as it happens
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Tail {
    /// Only threads whose name or short fits one of these: `*` is any text, `?` one character
    #[arg(value_name = "GLOB")]
    globs: Vec<String>,
    /// Begin after a cursor (c1.18c7.42.0), at a time (2026-07-30T14:00:00Z), or some time ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = when::start)]
    since: Option<Start>,
    /// Only what this agent wrote
    #[arg(long, value_name = "AGENT")]
    from: Option<String>,
}

impl Tail {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        let start = self.since.unwrap_or(Start::New);
        let watch = WatchOptions { timeout: options.timeout(), ..WatchOptions::from(start) };
        let follow = Follow {
            options,
            with_thread: true,
            globs: &self.globs,
            from: self.from.as_deref(),
            patience: None,
        };
        session::run(options, Role::Listener, async |manager| {
            follow.run(&interruptible(manager.watch_all(watch)).await?).await
        })
        .await
    }
}
