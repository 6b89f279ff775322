//! What a hostile peer can store, and what becomes of it: every row of a table is stored behind
//! libchat's back, between two messages of an honest agent, and nothing of it crashes, hangs or
//! loses what is around it. What strangers answer is in `hostile_answers.rs`, sheer mass in
//! `hostile_mass.rs`.

mod common;

use common::*;
use libchat::{
    Cursor, ErrorKind, Event, ExpectLast, HistoryOptions, Manager, Message, OpenOptions,
    RequestOptions, SendOptions, Short, Start, ThreadSummary, WatchOptions,
};
use serde_json::{Value, json};

const CONTROLS: &str = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{0}\r\n\u{202e}\u{9b}2J";

fn short(thread: &str) -> Short {
    libchat::thread_short("demo", thread).expect("a short")
}

/// An envelope of thread `plan` with these fields in the place of honest ones.
fn forged(fields: Value) -> Vec<u8> {
    let mut envelope = json!({"id": "1", "from": "eve", "thread": short("plan").as_str(),
        "body": "x", "timestamp": "2026-01-02T03:04:05Z"});
    let fields = fields.as_object().expect("fields").clone();
    envelope.as_object_mut().expect("an object").extend(fields);
    envelope.to_string().into_bytes()
}

/// Stores `payload` in thread `plan` between two honest messages; gives what every reader makes of
/// it, who must agree: a live watch, one from the past, history, and the list while it is the last.
async fn read_everywhere(server: &TestServer, ana: &Manager, payload: &[u8]) -> Option<Message> {
    let begin = send(ana, "plan", "before").await.cursor.expect("a cursor");
    let live = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    let all = ana.watch_all(WatchOptions::default()).await.expect("watches");
    let seq = server.store(&subject("plan"), payload).await;
    let threads = ana.list_threads(Default::default()).await.expect("lists");
    assert_eq!((threads.len(), threads[0].cursor.seq), (1, seq));
    send(ana, "plan", "after").await;
    let past = WatchOptions::from(Start::After(begin));
    let past = ana.watch("plan", past).await.expect("watches");
    let mut found = Vec::new();
    for watch in [&live, &all, &past] {
        found.push(between(watch, seq).await);
    }
    let options = HistoryOptions { start: Start::After(begin), ..Default::default() };
    let page = ana.history("plan", options).await.expect("reads");
    let mut messages: Vec<Message> = page.messages.iter().map(|it| (**it).clone()).collect();
    assert_eq!(messages.pop().expect("the last").body, "after");
    assert_eq!(messages.len() as u64 + page.malformed, 1);
    found.push(messages.pop());
    if let Some(message) = &found[0] {
        assert_eq!(threads[0].last.as_deref(), Some(message));
    }
    assert!(found.iter().all(|it| *it == found[0]), "readers disagree: {found:?}");
    found.swap_remove(0)
}

