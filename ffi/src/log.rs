//! Log

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Once, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::boundary::boundary;
use crate::bytes::{c_text, libchat_bytes};
use crate::status::*;

/// Takes one line of the log. `level` is 1 for errors, 2 for warnings, 3 for what is worth knowing,
/// 4 and 5 for whoever looks for a fault; `target` says which part of libchat speaks. Both texts
/// end with the call. It runs on any thread, perhaps under a lock of libchat: it must return soon,
/// and every function that has a status answers WOULD_DEADLOCK in it.
pub type libchat_log_fn = Option<
    unsafe extern "C" fn(
        level: i32,
        target: *const c_char,
        text: libchat_bytes,
        user_data: *mut c_void,
    ),
>;

struct Sink {
    log: unsafe extern "C" fn(i32, *const c_char, libchat_bytes, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the header says that it is called on any thread; the pointer is only handed back.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
static LEVEL_MAX: AtomicI32 = AtomicI32::new(0);

thread_local! {
    static IN_LOG: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a log callback, where nothing may wait.
pub(crate) fn in_callback() -> bool {
    IN_LOG.get()
}

/// Has the log written by `log`, up to `level_max` (1 to 5); NULL ends it, as it is at the start.
/// For the whole process. When it returns, the function set before runs no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_set_log(
    log: libchat_log_fn,
    user_data: *mut c_void,
    level_max: i32,
) -> libchat_status {
    // SAFETY: there is no place to write to.
    unsafe {
        boundary(std::ptr::null_mut(), || {
            static INSTALL: Once = Once::new();
            // Refused where a host in Rust has a subscriber of its own, which gets it all then.
            INSTALL.call_once(|| drop(tracing::subscriber::set_global_default(ToSink)));
            let sink = log.map(|log| Sink { log, user_data });
            LEVEL_MAX.store(if sink.is_some() { level_max } else { 0 }, Ordering::Relaxed);
            *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
            tracing::callsite::rebuild_interest_cache();
            Ok(LIBCHAT_OK)
        })
    }
}

/// What `tracing` reports from libchat goes to the sink.
struct ToSink;

impl Subscriber for ToSink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Not what its libraries say: that might hold what we promise to keep out of logs.
        let ours =
            metadata.target().starts_with("libchat") || metadata.target().starts_with("chat");
        ours && metadata.is_event()
            && number(*metadata.level()) <= LEVEL_MAX.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        if IN_LOG.replace(true) {
            return;
        }
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Sink { log, user_data }) = &*sink {
            let mut line = Line::default();
            event.record(&mut line);
            let (target, text) = (c_text(event.metadata().target()), c_text(&line.0));
            let bytes = libchat_bytes { data: text.as_ptr().cast(), len: text.as_bytes().len() };
            let level = number(*event.metadata().level());
            // SAFETY: the host gave it for this, and both texts live until it returns.
            unsafe { log(level, target.as_ptr(), bytes, *user_data) };
        }
        drop(sink);
        IN_LOG.set(false);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn number(level: Level) -> i32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        _ => 5,
    }
}

/// The message, then what belongs to it as `name=value`.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}
