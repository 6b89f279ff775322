//! What `make install` installs, used as its users do: found by pkg-config and by CMake, linked as
//! a shared library and as an archive, from C11 and from C++17, and run against a server.

mod common;
#[path = "install/package.rs"]
mod package; // what was installed, what is built with it, and the server it talks to

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{fs, thread};

use common::{VERSION, is_long, is_there, not_run, read, root, run, scratch, series};
use package::{Package, Running, Server, dynamic, feed, files, installer, needed, wait_for};

#[test]
fn every_file_is_where_it_belongs() {
    let folder = scratch();
    let staging = folder.path().join("the package");
    run(installer("/opt/lib chat", "lib").env("DESTDIR", &staging));
    let prefix = staging.join("opt/lib chat");
    let [library, soname] = [VERSION, &series()].map(|it| format!("lib/libchat.so.{it}"));
    let expected = [
        "bin/libchat",
        "include/libchat.h",
        "include/libchat.hpp",
        "lib/cmake/libchat/libchatConfig.cmake",
        "lib/cmake/libchat/libchatConfigVersion.cmake",
        "lib/libchat.a",
        "lib/libchat.so",
        &soname,
        &library,
        "lib/pkgconfig/libchat-static.pc",
        "lib/pkgconfig/libchat.pc",
    ];
    assert_eq!(files(&prefix), expected);
    assert_eq!(files(&staging).len(), expected.len());
    for link in ["lib/libchat.so", &soname] {
        let target = fs::read_link(prefix.join(link)).expect("a link");
        assert_eq!(target.components().count(), 1, "{link} is a link to {target:?}");
        assert!(prefix.join(link).canonicalize().is_ok_and(|it| it.ends_with(&library)), "{link}");
    }
    for header in ["include/libchat.h", "include/libchat.hpp"] {
        assert_eq!(read(&prefix.join(header)), read(&root().join(header)));
    }
    for file in expected.iter().filter(|it| it.ends_with(".pc") || it.ends_with(".cmake")) {
        let content = read(&prefix.join(file));
        assert!(!content.contains("the package") && !content.contains('@'), "{file}:\n{content}");
    }
}

#[test]
fn a_prefix_that_is_not_absolute_is_refused() {
    let output = installer("usr", "lib").output().expect("sh runs");
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error, "scripts/install: PREFIX=usr: is no absolute path\n");
}

#[test]
fn the_library_has_its_name_and_shows_only_what_is_its_own() {
    let package = Package::install("lib");
    let library = package.prefix().join("lib/libchat.so");
    let dynamic = dynamic(&library);
    assert!(dynamic.contains(&format!("soname: [libchat.so.{}]", series())), "{dynamic}");
    assert!(dynamic.contains("NODELETE") && !dynamic.contains("PATH"), "{dynamic}");
    let system = ["libc.", "libgcc_s.", "libm.", "ld-linux", "libpthread.", "libdl.", "librt."];
    let is_system = |name: &str| system.iter().any(|it| name.starts_with(it));
    assert!(needed(&dynamic).into_iter().all(is_system), "{dynamic}");
    let symbols = run(Command::new("nm").args(["-D", "--defined-only"]).arg(&library));
    let names: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert!(names.contains(&"libchat_version"), "{symbols}");
    assert!(names.iter().all(|name| name.starts_with("libchat_")), "{symbols}");
}

/// By make and as a release, where the other tests install what `cargo test` has built.
#[test]
fn what_make_installs_is_stripped() {
    if !is_long() {
        return;
    }
    let folder = scratch();
    let mut make = Command::new("make");
    make.current_dir(root()).arg("install").env_remove("LIBCHAT_BUILD");
    run(make.arg(format!("PREFIX={}", folder.path().display())));
    for file in ["lib/libchat.so", "bin/libchat"] {
        let sections = run(Command::new("readelf").arg("-SW").arg(folder.path().join(file)));
        assert!(!sections.contains(".symtab") && !sections.contains(".debug"), "{sections}");
    }
    let version = run(Command::new(folder.path().join("bin/libchat")).arg("--version"));
    assert_eq!(version, format!("libchat {VERSION}\n"));
}

#[test]
fn examples_build_by_pkg_config_and_run() {
    if !is_there("pkg-config") || !is_there("c++") {
        return;
    }
    let package = Package::install("lib");
    let shared = package.build_examples("shared", "$(pkg-config --cflags --libs libchat)");
    for program in files(&shared) {
        let dynamic = dynamic(&shared.join(&program));
        assert!(needed(&dynamic).contains(&&*format!("libchat.so.{}", series())), "{dynamic}");
        assert!(!dynamic.contains("PATH"), "{program}: {dynamic}");
    }
    package.check_examples(&shared);

    let archive = package.build_examples("archive", "$(pkg-config --cflags --libs libchat-static)");
    for program in files(&archive) {
        let dynamic = dynamic(&archive.join(&program));
        assert!(!dynamic.contains("libchat"), "{program}: {dynamic}");
    }
    package.check_examples(&archive);
}

