//! One run: agents at work, a fault, and what becomes of them.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::actor::{Actor, Face, Line, built};
use crate::admin::{Admin, Stored, short, subject};
use crate::judge::{Allow, Verdict, Watched, sends};
use crate::server::{PATIENCE, Settings};
use crate::site::Site;

/// A row of the table.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// In three replicas on three servers.
    pub(crate) cluster: bool,
    pub(crate) settings: fn(&mut Settings),
    pub(crate) plan: Plan,
    pub(crate) allow: Allow,
    /// Counters that agents print at their end, and first words or kinds of errors in their lines:
    /// without one of them the fault was not hit. Empty where the operator's own answer shows it.
    pub(crate) trace: &'static [&'static str],
    /// Breaks something, and mends it before it returns.
    pub(crate) inject: for<'a> fn(&'a mut Scene) -> BoxFuture<'a, ()>,
}

/// What rows differ from: nothing is broken, and nothing may be told but that a server was away.
pub(crate) const FAULT: Fault = Fault {
    name: "",
    cluster: false,
    settings: |_| {},
    plan: PLAN,
    allow: TOLD,
    trace: &[],
    inject: |_| Box::pin(async {}),
};

/// What the agents do meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) threads: usize,
    pub(crate) pause_ms: u64,
    /// Letters in each body.
    pub(crate) size: usize,
    /// Whether the sender repeats what has an unknown outcome.
    pub(crate) repeat: bool,
    /// How long the busy watch takes over a message.
    pub(crate) watch_pause_ms: u64,
    pub(crate) queue: usize,
    /// What the caller calls over and over.
    pub(crate) verb: &'static str,
    /// The fault stays: nothing can be sent afterwards.
    pub(crate) stays: bool,
    /// The sender's clock can be set.
    pub(crate) clock: bool,
}

pub(crate) const PLAN: Plan = Plan {
    threads: 4,
    pause_ms: 4,
    size: 0,
    repeat: true,
    watch_pause_ms: 0,
    queue: 256,
    verb: "list",
    stays: false,
    clock: false,
};

/// What a server that was away is, at most: away.
pub(crate) const AWAY: &[&str] = &["TIMEOUT", "DISCONNECTED", "OUTCOME_UNKNOWN"];
pub(crate) const TOLD: Allow = Allow { gaps: false, resets: false, deletions: false, codes: AWAY };

pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) face: Face,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) sender: Actor,
    /// Watches all threads.
    pub(crate) busy: Actor,
    /// Watches a thread in which nothing is said before the fault is over.
    pub(crate) idle: Actor,
    pub(crate) caller: Actor,
    /// When the fault began.
    hit: Instant,
    /// What killed processes of the same agents had printed.
    pub(crate) sender_before: Vec<Line>,
    pub(crate) busy_before: Vec<Line>,
    /// When the operator had removed messages.
    pub(crate) wiped: Option<Instant>,
    /// The file with the seconds by which the sender's clock is off.
    pub(crate) clock: tempfile::NamedTempFile,
}

/// Messages stored before anyone watches.
const OLD: u64 = 100;

async fn store_old(admin: &Admin) {
    let client = admin.client().await;
    for n in 0..OLD {
        let (thread, id) = (format!("t{}", n % 2), format!("old-{n}"));
        let payload = json!({"id": id, "from": "old", "thread": short(&thread), "body": "x",
            "timestamp": "2026-01-01T00:00:00Z", "thread_name": thread});
        let subject = subject(&thread);
        client.request(subject, payload.to_string().into()).await.expect("stored");
    }
}

impl Scene {
    pub(crate) async fn open(fault: &Fault, face: Face, seed: u64) -> Scene {
        let mut settings = Settings::default();
        (fault.settings)(&mut settings);
        let site = match fault.cluster {
            true => Site::cluster(settings).await,
            false => Site::single(settings).await,
        };
        store_old(&site.admin()).await;
        let (plan, url) = (fault.plan, site.url());
        let clock = tempfile::NamedTempFile::new().expect("a scratch file");
        let watch = |name, thread, pause: u64, queue: usize| {
            let (pause, queue) = (pause.to_string(), queue.to_string());
            Actor::start(face, &url, &["watch", name, thread, &pause, &queue, "new"], &[])
        };
        let busy = watch("busy", "*", plan.watch_pause_ms, plan.queue);
        let idle = watch("idle", "quiet0", 0, 256);
        let caller = Actor::start(face, &url, &["call", "cal", plan.verb, "20"], &[]);
        for actor in [&busy, &idle, &caller] {
            assert!(actor.has("ready", 1, PATIENCE).await, "{} is not ready", actor.name);
        }
        let sender = sender(face, &url, plan, &clock, 0);
        let scene = Scene {
            site,
            face,
            rng: Rng::with_seed(seed),
            plan,
            sender,
            busy,
            idle,
            caller,
            hit: Instant::now(),
            sender_before: Vec::new(),
            busy_before: Vec::new(),
            wiped: None,
            clock,
        };
        assert!(scene.sender.has("ok", 20, PATIENCE).await, "nothing is sent");
        scene
    }

