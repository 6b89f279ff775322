//! What a seed says: who is there, and what happens, step by step.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// A run as drawn from a seed, as a file keeps it, and as shrinking leaves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    /// On three servers, the stream on each.
    pub(super) cluster: bool,
    pub(super) agents: usize,
    /// The first two agents are on one connection.
    pub(super) shared: bool,
    pub(super) threads: usize,
    /// The original's way of taking part, by plain nats.go, is beside it.
    pub(super) mixed: bool,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Since the step before.
    pub(super) after_ms: u64,
    pub(super) act: Act,
}

/// Agents, threads and watches are numbers; what there is none of is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    Burst(Burst),
    Watch(Watch),
    /// Closes a watch; resumes one that is closed.
    Unwatch {
        slot: usize,
    },
    Resume {
        slot: usize,
        agent: usize,
    },
    Call {
        agent: usize,
        call: Call,
        timeout_ms: u64,
    },
    /// Closes a manager, and opens it again.
    Reopen {
        agent: usize,
    },
    Fault(Fault),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Burst {
    pub(super) agent: usize,
    pub(super) thread: usize,
    pub(super) count: usize,
    pub(super) size: usize,
    pub(super) way: Way,
    pub(super) timeout_ms: u64,
    /// All at once, or one after the other with this pause.
    pub(super) pause_ms: Option<u64>,
    /// Repeats what has an unknown outcome, under the same id.
    pub(super) repeat: bool,
    pub(super) stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    Ordered,
    Unordered,
    /// Each on condition that the last one is the thread's newest.
    Conditional,
}

