//! The library and a program, both built for the thread sanitizer. That takes a nightly Rust with
//! its sources, since the standard library must be built for it too, and some minutes; nothing is
//! downloaded for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::Build;
use crate::common::{is_there, not_run, root, run};

/// The library, built at the first call; `None` where it cannot be.
pub(crate) fn archive() -> Option<&'static Path> {
    static ARCHIVE: OnceLock<Option<PathBuf>> = OnceLock::new();
    ARCHIVE.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let Some(host) = runtime().and(host()) else {
        not_run("thread sanitizer: a nightly Rust with rust-src");
        return None;
    };
    let target = root().join("target/thread-sanitizer");
    let mut cargo = cargo();
    cargo.current_dir(root()).args(["build", "--quiet", "-p", "libchat-ffi", "--lib"]);
    cargo.args(["-Zbuild-std", "--target", &host]).arg("--target-dir").arg(&target);
    run(cargo.env("RUSTFLAGS", "-Zsanitizer=thread"));
    Some(target.join(host).join("debug/libchat.a"))
}

/// Of the toolchain by its name: what runs this test has told cargo to be another.
fn cargo() -> Command {
    let mut cargo = Command::new("rustup");
    cargo.args(["run", "nightly", "cargo"]);
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    cargo
}

fn host() -> Option<String> {
    let output = Command::new("rustup").args(["run", "nightly", "rustc", "-vV"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix("host: ")?.to_owned()))
}

/// The sanitizer's own part, which rustc links into programs only; `None` where it is not
/// installed, or the sources are not.
fn runtime() -> Option<PathBuf> {
    let rustc = ["run", "nightly", "rustc", "--print", "sysroot"];
    // Asked first, since `run` might install what is missing.
    let installed = Command::new("rustup").args(["toolchain", "list"]).output().ok()?;
    if !String::from_utf8_lossy(&installed.stdout).contains("nightly") {
        return None;
    }
    let output = Command::new("rustup").args(rustc).output().ok()?;
    let libraries = Path::new(String::from_utf8(output.stdout).ok()?.trim()).join("lib/rustlib");
    let sources = libraries.join("src/rust/library/std/Cargo.toml");
    let runtime = libraries.join(host()?).join("lib/librustc-nightly_rt.tsan.a");
    (sources.is_file() && runtime.is_file()).then_some(runtime)
}

/// Adds what a program of the archive needs. Without `-fsanitize`, which would add the C compiler's
/// own part beside Rust's.
pub(crate) fn link(link: &mut Command) -> &mut Command {
    let runtime = runtime().expect("it was there when the library was built");
    link.arg("-Wl,--whole-archive").arg(runtime).arg("-Wl,--no-whole-archive").arg("-rdynamic");
    link.args(["-lstdc++", "-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"])
}

/// Runs the program; without address randomisation, which is more than some of them can take.
pub(crate) fn command(build: &Build) -> Command {
    if !is_there("setarch") {
        return build.command(build.program());
    }
    let mut command = build.command("setarch");
    command.arg("-R").arg(build.program());
    command
}
