//! One ephemeral pull consumer: made, asked for messages, checked, deleted.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::CONSUMER_NOT_FOUND;
use crate::api::{Failure, wrap};
use crate::asked::{Asked, Pauses, Shape};
use crate::clock::nanos;
use crate::error::{Error, ErrorKind};
use crate::message::Headers;
use crate::random;
use crate::state::{Mark, Right, State};
use crate::stored::{Delivery, Stored, headers_of, seq};
use crate::stream::Stream;

const EXPIRES: Duration = Duration::from_secs(60);
/// The server forgets a consumer that nobody asks for so long.
const INACTIVE: Duration = Duration::from_secs(60);
/// Twice the largest max_payload a server can be given.
const LARGEST: usize = 128 << 20;
const DELETE_TIMEOUT: Duration = Duration::from_secs(2);
const DELETE_PAUSE: Duration = Duration::from_millis(50);
const SILENCE_SLACK: Duration = Duration::from_millis(500);

/// Where a consumer begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Seq(u64),
    /// Unix nanoseconds.
    Time(i64),
    LastOfEachSubject,
}

pub(crate) struct Pull {
    stream: Arc<Stream>,
    consumer: String,
    /// The server has said that the consumer is there.
    is_made: bool,
    inbox: String,
    messages: Subscriber,
    shape: Shape,
    consumer_seq: u64,
    asked: Asked,
    pauses: Pauses,
    /// What the next request asks for: more than the shape says where one message is larger.
    max_bytes: usize,
    alive: Instant,
    /// Messages of the filter not yet delivered, as last heard.
    pub(crate) pending: u64,
    link_state: watch::Receiver<State>,
    mark: Mark,
    /// The stream sequence before the first this consumer may deliver.
    before: u64,
}

/// What a consumer would deliver.
pub(crate) struct Probed {
    /// The stream sequence before the first one.
    pub(crate) before: u64,
    pub(crate) pending: u64,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Pulled {
    Message {
        stored: Stored,
        /// Messages of the filter that were stored behind it when it was delivered.
        pending: u64,
        /// The server may have had no request of ours before it.
        after_pause: bool,
    },
    /// The consumer lives and has nothing more.
    Idle,
    /// This consumer is of no more use.
    Fault(Error),
}

#[derive(Deserialize)]
pub(crate) struct Created {
    #[serde(default)]
    num_pending: u64,
    delivered: Delivered,
}

#[derive(Deserialize)]
struct Delivered {
    #[serde(deserialize_with = "seq")]
    stream_seq: u64,
}

impl Pull {
    /// Makes a consumer over `subjects` (all of the stream if empty) and asks it for messages.
    pub(crate) async fn create(
        stream: &Arc<Stream>,
        from: From,
        subjects: &[String],
        shape: Shape,
        deadline: Instant,
    ) -> Result<Pull, Failure> {
        let pull = Pull::make(stream, from, subjects, shape, deadline).await?;
        pull.asked_once().await.map_err(Failure::Failed)
    }

    /// Where a consumer would begin, and how many messages it would deliver.
    pub(crate) async fn probe(
        stream: &Arc<Stream>,
        from: From,
        subjects: &[String],
        deadline: Instant,
    ) -> Result<Probed, Failure> {
        let shape = Shape { batch: 0, max_bytes: 0, heartbeat: EXPIRES, live: false };
        let pull = Pull::make(stream, from, subjects, shape, deadline).await?;
        Ok(Probed { before: pull.before, pending: pull.pending })
    }

    async fn make(
        stream: &Arc<Stream>,
        from: From,
        subjects: &[String],
        shape: Shape,
        deadline: Instant,
    ) -> Result<Pull, Failure> {
        let link = &stream.link;
        let (inbox, mark) = (link.new_inbox(), link.mark());
        // Subscribed before it exists, so that nothing it sends is missed.
        let messages = link.subscribe(inbox.clone(), None).await.map_err(Failure::Failed)?;
        let consumer = format!("libchat-{}", random::hex(8));
        let mut pull = Pull {
            stream: stream.clone(),
            consumer,
            is_made: false,
            inbox,
            messages,
            shape,
            consumer_seq: 0,
            asked: Asked::default(),
            pauses: Pauses::default(),
            max_bytes: shape.max_bytes,
            alive: Instant::now(),
            pending: 0,
            link_state: link.state(),
            mark,
            before: 0,
        };
        let verb = format!("CONSUMER.CREATE.{}.{}", stream.name, pull.consumer);
        let request = json!({
            "stream_name": stream.name,
            "action": "create",
            "config": pull.config(from, subjects),
        });
        let created: Created = link.api(&verb, &request, deadline).await?;
        pull.pending = created.num_pending;
        pull.before = created.delivered.stream_seq;
        pull.alive = Instant::now();
        pull.is_made = true;
        Ok(pull)
    }

