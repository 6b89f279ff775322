//! The conversation as people read it: time, sender, thread, words; and marks for what happens.

use std::env;
use std::io::{IsTerminal, Write, stdout};
use std::time::Instant;

use crate::Result;
use crate::journal::Seen;

const WIDTH: usize = 80;
/// What stands before a message's words: time, sender, thread.
const INDENT: usize = 31;
const INDENT_MARK: usize = 9;
/// One colour for each agent: green, yellow, cyan, magenta.
const COLOURS: [u8; 4] = [32, 33, 36, 35];
const BOLD: u8 = 1;
const DIM: u8 = 2;
const RED: u8 = 31;

pub(crate) struct Transcript {
    begin: Instant,
    agents: Vec<String>,
    has_colours: bool,
}

impl Transcript {
    pub(crate) fn new(agents: &[&str]) -> Transcript {
        Transcript {
            begin: Instant::now(),
            agents: agents.iter().map(|&agent| agent.to_owned()).collect(),
            has_colours: stdout().is_terminal() && env::var_os("NO_COLOR").is_none(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    pub(crate) fn title(&self, text: &str) -> Result {
        self.print(&format!("\n{}", self.paint(BOLD, text)))
    }

    pub(crate) fn message(&self, message: &Seen) -> Result {
        let Seen { sender, thread, body, .. } = message;
        let rows = wrap(body, WIDTH - INDENT);
        let sender = self.paint(self.colour(sender), &format!("{sender:<9}"));
        let thread = self.paint(DIM, &format!("{thread:<15}"));
        let words = rows.join(&format!("\n{:INDENT$}", ""));
        self.print(&format!("{} {sender}{thread}{words}", self.time()))
    }

    /// Something that happens beside the conversation.
    pub(crate) fn mark(&self, text: &str) -> Result {
        let rows = wrap(text, WIDTH - INDENT_MARK);
        let text = rows.join(&format!("\n{:INDENT_MARK$}", ""));
        self.print(&format!("{} {}", self.time(), self.paint(BOLD, &format!("* {text}"))))
    }

    pub(crate) fn row(&self, text: &str) -> Result {
        self.print(&format!("  {text}"))
    }

    pub(crate) fn check(&self, holds: bool, text: &str) -> Result {
        let sign = if holds { self.paint(COLOURS[0], "[ok]") } else { self.paint(RED, "[NO]") };
        let rows = wrap(text, WIDTH - 5);
        self.print(&format!("{sign} {}", rows.join("\n     ")))
    }

    fn time(&self) -> String {
        self.paint(DIM, &format!("{:4.1} s", self.seconds()))
    }

    fn colour(&self, agent: &str) -> u8 {
        let place = self.agents.iter().position(|it| it == agent).unwrap_or_default();
        COLOURS[place % COLOURS.len()]
    }

    fn paint(&self, colour: u8, text: &str) -> String {
        if self.has_colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Not `println`, which panics when nobody reads on, as in `make demo | head`.
    fn print(&self, text: &str) -> Result {
        Ok(writeln!(stdout(), "{text}")?)
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let row = rows.last_mut().expect("there is one row from the start");
        if row.is_empty() {
            row.push_str(word);
        } else if row.chars().count() + 1 + word.chars().count() <= width {
            row.push(' ');
            row.push_str(word);
        } else {
            rows.push(word.to_owned());
        }
    }
    rows
}
