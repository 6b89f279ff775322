//! send.

mod common;

use common::*;
use serde_json::json;

#[test]
fn a_receipt_says_where_it_is_stored() {
    let shop = Shop::open();
    let words = shop.ok(&["send", "plan", "hello", "--id", "job-7"]);
    assert!(words.starts_with("stored as 1 id job-7 cursor c1."), "{words}");
    let words = shop.ok(&["send", "plan", "hello", "--id", "job-7"]);
    assert!(words.starts_with("already stored as 1 id job-7 cursor c1."), "{words}");
    let receipt = shop.json(&["send", "plan", "hello", "--id", "job-7"], "receipt");
    assert_eq!((&receipt["id"], &receipt["duplicate"]), (&json!("job-7"), &json!(true)));
}

#[test]
fn all_that_is_sent_arrives() {
    let shop = Shop::open();
    let args = ["send", "plan", "grüße", "--reply-to", "x1", "-H", "a=b=c", "--header", "d="];
    let receipt = shop.json(&args, "receipt");
    let lines = shop.json_lines(&["read", "plan"]);
    let message = &lines[0];
    schema::check("message", message);
    assert_eq!(message["id"], receipt["id"]);
    let expected = json!(["ana", "plan", "grüße", "x1", {"a": "b=c", "d": ""}]);
    let found = ["sender", "thread", "body", "reply_to", "headers"].map(|key| message[key].clone());
    assert_eq!(json!(found), expected);
    let short = libchat::thread_short("shop", "plan").expect("a short");
    assert_eq!(message["short"], short.as_str());
    let time = message["time_ns"].as_i64().expect("nanoseconds");
    let read = time::OffsetDateTime::parse(
        text(&message["time"]),
        &time::format_description::well_known::Rfc3339,
    );
    assert_eq!(read.expect("a time").unix_timestamp_nanos(), i128::from(time));
}

#[test]
fn text_comes_from_arguments_pipes_and_files() {
    let shop = Shop::open();
    let file = shop.path().join("note.txt");
    write(&file, "from a file\n");
    Running::start(&mut shop.command(&["send", "plan"]), "from a\npipe\n").end().ok();
    Running::start(&mut shop.command(&["send", "plan", "-"]), "asked for").end().ok();
    shop.ok(&["send", "plan", "--file", "note.txt"]);
    shop.ok(&["send", "plan", ""]);
    let lines = shop.json_lines(&["read", "plan"]);
    let bodies: Vec<&str> = lines[..4].iter().map(|line| text(&line["body"])).collect();
    assert_eq!(bodies, ["from a\npipe", "asked for", "from a file\n", ""]);
}

#[test]
fn a_thread_can_be_named_by_its_short() {
    let shop = Shop::open();
    shop.send("plan", "by name");
    let short = libchat::thread_short("shop", "plan").expect("a short").to_string();
    shop.ok(&["send", "--short", &short, "by short"]);
    let lines = shop.json_lines(&["read", "--short", &short]);
    assert_eq!((&lines[0]["body"], &lines[0]["thread"]), (&json!("by name"), &json!("plan")));
    assert_eq!((&lines[1]["body"], &lines[1]["thread"]), (&json!("by short"), &json!("")));
    let error = shop.run(&["read", "--short", "plan", "--json"]).error(2);
    assert!(text(&error["message"]).contains("8 lower-case hex digits"), "{error}");
}

#[test]
fn two_processes_that_open_a_project_at_once_both_succeed() {
    let shop = Shop::open();
    for round in 0..50 {
        let project = format!("p{round}");
        let send = |body| shop.spawn(&["send", "plan", body, "--project", &project]);
        for process in [send("one"), send("two")] {
            process.end().ok();
        }
        assert_eq!(shop.json_lines(&["read", "plan", "--project", &project]).len(), 3);
    }
}
