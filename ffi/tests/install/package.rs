//! What was installed, what is built with it, and the server it talks to.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use libchat::{LocalServer, LocalServerOptions, OpenOptions, SendOptions};
use tempfile::TempDir;

use crate::common::{root, run, scratch};

const PATIENCE: Duration = Duration::from_secs(120);

/// What was installed into a folder of its own, whose name has a space, and what is built with it.
pub(crate) struct Package {
    pub(crate) folder: TempDir,
    pub(crate) name: &'static str,
    pub(crate) libdir: &'static str,
}

impl Package {
    pub(crate) fn install(libdir: &'static str) -> Package {
        let package = Package { folder: scratch(), name: "the prefix", libdir };
        run(&mut installer(package.prefix(), libdir));
        package
    }

    pub(crate) fn moved(mut self) -> Package {
        let before = self.prefix();
        self.name = "moved here";
        fs::rename(before, self.prefix()).expect("the prefix is moved");
        self
    }

    pub(crate) fn prefix(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    pub(crate) fn library_folder(&self) -> PathBuf {
        self.prefix().join(self.libdir)
    }

    /// Compiles `examples/{source}`. The shell reads `flags` twice, as it has to where pkg-config
    /// gives paths with spaces.
    pub(crate) fn build(&self, source: &str, folder: &str, flags: &str) -> PathBuf {
        let program = self.folder.path().join(folder).join(source).with_extension("");
        fs::create_dir_all(program.parent().expect("a folder")).expect("a folder");
        let is_c = source.ends_with(".c");
        let compiler = if is_c { "cc -std=c11" } else { "c++ -std=c++17" };
        let warnings = "-Wall -Wextra -pedantic -Werror";
        let script =
            format!(r#"eval {compiler} {warnings} -pthread '"$SOURCE" -o "$PROGRAM"' {flags}"#);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("PROGRAM", &program).env("PREFIX", self.prefix());
        shell.env("SOURCE", root().join("examples").join(source));
        shell.env("STAGE", self.folder.path().join("stage"));
        run(shell.env("PKG_CONFIG_PATH", self.library_folder().join("pkgconfig")));
        program
    }

    pub(crate) fn build_examples(&self, folder: &str, flags: &str) -> PathBuf {
        let sources = files(&root().join("examples"));
        let is_source = |it: &&String| it.ends_with(".c") || it.ends_with(".cpp");
        for source in sources.iter().filter(is_source) {
            self.build(source, folder, flags);
        }
        self.folder.path().join(folder)
    }

    /// Runs the examples in `folder` and compares what they print.
    pub(crate) fn check_examples(&self, folder: &Path) {
        let server = Server::start();
        let command = |program: &str| {
            let program = folder.join(program);
            let mut command = server.command(&program, &[]);
            // CMake tells its programs where the library is.
            if !dynamic(&program).contains("PATH") {
                command.env("LD_LIBRARY_PATH", self.library_folder());
            }
            command
        };
        assert_eq!(feed(&mut command("c/hello"), ""), "stored as number 1\n");
        let said = "ana: one\nana: two\nana: three\n";
        assert_eq!(feed(&mut command("c/watch_poll"), "one\ntwo\nthree"), said);

        let mut answering = Running::start(&mut command("c/answer_later"));
        assert_eq!(answering.line(), "ready\n");
        let ask = ["-p", "demo", "--as", "ana", "ask", "ben", "who is there?"];
        let program = self.prefix().join("bin/libchat");
        assert_eq!(feed(&mut server.command(&program, &ask), ""), "WHO IS THERE?\n");
        assert_eq!(answering.end(), "WHO IS THERE?\n");

        let greeting = "ana: hello from C++\nstored as number 5\n";
        assert_eq!(feed(&mut command("cpp/hello"), ""), greeting);
        let mut following = Running::start(&mut command("cpp/follow"));
        for said in ["hello from C", "one", "two", "three", "hello from C++"] {
            assert_eq!(following.line(), format!("ana: {said}\n"));
        }
    }

    pub(crate) fn cmake_finds(&self, version: &str) -> bool {
        let project = self.folder.path().join("project");
        fs::create_dir_all(&project).expect("a folder");
        let lines = [
            "cmake_minimum_required(VERSION 3.16)",
            "project(asks LANGUAGES C)",
            &format!("find_package(libchat {version})"),
            r#"message("found: ${libchat_FOUND}")"#,
        ];
        fs::write(project.join("CMakeLists.txt"), lines.join("\n")).expect("a project");
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(&project).arg("-B").arg(self.folder.path().join("asks"));
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", self.prefix().display()));
        let output = configure.output().expect("cmake runs");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("found: 1")
    }
}

/// A server for a folder, which is where the programs run: so they find it.
pub(crate) struct Server(pub(crate) TempDir);

impl Server {
    pub(crate) fn start() -> Server {
        let folder = scratch();
        LocalServer::start(folder.path(), &LocalServerOptions::default()).expect("a nats-server");
        Server(folder)
    }

    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path());
        command.env_remove("LIBCHAT_URL").env_remove("NATS_URL");
        command
    }

