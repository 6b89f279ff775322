//! Starting and stopping an official nats-server for one folder.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::access::Secret;
use crate::config::ConnectOptions;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::hub_file::{HUB_FILE, Hub, is_absence, write_secret};
use crate::nats_server::{complaints, configuration, find_program, free_port, name_on_port, spawn};

/// How long a server may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// How to start a folder's server.
#[derive(Clone, Debug, Default)]
pub struct LocalServerOptions {
    /// The nats-server program; by default `LIBCHAT_NATS_SERVER`, then one in PATH, beside the
    /// running program, or in the Python environment that is active or nearest (`.venv`).
    pub nats_server: Option<PathBuf>,
    /// Lines to append to the server's configuration.
    pub extra_config: Option<String>,
}

/// A nats-server that belongs to one folder: on the loopback interface, under a random password,
/// with JetStream in `.libchat/store`. It goes on running when the program that started it ends;
/// dropping this value does not stop it.
#[derive(Clone)]
pub struct LocalServer {
    place: Place,
    hub: Hub,
    already_running: bool,
}

impl LocalServer {
    /// Starts the server of `folder`, or finds the one that already runs. Port, password and
    /// stored messages are those of the last time, so that agents find their way back; if another
    /// program has taken the port, it is a new one.
    ///
    /// Blocks, for up to 5 s in most cases. A server that is not ready by then, as it may be with
    /// a large store, is left to it: call again to go on waiting ([`ErrorKind::Timeout`]).
    pub fn start(folder: &Path, options: &LocalServerOptions) -> Result<LocalServer, Error> {
        let place = Place::of(folder)?;
        place.prepare()?;
        let _turn = place.take_turn()?;
        reap();
        let before = Hub::read(&place.hub_file())?;
        if let Some(hub) = before.as_ref().filter(|hub| hub.server_name.is_empty()) {
            let what = format!("{}: names {}", place.hub_file().display(), hub.url);
            let text = format!("{what}, which libchat did not start");
            return Err(Error::new(ErrorKind::Conflict, text)
                .hint("delete the file, if this folder shall have a server of its own"));
        }
        match before {
            Some(hub) if hub.pid != 0 && answers(&hub) => {
                Ok(LocalServer { place, hub, already_running: true })
            }
            before => match place.hold()? {
                Some(held) => place.launch(before, held, options),
                None => place.adopt(before.unwrap_or_default()),
            },
        }
    }

    /// The running server of `folder`, if there is one. What a server that was killed has left
    /// behind is seen through.
    pub fn find(folder: &Path) -> Result<Option<LocalServer>, Error> {
        reap();
        let place = Place::of(folder)?;
        let hub = Hub::read(&place.hub_file())?.filter(|hub| hub.pid != 0 && answers(hub));
        Ok(hub.map(|hub| LocalServer { place, hub, already_running: true }))
    }

    /// Stops the server of `folder`, and says whether one was running. Its messages stay, and so
    /// do port and password for the next start. Blocks until the process has ended; one that has
    /// not after 5 s is killed.
    pub fn stop(folder: &Path) -> Result<bool, Error> {
        let place = Place::of(folder)?;
        if !place.file("").is_dir() {
            return Ok(false);
        }
        let _turn = place.take_turn()?;
        let mut hub = Hub::read(&place.hub_file())?.unwrap_or_default();
        let running = place.is_running(&hub)?;
        if running && !place.end(&hub, Signal::TERM)? && !place.end(&hub, Signal::KILL)? {
            return Err(place.error(ErrorKind::System, format!("process {} does not end", hub.pid)));
        }
        if hub.pid != 0 {
            hub.pid = 0;
            hub.write(&place.hub_file())?;
        }
        Ok(running)
    }

    /// Kills the server at once, as a crash would; for tests and demonstrations.
    pub fn kill(&self) -> Result<(), Error> {
        let now = Hub::read(&self.place.hub_file())?;
        let is_same = now.is_some_and(|now| now.server_name == self.hub.server_name);
        if is_same && self.place.is_running(&self.hub)? {
            self.place.end(&self.hub, Signal::KILL)?;
        }
        Ok(())
    }

    /// Whether [`start`](LocalServer::start) found it running.
    pub fn already_running(&self) -> bool {
        self.already_running
    }

    /// The folder it belongs to.
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// Its address, without user and password.
    pub fn url(&self) -> &str {
        &self.hub.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.hub.pid
    }

    /// Its only user.
    pub fn user(&self) -> &str {
        &self.hub.user
    }

    /// That user's password.
    pub fn password(&self) -> &str {
        self.hub.password.reveal()
    }

    /// Its log file.
    pub fn log_file(&self) -> PathBuf {
        self.place.log_file()
    }

