//! Connection

use std::collections::HashMap;
use std::ffi::c_char;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libchat::bridge::{self, Runtime};
use libchat::{Cancel, ConnectOptions, Connection, Error};

use crate::boundary::{boundary, boundary_out};
use crate::cancel::{cancel_in, libchat_cancel};
use crate::dispatch::{Dispatcher, is_on_own_thread};
use crate::error::{Failure, libchat_error};
use crate::handles::Table;
use crate::latch::{Latch, until};
use crate::manager::Manager;
use crate::read::{Options, count_in, flags_in, optional_text_in, options_in};
use crate::read::{reserved_in, timeout_in, wait_in};
use crate::status::*;

/// A connection to a NATS server, with threads of its own; for any number of managers. It
/// reconnects by itself.
pub type libchat_conn = u64;

/// Refuse a server that does not offer TLS.
pub const LIBCHAT_TLS_REQUIRED: u32 = 1;
/// Begin TLS before the server speaks, as it must too.
pub const LIBCHAT_TLS_FIRST: u32 = 2;

/// How to reach and enter a server. All NULL and 0: it is looked for as libchat_connect says.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_conn_options {
    /// LIBCHAT_INIT sets it.
    pub struct_size: usize,
    /// One or several with commas: "nats://host:4222".
    pub servers: *const c_char,
    /// A context of the `nats` program, by name.
    pub context: *const c_char,
    /// This connection's name in the server's lists; "libchat" by default.
    pub name: *const c_char,
    /// File with user JWT and seed.
    pub creds_file: *const c_char,
    /// File with an nkey seed.
    pub nkey_file: *const c_char,
    /// User name, with `password`.
    pub user: *const c_char,
    /// Password of `user`.
    pub password: *const c_char,
    /// Token.
    pub token: *const c_char,
    /// PEM file of authorities to trust instead of the system's.
    pub tls_ca_file: *const c_char,
    /// PEM file of this client's certificate, with `tls_key_file`.
    pub tls_cert_file: *const c_char,
    /// PEM file of the certificate's key.
    pub tls_key_file: *const c_char,
    /// JetStream domain, when the stream is behind a leaf node.
    pub js_domain: *const c_char,
    /// First part of reply subjects; "_INBOX" by default.
    pub inbox_prefix: *const c_char,
    /// Ends the connecting.
    pub cancel: libchat_cancel,
    /// Bound on what all watches hold, in bytes; 0 is 64 MiB.
    pub buffer_bytes: u64,
    /// How long connecting may take; 0 is 5000.
    pub timeout_ms: u32,
    /// Threads for callbacks, started as needed; 0 is 16.
    pub dispatch_threads: u32,
    /// LIBCHAT_TLS_REQUIRED, LIBCHAT_TLS_FIRST.
    pub flags: u32,
    /// 0.
    pub reserved0: u32,
}

// SAFETY: plain data without padding, the size first.
unsafe impl Options for libchat_conn_options {}

const DISPATCH_THREADS: usize = 16;
/// How long a thread that asks the system for an address may hold up a connect that has failed, and
/// a close.
const RESOLVER_TIMEOUT_CONNECT: Duration = Duration::from_millis(20);
const RESOLVER_TIMEOUT_CLOSE: Duration = Duration::from_secs(1);

static CONNS: Table<Conn> = Table::new(1);

/// Connects.
///
/// `options`  NULL for the defaults.
///
/// With no address given it looks, in this order, at LIBCHAT_URL, NATS_URL, the nearest
/// `.libchat/hub.json` upward from the current folder (as `libchat up` writes it), the nearest
/// `.bones/hub-nats-url` upward, the selected context of the `nats` program, and
/// nats://127.0.0.1:4222.
///
/// Fails with
///   DISCONNECTED      nobody answers in time; the message lists every place looked at
///   UNAUTHORIZED      the server refuses the credentials
///   INVALID_ARGUMENT  an address or a file cannot be read
///   NOT_FOUND         there is no such context
///   SYSTEM            no thread can be started
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_connect(
    options: *const libchat_conn_options,
    out: *mut libchat_conn,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary_out(out, err, |out| {
            let options = options_in(options)?;
            let cancel = cancel_in(options.cancel)?;
            let threads = count_in(options.dispatch_threads);
            let threads = if threads == 0 { DISPATCH_THREADS } else { threads };
            let conn = Conn::connect(connect_options(&options)?, cancel, threads)?;
            out.set(conn.handle);
            Ok(LIBCHAT_OK)
        })
    }
}

