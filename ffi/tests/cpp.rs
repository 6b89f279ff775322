//! The C++ face: the programs of tests/cpp against this build and a real nats-server, each as it is
//! and under the address and undefined-behaviour sanitizers; the headers by themselves; the
//! examples.
#![allow(clippy::print_stdout)] // says what cannot be run here

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use libchat::{LocalServer, LocalServerOptions};
use tempfile::TempDir;

const WARNINGS: [&str; 6] =
    ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"];
const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

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
    let Some(compiler) = compiler() else { return };
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
            succeeds(compile.arg("-I").arg(root().join("include")).arg(&source));
        }
    }
}

#[test]
fn the_header_needs_no_run_time_type_information() {
    let Some(compiler) = compiler() else { return };
    let mut compile = Command::new(compiler);
    compile.args(["-std=c++17", "-fno-rtti", "-fsyntax-only"]).args(WARNINGS);
    compile.arg("-I").arg(root().join("include"));
    succeeds(compile.arg(root().join("tests/cpp/two_units_other.cpp")));
}

#[test]
fn the_examples_say_and_follow() {
    let Some(compiler) = compiler() else { return };
    let build = Build::new(compiler);
    let program = |name: &str| {
        let source = root().join("examples/cpp").join(name).with_extension("cpp");
        build.program(&[source], &[])
    };
    let [hello, follow] = ["hello", "follow"].map(program);
    let server = Server(scratch());
    LocalServer::start(server.0.path(), &LocalServerOptions::default()).expect("a nats-server");
    let run = |program: &Path| {
        let mut command = build.command(program);
        command.current_dir(server.0.path()).env_remove("LIBCHAT_URL").env_remove("NATS_URL");
        command
    };
    let said = succeeds(&mut run(&hello));
    assert_eq!(said, "ana: hello from C++\nstored as number 1\n");

    let mut following = run(&follow).stdout(Stdio::piped()).spawn().expect("follow runs");
    let mut lines = BufReader::new(following.stdout.take().expect("its output")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert_eq!(line(), "ana: hello from C++");
    succeeds(run(&hello).args(["demo", "ben"]));
    assert_eq!(line(), "ben: hello from C++");
    following.kill().expect("it runs still");
    following.wait().expect("it ends");

    drop(server);
    let output = run_to_end(build.command(&hello).env("LIBCHAT_URL", "nats://127.0.0.1:1"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("hello: connect"), "{output:?}");
}

/// Compiles a program of tests/cpp and runs it with a folder of its own, where it has its server.
fn check(sources: &[&str], flags: &[&str]) {
    let Some(compiler) = compiler() else { return };
    if !flags.is_empty() && !can_sanitize(&compiler) {
        return not_run("C++ under sanitizers: the compiler has no -fsanitize=address,undefined");
    }
    let build = Build::new(compiler);
    let sources: Vec<PathBuf> =
        sources.iter().map(|it| root().join("tests/cpp").join(it)).collect();
    let program = build.program(&sources, flags);
    let server = Server(scratch());
    succeeds(build.command(&program).arg(server.0.path()));
}

/// A folder with this build's library under the names by which programs ask for it.
struct Build {
    compiler: String,
    folder: TempDir,
}

impl Build {
    fn new(compiler: String) -> Build {
        let this = env::current_exe().expect("this program");
        let beside = |folder: &Path| folder.join("libchat.so");
        let library = this.ancestors().skip(1).take(2).map(beside).find(|it| it.exists());
        let library = library.expect("libchat.so beside this program");
        let folder = scratch();
        let series = env!("CARGO_PKG_VERSION").rsplit_once('.').expect("a version").0;
        for name in ["libchat.so", &format!("libchat.so.{series}")] {
            symlink(&library, folder.path().join(name)).expect("a link");
        }
        Build { compiler, folder }
    }

    fn program(&self, sources: &[PathBuf], flags: &[&str]) -> PathBuf {
        let program = self.folder.path().join(sources[0].file_stem().expect("a name"));
        let mut compile = Command::new(&self.compiler);
        compile.args(["-std=c++17", "-g", "-pthread"]).args(WARNINGS).args(flags);
        compile.arg("-I").arg(root().join("include")).args(sources).arg("-o").arg(&program);
        succeeds(compile.arg("-L").arg(self.folder.path()).arg("-lchat"));
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

fn succeeds(command: &mut Command) -> String {
    let output = run_to_end(command);
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

fn run_to_end(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// `None` where there is none, which is said.
fn compiler() -> Option<String> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let is_there = Command::new(&compiler).arg("--version").output().is_ok();
    if !is_there {
        not_run(&format!("C++: there is no {compiler}"));
    }
    is_there.then_some(compiler)
}

fn can_sanitize(compiler: &str) -> bool {
    let folder = scratch();
    let source = folder.path().join("empty.cpp");
    fs::write(&source, "int main() {}\n").expect("a file");
    let mut compile = Command::new(compiler);
    compile.args(SANITIZERS).arg(&source).arg("-o").arg(folder.path().join("empty"));
    run_to_end(&mut compile).status.success()
}

fn not_run(what: &str) {
    println!("not run: {what}");
    assert!(env::var_os("LIBCHAT_TEST_LONG").is_none(), "not run: {what}");
}

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
