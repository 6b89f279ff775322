//! TLS and logins, as a real server takes and refuses them.

mod common;
#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/credentials.rs"]
mod credentials;

use std::path::PathBuf;
use std::time::Duration;

use certificates::{Authority, Pair};
use common::*;
use credentials::Operator;
use libchat::{
    CallOptions, ConnectOptions, ErrorKind, Event, HistoryOptions, Manager, OpenOptions,
    RequestOptions, SendOptions, WatchOptions,
};
use nkeys::KeyPair;
use tempfile::TempDir;
use time::OffsetDateTime;

use ErrorKind::{Disconnected, InvalidArgument, System, Unauthorized};

/// Connecting with `options` works, message and all, or fails with this kind and these words.
async fn check(what: &str, options: ConnectOptions, expected: Result<(), (ErrorKind, &str)>) {
    let secrets = secrets(&options);
    let printed = format!("{options:?}");
    let connected = within(what, libchat::connect(options)).await;
    let shown = match (connected, expected) {
        (Ok(connection), Ok(())) => {
            let ana = connection.open("demo", "ana", OpenOptions::default()).await.expect(what);
            send(&ana, "plan", "hello").await;
            let history = ana.history("plan", HistoryOptions::default()).await.expect(what);
            assert!(!history.messages.is_empty(), "{what}");
            format!("{:?}", connection.origins())
        }
        (Err(error), Err((kind, words))) => {
            assert_eq!(error.kind(), kind, "{what}: {error:?}");
            assert!(format!("{error:#}").contains(words), "{what}: {error:?}");
            assert!(error.hint_text().is_some() || kind == System, "{what}: {error:?}");
            format!("{error:?} {error:#} {:?}", error.hint_text())
        }
        (Ok(_), Err((_, words))) => panic!("{what}: connected, instead of: {words}"),
        (Err(error), Ok(())) => panic!("{what}: {error:?}"),
    };
    for secret in secrets {
        assert!(!shown.contains(&secret) && !printed.contains(&secret), "{what}: {shown}");
    }
}

/// What must not be printed: passwords, tokens, and every line of files that hold secrets.
fn secrets(options: &ConnectOptions) -> Vec<String> {
    let files = [&options.creds_file, &options.nkey_file, &options.tls_key_file];
    let texts = files.into_iter().flatten().filter_map(|file| std::fs::read_to_string(file).ok());
    let mut secrets: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.len() > 20 && !line.starts_with("---"))
        .collect();
    secrets.extend(options.password.clone());
    secrets.extend(options.token.clone());
    secrets
}

fn tls_server(pair: &Pair, more: &str) -> TestServer {
    let (cert, key) = (&pair.cert, &pair.key);
    TestServer::with_config(&format!("tls {{ cert_file: {cert:?}, key_file: {key:?}\n{more} }}"))
}

/// With the server's user and password, trusting `ca`.
fn trusting(server: &TestServer, ca: &Authority) -> ConnectOptions {
    ConnectOptions { tls_ca_file: Some(ca.file()), ..server.server().connect_options() }
}

fn by_tls_url(options: ConnectOptions) -> ConnectOptions {
    let servers = options.servers.map(|url| url.replace("nats://", "tls://"));
    ConnectOptions { servers, ..options }
}

