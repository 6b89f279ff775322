//! Log records for hosts that have no `tracing` of their own.

use std::cell::Cell;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Once, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Takes a record: its level (1 for errors, 2 for warnings, 3 for what is worth knowing, 4 and 5
/// for whoever looks for a fault), which part of libchat speaks, and the text. It runs on any
/// thread, perhaps under a lock of libchat: it must return soon, and call nothing of libchat.
pub type LogSink = Box<dyn Fn(u8, &str, &str) + Send + Sync>;

static SINK: RwLock<Option<LogSink>> = RwLock::new(None);
static LEVEL_MAX: AtomicU8 = AtomicU8::new(0);

thread_local! {
    static IN_SINK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in the sink.
pub fn is_logging() -> bool {
    IN_SINK.get()
}

/// Has records up to `level_max` taken by `sink`; `None` ends it, as it is at the start. For the
/// whole process. When it returns, the sink set before runs no more.
pub fn set_log(level_max: u8, sink: Option<LogSink>) {
    static INSTALL: Once = Once::new();
    // Refused where a host in Rust has a subscriber of its own, which gets it all then.
    INSTALL.call_once(|| drop(tracing::subscriber::set_global_default(ToSink)));
    LEVEL_MAX.store(if sink.is_some() { level_max } else { 0 }, Ordering::Relaxed);
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
    tracing::callsite::rebuild_interest_cache();
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
        if IN_SINK.replace(true) {
            return;
        }
        if let Some(sink) = &*SINK.read().unwrap_or_else(PoisonError::into_inner) {
            let mut line = Line::default();
            event.record(&mut line);
            sink(number(*event.metadata().level()), event.metadata().target(), &line.0);
        }
        IN_SINK.set(false);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn number(level: Level) -> u8 {
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
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}
