//! Strangers who ask, and who answer what is asked: where an answer may go, what a forged failure
//! is, and what a flood of requests costs. Other answers of strangers are in `hostile_answers.rs`.

mod common;

use async_nats::HeaderMap;
use common::*;
use futures_util::StreamExt;
use libchat::{ErrorKind, RequestOptions, RespondOptions};

/// An answer goes where the request says, with the rights of who answers: nobody shall have the
/// stream deleted, or something stored in it, by asking.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_go_where_it_would_be_a_command() {
    let server = TestServer::start();
    let (ana, eve) = (server.open("ana").await, eve(&server).await);
    let asks = ana.answer(RespondOptions::default()).await.expect("answers");
    let targets = [
        "$JS.API.STREAM.DELETE.chat-demo".to_owned(),
        "$JS.API.STREAM.PURGE.chat-demo".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
        subject("plan"),
        "chat.other.00000000".to_owned(),
    ];
    send(&ana, "plan", "0").await;
    for target in targets {
        for fails in [false, true] {
            let (mut fields, to) = (HeaderMap::new(), target.clone());
            fields.insert("Libchat-Takes-Errors", "1");
            let asked =
                eve.publish_with_reply_and_headers("demo.ask.ana", to, fields, "?".into()).await;
            asked.expect("asked");
            let request = within("the request", asks.next()).await.expect("a request");
            match fails {
                false => request.reply("{}").await.expect("sent to nobody"),
                true => request.fail("x", "{}").await.expect("sent to nobody"),
            }
        }
    }
    // Every answer has been handled by now: the server works in turn.
    send(&ana, "plan", "1").await;
    let page = ana.history("plan", Default::default()).await.expect("the stream is there");
    assert_eq!((page.messages.len(), page.malformed, server.stored().await), (2, 0, 2));
}

/// What only replies have is worth nothing on a request, and what is wrong on a reply is handed
/// over as it came.
#[tokio::test(flavor = "multi_thread")]
async fn forged_error_fields_are_a_request_or_a_remote_failure() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    let headers = vec![("Libchat-Error-Code".to_owned(), "busy".to_owned())];
    let options = RequestOptions { headers, ..Default::default() };
    let (asked, ()) = tokio::join!(ana.ask("ben", "?", options), async {
        let request = within("the request", asks.next()).await.expect("a request");
        assert_eq!(request.headers().get("Libchat-Error-Code"), Some("busy"));
        request.reply("fine").await.expect("sent");
    });
    assert_eq!(asked.expect("answered").payload, b"fine");
    let stranger = eve(&server).await;
    let mut jobs = hear(&stranger, "jobs.do").await;
    let long = "c".repeat(100_000);
    for code in ["", "two words", "\u{1b}[31m", long.as_str()] {
        let answer = async {
            let request = within("the request", jobs.next()).await.expect("lives");
            let reply = request.reply.expect("an inbox");
            let block = format!("NATS/1.0\r\nLibchat-Error-Code: {code}\r\n\r\n");
            server.store_raw(&reply, block.as_bytes(), &"\u{1b}[31m\u{0}text".repeat(20_000));
        };
        let ask = within("the answer", ana.request("jobs.do", "?", RequestOptions::default()));
        let (asked, ()) = tokio::join!(ask, answer);
        let error = asked.map(drop).expect_err("failed");
        assert_eq!(error.kind(), ErrorKind::Remote, "{:.60}", error.to_string());
        let told = error.remote_code().expect("a code");
        assert!(told.len() <= 64, "a code is a word of at most 64 characters: {:.80}", told);
        let text = format!("{error:#}");
        assert!(text.len() < 100_000, "{} bytes of a stranger's in an error", text.len());
    }
}

/// More than it takes is refused at once, held is no more than 8 MiB, and it goes on afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_flooded_responder_holds_little_and_answers_again() {
    const FLOOD: usize = 3_000;
    const SIZE: usize = 60_000;
    const HELD: usize = (8 << 20) / SIZE;
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let asks = ben.answer(RespondOptions::default()).await.expect("answers");
    let eve = eve(&server).await;
    let mut refused = hear(&eve, "_EVE.>").await;
    let payload = bytes::Bytes::from("x".repeat(SIZE));
    let mut fields = HeaderMap::new();
    fields.insert("Libchat-Takes-Errors", "1");
    for n in 0..FLOOD {
        let (to, fields) = (format!("_EVE.{n}"), fields.clone());
        let payload = payload.clone();
        let asked = eve.publish_with_reply_and_headers("demo.ask.ben", to, fields, payload);
        asked.await.expect("asked");
    }
    eve.flush().await.expect("written");
    for _ in HELD..FLOOD {
        let answer = within("a refusal", refused.next()).await.expect("lives");
        let code = answer.headers.expect("a header").get("Libchat-Error-Code").cloned();
        assert_eq!(code.expect("a code").as_str(), "busy");
    }
    for _ in 0..HELD {
        let request = within("what is held", asks.next()).await.expect("lives");
        assert_eq!(request.payload().len(), SIZE);
    }
    let answering = tokio::spawn(async move {
        let request = asks.next().await.expect("a request");
        request.reply("again").await.expect("sent");
    });
    let reply = ana.ask("ben", "?", RequestOptions::default()).await.expect("answered");
    assert_eq!(reply.payload, b"again");
    within("the answer", answering).await.expect("no panic");
}
