//! Breaks real servers under real agents, and judges what they were told (README.md).
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // a program for people, and agents that print

mod server;
mod proxy;
mod admin;
mod site;
mod backup;
mod actor;
mod judge;
mod scene;
mod faults;
mod table;
mod soak;
mod recovery;
mod campaign;
#[cfg(feature = "rival")]
mod rival;
mod agent;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

#[derive(Parser)]
#[command(about = "Breaks real servers under real agents, and judges what they were told")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every fault, with the table of what it came to
    Table(table::Options),
    /// How soon watches are back after a restart, beside the ordered consumers of two clients
    Recovery(recovery::Options),
    /// Half an hour of faults: nothing may grow
    Soak(soak::Options),
    /// Random schedules of agents, faults and an operator, against a model of what must be true
    Campaign(campaign::Options),
    /// Be an agent
    #[command(hide = true)]
    Agent {
        #[command(subcommand)]
        role: agent::Role,
    },
    /// Be a watch of async-nats
    #[cfg(feature = "rival")]
    #[command(hide = true)]
    Rival { args: Vec<String> },
}

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let is_clean = runtime.block_on(async {
        match Cli::parse().command {
            Command::Table(options) => table::run(options).await,
            Command::Recovery(options) => recovery::run(options).await,
            Command::Soak(options) => soak::run(options).await,
            Command::Campaign(options) => campaign::run(options).await,
            #[cfg(feature = "rival")]
            Command::Rival { args } => {
                rival::run(&args).await;
                true
            }
            Command::Agent { role } => {
                agent::run(role).await;
                true
            }
        }
    });
    // Standard input may still block a thread.
    runtime.shutdown_background();
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