    async fn asked_once(mut self) -> Result<Pull, Error> {
        let (subject, payload) = self.request();
        let reply = Some(self.inbox.clone());
        self.stream.link.publish(&subject, reply, None, payload).await?;
        self.asked_for();
        Ok(self)
    }

    fn config(&self, from: From, subjects: &[String]) -> Value {
        let mut config = json!({
            "name": self.consumer,
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": true,
            "num_replicas": 1,
            "replay_policy": "instant",
            "inactive_threshold": nanos(INACTIVE),
        });
        if !subjects.is_empty() {
            config["filter_subjects"] = json!(subjects);
        }
        match from {
            From::Seq(seq) => {
                config["deliver_policy"] = "by_start_sequence".into();
                config["opt_start_seq"] = seq.max(1).into();
            }
            From::Time(ns) => {
                config["deliver_policy"] = "by_start_time".into();
                config["opt_start_time"] = rfc3339(ns).into();
            }
            From::LastOfEachSubject => config["deliver_policy"] = "last_per_subject".into(),
        }
        config
    }

    /// What comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Pulled {
        loop {
            let silence = self.alive + self.shape.heartbeat * 2 + SILENCE_SLACK;
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                _ = self.link_state.changed() => match self.refused() {
                    Some(error) => return Pulled::Fault(error),
                    None => continue,
                },
                () = sleep_until(silence) => return self.fault("no sign of life"),
            };
            let Some(message) = message else { return self.fault("its subscription ended") };
            if let Some(pulled) = self.take(message) {
                return pulled;
            }
        }
    }

    /// What is here already.
    pub(crate) fn ready(&mut self) -> Option<Pulled> {
        loop {
            match self.messages.next().now_or_never()? {
                Some(message) => match self.take(message) {
                    Some(pulled) => return Some(pulled),
                    None => continue,
                },
                None => return Some(self.fault("its subscription ended")),
            }
        }
    }

    fn take(&mut self, message: Message) -> Option<Pulled> {
        // The server delivers under the message's own subject; under ours it only says how things
        // are, and others may say anything.
        if message.status.is_none() && message.subject.as_str() == self.inbox {
            return None;
        }
        self.alive = Instant::now();
        let pulled = match message.status {
            None => Some(self.delivered(message)),
            Some(status) => self.status(status, &message),
        };
        if self.asked.is_low(self.shape) {
            // The publish only has to reach the client's queue; where that is full the next message
            // asks again.
            if let Some(Err(cause)) = self.ask_now() {
                let lost = Error::new(ErrorKind::Disconnected, "ask for messages").because(cause);
                return Some(pulled.unwrap_or(Pulled::Fault(lost)));
            }
        }
        pulled
    }

    fn delivered(&mut self, message: Message) -> Pulled {
        let delivery = message.reply.as_deref().and_then(Delivery::parse);
        let Some(delivery) = delivery else { return self.fault("a message without its position") };
        if delivery.consumer_seq != self.consumer_seq + 1 {
            return self.fault("deliveries were lost");
        }
        self.consumer_seq = delivery.consumer_seq;
        self.pending = delivery.pending;
        let after_pause = std::mem::take(&mut self.pauses.passed);
        self.used(Asked { messages: 1, bytes: message.length });
        self.max_bytes = self.shape.max_bytes;
        let stored = Stored {
            subject: message.subject.into_string(),
            seq: delivery.stream_seq,
            time_ns: delivery.time_ns,
            headers: message.headers.as_ref().map_or_else(Headers::default, headers_of),
            payload: message.payload,
        };
        Pulled::Message { stored, pending: delivery.pending, after_pause }
    }

    fn status(&mut self, status: StatusCode, message: &Message) -> Option<Pulled> {
        let description = message.description.as_deref().unwrap_or_default();
        if status == StatusCode::IDLE_HEARTBEAT {
            let last = number(message.headers.as_ref(), "Nats-Last-Consumer");
            return Some(match last {
                Some(last) if last != self.consumer_seq => self.fault("deliveries were lost"),
                _ => Pulled::Idle,
            });
        }
        let ended = status == StatusCode::TIMEOUT
            || (status == StatusCode::REQUEST_TERMINATED && ends_a_request(description));
        if !ended {
            return Some(self.fault(&format!("{} {description}", status.as_u16())));
        }
        let given_back = given_back(message.headers.as_ref());
        self.used(given_back);
        // The request has ended by itself; whether another was there is not known.
        self.pauses.passed = true;
        if given_back.bytes >= self.max_bytes
            && description.eq_ignore_ascii_case("message size exceeds maxbytes")
        {
            // A whole request is too small for one message; the server's limit may once have been
            // higher than it is now.
            self.max_bytes = (self.max_bytes * 2).max(self.stream.link.max_payload() + (64 << 10));
            if self.max_bytes > LARGEST {
                return Some(self.fault("a message larger than any server takes"));
            }
        }
        None
    }

    fn ask_now(&mut self) -> Option<Result<(), Error>> {
        let (subject, payload) = self.request();
        let asked = self.stream.link.publish_now(&subject, Some(self.inbox.clone()), None, payload);
        if matches!(asked, Some(Ok(()))) {
            self.asked_for();
        }
        asked
    }

    /// Why nothing will come, if the server has refused what was asked, or where it is to go.
    pub(crate) fn refused(&self) -> Option<Error> {
        let link = &self.stream.link;
        let refused = |right, subject: &str| link.refused_since(right, subject, self.mark);
        refused(Right::Publish, &self.request().0)
            .or_else(|| refused(Right::Subscribe, &self.inbox))
            .map(|cause| wrap(cause, format!("read stream {}", self.stream.name)))
    }

    fn request(&self) -> (String, Bytes) {
        let request = json!({
            "batch": self.shape.batch,
            "max_bytes": self.max_bytes,
            "expires": nanos(EXPIRES),
            "idle_heartbeat": nanos(self.shape.heartbeat),
        });
        let verb = format!("CONSUMER.MSG.NEXT.{}.{}", self.stream.name, self.consumer);
        (self.stream.link.api_subject(&verb), request.to_string().into())
    }

    fn used(&mut self, used: Asked) {
        self.asked.less(used);
        self.pauses.used(used);
    }

    fn asked_for(&mut self) {
        self.pauses.asked(self.asked);
        self.asked.more(Asked { messages: self.shape.batch, bytes: self.max_bytes });
    }

    fn fault(&self, why: &str) -> Pulled {
        let what = format!("reader of {}", self.stream.name);
        Pulled::Fault(Error::new(ErrorKind::Disconnected, what).because(why.to_owned()))
    }
}

