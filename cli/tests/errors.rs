//! What goes wrong: its exit code, and how it is said.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use common::*;
use serde_json::json;

#[test]
fn wrong_usage_is_2() {
    let shop = Shop::closed();
    for args in [
        &["nosuch"] as &[&str],
        &["send"],
        &["send", "plan", "text", "--file", "x"],
        &["send", "plan", "text", "-H", "nocolon"],
        &["read", "plan", "--since", "yesterday"],
        &["read", "plan", "--last", "0"],
        &["read", "plan", "--all", "--last", "3"],
        &["answer"],
        &["answer", "text", "--command", "x"],
        &["threads", "--timeout", "5"],
        &["threads"],
        &["threads", "-p", "a.b", "-s", "http://x"],
    ] {
        let ran = shop.run(args).code(2);
        assert!(ran.stderr.starts_with("libchat: "), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
        let error = shop.run(&[args, &["-j"]].concat()).error(2);
        assert_eq!(error["code"], "invalid_argument", "{args:?}");
    }
}

#[test]
fn a_name_that_breaks_its_rule_is_2() {
    let shop = Shop::open();
    let ran = shop.run(&["send", "", "x"]).code(2);
    assert_eq!(ran.stderr, "libchat: thread: must not be empty\n");
    let error = shop.run(&["status", "-p", "a.b", "--json"]);
    assert_eq!(error.code(2).stdout.lines().count(), 1);
}

#[test]
fn no_project_is_said_with_the_way_out() {
    let shop = Shop::closed();
    let ran = shop.run(&["threads"]).code(2);
    let expected = "libchat: no project\nhint: give --project NAME, set LIBCHAT_PROJECT, \
                    or make this folder one with `libchat up`\n";
    assert_eq!(ran.stderr, expected);
}

#[test]
fn a_reader_needs_no_name_and_a_writer_does() {
    let shop = Shop::open();
    shop.send("plan", "hello");
    let nameless = |args: &[&str]| {
        let mut command = shop.command(args);
        Running::start(command.env_remove("USER").env_remove("LOGNAME"), "").end()
    };
    nameless(&["threads"]).ok();
    nameless(&["read", "plan"]).ok();
    nameless(&["status"]).ok();
    let ran = nameless(&["send", "plan", "x"]).code(2);
    assert_eq!(ran.stderr, "libchat: no agent\nhint: give --as AGENT, or set LIBCHAT_AGENT\n");
    let mut command = shop.command(&["send", "plan", "x"]);
    Running::start(command.env("LIBCHAT_AGENT", "cem"), "").end().ok();
    assert!(shop.ok(&["read", "plan"]).ends_with(" cem: x\n"));
}

#[test]
fn a_project_that_is_not_there_is_3() {
    let shop = Shop::open();
    let ran = shop.run(&["read", "plan", "-p", "none"]).code(3);
    let expected = "libchat: open none: stream chat-none: there is none: stream not found (10059)\n\
                    hint: nobody has opened this project here yet: check its name, and the \
                    server\n";
    assert_eq!(ran.stderr, expected);
    let error = shop.run(&["threads", "-p", "none", "--json"]).error(3);
    assert_eq!((&error["code"], &error["server_code"]), (&json!("not_found"), &json!(10059)));
    shop.run(&["ask", "ben", "?", "-p", "none"]).code(3);
}

#[test]
fn no_server_is_5() {
    let shop = Shop::open();
    for args in [&["read", "plan"] as &[&str], &["send", "plan", "x"], &["threads"], &["tail"]] {
        let args = [args, &["-s", "nats://127.0.0.1:1", "--json"]].concat();
        let error = shop.run(&args).error(5);
        assert_eq!((&error["code"], &error["retryable"]), (&json!("disconnected"), &json!(true)));
        assert!(text(&error["message"]).starts_with("connect to nats://127.0.0.1:1: "), "{error}");
    }
}

#[test]
fn a_wrong_password_is_6() {
    let shop = Shop::open();
    let ran = shop.run(&["threads", "--user", "libchat", "--password", "hunter2"]).code(6);
    assert!(ran.stderr.contains("authorization violation"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

#[test]
fn a_right_that_is_missing_is_6() {
    let config = r#"authorization { users: [ { user: libchat, password: "{password}",
        permissions: { publish: { deny: "chat.>" } } } ] }"#;
    let shop = Shop::open_with(config);
    let error = shop.run(&["send", "plan", "x", "--json"]).error(6);
    assert_eq!(error["code"], "unauthorized");
    let short = libchat::thread_short("shop", "plan").expect("a short");
    assert!(text(&error["message"]).contains(&format!("chat.shop.{short}")), "{error}");
}

#[test]
fn an_unknown_outcome_is_7_and_has_the_id_to_send_again() {
    let shop = Shop::closed();
    let url = server_that_acknowledges_nothing();
    let args = ["-s", &url, "-p", "shop", "--timeout", "1s"];
    let send = |more: &[&str]| shop.run(&[&["send", "plan", "x"], &args as &[&str], more].concat());
    let error = send(&["--id", "job-7", "--json"]).error(7);
    assert_eq!(
        json!([error["code"], error["id"], error["retryable"]]),
        json!(["outcome_unknown", "job-7", true])
    );
    let error = send(&["--json"]).error(7);
    assert_eq!((text(&error["id"]).len(), &error["retryable"]), (32, &json!(false)));
    let ran = send(&["--id", "job-7"]).code(7);
    let hint = "hint: send it again with --id job-7: the server drops the copy\n";
    assert!(ran.stderr.ends_with(hint), "{}", ran.stderr);
}

/// Speaks enough NATS to say that there is a stream. It ends with this process.
fn server_that_acknowledges_nothing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut writer = stream.expect("a connection");
            let reader = BufReader::new(writer.try_clone().expect("a clone"));
            thread::spawn(move || serve(reader, &mut writer));
        }
    });
    url
}