/// What a watch tells before the honest message "after": the message at `seq`, or that it is none.
async fn between(watch: &libchat::Watch, seq: u64) -> Option<Message> {
    let mut found = None;
    loop {
        match next_event(watch).await {
            Event::Message(message) if message.body == "after" => return found,
            Event::Message(message) => {
                assert_eq!(message.cursor.seq, seq);
                found = Some((*message).clone());
            }
            Event::Malformed { cursor } => assert_eq!(cursor.seq, seq),
            Event::CaughtUp { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_its_subjects_whatever_the_json_says() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let long = "x".repeat(300_000);
    let rows = [
        (json!({"thread": short("other").as_str()}), None),
        (json!({"thread": ""}), None),
        (json!({"thread": long}), None),
        (json!({"thread": short("other").as_str(), "thread_name": "other"}), None),
        (json!({"thread_name": "other"}), None),
        (json!({"thread_name": ""}), None),
        (json!({"thread_name": "Plan"}), None),
        (json!({"thread_name": "plan\u{0}"}), None),
        (json!({"thread_name": CONTROLS}), None),
        (json!({"thread_name": long}), None),
        (json!({"thread_name": ["plan"]}), None),
        (json!({"thread_name": {"plan": 1}}), None),
        (json!({"thread": "", "thread_name": "plan"}), Some("plan")),
    ];
    for (fields, name) in rows {
        let message = read_everywhere(&server, &ana, &forged(fields)).await.expect("an envelope");
        assert_eq!((message.thread.as_deref(), message.short), (name, short("plan")));
    }
    let other = ana.history("other", Default::default()).await.expect("reads");
    assert_eq!(other.messages, [], "none of them came into the thread it named");
}

/// Nothing proves `from`, and nothing is done with it but to hand it over as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_may_claim_anything() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let long = "x".repeat(900_000);
    for sender in ["", "ana", CONTROLS, "a\u{2028}b", "\u{fffd}", &long] {
        let payload = forged(json!({"from": sender, "body": CONTROLS, "id": CONTROLS}));
        let message = read_everywhere(&server, &ana, &payload).await.expect("an envelope");
        assert!(message.sender == sender, "{:.40?}", message.sender);
        assert_eq!((message.body.as_str(), message.id.as_str()), (CONTROLS, CONTROLS));
        // Only the door has a rule: no agent has the empty name, or one so long.
        let threads = ana.threads_for_agent(sender, 10, Default::default()).await;
        match threads {
            Ok(threads) => assert_eq!(threads.len(), 1),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error:#}"),
        }
    }
}

/// The verdict is that of the original, whatever the depth, and costs no stack.
#[tokio::test(flavor = "multi_thread")]
async fn no_payload_stops_a_reader() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let deep = |key: &str, open: &str, close: &str, n: usize| {
        format!("{{\"{key}\":{}1{}}}", open.repeat(n), close.repeat(n)).into_bytes()
    };
    let malformed: Vec<Vec<u8>> = vec![
        b"".into(),
        b"\0".into(),
        b"{".into(),
        b"[]".into(),
        b"\"x\"".into(),
        b"{\"body\":\"\x00\"}".into(),
        b"{\"body\":1e999}".into(),
        b"{\"id\":\"1\"}{\"id\":\"2\"}".into(),
        b"\xef\xbb\xbf{}".into(),
        b"\xff\xfe{\0}\0".into(),
        vec![b'['; 900_000],
        vec![b'{'; 900_000],
        deep("x", "[", "]", 100_000),
        deep("x", "{\"a\":", "}", 100_000),
        deep("body", "[", "]", 100_000),
        deep("thread_name", "[", "]", 100_000),
        deep("timestamp", "{\"a\":", "}", 100_000),
        forged(json!({"timestamp": "-001-01-01T00:00:00Z"})),
        forged(json!({"timestamp": "10000-01-01T00:00:00Z"})),
        forged(json!({"timestamp": -1})),
        forged(json!({"timestamp": ""})),
    ];
    for payload in malformed {
        let read = read_everywhere(&server, &ana, &payload).await;
        assert!(read.is_none(), "{:.60}", payload.escape_ascii().to_string());
    }
    let good: Vec<Vec<u8>> = vec![
        b"{}".into(),
        b"null".into(),
        b"{\"body\":\"\xff\xc0\x80\xed\xa0\x80\"}".into(),
        b"{\"body\":\"\\ud800\\udc00\\ud800\"}".into(),
        deep("x", "[", "]", 9_990),
        deep("thread_name", "{\"a\":", "}", 9_990),
        forged(json!({"timestamp": "0000-01-01T00:00:00Z"})),
        forged(json!({"timestamp": "0000-01-01T00:00:00+23:59"})),
        forged(json!({"timestamp": "9999-12-31T23:59:59.999999999-23:59"})),
        forged(json!({"timestamp": "0001-01-01T00:00:00Z"})),
        [b"{".as_slice(), &b"\"body\":\"x\",".repeat(80_000), b"\"id\":\"\"}"].concat(),
    ];
    for payload in good {
        let read = read_everywhere(&server, &ana, &payload).await;
        assert!(read.is_some(), "{:.60}", payload.escape_ascii().to_string());
    }
}

/// What the server keeps for itself in headers is worth nothing when a peer writes it, and is not
/// shown; read through a consumer, and one by one without.
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_servers_change_nothing_when_a_peer_writes_them() {
    const FIELDS: &str = "NATS/1.0\r\nNats-Sequence: 9\r\nNats-Stream: chat-other\r\n\
        Nats-Subject: chat.other.0\r\nNats-Time-Stamp: 0001-01-01T00:00:00Z\r\n\
        NATS-Last-Consumer: 99\r\nNats-Last-Stream: 99\r\nNats-Pending-Messages: 4096\r\n\
        Nats-Pending-Bytes: -1\r\nNats-Consumer-Stalled: x\r\nStatus: 503\r\n\
        Description: gone\r\nLibchat-Error-Code: x\r\nA: \r\n\r\n";
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let watch = ana.watch("plan", WatchOptions::default()).await.expect("watches");
    send(&ana, "plan", "before").await;
    let payload = String::from_utf8(forged(json!({"body": "1"}))).expect("text");
    server.store_raw(&subject("plan"), FIELDS.as_bytes(), &payload);
    send(&ana, "plan", "after").await;
    let expected = ["caught up", "message before", "message 1", "message after"];
    assert_eq!(events(&watch, 4).await, expected);
    assert_eq!(ana.stats().reopens, 0, "{:?}", ana.stats());
    server.update_stream(json!({"max_consumers": 1})).await;
    for polls in [false, true] {
        let page = ana.history("plan", Default::default()).await.expect("reads");
        let fields: Vec<_> = page.messages[1].headers.iter().map(|(name, _)| name).collect();
        assert_eq!(fields, ["A", "Description", "Libchat-Error-Code", "Status"], "{polls}");
        assert_eq!((page.messages.len(), page.messages[1].cursor.seq), (3, 2));
    }
}

/// A rollup would purge the thread, a time to live the message: the stream allows neither.
#[tokio::test(flavor = "multi_thread")]
async fn fields_that_would_remove_messages_are_refused_by_the_server() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..3).await;
    for field in ["Nats-Rollup: sub", "Nats-Rollup: all", "Nats-TTL: 1s", "Nats-Schedule: @at 1"] {
        let block = format!("NATS/1.0\r\n{field}\r\n\r\n");
        server.store_raw(&subject("plan"), block.as_bytes(), "x");
    }
    let page = ana.history("plan", Default::default()).await.expect("reads");
    let bodies: Vec<_> = page.messages.iter().map(|it| it.body.as_str()).collect();
    assert_eq!(bodies, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_would_write_protocol_are_refused() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let rows = [
        ("A", "x\r\nNats-Msg-Id: y"),
        ("A", "x\ny"),
        ("A", "x\r"),
        ("A", "x\0y"),
        ("A\r\nB", "x"),
        ("A: x\r\nNats-Rollup", "sub"),
        ("A\0", "x"),
        ("", "x"),
        ("A b", "x"),
        ("nats-rollup", "sub"),
        ("NATS-Expected-Stream", "x"),
    ];
    for (name, value) in rows {
        let headers = || vec![(name.to_owned(), value.to_owned())];
        let options = SendOptions { headers: headers(), ..Default::default() };
        let error = ana.send("plan", "x", options).await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name:?}: {error:#}");
        let options = RequestOptions { headers: headers(), ..Default::default() };
        let error = ana.ask("ben", "x", options).await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name:?}: {error:#}");
        let line = format!("{error:#} {error:?}");
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
    }
    assert_eq!((server.stored().await, ana.stats().reconnects), (0, 0));
}

