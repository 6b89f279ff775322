//! include/libchat.h is what cbindgen makes of ffi/src, section by section, laid out for readers.

mod common;

use std::fs;

use cbindgen::{Builder, Config, DocumentationLength, DocumentationStyle, Language, Style};

use common::{read, root};

const COLUMNS: usize = 100;
const LINES: usize = 950;

#[test]
fn the_header_is_what_the_source_says() {
    let path = root().join("include/libchat.h");
    let made = header();
    if std::env::var_os("LIBCHAT_UPDATE_HEADER").is_some() {
        fs::write(&path, &made).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let same = made.lines().zip(committed.lines()).take_while(|(made, old)| made == old).count();
    let line = same + 1;
    assert!(made == committed, "include/libchat.h:{line} is not what ffi/src says: make header");
}

#[test]
fn the_header_can_be_read_in_one_sitting() {
    let made = header();
    let lines = made.lines().count();
    assert!(lines < LINES, "libchat.h has {lines} lines, {LINES} is the limit");
    let long = made.lines().position(|line| line.len() > COLUMNS);
    assert_eq!(long.map(|at| at + 1), None, "a line of more than {COLUMNS} columns");
}

fn header() -> String {
    let frame = read(&root().join("ffi/libchat.h.in"));
    let lib = read(&root().join("ffi/src/lib.rs"));
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    frame
        .replace("@MAJOR@", env!("CARGO_PKG_VERSION_MAJOR"))
        .replace("@MINOR@", env!("CARGO_PKG_VERSION_MINOR"))
        .replace("@PATCH@", env!("CARGO_PKG_VERSION_PATCH"))
        .replace("@SECTIONS@\n", &names.map(section).collect::<String>())
}

/// One module as C: its title and prose, then what it declares, in its order.
fn section(module: &str) -> String {
    let path = root().join(format!("ffi/src/{module}.rs"));
    let source = read(&path);
    let prose = source.lines().map_while(|line| line.strip_prefix("//!"));
    let prose: String = prose.map(|line| format!(" *{line}\n")).collect();
    let mut config = config();
    config.export.include = types(&source);
    let bindings = Builder::new().with_config(config).with_src(&path).generate();
    let mut code = Vec::new();
    bindings.expect("cbindgen reads it").write(&mut code);
    let mut items = items(&String::from_utf8(code).expect("UTF-8"));
    items.sort_by_key(|item| position(&source, &item.name));
    let mut text = format!("\n/*\n{prose} */\n");
    let mut above = "";
    for item in &items {
        // Constants follow each other, and the type they are of, without a gap.
        let is_close = item.is_constant() && (above.starts_with("#define") || above.ends_with(';'));
        let is_alias = above.starts_with("#define") || !above.contains(['{', '(']);
        text.push_str(if is_close && is_alias && !above.is_empty() { "" } else { "\n" });
        item.lines.iter().for_each(|line| text.extend([line, "\n"]));
        above = &item.declaration;
    }
    text
}

fn config() -> Config {
    Config {
        language: Language::C,
        style: Style::Both,
        no_includes: true,
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::C,
        documentation_length: DocumentationLength::Full,
        line_length: COLUMNS,
        tab_width: 4,
        ..Config::default()
    }
}

/// The types that a module declares: cbindgen would leave out those it sees no use of.
fn types(source: &str) -> Vec<String> {
    let declared = |line: &str| {
        let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub type "))?;
        rest.split(|c: char| !is_word(c)).next().map(str::to_owned)
    };
    source.lines().filter_map(declared).collect()
}

/// Where a module declares a name.
fn position(source: &str, name: &str) -> usize {
    let declares = |keyword: &str| {
        source.match_indices(&format!("{keyword} {name}")).find_map(|(at, found)| {
            let ends = !source[at + found.len()..].starts_with(is_word);
            ends.then_some(at)
        })
    };
    ["struct", "type", "const", "fn"].into_iter().find_map(declares).expect(name)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A declaration with the comment above it.
struct Item {
    name: String,
    declaration: String,
    lines: Vec<String>,
}

impl Item {
    fn is_constant(&self) -> bool {
        self.declaration.starts_with("#define")
    }
}

/// cbindgen's output in its parts.
fn items(code: &str) -> Vec<Item> {
    let mut lines = code.lines().map(str::trim_end);
    let mut items = Vec::new();
    while let Some(line) = lines.find(|line| !line.is_empty()) {
        let comment = if line == "/*" { comment("", &mut lines) } else { Vec::new() };
        let first = if comment.is_empty() { line } else { lines.next().expect("what it is about") };
        let declaration = if first.starts_with("#define") || first.ends_with('{') {
            first.to_owned()
        } else {
            whole(first, &mut lines)
        };
        let declaration = without_struct(&declaration);
        let mut laid_out = beside(comment, filled(&declaration));
        if first.ends_with('{') {
            laid_out.extend(fields(&mut lines));
        }
        items.push(Item { name: name(&declaration), declaration, lines: laid_out });
    }
    items
}

/// The rest of a comment, which begins in the line before: in one line if it has only one.
fn comment<'a>(indent: &str, lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let text = lines.take_while(|line| line.trim() != "*/");
    let bare = text.map(|line| line.strip_prefix(indent).unwrap_or(line));
    let mut comment: Vec<String> =
        bare.map(|line| format!("{indent} *{line}").trim_end().to_owned()).collect();
    let first = comment.first_mut().expect("some text");
    first.replace_range(indent.len()..indent.len() + 2, "/*");
    let last = comment.last_mut().expect("a line");
    if last.len() + 3 > COLUMNS {
        comment.push(format!("{indent} */"));
    } else {
        last.push_str(" */");
    }
    comment
}

/// A declaration that cbindgen has broken into lines.
fn whole<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut whole = first.to_owned();
    while !whole.ends_with(';') {
        whole = format!("{whole} {}", lines.next().expect("the rest").trim());
    }
    whole
}

