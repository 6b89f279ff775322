//! What a command is given: a thread, and text from the command line, a pipe or a file.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use clap::Args;
use libchat::ThreadRef;

use crate::failure::Failure;

/// A thread, as the command line names it.
#[derive(Args)]
pub(crate) struct Thread {
    /// The thread's name
    thread: String,
    /// THREAD is its 8 hex digits, as `libchat threads` shows them where no name is known
    #[arg(long)]
    short: bool,
}

impl Thread {
    pub(crate) fn to_ref(&self) -> Result<ThreadRef<'_>, Failure> {
        match self.short {
            true => Ok(ThreadRef::Short(self.thread.parse()?)),
            false => Ok(ThreadRef::Name(&self.thread)),
        }
    }
}

/// `text` as given; for `-`, or nothing and no terminal, what stands in standard input without the
/// newline at its end.
pub(crate) fn text(text: Option<&str>) -> Result<Vec<u8>, Failure> {
    match text {
        Some(text) if text != "-" => Ok(text.as_bytes().to_vec()),
        None if io::stdin().is_terminal() => {
            let hint = "give it as an argument, or pipe it in: git diff | libchat send review";
            Err(Failure::usage("no text", hint))
        }
        _ => standard_input(),
    }
}

/// A file's content, to the byte.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|cause| Failure::system(format!("read {}", path.display()), &cause))
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut input = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut input);
    read.map_err(|cause| Failure::system("read standard input", &cause))?;
    Ok(without_newline(input))
}

fn without_newline(mut input: Vec<u8>) -> Vec<u8> {
    if input.pop_if(|last| *last == b'\n').is_some() {
        input.pop_if(|last| *last == b'\r');
    }
    input
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_newline_at_the_end_goes() {
        let check = |input: &str, expected: &str| {
            assert_eq!(super::without_newline(input.into()), expected.as_bytes());
        };
        check("hi\n", "hi");
        check("hi\r\n", "hi");
        check("hi\n\n", "hi\n");
        check("hi\r", "hi\r");
        check("", "");
    }
}
