//! The C programs of tests/c against this build and a real nats-server: each as it is, under
//! valgrind, with the C side under the address and undefined-behaviour sanitizers, and, in long
//! runs, with both sides under the thread sanitizer.
//!
//! The first sanitizers see the host's side of the boundary only: what it reads of what the library
//! hands out, and what it frees. Inside the library it is valgrind that looks. helgrind is not run:
//! Rust's locks are futexes of its own, which helgrind does not know, so that it takes every
//! handover under them for a race.
#![allow(clippy::print_stdout)] // figures, and what cannot be run here

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use std::{fs, thread};

use libchat::LocalServer;
use tempfile::TempDir;

use common::{SANITIZERS, can_sanitize, compiler, is_long, is_there, linked, root, run};

mod common;
#[path = "c/races.rs"]
mod races; // the library and a program, both built for the thread sanitizer

const WARNINGS: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"];
/// What every program is compiled with.
const SUPPORT: [&str; 2] = ["support", "support_process"];
/// How many times longer a program may take under valgrind, and how many times fewer rounds it
/// does.
const SLOW: u32 = 10;
/// The programs' own limit is 120 s; this one is for those that cannot even end themselves.
const PATIENCE: Duration = Duration::from_secs(150);

/// What can be looked for in a program.
#[derive(Clone, Copy, PartialEq)]
enum Check {
    /// Everything.
    All,
    /// Neither leaks nor races: it ends with everything open, or in forked children, where what
    /// only the parent's threads know of looks lost.
    Exits,
    /// No races: it stands in front of a function of the C library, as that sanitizer does.
    Interposes,
}
use Check::{All, Exits, Interposes};

