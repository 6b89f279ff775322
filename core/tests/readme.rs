//! What the README shows is what runs.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::TestServer;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).expect(path)
}

/// The README's blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let readme = read("README.md");
    let open = format!("```{language}\n");
    readme
        .split(&open)
        .skip(1)
        .filter_map(|rest| rest.split("```").next().map(str::to_owned))
        .collect()
}

/// The built example: `cargo test` without a choice of targets has built it already.
fn example() -> PathBuf {
    let this = std::env::current_exe().expect("this program");
    let program = this.ancestors().nth(2).expect("target/debug").join("examples/two_agents");
    if !program.exists() {
        let build = ["build", "--quiet", "--package", "libchat", "--example", "two_agents"];
        let built = Command::new(env!("CARGO")).args(build).status().expect("cargo runs");
        assert!(built.success(), "the example is built");
    }
    program
}

#[test]
fn the_program_is_the_example() {
    let example = read("core/examples/two_agents.rs");
    let head = |line: &&str| !line.starts_with("//!") && !line.starts_with("#![allow");
    let code: Vec<&str> = example.lines().filter(head).collect();
    assert_eq!(blocks("rust"), [format!("{}\n", code.join("\n").trim())]);
}

#[test]
fn the_c_program_is_the_example() {
    let example = read("examples/c/hello.c");
    let (_, code) = example.split_once('\n').expect("its first line says how to call it");
    assert_eq!(blocks("c"), [code]);
}

#[test]
fn the_program_runs() {
    let server = TestServer::start();
    let output = Command::new(example())
        .env("LIBCHAT_URL", server.server().url())
        .env("NATS_USER", server.server().user())
        .env("NATS_PASSWORD", server.server().password())
        .output()
        .expect("the example runs");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert_eq!(out, "ana says: Shall we ship on Friday?\n");
}
