//! The shortest schedule that still shows a fault.

use std::time::{Duration, Instant};

use crate::campaign::schedule::{Act, Call, Fault, Filter, Schedule, Step};

/// A fault that needs luck is given so many chances.
const TRIES: usize = 3;

/// Removes steps, agents and threads as long as `shows` holds, which runs a schedule, and as the
/// time allows.
pub(super) async fn shrink(
    schedule: Schedule,
    time: Duration,
    shows: impl AsyncFn(&Schedule) -> bool,
) -> Schedule {
    let until = Instant::now() + time;
    let still = async |it: &Schedule| {
        for _ in 0..TRIES {
            if Instant::now() < until && shows(it).await {
                return true;
            }
        }
        false
    };
    let mut best = schedule;
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let mut removed = false;
        while at < best.steps.len() {
            let mut fewer = best.clone();
            let cut = fewer.steps.drain(at..(at + chunk).min(best.steps.len()));
            let pause = cut.map(|it| it.after_ms).sum::<u64>();
            // What is left keeps its times, as far as that is short.
            if let Some(next) = fewer.steps.get_mut(at) {
                next.after_ms = (next.after_ms + pause).min(400);
            }
            if still(&fewer).await {
                (best, removed) = (fewer, true);
            } else {
                at += chunk;
            }
        }
        chunk = match (chunk, removed) {
            (1, true) => 1,
            _ => chunk / 2,
        };
    }
    let alone = Schedule { mixed: false, shared: false, ..best.clone() };
    if alone != best && still(&alone).await {
        best = alone;
    }
    for agents in 1..best.agents {
        let fewer = within(&best, agents, best.threads);
        if still(&fewer).await {
            best = fewer;
            break;
        }
    }
    for threads in [1, 2, 4, 33].into_iter().filter(|it| *it < best.threads) {
        let fewer = within(&best, best.agents, threads);
        if still(&fewer).await {
            best = fewer;
            break;
        }
    }
    best
}

/// The same with so many agents and threads.
fn within(schedule: &Schedule, agents: usize, threads: usize) -> Schedule {
    let mut schedule = Schedule { agents, threads, ..schedule.clone() };
    for Step { act, .. } in &mut schedule.steps {
        match act {
            Act::Burst(burst) => {
                burst.agent %= agents;
                burst.thread %= threads;
            }
            Act::Watch(watch) => {
                watch.agent %= agents;
                if let Filter::Thread(thread) | Filter::Short(thread) = &mut watch.filter {
                    *thread %= threads;
                }
            }
            Act::Resume { agent, .. } | Act::Reopen { agent } => *agent %= agents,
            Act::Call { agent, call, .. } => {
                *agent %= agents;
                match call {
                    Call::History { thread, .. } => *thread %= threads,
                    Call::ThreadsOf(of) | Call::Ask(of) => *of %= agents,
                    Call::List | Call::Answer => {}
                }
            }
            Act::Fault(
                Fault::PurgeThread { thread } | Fault::Malformed { thread: Some(thread) },
            ) => {
                *thread %= threads;
            }
            Act::Unwatch { .. } | Act::Fault(_) => {}
        }
    }
    schedule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::schedule::draw;

    fn has(schedule: &Schedule, of: fn(&Act) -> bool) -> bool {
        schedule.steps.iter().any(|it| of(&it.act))
    }

    #[tokio::test]
    async fn what_is_not_needed_is_removed() {
        let schedule = (1..)
            .map(draw)
            .find(|it| it.steps.len() > 40 && has(it, |act| *act == Act::Fault(Fault::PurgeAll)));
        let schedule = schedule.expect("a schedule with a purge");
        // As if a message were lost wherever there is a purge and something is sent.
        let shows = async |it: &Schedule| {
            has(it, |act| *act == Act::Fault(Fault::PurgeAll))
                && has(it, |act| matches!(act, Act::Burst(_)))
        };
        let short = shrink(schedule, Duration::from_secs(60), shows).await;
        assert_eq!((short.steps.len(), short.agents, short.threads), (2, 1, 1), "{short:?}");
    }
}