/// The fields of a struct and its end.
fn fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some(line) = lines.find(|line| !line.is_empty()) {
        let comment = if line == "    /*" { comment("    ", lines) } else { Vec::new() };
        let field = if comment.is_empty() { line } else { lines.next().expect("a field") };
        fields.extend(beside(comment, vec![without_struct(field)]));
        if field.starts_with('}') {
            break;
        }
    }
    fields
}

/// Types go by their names alone, but where they are declared.
fn without_struct(declaration: &str) -> String {
    // What holds a descriptor or a handle has this name in C; cbindgen calls every isize the other.
    let declaration = declaration.replace("ptrdiff_t", "intptr_t");
    match declaration.strip_prefix("typedef struct") {
        Some(rest) => format!("typedef struct{}", rest.replace("struct ", "")),
        None => declaration.replace("struct libchat_", "libchat_"),
    }
}

/// The name that a declaration is about.
fn name(declaration: &str) -> String {
    let words = |text: &str| {
        let words = text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let (head, _) = declaration.split_once(['{', '(']).unwrap_or((declaration, ""));
    match declaration.split_once("(*") {
        _ if head.starts_with("#define") => words(head).swap_remove(1),
        Some((_, rest)) if head.starts_with("typedef") => words(rest).swap_remove(0),
        _ => words(head).pop().expect("a name"),
    }
}

/// A declaration, broken at commas where it is long.
fn filled(declaration: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in declaration.split_inclusive(", ") {
        let line = lines.last_mut().expect("a line");
        if !line.is_empty() && line.len() + part.trim_end().len() > COLUMNS {
            *line = line.trim_end().to_owned();
            lines.push(format!("    {part}"));
        } else {
            line.push_str(part);
        }
    }
    lines
}

/// A comment of one line stands behind a constant or a field, if both fit in a line.
fn beside(mut comment: Vec<String>, declaration: Vec<String>) -> Vec<String> {
    if let ([text], [line]) = (&comment[..], &declaration[..])
        && line.starts_with(['#', ' '])
    {
        let column = if line.starts_with('#') { 42 } else { 36 };
        let padded = format!("{line:column$} {}", text.trim_start());
        let close = format!("{line} {}", text.trim_start());
        if let Some(both) = [padded, close].into_iter().find(|both| both.len() <= COLUMNS) {
            return vec![both];
        }
    }
    comment.extend(declaration);
    comment
}