/// How sends end before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stop {
    DropAfterUs(u64),
    CancelAfterUs(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) slot: usize,
    pub(super) agent: usize,
    pub(super) filter: Filter,
    pub(super) start: Start,
    pub(super) queue: usize,
    /// What the reader takes over each event.
    pub(super) pause_ms: u64,
    pub(super) skip_own: bool,
    pub(super) timeout_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Filter {
    All,
    /// As a pattern of everything.
    Any,
    Thread(usize),
    /// As a pattern that is one thread's short.
    Short(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Start {
    New,
    All,
    /// After the cursor that the watch of this slot has now.
    AfterThatOf(usize),
    Last(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    /// All of a thread, page by page.
    History {
        thread: usize,
        limit: usize,
    },
    List,
    ThreadsOf(usize),
    Answer,
    Ask(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The server, or the stream's leader.
    Kill {
        ms: u64,
    },
    Freeze {
        ms: u64,
    },
    Cut {
        ms: u64,
    },
    HalfOpen {
        ms: u64,
    },
    Slow {
        ms: u64,
    },
    DeleteConsumers,
    PurgeAll,
    PurgeHalf,
    PurgeThread {
        thread: usize,
    },
    DeleteMessage {
        percent: u64,
    },
    Remake {
        ms: u64,
    },
    Expire {
        age_ms: u64,
        ms: u64,
    },
    Full {
        ms: u64,
    },
    Revoke {
        ms: u64,
    },
    /// Stored by the operator: no envelope, in a thread, or under a subject that is none.
    Malformed {
        thread: Option<usize>,
    },
}

impl Fault {
    /// Whether agents and server are kept apart.
    pub(super) fn is_outage(self) -> bool {
        use Fault::{Cut, Freeze, HalfOpen, Kill, Revoke, Slow};
        matches!(
            self,
            Kill { .. }
                | Freeze { .. }
                | Cut { .. }
                | HalfOpen { .. }
                | Slow { .. }
                | Revoke { .. }
        )
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Kill { .. } => "killed",
            Fault::Freeze { .. } => "frozen",
            Fault::Cut { .. } => "cut",
            Fault::HalfOpen { .. } => "half open",
            Fault::Slow { .. } => "slow",
            Fault::DeleteConsumers => "consumers deleted",
            Fault::PurgeAll => "purged",
            Fault::PurgeHalf => "half purged",
            Fault::PurgeThread { .. } => "thread purged",
            Fault::DeleteMessage { .. } => "message deleted",
            Fault::Remake { .. } => "stream made anew",
            Fault::Expire { .. } => "expired",
            Fault::Full { .. } => "full",
            Fault::Revoke { .. } => "rights revoked",
            Fault::Malformed { .. } => "malformed",
        }
    }
}

/// Watches that may be there at once.
const SLOTS: usize = 12;
const KINDS: usize = 15;

/// Draws the schedule of a seed.
pub(super) fn draw(seed: u64) -> Schedule {
    let mut rng = Rng::with_seed(seed);
    let cluster = seed % 16 == 9;
    let threads = if rng.u8(0..3) == 0 { rng.usize(33..=60) } else { rng.usize(1..=12) };
    let mut dice = Dice {
        agents: rng.usize(2..=5),
        threads,
        size: if rng.u8(0..5) == 0 { 200_000 } else { 3_000 },
        faults: faults(&mut rng, cluster),
        rng,
    };
    let steps = dice.rng.usize(20..=80);
    let mut steps: Vec<Step> = (0..steps).map(|_| dice.step()).collect();
    // Some watches from the first, or much would be told to nobody.
    for slot in 0..dice.rng.usize(2..=4) {
        let act = Act::Watch(Watch { slot, ..dice.watch() });
        steps.insert(0, Step { after_ms: 0, act });
    }
    let (agents, shared, mixed) = (dice.agents, dice.rng.bool(), seed % 5 == 3);
    Schedule { seed, cluster, agents, shared, threads, mixed, steps }
}

/// The kinds of faults that a seed has: few, so that what they hide of each other is seen in
/// another one.
fn faults(rng: &mut Rng, cluster: bool) -> Vec<usize> {
    let fit = |kind: &usize| !cluster || matches!(kind, 0 | 5..=9 | 14);
    let mut kinds: Vec<usize> = (0..KINDS).filter(fit).collect();
    rng.shuffle(&mut kinds);
    let count = rng.usize(if cluster { 1..=4 } else { 0..=5 });
    kinds.truncate(count);
    if cluster && !kinds.contains(&0) {
        kinds.push(0);
    }
    kinds
}

struct Dice {
    rng: Rng,
    agents: usize,
    threads: usize,
    /// The largest body.
    size: usize,
    faults: Vec<usize>,
}

impl Dice {
    fn step(&mut self) -> Step {
        let after_ms = match self.rng.u8(0..4) {
            0 => 0,
            1 => self.rng.u64(0..20),
            _ => self.rng.u64(0..180),
        };
        Step { after_ms, act: self.act() }
    }

    fn act(&mut self) -> Act {
        let (agent, slot) = (self.agent(), self.rng.usize(0..SLOTS));
        match self.rng.u8(0..100) {
            0..38 => Act::Burst(self.burst()),
            38..56 => Act::Watch(self.watch()),
            56..62 => Act::Unwatch { slot },
            62..70 => Act::Resume { slot, agent },
            70..84 => Act::Call { agent, call: self.call(), timeout_ms: self.timeout() },
            84..87 => Act::Reopen { agent },
            _ if self.faults.is_empty() => Act::Burst(self.burst()),
            _ => Act::Fault(self.fault()),
        }
    }

    fn agent(&mut self) -> usize {
        self.rng.usize(0..self.agents)
    }

    fn thread(&mut self) -> usize {
        self.rng.usize(0..self.threads)
    }

    fn timeout(&mut self) -> u64 {
        if self.rng.u8(0..6) == 0 { self.rng.u64(1..400) } else { 5_000 }
    }

    fn burst(&mut self) -> Burst {
        let way = match self.rng.u8(0..8) {
            0..2 => Way::Unordered,
            2 => Way::Conditional,
            _ => Way::Ordered,
        };
        let size = match self.rng.u8(0..4) {
            0 => 1,
            1 => self.rng.usize(1..=self.size),
            _ => self.rng.usize(1..300),
        };
        let count = self.rng.usize(1..=if size > 20_000 { 8 } else { 40 });
        let us = self.rng.u64(0..4_000);
        let stop = match self.rng.u8(0..12) {
            0 => Some(Stop::DropAfterUs(us)),
            1 => Some(Stop::CancelAfterUs(us)),
            _ => None,
        };
        let at_once = way != Way::Conditional && self.rng.bool();
        Burst {
            agent: self.agent(),
            thread: self.thread(),
            count,
            size,
            way,
            timeout_ms: if self.rng.u8(0..8) == 0 { self.rng.u64(1..300) } else { 10_000 },
            pause_ms: (!at_once).then(|| self.rng.u64(0..12)),
            repeat: self.rng.bool(),
            stop,
        }
    }

    fn watch(&mut self) -> Watch {
        let filter = match self.rng.u8(0..6) {
            0 | 1 => Filter::All,
            2 => Filter::Any,
            3 => Filter::Short(self.thread()),
            _ => Filter::Thread(self.thread()),
        };
        let start = match self.rng.u8(0..6) {
            0 | 1 => Start::New,
            2 | 3 => Start::All,
            4 => Start::AfterThatOf(self.rng.usize(0..SLOTS)),
            _ => Start::Last(self.rng.u64(1..60)),
        };
        Watch {
            slot: self.rng.usize(0..SLOTS),
            agent: self.agent(),
            filter,
            start,
            queue: if self.rng.bool() { self.rng.usize(1..8) } else { self.rng.usize(8..=256) },
            pause_ms: if self.rng.u8(0..3) == 0 { self.rng.u64(1..30) } else { 0 },
            skip_own: self.rng.u8(0..5) == 0,
            timeout_ms: self.timeout(),
        }
    }

    fn call(&mut self) -> Call {
        match self.rng.u8(0..9) {
            0..3 => Call::History { thread: self.thread(), limit: self.rng.usize(1..60) },
            3..6 => Call::List,
            6 => Call::ThreadsOf(self.agent()),
            7 => Call::Answer,
            _ => Call::Ask(self.agent()),
        }
    }

    fn fault(&mut self) -> Fault {
        let kind = self.faults[self.rng.usize(0..self.faults.len())];
        let ms = self.rng.u64(30..1_200);
        match kind {
            0 => Fault::Kill { ms },
            1 => Fault::Freeze { ms: 2 * ms },
            2 => Fault::Cut { ms: ms / 2 },
            3 => Fault::HalfOpen { ms: 2 * ms },
            4 => Fault::Slow { ms: 2 * ms },
            5 => Fault::DeleteConsumers,
            6 => Fault::PurgeAll,
            7 => Fault::PurgeHalf,
            8 => Fault::PurgeThread { thread: self.thread() },
            9 => Fault::DeleteMessage { percent: self.rng.u64(0..=100) },
            10 => Fault::Remake { ms: if self.rng.bool() { 0 } else { ms } },
            11 => Fault::Expire { age_ms: 100 + ms / 2, ms },
            12 => Fault::Full { ms },
            13 => Fault::Revoke { ms },
            _ => {
                let in_thread = self.rng.u8(0..4) > 0;
                Fault::Malformed { thread: in_thread.then(|| self.thread()) }
            }
        }
    }
}
