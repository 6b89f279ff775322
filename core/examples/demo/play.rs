//! The whole: starts server and agents, shows what they say, does what the script does to them, and
//! checks afterwards what became of it.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use libchat::{
    CallOptions, Connection, Event, LocalServer, LocalServerOptions, Manager, OpenOptions, Start,
    ThreadSummary, Watch, WatchOptions,
};
use tokio::time::{sleep, timeout};

use crate::cast::Cast;
use crate::claims::{Absence, Evidence, Outage, missed};
use crate::journal::{self, Asked, Note, Seen};
use crate::script::{Deed, Line, Question, Script};
use crate::transcript::Transcript;
use crate::{PROJECT, Result};

/// Nothing takes that long, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the server stays dead.
const OUTAGE: Duration = Duration::from_millis(700);
/// The name under which we look on.
const AUDIENCE: &str = "audience";

struct Play {
    cast: Cast,
    server: LocalServer,
    connection: Connection,
    manager: Manager,
    watch: Watch,
    /// What an agent has in its journal.
    notes: Vec<Note>,
    /// Who was started again and has not said anything since.
    returning: Option<String>,
    absences: Vec<Absence>,
    outages: Vec<Outage>,
    transcript: Transcript,
}

pub(crate) async fn run(programs: &[&str]) -> Result {
    let script = Script::load()?;
    let mut play = Play::begin(&script, programs).await?;
    for line in &script.lines {
        let message = play.next_message(line).await?;
        play.show(line, &message)?;
        if let Some(deed) = &line.then {
            play.perform(deed).await?;
        }
    }
    play.end(script).await
}

impl Play {
    async fn begin(script: &Script, programs: &[&str]) -> Result<Play> {
        let mut cast = Cast::assemble(script, programs)?;
        let server = LocalServer::start(cast.folder(), &LocalServerOptions::default())?;
        let connection = libchat::connect(server.connect_options()).await?;
        let manager = connection.open(PROJECT, AUDIENCE, OpenOptions::default()).await?;
        let watch = manager.watch_all(WatchOptions::from(Start::All)).await?;
        let transcript = Transcript::new(&script.agents());
        transcript.title(&title(script))?;
        for agent in script.agents() {
            cast.start(agent)?;
        }
        Ok(Play {
            cast,
            server,
            connection,
            manager,
            watch,
            notes: Vec::new(),
            returning: None,
            absences: Vec::new(),
            outages: Vec::new(),
            transcript,
        })
    }

