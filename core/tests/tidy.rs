//! The rules of CONTRIBUTING.md that a machine can check, for every crate of the workspace.
//!
//! A finding reads `file:line: what is wrong: how to repair it`. The second half of this file
//! breaks each rule on a small text, so that a check that finds nothing is known to be able to.

use std::fs;
use std::path::{Path, PathBuf};

use rust::{code_only, has_word, is_word, item_len, unit_tests};

#[path = "tidy/rust.rs"]
mod rust;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 100;

/// Words that stay out of code that is not a test, and what to do instead.
const BANNED: [(&str, &str); 8] = [
    ("println!", "return the text, or log it with tracing"),
    ("print!", "return the text, or log it with tracing"),
    ("eprintln!", "return an error, or log it with tracing"),
    ("eprint!", "return an error, or log it with tracing"),
    ("dbg!", "remove it"),
    ("todo!", "write it, or leave the function out"),
    ("unimplemented!", "write it, or leave the function out"),
    (".unwrap()", "return the error, or say with `expect` why it cannot fail"),
];
/// Programs for people: they may print.
const PRINTING: [&str; 3] = ["cli/", "bench/", "tests/faults/"];
/// Where `unsafe` may stand; `core/src/lib.rs` tells the compiler the same.
const UNSAFE: [&str; 2] = ["core/src/bridge.rs", "ffi/src/"];

#[test]
fn modules_use_only_what_is_declared_above_them() {
    let files = sources("core/src");
    let order = modules(&lib(&files).code);
    assert!(!order.is_empty(), "core/src/lib.rs: no `mod x;` line was understood");
    report(files.iter().flat_map(|file| module_order(file, &order)).collect());
}

#[test]
fn files_and_functions_are_short() {
    let short = |file: &Source| [long_file(file), long_functions(file)].concat();
    report(products().iter().flat_map(short).collect());
}

#[test]
fn lines_are_short_and_hold_no_stray_space() {
    let folders = ["src", "tests", "examples", "benches"];
    let of =
        |member: &String| folders.map(|folder| sources(&format!("{member}/{folder}"))).concat();
    report(members().iter().flat_map(of).flat_map(|file| layout(&file)).collect());
}

#[test]
fn product_code_neither_prints_nor_panics_in_passing() {
    report(products().iter().flat_map(banned_words).collect());
}

#[test]
fn unsafe_stays_in_its_modules() {
    report(products().iter().flat_map(stray_unsafe).collect());
}

#[test]
fn every_dependency_says_why_it_is_here() {
    report(unexplained_dependencies(&read("Cargo.toml")));
}

#[test]
fn front_pages_are_short() {
    report([long_page("README.md", 200), long_page("ARCHITECTURE.md", 150)].concat());
}

#[test]
fn the_guides_name_only_tests_that_exist() {
    for guide in ["tests/README.md", "docs/reliability.md", "docs/security.md"] {
        let named = mentions(&read(guide));
        assert!(!named.is_empty(), "{guide}: names no test: write `file.rs::test_name`");
        let files = all_files(&root());
        report(named.iter().filter_map(|mention| missing(mention, &files)).collect());
    }
}

/// A Rust file: its text, and the same with comments and literals blanked out.
#[derive(Clone)]
struct Source {
    name: String,
    text: String,
    code: String,
    /// Index of the line where the unit tests at the end begin.
    tests_from: usize,
}

impl Source {
    fn new(name: &str, text: String) -> Source {
        let code = code_only(&text);
        let tests_from = if name.ends_with("/tests.rs") { 0 } else { unit_tests(&code) };
        Source { name: name.to_owned(), text, code, tests_from }
    }

    /// The lines that are no unit test, comments and literals blanked, counted from 1.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().take(self.tests_from).enumerate().map(|(i, line)| (i + 1, line))
    }

    fn at(&self, line: usize, finding: &str) -> String {
        format!("{}:{line}: {finding}", self.name)
    }
}

fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.parent().expect("core/ is in the workspace").to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}: write it"))
}

/// The folders of the workspace's crates.
fn members() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let list = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next());
    let quoted = list.expect("Cargo.toml: members").split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// The `src` of every crate.
fn products() -> Vec<Source> {
    members().iter().flat_map(|member| sources(&format!("{member}/src"))).collect()
}

/// The Rust files under a folder of the workspace; none if it does not exist.
fn sources(folder: &str) -> Vec<Source> {
    let files = all_files(&root().join(folder));
    let rust = files.into_iter().filter(|name| name.ends_with(".rs"));
    rust.map(|name| Source::new(&name, read(&name))).collect()
}

