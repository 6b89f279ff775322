//! What others wrote, made fit for a terminal: no control sequences, no text that runs backwards.

use std::iter::Peekable;
use std::str::Chars;

const ESC: char = '\x1b';
const BEL: char = '\x07';

/// A body: newlines and tabs stay.
pub(crate) fn body(text: &str) -> String {
    strip(text, |c| matches!(c, '\n' | '\t').then_some(c))
}

/// One line: a name, an error. Newlines and tabs become spaces.
pub(crate) fn line(text: &str) -> String {
    strip(text, |c| matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}').then_some(' '))
}

/// JSON that steers no terminal: the same to whoever reads it, with what would escaped. It can only
/// stand within texts.
pub(crate) fn quiet(json: String) -> String {
    if !json.contains(steers) {
        return json;
    }
    let mut quiet = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match steers(c) {
            true => quiet += &format!("\\u{:04x}", u32::from(c)),
            false => quiet.push(c),
        }
    }
    quiet
}

/// Drops control sequences whole and control characters one by one; `keep` says what stays of them.
fn strip(text: &str, keep: impl Fn(char) -> Option<char>) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ESC => skip_sequence(&mut chars),
            '\u{9b}' => skip_parameters(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut chars),
            c if steers(c) => plain.extend(keep(c)),
            c => plain.push(c),
        }
    }
    plain
}

/// Whether a terminal does more with it than to show it.
pub(crate) fn steers(c: char) -> bool {
    c.is_control() || steers_direction(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Marks that reorder or hide what follows them.
fn steers_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// After ESC.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_parameters(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        _ => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

/// Up to the letter that ends them.
fn skip_parameters(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// Up to what ends a string, which is a title or a link; one without an end hides nothing.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    let mut ahead = chars.clone();
    while let Some(c) = ahead.next() {
        match c {
            BEL | '\u{9c}' => {
                *chars = ahead;
                return;
            }
            ESC => {
                if ahead.next_if_eq(&'\\').is_some() {
                    *chars = ahead;
                }
                return;
            }
            c if c.is_control() => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, body: &str, line: &str) {
        assert_eq!((super::body(text).as_str(), super::line(text).as_str()), (body, line));
    }

    #[test]
    fn text_stays() {
        check("grüße, 世界 🙂 é", "grüße, 世界 🙂 é", "grüße, 世界 🙂 é");
        check("a\tb\nc\r\n", "a\tb\nc\n", "a b c ");
    }

    #[test]
    fn sequences_go_whole() {
        check("\x1b[1;31mred\x1b[0m", "red", "red");
        check("\x1b]0;title\x07x", "x", "x");
        check("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link", "link");
        check("\u{9b}2Jx\u{9d}0;t\u{9c}y", "xy", "xy");
        check("\x1bcreset\x1b(B", "reset", "reset");
        check("a\x08\x7f\0b", "ab", "ab");
    }

    #[test]
    fn a_sequence_without_an_end_hides_nothing() {
        check("\x1b]0;all that follows", "0;all that follows", "0;all that follows");
        check("\x1b]0;a\nb", "0;a\nb", "0;a b");
        check("\x1bPa\x1b[31mb", "ab", "ab");
        check("\x1b[", "", "");
        check("\x1b", "", "");
    }

    #[test]
    fn nothing_runs_backwards_or_makes_a_line_of_its_own() {
        check("a\u{202e}b\u{2066}c\u{200b}d", "abcd", "abcd");
        check("ana\u{2028}ben", "anaben", "ana ben");
    }
}
