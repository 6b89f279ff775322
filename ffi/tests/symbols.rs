//! What libchat.so exports is what the header declares; what was compiled before still runs; and
//! the header can be read by others than compilers.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use common::{compiler, library, linked, read, root, run};

#[test]
fn the_library_exports_what_the_header_declares() {
    let symbols = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let name = |line: &str| line.split_whitespace().last().map(str::to_owned);
    let exported: BTreeSet<String> = symbols.lines().filter_map(name).collect();
    assert_eq!(exported, declared("include/libchat.h"));
    assert!(exported.len() > 50, "{exported:?}");
}

/// `tests/c/old/` holds the first header, and a program that is compiled with it.
#[test]
fn a_program_of_the_first_header_runs_with_this_library() {
    let old = root().join("tests/c/old");
    let first = declared("tests/c/old/libchat.h");
    let today = declared("include/libchat.h");
    let lost: Vec<&String> = first.difference(&today).collect();
    assert!(lost.is_empty(), "functions of the first header that are gone: {lost:?}");
    let folder = linked();
    let [program, project] = ["old", "project"].map(|it| folder.path().join(it));
    fs::create_dir(&project).expect("a folder");
    let mut compile = Command::new(compiler("CC", "cc").expect("a C compiler"));
    compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-I"]).arg(&old);
    compile.arg(old.join("old.c")).arg("-o").arg(&program).arg("-L").arg(folder.path());
    run(compile.arg("-lchat"));
    let mut command = Command::new(&program);
    let output = run(command.arg(project).env("LD_LIBRARY_PATH", folder.path()));
    assert_eq!(output, "stored, read, taken, asked, closed\n");
}

#[test]
fn python_reads_the_header_and_calls_the_library() {
    let python = root().join(".venv/bin/python");
    assert!(python.exists(), "no .venv: make .venv/made");
    run(Command::new(python)
        .arg(root().join("tests/header/layout.py"))
        .arg(root().join("include/libchat.h"))
        .arg(library())
        .arg(compiler("CC", "cc").expect("a C compiler")));
}

/// The functions that a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let header = read(&root().join(header));
    let code = header.lines().filter(|line| !line.starts_with([' ', '/', '#', '}']));
    let function = |line: &str| {
        let (head, _) = line.split_once('(')?;
        let name = head.rsplit([' ', '*']).next()?;
        (name.starts_with("libchat_") && !line.starts_with("typedef")).then(|| name.to_owned())
    };
    code.filter_map(function).filter(|name| name != "libchat_init").collect()
}