fn lib(files: &[Source]) -> &Source {
    files.iter().find(|it| it.name == "core/src/lib.rs").expect("core/src/lib.rs")
}

/// Every file below `folder`, named from the workspace's root; nothing hidden, nothing built.
fn all_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("folder entry").path();
        let name =
            path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        let last = name.rsplit('/').next().unwrap_or_default();
        if last.starts_with('.') || last == "target" {
            continue;
        }
        if path.is_dir() { found.extend(all_files(&path)) } else { found.push(name) }
    }
    found.sort();
    found
}

#[track_caller]
fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The `mod x;` lines of lib.rs, in their order; inline modules re-export and are left out.
fn modules(lib: &str) -> Vec<&str> {
    let forms = ["mod ", "pub mod ", "pub(crate) mod "];
    let declared = lib.lines().filter_map(|line| {
        let name = forms.iter().find_map(|form| line.strip_prefix(form))?;
        Some(name.split_once(';')?.0)
    });
    declared.filter(|name| name.chars().all(is_word)).collect()
}

fn module_order(file: &Source, order: &[&str]) -> Vec<String> {
    let path = file.name.trim_start_matches("core/src/").trim_end_matches(".rs");
    let module = path.split('/').next().unwrap_or_default();
    if module == "lib" {
        return Vec::new();
    }
    let Some(place) = order.iter().position(|it| *it == module) else {
        return vec![
            file.at(1, &format!("unused: put `mod {module};` into core/src/lib.rs or remove it")),
        ];
    };
    let mut found = Vec::new();
    for (i, line) in file.code.lines().enumerate() {
        if line.contains("use crate::{") {
            found.push(file.at(i + 1, "`use crate::{`: write one `use crate::x` for each module"));
        }
        for later in order[place + 1..].iter().filter(|it| has_word(line, &format!("crate::{it}")))
        {
            let why = format!("{module} uses {later}, declared below it: move what both need up");
            found.push(file.at(i + 1, &why));
        }
        let face = |at: usize| line[at + 7..].starts_with(|c: char| c.is_ascii_uppercase());
        if i < file.tests_from && line.match_indices("crate::").any(|(at, _)| face(at)) {
            found.push(file.at(i + 1, "a name re-exported by lib.rs: write `crate::module::Name`"));
        }
    }
    found
}

fn long_file(file: &Source) -> Vec<String> {
    let lines = file.product().filter(|(_, line)| !line.trim().is_empty()).count();
    let why =
        format!("{lines} lines of code, {FILE_LINES} is the limit: give a part its own module");
    if lines > FILE_LINES { vec![file.at(1, &why)] } else { Vec::new() }
}

fn long_functions(file: &Source) -> Vec<String> {
    let product: String = file.product().map(|(_, line)| format!("{line}\n")).collect();
    let mut found = Vec::new();
    for (start, _) in product.match_indices("fn ") {
        let name: String = product[start + 3..].chars().take_while(|&c| is_word(c)).collect();
        if name.is_empty() || product[..start].ends_with(is_word) {
            continue;
        }
        let body = &product[start..start + item_len(&product[start..])];
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES {
            let line = product[..start].matches('\n').count() + 1;
            let why = format!("{name} has {lines} lines, {FUNCTION_LINES} is the limit: split it");
            found.push(file.at(line, &why));
        }
    }
    found
}

fn layout(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let width = line.chars().count();
        if width > COLUMNS {
            let why = format!(
                "{width} columns, {COLUMNS} is the limit: wrap it (cargo fmt --all wraps code)"
            );
            found.push(file.at(i + 1, &why));
        }
        if line.ends_with(char::is_whitespace) {
            found.push(file.at(i + 1, "space at the end of the line: remove it (cargo fmt --all)"));
        }
        if line.contains('\t') {
            found.push(file.at(i + 1, "a tab: write spaces, or \\t in a literal"));
        }
    }
    found
}

fn banned_words(file: &Source) -> Vec<String> {
    let prints = PRINTING.iter().any(|member| file.name.starts_with(member));
    let banned = BANNED.iter().filter(|(word, _)| !(prints && word.contains("print")));
    let in_line = |(number, line): (usize, &str)| {
        let hits = banned.clone().filter(|(word, _)| has_word(line, word)).collect::<Vec<_>>();
        hits.into_iter()
            .map(|(word, instead)| file.at(number, &format!("{word}: {instead}")))
            .collect()
    };
    file.product().flat_map(|it| -> Vec<String> { in_line(it) }).collect()
}

