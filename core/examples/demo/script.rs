//! The conversation as data: who says what in which thread, and what happens to them meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Result;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// The language of each agent that is no Rust program.
    pub(crate) written_in: BTreeMap<String, String>,
    /// In the order in which they are said: each when its speaker has seen the one before.
    pub(crate) lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// The message's id, from its place: `line-07`.
    #[serde(skip)]
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) thread: String,
    pub(crate) text: String,
    /// What the speaker asks another agent, directly, before it says this.
    pub(crate) asks: Option<Question>,
    /// What is done as soon as this line is heard.
    pub(crate) then: Option<Deed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) to: String,
    pub(crate) text: String,
    /// `None`: the other one must be found away.
    pub(crate) answer: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    Kill(String),
    Start(String),
    RestartServer,
}

impl Script {
    pub(crate) fn load() -> Result<Script> {
        let file = "../examples/demo/conversation.json";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let mut script: Script =
            serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
        for (i, line) in script.lines.iter_mut().enumerate() {
            line.id = format!("line-{:02}", i + 1);
        }
        Ok(script)
    }

    /// Every speaker, in the order of their first lines.
    pub(crate) fn agents(&self) -> Vec<&str> {
        let mut agents = Vec::new();
        for line in &self.lines {
            if !agents.contains(&line.from.as_str()) {
                agents.push(&line.from);
            }
        }
        agents
    }

    /// The lines in a form that an agent without JSON reads easily: fields with tabs between, and
    /// an empty line at the end.
    pub(crate) fn plain(&self) -> String {
        let mut plain = String::new();
        for line in &self.lines {
            let asks = line.asks.as_ref().map_or(["", "", ""], |question| {
                [&question.to, &question.text, question.answer.as_deref().unwrap_or_default()]
            });
            let says = [line.id.as_str(), &line.from, &line.thread, &line.text];
            plain += &[says.join("\t"), asks.join("\t")].join("\t");
            plain.push('\n');
        }
        plain.push('\n');
        plain
    }

    pub(crate) fn questions(&self) -> impl Iterator<Item = &Question> {
        self.lines.iter().filter_map(|line| line.asks.as_ref())
    }
}
