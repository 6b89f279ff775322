//! The operator: JetStream's API, and what is really stored, by a plain NATS client.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::server::PATIENCE;

pub(crate) struct Admin {
    urls: Vec<String>,
}

/// A message as the server has it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) short: String,
    pub(crate) id: String,
    /// The sender's clock and the server's differ by a day or more.
    pub(crate) is_off_by_days: bool,
}

/// The stream's name for a thread of project `demo`.
pub(crate) fn short(thread: &str) -> String {
    libchat::thread_short("demo", thread).expect("a name").to_string()
}

/// Where a thread of project `demo` is stored.
pub(crate) fn subject(thread: &str) -> String {
    format!("chat.demo.{}", short(thread))
}

/// The stream of project `demo` as the original makes it, with these settings.
pub(crate) fn stream_with(settings: Value) -> Value {
    let mut stream = json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "storage": "file"});
    let settings = settings.as_object().expect("settings").clone();
    stream.as_object_mut().expect("an object").extend(settings);
    stream
}

impl Admin {
    pub(crate) fn new(urls: Vec<String>) -> Admin {
        Admin { urls }
    }

    /// Tries until a server takes it.
    pub(crate) async fn client(&self) -> async_nats::Client {
        let begun = Instant::now();
        loop {
            let options = async_nats::ConnectOptions::new();
            let options = options.user_and_password("admin".to_owned(), "pw".to_owned());
            let urls: Vec<_> = self.urls.iter().map(String::as_str).collect();
            match options.connect(urls).await {
                Ok(client) => return client,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "no server: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A request to JetStream's API, until it is answered by someone who can.
    pub(crate) async fn api(&self, verb: &str, request: Value) -> Value {
        let begun = Instant::now();
        let client = self.client().await;
        loop {
            let asked = client.request(format!("$JS.API.{verb}"), request.to_string().into());
            let answer: Value = match asked.await {
                Ok(reply) => serde_json::from_slice(&reply.payload).expect("JSON"),
                Err(error) => json!({"error": {"code": 503, "description": error.to_string()}}),
            };
            if answer["error"]["code"] != 503 {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{verb}: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The same, which must not be refused.
    pub(crate) async fn must(&self, verb: &str, request: Value) -> Value {
        let answer = self.api(verb, request).await;
        assert!(answer["error"].is_null(), "{verb}: {answer}");
        answer
    }

    pub(crate) async fn make_stream(&self, replicas: u64) {
        let request = stream_with(json!({"num_replicas": replicas}));
        self.must("STREAM.CREATE.chat-demo", request).await;
    }

    pub(crate) async fn delete_stream(&self) {
        self.must("STREAM.DELETE.chat-demo", json!({})).await;
    }

    /// Changes settings behind everybody's back.
    pub(crate) async fn edit_stream(&self, settings: Value) {
        let mut config = self.stream().await["config"].clone();
        let settings = settings.as_object().expect("settings").clone();
        config.as_object_mut().expect("a stream").extend(settings);
        self.must("STREAM.UPDATE.chat-demo", config).await;
    }

    pub(crate) async fn stream(&self) -> Value {
        self.api("STREAM.INFO.chat-demo", json!({})).await
    }

    /// The stream's consumers by name.
    pub(crate) async fn consumers(&self) -> Vec<String> {
        let names = self.must("CONSUMER.NAMES.chat-demo", json!({})).await;
        let names = names["consumers"].as_array().cloned().unwrap_or_default();
        names.iter().map(|it| it.as_str().expect("a name").to_owned()).collect()
    }

    pub(crate) async fn delete_consumers(&self) {
        for name in self.consumers().await {
            // It may be gone by itself.
            self.api(&format!("CONSUMER.DELETE.chat-demo.{name}"), json!({})).await;
        }
    }

    /// Of the whole stream, or of what the request narrows it to.
    pub(crate) async fn purge(&self, request: Value) {
        self.must("STREAM.PURGE.chat-demo", request).await;
    }

    /// Everything that is stored, one by one.
    pub(crate) async fn stored(&self) -> Vec<Stored> {
        let (mut stored, mut next) = (Vec::new(), 1);
        let client = self.client().await;
        let last = self.stream().await["state"]["last_seq"].as_u64().expect("a sequence");
        let begun = Instant::now();
        while next <= last {
            assert!(begun.elapsed() < PATIENCE, "at {next} of {last} messages");
            let ask = json!({"seq": next, "next_by_subj": "chat.demo.>"}).to_string();
            let asked = client.request("$JS.API.STREAM.MSG.GET.chat-demo", ask.into()).await;
            let answer: Value = match asked {
                Ok(reply) => serde_json::from_slice(&reply.payload).expect("JSON"),
                Err(_) => continue,
            };
            if answer["error"]["code"] == 503 {
                continue;
            }
            let Some(message) = answer.get("message") else { break };
            let seq = message["seq"].as_u64().expect("a sequence");
            next = seq + 1;
            stored.push(decode(seq, message));
        }
        stored
    }
}

fn decode(seq: u64, message: &Value) -> Stored {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let data = BASE64_STANDARD.decode(text(&message["data"])).expect("base64");
    let envelope: Value = serde_json::from_slice(&data).unwrap_or_default();
    let subject = text(&message["subject"]);
    Stored {
        seq,
        short: subject.rsplit('.').next().unwrap_or_default().to_owned(),
        id: text(&envelope["id"]),
        is_off_by_days: days_apart(&text(&envelope["timestamp"]), &text(&message["time"])),
    }
}

/// Whether two RFC 3339 times are at least a day apart: other dates, and not around one midnight.
fn days_apart(one: &str, other: &str) -> bool {
    let hour = |it: &str| it.get(11..13).and_then(|it| it.parse::<i32>().ok()).unwrap_or_default();
    let near_midnight = (hour(one) - hour(other)).abs() > 20;
    one.get(..10) != other.get(..10) && !near_midnight
}
