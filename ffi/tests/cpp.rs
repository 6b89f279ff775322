//! The C++ face: the programs of tests/cpp against this build and a real nats-server, each as it is
//! and under the address and undefined-behaviour sanitizers; the headers by themselves; the
//! examples.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libchat::{LocalServer, LocalServerOptions};
use tempfile::TempDir;

use common::{SANITIZERS, can_sanitize, compiler, linked, root, run, scratch};

const WARNINGS: [&str; 6] =
    ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"];

/// One test for a program as it is, and one for it under the sanitizers.
macro_rules! programs {
    ($($name:ident: $sources:expr;)*) => {
        mod plain {
            $(#[test] fn $name() { super::check(&$sources, &[]); })*
        }
        mod sanitized {
            $(#[test] fn $name() { super::check(&$sources, &super::SANITIZERS); })*
        }
    };
}

programs! {
    ask: ["ask.cpp"];
    callbacks: ["callbacks.cpp"];
    cancel: ["cancel.cpp"];
    connect: ["connect.cpp"];
    history: ["history.cpp"];
    lifetimes: ["lifetimes.cpp"];
    range_for: ["range_for.cpp"];
    send: ["send.cpp"];
    two_units: ["two_units.cpp", "two_units_other.cpp"];
}

#[test]
fn the_headers_compile_in_every_standard_they_promise() {
    let Some(compiler) = compiler("CXX", "c++") else { return };
    let folder = scratch();
    for (header, standards) in
        [("libchat.h", &["c++11", "c++17", "c++20"][..]), ("libchat.hpp", &["c++17", "c++20"])]
    {
        let source = folder.path().join("includes.cpp");
        // Twice: it must guard itself.
        fs::write(&source, format!("#include <{header}>\n#include <{header}>\n")).expect("a file");
        for standard in standards {
            let mut compile = Command::new(&compiler);
            compile.arg(format!("-std={standard}")).args(WARNINGS).arg("-fsyntax-only");
            run(compile.arg("-I").arg(root().join("include")).arg(&source));
        }
    }
}

#[test]
fn the_header_needs_no_run_time_type_information() {
    let Some(compiler) = compiler("CXX", "c++") else { return };
    let mut compile = Command::new(compiler);
    compile.args(["-std=c++17", "-fno-rtti", "-fsyntax-only"]).args(WARNINGS);
    compile.arg("-I").arg(root().join("include"));
    run(compile.arg(root().join("tests/cpp/two_units_other.cpp")));
}

#[test]
fn the_examples_say_and_follow() {
    let Some(compiler) = compiler("CXX", "c++") else { return };
    let build = Build::new(compiler);
    let program = |name: &str| {
        let source = root().join("examples/cpp").join(name).with_extension("cpp");
        build.program(&[source], &[])
    };
    let [hello, follow] = ["hello", "follow"].map(program);
    let server = Server(scratch());
    LocalServer::start(server.0.path(), &LocalServerOptions::default()).expect("a nats-server");
    let command = |program: &Path| {
        let mut command = build.command(program);
        command.current_dir(server.0.path()).env_remove("LIBCHAT_URL").env_remove("NATS_URL");
        command
    };
    let said = run(&mut command(&hello));
    assert_eq!(said, "ana: hello from C++\nstored as number 1\n");

    let mut following = command(&follow).stdout(Stdio::piped()).spawn().expect("follow runs");
    let mut lines = BufReader::new(following.stdout.take().expect("its output")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert_eq!(line(), "ana: hello from C++");
    run(command(&hello).args(["demo", "ben"]));
    assert_eq!(line(), "ben: hello from C++");
    following.kill().expect("it runs still");
    following.wait().expect("it ends");

    drop(server);
    let output = build.command(&hello).env("LIBCHAT_URL", "nats://127.0.0.1:1").output();
    let output = output.expect("hello runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("hello: connect"), "{output:?}");
}

/// Compiles a program of tests/cpp and runs it with a folder of its own, where it has its server.
fn check(sources: &[&str], flags: &[&str]) {
    let Some(compiler) = compiler("CXX", "c++") else { return };
    if !flags.is_empty() && !can_sanitize(&compiler) {
        return;
    }
    let build = Build::new(compiler);
    let sources: Vec<PathBuf> =
        sources.iter().map(|it| root().join("tests/cpp").join(it)).collect();
    let program = build.program(&sources, flags);
    let server = Server(scratch());
    run(build.command(&program).arg(server.0.path()));
}

/// A folder with this build's library under the names by which programs ask for it.
struct Build {
    compiler: String,
    folder: TempDir,
}

impl Build {
    fn new(compiler: String) -> Build {
        let folder = linked();
        Build { compiler, folder }
    }

    fn program(&self, sources: &[PathBuf], flags: &[&str]) -> PathBuf {
        let program = self.folder.path().join(sources[0].file_stem().expect("a name"));
        let mut compile = Command::new(&self.compiler);
        compile.args(["-std=c++17", "-g", "-pthread"]).args(WARNINGS).args(flags);
        compile.arg("-I").arg(root().join("include")).args(sources).arg("-o").arg(&program);
        run(compile.arg("-L").arg(self.folder.path()).arg("-lchat"));
        program
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.folder.path());
        command
    }
}

/// The folder of a server, which is stopped if the program that had it has not done so.
struct Server(TempDir);

impl Drop for Server {
    fn drop(&mut self) {
        // It may be stopped, or frozen: then it is killed.
        let _ = LocalServer::stop(self.0.path());
    }
}