/// Begins to close, which frees all by itself, and returns: for callbacks, and for whoever must not
/// wait. libchat_conn_close waits for the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_conn_stop(
    conn: libchat_conn,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            CONNS.get(conn)?.start_closing()?;
            Ok(LIBCHAT_OK)
        })
    }
}

/// Closes: ends every manager with all it has, waits for every on_done and on_sent, and for every
/// thread of the connection; after OK none of its code runs. What was sent and not confirmed has an
/// unknown outcome. Closing first what belongs to it is never needed.
///
/// Fails with TIMEOUT after `timeout_ms`: it goes on by itself, and may be called again. On a
/// thread of libchat, as in a callback, it only begins and returns OK. 0 and a closed handle: OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_conn_close(
    conn: libchat_conn,
    timeout_ms: u32,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            if let Some(conn) = CONNS.get_to_close(conn)? {
                conn.close(wait_in(timeout_ms))?;
            }
            Ok(LIBCHAT_OK)
        })
    }
}

unsafe fn connect_options(options: &libchat_conn_options) -> Result<ConnectOptions, Failure> {
    flags_in(options.flags, LIBCHAT_TLS_REQUIRED | LIBCHAT_TLS_FIRST)?;
    reserved_in(options.reserved0)?;
    let text = |what, text| {
        // SAFETY: a field of options that the caller vouches for.
        unsafe { optional_text_in(what, text) }.map(|text| text.map(str::to_owned))
    };
    let file = |what, name| text(what, name).map(|name| name.map(PathBuf::from));
    Ok(ConnectOptions {
        servers: text("servers", options.servers)?,
        context: text("context", options.context)?,
        name: text("name", options.name)?,
        creds_file: file("creds_file", options.creds_file)?,
        nkey_file: file("nkey_file", options.nkey_file)?,
        user: text("user", options.user)?,
        password: text("password", options.password)?,
        token: text("token", options.token)?,
        tls_ca_file: file("tls_ca_file", options.tls_ca_file)?,
        tls_cert_file: file("tls_cert_file", options.tls_cert_file)?,
        tls_key_file: file("tls_key_file", options.tls_key_file)?,
        tls_required: options.flags & LIBCHAT_TLS_REQUIRED != 0,
        tls_first: options.flags & LIBCHAT_TLS_FIRST != 0,
        js_domain: text("js_domain", options.js_domain)?,
        inbox_prefix: text("inbox_prefix", options.inbox_prefix)?,
        buffer_bytes: count_in(options.buffer_bytes),
        timeout: timeout_in(options.timeout_ms),
    })
}

/// One connection: its threads, and the managers on it.
pub(crate) struct Conn {
    handle: u64,
    runtime: Runtime,
    core: Connection,
    dispatcher: Arc<Dispatcher>,
    managers: Mutex<HashMap<u64, Arc<Manager>>>,
    closing: AtomicBool,
    closed: Latch,
    closer: Mutex<Closer>,
}

/// Who closes it.
enum Closer {
    None,
    Thread(JoinHandle<()>),
    Done,
}