/// `demo` is a prefix of `demo2`, and the stream of `demo` may cover subjects of others.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_projects_is_seen_by_no_reader() {
    let server = TestServer::start();
    let connection = server.connect().await;
    let (ana, ben) = (server.open("ana").await, "ben");
    let ben = connection.open("demo2", ben, OpenOptions::default()).await.expect("opens");
    server.update_stream(json!({"subjects": ["chat.demo.>", "chat.other.>", "jobs.>"]})).await;
    let live = ana.watch_all(WatchOptions::default()).await.expect("watches");
    let wide = ana.watch_pattern(">", WatchOptions::default()).await.expect("watches");
    send(&ben, "plan", "not for demo").await;
    send(&ana, "plan", "1").await;
    for subject in [format!("chat.other.{}", short("plan")), "jobs.plan".into()] {
        server.store(&subject, &forged(json!({"body": "not for demo"}))).await;
        server.store(&subject, b"not even an envelope").await;
    }
    send(&ana, "plan", "2").await;
    let expected = ["message 1", "message 2"];
    assert_eq!(events_until(&live, "message 2").await, expected);
    assert_eq!(events_until(&wide, "message 2").await, expected);
    let past = ana.watch_all(WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(events_until(&past, "message 2").await, expected);
    let past = WatchOptions::from(Start::All);
    let past = ana.watch_pattern(">", past).await.expect("watches");
    assert_eq!(events_until(&past, "message 2").await, expected);
    assert_eq!(ana.stats().malformed, 0);
    let threads = ana.list_threads(Default::default()).await.expect("lists");
    assert_eq!((threads.len(), threads[0].message_count), (1, 2));
    let threads = ana.threads_for_agent("eve", 9, Default::default()).await.expect("scans");
    assert_eq!(threads, []);
    let theirs = ben.list_threads(Default::default()).await.expect("lists");
    assert_eq!((theirs.len(), theirs[0].message_count), (1, 1));
}

