//! Measures libchat beside its rivals in one run, and writes what it measured to bench/README.md.
#![allow(clippy::print_stdout)] // a program for people

mod abi; // the C ABI beside the core
mod go; // the Go package beside nats.go
mod python; // the Python package beside nats-py
mod report; // the table

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libchat::{Connection, LocalServer, LocalServerOptions};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result {
    let rows = abi::measure().await?;
    let table = report::table(&rows) + &python::measure()? + &go::measure()?;
    print!("{table}");
    report::write(&root().join("bench/README.md"), &table)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// A server of its own, which ends with it.
struct Server {
    folder: tempfile::TempDir,
    server: LocalServer,
}

impl Server {
    fn start() -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let server = LocalServer::start(folder.path(), &LocalServerOptions::default())?;
        Ok(Server { folder, server })
    }

    async fn connect(&self) -> Result<Connection> {
        Ok(libchat::connect(self.server.connect_options()).await?)
    }

    fn url(&self) -> String {
        self.server.url_with_login()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = LocalServer::stop(self.folder.path()) {
            println!("bench: a server is left behind: {error:#}");
        }
    }
}
