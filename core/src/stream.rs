//! The project's stream: create it if absent, otherwise leave it as its operator set it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::TaskTracker;

use crate::answer::{MESSAGE_NOT_FOUND, STREAM_NAME_IN_USE, STREAM_NOT_FOUND};
use crate::api::{Failure, wrap};
use crate::clock::nanos;
use crate::config::{OpenOptions, Retention};
use crate::error::{Error, ErrorKind};
use crate::link::Link;
use crate::message::Cursor;
use crate::name::Project;
use crate::stored::{Fetched, Stored, seq, unix_ns};

/// The server's default, assumed where we may not ask.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long a leader may be behind what a replica has delivered.
const LEADER_LAG: Duration = Duration::from_secs(2);
const LAG_PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Stream {
    pub(crate) link: Arc<Link>,
    pub(crate) project: Project,
    pub(crate) name: String,
    known: Mutex<Known>,
    /// The highest sequence that an answer to a send, or the stream's information, has named.
    highest: AtomicU64,
    refreshing: tokio::sync::Mutex<()>,
    /// Consumers whose deletion has been asked for and not yet answered.
    pub(crate) deletes: TaskTracker,
}

/// What the last STREAM.INFO said, as far as sending needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// 0 when this agent may not ask.
    pub(crate) incarnation: u64,
    pub(crate) duplicate_window: Duration,
    /// The connection it was asked on.
    generation: u64,
}