fn serve(mut reader: impl BufRead, writer: &mut impl Write) -> Option<()> {
    let info = json!({"server_id": "x", "server_name": "x", "version": "2.12.0", "proto": 1,
        "go": "go1", "host": "x", "port": 1, "headers": true, "max_payload": 1_000_000,
        "jetstream": true, "client_id": 1, "client_ip": "x"});
    write!(writer, "INFO {info}\r\n").ok()?;
    let stream = json!({"type": "io.nats.jetstream.api.v1.stream_info_response",
        "created": "2026-07-30T14:00:00Z",
        "config": {"name": "chat-shop", "subjects": ["chat.shop.>"], "retention": "limits",
            "duplicate_window": 120_000_000_000_u64},
        "state": {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0,
            "first_ts": "0001-01-01T00:00:00Z", "last_ts": "0001-01-01T00:00:00Z"}})
    .to_string();
    let mut sid = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first().copied() {
            Some("PING") => writer.write_all(b"PONG\r\n").ok()?,
            Some("SUB") => sid = words.last()?.to_string(),
            Some("PUB" | "HPUB") => {
                let length: usize = words.last()?.parse().ok()?;
                reader.read_exact(&mut vec![0; length + 2]).ok()?;
                if words[1].contains("STREAM.INFO") {
                    let length = stream.len();
                    write!(writer, "MSG {} {sid} {length}\r\n{stream}\r\n", words[2]).ok()?;
                }
            }
            _ => {}
        }
    }
}

#[test]
fn logs_hold_neither_secrets_nor_bodies() {
    let shop = Shop::open();
    let mut command = shop.command(&["send", "plan", "a-body-of-mine", "-q"]);
    let ran = Running::start(command.env("LIBCHAT_LOG", "trace"), "").end().code(0);
    assert!(ran.stderr.contains("async_nats"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("a-body-of-mine"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(shop.server().password()), "{}", ran.stderr);
}

#[test]
fn help_is_no_error_and_names_every_command() {
    let shop = Shop::closed();
    for flag in ["-h", "--help"] {
        let help = shop.ok(&[flag]);
        let commands = "up down status send read tail threads ask answer";
        for command in commands.split(' ') {
            assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
            assert!(shop.ok(&[command, flag]).contains("Usage: libchat"), "{command}");
        }
        assert!(help.contains("libchat send plan"), "{help}");
    }
    assert_eq!(shop.ok(&["--version"]), format!("libchat {}\n", env!("CARGO_PKG_VERSION")));
}
