//! Runs a schedule: a server, agents in this process, and the operator, all at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libchat::{
    ConnectOptions, Connection, Error, ErrorKind, Event, Manager, OpenOptions, SendOptions,
};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::short;
use crate::campaign::agents;
use crate::campaign::journal::{
    Called, Found, Journal, Life, Notes, Place, Said, Sent, body, said,
};
use crate::campaign::operator::Operator;
use crate::campaign::plain::Plain;
use crate::campaign::schedule::{Act, Filter, Schedule, Start, Watch};
use crate::server::{PATIENCE, Settings};
use crate::site::Site;

/// What a close may take.
const CLOSE: Duration = Duration::from_secs(2);
/// How long watches may take to tell the last words.
const LAST_WORDS: Duration = Duration::from_secs(45);
/// When the server forgets a consumer whose owner could not delete it.
const FORGETS: Duration = Duration::from_secs(70);

pub(super) struct World {
    pub(super) notes: Arc<Notes>,
    /// The readers take no pauses any more: the end has come.
    pub(super) hurry: CancellationToken,
    pub(super) readers: TaskTracker,
    links: Vec<Connection>,
    agents: Vec<Mutex<Option<Arc<Live>>>>,
    lives: Mutex<Vec<Arc<Live>>>,
    slots: Mutex<HashMap<usize, Arc<Slot>>>,
    shorts: Vec<String>,
    numbers: AtomicUsize,
}

/// An agent's manager.
pub(super) struct Live {
    pub(super) number: usize,
    pub(super) agent: String,
    pub(super) manager: Manager,
}

/// A watch and its reader.
pub(super) struct Slot {
    number: usize,
    plan: Watch,
    pub(super) watch: libchat::Watch,
    pub(super) end: CancellationToken,
    asked: AtomicBool,
}

impl Slot {
    pub(super) fn new(number: usize, plan: Watch, watch: libchat::Watch) -> Slot {
        Slot { number, plan, watch, end: CancellationToken::new(), asked: AtomicBool::new(false) }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// By itself or under its reader, one as often as the other.
    fn close(&self) {
        self.asked.store(true, Ordering::SeqCst);
        if self.number.is_multiple_of(2) {
            self.watch.stop();
        } else {
            self.end.cancel();
        }
    }
}

/// The name of a thread.
pub(super) fn thread(number: usize) -> String {
    format!("t{number}")
}

impl World {
    async fn open(schedule: &Schedule, url: &str, notes: Arc<Notes>) -> World {
        let mut links = Vec::new();
        for agent in 0..schedule.agents {
            let link = match links.last() {
                Some(first) if schedule.shared && agent == 1 => Connection::clone(first),
                _ => connect(url).await,
            };
            links.push(link);
        }
        let world = World {
            notes,
            hurry: CancellationToken::new(),
            readers: TaskTracker::new(),
            links,
            agents: (0..schedule.agents).map(|_| Mutex::default()).collect(),
            lives: Mutex::default(),
            slots: Mutex::default(),
            shorts: (0..schedule.threads).map(|it| short(&thread(it))).collect(),
            numbers: AtomicUsize::new(0),
        };
        for agent in 0..schedule.agents {
            world.open_agent(agent).await;
        }
        world
    }

    pub(super) fn live(&self, agent: usize) -> Option<Arc<Live>> {
        self.agents[agent].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn name(&self, agent: usize) -> String {
        format!("a{agent}")
    }

    pub(super) fn short(&self, thread: usize) -> String {
        self.shorts[thread].clone()
    }

    pub(super) fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn slot(&self, slot: usize) -> Option<Arc<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned()
    }

    /// Puts a watch into a slot; the one that was there is closed.
    pub(super) fn put(&self, at: usize, slot: Arc<Slot>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = slots.insert(at, slot) {
            before.close();
        }
    }