impl Conn {
    fn connect(
        options: ConnectOptions,
        cancel: Option<Cancel>,
        threads: usize,
    ) -> Result<Arc<Conn>, Failure> {
        bridge::claim_process();
        let runtime = Runtime::start()?;
        let connected = runtime.begin(cancel, libchat::connect(options)).wait();
        let parts = connected.map_err(Failure::from).and_then(|connected| {
            let core = connected?;
            Ok((core, Dispatcher::start(threads)?))
        });
        let (core, dispatcher) = match parts {
            Ok(parts) => parts,
            Err(failure) => {
                runtime.end(RESOLVER_TIMEOUT_CONNECT);
                return Err(failure);
            }
        };
        CONNS.insert(|handle| {
            Arc::new(Conn {
                handle,
                runtime,
                core,
                dispatcher,
                managers: Mutex::default(),
                closing: AtomicBool::new(false),
                closed: Latch::default(),
                closer: Mutex::new(Closer::None),
            })
        })
    }

    pub(crate) fn of(handle: libchat_conn) -> Result<Arc<Conn>, Failure> {
        let conn = CONNS.get(handle)?;
        if conn.is_closing() { Err(closed()) } else { Ok(conn) }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn core(&self) -> &Connection {
        &self.core
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// Runs `call` on the connection's threads, and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        cancel: Option<Cancel>,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Failure> {
        Ok(self.runtime.begin(cancel, call).wait()??)
    }

    /// Adds a manager, unless the connection closes.
    pub(crate) fn add(&self, handle: u64, manager: &Arc<Manager>) -> Result<(), Failure> {
        let mut managers = self.managers();
        if self.is_closing() {
            return Err(closed());
        }
        managers.insert(handle, manager.clone());
        Ok(())
    }

    pub(crate) fn forget(&self, manager: u64) {
        let forgotten = self.managers().remove(&manager);
        drop(forgotten);
    }

    /// Has a thread of its own close it, unless one does already.
    fn start_closing(self: &Arc<Conn>) -> Result<(), Failure> {
        for manager in self.stop_adding() {
            // Here, so that no further callback starts once the close was asked for.
            manager.start_closing();
        }
        let mut closer = self.closer();
        if matches!(*closer, Closer::None) {
            let conn = self.clone();
            let thread = bridge::spawn_thread("libchat-close", move || {
                // Without a limit it cannot be late.
                let _ = conn.wind_up(None);
            });
            *closer = Closer::Thread(thread?);
        }
        Ok(())
    }

    /// From here on no manager is added: gives those that there are.
    fn stop_adding(&self) -> Vec<Arc<Manager>> {
        let managers = self.managers();
        self.closing.store(true, Ordering::Release);
        managers.values().cloned().collect()
    }

    fn close(self: &Arc<Conn>, limit: Option<Duration>) -> Result<(), Failure> {
        let started = self.start_closing();
        if is_on_own_thread() {
            return started;
        }
        if started.is_err() {
            // No thread to be had: this one does it.
            let mut closer = self.closer();
            if matches!(*closer, Closer::None) {
                self.wind_up(limit)?;
                *closer = Closer::Done;
            }
        }
        self.closed.wait("the connection", limit)?;
        // Under the lock, so that of two who close none returns before the thread has ended.
        let mut closer = self.closer();
        if let Closer::Thread(thread) = std::mem::replace(&mut *closer, Closer::Done) {
            // It has nothing left to do that could panic.
            let _ = thread.join();
        }
        Ok(())
    }

    fn wind_up(&self, limit: Option<Duration>) -> Result<(), Failure> {
        let until = until(limit);
        for manager in self.stop_adding() {
            manager.start_closing();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            manager.wait_closed(left)?;
        }
        let core = self.core.clone();
        let closed = self.runtime.begin(None, async move {
            core.close().await;
            Ok(())
        });
        if let Err(broken) = closed.wait() {
            tracing::error!(?broken, "closing the connection");
        }
        self.dispatcher.stop();
        self.runtime.end(RESOLVER_TIMEOUT_CLOSE);
        // Nobody else takes it out.
        drop(CONNS.remove(self.handle));
        self.closed.set();
        Ok(())
    }

    fn closer(&self) -> MutexGuard<'_, Closer> {
        self.closer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn managers(&self) -> MutexGuard<'_, HashMap<u64, Arc<Manager>>> {
        self.managers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Failure {
    Failure::closed("this connection is closed")
}
