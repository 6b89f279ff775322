//! What libchat.so exports is what the header declares; what was compiled before still runs; and
//! the header can be read by others than compilers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

#[test]
fn the_library_exports_what_the_header_declares() {
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(library()).output();
    let nm = nm.expect("nm, of binutils");
    let exported: BTreeSet<String> = String::from_utf8_lossy(&nm.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
        .collect();
    assert_eq!(exported, declared(&read("include/libchat.h")));
    assert!(exported.len() > 50, "{exported:?}");
}

/// `tests/c/old/` holds the first header, and a program that is compiled with it.
#[test]
fn a_program_of_the_first_header_runs_with_this_library() {
    let old = root().join("tests/c/old");
    let first = declared(&read("tests/c/old/libchat.h"));
    let today = declared(&read("include/libchat.h"));
    let lost: Vec<&String> = first.difference(&today).collect();
    assert!(lost.is_empty(), "functions of the first header that are gone: {lost:?}");
    let links = Links::make();
    let program = links.path("old");
    let built = Command::new(compiler())
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-I"])
        .args([&old, &old.join("old.c"), Path::new("-o"), &program])
        .arg(format!("-L{}", links.folder.path().display()))
        .arg("-lchat")
        .status();
    assert!(built.expect("a C compiler").success());
    let ran = Command::new(&program)
        .arg(links.path("project"))
        .env("LD_LIBRARY_PATH", links.folder.path())
        .output()
        .expect("it runs");
    let output = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{:?}: {output}{errors}", ran.status);
    assert_eq!(output, "stored, read, taken, asked, closed\n");
}

#[test]
fn python_reads_the_header_and_calls_the_library() {
    let python = root().join(".venv/bin/python");
    assert!(python.exists(), "no .venv: make .venv/made");
    let output = Command::new(python)
        .arg(root().join("tests/header/layout.py"))
        .arg(root().join("include/libchat.h"))
        .arg(library())
        .arg(compiler())
        .output()
        .expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The functions that a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let code = header.lines().filter(|line| !line.starts_with([' ', '/', '#', '}']));
    let function = |line: &str| {
        let (head, _) = line.split_once('(')?;
        let name = head.rsplit([' ', '*']).next()?;
        (name.starts_with("libchat_") && !line.starts_with("typedef")).then(|| name.to_owned())
    };
    code.filter_map(function).filter(|name| name != "libchat_init").collect()
}

/// A folder with the library under the names that linker and loader ask for.
struct Links {
    folder: TempDir,
}

impl Links {
    fn make() -> Links {
        let links = Links { folder: tempfile::tempdir().expect("a scratch folder") };
        for name in ["libchat.so", concat!("libchat.so.0.", env!("CARGO_PKG_VERSION_MINOR"))] {
            std::os::unix::fs::symlink(library(), links.path(name)).expect("a link");
        }
        fs::create_dir(links.path("project")).expect("a folder");
        links
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Cargo puts it beside the test.
fn library() -> PathBuf {
    let test = env::current_exe().expect("a path");
    test.with_file_name("libchat.so")
}

fn compiler() -> String {
    env::var("CC").unwrap_or_else(|_| "cc".into())
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}