    /// Tries until it is open.
    async fn open_agent(&self, agent: usize) {
        let begun = Instant::now();
        let options = || OpenOptions { timeout: Duration::from_secs(5), ..Default::default() };
        let name = self.name(agent);
        while begun.elapsed() < PATIENCE {
            let called = Instant::now();
            let opened = self.links[agent].open("demo", &name, options()).await;
            self.note_open(called, &opened);
            if let Ok(manager) = opened {
                self.enter(agent, manager);
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.notes.find("cannot open", name);
    }

    fn note_open(&self, begun: Instant, opened: &Result<Manager, Error>) {
        let mut journal = self.notes.lock();
        let life = journal.lives.len();
        let failed = opened.as_ref().err().map(|it| (it.kind(), format!("{it:#}")));
        let (timeout, ended) = (Duration::from_secs(5), Instant::now());
        let (what, found) = ("open".to_owned(), Found::Nothing);
        journal.calls.push(Called { life, what, begun, ended, timeout, failed, found });
    }

    fn enter(&self, agent: usize, manager: Manager) {
        let name = manager.agent().to_owned();
        let number = {
            let mut journal = self.notes.lock();
            journal.lives.push(Life { agent: name.clone(), closing: None, stats: None });
            journal.lives.len() - 1
        };
        let live = Arc::new(Live { number, agent: name, manager });
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).push(live.clone());
        *self.agents[agent].lock().unwrap_or_else(PoisonError::into_inner) = Some(live);
    }

    async fn close_agent(&self, live: &Live) {
        self.notes.lock().lives[live.number].closing = Some(Instant::now());
        let begun = Instant::now();
        live.manager.close().await;
        let took = begun.elapsed();
        if took > CLOSE + Duration::from_secs(1) {
            self.notes.find("a late close", format!("{}: {took:?}", live.agent));
        }
        let after = live.manager.send("t0", "closed", SendOptions::default()).await;
        if !after.as_ref().is_err_and(|it| it.kind() == ErrorKind::Closed) {
            self.notes.find("open after its close", format!("{}: {after:?}", live.agent));
        }
    }

    async fn reopen(self: Arc<World>, agent: usize) {
        let live = self.agents[agent].lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(live) = live else { return };
        self.close_agent(&live).await;
        self.open_agent(agent).await;
    }
}

async fn connect(url: &str) -> Connection {
    let begun = Instant::now();
    loop {
        let options = ConnectOptions { servers: Some(url.to_owned()), ..Default::default() };
        match libchat::connect(options).await {
            Ok(connection) => return connection,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error:#}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a schedule to its end; what was noted.
pub(super) async fn run(schedule: &Schedule) -> Journal {
    let site = match schedule.cluster {
        true => Site::cluster(Settings::default()).await,
        false => Site::single(Settings::default()).await,
    };
    let notes = Arc::<Notes>::default();
    let url = site.url();
    let lag = tokio::spawn(watch_the_clock(notes.clone()));
    let plain = schedule.mixed.then(|| Plain::start(&url, schedule.threads));
    sleep(Duration::from_millis(20)).await;
    let idle = Handle::current().metrics().num_alive_tasks();
    let world = Arc::new(World::open(schedule, &url, notes.clone()).await);
    let operator = Operator::new(site, notes.clone(), schedule.cluster);
    let operator = Arc::new(tokio::sync::Mutex::new(operator));
    let tasks = TaskTracker::new();
    for step in &schedule.steps {
        sleep(Duration::from_millis(step.after_ms)).await;
        act(&world, &operator, &tasks, &step.act);
    }
    tasks.close();
    if timeout(PATIENCE, tasks.wait()).await.is_err() {
        notes.find("a call hangs", format!("{} of them", tasks.len()));
    }
    let operator = operator.lock().await;
    if let Some(plain) = &plain {
        plain.end_sends(&notes).await;
    }
    end(&world, &operator, &url).await;
    if let Some(plain) = plain {
        plain.end(&notes).await;
    }
    let left = Arc::downgrade(&world);
    drop(world);
    leave(schedule, &notes, &operator, idle).await;
    assert!(left.strong_count() == 0 || !notes.lock().found.is_empty(), "a task holds the world");
    lag.abort();
    std::mem::take(&mut *notes.lock())
}

fn act(
    world: &Arc<World>,
    operator: &Arc<tokio::sync::Mutex<Operator>>,
    tasks: &TaskTracker,
    act: &Act,
) {
    match act.clone() {
        Act::Burst(plan) => _ = tasks.spawn(agents::burst(world.clone(), plan)),
        Act::Watch(plan) => {
            let after = match plan.start {
                Start::AfterThatOf(slot) => world.slot(slot).map(|it| it.watch.cursor()),
                _ => None,
            };
            // A watch that has been told nothing yet may stand before everything.
            let after = after.filter(|it| it.incarnation > 0);
            world.readers.spawn(agents::watch(world.clone(), plan, after));
        }
        Act::Unwatch { slot } => _ = world.slot(slot).map(|it| it.close()),
        Act::Resume { slot, agent } => {
            let Some(before) = world.slot(slot) else { return };
            let closed = world.notes.lock().watches[before.number].closed;
            if let Some(cursor) = closed.filter(|it| it.incarnation > 0) {
                let plan = Watch { agent, ..before.plan.clone() };
                world.readers.spawn(agents::watch(world.clone(), plan, Some(cursor)));
            }
        }
        Act::Call { agent, call, timeout_ms } => {
            tasks.spawn(agents::call(world.clone(), agent, call, timeout_ms));
        }
        Act::Reopen { agent } => _ = tasks.spawn(world.clone().reopen(agent)),
        Act::Fault(fault) => {
            let operator = operator.clone();
            tasks.spawn(async move { operator.lock().await.strike(fault).await });
        }
    }
}

/// Says the last words in every thread, waits until all watches have told them, and closes all.
async fn end(world: &Arc<World>, operator: &Operator, url: &str) {
    let connection = connect(url).await;
    say_last_words(world, &connection).await;
    operator.snapshot().await;
    world.hurry.cancel();
    let begun = Instant::now();
    while begun.elapsed() < LAST_WORDS && !all_is_told(&world.notes.lock(), &world.shorts) {
        sleep(Duration::from_millis(20)).await;
    }
    let slots = std::mem::take(&mut *world.slots.lock().unwrap_or_else(PoisonError::into_inner));
    for slot in slots.values() {
        slot.end.cancel();
    }
    drop(slots);
    let lives = std::mem::take(&mut *world.lives.lock().unwrap_or_else(PoisonError::into_inner));
    let open = |it: &&Arc<Live>| world.notes.lock().lives[it.number].closing.is_none();
    for live in lives.iter().filter(open) {
        world.close_agent(live).await;
    }
    world.readers.close();
    if timeout(PATIENCE, world.readers.wait()).await.is_err() {
        world.notes.find("a call hangs", "readers of watches".to_owned());
    }
    for live in &lives {
        world.notes.lock().lives[live.number].stats = Some(live.manager.stats());
    }
    for agent in &world.agents {
        agent.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
    connection.close().await;
    for link in &world.links {
        link.close().await;
    }
}

async fn say_last_words(world: &World, connection: &Connection) {
    let begun = Instant::now();
    let manager = loop {
        match connection.open("demo", "last", OpenOptions::default()).await {
            Ok(manager) => break manager,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "last words: {error:#}"),
        }
    };
    let life = {
        let mut journal = world.notes.lock();
        journal.lives.push(Life { agent: "last".to_owned(), closing: None, stats: None });
        journal.lives.len() - 1
    };
    for (number, short) in world.shorts.iter().enumerate() {
        let id = format!("last-{number}");
        for _ in 0..5 {
            let options = SendOptions { id: Some(id.clone()), ..Default::default() };
            let (begun, timeout) = (Instant::now(), options.timeout);
            let result = manager.send(thread(number).as_str(), body(short, 9), options).await;
            let sent = Sent {
                life,
                id: id.clone(),
                short: short.clone(),
                size: 9,
                ordered: true,
                expect: None,
                curbed: false,
                foreign: false,
                begun,
                ended: Some(Instant::now()),
                timeout,
                said: said(&result),
            };
            let is_unknown = sent.is_unknown();
            if !sent.is_acked() && !is_unknown {
                world.notes.find("nothing can be sent any more", format!("{:?}", sent.said));
            }
            world.notes.lock().sends.push(sent);
            if !is_unknown {
                break;
            }
        }
    }
    manager.close().await;
}

/// Whether every watch that is still open has told the last message that is stored for it.
fn all_is_told(journal: &Journal, shorts: &[String]) -> bool {
    let words = journal.sends.iter().filter(|it| it.id.starts_with("last-"));
    let mut last: HashMap<&str, Place> = HashMap::new();
    for sent in words {
        if let Said::Acked { place: Some(place), .. } = sent.said {
            last.insert(&sent.short, place);
        }
    }
    let newest = shorts.last().and_then(|it| last.get(it.as_str()).copied());
    let open = journal.watches.iter().filter(|it| it.closed.is_none() && it.over.is_none());
    open.into_iter().all(|watched| {
        let wanted = match (watched.filter, &watched.short) {
            (Filter::All | Filter::Any, _) | (_, None) => newest,
            (_, Some(short)) => last.get(short.as_str()).copied(),
        };
        let told = watched.events.iter().rev().find_map(|(_, event)| match event {
            Event::Message(message) => Some((message.cursor.incarnation, message.cursor.seq)),
            _ => None,
        });
        told >= wanted
    })
}

/// Waits until the server and the runtime have forgotten everybody.
async fn leave(schedule: &Schedule, notes: &Notes, operator: &Operator, idle: usize) {
    let begun = Instant::now();
    // What was dropped while the server was away it forgets by itself: not each run waits for that.
    let was_away = notes.lock().troubles.iter().any(|it| it.fault.is_outage());
    let patience = if was_away { FORGETS } else { CLOSE + CLOSE };
    // The original's consumers are its own affair.
    if !schedule.mixed && (!was_away || schedule.seed.is_multiple_of(8)) {
        loop {
            let left = operator.consumers().await;
            if left.is_empty() {
                break;
            }
            if begun.elapsed() > patience {
                notes.find("consumers left", left.join(" "));
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    let begun = Instant::now();
    while Handle::current().metrics().num_alive_tasks() > idle {
        if begun.elapsed() > Duration::from_secs(15) {
            let count = Handle::current().metrics().num_alive_tasks() - idle;
            return notes.find("tasks left", format!("{count} of them"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Notes how late this process is at times: what is so late is no fault of libchat's.
async fn watch_the_clock(notes: Arc<Notes>) {
    const TICK: Duration = Duration::from_millis(10);
    loop {
        let begun = Instant::now();
        sleep(TICK).await;
        let late = begun.elapsed().saturating_sub(TICK);
        let mut journal = notes.lock();
        journal.late = journal.late.max(late);
    }
}