/// Two names of project `demo` with one short, `1ceaf1b1`.
const COLLIDING: (&str, &str) = ("plan-11751", "plan-72644");

/// A reader by name is told what carries its name or none; who reads by short, and the lists, see
/// one thread, for that is what the stream has.
#[tokio::test(flavor = "multi_thread")]
async fn two_names_with_one_short_are_told_apart_by_the_name_they_carry() {
    let (one, other) = COLLIDING;
    assert_eq!(short(one), short(other));
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let live = ana.watch(one, WatchOptions::default()).await.expect("watches");
    let broad = ana.watch(short(one), WatchOptions::default()).await.expect("watches");
    send(&ana, one, "one").await;
    send(&ben, other, "other").await;
    let nameless = forged(json!({"body": "nameless", "thread": short(one).as_str()}));
    server.store(&subject(one), &nameless).await;
    send(&ben, other, "other again").await;
    send(&ana, one, "end").await;
    let ours = ["message one", "message nameless", "message end"];
    assert_eq!(events_until(&live, "message end").await, ours);
    assert_eq!(events_until(&broad, "message end").await.len(), 5);
    let past = ana.watch(one, WatchOptions::from(Start::All)).await.expect("watches");
    assert_eq!(events_until(&past, "message end").await, ours);
    let bodies = async |thread: &str| -> Vec<String> {
        let page = ana.history(thread, Default::default()).await.expect("reads");
        page.messages.iter().map(|it| it.body.clone()).collect()
    };
    assert_eq!(bodies(one).await, ["one", "nameless", "end"]);
    assert_eq!(bodies(other).await, ["other", "nameless", "other again"]);
    let shown = |threads: Vec<ThreadSummary>| -> Vec<_> {
        threads.into_iter().map(|it| (it.name, it.message_count)).collect()
    };
    let threads = ana.list_threads(Default::default()).await.expect("lists");
    assert_eq!(shown(threads), [(Some(one.to_owned()), 5)]);
    let threads = ana.threads_for_agent("ben", 9, Default::default()).await.expect("scans");
    assert_eq!(shown(threads), [(Some(one.to_owned()), 5)]);
}

/// The server compares by subject: for a conditional send both are one thread, so it may refuse
/// what would have been right, and never stores what would have been wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_send_conflicts_with_the_other_name_of_its_short() {
    let (one, other) = COLLIDING;
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let expect = |expect| SendOptions { expect_last: Some(expect), ..Default::default() };
    let first = send(&ana, one, "one").await.cursor.expect("a cursor");
    let error = ben.send(other, "other", expect(ExpectLast::Empty)).await.expect_err("not empty");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let second = send(&ben, other, "other").await.cursor.expect("a cursor");
    let error = ana.send(one, "two", expect(ExpectLast::At(first))).await.expect_err("moved");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    ana.send(one, "two", expect(ExpectLast::At(second))).await.expect("the short's newest");
}

