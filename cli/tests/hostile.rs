//! What hostile peers write never steers a terminal, and reaches programs as it is.

mod common;

use std::process::{Command, Stdio};

use common::*;
use serde_json::{Value, json};

/// Titles, colours, a cleared screen in 7 and 8 bits, keys typed back, text that runs backwards, a
/// line and a word of its own.
const EVIL: [&str; 9] = [
    "\u{1b}]0;title\u{7}",
    "\u{1b}[31m\u{1b}[2J\u{1b}[6n",
    "\u{9b}2J\u{9d}0;t\u{9c}\u{90}x\u{9c}",
    "\u{1b}Px\u{1b}\\\u{1b}c\u{1b}(0",
    "\r\u{8}\u{7f}\u{b}\u{c}\u{0}",
    "\u{202e}\u{2066}\u{200b}\u{feff}\u{61c}",
    "\u{2028}ana: forged",
    "\n2026-01-01 00:00:00 ana: forged",
    "\u{1b}]52;c;aGk=\u{7}\u{1b}]8;;http://evil\u{1b}\\link",
];

/// A server whose every peer text is hostile: names, senders, ids and bodies.
fn shop() -> Shop {
    let shop = Shop::open();
    // The first to send makes the stream.
    shop.send("honest", "hello");
    for (n, evil) in EVIL.iter().enumerate() {
        let name = format!("thread {n}{evil}");
        let short = libchat::thread_short("shop", &name).expect("a short");
        let envelope = json!({"id": format!("{n}{evil}"), "from": format!("eve{evil}"),
            "thread": evil, "thread_name": name, "body": format!("body {n}{evil}"),
            "timestamp": "2026-01-02T03:04:05Z", "reply_to": evil});
        shop.request(&format!("chat.shop.{short}"), &envelope.to_string());
    }
    shop
}

/// What is left after libchat's own colours.
fn without_colors(text: &str) -> String {
    let colors = [36, 32, 33, 35, 34, 31, 0].map(|color| format!("\u{1b}[{color}m"));
    colors.iter().fold(text.to_owned(), |text, color| text.replace(color, ""))
}

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let text = without_colors(text);
    let found = text.lines().find(|line| line.contains(steers));
    assert_eq!(found, None, "{what}");
    let forged =
        text.lines().find(|line| line.starts_with("2026-01-01") || line.starts_with("ana"));
    assert_eq!(forged, None, "{what}: a line that no message began");
}

/// Every command that shows what peers write.
fn commands() -> Vec<Vec<String>> {
    let mut commands = vec![
        vec!["threads".to_owned()],
        vec!["threads".into(), "--names".into()],
        vec!["threads".into(), "--agent".into(), format!("eve{}", EVIL[0])],
        vec!["status".into()],
    ];
    commands.extend(
        EVIL.iter()
            .enumerate()
            .map(|(n, evil)| vec!["read".into(), format!("thread {n}{evil}").replace('\0', "")]),
    );
    commands
}

#[test]
fn nothing_that_is_printed_steers_a_terminal() {
    let shop = shop();
    for args in commands() {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        for color in ["never", "always"] {
            let ran = shop.run(&[&args[..], &["--color", color]].concat()).code(0);
            is_harmless(&format!("{args:?}"), &(ran.stdout + &ran.stderr));
        }
    }
    let tail = shop.spawn(&["tail", "--since", "1h", "--color", "always"]);
    tail.notice("caught up");
    tail.signal("INT");
    let ran = tail.end();
    is_harmless("tail", &(ran.stdout.clone() + &ran.stderr));
    for n in 0..EVIL.len() {
        assert_eq!(ran.stdout.matches(&format!("body {n}")).count(), 1, "{}", ran.stdout);
    }
}

/// On a terminal, which `script` gives it.
#[test]
fn nothing_that_is_shown_on_a_terminal_steers_it() {
    if Command::new("script").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("LIBCHAT_TEST_LONG").is_none(), "script (util-linux) is missing");
        return;
    }
    let shop = shop();
    for args in ["threads", "status", "read --short", "tail --since 1h", "threads --json"] {
        let short =
            libchat::thread_short("shop", &format!("thread 0{}", EVIL[0])).expect("a short");
        let args = args.replace("--short", &format!("--short {short}"));
        let plain = shop.command(&[]);
        let line = format!("{} {args}", plain.get_program().display());
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &line, "/dev/null"]).current_dir(shop.path());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        let running = Running::start(&mut terminal, "");
        let shown = if args.starts_with("tail") {
            let lines: Vec<String> = (0..EVIL.len() + 1).map(|_| running.line() + "\n").collect();
            lines.concat()
        } else {
            running.end().code(0).stdout
        };
        assert!(!shown.is_empty(), "{args}");
        is_harmless(&args, &shown.replace("\r\n", "\n"));
    }
}

#[test]
fn programs_read_what_peers_wrote_as_it_is() {
    let shop = shop();
    let tail = shop.spawn(&["tail", "--since", "1h", "--json"]);
    assert_eq!(tail.json("message")["body"], "hello");
    for (n, evil) in EVIL.iter().enumerate() {
        let line = tail.line();
        assert!(!line.contains(steers), "{line:?}");
        let message: Value = serde_json::from_str(&line).expect("JSON");
        schema::check("message", &message);
        assert_eq!(message["body"], format!("body {n}{evil}"));
        assert_eq!(message["sender"], format!("eve{evil}"));
        assert_eq!(message["thread"], format!("thread {n}{evil}"));
        assert_eq!(message["reply_to"], *evil);
    }
    let threads = shop.ok(&["threads", "--json"]);
    assert!(!threads.contains(steers), "{threads:?}");
    let threads: Value = serde_json::from_str(&threads).expect("JSON");
    assert_eq!(threads["threads"].as_array().map(Vec::len), Some(EVIL.len() + 1));
}

/// Times that no clock shows, as the envelope allows them.
#[test]
fn a_time_of_any_year_is_a_time() {
    let shop = Shop::open();
    shop.send("honest", "hello");
    for sent_at in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"] {
        let envelope = json!({"id": "1", "from": "eve", "body": "x", "timestamp": sent_at});
        shop.request("chat.shop.00000000", &envelope.to_string());
    }
    for offset in ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"] {
        let envelope = json!({"id": "1", "from": "eve", "body": "x", "timestamp": offset});
        shop.request("chat.shop.00000000", &envelope.to_string());
    }
    let lines = shop.json_lines(&["read", "--short", "00000000"]);
    let times: Vec<&str> = lines.iter().filter_map(|line| line["sent_at"].as_str()).collect();
    let expected = [
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0000-12-31T00:01:00Z",
        "0000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ];
    assert_eq!(times, expected);
}
