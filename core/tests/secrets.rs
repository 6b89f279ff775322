//! Promise 12: no password, token, seed, JWT or message body in a log record or an error, whatever
//! happens. Every secret here holds a word that is looked for afterwards in all that was said:
//! records of libchat at every level, those of other crates up to DEBUG (async-nats traces what it
//! sends, which is the host's to switch on), and every form of every error.

mod common;

use std::fmt::{Debug, Write};
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use common::proxy::{Fate, Proxy};
use common::*;
use libchat::{
    ConnectOptions, Connection, Error, ErrorKind, HistoryOptions, Manager, OpenOptions,
    RequestOptions, RespondOptions, SendOptions, Start, WatchOptions,
};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What secrets and bodies hold, and how base64 has it, by where it begins.
const MARKS: [&str; 4] = ["hushhush", "aHVzaGh1c2", "h1c2hodXNo", "odXNoaHVza"];
const SEED: &str = "SUAIO3FHUX5PNV2LQIIP7TZ3N4L7TX3W53MQGEIVYFIGA635OZCKEYHFLM";
const SEED_PUBLIC: &str = "UD2FLLGFERQVQQ3SBKONNG2QMIMTZQKKLTU3AVG5I3EQEFHBPGPE2XQS";
const OTHER_SEED: &str = "SUANSKMKCDI3A42YG7OEXWC5VRSBWDZ454T2I7S5KOSU6LZ7LMX476VCWY";
const JWT: &str = "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJVQSJ9.c2lnaHVzaGh1c2g";

static SAID: Mutex<String> = Mutex::new(String::new());

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("libchat") || *metadata.level() <= Level::DEBUG
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("\n{} ", event.metadata().target()));
        event.record(&mut line);
        say(&line.0);
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line("\nspan ".into());
        attributes.record(&mut line);
        say(&line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line("\nspan ".into());
        values.record(&mut line);
        say(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

fn say(text: &str) {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
}

fn record_all() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder).expect("the only one"));
}

/// Every form of it.
#[track_caller]
fn note(error: &Error, kind: ErrorKind) {
    assert_eq!(error.kind(), kind, "{error:#}");
    let hint = error.hint_text();
    say(&format!("\n{error} | {error:#} | {error:?} | {error:#?} | {hint:?} | {:?}", error.id()));
}

#[track_caller]
fn failed<T>(result: Result<T, Error>, kind: ErrorKind) {
    note(&result.map(drop).expect_err("fails"), kind);
}

/// Fails with the line that holds a secret.
#[track_caller]
fn nothing_was_told(server: &TestServer) {
    let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(said.contains("\nasync_nats"), "nothing was recorded");
    let password = server.server().password();
    let secrets = [SEED, OTHER_SEED, JWT, "c2lnaHVzaGh1c2g", password];
    for secret in MARKS.into_iter().chain(secrets) {
        let line = said.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "holds {secret}");
    }
}

const ACCOUNTS: &str = r#"
authorization {}
accounts {
  A { jetstream: enabled, users: [
    { user: agent, password: "pw-hushhush" }
    { user: limited, password: "pw-hushhush", permissions: {
        publish: { allow: [">"], deny: ["chat.demo.*", "jobs.secret"] }
        subscribe: { allow: [">"], deny: ["jobs.>"] } } }
    { nkey: NKEY }
  ] }
}
max_payload: 256KB
"#;

fn start() -> TestServer {
    record_all();
    TestServer::with_config(&ACCOUNTS.replace("NKEY", SEED_PUBLIC))
}

fn at(server: &TestServer) -> ConnectOptions {
    let servers = Some(server.server().url().to_owned());
    ConnectOptions { servers, timeout: Some(Duration::from_secs(10)), ..Default::default() }
}

async fn connects(options: ConnectOptions) -> Connection {
    say(&format!("\n{options:?} {options:#?} {:?}", libchat::origins(&options)));
    let connection = libchat::connect(options).await.expect("connects");
    say(&format!("\n{} {:?}", connection.servers(), connection.origins()));
    connection
}

