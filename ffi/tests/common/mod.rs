//! What the tests of the C face share: this build's library, compilers, and what is said where a
//! tool is missing.
#![allow(dead_code, unreachable_pub)] // each test file uses a part
#![allow(clippy::print_stdout)] // says what cannot be run here

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use tempfile::TempDir;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
pub const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}

pub fn scratch() -> TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// libchat.so, which cargo has built with this test.
pub fn library() -> PathBuf {
    let test = env::current_exe().expect("this program");
    let library = test.with_file_name("libchat.so");
    assert!(library.is_file(), "no libchat.so beside this program: cargo build -p libchat-ffi");
    library
}

/// What a program built against this version asks for: 0.MINOR before 1.0, then MAJOR.
pub fn series() -> String {
    let (major, rest) = VERSION.split_once('.').expect("a version");
    if major != "0" {
        return major.to_owned();
    }
    format!("0.{}", rest.split('.').next().expect("a minor version"))
}

/// A folder with the library under the names by which linker and loader ask for it.
pub fn linked() -> TempDir {
    let folder = scratch();
    for name in ["libchat.so".to_owned(), format!("libchat.so.{}", series())] {
        std::os::unix::fs::symlink(library(), folder.path().join(name)).expect("a link");
    }
    folder
}

/// The compiler that `variable` names, or `usual`; `None` where there is none, which is said.
pub fn compiler(variable: &str, usual: &str) -> Option<String> {
    let compiler = env::var(variable).unwrap_or_else(|_| usual.to_owned());
    is_there(&compiler).then_some(compiler)
}

/// Whether it knows [`SANITIZERS`]; where not, that is said.
pub fn can_sanitize(compiler: &str) -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = *CAN.get_or_init(|| {
        let folder = scratch();
        let source = folder.path().join("empty.c");
        fs::write(&source, "int main(void) { return 0; }\n").expect("a file");
        let mut compile = Command::new(compiler);
        compile.args(SANITIZERS).arg(source).arg("-o").arg(folder.path().join("empty"));
        compile.output().is_ok_and(|it| it.status.success())
    });
    if !can {
        not_run(&format!("sanitizers: {compiler} has no -fsanitize=address,undefined"));
    }
    can
}

/// Runs what must succeed, and gives what it prints.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).expect("text"));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out
}

pub fn is_there(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    if !is_there {
        not_run(tool);
    }
    is_there
}

/// Says so; in long runs nothing may be left out.
pub fn not_run(what: &str) {
    println!("not run: {what}");
    assert!(!is_long(), "not run: {what}");
}

/// Whether the full length of a test was asked for (`make test-long`).
pub fn is_long() -> bool {
    env::var_os("LIBCHAT_TEST_LONG").is_some()
}
