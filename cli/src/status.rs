//! How things stand.

use std::time::Instant;

use clap::Args;
use libchat::{CallOptions, Connection, Error, ErrorKind, OpenOptions, Origin};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::{HELP, Options};
use crate::output::{print, print_json};
use crate::plain;
use crate::session::{self, Named, interruptible};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const NEXT_STEPS: &str = "
next:
  libchat up                   start a server for this folder
  libchat send plan 'hello'    say something in the thread `plan`
  libchat tail                 follow every thread
  libchat --help               all commands
";

const NOTE: &str = "\
Ends with exit code 5 when the server cannot be reached, after saying what was tried.";

/// Show the server, the project and the agent, and where each was found
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Status {
    /// For a person who typed nothing else.
    #[arg(skip)]
    pub(crate) next_steps: bool,
}

/// What is known; `None` and empty is what is not.
struct Found {
    project: Option<Named>,
    agent: Option<Named>,
    server: Option<String>,
    round_trip_ms: Option<f64>,
    stream: Option<Stream>,
    origins: Vec<Origin>,
}

struct Stream {
    name: String,
    threads: u64,
    messages: u64,
}

impl Status {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        let mut found = Found {
            project: session::project(options).ok(),
            agent: session::agent(options).ok(),
            server: None,
            round_trip_ms: None,
            stream: None,
            origins: Vec::new(),
        };
        let result = interruptible(found.look(options)).await;
        if options.json {
            print_json(found.to_json(&result))?;
        } else {
            let next = if self.next_steps { NEXT_STEPS } else { "" };
            print((found.to_text(&result) + next).as_bytes())?;
        }
        result
    }
}

impl Found {
    async fn look(&mut self, options: &Options) -> Result<(), Failure> {
        self.origins = libchat::origins(&options.connect_options())?;
        let connection = libchat::connect(options.connect_options()).await?;
        self.server = Some(connection.servers());
        let result = self.look_at_stream(&connection, options).await;
        connection.close().await;
        match result {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => Ok(result?),
        }
    }

    /// The first request tells how far the server is.
    async fn look_at_stream(
        &mut self,
        connection: &Connection,
        options: &Options,
    ) -> Result<(), Error> {
        let Some(project) = &self.project else { return Ok(()) };
        let agent = self.agent.as_ref().map_or("reader", |agent| &agent.value);
        let timeout = options.timeout();
        let open = OpenOptions { create: false, timeout, ..OpenOptions::default() };
        let begun = Instant::now();
        let opened = connection.open(&project.value, agent, open).await;
        self.round_trip_ms = Some(begun.elapsed().as_secs_f64() * 1000.0);
        let threads = opened?.list_threads(CallOptions { timeout }).await?;
        self.stream = Some(Stream {
            name: format!("chat-{}", project.value),
            threads: threads.len() as u64,
            messages: threads.iter().map(|thread| thread.message_count).sum(),
        });
        Ok(())
    }

    fn to_json(&self, result: &Result<(), Failure>) -> Value {
        let value = |named: &Option<Named>| named.as_ref().map(|it| it.value.clone());
        let origins = self.origins();
        let origins = origins
            .iter()
            .map(|[what, value, from]| json!({"what": what, "value": value, "from": from}));
        json!({
            "version": VERSION,
            "server": self.server,
            "connected": self.server.is_some(),
            "round_trip_ms": self.round_trip_ms,
            "project": value(&self.project),
            "agent": value(&self.agent),
            "stream": self.stream.as_ref().map(|it| {
                json!({"name": it.name, "threads": it.threads, "messages": it.messages})
            }),
            "origins": origins.collect::<Vec<_>>(),
            "error": match result {
                Err(Failure::Told(told)) => told.to_json(),
                _ => Value::Null,
            },
        })
    }

    /// What each value is, and where it was found.
    fn origins(&self) -> Vec<[String; 3]> {
        let ours = [("project", &self.project), ("agent", &self.agent)];
        let ours = ours.into_iter().filter_map(|(what, named)| {
            let named = named.as_ref()?;
            Some([what.to_owned(), named.value.clone(), named.from.clone()])
        });
        let theirs = self.origins.iter();
        let theirs = theirs.map(|it| [it.what.to_owned(), it.value.clone(), it.from.clone()]);
        theirs.chain(ours).collect()
    }

    fn to_text(&self, result: &Result<(), Failure>) -> String {
        let mut rows = vec![["libchat".to_owned(), VERSION.to_owned()]];
        if self.server.is_none() {
            rows.push(["state".into(), "not connected, as said below".into()]);
        }
        for [what, value, from] in self.origins() {
            rows.push([what, format!("{} (from {from})", plain::line(&value))]);
        }
        if self.project.is_none() {
            rows.push(["project".into(), "none: give --project NAME".into()]);
        }
        if let Some(ms) = self.round_trip_ms {
            rows.push(["answers in".into(), format!("{ms:.1} ms")]);
        }
        match (&self.stream, result) {
            (Some(it), _) => rows.push([
                "stream".into(),
                format!(
                    "{}: {} in {}",
                    plain::line(&it.name),
                    counted(it.messages, "message"),
                    counted(it.threads, "thread")
                ),
            ]),
            (None, Ok(())) if self.project.is_some() => {
                rows.push(["stream".into(), "none yet: the first message makes it".into()]);
            }
            _ => {}
        }
        rows.iter().map(|[what, value]| format!("{what:16}{value}\n")).collect()
    }
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
