//! The rights that `acl` prints, on a real server: enough for each role, and no more.

mod common;

use std::time::Duration;

use common::*;
use libchat::{
    AclOptions, CallOptions, ConnectOptions, Connection, Error, ErrorKind, HistoryOptions,
    LocalServer, LocalServerOptions, Manager, OpenOptions, Permissions, RequestOptions,
    RespondOptions, Retention, Role, SendOptions, WatchOptions, acl,
};

/// What is tried, and the subject that the server refuses: to `send`, `read`, `bind` and `full`.
const TABLE: [(&str, [&str; 4]); 10] = [
    ("open a new project", [CREATE, CREATE, CREATE, ""]),
    ("open", ["", "", "", ""]),
    ("send", ["", "chat.demo.d0825bc5", "", ""]),
    ("watch", [CONSUMER, "", "", ""]),
    ("history", [CONSUMER, "", "", ""]),
    ("list_threads", [CONSUMER, "", "", ""]),
    ("threads_for_agent", [CONSUMER, "", "", ""]),
    ("ask", ["demo.ask.admin", "demo.ask.admin", "", ""]),
    ("answer", ["demo.ask.ana", "demo.ask.ana", "", ""]),
    ("change the retention", [UPDATE, UPDATE, UPDATE, ""]),
];
const CREATE: &str = "$JS.API.STREAM.CREATE.chat-demo";
const UPDATE: &str = "$JS.API.STREAM.UPDATE.chat-demo";
const CONSUMER: &str = "$JS.API.CONSUMER.CREATE.chat-demo.";

#[tokio::test(flavor = "multi_thread")]
async fn each_role_can_do_what_it_is_for_and_nothing_else() {
    for (column, role) in Role::ALL.iter().enumerate() {
        let rights = rights("ana", *role);
        let server = server(&[&rights]);
        let ana = connect(&server, &rights).await;
        let mut world = World { ana, admin: None };
        for (verb, refused) in TABLE {
            check(&mut world, verb, *role, refused[column]).await;
        }
        world.ana.close().await;
        // Nothing else was missing, not even something that can be done without.
        let refused: Vec<&str> = TABLE.iter().map(|(_, refused)| refused[column]).collect();
        let log = std::fs::read_to_string(server.server().log_file()).expect("a log");
        for line in log.lines().filter(|it| it.contains("Violation")) {
            let is_told = refused.iter().any(|it| !it.is_empty() && line.contains(it));
            // How one who may not answer finds out.
            let asks_itself = column < 2 && line.contains("Publish Violation - Subject \"_INBOX_");
            // A consumer that was refused may still have been made.
            let tidies_up = column == 0 && line.contains("$JS.API.CONSUMER.DELETE.");
            assert!(is_told || asks_itself || tidies_up, "{}: {line}", role.as_str());
        }
    }
}

/// Tries `verb`; a refusal must name the subject, and be one.
async fn check(world: &mut World, verb: &str, role: Role, refused: &str) {
    let role = role.as_str();
    let result = within(verb, world.attempt(verb)).await;
    match result {
        Ok(()) => assert_eq!(refused, "", "{role} may {verb}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{role}, {verb}: {error:?}");
            let text = format!("{error:#}");
            assert!(!refused.is_empty() && text.contains(refused), "{role}, {verb}: {text}");
            assert!(error.hint_text().is_some(), "{role}, {verb}: {text}");
        }
    }
}

/// Project `demo`, new at first; then with a message of ana's, and an agent that answers.
struct World {
    ana: Connection,
    admin: Option<Manager>,
}