    /// Its address with user and password, as one text for a program that takes no more.
    pub fn url_with_login(&self) -> String {
        let login = format!("{}:{}@", self.user(), self.password());
        self.url().replacen("://", &format!("://{login}"), 1)
    }

    /// What to connect with.
    pub fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            servers: Some(self.url().to_owned()),
            user: Some(self.user().to_owned()),
            password: Some(self.password().to_owned()),
            ..ConnectOptions::default()
        }
    }
}

impl fmt::Debug for LocalServer {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalServer")
            .field("folder", &self.place.folder)
            .field("url", &self.hub.url)
            .field("pid", &self.hub.pid)
            .finish_non_exhaustive()
    }
}

/// A folder and the files of its server.
#[derive(Clone)]
struct Place {
    folder: PathBuf,
}

impl Place {
    fn of(folder: &Path) -> Result<Place, Error> {
        let absolute = folder.canonicalize().map_err(|cause| {
            let text = format!("local server: folder {}", folder.display());
            Error::new(ErrorKind::System, text).because(cause)
        })?;
        if absolute.to_str().is_none() || !absolute.is_dir() {
            let text = format!("local server: {}: not a folder, or not UTF-8", absolute.display());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        Ok(Place { folder: absolute })
    }

    fn hub_file(&self) -> PathBuf {
        self.folder.join(HUB_FILE)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(".libchat").join(name)
    }

    fn log_file(&self) -> PathBuf {
        self.file("nats-server.log")
    }

    /// Held while a start or a stop is under way.
    fn turn_file(&self) -> PathBuf {
        self.file("lock")
    }

    /// Held by the server for as long as it lives.
    fn life_file(&self) -> PathBuf {
        self.file("server.lock")
    }

    fn error(&self, kind: ErrorKind, what: impl fmt::Display) -> Error {
        Error::new(kind, format!("local server of {}: {what}", self.folder.display()))
    }

    fn system_error(&self, what: &str, cause: io::Error) -> Error {
        self.error(ErrorKind::System, what).because(cause)
    }

    fn prepare(&self) -> Result<(), Error> {
        let folder = self.folder.join(".libchat");
        let prepare = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
            fs::write(folder.join(".gitignore"), "*\n")
        };
        prepare().map_err(|cause| self.system_error("make .libchat", cause))
    }

