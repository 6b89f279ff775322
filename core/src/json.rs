//! JSON as Go's encoding/json reads and writes it: one pass, no recursion, no tree.

use std::borrow::Cow;

/// Why a payload is no envelope: what was wrong, and at which byte; never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct Malformed {
    pub(crate) why: &'static str,
    pub(crate) at: usize,
}

// Go allows 10,000 open values; the envelope around them is one.
const MAX_OPEN: usize = 9_999;

/// Reads one JSON text from front to back. Every method but [`Scanner::peek`] skips the spaces
/// before what it takes.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What stands between the quotes of a string, escapes and all; the escapes are well-formed.
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    plain: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Scanner<'a> {
        Scanner { bytes, at: 0 }
    }

    /// The next byte that is no space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.next_byte() {
            self.at += 1;
        }
        self.next_byte()
    }

    /// Takes `byte` if it comes next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    pub(crate) fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(self.malformed(why)) }
    }

    /// Nothing but spaces may follow.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_some() { Err(self.malformed("more than one value")) } else { Ok(()) }
    }

    pub(crate) fn text(&mut self) -> Result<Text<'a>, Malformed> {
        self.expect(b'"', "not a string")?;
        let (start, mut plain) = (self.at, true);
        loop {
            self.at += self.rest().iter().take_while(|&&byte| PLAIN[usize::from(byte)]).count();
            match self.next_byte() {
                Some(b'"') => {
                    let raw = self.bytes.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Text { raw, plain });
                }
                Some(b'\\') => {
                    plain = false;
                    self.escape()?;
                }
                _ => return Err(self.malformed("control character in a string")),
            }
        }
    }

    /// A string, or `None` for `null`.
    pub(crate) fn text_or_null(&mut self) -> Result<Option<Text<'a>>, Malformed> {
        if self.peek() == Some(b'n') {
            return self.word("null").map(|()| None);
        }
        self.text().map(Some)
    }

    pub(crate) fn key(&mut self) -> Result<Text<'a>, Malformed> {
        let key = self.text()?;
        self.expect(b':', "no colon after a key")?;
        Ok(key)
    }

    /// Passes over any value, checking its syntax.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        let mut open = Vec::new();
        loop {
            if self.begin(&mut open)? && self.leave(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Begins a value; `true` if it is complete already.
    fn begin(&mut self, open: &mut Vec<u8>) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b'{') => return self.enter(b'}', open),
            Some(b'[') => return self.enter(b']', open),
            Some(b'"') => self.text().map(drop)?,
            Some(b'n') => self.word("null")?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            _ => self.number()?,
        }
        Ok(true)
    }

    fn enter(&mut self, closer: u8, open: &mut Vec<u8>) -> Result<bool, Malformed> {
        if open.len() == MAX_OPEN {
            return Err(self.malformed("nested too deep"));
        }
        self.at += 1;
        if self.take(closer) {
            return Ok(true);
        }
        open.push(closer);
        if closer == b'}' {
            self.key()?;
        }
        Ok(false)
    }

    /// After a complete value: leaves what ends here; `true` if nothing is open any more.
    fn leave(&mut self, open: &mut Vec<u8>) -> Result<bool, Malformed> {
        while let Some(&closer) = open.last() {
            if self.take(closer) {
                open.pop();
                continue;
            }
            self.expect(b',', "neither a comma nor an end")?;
            if closer == b'}' {
                self.key()?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    fn word(&mut self, word: &'static str) -> Result<(), Malformed> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.malformed("not a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.take_one(b"-");
        // A second digit after a leading zero is left over, and so refused by who comes next.
        if !self.take_one(b"0") {
            self.digits("not a value")?;
        }
        if self.take_one(b".") {
            self.digits("no digit after the decimal point")?;
        }
        if self.take_one(b"eE") {
            self.take_one(b"+-");
            self.digits("no digit in the exponent")?;
        }
        Ok(())
    }

    fn digits(&mut self, why: &'static str) -> Result<(), Malformed> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.malformed(why));
        }
        self.at += count;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += match self.rest() {
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'\\', b'u', hex @ ..]
                if hex.iter().take(4).filter(|b| b.is_ascii_hexdigit()).count() == 4 =>
            {
                6
            }
            _ => return Err(self.malformed("bad escape")),
        };
        Ok(())
    }

    fn take_one(&mut self, set: &[u8]) -> bool {
        let found = self.next_byte().is_some_and(|byte| set.contains(&byte));
        self.at += usize::from(found);
        found
    }

    fn next_byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn malformed(&self, why: &'static str) -> Malformed {
        let why = if self.at < self.bytes.len() { why } else { "ends too early" };
        Malformed { why, at: self.at }
    }
}

