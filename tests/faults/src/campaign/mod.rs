//! The random campaign: agents, faults and an operator as a seed says, and a model of what must be
//! true whatever happens.

mod schedule;
mod journal;
mod operator;
mod plain;
mod agents;
mod world;
mod model;
mod watches;
mod calls;
mod shrink;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use libchat::Event;
use tokio::runtime::Builder;

use journal::{Journal, Said};
use model::Finding;
use schedule::Schedule;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Go on from the first seed for so long
    #[arg(long, conflicts_with = "seeds")]
    seconds: Option<u64>,
    /// These seeds: A..B, without B
    #[arg(long, value_parser = range, value_name = "A..B")]
    seeds: Option<Range<u64>>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seeds side by side
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// What finding the shortest schedule of each fault may take
    #[arg(long, default_value_t = 300)]
    shrink_seconds: u64,
    /// A schedule that was kept, instead of seeds
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").ok_or("A..B")?;
    let end = |text: &str| text.parse().map_err(|error| format!("{text:?}: {error}"));
    Ok(end(ends.0)?..end(ends.1)?)
}

/// What runs came to, together.
#[derive(Default)]
struct Totals {
    seeds: usize,
    steps: usize,
    sends: [usize; 4],
    events: [usize; 5],
    faults: BTreeMap<&'static str, usize>,
    calls: BTreeMap<String, [usize; 2]>,
    plain: (usize, usize),
    stale: usize,
    late: Duration,
    findings: usize,
}

/// Runs seeds, or one schedule; whether all was as promised.
pub(crate) async fn run(options: Options) -> bool {
    let (begun, mut totals) = (Instant::now(), Totals::default());
    if let Some(path) = &options.replay {
        let text = std::fs::read_to_string(path).expect("the schedule can be read");
        let schedule: Schedule = serde_json::from_str(&text).expect("a schedule");
        let (journal, findings) = one(schedule.clone()).await;
        totals.add(&schedule, &journal, &findings);
        say(&schedule, &findings);
        keep_journal(&schedule, &journal);
        return totals.print(begun);
    }
    let seeds = match (&options.seeds, options.seconds) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(_)) => options.seed..u64::MAX,
        (None, None) => options.seed..options.seed + 12,
    };
    let until = options.seconds.map(|it| begun + Duration::from_secs(it));
    let seeds = seeds.take_while(|_| until.is_none_or(|it| Instant::now() < it));
    let runs = seeds.map(|seed| async move {
        let schedule = schedule::draw(seed);
        let (journal, findings) = one(schedule.clone()).await;
        (schedule, journal, findings)
    });
    let mut runs = stream::iter(runs).buffer_unordered(options.jobs);
    let mut failed = Vec::new();
    while let Some((schedule, journal, findings)) = runs.next().await {
        totals.add(&schedule, &journal, &findings);
        if !findings.is_empty() {
            say(&schedule, &findings);
            keep_journal(&schedule, &journal);
            failed.push((schedule, findings));
        }
    }
    for (schedule, findings) in failed {
        shorten(schedule, &findings, Duration::from_secs(options.shrink_seconds)).await;
    }
    totals.print(begun)
}

/// In a runtime of its own, so that its tasks can be counted.
async fn one(schedule: Schedule) -> (Journal, Vec<Finding>) {
    let run = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let run = async move { world::run(&schedule).await };
        let journal = runtime.block_on(async { tokio::spawn(run).await });
        runtime.shutdown_background();
        journal
    });
    // A harness that breaks is a finding like others.
    match run.await.expect("the thread of a run") {
        Ok(journal) => {
            let (findings, stale) = model::judge(&journal);
            (Journal { stale, ..journal }, findings)
        }
        Err(broken) => {
            let finding = Finding { kind: "the run broke", text: broken.to_string() };
            (Journal::default(), vec![finding])
        }
    }
}

fn say(schedule: &Schedule, findings: &[Finding]) {
    for finding in findings.iter().take(8) {
        println!("seed {}: {}: {}", schedule.seed, finding.kind, finding.text);
    }
}

fn file(seed: u64, end: &str) -> PathBuf {
    let folder = Path::new("target/faults");
    std::fs::create_dir_all(folder).expect("a folder");
    folder.join(format!("campaign-{seed}.{end}"))
}

/// Finds the shortest schedule with the first of these findings, and keeps it.
async fn shorten(schedule: Schedule, findings: &[Finding], time: Duration) {
    let kind = findings[0].kind;
    let seed = schedule.seed;
    let shows = async |it: &Schedule| {
        let (journal, findings) = one(it.clone()).await;
        let shows = findings.iter().any(|it| it.kind == kind);
        if shows {
            keep_journal(it, &journal);
        }
        shows
    };
    let steps = schedule.steps.len();
    let short = shrink::shrink(schedule, time, shows).await;
    let text = serde_json::to_string_pretty(&short).expect("JSON");
    let path = file(seed, "json");
    std::fs::write(&path, &text).expect("the schedule can be kept");
    println!("seed {seed}: {kind}: {} of {steps} steps, {}", short.steps.len(), path.display());
    println!("{}", serde_json::to_string(&short).expect("JSON"));
}