const UNTRUSTED: (ErrorKind, &str) = (Disconnected, "signed by an authority that is not trusted");
const NO_TLS: (ErrorKind, &str) = (Disconnected, "the server answers without TLS");
const NO_CERTIFICATE: (ErrorKind, &str) =
    (Unauthorized, "the server refuses the client certificate, or that there is none");

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_for_its_certificate_only() {
    let (ca, other) = (Authority::new(), Authority::new());
    let server = tls_server(&ca.issue("127.0.0.1"), "");
    let given = || trusting(&server, &ca);
    let required = ConnectOptions { tls_required: true, ..given() };
    let none = server.server().connect_options();
    let file = |path: PathBuf| ConnectOptions { tls_ca_file: Some(path), ..given() };
    let no_pem = server.folder().join("empty.pem");
    std::fs::write(&no_pem, "").expect("written");
    check("its authority", given(), Ok(())).await;
    check("its authority, required", required, Ok(())).await;
    check("its authority, tls://", by_tls_url(given()), Ok(())).await;
    check("no authority", none.clone(), Err(UNTRUSTED)).await;
    check("no authority, tls://", by_tls_url(none), Err(UNTRUSTED)).await;
    check("another one", trusting(&server, &other), Err(UNTRUSTED)).await;
    check("an empty file", file(no_pem), Err((InvalidArgument, "holds no certificate"))).await;
    check("no file", file("/none".into()), Err((System, "no file /none"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_certificate_is_said() {
    let ca = Authority::new();
    let elsewhere = tls_server(&ca.issue("chat.example"), "");
    let words = "certificate is not valid for name \"127.0.0.1\"";
    check("another host's", trusting(&elsewhere, &ca), Err((Disconnected, words))).await;
    let expired = tls_server(&ca.issue_expired("127.0.0.1"), "");
    let words = "certificate is expired, since 2020-01-01T00:00:00Z";
    check("expired", trusting(&expired, &ca), Err((Disconnected, words))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let (ca, other) = (Authority::new(), Authority::new());
    let host = ca.issue("127.0.0.1");
    let server = tls_server(&host, &format!("ca_file: {:?}, verify: true", ca.file()));
    let with = |cert: &PathBuf, key: &PathBuf| ConnectOptions {
        tls_cert_file: Some(cert.clone()),
        tls_key_file: Some(key.clone()),
        ..trusting(&server, &ca)
    };
    let (ours, theirs) = (ca.issue("ana"), other.issue("ana"));
    let mixed = (InvalidArgument, "the key is not the certificate's");
    check("ours", with(&ours.cert, &ours.key), Ok(())).await;
    check("none", trusting(&server, &ca), Err(NO_CERTIFICATE)).await;
    check("a foreign one", with(&theirs.cert, &theirs.key), Err(NO_CERTIFICATE)).await;
    check("another's key", with(&ours.cert, &theirs.key), Err(mixed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_wanted_is_never_left_out() {
    let ca = Authority::new();
    let server = TestServer::start();
    let given = || trusting(&server, &ca);
    check("required", ConnectOptions { tls_required: true, ..given() }, Err(NO_TLS)).await;
    check("tls://", by_tls_url(given()), Err(NO_TLS)).await;
    check("first", ConnectOptions { tls_first: true, ..given() }, Err(NO_TLS)).await;
    check("not wanted", given(), Ok(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_comes_first_where_both_sides_say_so() {
    let ca = Authority::new();
    let server = tls_server(&ca.issue("127.0.0.1"), "");
    let given = || trusting(&server, &ca);
    let first = || ConnectOptions { tls_first: true, ..given() };
    check("only here", first(), Err(NO_TLS)).await;
    // Only while it runs, since the server is known to be up by its greeting.
    let config = server.folder().join(".libchat/nats-server.conf");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, text.replace("tls {", "tls { handshake_first: true,"))
        .expect("written");
    server.signal("HUP");
    let is_read = || async { server.log_lines("Reloaded server configuration") > 0 };
    eventually("the server has read it", is_read).await;
    check("on both sides", first(), Ok(())).await;
    check("only there", given(), Err((Disconnected, "the server said nothing"))).await;
}

fn to(server: &TestServer) -> ConnectOptions {
    ConnectOptions { servers: Some(server.server().url().to_owned()), ..Default::default() }
}

const REFUSED: (ErrorKind, &str) = (Unauthorized, "authorization violation");

#[tokio::test(flavor = "multi_thread")]
async fn a_user_enters_with_its_password() {
    let server = TestServer::with_config("authorization { user: ana, password: horse-battery }");
    let with = |user: &str, password: &str| ConnectOptions {
        user: Some(user.to_owned()),
        password: Some(password.to_owned()),
        ..to(&server)
    };
    check("its own", with("ana", "horse-battery"), Ok(())).await;
    check("a wrong one", with("ana", "horse-batteri"), Err(REFUSED)).await;
    check("another user", with("ben", "horse-battery"), Err(REFUSED)).await;
    check("none", to(&server), Err(REFUSED)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in() {
    let server = TestServer::with_config("authorization { token: horse-battery }");
    let with = |token: &str| ConnectOptions { token: Some(token.to_owned()), ..to(&server) };
    check("its own", with("horse-battery"), Ok(())).await;
    check("a wrong one", with("horse-batteri"), Err(REFUSED)).await;
    check("none", to(&server), Err(REFUSED)).await;
}

/// Files with secrets, which go with it.
struct Secrets(TempDir);

impl Secrets {
    fn new() -> Secrets {
        Secrets(tempfile::tempdir().expect("a scratch folder"))
    }

    fn file(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        Some(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey_lets_in() {
    let (ana, ben) = (KeyPair::new_user(), KeyPair::new_user());
    let server = TestServer::with_config(&format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        ana.public_key()
    ));
    let secrets = Secrets::new();
    let seed = |key: &KeyPair| key.seed().expect("a seed");
    let with = |seed: &str| ConnectOptions { nkey_file: secrets.file("nk", seed), ..to(&server) };
    check("its own", with(&seed(&ana)), Ok(())).await;
    check("another's", with(&seed(&ben)), Err(REFUSED)).await;
    check("none", to(&server), Err(REFUSED)).await;
    let damaged = format!("{}AAAA", &seed(&ana)[..54]);
    check("a damaged one", with(&damaged), Err((InvalidArgument, "the seed is damaged"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_let_in_until_they_expire() {
    let (operator, other) = (Operator::new(), Operator::new());
    let server = TestServer::with_config(&operator.config());
    let secrets = Secrets::new();
    let with =
        |creds: &str| ConnectOptions { creds_file: secrets.file("creds", creds), ..to(&server) };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    check("good", with(&operator.user(None)), Ok(())).await;
    check("good for an hour", with(&operator.user(Some(now + 3600))), Ok(())).await;
    check("of another operator", with(&other.user(None)), Err(REFUSED)).await;
    check("with another's seed", with(&operator.user_with_anothers_seed()), Err(REFUSED)).await;
    check("none", to(&server), Err(REFUSED)).await;
    check("expired", with(&operator.user(Some(1_600_000_000))), Err(REFUSED)).await;
    let options = with(&operator.user(Some(1_600_000_000)));
    let error = libchat::connect(options).await.map(drop).expect_err("expired");
    let hint = "the credentials expired at 2020-09-13T12:26:40Z: connect anew with others";
    assert_eq!(error.hint_text(), Some(hint));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_under_way_end_calls_with_the_reason() {
    let operator = Operator::new();
    let server = TestServer::with_config(&operator.config());
    let secrets = Secrets::new();
    let enter = async |name: &str, expires| {
        let creds_file = secrets.file(name, &operator.user(expires));
        let connection = libchat::connect(ConnectOptions { creds_file, ..to(&server) }).await;
        connection.expect("connects").open("demo", name, OpenOptions::default()).await
    };
    let ben = enter("ben", None).await.expect("opens");
    let soon = OffsetDateTime::now_utc().unix_timestamp() + 3;
    let ana = enter("ana", Some(soon)).await.expect("opens");
    let watch = ana.watch("quiet", WatchOptions::default()).await.expect("watches");
    let (stored, unknown) = send_until_refused(&ana).await;
    for (what, error) in calls(&ana).await {
        assert_eq!(error.kind(), Disconnected, "{what}: {error:?}");
        assert!(format!("{error:#}").contains("authorization violation"), "{what}: {error:?}");
        assert!(error.hint_text().is_some_and(|it| it.contains("expired at")), "{what}: {error:?}");
    }
    let history = ben.history("plan", HistoryOptions { limit: 100_000, ..Default::default() });
    let found = history.await.expect("reads").messages.len();
    assert!((stored..=stored + unknown).contains(&found), "{stored}, {unknown}, found {found}");
    let reason = loop {
        if let Event::Stalled { reason } = next_event(&watch).await {
            break format!("{reason:#}");
        }
    };
    assert!(reason.contains("authorization violation"), "{reason}");
}

/// Sends until one fails that was not sent: how many are stored, and how many may be.
async fn send_until_refused(ana: &Manager) -> (usize, usize) {
    let options = || SendOptions { timeout: Duration::from_secs(1), ..Default::default() };
    let (mut stored, mut unknown) = (0, 0);
    for _ in 0..100_000 {
        match ana.send("plan", "x", options()).await {
            Ok(_) => stored += 1,
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => unknown += 1,
            // In the second in which they expire the server lets it in again and again.
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            Err(error) => {
                assert_eq!(error.kind(), Disconnected, "{error:?}");
                if format!("{error:#}").contains("authorization violation") {
                    return (stored, unknown);
                }
            }
        }
    }
    panic!("the credentials do not expire");
}

/// What each call says.
async fn calls(ana: &Manager) -> Vec<(&'static str, libchat::Error)> {
    let timeout = Duration::from_secs(1);
    let send = SendOptions { timeout, ..Default::default() };
    let history = HistoryOptions { timeout, ..Default::default() };
    let ask = RequestOptions { timeout, ..Default::default() };
    let results = [
        ("send", ana.send("plan", "x", send).await.map(drop)),
        ("history", ana.history("plan", history).await.map(drop)),
        ("list", ana.list_threads(CallOptions { timeout }).await.map(drop)),
        ("ask", ana.ask("ben", "?", ask).await.map(drop)),
    ];
    results.map(|(what, result)| (what, result.expect_err(what))).into()
}
