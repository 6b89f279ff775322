//! Promise 10: what became of a request can be told apart.

mod common;

use std::time::{Duration, Instant};

use common::*;
use libchat::{ErrorKind, RequestOptions, RespondOptions};

fn soon() -> RequestOptions {
    RequestOptions { timeout: Duration::from_secs(20), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_is_answered() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    let answering = tokio::spawn(async move {
        let request = asks.next().await.expect("a request");
        assert_eq!(request.subject(), "demo.ask.ben");
        assert_eq!(request.headers().get("traceparent"), Some("00-ab-cd-01"));
        let answer = [request.payload(), b" to you \xff"].concat();
        request.reply(answer).await.expect("sent");
    });
    let headers = vec![("traceparent".into(), "00-ab-cd-01".into())];
    let reply =
        ana.ask("ben", b"hello", RequestOptions { headers, ..soon() }).await.expect("answered");
    assert_eq!(reply.payload, b"hello to you \xff");
    within("the answer", answering).await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_away_is_said_at_once() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let begun = Instant::now();
    let error = ana.ask("ben", "?", RequestOptions::default()).await.expect_err("away");
    assert_eq!(error.kind(), ErrorKind::NoResponders);
    assert_eq!(error.to_string(), "request demo.ask.ben: nobody listens");
    assert!(error.is_retryable());
    assert!(begun.elapsed() < Duration::from_secs(10), "said after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout_and_a_failed_handler_is_remote() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    let brief = RequestOptions { timeout: Duration::from_millis(200), ..Default::default() };
    let error = ana.ask("ben", "1", brief).await.expect_err("no answer yet");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "request demo.ask.ben: no answer within 0.2 s");
    let held = asks.next().await.expect("the first");
    let answering = tokio::spawn(async move {
        let request = asks.next().await.expect("the second");
        let error = asks_fail_with_a_bad_code(request).await;
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let request = asks.next().await.expect("the third");
        request.fail("no_budget", "ask again\nafter lunch").await.expect("sent");
    });
    let error = ana.ask("ben", "2", soon()).await.expect_err("dropped unanswered");
    assert_eq!((error.kind(), error.remote_code()), (ErrorKind::Remote, Some("unanswered")));
    let error = ana.ask("ben", "3", soon()).await.expect_err("failed");
    assert_eq!((error.kind(), error.remote_code()), (ErrorKind::Remote, Some("no_budget")));
    assert_eq!(
        format!("{error:#}"),
        "request demo.ask.ben: the handler failed: ask again\nafter lunch"
    );
    assert!(!error.is_retryable());
    within("the answers", answering).await.expect("no panic");
    held.reply("too late").await.expect("sent to nobody");
}

async fn asks_fail_with_a_bad_code(request: libchat::Request) -> libchat::Error {
    request.fail("two words", "").await.expect_err("not a word")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_requester_gets_no_reply_when_the_handler_fails() {
    let server = TestServer::start();
    let ben = server.open("ben").await;
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    let answering = tokio::spawn(async move {
        asks.next().await.expect("the first").fail("x", "y").await.expect("nothing to send");
        asks.next().await.expect("the second").reply("fine").await.expect("sent");
    });
    let client = server.client().await;
    let request = client.request("demo.ask.ben", "?".into());
    tokio::time::timeout(Duration::from_millis(300), request).await.expect_err("no reply");
    let reply =
        within("the reply", client.request("demo.ask.ben", "?".into())).await.expect("a reply");
    assert_eq!(reply.payload, "fine");
    within("the answers", answering).await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_a_handler_takes_are_answered_busy() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let options = RespondOptions { queue: 2, ..Default::default() };
    let _asks = ben.answer(options).await.expect("answers");
    let brief = || RequestOptions { timeout: Duration::from_millis(500), ..Default::default() };
    let asks = (0..5).map(|_| ana.ask("ben", "?", brief()));
    let results = futures_util::future::join_all(asks).await;
    let codes: Vec<_> =
        results.iter().map(|it| it.as_ref().expect_err("no answer").remote_code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some("busy")).count(), 3, "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_said_to_both() {
    let server = TestServer::with_config("max_payload: 64KB");
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    let answering = async { asks.next().await.expect("asked").reply("x".repeat(70_000)).await };
    let (asked, answered) = tokio::join!(ana.ask("ben", "?", soon()), answering);
    assert_eq!(asked.expect_err("too large").remote_code(), Some("too_large"));
    assert_eq!(answered.expect_err("too large").kind(), ErrorKind::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_group_shares_requests_and_without_one_the_first_answer_wins() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let group = || RespondOptions { queue_group: Some("g".into()), ..Default::default() };
    let one = ben.respond("jobs.do", group()).await.expect("responds");
    let two = ana.respond("jobs.do", group()).await.expect("responds");
    let share = tokio::spawn(async move {
        let mut shares = (0, 0);
        for _ in 0..40 {
            let (request, answer) = tokio::select! {
                request = one.next() => (request, "1"),
                request = two.next() => (request, "2"),
            };
            request.expect("a request").reply(answer).await.expect("sent");
            if answer == "1" { shares.0 += 1 } else { shares.1 += 1 }
        }
        shares
    });
    for _ in 0..40 {
        ana.request("jobs.do", "", soon()).await.expect("answered");
    }
    let (one, two) = within("40 answers", share).await.expect("no panic");
    assert!(one + two == 40 && one > 0 && two > 0, "{one} and {two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_answers_again_after_a_restart() {
    let mut server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    tokio::spawn(async move {
        while let Ok(request) = asks.next().await {
            request.reply("here").await.expect("sent");
        }
    });
    ana.ask("ben", "?", soon()).await.expect("answered");
    server.kill();
    server.restart();
    eventually("ben answers again", || async { ana.ask("ben", "?", soon()).await.is_ok() }).await;
    assert!(ana.stats().reconnects > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_change_the_subject_are_refused() {
    let server = TestServer::start();
    let connection = server.connect().await;
    let ana = connection.open("demo", "ana", Default::default()).await.expect("opens");
    for agent in ["", "a b", "*", "a.>", "a..b"] {
        let error = ana.ask(agent, "?", soon()).await.expect_err(agent);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{agent:?}");
    }
    let chat = connection.open("chat", "ana", Default::default()).await.expect("opens");
    assert_eq!(
        chat.ask("ben", "?", soon()).await.expect_err("chat").kind(),
        ErrorKind::InvalidArgument
    );
    let error = ana.request("jobs.*", "", soon()).await.expect_err("wildcard");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

/// The server cuts the connection over a long one, which came again with each connection.
#[tokio::test]
async fn a_queue_group_is_checked_like_a_subject() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    for group in ["", " ", "a b", "a..b", &"a".repeat(6000)] {
        let options = RespondOptions { queue_group: Some(group.to_owned()), ..Default::default() };
        let refused = ana.answer(options).await.err().expect("refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused:#}");
    }
    assert_eq!(ana.stats().reconnects, 0);
}

/// They are told at once, rather than waiting for an answer until their own deadline.
#[tokio::test]
async fn who_asks_a_responder_that_has_stopped_meanwhile_is_told() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    for _ in 0..50 {
        let responder = ben.answer(RespondOptions::default()).await.expect("listens");
        let ask = ana.ask("ben", "?", RequestOptions::default());
        let stop = async { responder.stop() };
        let (asked, ()) = within("the answer", async { tokio::join!(ask, stop) }).await;
        let kind = asked.expect_err("nobody answers").kind();
        assert!(matches!(kind, ErrorKind::Remote | ErrorKind::NoResponders), "{kind:?}");
    }
}
