//! tail.

mod common;

use common::*;

#[test]
fn it_prints_every_thread_as_it_happens() {
    let shop = Shop::open();
    let tail = shop.spawn(&["tail"]);
    tail.notice("caught up at c1.");
    shop.send("plan", "one");
    shop.ok(&["send", "review", "two\nthree", "--as", "ben"]);
    assert!(tail.line().ends_with(" [plan] ana: one"));
    assert!(tail.line().ends_with(" [review] ben: two"));
    assert_eq!(tail.line(), "    three");
}

#[test]
fn what_is_not_wanted_is_left_out() {
    let shop = Shop::open();
    let tail = shop.spawn(&["tail", "plan*", "rev?ew", "--from", "ben", "--json"]);
    tail.json("caught_up");
    shop.ok(&["send", "plan/api", "not ben's"]);
    shop.ok(&["send", "other", "no such thread", "--as", "ben"]);
    shop.ok(&["send", "plan/api", "1", "--as", "ben"]);
    shop.ok(&["send", "review", "2", "--as", "ben"]);
    assert_eq!(tail.json("message")["body"], "1");
    assert_eq!(tail.json("message")["body"], "2");
}

#[test]
fn an_interrupted_tail_says_how_to_go_on() {
    let shop = Shop::open();
    let tail = shop.spawn(&["tail"]);
    tail.notice("caught up at c1.");
    let cursor = shop.send("plan", "seen");
    assert!(tail.line().ends_with("seen"));
    tail.signal("INT");
    let resume = tail.notice("to go on from here: --since ");
    assert_eq!(tail.end().code, Some(130));
    let resume = resume.rsplit(' ').next().expect("a cursor");
    assert!(
        resume.starts_with(&format!("c1.{:x}.{}.", cursor.incarnation, cursor.seq)),
        "{resume}"
    );

    shop.send("plan", "missed");
    let tail = shop.spawn(&["tail", "--since", resume]);
    assert!(tail.line().ends_with("missed"));
}

#[test]
fn no_consumer_is_left_behind() {
    let shop = Shop::open();
    shop.send("plan", "0");
    shop.ok(&["read", "plan"]);
    let tail = shop.spawn(&["tail", "--json"]);
    tail.json("caught_up");
    assert_eq!(shop.consumers(), 1);
    tail.signal("INT");
    tail.end().code(130);
    assert_eq!(shop.consumers(), 0);
}

#[test]
fn a_server_that_comes_back_loses_and_repeats_nothing() {
    let shop = Shop::open();
    shop.send("plan", "0");
    let tail = shop.spawn(&["tail", "--json", "--since", "1h"]);
    assert_eq!(tail.json("message")["body"], "0");
    tail.json("caught_up");
    shop.server().kill().expect("killed");
    shop.ok(&["up"]);
    shop.send_numbers("plan", 1..6);
    for n in 1..6 {
        assert_eq!(tail.json("message")["body"], n.to_string());
    }
}

#[test]
fn what_is_gone_or_no_message_is_said() {
    let shop = Shop::open();
    let first = shop.send("plan", "0").to_string();
    shop.send_numbers("plan", 1..4);
    shop.api("STREAM.PURGE.chat-shop", r#"{"seq": 4}"#);
    shop.request("chat.shop.00000000", "no envelope");
    let tail = shop.spawn(&["tail", "--json", "--since", &first]);
    let gap = tail.json("gap");
    assert!(text(&gap["after"]).ends_with(".1.0") && text(&gap["until"]).contains(".3."), "{gap}");
    assert_eq!(tail.json("message")["body"], "3");
    let malformed = text(&tail.json("malformed")["cursor"]).to_owned();
    assert!(malformed.contains(".5."), "{malformed}");

    let tail = shop.spawn(&["tail", "--since", &first, "-q"]);
    tail.notice("libchat: gap: what was stored after c1.");
    assert!(tail.line().ends_with(" ana: 3"));
    tail.notice(&format!("libchat: malformed: what is stored at {malformed} is no message"));
}

#[test]
fn a_server_that_stays_away_is_said() {
    let shop = Shop::open();
    let (lines, words) = (shop.spawn(&["tail", "--json"]), shop.spawn(&["tail"]));
    lines.json("caught_up");
    words.notice("caught up");
    shop.server().kill().expect("killed");
    lines.json("stalled");
    words.notice("libchat: stalled: ");
    shop.ok(&["up"]);
    lines.json("resumed");
    words.notice("libchat: resumed");
}