impl Drop for Pull {
    /// Deletes the consumer. Where that cannot be asked for, the server forgets it by itself.
    fn drop(&mut self) {
        let stream = self.stream.clone();
        let verb = format!("CONSUMER.DELETE.{}.{}", stream.name, self.consumer);
        if !stream.link.is_up() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => {
                let delete = delete(stream.clone(), verb, self.is_made);
                stream.deletes.spawn_on(delete, &runtime);
            }
            Err(_) => {
                let subject = stream.link.api_subject(&verb);
                let _ = stream.link.publish_now(&subject, None, None, Bytes::new());
            }
        }
    }
}

/// Until the server says that it is done. It works on several requests at a time, so one for a
/// consumer whose making was given up half-way may come before that.
async fn delete(stream: Arc<Stream>, verb: String, is_made: bool) {
    let deadline = Instant::now() + DELETE_TIMEOUT;
    loop {
        match stream.link.api::<Value>(&verb, &json!({}), deadline).await {
            Err(failure) if failure.is(CONSUMER_NOT_FOUND) && !is_made => {
                if Instant::now() >= deadline {
                    return;
                }
                sleep(DELETE_PAUSE).await;
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// A 409 that only says that one request is over.
fn ends_a_request(description: &str) -> bool {
    ["batch completed", "message size exceeds maxbytes"]
        .iter()
        .any(|end| description.eq_ignore_ascii_case(end))
}

/// What the request that a status ends has left.
fn given_back(headers: Option<&HeaderMap>) -> Asked {
    let left = |name| {
        let number = number(headers, name).unwrap_or_default();
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    Asked { messages: left("Nats-Pending-Messages"), bytes: left("Nats-Pending-Bytes") }
}

fn number(headers: Option<&HeaderMap>, name: &str) -> Option<u64> {
    headers?.get(name)?.as_str().parse().ok()
}

fn rfc3339(ns: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    // Four-digit years always format.
    crate::stored::from_unix_ns(ns).format(&Rfc3339).unwrap_or_default()
}