    async fn next_message(&mut self, line: &Line) -> Result<Seen> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.cast.check()?;
            let Ok(event) = timeout(Duration::from_millis(100), self.watch.next_event()).await
            else {
                continue;
            };
            if let Some(message) = self.take(event?) {
                return Ok(message);
            }
        }
        Err(format!("nobody says {}, which is {}'s", line.id, line.from).into())
    }

    fn take(&mut self, event: Event) -> Option<Seen> {
        match event {
            Event::Message(message) => {
                let seen = Seen::of(&message);
                self.notes.push(Note::Saw(seen.clone()));
                return Some(seen);
            }
            Event::CaughtUp { .. } => self.notes.push(Note::CaughtUp),
            other => self.notes.push(Note::Odd(format!("{other:?}"))),
        }
        None
    }

    /// Shows a message, and before it what its sender did to be able to say it.
    fn show(&mut self, line: &Line, message: &Seen) -> Result {
        let notes = journal::read(self.cast.folder(), &line.from)?;
        if self.returning.take_if(|agent| *agent == line.from).is_some() {
            let count = missed(&notes).len();
            let text = format!("{} is back, caught up on {count} messages", line.from);
            self.transcript.mark(&text)?;
        }
        if let Some(asked) = line.asks.as_ref().and_then(|question| asked(&notes, question)) {
            let Asked { to, text, answer, took_ms } = asked;
            let answer = answer.as_deref().unwrap_or("nobody listens");
            let text = format!("{} asks {to}: {text} -> {answer} ({took_ms:.1} ms)", line.from);
            self.transcript.mark(&text)?;
        }
        self.transcript.message(message)
    }

    async fn perform(&mut self, deed: &Deed) -> Result {
        match deed {
            Deed::Kill(agent) => {
                self.cast.kill(agent)?;
                self.transcript.mark(&format!("{agent} killed (SIGKILL)"))
            }
            Deed::Start(agent) => {
                let stored = journal::seen(&self.notes).len();
                self.absences.push(Absence { agent: agent.clone(), stored });
                self.returning = Some(agent.clone());
                self.cast.start(agent)
            }
            Deed::RestartServer => self.restart_server().await,
        }
    }

    /// Kills the server when all have heard the last line, so that one is about to say the next.
    async fn restart_server(&mut self) -> Result {
        timeout(PATIENCE, self.all_have_heard()).await??;
        let (begin, before) = (Instant::now(), self.server.pid());
        self.server.kill()?;
        self.transcript.mark("server killed (SIGKILL)")?;
        sleep(OUTAGE).await;
        self.server = LocalServer::start(self.cast.folder(), &LocalServerOptions::default())?;
        self.transcript.mark("server started again, on the same store")?;
        let (pids, seconds) = ([before, self.server.pid()], begin.elapsed().as_secs_f64());
        self.outages.push(Outage { pids, seconds });
        Ok(())
    }

    async fn all_have_heard(&self) -> Result {
        let count = journal::seen(&self.notes).len();
        for agent in self.cast.agents() {
            while journal::seen(&journal::read(self.cast.folder(), agent)?).len() < count {
                sleep(Duration::from_millis(2)).await;
            }
        }
        Ok(())
    }

    async fn end(mut self, script: Script) -> Result {
        let ends = self.cast.ends(PATIENCE)?;
        let threads = self.manager.list_threads(CallOptions::default()).await?;
        while let Some(event) = self.watch.try_next_event() {
            self.take(event?);
        }
        self.notes.push(Note::Ended { reconnects: self.manager.stats().reconnects });
        self.connection.close().await;
        LocalServer::stop(self.cast.folder())?;
        let is_stopped = LocalServer::find(self.cast.folder())?.is_none();

        let mut journals = BTreeMap::from([(AUDIENCE.to_owned(), self.notes)]);
        for agent in script.agents() {
            journals.insert(agent.to_owned(), journal::read(self.cast.folder(), agent)?);
        }
        let all_ended_well = is_stopped && ends.iter().all(ExitStatus::success);
        let (absences, outages) = (self.absences, self.outages);
        let evidence = Evidence { script, journals, threads, absences, outages, all_ended_well };
        report(&evidence, &self.transcript)
    }
}

fn title(script: &Script) -> String {
    let language = |agent| script.written_in.get(agent).map_or("Rust", String::as_str);
    let agents = script.agents().into_iter().map(|it| format!("{it} in {}, ", language(it)));
    agents.collect::<String>() + "and a nats-server"
}

fn asked<'a>(notes: &'a [Note], question: &Question) -> Option<&'a Asked> {
    notes.iter().rev().find_map(|note| match note {
        Note::Asked(asked) if asked.text == question.text => Some(asked),
        _ => None,
    })
}

fn report(evidence: &Evidence, transcript: &Transcript) -> Result {
    for Absence { agent, .. } in &evidence.absences {
        transcript.title(&format!("What {agent} caught up on"))?;
        for Seen { thread, sender, body, .. } in missed(&evidence.journals[agent]) {
            transcript.row(&format!("{thread:<14} {sender}: {body}"))?;
        }
    }
    transcript.title("The threads, as list_threads gives them")?;
    for thread in &evidence.threads {
        transcript.row(&thread_row(thread))?;
    }
    let seconds = transcript.seconds();
    transcript.title(&format!("What holds, after {seconds:.1} s"))?;
    let claims = evidence.claims();
    for claim in &claims {
        transcript.check(claim.holds, &claim.text)?;
    }
    match claims.iter().filter(|claim| !claim.holds).count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} claims do not hold", claims.len()).into()),
    }
}

fn thread_row(thread: &ThreadSummary) -> String {
    let name = thread.name.as_deref().unwrap_or("?");
    let sender = thread.last.as_ref().map_or("nobody", |last| &last.sender);
    format!("{name:<14} {:2} messages, the last by {sender}", thread.message_count)
}
