//! Promise 8: open creates what is absent and leaves alone what is there.

mod common;

use std::time::Duration;

use common::*;
use libchat::{ErrorKind, OpenOptions, Retention, SendOptions};
use serde_json::{Value, json};

fn with(retention: Retention) -> OpenOptions {
    OpenOptions { retention, ..Default::default() }
}

async fn config(server: &TestServer) -> Value {
    server.api("STREAM.INFO.chat-demo", json!({})).await["config"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_stream_is_made_as_the_original_makes_it() {
    let server = TestServer::start();
    server.open("ana").await;
    let made = config(&server).await;
    server.api("STREAM.DELETE.chat-demo", json!({})).await;
    let original = json!({
        "name": "chat-demo", "subjects": ["chat.demo.>"], "retention": "limits", "max_consumers": 0,
        "max_msgs": 0, "max_bytes": 0, "discard": "old", "max_age": 0, "max_msgs_per_subject": 0,
        "storage": "file", "num_replicas": 0, "compression": "none", "allow_direct": false,
        "mirror_direct": false, "consumer_limits": {},
    });
    server.api("STREAM.CREATE.chat-demo", original).await;
    assert_eq!(made, config(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_changes_nothing_of_a_tuned_stream() {
    let server = TestServer::start();
    let tuned = json!({
        "name": "chat-demo", "subjects": ["chat.demo.>"], "storage": "file",
        "max_bytes": 50_000_000, "max_msgs_per_subject": 1_000, "description": "kept by ops",
        "duplicate_window": 30_000_000_000u64, "allow_direct": true, "metadata": {"team": "ops"},
        "deny_delete": true, "max_age": 3_600_000_000_000u64,
    });
    assert!(server.api("STREAM.CREATE.chat-demo", tuned).await["error"].is_null());
    let before = config(&server).await;
    let ana = server.open("ana").await;
    send(&ana, "plan", "x").await;
    ana.list_threads(Default::default()).await.expect("lists");
    let after = config(&server).await;
    figure(format!("before {before}\nafter  {after}"));
    assert_eq!(before, after);
    server.open_with("ben", with(Retention::MaxAge(Duration::from_secs(7200)))).await;
    let mut expected = before.clone();
    expected["max_age"] = 7_200_000_000_000u64.into();
    assert_eq!(config(&server).await, expected, "max_age alone");
    server.open_with("ben", with(Retention::MaxAge(Duration::from_secs(10)))).await;
    expected["max_age"] = 10_000_000_000u64.into();
    expected["duplicate_window"] = 10_000_000_000u64.into();
    assert_eq!(config(&server).await, expected, "and the window, which may not be longer");
    server.open_with("ben", with(Retention::Unbounded)).await;
    expected["max_age"] = 0.into();
    assert_eq!(config(&server).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_openers_at_once_both_succeed() {
    let server = TestServer::start();
    let (one, two) = (server.connect().await, server.connect().await);
    for round in 0..50 {
        let project = format!("p{round}");
        let age = with(Retention::MaxAge(Duration::from_secs(3600)));
        let (first, second) = tokio::join!(
            one.open(&project, "ana", OpenOptions::default()),
            two.open(&project, "ben", if round % 2 == 0 { OpenOptions::default() } else { age }),
        );
        first.expect("the first opens").close().await;
        second.expect("the second opens").close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_break_promises_is_refused_by_its_setting() {
    let refused = [
        (
            json!({"retention": "workqueue"}),
            "retention is workqueue: messages would vanish when read",
        ),
        (
            json!({"retention": "interest"}),
            "retention is interest: messages would vanish when read",
        ),
        (json!({"no_ack": true}), "no_ack is on: a send could never be confirmed"),
        (
            json!({"subject_transform": {"src": "chat.demo.>", "dest": "else.>"}}),
            "subject_transform is set: messages would be stored under other subjects",
        ),
        (json!({"subjects": ["chat.demo.d0825bc5"]}), "subjects do not cover chat.demo.*"),
    ];
    for (setting, why) in refused {
        let server = TestServer::start();
        let mut stream =
            json!({"name": "chat-demo", "subjects": ["chat.demo.>"], "storage": "file"});
        for (key, value) in setting.as_object().expect("an object") {
            stream[key] = value.clone();
        }
        let made = server.api("STREAM.CREATE.chat-demo", stream).await;
        assert!(made["error"].is_null(), "{made}");
        let opened = server.connect().await.open("demo", "ana", OpenOptions::default()).await;
        let error = opened.map(drop).expect_err(why);
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(format!("{error:#}"), format!("open demo: stream chat-demo: {why}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_stream_can_be_read_and_refuses_sends() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send(&ana, "plan", "x").await;
    let mut sealed = config(&server).await;
    sealed["sealed"] = true.into();
    assert!(server.api("STREAM.UPDATE.chat-demo", sealed).await["error"].is_null());
    let ben = server.open("ben").await;
    assert_eq!(ben.history("plan", Default::default()).await.expect("reads").messages.len(), 1);
    let error = ben.send("plan", "y", SendOptions::default()).await.expect_err("sealed");
    assert_eq!(
        (error.kind(), error.server_code()),
        (ErrorKind::Conflict, Some(10109)),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_can_be_read_and_refuses_sends() {
    let server = TestServer::start();
    let source = json!({"name": "origin", "subjects": ["chat.demo.>"], "storage": "file"});
    assert!(server.api("STREAM.CREATE.origin", source).await["error"].is_null());
    let bones = json!({"id": "1", "from": "bo", "body": "hi", "timestamp": "2026-01-02T03:04:05Z"});
    let short = libchat::thread_short("demo", "plan").expect("a short");
    server.store(&format!("chat.demo.{short}"), bones.to_string().as_bytes()).await;
    let mirror = json!({"name": "chat-demo", "mirror": {"name": "origin"}, "storage": "file"});
    assert!(server.api("STREAM.CREATE.chat-demo", mirror).await["error"].is_null());
    let ana = server.open("ana").await;
    eventually("the mirror has the message", || async {
        ana.history("plan", Default::default()).await.expect("reads").messages.len() == 1
    })
    .await;
    server.api("STREAM.DELETE.origin", json!({})).await;
    let error = ana.send("plan", "y", SendOptions::default()).await.expect_err("a mirror");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert!(format!("{error:#}").ends_with("it is a mirror: reading only"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn binding_only_wants_a_stream_that_exists() {
    let server = TestServer::start();
    let connection = server.connect().await;
    let bind = || OpenOptions { create: false, ..Default::default() };
    let error = connection.open("demo", "ana", bind()).await.map(drop).expect_err("absent");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = "open demo: stream chat-demo: there is none: stream not found (10059)";
    assert_eq!(format!("{error:#}"), text);
    server.open("ben").await;
    connection.open("demo", "ana", bind()).await.expect("there now");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked_at_the_door() {
    let server = TestServer::start();
    let connection = server.connect().await;
    for (project, agent, text) in [
        ("", "ana", "project: must not be empty"),
        ("a.b", "ana", r#"project "a.b": must not contain '.'"#),
        ("demo", "", "agent: must not be empty"),
    ] {
        let opened = connection.open(project, agent, OpenOptions::default()).await;
        let error = opened.map(drop).expect_err(text);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidArgument, text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_says_what_to_do() {
    let server = TestServer::with_config("jetstream: disabled");
    let opened = server.connect().await.open("demo", "ana", OpenOptions::default()).await;
    let error = opened.map(drop).expect_err("no JetStream");
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert!(format!("{error:#}").contains("JetStream"), "{error:#}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("libchat up")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_with_the_way_it_was_found() {
    let options =
        libchat::ConnectOptions { servers: Some("127.0.0.1:1".into()), ..Default::default() };
    let error = libchat::connect(options).await.map(drop).expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let text = "connect to nats://127.0.0.1:1: Connection refused (os error 111)";
    assert_eq!(format!("{error:#}"), text);
    let server = TestServer::start();
    let options = libchat::ConnectOptions {
        password: Some("wrong".into()),
        ..server.server().connect_options()
    };
    let error = libchat::connect(options).await.map(drop).expect_err("wrong password");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
}