/// What `pkg-config --static` is for.
#[test]
fn a_program_without_any_shared_library_runs() {
    if !is_there("pkg-config") {
        return;
    }
    let libc = run(Command::new("cc").arg("-print-file-name=libc.a"));
    if !Path::new(libc.trim()).is_absolute() {
        return not_run("static link: there is no libc.a");
    }
    let package = Package::install("lib");
    let program = package.build(
        "c/hello.c",
        "static",
        "-static $(pkg-config --static --cflags --libs libchat)",
    );
    assert!(needed(&dynamic(&program)).is_empty());
    assert_eq!(feed(&mut Server::start().command(&program, &[]), ""), "stored as number 1\n");
}

#[test]
fn pkg_config_finds_a_package_that_was_moved_or_staged() {
    if !is_there("pkg-config") {
        return;
    }
    let server = Server::start();
    let moved = Package::install("lib64").moved();
    let flags = "$(pkg-config --define-prefix --cflags --libs libchat-static)";
    let program = moved.build("c/hello.c", "moved", flags);
    assert_eq!(feed(&mut server.command(&program, &[]), ""), "stored as number 1\n");

    let staged = Package { folder: scratch(), name: "stage/opt/chat", libdir: "lib" };
    let stage = staged.folder.path().join("stage");
    run(installer("/opt/chat", "lib").env("DESTDIR", &stage));
    let flags = "$(PKG_CONFIG_SYSROOT_DIR=$STAGE pkg-config --cflags --libs libchat-static)";
    let program = staged.build("c/hello.c", "staged", flags);
    assert_eq!(feed(&mut server.command(&program, &[]), ""), "stored as number 2\n");
}

/// From a folder to which the package was moved, since its configuration is to bear that.
#[test]
fn examples_build_by_find_package_and_run() {
    if !is_there("cmake") || !is_there("c++") {
        return;
    }
    let package = Package::install("lib64").moved();
    let configuration = package.library_folder().join("cmake/libchat");
    for target in ["libchat", "static"] {
        let build = package.folder.path().join(target);
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(root().join("examples")).arg("-B").arg(&build);
        configure.arg(format!("-Dlibchat_DIR={}", configuration.display()));
        configure.arg(format!("-DLIBCHAT={target}")).arg("-DCMAKE_EXPORT_COMPILE_COMMANDS=ON");
        run(&mut configure);
        run(Command::new("cmake").arg("--build").arg(&build).arg("--parallel"));
        let commands = read(&build.join("compile_commands.json"));
        assert!(commands.contains("-std=c11") && commands.contains("-std=c++17"), "{commands}");
        package.check_examples(&build);
    }
}

#[test]
fn cmake_accepts_the_versions_of_its_series() {
    if !is_there("cmake") {
        return;
    }
    let package = Package::install("lib");
    let [next, newer] = neighbours();
    let asked = ["", &series(), VERSION, &format!("{VERSION} EXACT"), &next, &newer, "99"];
    let found: Vec<bool> = asked.iter().map(|it| package.cmake_finds(it)).collect();
    assert_eq!(found, [true, true, true, true, false, false, false], "{asked:?}");
}

/// The next series, and the next version of this one.
fn neighbours() -> [String; 2] {
    let parts: Vec<u32> = VERSION.split('.').map(|it| it.parse().expect("a number")).collect();
    let next =
        if parts[0] == 0 { format!("0.{}", parts[1] + 1) } else { format!("{}", parts[0] + 1) };
    [next, format!("{}.{}.{}", parts[0], parts[1], parts[2] + 1)]
}

#[test]
fn resume_loses_nothing_and_repeats_nothing_over_kills() {
    let package = Package::install("lib");
    let flags = r#"'-I"$PREFIX"/include "$PREFIX"/lib/libchat.a' -lm -ldl"#;
    let program = package.build("c/resume.c", "by hand", flags);
    let server = Server::start();
    let ledger = server.0.path().join("ledger");
    let lines = || fs::read_to_string(&ledger).unwrap_or_default().matches('\n').count();
    let (sending, sent) = (AtomicBool::new(true), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| server.send_while(&sending, &sent));
        let kills = if is_long() { 50 } else { 5 };
        for kill in 0..kills {
            let goal = lines() + 40;
            let mut running = Running::start(&mut server.command(&program, &["ledger"]));
            let first = running.line();
            assert_eq!(first == "after number 0\n", kill == 0, "{first}");
            wait_for("40 lines more", || lines() >= goal);
            running.child.kill().expect("SIGKILL");
        }
        sending.store(false, Ordering::Relaxed);
    });
    let sent = sent.into_inner();
    let _running = Running::start(&mut server.command(&program, &["ledger"]));
    wait_for("all lines", || lines() >= sent);
    let dealt_with = read(&ledger);
    let found = dealt_with.lines().filter_map(|line| line.split(' ').nth(1));
    for (i, found) in found.enumerate() {
        assert_eq!(found, format!("ben\t{i}"), "line {i} of {sent}");
    }
    assert_eq!(lines(), sent);
}