fn stray_unsafe(file: &Source) -> Vec<String> {
    if UNSAFE.iter().any(|place| file.name.starts_with(place)) {
        return Vec::new();
    }
    let hits = file.product().filter(|(_, line)| has_word(line, "unsafe"));
    hits.map(|(number, _)| file.at(number, &format!("unsafe: do it in {}", UNSAFE.join(" or "))))
        .collect()
}

/// Our own crates, taken by path, need no reason.
fn unexplained_dependencies(manifest: &str) -> Vec<String> {
    let (mut inside, mut above, mut found) = (false, "", Vec::new());
    for (i, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        }
        let named = line.starts_with(|c: char| c.is_ascii_alphanumeric()) && line.contains('=');
        if inside && named && !line.contains("path = ") && !above.starts_with('#') {
            let name = line.split_whitespace().next().unwrap_or_default();
            found.push(format!(
                "Cargo.toml:{}: {name}: say in a comment above why it is here",
                i + 1
            ));
        }
        above = line;
    }
    found
}

fn long_page(name: &str, limit: usize) -> Vec<String> {
    let lines = read(name).lines().count();
    let why = format!("{name}:{lines}: it must stay under {limit} lines: move detail to docs/");
    if lines >= limit { vec![why] } else { Vec::new() }
}

/// A file, and maybe a test in it, named between backticks in tests/README.md.
#[derive(Clone, Debug, PartialEq)]
struct Mention {
    line: usize,
    file: String,
    test: Option<String>,
}

fn mentions(guide: &str) -> Vec<Mention> {
    let suffixes = [".rs", ".py", ".go", ".c", ".cpp", ".json"];
    let mut found = Vec::new();
    for (i, line) in guide.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let (file, test) =
                quoted.split_once("::").map_or((quoted, None), |(f, t)| (f, Some(t)));
            let plain = file.chars().all(|c| is_word(c) || "./-".contains(c));
            if plain && suffixes.iter().any(|suffix| file.ends_with(suffix)) {
                let test = test.and_then(|it| it.rsplit("::").next()).map(str::to_owned);
                found.push(Mention { line: i + 1, file: file.to_owned(), test });
            }
        }
    }
    found
}

fn missing(mention: &Mention, files: &[String]) -> Option<String> {
    let Mention { line, file, test } = mention;
    let named = |it: &&String| *it == file || it.ends_with(&format!("/{file}"));
    let places: Vec<&String> = files.iter().filter(named).collect();
    if places.is_empty() {
        return Some(format!("tests/README.md:{line}: {file}: no such file: name one that exists"));
    }
    let test = test.as_ref()?;
    let found = places.iter().any(|place| defines(place, &read(place), test));
    let why = format!("tests/README.md:{line}: {file} has no test {test}: name one that exists");
    (!found).then_some(why)
}

fn defines(file: &str, text: &str, test: &str) -> bool {
    let text = if file.ends_with(".rs") { code_only(text) } else { text.to_owned() };
    ["fn", "def", "func"].iter().any(|keyword| has_word(&text, &format!("{keyword} {test}")))
}

#[track_caller]
fn finds(rule: fn(&Source) -> Vec<String>, name: &str, text: &str, expected: &[&str]) {
    assert_eq!(rule(&Source::new(name, text.to_owned())), expected);
}

#[test]
fn a_use_of_a_later_module_is_found() {
    let order =
        modules("mod a; // first\npub mod b;\npub(crate) mod c;\npub mod wire {\n}\nmod d;\n");
    assert_eq!(order, ["a", "b", "c", "d"]);

    let in_b =
        |text: &str| module_order(&Source::new("core/src/b.rs", text.to_owned()), &["a", "b", "c"]);
    assert_eq!(in_b("use crate::a::X; // crate::c::Y\n"), Vec::<String>::new());
    let found = ["core/src/b.rs:2: b uses c, declared below it: move what both need up"];
    assert_eq!(in_b("use crate::a::X;\nuse crate::c;\n"), found);
    let found = ["core/src/b.rs:1: `use crate::{`: write one `use crate::x` for each module"];
    assert_eq!(in_b("use crate::{a::X};\n"), found);
    let found = ["core/src/b.rs:1: a name re-exported by lib.rs: write `crate::module::Name`"];
    assert_eq!(in_b("use crate::Manager;\n"), found);
    let unused = module_order(&Source::new("core/src/x/y.rs", String::new()), &["a"]);
    assert_eq!(
        unused,
        ["core/src/x/y.rs:1: unused: put `mod x;` into core/src/lib.rs or remove it"]
    );
}

