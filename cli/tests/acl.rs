//! What `acl` prints, pasted into a server's configuration, and the program on that server.

mod common;

use common::*;
use serde_json::json;

/// A shop whose server knows ana with these rights, and the folder's own user with all.
fn shop_with(entry: &str) -> Shop {
    let entry = entry.replace("$2a$11$replace-me", "pw");
    let shop = Shop::open_with(&format!(
        "authorization {{}}\naccounts {{ A {{ jetstream: enabled, users: [\n{entry}\n\
         {{ user: libchat, password: \"{{password}}\" }} ] }} }}"
    ));
    shop.send("plan", "hello");
    shop
}

/// The program as ana with her rights.
fn as_ana<'a>(url: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    let login = ["-s", url, "--user", "shop/ana", "--password", "pw"];
    [&login[..], &["--inbox-prefix", "_INBOX_shop.ana"], args].concat()
}

/// With the rights printed for `role`, the program does `args`, or says which subject is refused.
#[track_caller]
fn check(role: &str, rows: &[(&[&str], &str)]) {
    let entry = Shop::closed().ok(&["acl", "-p", "shop", "--role", role]);
    let shop = shop_with(&entry);
    let url = shop.server().url().to_owned();
    for (args, refused) in rows {
        if refused.is_empty() {
            shop.ok(&as_ana(&url, args));
            continue;
        }
        let error = shop.run(&as_ana(&url, &[args, &["--json"][..]].concat())).error(6);
        assert_eq!(error["code"], "unauthorized");
        assert!(text(&error["message"]).contains(refused), "{role}, {args:?}: {error}");
    }
}

const SEND: &[&str] = &["send", "plan", "x"];
const READ: &[&str] = &["read", "plan"];
const TAIL: &[&str] = &["tail", "plan", "--since", "1h"];
const THREADS: &[&str] = &["threads"];
const ASK: &[&str] = &["ask", "ben", "?"];
const ANSWER: &[&str] = &["answer", "--command", "cat"];
const ELSEWHERE: &[&str] = &["-p", "other", "send", "plan", "x"];

const CONSUMER: &str = "$JS.API.CONSUMER.CREATE.chat-shop.";

#[test]
fn the_rights_to_send() {
    check(
        "send",
        &[
            (SEND, ""),
            (READ, CONSUMER),
            (TAIL, CONSUMER),
            (THREADS, CONSUMER),
            (ASK, "shop.ask.ben"),
            (ANSWER, "shop.ask.ana"),
            (ELSEWHERE, "chat.other."),
        ],
    );
}

#[test]
fn the_rights_to_read() {
    check(
        "read",
        &[
            (SEND, "chat.shop."),
            (READ, ""),
            (THREADS, ""),
            (ASK, "shop.ask.ben"),
            (ANSWER, "shop.ask.ana"),
            (ELSEWHERE, "chat.other."),
        ],
    );
}

#[test]
fn the_rights_to_take_part_and_those_to_begin() {
    for role in ["bind", "full"] {
        let rows: &[(&[&str], &str)] =
            &[(SEND, ""), (READ, ""), (THREADS, ""), (ELSEWHERE, "chat.other.")];
        check(role, rows);
        let shop = shop_with(&Shop::closed().ok(&["acl", "-p", "shop", "--role", role]));
        let url = shop.server().url().to_owned();
        let answering = shop.spawn(&as_ana(&url, &["answer", "--command", "tr a-z A-Z"]));
        answering.notice("ana");
        assert_eq!(shop.ok(&as_ana(&url, &["ask", "ana", "done"])), "DONE\n");
        assert!(shop.spawn(&as_ana(&url, TAIL)).line().ends_with(" ana: hello"));
        shop.api("STREAM.DELETE.chat-shop", "");
        let ran = shop.run(&as_ana(&url, SEND));
        if role == "full" {
            ran.ok();
        } else {
            assert!(ran.code(6).stderr.contains("$JS.API.STREAM.CREATE.chat-shop"));
        }
    }
}

#[test]
fn json_says_the_same() {
    let shop = Shop::closed();
    let acl = shop.json(&["acl", "-p", "shop"], "acl");
    assert_eq!(json!([acl["project"], acl["agent"], acl["role"]]), json!(["shop", "ana", "bind"]));
    assert_eq!(acl["inbox_prefix"], "_INBOX_shop.ana");
    assert_eq!(acl["subscribe"], json!(["_INBOX_shop.ana.>", "shop.ask.ana"]));
    assert_eq!(acl["allow_responses"], json!({"max": 1, "expires_s": 3600}));
    let printed = shop.ok(&["acl", "-p", "shop"]);
    for subject in acl["publish"].as_array().expect("subjects") {
        assert!(printed.contains(&format!("{subject} # ")), "{subject}: {printed}");
    }
    let send = shop
        .json(&["acl", "-p", "shop", "--as", "ben", "--role", "send", "--js-domain", "hub"], "acl");
    let expected = json!([
        "chat.shop.*",
        "$JS.hub.API.STREAM.INFO.chat-shop",
        "$JS.API.STREAM.INFO.chat-shop"
    ]);
    assert_eq!(send["publish"], expected);
    assert_eq!(send["allow_responses"], json!(null));
}

#[test]
fn it_says_what_the_rights_do_not_do_and_asks_no_server() {
    let shop = Shop::closed();
    let printed = shop.ok(&["acl", "-p", "shop", "-s", "nats://127.0.0.1:1"]);
    for words in ["reading cannot be limited by thread", "inbox prefix", "_INBOX_shop.ana"] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    assert!(printed.lines().all(|line| line.len() <= 100), "{printed}");
    let error = shop.run(&["acl", "-p", "shop", "--role", "all", "--json"]).error(2);
    assert!(text(&error["message"]).contains("send, read, bind, full"), "{error}");
    let error = shop.run(&["acl", "-p", "shop", "--as", "a b", "--json"]).error(2);
    assert_eq!(text(&error["message"]), "agent \"a b\": must not contain ' '");
}
