//! Runs the faults, keeps what each came to, and prints the table.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};

use crate::actor::{Face, agents_folder};
use crate::faults::{self, SHORT, WORST};
use crate::judge::Verdict;
use crate::scene::{self, Fault};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A few faults, one seed, in Rust only: what `make test` runs
    #[arg(long)]
    short: bool,
    /// Only faults whose names hold this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only this face: core, C, Python or Go
    #[arg(long, value_name = "NAME")]
    face: Option<String>,
    /// Seeds for the core; the other faces have one
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs side by side
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Keep what is done here, and go on from it when started again
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

struct Job {
    fault: &'static Fault,
    face: Face,
    seed: u64,
}

/// A run that is done.
#[derive(Serialize, Deserialize)]
struct Done {
    /// Of which program: another one's results are not taken over.
    build: u64,
    fault: String,
    face: String,
    seed: u64,
    verdict: Verdict,
}

impl Options {
    fn jobs(&self) -> Vec<Job> {
        let faces = [Face::Core].into_iter().chain(Face::OTHERS);
        let mut jobs = Vec::new();
        for face in faces.filter(|it| self.wants(*it)) {
            let is_core = face == Face::Core;
            for fault in faults::all() {
                let chosen = match (self.short, is_core) {
                    (true, true) => SHORT.contains(&fault.name),
                    (true, false) => false,
                    (false, true) => true,
                    (false, false) => WORST.contains(&fault.name),
                };
                let only = self.only.as_ref().is_none_or(|it| is_meant(fault.name, it));
                let seeds = if is_core && !self.short { self.seeds } else { 1 };
                if chosen && only {
                    let seeds = self.seed..self.seed + seeds;
                    jobs.extend(seeds.map(|seed| Job { fault, face, seed }));
                }
            }
        }
        jobs
    }

    fn wants(&self, face: Face) -> bool {
        self.face.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(face.name()))
    }

    fn kept(&self) -> Vec<Done> {
        let Some(path) = &self.keep else { return Vec::new() };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let done = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        done.filter(|it: &Done| it.build == build() && it.verdict.is_clean()).collect()
    }
}

/// A whole name means that fault only.
fn is_meant(name: &str, text: &str) -> bool {
    let is_name = faults::all().iter().any(|it| it.name == text);
    if is_name { name == text } else { name.contains(text) }
}

/// When the newest of this program and the agents was built.
fn build() -> u64 {
    let agents = agents_folder().and_then(|it| std::fs::read_dir(it).ok()).into_iter().flatten();
    let agents = agents.filter_map(|it| Some(it.ok()?.path()));
    let files = std::env::current_exe().into_iter().chain(agents);
    let made = files.filter_map(|it| it.metadata().ok()?.modified().ok());
    let made = made.filter_map(|it| it.duration_since(UNIX_EPOCH).ok());
    made.max().map_or(0, |it| it.as_secs())
}

/// Runs what is not done yet; whether all of it is as promised.
pub(crate) async fn run(options: Options) -> bool {
    let jobs: Vec<Job> = options.jobs();
    let total = jobs.len();
    if total == 0 {
        println!("no fault of that name for that face");
        return false;
    }
    let key = |fault: &str, face: &str, seed: u64| format!("{fault}|{face}|{seed}");
    let of = |it: &Job| key(it.fault.name, it.face.name(), it.seed);
    let wanted: HashSet<String> = jobs.iter().map(of).collect();
    let mut done = options.kept();
    done.retain(|it| wanted.contains(&key(&it.fault, &it.face, it.seed)));
    let known: HashSet<String> = done.iter().map(|it| key(&it.fault, &it.face, it.seed)).collect();
    let open = jobs.into_iter().filter(|it| !known.contains(&of(it)));
    let mut runs = stream::iter(open.map(one)).buffer_unordered(options.jobs);
    while let Some(run) = runs.next().await {
        let state = if run.verdict.is_clean() { "ok" } else { "FAILED" };
        let Done { fault, face, seed, verdict, .. } = &run;
        println!(
            "{state}: {fault}, {face}, seed {seed}: {} acked, {}",
            verdict.acked, verdict.trace
        );
        for text in verdict.untrue.iter().take(8) {
            println!("    {text}");
        }
        if let Some(path) = &options.keep {
            keep(path, &run);
        }
        done.push(run);
    }
    print(&done);
    let failed = done.iter().filter(|it| !it.verdict.is_clean()).count();
    println!("{} of {total} runs done, {failed} failed", done.len());
    failed == 0 && done.len() >= total
}

fn keep(path: &Path, run: &Done) {
    let line = serde_json::to_string(run).expect("JSON");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut it| writeln!(it, "{line}")).expect("the results can be kept");
}

async fn one(job: Job) -> Done {
    let Job { fault, face, seed } = job;
    // A harness that breaks is a finding like others.
    let verdict = tokio::spawn(scene::run(fault, face, seed)).await.unwrap_or_else(|broken| {
        Verdict { untrue: vec![format!("the run broke: {broken}")], ..Verdict::default() }
    });
    let (fault, face) = (fault.name.to_owned(), face.name().to_owned());
    Done { build: build(), fault, face, seed, verdict }
}

/// A row for each fault and face, the worst of its seeds.
fn print(done: &[Done]) {
    println!();
    println!(
        "| fault | face | seeds | acked | lost | twice | out of order | untrue | silence ms | \
         call ms | back after ms | hit |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
    for face in [Face::Core].into_iter().chain(Face::OTHERS) {
        for fault in faults::all() {
            let rows = done.iter().filter(|it| it.fault == fault.name && it.face == face.name());
            let rows: Vec<&Verdict> = rows.map(|it| &it.verdict).collect();
            if !rows.is_empty() {
                println!("{}", row(fault.name, face, &rows));
            }
        }
    }
    println!();
}

fn row(fault: &str, face: Face, rows: &[&Verdict]) -> String {
    let sum = |of: fn(&Verdict) -> usize| rows.iter().map(|it| of(it)).sum::<usize>();
    let most = |of: fn(&Verdict) -> u128| rows.iter().map(|it| of(it)).max().unwrap_or_default();
    format!(
        "| {fault} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        face.name(),
        rows.len(),
        sum(|it| it.acked),
        sum(|it| it.lost),
        sum(|it| it.twice),
        sum(|it| it.disordered),
        sum(|it| it.untrue.len()),
        most(|it| it.silence_ms),
        most(|it| it.call_ms),
        most(|it| it.recovery_ms.unwrap_or_default()),
        rows.last().map_or("", |it| it.trace.as_str()),
    )
}
