//! As much of Rust's grammar as the tidy checks need: words, comments, literals, braces.

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let inner = |edge: Option<char>, outer: Option<char>| {
        edge.is_some_and(is_word) && outer.is_some_and(is_word)
    };
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !inner(word.chars().next(), before.chars().next_back())
            && !inner(word.chars().next_back(), after.chars().next())
    })
}

/// Index of the `#[cfg(test)]` that begins the unit tests; the number of lines if there are none.
pub(crate) fn unit_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().collect();
    let is_test =
        |line: &str| line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,");
    let opens = |i: usize| {
        let item =
            lines[i + 1..].iter().find(|line| !line.starts_with("#[") && !line.trim().is_empty());
        item.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    (0..lines.len()).find(|&i| is_test(lines[i]) && opens(i)).unwrap_or(lines.len())
}

/// The length of a function from its `fn` to its closing brace, or to `;` if it has no body.
pub(crate) fn item_len(code: &str) -> usize {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (i, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => curly += 1,
            '}' => curly -= 1,
            _ => {}
        }
        if (c == '}' && curly == 0) || (c == ';' && curly == 0 && round == 0) {
            return i + 1;
        }
    }
    code.len()
}

/// Blanks comments, and fills literals with `"`; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (len, fill) = token(rest);
        let (this, next) = rest.split_at(len);
        match fill {
            Some(fill) => code.extend(this.chars().map(|c| if c == '\n' { c } else { fill })),
            None => code.push_str(this),
        }
        rest = next;
    }
    code
}

/// Length of the comment, literal, word or sign that `rest` begins with, and what to put for it.
fn token(rest: &str) -> (usize, Option<char>) {
    let until = |end: &str, from: usize| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    let unprefixed = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = rest.len() - unprefixed.len();
    let hashes = unprefixed.len() - unprefixed.trim_start_matches('#').len();
    let first = rest.chars().next().unwrap_or_default();

    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), Some(' '))
    } else if rest.starts_with("/*") {
        (block_comment_len(rest), Some(' '))
    } else if rest[..prefix].ends_with('r') && unprefixed[hashes..].starts_with('"') {
        (until(&format!("\"{}", "#".repeat(hashes)), prefix + hashes + 1), Some('"'))
    } else if prefix < 2 && (unprefixed.starts_with('"') || is_char_literal(unprefixed)) {
        (prefix + quoted_len(unprefixed), Some('"'))
    } else if is_word(first) {
        (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), None)
    } else {
        (first.len_utf8(), None)
    }
}

fn block_comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(sign) = rest[at..].find(['/', '*']).map(|found| at + found) {
        at = sign + 1;
        match rest.get(sign..sign + 2) {
            Some("/*") => (depth, at) = (depth + 1, sign + 2),
            Some("*/") => (depth, at) = (depth - 1, sign + 2),
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A lifetime begins like a character does, but has no second quote.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars();
    matches!(
        (chars.next(), chars.next(), chars.next()),
        (Some('\''), Some('\\'), _) | (Some('\''), _, Some('\''))
    )
}

fn quoted_len(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    let quote = chars.next().map(|(_, c)| c);
    while let Some((i, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return i + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        let blank = code_only("a // b\nc /*/ d /* e */\n*/ f");
        assert_eq!(blank, format!("a     \nc {}\n   f", " ".repeat(13)));
        assert_eq!(
            code_only(r#"x("{\"}", '{', b'\'', r"\", y)"#),
            r#"x("""""", """, """"", """", y)"#
        );
        let filled = code_only("br##\"}\"# \"## for<'a, 'b> r#type");
        assert_eq!(filled, format!("{} for<'a, 'b> r#type", "\"".repeat(12)));
    }

    #[test]
    fn an_item_ends_with_its_brace() {
        assert_eq!(item_len("fn f(x: [u8; 2]) { { ; } } }"), 26);
        assert_eq!(item_len("fn f();}"), 7);
    }

    #[test]
    fn a_word_ends_at_its_edges() {
        assert!(has_word("(a.unwrap())", ".unwrap()") && has_word("crate::ask;", "crate::ask"));
        assert!(!has_word("unsafe_code", "unsafe") && !has_word("eprintln!", "println!"));
    }
}