impl<'a> Text<'a> {
    /// The text meant: escapes resolved, U+FFFD for what is no UTF-8 and for lone surrogates.
    pub(crate) fn decode(&self) -> Cow<'a, str> {
        let text = replaced(self.raw);
        if self.plain { text } else { Cow::Owned(unescape(&text)) }
    }
}

/// `bytes` as text, with one U+FFFD for each byte that is not part of UTF-8, as Go converts it;
/// the standard library's lossy conversion gives one for each broken sequence.
pub fn lossy(bytes: &[u8]) -> String {
    replaced(bytes).into_owned()
}

fn replaced(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

fn unescape(mut text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    while let Some((plain, escape)) = text.split_once('\\') {
        out.push_str(plain);
        let mut rest = escape.chars();
        let c = match rest.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => utf16(&mut rest),
            Some(quoted) => quoted,
            None => char::REPLACEMENT_CHARACTER,
        };
        out.push(c);
        text = rest.as_str();
    }
    out.push_str(text);
    out
}

/// The character of a `\u` escape; takes a second one where both make a surrogate pair.
fn utf16(rest: &mut std::str::Chars<'_>) -> char {
    let Some((unit, after)) = unit(rest.as_str()) else { return char::REPLACEMENT_CHARACTER };
    *rest = after.chars();
    if let Some(c) = char::from_u32(unit.into()) {
        return c;
    }
    if let Some((low, after)) = after.strip_prefix("\\u").and_then(self::unit)
        && let Some(Ok(c)) = char::decode_utf16([unit, low]).next()
    {
        *rest = after.chars();
        return c;
    }
    char::REPLACEMENT_CHARACTER
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let (hex, after) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(hex, 16).ok()?, after))
}

/// Writes `text` as a JSON string, escaped as Go's Marshal does: `<`, `>`, `&`, U+2028 and U+2029
/// too.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = rest.iter().take_while(|&&byte| SAFE[usize::from(byte)]).count();
        let (run, tail) = rest.split_at(plain);
        out.extend_from_slice(run);
        rest = match tail {
            [] => break,
            [0xe2, 0x80, last @ (0xa8 | 0xa9), after @ ..] => {
                out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                after
            }
            [0xe2, after @ ..] => {
                out.push(0xe2);
                after
            }
            [byte, after @ ..] => {
                write_escape(out, *byte);
                after
            }
        };
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// Bytes of a string that mean themselves when read.
const PLAIN: [bool; 256] = all_but(b"\"\\");

/// Bytes of a string that are written as they are; 0xe2 begins U+2028 and U+2029.
const SAFE: [bool; 256] = all_but(b"\"\\<>&\xe2");