async fn refused(options: ConnectOptions, kind: ErrorKind) {
    say(&format!("\n{options:?} {:?}", libchat::origins(&options)));
    failed(libchat::connect(options).await, kind);
}

fn written(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_told_to_nobody() {
    let server = start();
    let folder = server.folder();
    let user = |password: &str| ConnectOptions {
        user: Some("agent".into()),
        password: Some(password.into()),
        ..at(&server)
    };
    connects(user("pw-hushhush")).await;
    refused(user("wrong-hushhush"), ErrorKind::Unauthorized).await;
    let token = Some("token-hushhush".to_owned());
    refused(ConnectOptions { token, ..at(&server) }, ErrorKind::Unauthorized).await;
    let nkey = |text: &str| ConnectOptions {
        nkey_file: Some(written(folder, "a.nk", text)),
        ..at(&server)
    };
    connects(nkey(SEED)).await;
    refused(nkey(OTHER_SEED), ErrorKind::Unauthorized).await;
    refused(nkey("SU-hushhush"), ErrorKind::InvalidArgument).await;
    let creds = |text: &str| ConnectOptions {
        creds_file: Some(written(folder, "a.creds", text)),
        ..at(&server)
    };
    refused(creds(&format!("{JWT}\n{SEED}\n")), ErrorKind::Unauthorized).await;
    refused(creds(&format!("hushhush {JWT}\n{JWT}")), ErrorKind::InvalidArgument).await;
    refused(creds(&format!("hushhush\n{SEED}")), ErrorKind::InvalidArgument).await;
    nothing_was_told(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_an_address_is_told_to_nobody() {
    let server = start();
    let place = server.server().url().trim_start_matches("nats://").to_owned();
    let url = |text: &str| ConnectOptions { servers: Some(text.to_owned()), ..at(&server) };
    connects(url(&format!("nats://agent:pw-hushhush@{place}"))).await;
    connects(url(&format!("agent:pw%2dhushhush@{place}"))).await;
    for wrong in
        ["agent:hushhush", "hushhush", "agent:a@hushhush", "a:b:hushhush", "agent:/hushhush"]
    {
        refused(url(&format!("nats://{wrong}@{place}")), ErrorKind::Unauthorized).await;
    }
    for malformed in [
        "nats://agent:hushhush@127.0.0.1:port",
        "nats://agent:hushhush@",
        "nats://agent:hushhush@host name",
        "nats://agent:%zzhushhush@127.0.0.1",
        "nats://agent:hushhush@127.0.0.1:0",
        "http://agent:hushhush@127.0.0.1",
        "nats://agent:hushhush@[::1",
        "nats://agent:hushhush@127.0.0.1,nats://agent:hushhush2@127.0.0.1",
        "nats://agent:hush,hushhush@127.0.0.1",
        "agent:hushhush@@:4222",
        "nats://agent:hushhush@127.0.0.1/path",
    ] {
        refused(url(malformed), ErrorKind::InvalidArgument).await;
    }
    let away = url("nats://agent:hushhush@127.0.0.1:1,tls://agent:hushhush@127.0.0.1:2");
    refused(away, ErrorKind::Disconnected).await;
    nothing_was_told(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_context_is_told_to_nobody() {
    let server = start();
    let folder = server.folder();
    let url = server.server().url();
    let context = |text: String| ConnectOptions {
        context: Some(written(folder, "a.json", &text).display().to_string()),
        timeout: Some(Duration::from_secs(10)),
        ..Default::default()
    };
    let fields = |fields: serde_json::Value| {
        let mut context = json!({"url": url});
        let fields = fields.as_object().expect("fields").clone();
        context.as_object_mut().expect("an object").extend(fields);
        context.to_string()
    };
    let good = json!({"user": "agent", "password": "pw-hushhush"});
    connects(context(fields(good))).await;
    let data = json!({"user": "agent", "password": "data:;base64,cHctaHVzaGh1c2g="});
    connects(context(fields(data))).await;
    for wrong in [
        json!({"user": "agent", "password": "hushhush"}),
        json!({"token": "hushhush"}),
        json!({"user_jwt": JWT}),
        json!({"user_jwt": JWT, "user_seed": SEED}),
    ] {
        refused(context(fields(wrong)), ErrorKind::Unauthorized).await;
    }
    for malformed in [
        json!({"password": ["hushhush"]}),
        json!({"user": "agent", "password": {"hushhush": 1}}),
        json!({"user_jwt": JWT, "user_seed": "hushhush"}),
        json!({"creds": "data:;base64,aHVzaGh1c2g"}),
        json!({"nkey": "data:;base64,aHVzaGh1c2g="}),
        json!({"url": "nats://agent:hushhush@127.0.0.1:port"}),
    ] {
        refused(context(fields(malformed)), ErrorKind::InvalidArgument).await;
    }
    refused(context("{\"password\": hushhush}".into()), ErrorKind::InvalidArgument).await;
    refused(context("{\"password\": \"hushhush".into()), ErrorKind::InvalidArgument).await;
    nothing_was_told(&server);
}

const BODY: &str = "the body, hushhush";

async fn opened(server: &TestServer, user: &str) -> Manager {
    let (user, password) = (Some(user.to_owned()), Some("pw-hushhush".to_owned()));
    let connection = connects(ConnectOptions { user, password, ..at(server) }).await;
    connection.open("demo", "ana", OpenOptions::default()).await.expect("opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_thread_is_told_to_nobody_else() {
    let server = start();
    let (ana, limited) = (opened(&server, "agent").await, opened(&server, "limited").await);
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let headers = || vec![("secret".to_owned(), "hushhush".to_owned())];
    let options = || SendOptions { headers: headers(), ..Default::default() };
    ana.send("plan", BODY, options()).await.expect("stored");
    let subject = format!("chat.demo.{}", libchat::thread_short("demo", "plan").expect("a short"));
    let client =
        async_nats::ConnectOptions::with_user_and_password("agent".into(), "pw-hushhush".into());
    let client = client.connect(server.server().url()).await.expect("a plain client");
    for malformed in [
        format!("{{\"body\":[\"{BODY}\"]}}"),
        format!("{{\"body\":\"{BODY}"),
        BODY.to_owned(),
        format!("{{\"timestamp\":\"{BODY}\"}}"),
        format!("{{\"{BODY}\":1,\"body\":1}}"),
        json!({"id": "1", "from": "eve", "thread_name": [BODY], "body": BODY}).to_string(),
    ] {
        client.request(subject.clone(), malformed.into()).await.expect("stored");
    }
    ana.send("plan", "end", SendOptions::default()).await.expect("stored");
    while next(&live).await.body != "end" {}
    for start in [Start::All, Start::Last(3)] {
        let watch = ana.watch_all(WatchOptions::from(start)).await.expect("watches");
        events_until(&watch, "message end").await;
        let options = HistoryOptions { start, ..Default::default() };
        ana.history("plan", options).await.expect("reads");
    }
    ana.list_threads(Default::default()).await.expect("lists");
    ana.threads_for_agent("ana", 9, Default::default()).await.expect("scans");

    failed(limited.send("plan", BODY, options()).await, ErrorKind::Unauthorized);
    let large = BODY.repeat(20_000);
    failed(ana.send("plan", large.as_str(), options()).await, ErrorKind::TooLarge);
    let bytes = [BODY.as_bytes(), b"\xff"].concat();
    failed(ana.send("plan", bytes, options()).await, ErrorKind::InvalidArgument);
    for value in ["hushhush\r\n", "hushhush ", "\0hushhush"] {
        let headers = vec![("secret".to_owned(), value.to_owned())];
        let options = SendOptions { headers, ..Default::default() };
        failed(ana.send("plan", BODY, options).await, ErrorKind::InvalidArgument);
    }
    let again = || SendOptions { id: Some("job-7".into()), ..options() };
    ana.send("plan", BODY, again()).await.expect("stored");
    failed(ana.send("other", BODY, again()).await, ErrorKind::Conflict);
    nothing_was_told(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_and_answered_is_told_to_nobody_else() {
    let server = start();
    let (ana, limited) = (opened(&server, "agent").await, opened(&server, "limited").await);
    let headers = vec![("secret".to_owned(), "hushhush".to_owned())];
    let soon = RequestOptions { headers, timeout: Duration::from_millis(300) };
    failed(ana.ask("ben", BODY, soon.clone()).await, ErrorKind::NoResponders);
    let options = RespondOptions { queue: 1, ..Default::default() };
    let asks = ana.respond("jobs.do", options).await.expect("listens");
    failed(ana.request("jobs.do", BODY, soon.clone()).await, ErrorKind::Timeout);
    failed(ana.request("jobs.do", BODY, soon.clone()).await, ErrorKind::Remote);
    let request = asks.next().await.expect("a request");
    failed(request.reply(BODY.repeat(20_000)).await, ErrorKind::TooLarge);
    failed(limited.request("jobs.secret", BODY, soon.clone()).await, ErrorKind::Unauthorized);
    failed(limited.respond("jobs.do", RespondOptions::default()).await, ErrorKind::Unauthorized);
    let large = BODY.repeat(20_000);
    failed(ana.request("jobs.do", large, soon).await, ErrorKind::TooLarge);
    nothing_was_told(&server);
}

/// Answers that quote what was sent, a server that freezes, dies and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn faults_tell_nothing_either() {
    record_all();
    let mut server = TestServer::start();
    let ana = server.open("ana").await;
    let forged = json!({"seq": BODY, "stream": [BODY], "error": BODY}).to_string();
    let proxy =
        Proxy::start(&server, move |frame| match frame.says("_response") || frame.is_ack() {
            true if frame.says("stream_info") => Fate::Pass,
            true => Fate::Replace(forged.clone()),
            false => Fate::Pass,
        });
    let ben = proxy.await.open("ben").await;
    let brief = || SendOptions { timeout: Duration::from_millis(500), ..Default::default() };
    failed(ben.send("plan", BODY, brief()).await, ErrorKind::OutcomeUnknown);
    failed(ben.history("plan", HistoryOptions::default()).await, ErrorKind::Server);
    failed(ben.watch("plan", WatchOptions::default()).await, ErrorKind::Server);
    failed(ben.list_threads(Default::default()).await, ErrorKind::Server);
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let short = libchat::thread_short("demo", "plan").expect("a short");
    let envelope = json!({"id": "1", "from": "eve", "thread": short.as_str(), "body": BODY});
    let block = b"NATS/1.0\r\nhush hush\xff: hushhush\r\n\r\n";
    server.store_raw(&format!("chat.demo.{short}"), block, &envelope.to_string());
    ana.send("plan", "end", SendOptions::default()).await.expect("stored");
    while next(&live).await.body != "end" {}
    assert!(ana.stats().reconnects > 0, "the fault was not hit: {:?}", ana.stats());
    server.signal("STOP");
    failed(ana.send("plan", BODY, brief()).await, ErrorKind::OutcomeUnknown);
    server.kill();
    eventually("the outage is noticed", || async { !ana.stats().connected }).await;
    failed(ana.send("plan", BODY, brief()).await, ErrorKind::Disconnected);
    server.restart();
    ana.send("plan", BODY, SendOptions::default()).await.expect("stored");
    let sending = ana.send("plan", BODY, SendOptions::default());
    ana.close().await;
    failed(sending.await, ErrorKind::Closed);
    nothing_was_told(&server);
}