/// A STREAM.INFO answer. `config` keeps every field, those this version does not know included.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Info {
    created: String,
    pub(crate) config: Map<String, Value>,
    pub(crate) state: StreamState,
    #[serde(default)]
    total: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StreamState {
    #[serde(deserialize_with = "seq")]
    pub(crate) first_seq: u64,
    #[serde(deserialize_with = "seq")]
    pub(crate) last_seq: u64,
    #[serde(default)]
    pub(crate) consumer_count: usize,
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

/// Messages under each subject of the project.
pub(crate) struct Counts {
    pub(crate) incarnation: u64,
    pub(crate) is_single: bool,
    pub(crate) counts: HashMap<String, u64>,
}

#[derive(Deserialize)]
pub(crate) struct Got {
    pub(crate) message: Fetched,
}

/// Which message to fetch.
pub(crate) enum Which<'a> {
    Seq(u64),
    /// The first at or after this sequence under a subject, wildcards allowed.
    Next(u64, &'a str),
    LastOf(&'a str),
}

impl Info {
    pub(crate) fn incarnation(&self) -> u64 {
        unix_ns(&self.created).and_then(|ns| u64::try_from(ns).ok()).unwrap_or_default()
    }

    /// When it was made, as the server writes it.
    pub(crate) fn created(&self) -> &str {
        &self.created
    }

    /// Whether one server holds it, so that whoever reads there reads what was acknowledged.
    pub(crate) fn is_single(&self) -> bool {
        self.config.get("num_replicas").and_then(Value::as_u64).unwrap_or(1) <= 1
    }

    fn duration(&self, key: &str) -> Duration {
        Duration::from_nanos(self.config.get(key).and_then(Value::as_u64).unwrap_or_default())
    }

    fn text(&self, key: &str) -> &str {
        self.config.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn flag(&self, key: &str) -> bool {
        self.config.get(key).and_then(Value::as_bool).unwrap_or_default()
    }
}

impl Stream {
    /// Binds to the stream of `project`, making it if there is none and `options` say so.
    pub(crate) async fn open(
        link: Arc<Link>,
        project: Project,
        options: &OpenOptions,
        deadline: Instant,
    ) -> Result<Arc<Stream>, Error> {
        let name = project.stream();
        let known = Known { incarnation: 0, duplicate_window: DUPLICATE_WINDOW, generation: 0 };
        let stream = Arc::new(Stream {
            link,
            project,
            name,
            known: Mutex::new(known),
            highest: AtomicU64::new(0),
            refreshing: tokio::sync::Mutex::new(()),
            deletes: TaskTracker::new(),
        });
        let what = format!("open {}: stream {}", stream.project.as_str(), stream.name);
        stream.bind(options, deadline).await.map_err(|cause| wrap(cause, what))?;
        Ok(stream)
    }

    async fn bind(&self, options: &OpenOptions, deadline: Instant) -> Result<(), Error> {
        let info = match self.try_info(deadline).await {
            Ok(info) => info,
            Err(failure) if failure.is(STREAM_NOT_FOUND) && options.create => {
                self.create(options.retention, deadline).await?
            }
            Err(failure) if failure.is(STREAM_NOT_FOUND) => {
                return Err(failure.about("there is none"));
            }
            // An agent that may only send cannot look; its sends will tell whether the stream is
            // there.
            Err(failure) if failure.is_unauthorized() && options.retention == Retention::Keep => {
                self.link.hears()?;
                tracing::info!(
                    stream = self.name,
                    "no right to read the stream's information: sending only"
                );
                return Ok(());
            }
            Err(failure) => return Err(failure.about("look it up")),
        };
        self.check(&info)?;
        let wanted = match options.retention {
            Retention::Keep => return Ok(()),
            Retention::Unbounded => Duration::ZERO,
            Retention::MaxAge(age) => age,
        };
        if info.duration("max_age") == wanted {
            return Ok(());
        }
        self.set_max_age(info, wanted, deadline).await
    }

    /// With exactly what the original sends: a bones agent that opens at the same time compares.
    async fn create(&self, retention: Retention, deadline: Instant) -> Result<Info, Error> {
        let max_age = match retention {
            Retention::MaxAge(age) => nanos(age),
            Retention::Keep | Retention::Unbounded => 0,
        };
        let request = json!({
            "name": self.name,
            "subjects": [self.project.all_subjects()],
            "retention": "limits",
            "max_consumers": 0,
            "max_msgs": 0,
            "max_bytes": 0,
            "discard": "old",
            "max_age": max_age,
            "max_msgs_per_subject": 0,
            "storage": "file",
            "num_replicas": 0,
            "compression": "none",
            "allow_direct": false,
            "mirror_direct": false,
            "consumer_limits": {},
        });
        let verb = format!("STREAM.CREATE.{}", self.name);
        match self.link.api::<Info>(&verb, &request, deadline).await {
            Ok(info) => {
                self.learn(&info, self.link.mark().generation);
                Ok(info)
            }
            // Somebody else was faster; what they made is as good as an old one.
            Err(failure) if failure.is(STREAM_NAME_IN_USE) => self.info(deadline).await,
            Err(failure) => Err(failure.about("create it")),
        }
    }

    /// Changes max_age, and the duplicate window where the server would refuse it as longer.
    async fn set_max_age(&self, info: Info, age: Duration, deadline: Instant) -> Result<(), Error> {
        let mut config = info.config.clone();
        config.insert("max_age".into(), nanos(age).into());
        if !age.is_zero() && info.duration("duplicate_window") > age {
            config.insert("duplicate_window".into(), nanos(age).into());
        }
        let verb = format!("STREAM.UPDATE.{}", self.name);
        let updated: Info = self
            .link
            .api(&verb, &config, deadline)
            .await
            .map_err(|failure| failure.about(format!("set its max_age to {age:?}")))?;
        self.learn(&updated, self.link.mark().generation);
        Ok(())
    }

    /// Refuses a stream on which the promises would not hold.
    fn check(&self, info: &Info) -> Result<(), Error> {
        let refuse = |setting: String| {
            let hint = "libchat needs limits retention and acknowledgements, over its own subjects";
            Err(Error::new(ErrorKind::Conflict, setting).hint(hint))
        };
        if !matches!(info.text("retention"), "limits" | "") {
            return refuse(format!(
                "retention is {}: messages would vanish when read",
                info.text("retention")
            ));
        }
        if info.flag("no_ack") {
            return refuse("no_ack is on: a send could never be confirmed".into());
        }
        if info.config.get("subject_transform").is_some_and(|it| !it.is_null()) {
            return refuse(
                "subject_transform is set: messages would be stored under other subjects".into(),
            );
        }
        let subjects = info.config.get("subjects").and_then(Value::as_array);
        let mut subjects = subjects.into_iter().flatten().filter_map(Value::as_str);
        let ours = format!("{}*", self.project.prefix());
        if info.config.get("mirror").is_none_or(Value::is_null)
            && !subjects.any(|it| covers(it, &ours))
        {
            return refuse(format!("subjects do not cover {ours}"));
        }
        Ok(())
    }

    /// Why nothing can be sent to this stream, if so.
    fn read_only(info: &Info) -> Option<&'static str> {
        if info.config.get("mirror").is_some_and(|it| !it.is_null()) {
            return Some("it is a mirror: reading only");
        }
        info.flag("sealed").then_some("it is sealed: nothing can be added")
    }

    pub(crate) async fn info(&self, deadline: Instant) -> Result<Info, Error> {
        self.try_info(deadline)
            .await
            .map_err(|failure| failure.about(format!("stream {}", self.name)))
    }

    /// The same for who has been at two places. A leader that was just chosen may not have come
    /// there yet; a stream that was rolled back stays behind.
    pub(crate) async fn info_at(
        &self,
        (one, other): (Cursor, Cursor),
        deadline: Instant,
    ) -> Result<Info, Error> {
        let patience = deadline.min(Instant::now() + LEADER_LAG);
        loop {
            let info = self.info(deadline).await?;
            let (incarnation, end) = (info.incarnation(), info.state.last_seq);
            let is_behind =
                [one, other].iter().any(|it| it.incarnation == incarnation && it.seq > end);
            if !is_behind || info.is_single() || Instant::now() >= patience {
                return Ok(info);
            }
            sleep(LAG_PAUSE).await;
        }
    }

    async fn try_info(&self, deadline: Instant) -> Result<Info, Failure> {
        let generation = self.link.mark().generation;
        let verb = format!("STREAM.INFO.{}", self.name);
        let info: Info = self.link.api(&verb, &json!({}), deadline).await?;
        self.learn(&info, generation);
        Ok(info)
    }

    /// Messages under each subject of the project, asked for in pages.
    pub(crate) async fn counts(&self, deadline: Instant) -> Result<Counts, Error> {
        let verb = format!("STREAM.INFO.{}", self.name);
        let mut counts = HashMap::new();
        let mut offset = 0;
        loop {
            let request = json!({"subjects_filter": self.project.all_subjects(), "offset": offset});
            let info: Info =
                self.link.api(&verb, &request, deadline).await.map_err(|failure| {
                    failure.about(format!("count the threads of {}", self.name))
                })?;
            let (incarnation, is_single) = (info.incarnation(), info.is_single());
            let page = info.state.subjects.unwrap_or_default();
            offset += page.len();
            let done = page.is_empty() || offset >= info.total;
            counts.extend(page);
            if done {
                return Ok(Counts { incarnation, is_single, counts });
            }
        }
    }

    /// One stored message; `None` if there is none such.
    pub(crate) async fn message(
        &self,
        which: Which<'_>,
        deadline: Instant,
    ) -> Result<Option<Stored>, Error> {
        let request = match which {
            Which::Seq(seq) => json!({"seq": seq}),
            Which::Next(seq, subject) => json!({"seq": seq, "next_by_subj": subject}),
            Which::LastOf(subject) => json!({"last_by_subj": subject}),
        };
        let what = format!("fetch a message of {}", self.name);
        let verb = format!("STREAM.MSG.GET.{}", self.name);
        match self.link.api::<Got>(&verb, &request, deadline).await {
            Ok(got) => {
                match got.message.stored() {
                    Some(stored) => Ok(Some(stored)),
                    None => Err(Error::new(ErrorKind::Server, what)
                        .because("an answer that cannot be read")),
                }
            }
            Err(failure) if failure.is(MESSAGE_NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.about(what)),
        }
    }

    /// The stream's standing for a send on this connection, asked again after a reconnect.
    pub(crate) async fn known(&self, generation: u64, deadline: Instant) -> Result<Known, Error> {
        let known = *self.lock();
        if known.generation == generation || known.incarnation == 0 {
            return Ok(known);
        }
        // Boxed: every send would hold its room.
        Box::pin(self.known_anew(generation, deadline)).await
    }

    async fn known_anew(&self, generation: u64, deadline: Instant) -> Result<Known, Error> {
        // Whoever asks may have more time than this call.
        let one_asks = timeout_at(deadline, self.refreshing.lock()).await;
        let _one_asks = one_asks.map_err(|_| {
            Error::new(ErrorKind::Timeout, format!("stream {}: not looked up in time", self.name))
        })?;
        let known = *self.lock();
        if known.generation == generation {
            return Ok(known);
        }
        match self.refresh(deadline).await {
            // The right to look was taken away; the one to send may be left.
            Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(known),
            other => other,
        }
    }

    /// Asks whether the stream is there, still the one known, and takes messages.
    pub(crate) async fn refresh(&self, deadline: Instant) -> Result<Known, Error> {
        let info = self.info(deadline).await?;
        self.writable(&info)?;
        Ok(*self.lock())
    }

    fn writable(&self, info: &Info) -> Result<(), Error> {
        match Self::read_only(info) {
            Some(why) => {
                Err(Error::new(ErrorKind::Conflict, format!("stream {}", self.name)).because(why))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn known_now(&self) -> Known {
        *self.lock()
    }

    /// The highest sequence of the stream known, so far.
    pub(crate) fn highest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    pub(crate) fn raise_highest(&self, seq: u64) {
        self.highest.fetch_max(seq, Ordering::Relaxed);
    }

    fn learn(&self, info: &Info, generation: u64) {
        let window = info.duration("duplicate_window");
        let mut known = self.lock();
        if known.incarnation != info.incarnation() {
            self.highest.store(0, Ordering::Relaxed);
        }
        self.raise_highest(info.state.last_seq);
        *known = Known { incarnation: info.incarnation(), duplicate_window: window, generation };
        self.link.set_patience(window / 4);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether every subject that `wanted` matches is matched by `pattern`.
fn covers(pattern: &str, wanted: &str) -> bool {
    let (mut pattern, mut wanted) = (pattern.split('.'), wanted.split('.'));
    loop {
        match (pattern.next(), wanted.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(token), Some(other)) if token == other && token != "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_matches_wholly() {
        for pattern in ["chat.demo.>", "chat.demo.*", "chat.>", ">", "chat.*.*", "*.demo.>"] {
            assert!(covers(pattern, "chat.demo.*"), "{pattern}");
        }
        for pattern in
            ["chat.demo.d0825bc5", "chat.demo", "chat.other.>", "chat.demo.*.>", "chat.*"]
        {
            assert!(!covers(pattern, "chat.demo.*"), "{pattern}");
        }
    }
}
