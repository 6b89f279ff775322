//! Breaks things, one at a time, and notes from when to when, and what was removed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use crate::admin::{Admin, short, stream_with};
use crate::campaign::journal::{Notes, Removal, Scope, Snapshot, Trouble};
use crate::campaign::schedule::Fault;
use crate::proxy::Network;
use crate::site::Site;

pub(super) struct Operator {
    pub(super) site: Site,
    notes: Arc<Notes>,
    cluster: bool,
}

/// The stream at a moment.
#[derive(Clone, Copy)]
struct State {
    incarnation: u64,
    first: u64,
    last: u64,
    messages: u64,
}

impl Operator {
    pub(super) fn new(site: Site, notes: Arc<Notes>, cluster: bool) -> Operator {
        Operator { site, notes, cluster }
    }

    fn admin(&self) -> Admin {
        self.site.admin()
    }

    async fn state(&self) -> State {
        let info = self.admin().must("STREAM.INFO.chat-demo", json!({})).await;
        let created = info["created"].as_str().expect("when it was made");
        let created = OffsetDateTime::parse(created, &Rfc3339).expect("a time");
        let number = |name: &str| info["state"][name].as_u64().expect("a number");
        State {
            incarnation: u64::try_from(created.unix_timestamp_nanos()).expect("since 1970"),
            first: number("first_seq"),
            last: number("last_seq"),
            messages: number("messages"),
        }
    }

    /// Notes all that is stored now.
    pub(super) async fn snapshot(&self) -> (u64, u64) {
        let State { incarnation, last, .. } = self.state().await;
        let stored = self.admin().stored().await;
        self.notes.lock().snapshots.push(Snapshot { incarnation, stored });
        (incarnation, last)
    }

    /// Breaks something, and mends it before it returns.
    pub(super) async fn strike(&mut self, fault: Fault) {
        let begun = Instant::now();
        self.notes.lock().troubles.push(Trouble { fault, begun, ended: None });
        let at = self.notes.lock().troubles.len() - 1;
        match fault {
            Fault::Kill { ms } => self.kill(ms).await,
            Fault::Freeze { ms } => {
                self.site.servers[0].signal(Signal::STOP);
                sleep(Duration::from_millis(ms)).await;
                self.site.servers[0].signal(Signal::CONT);
            }
            Fault::Cut { ms } => self.network(Network::Cut, ms).await,
            Fault::HalfOpen { ms } => self.network(Network::HalfOpen, ms).await,
            Fault::Slow { ms } => self.network(Network::Slow, ms).await,
            Fault::DeleteConsumers => self.admin().delete_consumers().await,
            Fault::Full { ms } => self.fill(ms).await,
            Fault::Revoke { ms } => self.revoke(ms).await,
            Fault::Malformed { thread } => self.store_malformed(thread).await,
            Fault::PurgeAll
            | Fault::PurgeHalf
            | Fault::PurgeThread { .. }
            | Fault::DeleteMessage { .. }
            | Fault::Expire { .. }
            | Fault::Remake { .. } => self.remove(fault).await,
        }
        self.notes.lock().troubles[at].ended = Some(Instant::now());
    }

    async fn kill(&mut self, ms: u64) {
        let one = if self.cluster { self.site.leader().await } else { 0 };
        self.site.servers[one].kill();
        sleep(Duration::from_millis(ms)).await;
        self.site.servers[one].restart().await;
    }

    async fn network(&self, network: Network, ms: u64) {
        self.site.network(network);
        sleep(Duration::from_millis(ms)).await;
        self.site.network(Network::Open);
    }

    async fn fill(&self, ms: u64) {
        let most = self.state().await.messages.max(1);
        self.admin().edit_stream(json!({"discard": "new", "max_msgs": most})).await;
        sleep(Duration::from_millis(ms)).await;
        self.admin().edit_stream(json!({"discard": "old", "max_msgs": -1})).await;
    }

    async fn revoke(&mut self, ms: u64) {
        let denied = "permissions: { publish: { deny: [\"chat.demo.>\", \"$JS.API.>\"] } }";
        self.site.reload(|it| it.agent = denied.to_owned()).await;
        sleep(Duration::from_millis(ms)).await;
        self.site.reload(|it| it.agent = String::new()).await;
    }

    async fn store_malformed(&self, thread: Option<usize>) {
        let incarnation = self.state().await.incarnation;
        let token = thread.map_or_else(|| "other".to_owned(), |it| short(&format!("t{it}")));
        let client = self.admin().client().await;
        let asked = client.request(format!("chat.demo.{token}"), "no envelope".into()).await;
        // Without an answer it may be stored all the same: a snapshot shows it.
        let Ok(answer) = asked else { return };
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        if let Some(seq) = answer["seq"].as_u64() {
            self.notes.lock().malformed.push(((incarnation, seq), token));
        }
    }

    async fn remove(&self, fault: Fault) {
        self.snapshot().await;
        let State { incarnation, first, last, .. } = self.state().await;
        let begun = Instant::now();
        let purge = |request: Value| async move { self.admin().purge(request).await };
        let scope = match fault {
            Fault::PurgeHalf => {
                let half = first + (last + 1).saturating_sub(first) / 2;
                purge(json!({"seq": half})).await;
                Scope::Below(half)
            }
            Fault::PurgeThread { thread } => {
                let thread = short(&format!("t{thread}"));
                let filter = format!("chat.demo.{thread}");
                purge(json!({"filter": filter, "seq": last + 1})).await;
                Scope::ThreadBelow(thread, last + 1)
            }
            Fault::DeleteMessage { percent } => {
                let seq = first + last.saturating_sub(first) * percent / 100;
                let request = json!({"seq": seq, "no_erase": true});
                self.admin().api("STREAM.MSG.DELETE.chat-demo", request).await;
                Scope::One(seq)
            }
            Fault::Expire { age_ms, ms } => {
                self.expire(age_ms, ms).await;
                Scope::Below(self.state().await.first)
            }
            Fault::Remake { ms } => {
                self.remake(ms).await;
                Scope::Everything
            }
            _ => {
                purge(json!({})).await;
                Scope::Below(self.state().await.first)
            }
        };
        let removal = Removal { begun, ended: Instant::now(), incarnation, scope };
        self.notes.lock().removals.push(removal);
    }

    async fn expire(&self, age_ms: u64, ms: u64) {
        let age = age_ms * 1_000_000;
        self.admin().edit_stream(json!({"max_age": age, "duplicate_window": age})).await;
        sleep(Duration::from_millis(ms)).await;
        let window = 120_000_000_000_u64;
        self.admin().edit_stream(json!({"max_age": 0, "duplicate_window": window})).await;
    }

    async fn remake(&self, ms: u64) {
        self.admin().delete_stream().await;
        sleep(Duration::from_millis(ms)).await;
        // An agent that opens meanwhile may have made it.
        let answer = self.admin().api("STREAM.CREATE.chat-demo", stream_with(json!({}))).await;
        let code = &answer["error"]["err_code"];
        assert!(code.is_null() || code == 10058, "{answer}");
    }

    /// The names of libchat's and others' consumers.
    pub(super) async fn consumers(&self) -> Vec<String> {
        self.admin().consumers().await
    }
}
