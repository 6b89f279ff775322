//! A proxy in front of a test's server that reads what the server sends frame by frame, and lets a
//! rule decide over each message: for what no server can be told to do, as losing one delivery.
//!
//! It lives as long as the test's runtime. What the client sends passes unread.

use std::sync::{Arc, Mutex, PoisonError};

use libchat::{ConnectOptions, Manager, OpenOptions};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::TestServer;

/// What becomes of a message from the server.
pub enum Fate {
    Pass,
    Lose,
    /// Lost with the whole connection.
    Cut,
    /// Another payload in its place, without headers.
    Replace(String),
    /// Comes second: this payload is there first, as from a stranger who is faster.
    Behind(String),
}

/// A message from the server to a client.
pub struct Frame<'a> {
    subject: &'a str,
    /// The subscription it goes to.
    pub sid: &'a str,
    reply: Option<&'a str>,
    headers: &'a [u8],
    payload: &'a [u8],
}

impl Frame<'_> {
    /// Whether a consumer delivers a stored message.
    pub fn is_delivery(&self) -> bool {
        self.reply.is_some_and(|it| it.starts_with("$JS.ACK."))
    }

    /// What a consumer takes it for where bytes are asked for.
    pub fn size(&self) -> usize {
        let reply = self.reply.map_or(0, str::len);
        self.subject.len() + reply + self.headers.len() + self.payload.len()
    }

    /// Whether a consumer says that a request for messages is over.
    pub fn ends_a_request(&self) -> bool {
        let headers = String::from_utf8_lossy(self.headers);
        ["NATS/1.0 408 ", "NATS/1.0 409 Batch ", "NATS/1.0 409 Message Size "]
            .iter()
            .any(|end| headers.starts_with(end))
    }

    /// Its payload, if that is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.payload).ok()
    }

    /// Whether its payload is text that contains `what`.
    pub fn says(&self, what: &str) -> bool {
        self.text().is_some_and(|it| it.contains(what))
    }

    /// Whether it tells the sender of a message that it is stored.
    pub fn is_ack(&self) -> bool {
        let answer: Option<Value> = serde_json::from_slice(self.payload).ok();
        answer.is_some_and(|it| it["stream"].is_string() && it["seq"].is_u64())
    }
}

type Rule = Arc<Mutex<dyn FnMut(&Frame<'_>) -> Fate + Send>>;

pub struct Proxy {
    options: ConnectOptions,
}

impl Proxy {
    pub async fn start(
        server: &TestServer,
        rule: impl FnMut(&Frame<'_>) -> Fate + Send + 'static,
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("nats://{}", listener.local_addr().expect("its address"));
        let options = server.server().connect_options();
        let behind = server.server().url().trim_start_matches("nats://").to_owned();
        let rule: Rule = Arc::new(Mutex::new(rule));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Where the server is away, the client's connection ends at once.
                if let Ok(server) = TcpStream::connect(&behind).await {
                    tokio::spawn(relay(client, server, rule.clone()));
                }
            }
        });
        Proxy { options: ConnectOptions { servers: Some(url), ..options } }
    }

    /// `agent` in project `demo`, behind this proxy.
    pub async fn open(&self, agent: &str) -> Manager {
        let connection = libchat::connect(self.options.clone()).await.expect("connects");
        connection.open("demo", agent, OpenOptions::default()).await.expect("opens")
    }
}

/// Until either side ends its connection.
async fn relay(client: TcpStream, server: TcpStream, rule: Rule) {
    client.set_nodelay(true).expect("a TCP option");
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = frames(BufReader::new(from_server), to_client, rule) => {}
    }
}

async fn frames(
    mut from: BufReader<OwnedReadHalf>,
    mut to: OwnedWriteHalf,
    rule: Rule,
) -> std::io::Result<()> {
    loop {
        let mut bytes = Vec::new();
        if from.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let (subject, sid, reply, headers, total) = match words.as_slice() {
            ["MSG", subject, sid, total] => (subject, sid, None, "0", total),
            ["MSG", subject, sid, reply, total] => (subject, sid, Some(*reply), "0", total),
            ["HMSG", subject, sid, headers, total] => (subject, sid, None, *headers, total),
            ["HMSG", subject, sid, reply, headers, total] => {
                (subject, sid, Some(*reply), *headers, total)
            }
            _ => {
                to.write_all(&bytes).await?;
                continue;
            }
        };
        let headers: usize = headers.parse().expect("a size");
        let total: usize = total.parse().expect("a size");
        let head = bytes.len();
        bytes.resize(head + total + 2, 0);
        from.read_exact(&mut bytes[head..]).await?;
        let (headers, payload) = bytes[head..head + total].split_at(headers);
        let frame = Frame { subject, sid, reply, headers, payload };
        let fate = rule.lock().unwrap_or_else(PoisonError::into_inner)(&frame);
        match fate {
            Fate::Pass => to.write_all(&bytes).await?,
            Fate::Lose => {}
            Fate::Cut => return Ok(()),
            Fate::Replace(payload) => to.write_all(replaced(&frame, &payload).as_bytes()).await?,
            Fate::Behind(payload) => {
                to.write_all(replaced(&frame, &payload).as_bytes()).await?;
                to.write_all(&bytes).await?;
            }
        }
    }
}

fn replaced(frame: &Frame<'_>, payload: &str) -> String {
    let reply = frame.reply.map(|it| format!("{it} ")).unwrap_or_default();
    format!("MSG {} {} {reply}{}\r\n{payload}\r\n", frame.subject, frame.sid, payload.len())
}