#[test]
fn length_is_counted_without_comments_blanks_and_unit_tests() {
    let filler = "    // why\n\n    call(\"{\", '{', '\"');\n";
    let tests = "#[cfg(test)]\nmod tests {\n    fn x() {}\n}\n";
    let function =
        |calls: usize| format!("\nfn f<'a>(x: [u8; 2]) {{\n{}}}\n{tests}", filler.repeat(calls));
    finds(long_functions, "a.rs", &function(68), &[]);
    finds(
        long_functions,
        "a.rs",
        &function(69),
        &["a.rs:2: f has 71 lines, 70 is the limit: split it"],
    );
    finds(long_file, "a.rs", &function(398), &[]);
    let found = "a.rs:1: 401 lines of code, 400 is the limit: give a part its own module";
    finds(long_file, "a.rs", &function(399), &[found]);
}

#[test]
fn long_lines_tabs_and_spaces_are_found() {
    finds(layout, "a.rs", &"ä".repeat(100), &[]);
    let long = "a.rs:1: 101 columns, 100 is the limit: wrap it (cargo fmt --all wraps code)";
    finds(layout, "a.rs", &"ä".repeat(101), &[long]);
    let space = "a.rs:2: space at the end of the line: remove it (cargo fmt --all)";
    finds(layout, "a.rs", "x\ny \n", &[space]);
    finds(layout, "a.rs", "\tx\n", &["a.rs:1: a tab: write spaces, or \\t in a literal"]);
}

#[test]
fn banned_words_are_found_in_code_only() {
    let text = "//! println!()\nfn f() {\n    s(r#\"dbg!(\"x\")\"#); /* a /* todo!() */ b */\n}\n";
    finds(banned_words, "core/src/a.rs", text, &[]);
    let text = "fn f() { x.unwrap(); }\n\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    todo!()\n}\n";
    let found = ".unwrap(): return the error, or say with `expect` why it cannot fail";
    finds(banned_words, "core/src/a.rs", text, &[&format!("core/src/a.rs:1: {found}")]);
    finds(banned_words, "cli/src/a.rs", "fn f() { println!() }\n", &[]);
    let found = "core/src/a.rs:1: println!: return the text, or log it with tracing";
    finds(banned_words, "core/src/a.rs", "fn f() { println!() }\n", &[found]);
}

#[test]
fn unsafe_elsewhere_is_found() {
    finds(stray_unsafe, "core/src/a.rs", "#![deny(unsafe_code)]\n", &[]);
    finds(stray_unsafe, "core/src/bridge.rs", "unsafe {}\n", &[]);
    let found = "core/src/a.rs:1: unsafe: do it in core/src/bridge.rs or ffi/src/";
    finds(stray_unsafe, "core/src/a.rs", "unsafe {}\n", &[found]);
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let ours = "[workspace.dependencies]\nlibchat = { path = \"core\" }\n";
    let manifest = format!("{ours}# Why.\na = \"1\"\nb = \"1\"\n\n[x]\nc = 1\n");
    let found = ["Cargo.toml:5: b: say in a comment above why it is here"];
    assert_eq!(unexplained_dependencies(&manifest), found);
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let found =
        mentions("| 1 | `tidy.rs::tests::x`, `nowhere.py` | `make test`, `tests/wire/*.json` |\n");
    let tidy = Mention { line: 1, file: "tidy.rs".into(), test: Some("x".into()) };
    let nowhere = Mention { line: 1, file: "nowhere.py".into(), test: None };
    assert_eq!(found, [tidy, nowhere]);

    let files = ["core/tests/tidy.rs".to_owned()];
    let why = |mention| missing(mention, &files).unwrap_or_default();
    assert_eq!(why(&found[0]), "tests/README.md:1: tidy.rs has no test x: name one that exists");
    assert_eq!(why(&found[1]), "tests/README.md:1: nowhere.py: no such file: name one that exists");
    let real =
        Mention { test: Some("a_test_that_does_not_exist_is_found".into()), ..found[0].clone() };
    assert_eq!(why(&real), "");
    assert!(!defines("a.rs", "// fn x()\n", "x") && defines("a.py", "def x():\n", "x"));
}
