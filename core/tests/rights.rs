//! What an agent may do is refused and given while it runs.

mod common;

use std::time::Duration;

use common::*;
use libchat::{
    CallOptions, ErrorKind, Event, HistoryOptions, RequestOptions, RespondOptions, SendOptions,
    WatchOptions,
};

/// Users instead of the local server's only one: `agent` may not publish to what `denied` lists.
fn accounts(denied: &str) -> String {
    accounts_with(denied, "")
}

/// The same, and it may not subscribe to what `unheard` lists.
fn accounts_with(denied: &str, unheard: &str) -> String {
    format!(
        r#"
authorization {{}}
accounts {{
  A {{ jetstream: enabled, users: [
    {{ user: agent, password: pw, permissions: {{
        publish: {{ allow: [">"], deny: ["none", {denied}] }}
        subscribe: {{ allow: [">"], deny: ["none", {unheard}] }} }} }}
    {{ user: admin, password: pw }}
  ] }}
}}
"#
    )
}

/// The refusal of a publish names only its subject, and was taken for one of the subscription.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_publish_does_not_end_a_responder_of_the_same_subject() {
    let server = TestServer::with_config(&accounts(r#""jobs.do""#));
    let (agent, admin) = (open_as(&server, "agent").await, open_as(&server, "admin").await);
    let jobs = agent.respond("jobs.do", RespondOptions::default()).await.expect("may listen");
    let options = || RequestOptions { timeout: Duration::from_secs(10), ..Default::default() };
    let error = agent.request("jobs.do", "", options()).await.map(drop).expect_err("may not ask");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:#}");
    let (asked, ()) = tokio::join!(admin.request("jobs.do", "", options()), async {
        let request = within("the request", jobs.next()).await.expect("the responder lives");
        request.reply("done").await.expect("sent");
    });
    asked.expect("answered");
}

/// The consumer is made and then never asked, so that readings waited for it until their deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_may_not_ask_for_messages_says_so() {
    const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT.chat-demo";
    let server = TestServer::with_config(&accounts(&format!(r#""{NEXT}.*""#)));
    let (agent, admin) = (open_as(&server, "agent").await, open_as(&server, "admin").await);
    send(&admin, "plan", "1").await;
    let calls = CallOptions::default;
    let readings = [
        ("history", agent.history("plan", HistoryOptions::default()).await.map(drop)),
        ("scan", agent.threads_for_agent("admin", 9, calls()).await.map(drop)),
    ];
    for (what, reading) in readings {
        let error = reading.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{what}: {error:?}");
        assert!(format!("{error:#}").contains(NEXT), "{what}: {error:?}");
    }
    // The refusal may come a moment after the watch was set up.
    let why = match agent.watch("plan", WatchOptions::default()).await {
        Err(error) => format!("{error:#}"),
        Ok(watch) => loop {
            if let Event::Stalled { reason } = next_event(&watch).await {
                break format!("{reason:#}");
            }
        },
    };
    assert!(why.contains(NEXT), "{why}");
    let threads = agent.list_threads(calls()).await.expect("single messages are enough");
    assert_eq!(threads.len(), 1);
}

/// The server writes it as Go does, and a refusal of it was not known for one of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_subject_is_known_whatever_stands_in_it() {
    for agent in [r#"a"b"#, r"a\b", "a\u{200b}b", "\u{e4}\u{1f600}", "a\u{e0001}b"] {
        let server = TestServer::with_config(&accounts(r#""demo.ask.*""#));
        let manager = open_as(&server, "agent").await;
        let asked = manager.ask(agent, "?", RequestOptions::default()).await;
        let error = asked.map(drop).expect_err("may not ask");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{agent:?}: {error:?}");
        assert!(format!("{error:#}").contains(&format!("demo.ask.{agent}")), "{error:?}");
    }
}

/// Takes over a minute: the server goes on serving what was asked for before.
#[tokio::test(flavor = "multi_thread")]
async fn rights_taken_from_a_watch_are_a_stall_and_given_back_they_lose_nothing() {
    if !long() {
        return;
    }
    let mut server = TestServer::with_config(&accounts(""));
    let (admin, agent) = (open_as(&server, "admin").await, open_as(&server, "agent").await);
    let watch = agent.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&admin, "plan", "1").await;
    assert_eq!(events(&watch, 2).await, ["caught up", "message 1"]);
    reload(&mut server, &accounts(r#""$JS.API.>""#)).await;
    send(&admin, "plan", "2").await;
    let mut shown = Vec::new();
    while shown.last().is_none_or(|it| it != "stalled") {
        shown.push(show(&next_event(&watch).await));
    }
    agent.send("plan", "3", SendOptions::default()).await.expect("may still send");
    reload(&mut server, &accounts("")).await;
    while shown.last().is_none_or(|it| it != "message 3") {
        shown.push(show(&next_event(&watch).await));
    }
    shown.retain(|it| it.starts_with("message"));
    assert_eq!(shown, ["message 2", "message 3"]);
}

/// A server that is given other rights drops subscriptions and keeps the connection: nothing heard
/// again what was given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_hear_answers_that_is_given_back_is_used() {
    let mut server = TestServer::with_config(&accounts(""));
    let (admin, agent) = (open_as(&server, "admin").await, open_as(&server, "agent").await);
    let watch = agent.watch("plan", WatchOptions::default()).await.expect("watches");
    reload(&mut server, &accounts_with("", r#""_INBOX.>""#)).await;
    let send = || agent.send("plan", "x", SendOptions::default());
    let refused =
        || async { send().await.is_err_and(|error| error.kind() == ErrorKind::Unauthorized) };
    eventually("the agent is told", refused).await;
    send_numbers(&admin, "plan", 0..3).await;
    reload(&mut server, &accounts("")).await;
    eventually("it sends again", || async { send().await.is_ok() }).await;
    let mut numbers = Vec::new();
    while numbers.len() < 3 {
        let body = next(&watch).await.body.clone();
        numbers.extend(body.parse::<usize>());
    }
    assert_eq!(numbers, [0, 1, 2]);
}

/// Gives the running server other accounts, and waits until it has taken them.
async fn reload(server: &mut TestServer, accounts: &str) {
    let path = server.folder().join(".libchat/nats-server.conf");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let (own, _) = text.split_once("\nauthorization {}").expect("the accounts");
    std::fs::write(&path, format!("{own}{accounts}")).expect("written");
    let before = server.log_lines("Reloaded server configuration");
    server.signal("HUP");
    eventually("the server has read it", || async {
        server.log_lines("Reloaded server configuration") > before
    })
    .await;
}
