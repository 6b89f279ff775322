//! The Go package beside nats.go, measured by bench/go.

use std::env;
use std::process::Command;

use crate::{Result, Server};

/// Lines of the table. `LIBCHAT_BENCH_GO` is the program, linked with the library of the same
/// build: `make bench` names it.
pub(crate) fn measure() -> Result<String> {
    let Some(program) = env::var_os("LIBCHAT_BENCH_GO") else {
        println!("not run: the Go package: make bench");
        return Ok(String::new());
    };
    let server = Server::start()?;
    let library = env::current_exe()?.with_file_name("prefix/lib");
    let mut command = Command::new(program);
    let output = command.arg(server.url()).env("LD_LIBRARY_PATH", library).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
