//! Starting a folder's server.

use std::path::{Path, PathBuf};

use clap::Args;
use libchat::{LocalServer, LocalServerOptions};
use serde_json::json;

use crate::failure::Failure;
use crate::folder;
use crate::options::{HELP, Options};
use crate::output::{print, print_json};

const NOTE: &str = "\
It is an official nats-server on the loopback interface, under a random password. What \
it stores lies in .libchat in the folder, and every libchat command run in the folder or \
below finds it there. It goes on running until `libchat down`; started again, it has all \
its messages, and the same address if that is free.";

/// Start a server for this folder, or find the one that runs
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Up {
    /// The folder [default: the nearest one upward that holds .libchat, else the current one]
    folder: Option<PathBuf>,
    /// The nats-server program [env: LIBCHAT_NATS_SERVER] [default: found in PATH, beside libchat,
    /// or in the Python environment]
    #[arg(long, value_name = "PROGRAM")]
    nats_server: Option<PathBuf>,
}

impl Up {
    pub(crate) fn run(self, options: &Options) -> Result<(), Failure> {
        let folder = folder::given_or_nearest(self.folder)?;
        let start =
            LocalServerOptions { nats_server: self.nats_server, ..LocalServerOptions::default() };
        let server = LocalServer::start(&folder, &start)?;
        let store = server.folder().join(".libchat/store");
        if options.json {
            return print_json(json!({
                "folder": shown(server.folder()),
                "url": server.url(),
                "pid": server.pid(),
                "store": shown(&store),
                "log": shown(&server.log_file()),
                "already_running": server.already_running(),
            }));
        }
        let state = if server.already_running() { "already running" } else { "started" };
        let text = format!(
            "{state}: {}, process {}\nstore: {}\nstop it with: libchat down {}\n",
            server.url(),
            server.pid(),
            shown(&store),
            shown(server.folder()),
        );
        print(text.as_bytes())
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
