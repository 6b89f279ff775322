//! Manager: one agent in one project

use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libchat::bridge::{self, SendSlot};
use libchat::{Cancel, Error, OpenOptions, Retention, thread_short};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::boundary::{Out, boundary, boundary_out};
use crate::cancel::{cancel_in, libchat_cancel};
use crate::completions::{Completer, Completions, Tell};
use crate::conn::{Conn, libchat_conn};
use crate::dispatch::{UserData, is_on_own_thread};
use crate::error::{Failure, libchat_error};
use crate::handles::Table;
use crate::latch::Latch;
use crate::read::{Options, count_in, flags_in, options_in, reserved_in};
use crate::read::{text_in, timeout_in, wait_in};
use crate::status::*;

/// One agent in one project, with all verbs.
pub type libchat_manager = u64;

/// The stream must exist already: else NOT_FOUND.
pub const LIBCHAT_BIND_ONLY: u32 = 1;
/// Apply `max_retention_age_ns`, to an old stream too.
pub const LIBCHAT_SET_RETENTION: u32 = 2;

/// Who opens what.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_manager_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// Must be given; up to 256 bytes.
    pub agent_id: *const c_char,
    /// Must be given; no "." "*" ">" "/" "\" space, no "$" first.
    pub project: *const c_char,
    /// Ends the opening.
    pub cancel: libchat_cancel,
    /// With LIBCHAT_SET_RETENTION: how long the server keeps messages, at least 100 ms; 0 is for
    /// ever. Without it 0: a stream is left as it is, and a new one keeps messages for ever.
    pub max_retention_age_ns: i64,
    /// How many watches may be live at once; 0 is 1024.
    pub max_subscribers: u32,
    /// How long opening may take; 0 is 10000.
    pub timeout_ms: u32,
    /// LIBCHAT_BIND_ONLY, LIBCHAT_SET_RETENTION.
    pub flags: u32,
    /// 0.
    pub reserved0: u32,
}

// SAFETY: plain data without padding, the size first.
unsafe impl Options for libchat_manager_options {}

static MANAGERS: Table<Manager> = Table::new(2);

/// Opens a project as an agent, making the project's stream if there is none. Of a stream that
/// exists nothing is changed, but for LIBCHAT_SET_RETENTION. Rights to bind only, to send only or
/// to read only are enough for what they allow.
///
/// Fails with
///   CONFLICT   the stream's settings would break what libchat promises; the message names them
///   NOT_FOUND  there is no stream, and LIBCHAT_BIND_ONLY is set
///   SERVER     JetStream is off
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_open(
    conn: libchat_conn,
    options: *const libchat_manager_options,
    out: *mut libchat_manager,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let conn = Conn::of(conn)?;
            let options = options_in(options)?;
            let project = text_in("project", options.project)?.to_owned();
            let agent = text_in("agent_id", options.agent_id)?.to_owned();
            let cancel = cancel_in(options.cancel)?;
            let options = open_options(&options)?;
            let core = conn.core().clone();
            let opened = async move { core.open(&project, &agent, options).await };
            let manager = Manager::add(&conn, conn.run(cancel, opened)?)?;
            out.set(manager.handle);
            Ok(LIBCHAT_OK)
        })
    }
}

/// Closes: ends every watch and responder and every send, and waits for each on_done and on_sent,
/// and until libchat_sent_take has taken what is kept for it. Its consumers on the server are
/// deleted. The connection stays.
///
/// Fails with TIMEOUT after `timeout_ms`: it goes on by itself, and may be called again. On a
/// thread of libchat, as in a callback, it only begins and returns OK. 0 and a closed handle: OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_manager_close(
    manager: libchat_manager,
    timeout_ms: u32,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            let Some(manager) = MANAGERS.get_to_close(manager)? else { return Ok(LIBCHAT_OK) };
            manager.start_closing();
            if !is_on_own_thread() {
                manager.wait_closed(wait_in(timeout_ms))?;
            }
            Ok(LIBCHAT_OK)
        })
    }
}

/// Writes the thread's short into `out`, which must have room for 9 characters: the 8 hex digits
/// that address it on the wire. Asks no server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_thread_short(
    project: *const c_char,
    thread: *const c_char,
    out: *mut c_char,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out.cast::<[c_char; 9]>(), err, |out| {
            let short = thread_short(text_in("project", project)?, text_in("thread", thread)?)?;
            let mut text = [0; 9];
            for (to, from) in text.iter_mut().zip(short.as_str().bytes()) {
                *to = from.cast_signed();
            }
            out.set(text);
            Ok(LIBCHAT_OK)
        })
    }
}

fn open_options(options: &libchat_manager_options) -> Result<OpenOptions, Failure> {
    flags_in(options.flags, LIBCHAT_BIND_ONLY | LIBCHAT_SET_RETENTION)?;
    reserved_in(options.reserved0)?;
    let mut read =
        OpenOptions { create: options.flags & LIBCHAT_BIND_ONLY == 0, ..Default::default() };
    let age = options.max_retention_age_ns;
    read.retention = match (options.flags & LIBCHAT_SET_RETENTION != 0, u64::try_from(age)) {
        (false, Ok(0)) => Retention::Keep,
        (false, _) => {
            let text = "max_retention_age_ns: set without LIBCHAT_SET_RETENTION";
            return Err(Failure::invalid(text));
        }
        (true, Ok(0)) => Retention::Unbounded,
        (true, Ok(age)) => Retention::MaxAge(Duration::from_nanos(age)),
        (true, Err(_)) => {
            return Err(Failure::invalid(&format!("max_retention_age_ns: {age}: below 0")));
        }
    };
    if options.max_subscribers != 0 {
        read.max_subscribers = count_in(options.max_subscribers);
    }
    read.timeout = timeout_in(options.timeout_ms).unwrap_or(read.timeout);
    Ok(read)
}

