//! read, and resuming it.

mod common;

use std::io::Read;
use std::process::Stdio;

use common::*;
use serde_json::{Value, json};

fn bodies(lines: &[Value]) -> Vec<String> {
    let messages = lines.iter().filter(|line| line.get("event").is_none());
    messages.map(|line| text(&line["body"]).to_owned()).collect()
}

/// `from..to`, as bodies.
fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

#[test]
fn it_begins_where_it_is_told() {
    let shop = Shop::open();
    let cursors: Vec<String> =
        (0..25).map(|n| shop.send("plan", &n.to_string()).to_string()).collect();
    shop.send("other", "not for this thread");
    let read = |args: &[&str]| {
        let lines = shop.json_lines(&[&["read", "plan"], args].concat());
        let (last, messages) = lines.split_last().expect("a line");
        schema::check("caught_up", last);
        messages.iter().for_each(|line| schema::check("message", line));
        bodies(messages)
    };
    assert_eq!(read(&[]), numbers(5..25));
    assert_eq!(read(&["--last", "3"]), numbers(22..25));
    assert_eq!(read(&["--all"]), numbers(0..25));
    assert_eq!(read(&["--since", "1h"]), numbers(0..25));
    assert_eq!(read(&["--since", &cursors[21]]), numbers(22..25));
    assert_eq!(read(&["--since", &cursors[24]]), numbers(0..0));
    let time = shop.json_lines(&["read", "plan", "--last", "1"])[0]["time"].clone();
    assert_eq!(read(&["--since", text(&time)]), numbers(24..25));
    assert_eq!(read(&["--since", "2199-01-01T00:00:00Z"]), numbers(0..0));
}

#[test]
fn text_is_for_people() {
    let shop = Shop::open();
    shop.send("plan", "one\ntwo\n\tthree\n");
    shop.ok(&["send", "plan", "--as", "ben", "four"]);
    let ran = shop.run(&["read", "plan"]).code(0);
    let times = |text: &str| -> String {
        text.lines().map(|line| line.get(20..).unwrap_or_default().to_owned() + "\n").collect()
    };
    let mut lines = ran.stdout.lines();
    assert!(lines.next().is_some_and(|line| line.ends_with(" ana: one")), "{}", ran.stdout);
    assert_eq!((lines.next(), lines.next()), (Some("    two"), Some("    \tthree")));
    assert_eq!(times(lines.next().unwrap_or_default()), "ben: four\n");
    assert!(ran.stderr.starts_with("libchat: caught up at c1."), "{}", ran.stderr);
    let coloured = shop.ok(&["read", "plan", "--last", "1", "--color", "always"]);
    assert!(coloured.ends_with("ben\x1b[0m: four\n"), "{coloured:?}");
    assert_eq!(shop.run(&["read", "plan", "--quiet"]).code(0).stderr, "");
}

#[test]
fn what_peers_write_cannot_drive_the_terminal() {
    let shop = Shop::open();
    let evil = "\x1b]0;title\x07\x1b[31mred\x1b[0m\u{202e}\r\x08";
    let body = format!("{evil}\nana: forged");
    let thread = format!("plan{evil}");
    shop.ok(&["send", &thread, &body, "--as", &format!("ben\n{evil}")]);
    let text = [
        shop.ok(&["read", &thread]),
        shop.ok(&["threads"]),
        shop.ok(&["threads", "--names"]),
        shop.ok(&["status", "--as", evil]),
    ]
    .concat();
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(bad), "{text:?}");
    assert!(text.contains("ben red: red\n    ana: forged\n"), "{text:?}");
    let lines = shop.json_lines(&["read", &thread]);
    assert_eq!(bodies(&lines), [body]);
}

#[test]
fn following_goes_on_where_the_past_ends() {
    let shop = Shop::open();
    shop.send_numbers("plan", 0..3);
    let follow = shop.spawn(&["read", "plan", "-f", "--json", "--last", "2"]);
    let past = [follow.json("message"), follow.json("message")];
    assert_eq!(bodies(&past), numbers(1..3));
    follow.json("caught_up");
    shop.send("plan", "3");
    assert_eq!(follow.json("message")["body"], "3");
    follow.signal("INT");
    assert_eq!(follow.end().code, Some(130));
}

#[test]
fn a_follower_that_was_killed_resumes_without_loss_or_repeat() {
    let shop = Shop::open();
    let follow = shop.spawn(&["read", "plan", "-f", "--all", "--json"]);
    follow.json("caught_up");
    let mut seen = Vec::new();
    for n in 0..40 {
        shop.send("plan", &n.to_string());
        if n == 15 {
            seen.push(follow.json("message"));
            follow.signal("KILL");
        }
    }
    let rest = follow.end();
    seen.extend(rest.stdout.lines().map(|line| serde_json::from_str(line).expect("whole lines")));
    let cursor = text(&seen.last().expect("a message")["cursor"]).to_owned();
    assert!(seen.len() < 40, "it was killed before the end");

    let following = shop.spawn(&["read", "plan", "-f", "--json", "--since", &cursor]);
    let read = shop.json_lines(&["read", "plan", "--since", &cursor]);
    let all = [bodies(&seen), bodies(&read)].concat();
    assert_eq!(all, numbers(0..40));
    let followed: Vec<Value> = (seen.len()..40).map(|_| following.json("message")).collect();
    assert_eq!(bodies(&followed), bodies(&read));
    let end = read.last().expect("caught up")["cursor"].clone();
    assert_eq!(following.json("caught_up")["cursor"], end);
    assert_eq!(bodies(&shop.json_lines(&["read", "plan", "--since", text(&end)])), numbers(0..0));
}

#[test]
fn a_reader_who_goes_is_no_error() {
    let shop = Shop::open();
    let long = "x".repeat(500_000);
    write(&shop.path().join("long"), &long);
    shop.ok(&["send", "plan", "--file", "long"]);
    for args in
        [&["read", "plan"] as &[&str], &["read", "plan", "--json"], &["tail", "--since", "1h"]]
    {
        let mut child = shop
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("libchat runs");
        let mut stdout = child.stdout.take().expect("stdout");
        stdout.read_exact(&mut [0]).expect("its first byte");
        drop(stdout);
        let status = ended(&mut child);
        let mut stderr = String::new();
        child.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("text");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_reader_who_takes_his_time_does_not_keep_it_from_ending() {
    let shop = Shop::open();
    write(&shop.path().join("long"), &"x".repeat(500_000));
    shop.ok(&["send", "plan", "--file", "long"]);
    let mut tail = shop.command(&["tail", "--since", "1h"]);
    let mut child =
        tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("libchat runs");
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_exact(&mut [0]).expect("its first byte");
    signal(&child, "INT");
    assert_eq!(ended(&mut child).code(), Some(130));
}

#[test]
fn a_cursor_of_another_stream_is_said() {
    let shop = Shop::open();
    shop.send("plan", "0");
    let lines = shop.json_lines(&["read", "plan", "--since", "c1.18c7.42.7"]);
    schema::check("reset", &lines[0]);
    assert_eq!(bodies(&lines), ["0"]);
    let ran = shop.run(&["read", "plan", "--since", "c1.18c7.42.7"]).code(0);
    assert!(ran.stderr.starts_with("libchat: reset: the stream was made anew"), "{}", ran.stderr);
    assert_eq!(json!(ran.stdout.lines().count()), 1);
}
