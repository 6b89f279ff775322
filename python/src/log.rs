//! Log records on their way to Python's `logging`, by a thread of Python's own.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use libchat::bridge::set_log;
use pyo3::prelude::*;

use crate::wait::call_python;

/// Records held for Python; what comes when there are as many is counted and dropped.
const HELD: usize = 1024;
/// `tracing`'s numbers.
const INFO: u8 = 3;
const TRACE: u8 = 5;

static RECORDS: Mutex<Records> = Mutex::new(Records { held: VecDeque::new(), dropped: 0 });
static CAME: Condvar = Condvar::new();

struct Records {
    held: VecDeque<(u8, String)>,
    dropped: u64,
}

fn records() -> MutexGuard<'static, Records> {
    RECORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has libchat's records kept for Python: all of them, or without those for whoever looks for a
/// fault.
pub(crate) fn keep(py: Python<'_>) -> PyResult<()> {
    let start = || py.import("libchat._log")?.call_method0("start");
    let is_verbose: bool = call_python(py, start)?.extract()?;
    let level_max = if is_verbose { TRACE } else { INFO };
    py.detach(|| {
        set_log(
            level_max,
            Some(Box::new(|level, _target, text| {
                let mut records = records();
                if records.held.len() < HELD {
                    records.held.push_back((level, text.to_owned()));
                } else {
                    records.dropped += 1;
                }
                CAME.notify_one();
            })),
        );
    });
    Ok(())
}

/// Waits for records: their levels and texts, and how many were dropped after them.
#[pyfunction]
pub(crate) fn _next_records(py: Python<'_>) -> (Vec<(u8, String)>, u64) {
    py.detach(|| {
        let mut records = CAME
            .wait_while(records(), |it| it.held.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut records.held).into(), std::mem::take(&mut records.dropped))
    })
}
