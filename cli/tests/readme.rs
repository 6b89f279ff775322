//! What the README shows at a shell is what runs.

mod common;

use std::path::Path;
use std::process::Command;

use common::Shop;

/// The README's block of commands, but for its first line, which finds the program.
fn commands() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md");
    let block = readme.split("```sh\n").find(|block| block.contains("libchat up"));
    let block = block.and_then(|block| block.split("```").next()).expect("a block of commands");
    let (first, rest) = block.split_once('\n').expect("lines");
    assert!(first.starts_with("export PATH="), "{first}");
    rest.to_owned()
}

#[test]
fn the_commands_run_as_they_stand() {
    let shop = Shop::closed();
    let program = Path::new(env!("CARGO_BIN_EXE_libchat")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("PATH"));
    let output = Command::new("bash")
        .args(["-m", "-e", "-c", &commands()])
        .current_dir(shop.path())
        .envs([("PATH", path.as_str()), ("USER", "ana")])
        .env("LIBCHAT_NATS_SERVER", common::nats_server())
        .output()
        .expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for expected in ["stored as 1 ", "prices first", "plan", "are you there?", "on it"] {
        assert!(out.contains(expected), "no {expected:?} in:\n{out}\n{err}");
    }
}