    pub(crate) fn admin(&self) -> Admin {
        self.site.admin()
    }

    /// Lets some messages go by, as many as the seed says.
    pub(crate) async fn flow(&mut self) {
        let more = self.sender.count("ok") + self.rng.usize(10..150);
        self.sender.has("ok", more, Duration::from_secs(20)).await;
    }

    /// A pause, as long as the seed says.
    pub(crate) async fn pause(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(millis))).await;
    }

    /// What is stored now the operator removes, or has just removed.
    pub(crate) fn wipes(&mut self) {
        self.wiped = Some(Instant::now());
    }

    /// Seconds by which the sender's clock is off from now on.
    pub(crate) fn set_clock(&self, seconds: i64) {
        set_clock(&self.clock, seconds);
    }

    /// Starts the sender anew behind what it has tried.
    pub(crate) async fn restart_sender(&mut self) {
        self.sender.kill().await;
        let lines = self.sender.lines();
        let next = lines.iter().filter(|it| it.is("try")).map(|it| it.number(2) + 1).max();
        self.sender_before.extend(lines);
        let first = next.unwrap_or_default();
        self.sender = sender(self.face, &self.site.url(), self.plan, &self.clock, first);
    }

    /// Kills the busy watch, and lets a new process go on from the last cursor that it told.
    pub(crate) async fn resume_busy(&mut self, away: Duration) {
        self.busy.kill().await;
        self.busy_before.extend(self.busy.lines());
        let mut lines = self.busy_before.iter().rev();
        let cursor = lines.find(|it| it.is("got")).map(|it| it.word(5).to_owned());
        tokio::time::sleep(away).await;
        let (pause, queue) = (self.plan.watch_pause_ms.to_string(), self.plan.queue.to_string());
        let start = cursor.unwrap_or_else(|| "new".to_owned());
        let args = ["watch", "busy", "*", &pause, &queue, &start];
        self.busy = Actor::start(self.face, &self.site.url(), &args, &[]);
    }
}

fn set_clock(clock: &tempfile::NamedTempFile, seconds: i64) {
    std::fs::write(clock.path(), seconds.to_le_bytes()).expect("a scratch file");
}

fn sender(face: Face, url: &str, plan: Plan, clock: &tempfile::NamedTempFile, first: u64) -> Actor {
    let Plan { threads, pause_ms, size, repeat, .. } = plan;
    let numbers = [threads as u64, 0, pause_ms, size as u64, repeat.into(), first];
    let numbers = numbers.map(|it| it.to_string());
    let args = ["send", "ben", "t"].into_iter().chain(numbers.iter().map(String::as_str));
    let path = clock.path().to_str().expect("a path");
    set_clock(clock, 0);
    let args = args.collect::<Vec<_>>();
    if !plan.clock {
        return Actor::start(face, url, &args, &[]);
    }
    let preload = built("clock.so");
    assert!(preload.exists(), "{}: scripts/faults makes it", preload.display());
    let preload = preload.to_str().expect("a path");
    let env = [("LD_PRELOAD", preload), ("LIBCHAT_FAULTS_CLOCK", path)];
    Actor::start(face, url, &args, &env)
}

/// Runs one fault.
pub(crate) async fn run(fault: &Fault, face: Face, seed: u64) -> Verdict {
    let mut scene = Scene::open(fault, face, seed).await;
    scene.flow().await;
    scene.hit = Instant::now();
    (fault.inject)(&mut scene).await;
    finish(scene, fault).await.0
}

/// What the agents come to once the fault is over.
pub(crate) async fn finish(mut scene: Scene, fault: &Fault) -> (Verdict, Site) {
    let healed = Instant::now();
    let mut verdict = Verdict::default();
    if !scene.plan.stays {
        let enough = scene.sender.count("ok") + 100;
        if !scene.sender.has("ok", enough, PATIENCE).await {
            verdict.untrue.push("nothing can be sent afterwards".to_owned());
        }
    }
    let late = scene.wind_down(&mut verdict).await;
    scene.judge(&mut verdict, fault, late, healed).await;
    (verdict, scene.site)
}

impl Scene {
    /// Ends the sender, then says five things in the quiet thread.
    async fn wind_down(&mut self, verdict: &mut Verdict) -> Vec<Line> {
        if !self.sender.finish().await {
            verdict.untrue.push("the sender does not end".to_owned());
        }
        if self.plan.stays {
            return Vec::new();
        }
        let args = ["send", "late", "quiet", "1", "5", "0", "0", "1", "0"];
        let mut late = Actor::start(self.face, &self.site.url(), &args, &[]);
        if !late.has("ok", 5, PATIENCE).await || !late.finish().await {
            verdict.untrue.push("the late sender does not get through".to_owned());
        }
        late.lines()
    }

