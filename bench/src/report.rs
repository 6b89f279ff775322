//! What was measured, as a table.

use std::path::Path;
use std::{fs, thread};

use crate::Result;

/// Rates of one thing and of what it is compared with, in the same rounds.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) rival: &'static str,
    /// Per second, one for each round.
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Vec<f64>,
    /// The ratio to reach.
    pub(crate) aim: f64,
}

impl Row {
    fn line(&self) -> String {
        let (ours, theirs) = (median(&self.ours), median(&self.theirs));
        let ratio = ours / theirs;
        let Row { what, rival, aim, .. } = self;
        let [ours, theirs] = [ours, theirs].map(|rate| format!("{:.1} k/s", rate / 1e3));
        format!("| {what} | {ours} | {rival} | {theirs} | {ratio:.2} | {aim:.2} |\n")
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let lines: String = rows.iter().map(Row::line).collect();
    let rule = "| --- | --- | --- | --- | --- | --- |";
    format!("| what | rate | beside | rate | ratio | aim |\n{rule}\n{lines}")
}

pub(crate) fn write(path: &Path, table: &str) -> Result {
    let cores = thread::available_parallelism()?;
    let text = format!(
        "# Bench\n\nWritten by `make bench`: medians of the rounds of one run, on a machine with \
         {cores} cores\nthat runs nats-server beside it. Ratios say more than rates.\n\n{table}"
    );
    Ok(fs::write(path, text)?)
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
