//! Promise 12 at a shell: what is logged, at any level, and said on standard error holds no secret
//! and no body.

mod common;

use common::*;

/// What secrets and bodies hold, and how base64 has it, by where it begins.
const MARKS: [&str; 4] = ["hushhush", "aHVzaGh1c2", "h1c2hodXNo", "odXNoaHVza"];
const SEED: &str = "SUAIO3FHUX5PNV2LQIIP7TZ3N4L7TX3W53MQGEIVYFIGA635OZCKEYHFLM";
const JWT: &str = "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJVQSJ9.c2lnaHVzaGh1c2g";

/// Log levels that people set; the last asks for what other crates trace.
const LOGS: [&str; 3] = ["", "libchat=trace", "trace"];

#[track_caller]
fn tells_nothing(shop: &Shop, what: &str, text: &str) {
    let server = shop.server();
    for secret in MARKS.into_iter().chain([SEED, JWT, "c2lnaHVzaGh1c2g", server.password()]) {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{what} holds {secret}");
    }
}

/// Runs the command at each level of logs, with these variables; standard error is looked through,
/// standard output handed over.
#[track_caller]
fn run(shop: &Shop, args: &[&str], variables: &[(&str, &str)], code: i32) -> String {
    let mut stdout = String::new();
    for log in LOGS {
        let mut command = shop.command(&[args, &["-vv"]].concat());
        command.envs(variables.iter().copied()).env("LIBCHAT_LOG", log);
        let ran = Running::start(&mut command, "").end().code(code);
        tells_nothing(shop, &format!("{args:?} at {log:?}"), &ran.stderr);
        assert!(log != "trace" || !ran.stderr.is_empty(), "{args:?} logs nothing");
        stdout = ran.stdout;
    }
    stdout
}

#[test]
fn no_command_tells_a_body() {
    let shop = Shop::open();
    let body = "the body, hushhush";
    run(&shop, &["send", "plan", body, "-H", "secret=hushhush"], &[], 0);
    shop.request("chat.shop.00000000", &format!("{{\"body\": [\"{body}\"]}}"));
    shop.request("chat.shop.00000000", body);
    let read = run(&shop, &["read", "plan"], &[], 0);
    assert_eq!(read.matches("hushhush").count(), 3);
    for args in [&["read", "--short", "00000000"] as &[&str], &["threads"], &["status"]] {
        run(&shop, args, &[], 0);
    }
    run(&shop, &["send", "plan", body, "--id", "job-7"], &[], 0);
    run(&shop, &["send", "other", body, "--id", "job-7"], &[], 1);
    run(&shop, &["send", "plan", body, "-H", "secret=hushhush "], &[], 2);
    run(&shop, &["ask", "ben", body], &[], 3);
    write(&shop.path().join("large"), &body.repeat(100_000));
    run(&shop, &["send", "plan", "--file", "large"], &[], 1);
    shop.server().kill().expect("killed");
    let url = ["-s", "nats://ana:hushhush@127.0.0.1:1", "--timeout", "1s"];
    let gone = shop.command(&[&["send", "plan", body, "-vv"] as &[&str], &url].concat());
    let ran = Running::start(&mut { gone }, "").end().code(5);
    assert!(!ran.stderr.contains("hushhush"), "{}", ran.stderr);
}

#[test]
fn no_command_tells_a_login() {
    let shop = Shop::open();
    let place = shop.server().url().trim_start_matches("nats://").to_owned();
    let url = format!("nats://ana:hushhush@{place}");
    let token = format!("nats://hushhush@{place}");
    let plain = format!("nats://{place}");
    let file = |name: &str, text: &str| {
        let path = shop.path().join(name);
        write(&path, text);
        path.display().to_string()
    };
    let creds = file("a.creds", &format!("{JWT}\n{SEED}\n"));
    let bad_creds = file("b.creds", "hushhush");
    let nkey = file("a.nk", SEED);
    let context = format!("{{\"url\": \"{plain}\", \"user\": \"a\", \"password\": \"hushhush\"}}");
    let context = file("a.json", &context);
    let bad_context = file("b.json", "{\"password\": [\"hushhush\"]}");
    for command in [&["threads"] as &[&str], &["threads", "--json"]] {
        for (args, code) in [
            (&["-s", &url] as &[&str], 6),
            (&["-s", &token], 6),
            (&["-s", &plain, "--user", "ana", "--password", "hushhush"], 6),
            (&["-s", &plain, "--token", "hushhush"], 6),
            (&["-s", &plain, "--user", "hushhush"], 6),
            (&["-s", &plain, "--creds", &creds], 6),
            (&["-s", &plain, "--creds", &bad_creds], 2),
            (&["-s", &plain, "--nkey", &nkey], 6),
            (&["--context", &context], 6),
            (&["--context", &bad_context], 2),
            (&["-s", "nats://ana:hushhush@host:port"], 2),
        ] {
            run(&shop, &[command, args].concat(), &[], code);
        }
        for variables in [
            &[("LIBCHAT_URL", url.as_str())] as &[(&str, &str)],
            &[("NATS_URL", &token)],
            &[("LIBCHAT_URL", &plain), ("NATS_USER", "ana"), ("NATS_PASSWORD", "hushhush")],
            &[("LIBCHAT_URL", &plain), ("NATS_TOKEN", "hushhush")],
            &[("LIBCHAT_URL", &plain), ("NATS_CREDS", &creds)],
            &[("LIBCHAT_URL", &plain), ("NATS_NKEY", &nkey)],
            &[("NATS_CONTEXT", &context)],
        ] {
            run(&shop, command, variables, 6);
        }
    }
    for args in [&["status"] as &[&str], &["status", "--json"]] {
        let told = run(&shop, args, &[], 0);
        tells_nothing(&shop, "status", &told);
    }
    for args in [&["up"] as &[&str], &["down"], &["up"]] {
        let told = shop.run(args).code(0);
        tells_nothing_of(&[args[0]], &told.stdout, &told.stderr, &shop);
    }
}

#[track_caller]
fn tells_nothing_of(what: &[&str], stdout: &str, stderr: &str, shop: &Shop) {
    // A server that was stopped has no password to look for.
    if what != ["down"] {
        tells_nothing(shop, what[0], &[stdout, stderr].concat());
    }
}