const fn all_but(special: &[u8]) -> [bool; 256] {
    let mut table = [true; 256];
    let mut i = 0;
    while i < 0x20 {
        table[i] = false;
        i += 1;
    }
    i = 0;
    while i < special.len() {
        table[special[i] as usize] = false;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Result<(), &str>) {
        let mut scanner = Scanner::new(json.as_bytes());
        let result = scanner.skip().and_then(|()| scanner.end());
        assert_eq!(result.map_err(|it| it.to_string()), expected.map_err(str::to_owned), "{json}");
    }

    #[track_caller]
    fn check_text(json: &[u8], expected: &str) {
        let text = Scanner::new(json).text().expect("a string");
        assert_eq!(text.decode(), expected, "{}", json.escape_ascii());
    }

    #[test]
    fn json_is_passed_over() {
        for json in [
            "null",
            " [ ] ",
            "{}",
            "[true,false,[null],{\"a\":{\"b\":[\"\\u00e9\"]},\"c\":\"\"}]",
            "-0",
            "0.5e+10",
            "1E9",
            "123.25",
        ] {
            check(json, Ok(()));
        }
    }

    #[test]
    fn what_is_no_json_is_refused_by_its_place() {
        check("", Err("ends too early at byte 0"));
        check("nul", Err("not a value at byte 0"));
        check("NaN", Err("not a value at byte 0"));
        check("+1", Err("not a value at byte 0"));
        check("01", Err("more than one value at byte 1"));
        check("-", Err("ends too early at byte 1"));
        check("1.]", Err("no digit after the decimal point at byte 2"));
        check("1e+", Err("ends too early at byte 3"));
        check("1e-x", Err("no digit in the exponent at byte 3"));
        check("[1,]", Err("not a value at byte 3"));
        check("[1 2]", Err("neither a comma nor an end at byte 3"));
        check("[1}", Err("neither a comma nor an end at byte 2"));
        check("{\"a\" 1}", Err("no colon after a key at byte 5"));
        check("{\"a\":1,}", Err("not a string at byte 7"));
        check("{1:1}", Err("not a string at byte 1"));
        check("[1] x", Err("more than one value at byte 4"));
        check("\"a\tb\"", Err("control character in a string at byte 2"));
        check("\"a\\x\"", Err("bad escape at byte 2"));
        check("\"\\u12g4\"", Err("bad escape at byte 1"));
        check("\"abc", Err("ends too early at byte 4"));
        check("\u{b}1", Err("not a value at byte 0"));
    }

    #[test]
    fn nesting_costs_no_stack_and_has_gos_limit() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        check(&nested(MAX_OPEN), Ok(()));
        check(&nested(MAX_OPEN + 1), Err("nested too deep at byte 9999"));
    }

    #[test]
    fn a_string_means_what_go_makes_of_it() {
        check_text(br#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz");
        check_text(br#""\u003cb\u003E""#, "<b>");
        check_text(br#""\ud83d\uDE00!""#, "😀!");
        check_text(br#""\ud83dx""#, "\u{fffd}x");
        check_text(br#""\ude00\ud83d""#, "\u{fffd}\u{fffd}");
        check_text(br#""\ud83d\u0041""#, "\u{fffd}A");
        check_text(br#""\ud83d\ud83d\ude00""#, "\u{fffd}😀");
        check_text(b"\"a\xe2\x80z\xff\\n\"", "a\u{fffd}\u{fffd}z\u{fffd}\n");
    }

    #[test]
    fn each_byte_that_is_no_utf8_is_replaced() {
        assert_eq!(lossy(b"ok \xc3\xa9"), "ok é");
        assert_eq!(lossy(b"\xf0\x9f\x98"), "\u{fffd}".repeat(3));
        assert_eq!(lossy(b"\xed\xa0\x80x\xc0\x80"), format!("{0}{0}{0}x{0}{0}", '\u{fffd}'));
    }

    #[test]
    fn a_string_is_written_as_go_does() {
        let mut out = Vec::new();
        write_text(&mut out, "a\"\\/<&>\0\u{8}\u{c}\n\r\t\u{1f}\u{7f}é\u{2027}\u{2028}\u{2029}€😀");
        let written = String::from_utf8(out).expect("text");
        let expected = concat!(
            r#""a\"\\/\u003c\u0026\u003e\u0000\b\f\n\r\t\u001f"#,
            "\u{7f}é\u{2027}\\u2028\\u2029€😀\""
        );
        assert_eq!(written, expected);
    }
}
