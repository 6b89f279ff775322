//! threads.

mod common;

use common::*;
use serde_json::{Value, json};

fn names(document: &Value) -> Vec<&str> {
    let threads = document["threads"].as_array().expect("threads");
    threads.iter().map(|thread| text(&thread["name"])).collect()
}

#[test]
fn the_most_recently_used_comes_first() {
    let shop = Shop::open();
    shop.send("plan", "one");
    shop.ok(&["send", "review", "two\nthree", "--as", "ben"]);
    let last = shop.send("plan", "four");
    let document = shop.json(&["threads"], "threads");
    assert_eq!(names(&document), ["plan", "review"]);
    let plan = &document["threads"][0];
    assert_eq!(
        json!([plan["message_count"], plan["last_sender"], plan["last_body"]]),
        json!([2, "ana", "four"])
    );
    let cursor: libchat::Cursor = text(&plan["cursor"]).parse().expect("a cursor");
    assert_eq!((cursor.incarnation, cursor.seq), (last.incarnation, last.seq));
    assert_eq!(names(&shop.json(&["threads", "rev*"], "threads")), ["review"]);
    assert_eq!(names(&shop.json(&["threads", "--agent", "ben"], "threads")), ["review"]);
    assert_eq!(names(&shop.json(&["threads", "none"], "threads")), [""; 0]);
}

#[test]
fn people_get_a_table_and_scripts_get_names() {
    let shop = Shop::open();
    shop.send("plan", "one\ntwo");
    shop.ok(&["send", "review", "three", "--as", "ben"]);
    let short = libchat::thread_short("shop", "nameless").expect("a short").to_string();
    shop.ok(&["send", "--short", &short, "four"]);
    let table = shop.ok(&["threads"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(lines[0].join(" "), "THREAD MESSAGES LAST ACTIVITY FROM LAST MESSAGE");
    assert_eq!((lines[1][0], lines[1][1], lines[1][4], lines[1][5]), (&*short, "1", "ana", "four"));
    assert_eq!((lines[2][0], lines[2][4], lines[2][5]), ("review", "ben", "three"));
    assert_eq!(lines[3][4..], ["ana", "one"]);

    let ran = shop.run(&["threads", "--names"]).code(0);
    assert_eq!(ran.stdout, "review\nplan\n");
    assert_eq!(ran.stderr, "left out: 1 without a known name\n");
}