    /// Waits until no other start or stop of this folder is under way.
    fn take_turn(&self) -> Result<File, Error> {
        match lock(&self.turn_file(), 3 * PATIENCE) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => {
                Err(self.error(ErrorKind::Timeout, "another start or stop does not finish"))
            }
            Err(cause) => Err(self.system_error("lock", cause)),
        }
    }

    /// The file that a server holds while it lives, locked; `None` if one does. The wait is for
    /// others that only look ([`Place::is_running`]).
    fn hold(&self) -> Result<Option<File>, Error> {
        lock(&self.life_file(), Duration::from_millis(200))
            .map_err(|cause| self.system_error("lock server.lock", cause))
    }

    /// Whether the server in `hub` lives, be it able to answer or not.
    fn is_running(&self, hub: &Hub) -> Result<bool, Error> {
        reap();
        let held = match File::open(self.life_file()) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => false,
                Err(TryLockError::WouldBlock) => true,
                Err(TryLockError::Error(cause)) => return Err(self.system_error("lock", cause)),
            },
            Err(cause) if is_absence(&cause) => false,
            Err(cause) => return Err(self.system_error("open server.lock", cause)),
        };
        Ok(held || answers(hub))
    }

    /// Signals the process of the server in `hub`, which is known to be running, and waits for its
    /// end; `false` if it goes on.
    fn end(&self, hub: &Hub, signal: Signal) -> Result<bool, Error> {
        let pid = i32::try_from(hub.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| self.unknown_process())?;
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(cause) => return Err(self.system_error("signal the server", cause.into())),
        }
        let deadline = Instant::now() + PATIENCE;
        while self.is_running(hub)? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }

    fn unknown_process(&self) -> Error {
        let what = "it runs, but hub.json does not say as which process";
        let hint = format!("end the nats-server that runs with {}", self.config_file().display());
        self.error(ErrorKind::Conflict, what).hint(hint)
    }

    fn config_file(&self) -> PathBuf {
        self.file("nats-server.conf")
    }

    /// Waits for a server that was started before.
    fn adopt(self, hub: Hub) -> Result<LocalServer, Error> {
        if hub.pid == 0 {
            return Err(self.unknown_process());
        }
        let deadline = Instant::now() + PATIENCE;
        while !answers(&hub) {
            if Instant::now() > deadline {
                return Err(self.not_ready(&hub));
            }
            thread::sleep(POLL);
        }
        Ok(LocalServer { place: self, hub, already_running: true })
    }

    fn not_ready(&self, hub: &Hub) -> Error {
        let what = format!("process {} does not answer at {} yet", hub.pid, hub.url);
        self.error(ErrorKind::Timeout, what)
            .hint("a large store takes its time: try again; or stop the server and start it anew")
    }

    fn launch(
        self,
        before: Option<Hub>,
        held: File,
        options: &LocalServerOptions,
    ) -> Result<LocalServer, Error> {
        let env = Environment::of_process();
        let program = find_program(options.nats_server.as_deref(), &env)?;
        let extra = options.extra_config.as_deref().unwrap_or_default();
        let mut hub = self.next_hub(before)?;
        for attempt in 1.. {
            let held = held.try_clone().map_err(|cause| self.system_error("lock", cause))?;
            match self.run(&program, &mut hub, extra, held)? {
                Outcome::Ready => break,
                // Someone took the port between our looking and the server's binding it.
                Outcome::Ended(why) if why.contains("address already in use") && attempt < 4 => {
                    hub.port = self.port(0)?;
                }
                Outcome::Ended(why) => {
                    return Err(self
                        .error(ErrorKind::System, format!("{} ended: {why}", program.display())));
                }
            }
        }
        Ok(LocalServer { place: self, hub, already_running: false })
    }

    /// Port and password of the last time, and a new name.
    fn next_hub(&self, before: Option<Hub>) -> Result<Hub, Error> {
        let before = before.unwrap_or_default();
        let known = !before.password.reveal().is_empty();
        Ok(Hub {
            user: "libchat".into(),
            password: if known { before.password } else { Secret::new(self.random::<16>()?) },
            server_name: format!("libchat-{}", self.random::<4>()?),
            port: self.port(before.port)?,
            store: self.file("store"),
            ..Hub::default()
        })
    }

    fn port(&self, wanted: u16) -> Result<u16, Error> {
        free_port(wanted).map_err(|cause| self.system_error("find a free port", cause))
    }

    /// Without randomness there is no server, for its password could be guessed.
    fn random<const N: usize>(&self) -> Result<String, Error> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|cause| {
            self.error(ErrorKind::System, "draw random bytes").because(cause.to_string())
        })?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Runs the server and waits until it answers under its name. The hub file is written before
    /// that, so that a caller who is killed here leaves a server that can be found and stopped;
    /// and once before there is a process, so that no older process id is taken for its own.
    fn run(
        &self,
        program: &Path,
        hub: &mut Hub,
        extra: &str,
        held: File,
    ) -> Result<Outcome, Error> {
        hub.url = format!("nats://127.0.0.1:{}", hub.port);
        hub.pid = 0;
        hub.started = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        write_secret(&self.config_file(), &configuration(hub, extra))
            .map_err(|cause| self.system_error("write nats-server.conf", cause))?;
        hub.write(&self.hub_file())?;
        let log_start = self.trim_log();
        let mut child = spawn(program, &self.config_file(), &self.log_file(), held)?;
        hub.pid = child.id();
        if let Err(error) = hub.write(&self.hub_file()) {
            // Nobody could stop it later. What can go wrong here is that it has ended by itself.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(error);
        }

        let deadline = Instant::now() + PATIENCE;
        while !answers(hub) {
            let ended = child.try_wait().map_err(|cause| self.system_error("wait", cause))?;
            if let Some(status) = ended {
                hub.pid = 0;
                hub.write(&self.hub_file())?;
                let why = complaints(&self.log_file(), log_start, hub.password.reveal());
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                return Ok(Outcome::Ended(format!("{status}{why}")));
            }
            if Instant::now() > deadline {
                children().push(child);
                return Err(self.not_ready(hub));
            }
            thread::sleep(POLL);
        }
        children().push(child);
        Ok(Outcome::Ready)
    }

    /// Sets a long log aside, and says where the next one begins.
    fn trim_log(&self) -> u64 {
        let length = fs::metadata(self.log_file()).map(|it| it.len()).unwrap_or(0);
        if length < 1 << 20 {
            return length;
        }
        match fs::rename(self.log_file(), self.file("nats-server.log.old")) {
            Ok(()) => 0,
            Err(_) => length,
        }
    }
}

enum Outcome {
    Ready,
    /// How, and the last words in its log.
    Ended(String),
}

/// Whether the server in `hub` listens where it says.
fn answers(hub: &Hub) -> bool {
    let name = || name_on_port(hub.port, Duration::from_secs(1));
    hub.port != 0 && name().is_some_and(|name| name == hub.server_name)
}

/// Locks the file, made if absent; `None` if another holds it for all of `patience`.
fn lock(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
        }
    }
}

/// Servers that this process has started: as their parent it must collect them when they end.
static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

fn children() -> MutexGuard<'static, Vec<Child>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reap() {
    children().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}
