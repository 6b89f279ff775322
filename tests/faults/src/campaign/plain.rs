//! The original's way of taking part, by plain nats.go: what it sends must be told by libchat; what
//! its ordered consumer tells is counted only.

use std::collections::HashSet;
use std::time::Duration;

use libchat::ErrorKind;

use crate::actor::{Actor, Face};
use crate::admin::short;
use crate::campaign::journal::{Life, Notes, Said, Sent};

pub(super) struct Plain {
    sender: tokio::sync::Mutex<Actor>,
    watch: Actor,
    lister: Actor,
}

impl Plain {
    pub(super) fn start(url: &str, threads: usize) -> Plain {
        let threads = threads.min(4).to_string();
        let send = ["send", "go", "t", &threads, "0", "15", "20", "1", "0"];
        let start = |args: &[&str]| Actor::start(Face::NatsGo, url, args, &[]);
        Plain {
            sender: tokio::sync::Mutex::new(start(&send)),
            watch: start(&["watch", "gowatch", "*", "0", "256", "all"]),
            lister: start(&["call", "golist", "list", "200"]),
        }
    }

    /// Ends the sender, and notes what it has sent.
    pub(super) async fn end_sends(&self, notes: &Notes) {
        let mut sender = self.sender.lock().await;
        sender.finish().await;
        let lines = sender.lines();
        let mut journal = notes.lock();
        journal.lives.push(Life { agent: "go".to_owned(), closing: None, stats: None });
        let life = journal.lives.len() - 1;
        for line in lines.iter().filter(|it| it.is("try")) {
            let (thread, n) = (line.word(1), line.number(2));
            let answer = lines.iter().find(|it| {
                (it.is("ok") || it.is("err"))
                    && it.at >= line.at
                    && it.word(1) == thread
                    && it.number(2) == n
            });
            let said = match answer {
                Some(ok) if ok.is("ok") => Said::Acked { place: None, duplicate: false },
                // What nats.go says of a failure leaves open whether it is stored.
                _ => Said::Failed(ErrorKind::OutcomeUnknown, String::new()),
            };
            let body = format!("{n} {}", "x".repeat(20));
            journal.sends.push(Sent {
                life,
                id: format!("go-{thread}-{n}"),
                short: short(thread),
                size: body.len(),
                ordered: false,
                expect: None,
                curbed: true,
                foreign: true,
                begun: line.at,
                ended: answer.map(|it| it.at),
                timeout: Duration::from_secs(10),
                said,
            });
        }
    }

    pub(super) async fn end(mut self, notes: &Notes) {
        // An ordered consumer that has lost its way finds it again, or does not.
        let told = |it: &[crate::actor::Line]| it.iter().any(|it| it.word(3) == "last");
        self.watch.until(Duration::from_secs(2), told).await;
        self.watch.finish().await;
        self.lister.finish().await;
        let lines = self.watch.lines();
        let got: HashSet<&str> =
            lines.iter().filter(|it| it.is("got")).map(|it| it.word(6)).collect();
        let mut journal = notes.lock();
        let acked = journal.sends.iter().filter(|it| it.is_acked());
        let missed = acked.filter(|it| !got.contains(it.id.as_str())).count();
        journal.plain = (got.len(), missed);
    }
}