impl World {
    async fn attempt(&mut self, verb: &str) -> Result<(), Error> {
        if verb == "open a new project" {
            let opened = self.open(Retention::Keep).await.map(drop);
            self.admin = Some(populate(&self.ana.servers()).await);
            return opened;
        }
        if verb == "change the retention" {
            return self.open(Retention::MaxAge(Duration::from_secs(3600))).await.map(drop);
        }
        let admin = self.admin.as_ref().expect("opened before");
        let ana = self.open(Retention::Keep).await?;
        match verb {
            "open" => Ok(()),
            "send" => ana.send("plan", "x", SendOptions::default()).await.map(drop),
            "watch" => {
                let watch = ana.watch("plan", WatchOptions::default()).await?;
                send(admin, "plan", "y").await;
                assert_eq!(watch.next().await?.body, "y");
                Ok(())
            }
            "history" => ana.history("plan", HistoryOptions::default()).await.map(drop),
            "list_threads" => ana.list_threads(CallOptions::default()).await.map(drop),
            "threads_for_agent" => {
                ana.threads_for_agent("ana", 10, CallOptions::default()).await.map(drop)
            }
            "ask" => ask(&ana, "admin", admin).await,
            "answer" => ask(admin, "ana", &ana).await,
            other => panic!("no such verb: {other}"),
        }
    }

    async fn open(&self, retention: Retention) -> Result<Manager, Error> {
        self.ana.open("demo", "ana", OpenOptions { retention, ..Default::default() }).await
    }
}

/// `asking` asks `name`, and gets the answer of `answering`.
async fn ask(asking: &Manager, name: &str, answering: &Manager) -> Result<(), Error> {
    let questions = answering.answer(RespondOptions::default()).await?;
    let answer = async { questions.next().await?.reply("done").await };
    let options = RequestOptions { timeout: PATIENCE, ..Default::default() };
    tokio::try_join!(asking.ask(name, "?", options), answer).map(drop)
}

/// Nobody could tell it anything, so that every call waited for its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_another_inbox_prefix_is_told_at_once() {
    for role in Role::ALL {
        let server = server(&[&rights("ana", *role)]);
        let options = options(server.server().url(), "demo/ana");
        let connection = libchat::connect(options).await.expect("connects");
        let opened = connection.open("demo", "ana", OpenOptions::default()).await;
        let error = opened.map(drop).expect_err("no answer can come");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(format!("{error:#}").contains("no right to subscribe to _INBOX."), "{error:?}");
        assert!(error.hint_text().is_some_and(|it| it.contains("inbox prefix")), "{error:?}");
    }
}

/// None of them listens where another agent gets its replies, or where agents without a prefix do.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_inbox_of_another() {
    for role in Role::ALL {
        let (ana, ben) = (rights("ana", *role), rights("ana.b", *role));
        let server = server(&[&ana, &ben]);
        let spied =
            [format!("{}.>", ben.inbox_prefix), "_INBOX.>".into(), ">".into(), "*.>".into()];
        for subject in spied {
            let refused = refusals(&server, "demo/ana", async |client| {
                client.subscribe(subject.clone()).await.expect("sent");
            });
            let refused = within("the refusal", refused).await;
            assert!(refused.contains(&format!("Subscription to {subject:?}")), "{refused}");
        }
    }
}