impl Totals {
    fn add(&mut self, schedule: &Schedule, journal: &Journal, findings: &[Finding]) {
        self.seeds += 1;
        self.steps += schedule.steps.len();
        self.findings += usize::from(!findings.is_empty());
        for sent in &journal.sends {
            let at = match sent.said {
                Said::Acked { .. } => 0,
                _ if sent.is_unknown() => 1,
                _ => 2,
            };
            self.sends[at] += 1;
            self.sends[3] += usize::from(sent.foreign);
        }
        for (_, event) in journal.watches.iter().flat_map(|it| &it.events) {
            let at = match event {
                Event::Message(_) => 0,
                Event::Gap { .. } => 1,
                Event::Reset { .. } => 2,
                Event::Malformed { .. } => 3,
                _ => 4,
            };
            self.events[at] += 1;
        }
        for trouble in &journal.troubles {
            *self.faults.entry(trouble.fault.name()).or_default() += 1;
        }
        for call in &journal.calls {
            let counts = self.calls.entry(call.what.clone()).or_default();
            counts[usize::from(call.failed.is_some())] += 1;
        }
        self.plain.0 += journal.plain.0;
        self.plain.1 += journal.plain.1;
        self.stale += journal.stale;
        self.late = self.late.max(journal.late);
    }

    fn print(&self, begun: Instant) -> bool {
        let [acked, unknown, refused, foreign] = self.sends;
        let [messages, gaps, resets, malformed, others] = self.events;
        println!("{} seeds, {} steps, {:?}", self.seeds, self.steps, begun.elapsed());
        println!(
            "sends: {acked} acked, {unknown} unknown, {refused} refused, {foreign} by nats.go"
        );
        println!(
            "events: {messages} messages, {gaps} gaps, {resets} resets, {malformed} malformed, \
             {others} others"
        );
        let calls = self.calls.iter().map(|(what, [ok, failed])| format!("{what} {ok}+{failed}"));
        println!("calls, and those that failed: {}", calls.collect::<Vec<_>>().join(", "));
        let faults = self.faults.iter().map(|(name, count)| format!("{name} {count}"));
        println!("faults: {}", faults.collect::<Vec<_>>().join(", "));
        println!("nats.go's own watch: {} told, {} missed", self.plain.0, self.plain.1);
        println!("receipts that name the stream before: {}", self.stale);
        println!("late at most {:?}; seeds with findings: {}", self.late, self.findings);
        self.findings == 0
    }
}

/// All that was noted, with the milliseconds since the beginning, for who looks into a finding.
fn keep_journal(schedule: &Schedule, journal: &Journal) {
    let mut lines: Vec<(Instant, String)> = Vec::new();
    for sent in &journal.sends {
        let who = &journal.lives[sent.life].agent;
        lines.push((sent.begun, format!("{who} sends {} to {}", sent.id, sent.short)));
        if let Some(ended) = sent.ended {
            lines.push((ended, format!("{who} sent {}: {:?}", sent.id, sent.said)));
        }
    }
    for called in &journal.calls {
        lines.push((called.begun, format!("{} begins", called.what)));
        lines.push((called.ended, format!("{} ended: {:?}", called.what, called.failed)));
    }
    for trouble in &journal.troubles {
        lines.push((trouble.begun, format!("operator: {:?}", trouble.fault)));
        if let Some(ended) = trouble.ended {
            lines.push((ended, format!("operator: done {:?}", trouble.fault)));
        }
    }
    for removal in &journal.removals {
        let text = format!("removes {:?} of {}", removal.scope, removal.incarnation);
        lines.push((removal.begun, text));
    }
    for (number, watched) in journal.watches.iter().enumerate() {
        let (filter, start) = (watched.filter, watched.start);
        let who = &journal.lives[watched.life].agent;
        lines
            .push((watched.called, format!("watch {number} of {who} called {filter:?} {start:?}")));
        lines.push((watched.returned, format!("watch {number} returned {}", watched.first)));
        for (at, event) in &watched.events {
            let text = match event {
                Event::Message(message) => format!("{} {}", message.cursor.seq, message.id),
                other => format!("{other:?}"),
            };
            lines.push((*at, format!("watch {number}: {text}")));
        }
    }
    lines.sort();
    let Some(begin) = lines.first().map(|it| it.0) else { return };
    let line = |(at, text): &(Instant, String)| format!("{} {text}\n", (*at - begin).as_micros());
    let text: String = lines.iter().map(line).collect();
    std::fs::write(file(schedule.seed, "log"), text).expect("a journal");
}
