//! Standard output: whole lines, at once or as they come, and colour where it is seen.

use std::env;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::failure::Failure;
use crate::plain;

/// When to colour.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

impl Color {
    /// Whether standard output is to be coloured.
    pub(crate) fn is_on(self) -> bool {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto => set("CLICOLOR_FORCE") || io::stdout().is_terminal(),
        }
    }
}

/// Prints `text` as it is.
pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    Ok(stdout.flush()?)
}

/// Prints one JSON document on one line.
pub(crate) fn print_json(value: Value) -> Result<(), Failure> {
    print(json_line(value).as_bytes())
}

/// [`print`], while the connection stays alive: the reader of our output may take its time.
pub(crate) async fn print_in_background(text: String) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    match spawn_blocking(move || print(text.as_bytes())).await {
        Ok(result) => result,
        Err(cause) => Err(io::Error::other(cause).into()),
    }
}

/// One line, the version of its form first.
pub(crate) fn json_line(value: Value) -> String {
    let mut line = json!({"schema": 1});
    if let (Value::Object(line), Value::Object(value)) = (&mut line, value) {
        line.extend(value);
    }
    plain::quiet(line.to_string()) + "\n"
}

/// The columns of the terminal on standard output, if it is one.
pub(crate) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_begins_with_its_schema() {
        assert_eq!(json_line(json!({"a": "x\ny"})), "{\"schema\":1,\"a\":\"x\\ny\"}\n");
        let line = json_line(json!({"a": "\u{9b}2J\u{202e}é"}));
        assert_eq!(line, "{\"schema\":1,\"a\":\"\\u009b2J\\u202eé\"}\n");
    }
}