    /// Sends the numbers from 0 on, one after the other, and counts them.
    pub(crate) fn send_while(&self, sending: &AtomicBool, sent: &AtomicUsize) {
        let server = LocalServer::find(self.0.path()).expect("a folder").expect("it runs");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let connection = libchat::connect(server.connect_options()).await.expect("connects");
            let ben = connection.open("demo", "ben", OpenOptions::default()).await.expect("opens");
            let begun = Instant::now();
            while sending.load(Ordering::Relaxed) && begun.elapsed() < PATIENCE {
                let body = sent.load(Ordering::Relaxed).to_string();
                ben.send("count", &body, SendOptions::default()).await.expect("sends");
                sent.fetch_add(1, Ordering::Relaxed);
            }
            connection.close().await;
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is left behind is no reason to fail here.
        let _ = LocalServer::stop(self.0.path());
    }
}

/// A program that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Running { child, output }
    }

    /// The next line of its output, or "" at its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line
    }

    /// Ends its input, waits for its end, and gives the rest of its output, which is short.
    pub(crate) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        wait_for("the program's end", || self.child.try_wait().expect("a child").is_some());
        assert!(self.child.wait().is_ok_and(|status| status.success()));
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives a program its input and takes its output.
pub(crate) fn feed(command: &mut Command, input: &str) -> String {
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("it is read");
    drop(stdin);
    running.end()
}

/// `scripts/install` with what this test's own build has made.
pub(crate) fn installer(prefix: impl AsRef<OsStr>, libdir: &str) -> Command {
    let mut command = Command::new(root().join("scripts/install"));
    command.env("PREFIX", prefix).env("LIBDIR", libdir).env_remove("DESTDIR");
    command.env("LIBCHAT_BUILD", built());
    command
}

/// A folder with libraries and program, as `cargo build` would leave it.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let this = env::current_exe().expect("this program");
        let libraries = this.parent().expect("target/debug/deps");
        let program = libraries.with_file_name("libchat");
        if !program.exists() {
            run(Command::new(env!("CARGO")).args(["build", "-q", "-p", "libchat-cli"]));
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("built");
        // It may be there from the last time.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        for file in ["libchat.so", "libchat.a"] {
            symlink(libraries.join(file), folder.join(file)).expect("a link");
        }
        symlink(program, folder.join("libchat")).expect("a link");
        folder
    })
}

/// The files below `folder`, links among them, in order.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("it is below");
                files.push(below.to_str().expect("text").to_owned());
            }
        }
    }
    files.sort_unstable();
    files
}

pub(crate) fn dynamic(program: &Path) -> String {
    run(Command::new("readelf").arg("-d").arg(program))
}

/// The libraries that a program or library needs.
pub(crate) fn needed(dynamic: &str) -> Vec<&str> {
    let lines = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    lines.filter_map(|line| line.split_once('[')?.1.strip_suffix(']')).collect()
}

pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "still not: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
