//! ask and answer.

mod common;

use common::*;
use serde_json::json;

#[test]
fn a_fixed_answer_reaches_the_asker() {
    let shop = Shop::open();
    let answer = shop.spawn(&["answer", "green", "--as", "ben", "--count", "2"]);
    answer.notice("answering as ben in shop");
    assert_eq!(shop.ok(&["ask", "ben", "is the build\ngreen?"]), "green\n");
    assert!(answer.line().ends_with(" is the build"));
    assert_eq!(answer.line(), "    green?");
    let reply = shop.json(&["ask", "ben", "again"], "answer");
    assert_eq!(reply["payload"], "green");
    assert!(answer.end().ok().ends_with(" again\n"));
}

#[test]
fn a_command_answers_with_what_it_prints() {
    let shop = Shop::open();
    let answer = shop.spawn(&["answer", "--command", "tr a-z A-Z", "--as", "ben", "--json"]);
    answer.notice("answering as ben");
    let mut ask = shop.command(&["ask", "ben"]);
    assert_eq!(Running::start(&mut ask, "from a pipe\n").end().ok(), "FROM A PIPE\n");
    let question = answer.json("question");
    assert_eq!(
        (&question["subject"], &question["payload"]),
        (&json!("shop.ask.ben"), &json!("from a pipe"))
    );
    answer.signal("INT");
    answer.end().code(130);
}

#[test]
fn bytes_that_are_no_text_go_as_base64() {
    let shop = Shop::open();
    let answer = shop.spawn(&["answer", "--command", "printf '\\377'", "--as", "ben"]);
    answer.notice("answering as ben");
    assert_eq!(shop.json(&["ask", "ben", ""], "answer")["payload_base64"], "/w==");
}

#[test]
fn the_asker_is_told_of_a_command_that_fails() {
    let shop = Shop::open();
    let command = "echo >&2; echo 'no \x1b[31mred\x1b[0m today' >&2; exit 3";
    let answer = shop.spawn(&["answer", "--command", command, "--as", "ben"]);
    answer.notice("answering as ben");
    let ran = shop.run(&["ask", "ben", "?"]).code(1);
    assert_eq!(ran.stderr, "libchat: request shop.ask.ben: the handler failed: no red today\n");
    let error = shop.run(&["ask", "ben", "?", "--json"]).error(1);
    assert_eq!((&error["code"], &error["remote_code"]), (&json!("remote"), &json!("command")));
    answer.notice("command failed: no red today");
}

#[test]
fn an_agent_that_does_not_listen_is_not_found() {
    let shop = Shop::open();
    shop.send("plan", "so that there is a project");
    let error = shop.run(&["ask", "ben", "?", "--json"]).error(3);
    assert_eq!((&error["code"], &error["retryable"]), (&json!("no_responders"), &json!(true)));
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout() {
    let shop = Shop::open();
    let answer = shop.spawn(&["answer", "--command", "exec sleep 60", "--as", "ben"]);
    answer.notice("answering as ben");
    let error = shop.run(&["ask", "ben", "?", "--timeout", "300ms", "--json"]).error(4);
    assert_eq!(error["code"], "timeout");
}

#[test]
fn an_answer_that_is_too_large_is_said_and_not_the_last() {
    let shop = Shop::open();
    let command = "read question; test \"$question\" = small || head -c 2000000 /dev/zero; echo ok";
    let answer = shop.spawn(&["answer", "--command", command, "--as", "ben"]);
    answer.notice("answering as ben");
    let error = shop.run(&["ask", "ben", "large", "--json"]).error(1);
    assert_eq!((&error["code"], &error["remote_code"]), (&json!("remote"), &json!("too_large")));
    answer.notice("Payload size limit of 1048576 exceeded");
    assert_eq!(shop.ok(&["ask", "ben", "small\n"]), "ok\n");
}