    async fn judge(
        &mut self,
        verdict: &mut Verdict,
        fault: &Fault,
        late: Vec<Line>,
        healed: Instant,
    ) {
        let stored = self.admin().stored().await;
        let sender = [self.sender_before.clone(), self.sender.lines()].concat();
        let mut sent = sends("ben", &sender);
        verdict.sends(&sent, &stored, self.wiped);
        let quiet_sent = sends("late", &late);
        verdict.sends(&quiet_sent, &stored, None);
        sent.extend(quiet_sent);
        let before = std::mem::take(&mut self.busy_before);
        let busy = || [before.clone(), self.busy.lines()].concat();
        let wiped = self.wiped;
        let all = Watched {
            name: "busy",
            thread: None,
            lines: &[],
            sent: &sent,
            stored: &stored,
            wiped,
            deletions: fault.allow.deletions,
        };
        let quiet = Watched { name: "idle", thread: Some("quiet0"), ..all };
        self.busy.until(PATIENCE, |_| Watched { lines: &busy(), ..all }.is_complete()).await;
        self.idle.until(PATIENCE, |it| Watched { lines: it, ..quiet }.is_complete()).await;
        let busy = busy();
        let idle = self.idle.lines();
        verdict.watch(&Watched { lines: &busy, ..all }, fault.allow);
        verdict.watch(&Watched { lines: &idle, ..quiet }, fault.allow);
        verdict.calls(&sender, fault.allow);
        verdict.calls(&late, fault.allow);
        verdict.calls(&self.caller.lines(), fault.allow);
        if wiped.is_none() {
            let sent = [sender.clone(), late].concat();
            verdict.complete(&self.caller.lines(), &sent, OLD);
        }
        verdict.silence(&busy, self.hit, Instant::now());
        let first = busy.iter().find(|it| it.is("got") && it.at > healed);
        verdict.recovery_ms = first.map(|it| (it.at - healed).as_millis());
        self.finish(verdict, fault, &[&sender, &busy, &idle], &stored).await;
        if !verdict.is_clean() {
            let calls = self.caller.lines();
            let journals =
                [("sender", &sender), ("busy", &busy), ("idle", &idle), ("caller", &calls)];
            self.keep_journals(fault, &journals, &stored);
        }
    }

    /// Ends everybody, and looks for what shows that the fault was hit.
    async fn finish(
        &mut self,
        verdict: &mut Verdict,
        fault: &Fault,
        lines: &[&Vec<Line>],
        stored: &[Stored],
    ) {
        for actor in [&mut self.busy, &mut self.idle, &mut self.caller] {
            if !actor.finish().await {
                verdict.untrue.push(format!("{} does not end", actor.name));
            }
        }
        let actors = [&self.sender, &self.busy, &self.idle, &self.caller];
        let calls = self.caller.lines();
        let all = lines.iter().copied().flatten().chain(&calls);
        let mut traces = Vec::new();
        for trace in fault.trace {
            let told =
                all.clone().filter(|it| it.is(trace) || it.words[1..].iter().any(|w| w == trace));
            let count = actors.map(|it| it.stat(trace)).iter().sum::<u64>() + told.count() as u64;
            if count > 0 {
                traces.push(format!("{trace} {count}"));
            }
        }
        if fault.plan.clock {
            let off = stored.iter().filter(|it| it.is_off_by_days).count();
            traces.extend((off > 0).then(|| format!("messages off by days {off}")));
        }
        verdict.trace = traces.join(", ");
        let is_shown = !fault.trace.is_empty() || fault.plan.clock;
        if traces.is_empty() && is_shown {
            verdict.untrue.push(format!("not hit: no {}", fault.trace.join(", no ")));
        }
    }

    /// What everybody printed in a run that failed, with the milliseconds since its first line.
    fn keep_journals(&self, fault: &Fault, journals: &[(&str, &Vec<Line>)], stored: &[Stored]) {
        let name = format!("{} {} {}", fault.name, self.face.name(), self.rng.get_seed());
        let folder = Path::new("target/faults").join(name.replace([' ', '\'', ','], "-"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let begin = journals.iter().filter_map(|(_, lines)| Some(lines.first()?.at)).min();
        for (name, lines) in journals {
            let line = |it: &Line| {
                let at = begin.map_or(0, |begin| (it.at - begin).as_millis());
                format!("{at} {}\n", it.words.join(" "))
            };
            let text: String = lines.iter().map(line).collect();
            std::fs::write(folder.join(name), text).expect("a journal");
        }
        let text: String = stored.iter().map(|it| format!("{} {}\n", it.seq, it.id)).collect();
        std::fs::write(folder.join("stored"), text).expect("a journal");
    }
}
