//! One agent: follows every thread of the project, says its lines, answers what it is asked.

use std::path::Path;
use std::time::{Duration, Instant};

use libchat::{
    ErrorKind, Event, LocalServer, Manager, OpenOptions, RequestOptions, RespondOptions, Responder,
    SendOptions, Start, WatchOptions,
};
use tokio::time::sleep;

use crate::journal::{self, Asked, Journal, Note, Seen};
use crate::script::{Line, Question, Script};
use crate::{PROJECT, Result, cast};

/// Nobody types faster.
const TYPING: Duration = Duration::from_millis(150);

struct Agent {
    manager: Manager,
    script: Script,
    journal: Journal,
    /// How many lines of the script it has heard, its own included.
    heard: usize,
    /// How many it had heard when it last spoke: no line is said twice.
    spoke_at: Option<usize>,
    caught_up: bool,
}

pub(crate) async fn run(name: &str, folder: &Path) -> Result {
    cast::end_with_parent();
    let script = Script::load()?;
    let (mut journal, before) = Journal::open(folder, name)?;
    let after = journal::cursor(&before)?;
    journal.note(&Note::Started { after: after.map(|cursor| cursor.to_string()) })?;

    let server = LocalServer::find(folder)?.ok_or("the server is not there")?;
    let connection = libchat::connect(server.connect_options()).await?;
    let manager = connection.open(PROJECT, name, OpenOptions::default()).await?;
    let responder = manager.answer(RespondOptions::default()).await?;
    tokio::spawn(answer(responder, name.to_owned()));
    let start = after.map_or(Start::All, Start::After);
    let watch = manager.watch_all(WatchOptions::from(start)).await?;

    let heard = journal::seen(&before).len();
    let mut agent = Agent { manager, script, journal, heard, spoke_at: None, caught_up: false };
    while agent.heard < agent.script.lines.len() {
        agent.take(watch.next_event().await?)?;
        agent.speak_if_due().await?;
    }
    let reconnects = agent.manager.stats().reconnects;
    agent.journal.note(&Note::Ended { reconnects })?;
    connection.close().await;
    Ok(())
}

impl Agent {
    fn take(&mut self, event: Event) -> Result {
        match event {
            Event::Message(message) => {
                self.journal.note(&Note::Saw(Seen::of(&message)))?;
                self.heard += 1;
            }
            Event::CaughtUp { .. } => {
                self.journal.note(&Note::CaughtUp)?;
                self.caught_up = true;
            }
            other => self.journal.note(&Note::Odd(format!("{other:?}")))?,
        }
        Ok(())
    }

    async fn speak_if_due(&mut self) -> Result {
        let line = self.script.lines.get(self.heard);
        let Some(line) = line.filter(|line| line.from == self.manager.agent()) else {
            return Ok(());
        };
        if !self.caught_up || self.spoke_at == Some(self.heard) {
            return Ok(());
        }
        self.spoke_at = Some(self.heard);
        sleep(TYPING).await;
        if let Some(question) = &line.asks {
            ask(&self.manager, &mut self.journal, question).await?;
        }
        say(&self.manager, &mut self.journal, line).await
    }
}

/// Says a line under an id of its own: if this process is killed before it hears the line, the next
/// one says it again, and the server drops the copy.
async fn say(manager: &Manager, journal: &mut Journal, line: &Line) -> Result {
    let begin = Instant::now();
    let options = SendOptions { id: Some(line.id.clone()), ..Default::default() };
    manager.send(&line.thread, &line.text, options).await?;
    journal.note(&Note::Said { took_ms: milliseconds(begin) })
}

/// Asks until the other one is as the script says: there to answer, or away.
async fn ask(manager: &Manager, journal: &mut Journal, question: &Question) -> Result {
    let Question { to, text, .. } = question;
    loop {
        let begin = Instant::now();
        let options = RequestOptions { timeout: Duration::from_secs(1), ..Default::default() };
        let answer = match manager.ask(to, text, options).await {
            Ok(reply) => Some(String::from_utf8(reply.payload)?),
            Err(error) if error.kind() == ErrorKind::NoResponders => None,
            // It was killed between hearing and answering.
            Err(error) if error.kind() == ErrorKind::Timeout => continue,
            Err(error) => return Err(error.into()),
        };
        if answer.is_some() == question.answer.is_some() {
            let (to, text, took_ms) = (to.clone(), text.clone(), milliseconds(begin));
            return journal.note(&Note::Asked(Asked { to, text, answer, took_ms }));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Answers what `agent` is asked, as the script says.
async fn answer(responder: Responder, agent: String) {
    let script = Script::load().expect("it was read before");
    while let Ok(request) = responder.next().await {
        let mut questions = script.questions().filter(|question| question.to == agent);
        let asked = questions.find(|question| question.text.as_bytes() == request.payload());
        let answer = asked.and_then(|question| question.answer.as_deref()).unwrap_or("I am here");
        // An answer that is lost is missed by the one who asked, who asks again.
        let _ = request.reply(answer).await;
    }
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}
