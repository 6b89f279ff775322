//! Four agents, each a process of its own, talk in several threads, while one of them and the
//! server are killed and started again. One is written in C, examples/c/agent.c, one in Python,
//! examples/python/agent.py, one in Go, examples/go/agent. Run it with `make demo`.
//!
//! The conversation is examples/demo/conversation.json.
#![allow(clippy::print_stderr)] // a program for people

mod script; // the conversation, as data
mod journal; // what a process writes down for the time after its death
mod agent; // one agent: follows every thread, says its lines
mod cast; // the processes, and how each of them ends in any case
mod transcript; // what is shown
mod claims; // what is checked at the end
mod play; // the whole

use std::process::ExitCode;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const PROJECT: &str = "demo";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match arguments[..] {
        ["agent", name, "--folder", folder] => agent::run(name, folder.as_ref()).await,
        ["janitor", "--folder", folder] => cast::clean_up(folder.as_ref()),
        ref programs if programs.iter().all(|it| it.contains('=')) => play::run(programs).await,
        _ => Err("usage: demo LANGUAGE=PROGRAM".into()),
    };
    let Err(error) = ended else { return ExitCode::SUCCESS };
    eprintln!("{}: {error:#}", [&["demo"], &arguments[..]].concat().join(" "));
    let hint = error.downcast_ref::<libchat::Error>().and_then(libchat::Error::hint_text);
    hint.inspect(|hint| eprintln!("{hint}"));
    ExitCode::FAILURE
}
