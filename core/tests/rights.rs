//! What an agent may do is refused and given while it runs.

mod common;

use std::time::Duration;

use common::*;
use libchat::{RequestOptions, RespondOptions, SendOptions, WatchOptions};

/// Users instead of the local server's only one: `agent` may not publish to what `denied` lists.
fn accounts(denied: &str) -> String {
    format!(
        r#"
authorization {{}}
accounts {{
  A {{ jetstream: enabled, users: [
    {{ user: agent, password: pw, permissions: {{
        publish: {{ allow: [">"], deny: ["none", {denied}] }} }} }}
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
    assert_eq!(error.kind(), libchat::ErrorKind::Unauthorized, "{error:#}");
    let (asked, ()) = tokio::join!(admin.request("jobs.do", "", options()), async {
        let request = within("the request", jobs.next()).await.expect("the responder lives");
        request.reply("done").await.expect("sent");
    });
    asked.expect("answered");
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
    reload(&mut server, r#""$JS.API.>""#).await;
    send(&admin, "plan", "2").await;
    let mut shown = Vec::new();
    while shown.last().is_none_or(|it| it != "stalled") {
        shown.push(show(&next_event(&watch).await));
    }
    agent.send("plan", "3", SendOptions::default()).await.expect("may still send");
    reload(&mut server, "").await;
    while shown.last().is_none_or(|it| it != "message 3") {
        shown.push(show(&next_event(&watch).await));
    }
    shown.retain(|it| it.starts_with("message"));
    assert_eq!(shown, ["message 2", "message 3"]);
}

/// Gives the running server other accounts, and waits until it has taken them.
async fn reload(server: &mut TestServer, denied: &str) {
    let path = server.folder().join(".libchat/nats-server.conf");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let (own, _) = text.split_once("\nauthorization {}").expect("the accounts");
    std::fs::write(&path, format!("{own}{}", accounts(denied))).expect("written");
    let before = server.log_lines("Reloaded server configuration");
    server.signal("HUP");
    eventually("the server has read it", || async {
        server.log_lines("Reloaded server configuration") > before
    })
    .await;
}