/// A cursor is text that may come from anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_a_peers_making_is_a_reset_or_a_conflict() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    send_numbers(&ana, "plan", 0..3).await;
    let page = ana.history("plan", Default::default()).await.expect("reads");
    let at = page.next;
    let foreign = [
        Cursor { incarnation: 0, ..at },
        Cursor { incarnation: u64::MAX, ..at },
        Cursor { incarnation: at.incarnation + 1, ..at },
        Cursor { seq: u64::MAX, ..at },
        Cursor { seq: u64::MAX - 1, check: 0, ..at },
        Cursor { seq: 4, check: 0, ..at },
        Cursor { check: at.check ^ 1, ..at },
        Cursor { seq: 0, check: 7, incarnation: 7 },
    ];
    for cursor in foreign {
        let cursor: Cursor = cursor.to_string().parse().expect("its own text");
        let start = Start::After(cursor);
        let watch = ana.watch("plan", WatchOptions::from(start)).await.expect("watches");
        assert_eq!(events(&watch, 4).await, ["reset", "message 0", "message 1", "message 2"]);
        let options = HistoryOptions { start, ..Default::default() };
        let error = ana.history("plan", options).await.expect_err("foreign");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{cursor}: {error:#}");
        let (start, before) = (Start::Last(2), Some(cursor));
        let options = HistoryOptions { start, before, ..Default::default() };
        let error = ana.history("plan", options).await.expect_err("foreign");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{cursor}: {error:#}");
        if cursor.seq == at.seq && cursor.incarnation == at.incarnation {
            continue; // A conditional send compares numbers only.
        }
        let expect_last = Some(ExpectLast::At(cursor));
        let options = SendOptions { expect_last, ..Default::default() };
        let error = ana.send("plan", "x", options).await.expect_err("foreign");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{cursor}: {error:#}");
    }
    assert_eq!(server.stored().await, 3);
    let texts = ["c1.0.0.0", "c1.ffffffffffffffff0.1.0", "c1.1.18446744073709551616.0", "c1.1.1"];
    for text in texts {
        match text.parse::<Cursor>() {
            Ok(cursor) => {
                let start = WatchOptions::from(Start::After(cursor));
                assert!(ana.watch("plan", start).await.is_err(), "{text}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidArgument),
        }
    }
}

/// Whoever knows an id that will be used may store something under it first. The server then drops
/// what ana sends; she was told that it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_another_message_has_is_a_conflict() {
    let server = TestServer::start();
    let ana = server.open("ana").await;
    let taken = |id: &str, subject: &str, payload: Vec<u8>| {
        let block = format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n");
        let payload = String::from_utf8(payload).expect("text");
        server.store_raw(subject, block.as_bytes(), &payload);
    };
    let plan = |fields: Value| forged(fields);
    taken("job-1", &subject("plan"), plan(json!({"id": "job-1"})));
    taken("job-2", &subject("plan"), plan(json!({"id": "2", "from": "ana", "body": "mine"})));
    taken("job-3", &subject("plan"), b"no envelope".to_vec());
    taken("job-4", &subject("other"), plan(json!({"id": "job-4", "from": "ana", "body": "mine"})));
    taken("job-5", "chat.demo.a.b", plan(json!({"id": "job-5", "from": "ana", "body": "mine"})));
    for n in 1..=5 {
        let options = SendOptions { id: Some(format!("job-{n}")), ..Default::default() };
        let error = ana.send("plan", "mine", options).await.map(drop).expect_err("not stored");
        assert_eq!(error.kind(), ErrorKind::Conflict, "job-{n}: {error:#}");
        assert_eq!(error.id(), Some(format!("job-{n}").as_str()));
        assert!(!error.is_retryable(), "{error:#}");
    }
    assert_eq!((server.stored().await, ana.stats().sent), (5, 0));
}

/// Of one sender, or with one text: the first copy is as good as hers.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_what_was_stored_is_no_conflict() {
    let server = TestServer::start();
    let (ana, ben) = (server.open("ana").await, server.open("ben").await);
    let options = || SendOptions { id: Some("job-1".into()), ..Default::default() };
    let first = ana.send("plan", "done", options()).await.expect("stored");
    for (agent, body) in [(&ana, "done"), (&ana, "done, said otherwise"), (&ben, "done")] {
        let copy = agent.send("plan", body, options()).await.expect("stored before");
        assert!(copy.duplicate);
        assert_eq!(copy.cursor, first.cursor);
    }
    let error = ana.send("other", "done", options()).await.map(drop).expect_err("elsewhere");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:#}");
    let error = ben.send("plan", "something else", options()).await.map(drop).expect_err("hers");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:#}");
    assert_eq!(server.stored().await, 1);
}
