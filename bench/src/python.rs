//! The Python package beside nats-py, measured by bench/python/face.py.

use std::env;
use std::process::Command;

use crate::{Result, Server, root};

/// Lines of the table. `LIBCHAT_BENCH_PYTHON` is a Python that has libchat and nats-py, and
/// `LIBCHAT_BENCH_WHEEL` the wheel: `make bench` names both.
pub(crate) fn measure() -> Result<String> {
    let Some(python) = env::var_os("LIBCHAT_BENCH_PYTHON") else {
        println!("not run: the Python package: make bench");
        return Ok(String::new());
    };
    let server = Server::start()?;
    let mut command = Command::new(python);
    command.arg(root().join("bench/python/face.py")).arg(server.url()).arg("--table");
    if let Some(wheel) = env::var_os("LIBCHAT_BENCH_WHEEL") {
        command.arg("--wheel").arg(wheel);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