macro_rules! programs {
    ($($name:ident: $check:expr;)*) => {
        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];
        mod plain {
            $(#[test] fn $name() { super::check_plain(stringify!($name)); })*
        }
        mod sanitized {
            use super::{All, Exits, Interposes};
            $(#[test] fn $name() { super::check_sanitized(stringify!($name), $check); })*
        }
        mod valgrind {
            use super::{All, Exits, Interposes};
            $(#[test] fn $name() { super::check_valgrind(stringify!($name), $check); })*
        }
        mod raced {
            use super::{All, Exits, Interposes};
            $(#[test] fn $name() { super::check_races(stringify!($name), $check); })*
        }
    };
}

programs! {
    any_thread: All;
    ask_own_connection: All;
    blocked_callback: All;
    busy: All;
    cancel: All;
    close_ends_calls: All;
    close_from_callback: All;
    close_mid_callback: All;
    close_while_sending: All;
    close_with_sends: All;
    closed_handles: All;
    conn_close: All;
    cursor: All;
    errors: All;
    events: All;
    exit_without_close: Exits;
    fd_closed: All;
    fork: Exits;
    free_in_done: All;
    handles: All;
    history: All;
    join_would_deadlock: All;
    local_server: All;
    log: All;
    message: All;
    no_threads: Interposes;
    options: All;
    out_before_callback: All;
    outcome_unknown: All;
    pull: All;
    requests: All;
    respond: All;
    send: All;
    send_async: All;
    sent_take: All;
    serial: All;
    signals: All;
    sigpipe: All;
    slow_dns: Interposes;
    stats: All;
    stop: All;
    stop_from_callback: All;
    threads: All;
    two_connections: All;
    watch: All;
    wire: All;
}

#[test]
fn every_program_is_run() {
    let mut files: Vec<String> = Vec::new();
    for entry in fs::read_dir(root().join("tests/c")).expect("tests/c") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        files.extend(
            name.strip_suffix(".c").filter(|it| !it.starts_with("support")).map(str::to_owned),
        );
    }
    files.sort();
    assert_eq!(files, PROGRAMS, "the list above is in the order of the files");
}

#[test]
fn the_programs_keep_the_rules_of_the_code() {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("tests/c")).expect("tests/c") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let text = fs::read_to_string(&path).expect("text");
            found.extend(untidy(&text).into_iter().map(|it| format!("{}:{it}", path.display())));
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Lines of more than 100 columns, tabs, spaces at the end, functions of more than 70 lines, files
/// of more than 400, without blanks and comments.
fn untidy(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut begun = 0;
    for (number, line) in (1..).zip(text.lines()) {
        if line.chars().count() > 100 || line.contains('\t') || line.ends_with(' ') {
            found.push(format!("{number}: more than 100 columns, a tab, or a space at the end"));
        }
        match line {
            "{" => begun = number,
            "}" if number - begun > 71 => {
                found.push(format!("{number}: a function of more than 70 lines ends here"));
            }
            _ => {}
        }
    }
    let is_code = |line: &&str| {
        let line = line.trim();
        !(line.is_empty() || ["/*", "*", "//"].iter().any(|it| line.starts_with(it)))
    };
    let lines = text.lines().filter(is_code).count();
    if lines > 400 {
        found.push(format!("1: {lines} lines of code, 400 is the limit"));
    }
    found
}

fn check_plain(name: &str) {
    let Some(build) = Build::new(name, &[]) else { return };
    build.run(&mut build.command(build.program()), 1);
}

fn check_sanitized(name: &str, check: Check) {
    let Some(build) = Build::new(name, &SANITIZERS) else { return };
    let mut command = build.command(build.program());
    if check == Exits {
        command.env("ASAN_OPTIONS", "detect_leaks=0");
    }
    build.run(&mut command, 1);
}

fn check_valgrind(name: &str, check: Check) {
    if !is_there("valgrind") {
        return;
    }
    let Some(build) = Build::new(name, &[]) else { return };
    let mut command = build.command("valgrind");
    command.args(["-q", "--error-exitcode=9", "--num-callers=30"]);
    command.args(["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]);
    match check {
        // What the program starts is looked at too, but for the server.
        Exits => command.args(["--leak-check=no", "--trace-children=yes"]),
        All | Interposes => command.arg("--leak-check=full"),
    };
    command.arg("--trace-children-skip=*/nats-server");
    // Fair, so that a thread that only looks does not keep the others from what it looks for.
    command.arg("--fair-sched=yes").arg(build.program());
    build.run(&mut command, SLOW);
}

fn check_races(name: &str, check: Check) {
    if check != All {
        return;
    }
    if !is_long() {
        return println!("not run: thread sanitizer: long runs only");
    }
    let Some(archive) = races::archive() else { return };
    let Some(build) = Build::instrumented(name, archive) else { return };
    build.run(&mut races::command(&build), 4);
}

/// One program, with this build's library under the names by which programs ask for it, and a
/// folder in which it has its server.
struct Build {
    name: &'static str,
    folder: TempDir,
}

impl Build {
    /// Links the library as a host does. `None` where there is no compiler for it.
    fn new(name: &str, flags: &[&str]) -> Option<Build> {
        let compiler = compiler("CC", "cc")?;
        if !flags.is_empty() && !can_sanitize(&compiler) {
            return None;
        }
        let build = Build::empty(name);
        let mut compile = build.compile(&compiler, name);
        compile
            .args(flags)
            .args(SUPPORT.map(|it| format!("tests/c/{it}.c")))
            .arg("-o")
            .arg(build.program());
        compile.arg("-L").arg(build.folder.path()).args(["-lchat", "-lpthread"]);
        run(&mut compile);
        Some(build)
    }

    /// Links the archive with what [`races::link`] adds.
    fn instrumented(name: &str, archive: &Path) -> Option<Build> {
        let compiler = compiler("CC", "cc")?;
        let build = Build::empty(name);
        let objects = [name, SUPPORT[0], SUPPORT[1]].map(|it| {
            let object = build.folder.path().join(format!("{it}.o"));
            let mut compile = build.compile(&compiler, it);
            run(compile.args(["-fsanitize=thread", "-c", "-o"]).arg(&object));
            object
        });
        let mut link = Command::new(&compiler);
        link.args(objects).arg("-o").arg(build.program()).arg(archive);
        run(races::link(&mut link));
        Some(build)
    }

    fn empty(name: &str) -> Build {
        let name = PROGRAMS.iter().copied().find(|it| *it == name).expect("listed");
        let build = Build { name, folder: linked() };
        fs::create_dir(build.folder()).expect("a folder");
        build
    }

    fn compile(&self, compiler: &str, name: &str) -> Command {
        let mut compile = Command::new(compiler);
        compile.current_dir(root()).args(WARNINGS).args(["-g", "-I", "include"]);
        compile.arg(format!("tests/c/{name}.c"));
        compile
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// What runs in the workspace, where it finds the server's program.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(root()).env("LD_LIBRARY_PATH", self.folder.path());
        command.env_remove("LIBCHAT_URL").env_remove("NATS_URL");
        command
    }

    /// Runs it to its end, so many times slower than it is; on a failure what it said is the
    /// reason.
    fn run(&self, command: &mut Command, slow: u32) {
        let said = self.folder.path().join("said");
        let output = fs::File::create(&said).expect("a file");
        command.arg(self.folder()).env("LIBCHAT_TEST_SLOW", slow.to_string());
        command.stdout(output.try_clone().expect("a file")).stderr(output);
        let status = wait(command, PATIENCE * slow);
        // Where the program failed its server goes on, frozen perhaps.
        let stopped = LocalServer::stop(&self.folder());
        let said = String::from_utf8_lossy(&fs::read(said).expect("text")).into_owned();
        assert!(status.success(), "{}: {status}\n{said}", self.name);
        assert!(!stopped.expect("it can be told"), "{}: its server was left behind", self.name);
        for line in said.lines() {
            assert!(line.starts_with("figure: "), "{}: {line}", self.name);
            println!("{line}");
        }
    }
}

/// Starts it and waits for its end, with a limit.
fn wait(command: &mut Command, limit: Duration) -> ExitStatus {
    let mut child = command.spawn().expect("it starts");
    let pid = child.id().to_string();
    let (sender, ended) = channel();
    let waiting = thread::spawn(move || {
        let status = child.wait().expect("a child");
        // Nobody listens where the limit has passed.
        let _ = sender.send(());
        status
    });
    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        // It may have ended just now.
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
    }
    waiting.join().expect("no panic")
}