/// What the server complains of, first, when `user` does something.
async fn refusals(
    server: &TestServer,
    user: &str,
    does: impl AsyncFnOnce(&async_nats::Client),
) -> String {
    let (told, mut complaints) = tokio::sync::mpsc::unbounded_channel();
    let options = async_nats::ConnectOptions::with_user_and_password(user.into(), "pw".into());
    let options = options.event_callback(move |event| {
        if let async_nats::Event::ServerError(error) = event {
            // Nobody listens once the first has come.
            let _ = told.send(error.to_string());
        }
        std::future::ready(())
    });
    let client = options.connect(server.server().url()).await.expect("connects");
    does(&client).await;
    complaints.recv().await.expect("a complaint")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_project_can_be_neither_read_nor_written() {
    for role in Role::ALL {
        let rights = rights("ana", *role);
        let server = server(&[&rights]);
        let admin = libchat::connect(options(server.server().url(), "admin")).await;
        let admin = admin.expect("connects").open("other", "admin", OpenOptions::default()).await;
        send(&admin.expect("opens"), "plan", "not for ana").await;
        let ana = connect(&server, &rights).await;
        let other = ana.open("other", "ana", OpenOptions::default()).await;
        let other = other.expect("an agent that may not look may still be one that sends");
        let results = [
            ("send", other.send("plan", "x", SendOptions::default()).await.map(drop)),
            ("watch", other.watch_all(WatchOptions::default()).await.map(drop)),
            ("history", other.history("plan", HistoryOptions::default()).await.map(drop)),
            ("list", other.list_threads(CallOptions::default()).await.map(drop)),
            ("ask", other.ask("admin", "?", RequestOptions::default()).await.map(drop)),
            ("answer", ask(&other, "ana", &other).await),
        ];
        for (what, result) in results {
            let error = result.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{what}: {error:?}");
            assert!(format!("{error:#}").contains("other"), "{what}: {error:?}");
        }
    }
}

/// A fact about nats-server, and why `acl` says that hostile agents need accounts of their own: it
/// writes its answers wherever the one who asks wants them.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_reader_can_have_the_server_write_to_another_project() {
    let rights = rights("ana", Role::Read);
    let server = server(&[&rights]);
    let admin = libchat::connect(options(server.server().url(), "admin")).await.expect("connects");
    let other = admin.open("other", "admin", OpenOptions::default()).await.expect("opens");
    let watch = other.watch_all(WatchOptions::default()).await.expect("watches");
    let options =
        async_nats::ConnectOptions::with_user_and_password("demo/ana".into(), "pw".into());
    let client = options.connect(server.server().url()).await.expect("connects");
    let ask = client.publish_with_reply("$JS.API.STREAM.INFO.chat-demo", "chat.other.x", "".into());
    ask.await.expect("sent");
    let is_answer = async { while show(&next_event(&watch).await) != "malformed 1" {} };
    within("the server's answer in the other project", is_answer).await;
    assert!(rights.to_config().contains("needs an account of its own"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_lets_nobody_in_before_a_password_is_set() {
    let rights = rights("ana", Role::Full);
    let users = format!("authorization {{ users: [ {} ] }}", rights.to_config());
    let folder = tempfile::tempdir().expect("a scratch folder");
    let options =
        LocalServerOptions { extra_config: Some(users.clone()), ..LocalServerOptions::default() };
    // Its own user is none of these, so the server is known only by its port.
    let server = LocalServer::start(folder.path(), &options).expect("takes the configuration");
    for password in ["", "$2a$11$replace-me", "replace-me", "pw"] {
        let options = ConnectOptions {
            password: Some(password.to_owned()),
            ..self::options(server.url(), "demo/ana")
        };
        let error = libchat::connect(options).await.map(drop).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    }
    server.kill().expect("killed");
}

/// Quotes, backslashes, dots and what stands for them: in subjects, users and the prefix.
#[tokio::test(flavor = "multi_thread")]
async fn every_name_that_can_be_asked_can_be_given_rights() {
    let names = [r#"a"b"#, r"a\b", "a.b", "a%2Eb", "a%b", "$a#{b}", "ä/😀", "users:[]"];
    for project in ["demo", r#"d"e'm#o"#, "{HOME}$"] {
        let all: Vec<_> = names.iter().map(|name| rights_in(project, name, Role::Full)).collect();
        let mut prefixes: Vec<_> = all.iter().map(|it| &it.inbox_prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), names.len(), "each has its own");
        let server = server(&all.iter().collect::<Vec<_>>());
        for rights in &all {
            let connection = connect(&server, rights).await;
            let agent = connection.open(project, &rights.agent, OpenOptions::default()).await;
            let agent = agent.expect("opens");
            send(&agent, "plan", "hello").await;
            agent.history("plan", HistoryOptions::default()).await.expect("reads");
            within("its answer", ask(&agent, &rights.agent, &agent)).await.expect("answered");
        }
    }
}

#[test]
fn names_are_checked_and_project_chat_has_no_questions() {
    let refused = |project: &str, agent: &str, options: &AclOptions| {
        let error = acl(project, agent, Role::Send, options).map(drop).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    let none = AclOptions::default();
    assert!(refused("a.b", "ana", &none).starts_with("project \"a.b\": "));
    assert!(refused("demo", "an*", &none).starts_with("agent \"an*\": "));
    assert!(refused("demo", "a\n# b", &none).starts_with("agent "));
    let domain = AclOptions { js_domain: Some("a.b".into()), ..AclOptions::default() };
    assert_eq!(refused("demo", "ana", &domain), "js_domain: \"a.b\" is not one subject token");
    let prefix = AclOptions { inbox_prefix: Some("_IN.*".into()), ..AclOptions::default() };
    assert_eq!(refused("demo", "ana", &prefix), "inbox_prefix: \"_IN.*\" is not a subject");
    let chat = acl("chat", "ana", Role::Full, &none).expect("a project like others");
    assert!(!chat.to_config().contains("chat.ask") && chat.allow_responses.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_and_a_prefix_of_ones_own_are_honoured() {
    let given = AclOptions { js_domain: Some("hub".into()), inbox_prefix: Some("_IN.ana".into()) };
    let [full, read] = [("ana", Role::Full), ("ben", Role::Read)]
        .map(|(agent, role)| acl("demo", agent, role, &given).expect("names that are in order"));
    assert_eq!(full.inbox_prefix, "_IN.ana");
    let store = tempfile::tempdir().expect("a scratch folder");
    let store = format!("jetstream {{ store_dir: {:?}, domain: hub }}", store.path());
    let server = server_with(&[&full, &read], &store);
    let open = async |user: &str| {
        let AclOptions { js_domain, inbox_prefix } = given.clone();
        let options = options(server.server().url(), user);
        let options = ConnectOptions { js_domain, inbox_prefix, ..options };
        let connection = libchat::connect(options).await.expect("connects");
        connection.open("demo", "ana", OpenOptions::default()).await
    };
    let error = open("demo/ben").await.map(drop).expect_err("may not make it");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(format!("{error:#}").contains(CREATE), "{error:?}");
    let ana = open("demo/ana").await.expect("opens");
    let receipt = send(&ana, "plan", "hello").await;
    assert!(receipt.cursor.is_some());
    let history = ana.history("plan", HistoryOptions::default()).await.expect("reads");
    assert_eq!(history.messages.len(), 1);
}

fn rights(agent: &str, role: Role) -> Permissions {
    rights_in("demo", agent, role)
}

fn rights_in(project: &str, agent: &str, role: Role) -> Permissions {
    acl(project, agent, role, &AclOptions::default()).expect("names that are in order")
}

/// What is printed, with a password that somebody knows, and `admin` who may do everything.
fn server(agents: &[&Permissions]) -> TestServer {
    server_with(agents, "")
}

fn server_with(agents: &[&Permissions], lines: &str) -> TestServer {
    let entries: String = agents.iter().map(|it| it.to_config()).collect();
    TestServer::with_config(&format!(
        "{lines}\nauthorization {{}}\naccounts {{ A {{ jetstream: enabled, users: [\n{}\n\
         {{ user: admin, password: pw }} ] }} }}",
        entries.replace("$2a$11$replace-me", "pw")
    ))
}

fn options(url: &str, user: &str) -> ConnectOptions {
    ConnectOptions {
        servers: Some(url.to_owned()),
        user: Some(user.to_owned()),
        password: Some("pw".to_owned()),
        ..Default::default()
    }
}

async fn connect(server: &TestServer, rights: &Permissions) -> Connection {
    let user = format!("{}/{}", rights.project, rights.agent);
    let inbox_prefix = Some(rights.inbox_prefix.clone());
    let options = ConnectOptions { inbox_prefix, ..options(server.server().url(), &user) };
    libchat::connect(options).await.expect("connects")
}

/// The project as an agent with all rights sees it.
async fn populate(url: &str) -> Manager {
    let admin = libchat::connect(options(url, "admin")).await.expect("connects");
    let ana = admin.open("demo", "ana", OpenOptions::default()).await.expect("opens");
    send(&ana, "plan", "hello").await;
    admin.open("demo", "admin", OpenOptions::default()).await.expect("opens")
}
