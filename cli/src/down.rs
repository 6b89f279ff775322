//! Stopping it.

use std::path::PathBuf;

use clap::Args;
use libchat::LocalServer;
use serde_json::json;

use crate::failure::Failure;
use crate::folder;
use crate::options::{HELP, Options};
use crate::output::{print, print_json};

const NOTE: &str = "\
Its messages stay in .libchat; `libchat up` starts it again with them.";

/// Stop the server of this folder
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Down {
    /// The folder [default: the nearest one upward that holds .libchat, else the current one]
    folder: Option<PathBuf>,
}

impl Down {
    pub(crate) fn run(self, options: &Options) -> Result<(), Failure> {
        let folder = folder::given_or_nearest(self.folder)?;
        let stopped = LocalServer::stop(&folder)?;
        let folder = folder.display().to_string();
        if options.json {
            return print_json(json!({"folder": folder, "stopped": stopped}));
        }
        let state = if stopped { "stopped the server of" } else { "no server was running for" };
        print(format!("{state} {folder}\n").as_bytes())
    }
}
