//! Which threads there are.

use clap::Args;
use libchat::{CallOptions, ThreadSummary};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::glob;
use crate::options::{HELP, Options};
use crate::output::{columns, print, print_json};
use crate::plain;
use crate::render::thread_json;
use crate::session::{self, Role, interruptible};
use crate::when;

/// A longer name or sender moves its row's other columns.
const NAME_WIDTH: usize = 40;
const SENDER_WIDTH: usize = 20;

/// List the threads, the most recently used first
#[derive(Args)]
#[command(help_template = HELP)]
pub(crate) struct Threads {
    /// Only threads whose name or short fits: `*` is any text, `?` one character
    #[arg(value_name = "GLOB")]
    globs: Vec<String>,
    /// Only threads that this agent has written in
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Print names only, one a line; threads without a known name are left out
    #[arg(long, conflicts_with = "json")]
    names: bool,
}

impl Threads {
    pub(crate) async fn run(self, options: &Options) -> Result<(), Failure> {
        let call = CallOptions { timeout: options.timeout() };
        let mut threads = session::run(options, Role::Reader, async |manager| {
            interruptible(async {
                match &self.agent {
                    Some(agent) => manager.threads_for_agent(agent, usize::MAX, call).await,
                    None => manager.list_threads(call).await,
                }
            })
            .await
        })
        .await?;
        threads.retain(|it| glob::wants(&self.globs, it.name.as_deref(), it.short.as_str()));
        if options.json {
            let threads: Vec<Value> = threads.iter().map(thread_json).collect();
            print_json(json!({"threads": threads}))
        } else if self.names {
            names(&threads, options)
        } else {
            print(table(&threads, columns()).as_bytes())
        }
    }
}

fn names(threads: &[ThreadSummary], options: &Options) -> Result<(), Failure> {
    let named: Vec<&str> = threads.iter().filter_map(|it| it.name.as_deref()).collect();
    let lines: String = named.iter().map(|name| plain::line(name) + "\n").collect();
    let nameless = threads.len() - named.len();
    if nameless > 0 {
        options.note(&format!("left out: {nameless} without a known name"));
    }
    print(lines.as_bytes())
}

fn table(threads: &[ThreadSummary], columns: Option<usize>) -> String {
    if threads.is_empty() {
        return String::new();
    }
    let head = ["THREAD", "MESSAGES", "LAST ACTIVITY", "FROM", "LAST MESSAGE"].map(str::to_owned);
    let rows: Vec<[String; 5]> = [head].into_iter().chain(threads.iter().map(row)).collect();
    let width = |column: usize, most: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.filter(|width| *width <= most).max().unwrap_or(most)
    };
    let (name, sender) = (width(0, NAME_WIDTH), width(3, SENDER_WIDTH));
    let line = |[thread, count, time, from, body]: &[String; 5]| {
        let line = format!("{thread:name$}  {count:>8}  {time:19}  {from:sender$}  {body}");
        let line: String = line.chars().take(columns.unwrap_or(usize::MAX)).collect();
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(thread: &ThreadSummary) -> [String; 5] {
    let name = thread.name.as_deref().unwrap_or(thread.short.as_str());
    let last = thread.last.as_deref();
    [
        plain::line(name),
        thread.message_count.to_string(),
        last.map_or_else(|| "unknown".into(), |last| when::local(last.time)),
        last.map_or_else(String::new, |last| plain::line(&last.sender)),
        last.map_or_else(String::new, |last| {
            plain::line(last.body.trim_start().lines().next().unwrap_or_default())
        }),
    ]
}