/// A manager with everything that calls back for it.
pub(crate) struct Manager {
    handle: u64,
    conn: Arc<Conn>,
    core: Arc<libchat::Manager>,
    completions: Arc<Completions>,
    children: Mutex<Children>,
    /// One token for each call under way, and each last callback that has not returned yet.
    pending: TaskTracker,
    closed: Latch,
    /// A call on it panicked: its state cannot be trusted.
    poisoned: AtomicBool,
}

/// A manager that a call has entered: a send must say what became of it before the threads end.
pub(crate) struct Entered {
    manager: Arc<Manager>,
    _token: TaskTrackerToken,
}

impl Deref for Entered {
    type Target = Arc<Manager>;

    fn deref(&self) -> &Arc<Manager> {
        &self.manager
    }
}

#[derive(Default)]
struct Children {
    closing: bool,
    all: HashMap<u64, Arc<dyn Child>>,
}

/// What ends with its manager: a watch or a responder.
pub(crate) trait Child: Send + Sync {
    fn end_with_manager(self: Arc<Self>);

    /// Takes it out of the table of its kind.
    fn remove(&self);
}

impl Manager {
    fn add(conn: &Arc<Conn>, core: libchat::Manager) -> Result<Arc<Manager>, Failure> {
        let manager = MANAGERS.insert(|handle| {
            Arc::new(Manager {
                handle,
                conn: conn.clone(),
                core: Arc::new(core),
                completions: Completions::new(conn.dispatcher().clone()),
                children: Mutex::default(),
                pending: TaskTracker::new(),
                closed: Latch::default(),
                poisoned: AtomicBool::new(false),
            })
        })?;
        if let Err(closed) = conn.add(manager.handle, &manager) {
            drop(MANAGERS.remove(manager.handle));
            return Err(closed);
        }
        Ok(manager)
    }

    /// For one call: as long as it lives, close waits.
    pub(crate) fn of(handle: libchat_manager) -> Result<Entered, Failure> {
        let manager = MANAGERS.get(handle)?;
        // The token first: whoever closes from here on sees it.
        let entered = Entered { _token: manager.token(), manager };
        if entered.conn.is_closing() || entered.children().closing {
            return Err(closed());
        }
        if entered.poisoned.load(Ordering::Relaxed) {
            return Err(Failure::panicked());
        }
        Ok(entered)
    }

    pub(crate) fn core(&self) -> &Arc<libchat::Manager> {
        &self.core
    }

    pub(crate) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    /// What will tell the host of a send that it does not wait for.
    pub(crate) fn completer(
        &self,
        id: CString,
        slot: SendSlot,
        tell: Tell,
        user_data: UserData,
    ) -> Completer {
        Completer::new(self.completions.clone(), id, slot, tell, user_data, self.token())
    }

    /// Those of a manager that may be closing: close waits until all are taken.
    pub(crate) fn completions_of(handle: libchat_manager) -> Result<Arc<Completions>, Failure> {
        Ok(MANAGERS.get(handle)?.completions.clone())
    }

    /// Runs `call` on the connection's threads, and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        cancel: Option<Cancel>,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Failure> {
        let ended = self.conn.runtime().begin(cancel, call).wait();
        if ended.as_ref().is_err_and(|it| *it == bridge::Broken::Panicked) {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        Ok(ended??)
    }

    /// For something whose last callback is to come: close waits until it is dropped.
    pub(crate) fn token(&self) -> TaskTrackerToken {
        self.pending.token()
    }

    /// Adds a child, unless the manager closes. `out` has its handle before, since a close may end
    /// it at once.
    pub(crate) fn adopt(
        &self,
        handle: u64,
        child: Arc<dyn Child>,
        out: Out<u64>,
    ) -> Result<(), Failure> {
        out.set(handle);
        let mut children = self.children();
        if !children.closing {
            children.all.insert(handle, child);
            return Ok(());
        }
        drop(children);
        out.set(0);
        child.remove();
        Err(closed())
    }

    pub(crate) fn forget(&self, child: u64) {
        let forgotten = self.children().all.remove(&child);
        drop(forgotten);
    }

    /// Ends all it has, unless that is under way; [`Latch`] `closed` says when it is done.
    pub(crate) fn start_closing(self: &Arc<Manager>) {
        let mut children = self.children();
        if std::mem::replace(&mut children.closing, true) {
            return;
        }
        let all: Vec<Arc<dyn Child>> = children.all.values().cloned().collect();
        drop(children);
        all.into_iter().for_each(Child::end_with_manager);
        let (core, closing) = (self.core.clone(), self.token());
        self.conn.runtime().spawn(async move {
            core.close().await;
            drop(closing);
        });
        let manager = self.clone();
        self.conn.runtime().spawn(async move {
            manager.pending.close();
            manager.pending.wait().await;
            manager.release();
        });
    }

    /// Nothing calls back any more: takes all of it out of the tables.
    fn release(&self) {
        let all = std::mem::take(&mut self.children().all);
        all.values().for_each(|child| child.remove());
        drop(MANAGERS.remove(self.handle));
        self.completions.end();
        self.conn.forget(self.handle);
        self.closed.set();
    }

    pub(crate) fn wait_closed(&self, limit: Option<Duration>) -> Result<(), Failure> {
        self.closed.wait("the manager", limit)
    }

    fn children(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Failure {
    Failure::closed("this manager is closed")
}
