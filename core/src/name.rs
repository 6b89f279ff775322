//! Checked names, the short of a thread, and the subjects and stream names they make.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// A thread's address on the wire: the first 8 hex digits of SHA-256(`<project>:<thread name>`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Short([u8; 8]);

impl Short {
    /// The 8 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl FromStr for Short {
    type Err = Error;

    fn from_str(text: &str) -> Result<Short, Error> {
        match <[u8; 8]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Short(digits))
            }
            _ => Err(refused("short", text, "must be 8 lower-case hex digits")),
        }
    }
}

/// How a caller says which thread: by name, or by the short that a message or a listing shows when
/// the name is not known. A `&str` is always a name, even one that looks like a short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadRef<'a> {
    /// The thread's name.
    Name(&'a str),
    /// The thread's short. What is sent this way carries no name.
    Short(Short),
}

impl<'a> From<&'a str> for ThreadRef<'a> {
    fn from(name: &'a str) -> ThreadRef<'a> {
        ThreadRef::Name(name)
    }
}

impl<'a> From<&'a String> for ThreadRef<'a> {
    fn from(name: &'a String) -> ThreadRef<'a> {
        ThreadRef::Name(name)
    }
}

impl From<Short> for ThreadRef<'_> {
    fn from(short: Short) -> Self {
        ThreadRef::Short(short)
    }
}

/// The short of `thread` in `project`. It needs no server.
pub fn thread_short(project: &str, thread: &str) -> Result<Short, Error> {
    Ok(Project::new(project)?.thread(thread.into())?.short)
}

/// [`thread_short`] without the checks, over bytes that need not be text.
pub fn short_of_bytes(project: &[u8], name: &[u8]) -> Short {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hash = Sha256::new().chain_update(project).chain_update(":").chain_update(name).finalize();
    let mut digits = [0; 8];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    Short(digits)
}

/// A project's name: one token of a subject, and part of a stream's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    /// `chat.<name>.`
    prefix: String,
}

impl Project {
    pub(crate) fn new(name: &str) -> Result<Project, Error> {
        filled("project", name)?;
        // The server takes 255 bytes for a stream's name, which is `chat-` and this.
        at_most(250, "project", name)?;
        if name.starts_with('$') {
            return Err(refused("project", name, "must not start with '$'"));
        }
        without("project", name, |c| matches!(c, '.' | '*' | '>' | '/' | '\\') || is_blank(c))?;
        Ok(Project { prefix: format!("chat.{name}.") })
    }

    pub(crate) fn as_str(&self) -> &str {
        self.prefix.strip_prefix("chat.").and_then(|it| it.strip_suffix('.')).unwrap_or_default()
    }

    pub(crate) fn stream(&self) -> String {
        format!("chat-{}", self.as_str())
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn subject(&self, short: &Short) -> String {
        format!("{}{short}", self.prefix)
    }

    pub(crate) fn all_subjects(&self) -> String {
        format!("{}>", self.prefix)
    }

    /// What follows the project's prefix, if `subject` is one of the project's.
    pub(crate) fn subject_rest<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.prefix)
    }

    pub(crate) fn short_of(&self, thread: &str) -> Short {
        short_of_bytes(self.as_str().as_bytes(), thread.as_bytes())
    }

    pub(crate) fn thread(&self, thread: ThreadRef<'_>) -> Result<Thread, Error> {
        match thread {
            ThreadRef::Name(name) => {
                filled("thread", name)?;
                Ok(Thread { name: Some(name.to_owned()), short: self.short_of(name) })
            }
            ThreadRef::Short(short) => Ok(Thread { name: None, short }),
        }
    }

    /// Whether its agents can be asked.
    pub(crate) fn may_ask(&self) -> bool {
        self.as_str() != "chat"
    }

    /// Where `agent` is asked.
    pub(crate) fn ask_subject(&self, agent: &str) -> Result<String, Error> {
        check_recipient(agent)?;
        if !self.may_ask() {
            let why = "may not ask or answer: the subject would be one of stream chat-ask";
            return Err(refused("project", "chat", why));
        }
        Ok(format!("{}.ask.{agent}", self.as_str()))
    }
}

/// An agent's name, as it stands in `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent(String);

impl Agent {
    pub(crate) fn new(name: &str) -> Result<Agent, Error> {
        filled("agent", name)?;
        at_most(256, "agent", name)?;
        Ok(Agent(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A thread of a known project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    /// `None` if the caller knows the short only.
    pub(crate) name: Option<String>,
    pub(crate) short: Short,
}

/// A pattern on what follows `chat.<project>.`: `*` stands for one token, `>` at the end for one
/// or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Result<Pattern, Error> {
        check_wild("pattern", pattern)?;
        Ok(Pattern(pattern.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `rest`, what follows the project's prefix in a subject, fits.
    pub(crate) fn matches(&self, rest: &str) -> bool {
        let mut tokens = rest.split('.');
        for wanted in self.0.split('.') {
            match tokens.next() {
                Some(_) if wanted == ">" => return true,
                Some(token) if wanted == "*" || wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

/// An agent that can be asked. Not every agent's name can be: it becomes tokens of a subject.
pub(crate) fn check_recipient(agent: &str) -> Result<(), Error> {
    Agent::new(agent)?;
    check_tokens("agent", agent)?;
    without("agent", agent, is_wildcard)
}

/// A subject to send a request to: no wildcards.
pub(crate) fn check_request_subject(subject: &str) -> Result<(), Error> {
    check_tokens("subject", subject)?;
    without("subject", subject, is_wildcard)
}

/// A subject to respond on: wildcards may stand in it.
pub(crate) fn check_respond_subject(subject: &str) -> Result<(), Error> {
    check_wild("subject", subject)
}

/// A group of responders, which stands in a protocol line like a subject.
pub(crate) fn check_queue_group(group: &str) -> Result<(), Error> {
    check_tokens("queue_group", group)
}

/// A message's id, which is also its `Nats-Msg-Id`.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    filled("id", id)?;
    at_most(64, "id", id)?;
    without("id", id, char::is_control)?;
    // The server drops spaces before a header's value (2.15.1), readers those after it too: " a"
    // would count as a copy of "a", and not be stored.
    if id.trim() != id {
        return Err(refused("id", id, "must not start or end with a space"));
    }
    Ok(())
}

/// Header fields of the caller. A value that would not arrive as given is refused: the server or
/// the reader's client drops spaces at either end.
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<(), Error> {
    for (name, value) in headers {
        filled("header", name)?;
        without("header", name, |c| !c.is_ascii_graphic() || c == ':')?;
        if name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("nats-")) {
            return Err(refused("header", name, "names starting with Nats- are the server's"));
        }
        if let Some(bad) = value.chars().find(|c| matches!(c, '\r' | '\n' | '\0')) {
            let why = format!("its value must not contain {bad:?}");
            return Err(refused("header", name, &why));
        }
        if value.trim() != value {
            return Err(refused("header", name, "its value must not start or end with a space"));
        }
    }
    Ok(())
}

/// What a caller gave as bytes, as text. `what` names the argument.
pub(crate) fn text<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|cause| {
        let why = format!("{what}: not UTF-8 at byte {}", cause.valid_up_to());
        Error::new(ErrorKind::InvalidArgument, why)
    })
}

/// Tokens of a subject, of any characters but blanks.
fn check_tokens(what: &str, subject: &str) -> Result<(), Error> {
    filled(what, subject)?;
    // The server cuts the connection over a protocol line of more than 4,096.
    at_most(1024, what, subject)?;
    without(what, subject, is_blank)?;
    if subject.split('.').any(str::is_empty) {
        return Err(refused(what, subject, "must not have an empty token"));
    }
    Ok(())
}

fn check_wild(what: &str, subject: &str) -> Result<(), Error> {
    check_tokens(what, subject)?;
    if subject.split('.').rev().skip(1).any(|token| token == ">") {
        return Err(refused(what, subject, "must have '>' only at the end"));
    }
    Ok(())
}

fn filled(what: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("{what}: must not be empty")));
    }
    Ok(())
}

fn at_most(bytes: usize, what: &str, text: &str) -> Result<(), Error> {
    if text.len() > bytes {
        return Err(refused(what, text, &format!("must be at most {bytes} bytes")));
    }
    Ok(())
}

fn without(what: &str, text: &str, forbidden: impl Fn(char) -> bool) -> Result<(), Error> {
    match text.chars().find(|&c| forbidden(c)) {
        Some(bad) => Err(refused(what, text, &format!("must not contain {bad:?}"))),
        None => Ok(()),
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '>')
}

/// Shows the value, cut after 64 characters: an error goes to terminals and logs.
fn refused(what: &str, value: &str, why: &str) -> Error {
    let shown = match value.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    };
    Error::new(ErrorKind::InvalidArgument, format!("{what} {shown}: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T>(result: Result<T, Error>, expected: Result<(), &str>) {
        match (result, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => {
                assert_eq!(error.to_string(), text);
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            }
            (Ok(_), Err(text)) => panic!("passes, expected: {text}"),
            (Err(error), Ok(())) => panic!("refused: {error}"),
        }
    }

    #[test]
    fn a_project_is_one_subject_token() {
        let check = |name: &str, expected| check(Project::new(name), expected);
        check("demo", Ok(()));
        check("a:b", Ok(()));
        check("pröj-😀_1", Ok(()));
        check(&"x".repeat(250), Ok(()));
        check("", Err("project: must not be empty"));
        check("a.b", Err(r#"project "a.b": must not contain '.'"#));
        check("a*", Err(r#"project "a*": must not contain '*'"#));
        check(">", Err(r#"project ">": must not contain '>'"#));
        check("a/b", Err(r#"project "a/b": must not contain '/'"#));
        check("a\\b", Err(r#"project "a\\b": must not contain '\\'"#));
        check("a b", Err(r#"project "a b": must not contain ' '"#));
        check("a\u{a0}b", Err(r#"project "a\u{a0}b": must not contain '\u{a0}'"#));
        check("a\0", Err(r#"project "a\0": must not contain '\0'"#));
        check("$SYS", Err(r#"project "$SYS": must not start with '$'"#));
        let long = format!("project \"{}\"…: must be at most 250 bytes", "é".repeat(64));
        check(&"é".repeat(126), Err(&long));
    }

    #[test]
    fn a_project_makes_its_subjects() {
        let project = Project::new("demo").expect("a name");
        let thread = project.thread("plan".into()).expect("a name");
        assert_eq!(project.as_str(), "demo");
        assert_eq!(project.stream(), "chat-demo");
        assert_eq!(project.prefix(), "chat.demo.");
        assert_eq!(project.subject(&thread.short), "chat.demo.d0825bc5");
        assert_eq!(project.all_subjects(), "chat.demo.>");
        assert_eq!(project.subject_rest("chat.demo.a.b"), Some("a.b"));
        assert_eq!(project.subject_rest("chat.demo2.a"), None);
        assert_eq!(thread.name.as_deref(), Some("plan"));
    }

    #[test]
    fn a_thread_is_named_or_known_by_its_short() {
        let project = Project::new("demo").expect("a name");
        let short = thread_short("demo", "plan").expect("names");
        let thread = project.thread(short.into()).expect("a short");
        assert_eq!(thread, Thread { name: None, short });
        let named = project.thread("d0825bc5".into()).expect("a name");
        assert_ne!(named.short, short, "a name that looks like a short is a name");
        check(project.thread("".into()), Err("thread: must not be empty"));
        check(thread_short("", "plan"), Err("project: must not be empty"));
    }

    #[test]
    fn a_short_is_eight_lower_case_hex_digits() {
        let short: Short = "d0825bc5".parse().expect("a short");
        assert_eq!(short, thread_short("demo", "plan").expect("names"));
        assert_eq!(
            (short.to_string(), format!("{short:?}")),
            ("d0825bc5".into(), "\"d0825bc5\"".into())
        );
        for text in
            ["", "xyz", "D0825BC5", "d0825bc", "d0825bc55", "d0825bcg", " d0825bc", "é25bc5é"]
        {
            let why = format!("short {text:?}: must be 8 lower-case hex digits");
            check(text.parse::<Short>(), Err(&why));
        }
    }

    #[test]
    fn an_agent_is_free_text_of_256_bytes() {
        check(Agent::new("ana of team 7, \n."), Ok(()));
        check(Agent::new(&"x".repeat(256)), Ok(()));
        check(Agent::new(""), Err("agent: must not be empty"));
        let long = format!("agent \"{}\"…: must be at most 256 bytes", "x".repeat(64));
        check(Agent::new(&"x".repeat(257)), Err(&long));
    }

    #[test]
    fn an_agent_is_asked_on_a_subject() {
        let ask = |project, agent| Project::new(project).expect("a name").ask_subject(agent);
        assert_eq!(ask("demo", "ana").expect("a token"), "demo.ask.ana");
        assert_eq!(ask("demo", "team.ana").expect("two tokens"), "demo.ask.team.ana");
        check(ask("demo", ""), Err("agent: must not be empty"));
        check(ask("demo", "*"), Err(r#"agent "*": must not contain '*'"#));
        check(ask("demo", "a.>"), Err(r#"agent "a.>": must not contain '>'"#));
        check(ask("demo", "a b"), Err(r#"agent "a b": must not contain ' '"#));
        check(ask("demo", "a\r\nPUB"), Err(r#"agent "a\r\nPUB": must not contain '\r'"#));
        check(ask("demo", "a..b"), Err(r#"agent "a..b": must not have an empty token"#));
        check(ask("demo", ".a"), Err(r#"agent ".a": must not have an empty token"#));
        let stream =
            "project \"chat\": may not ask or answer: the subject would be one of stream chat-ask";
        check(ask("chat", "ana"), Err(stream));
    }

    #[test]
    fn a_pattern_is_tokens_with_wildcards() {
        let check = |pattern: &str, expected| check(Pattern::new(pattern), expected);
        check("d0825bc5", Ok(()));
        check("*", Ok(()));
        check("a.*.>", Ok(()));
        check("", Err("pattern: must not be empty"));
        check("a..b", Err(r#"pattern "a..b": must not have an empty token"#));
        check("a.", Err(r#"pattern "a.": must not have an empty token"#));
        check(">.a", Err(r#"pattern ">.a": must have '>' only at the end"#));
        check("a\tb", Err(r#"pattern "a\tb": must not contain '\t'"#));
        let long = format!("pattern \"{}\"…: must be at most 1024 bytes", "x".repeat(64));
        check(&"x".repeat(1025), Err(&long));
    }

    #[test]
    fn a_pattern_matches_as_the_server_does() {
        let matches = |pattern, rest| Pattern::new(pattern).expect(pattern).matches(rest);
        assert!(matches("a", "a") && matches("*", "a") && matches(">", "a") && matches(">", "a.b"));
        assert!(matches("a.*", "a.b") && matches("*.b", "a.b") && matches("a.>", "a.b.c"));
        assert!(!matches("a", "b") && !matches("*", "a.b") && !matches("a.*", "a"));
        assert!(!matches("a.>", "a") && !matches("a", "a.b") && !matches("a*", "ab"));
    }

    #[test]
    fn wildcards_are_for_responders() {
        check(check_request_subject("a.b"), Ok(()));
        check(check_request_subject("a.*"), Err(r#"subject "a.*": must not contain '*'"#));
        check(check_request_subject(""), Err("subject: must not be empty"));
        check(check_respond_subject("a.*.>"), Ok(()));
        check(check_respond_subject(">.a"), Err(r#"subject ">.a": must have '>' only at the end"#));
        check(check_respond_subject("a b"), Err(r#"subject "a b": must not contain ' '"#));
    }

    #[test]
    fn an_id_is_short_and_printable() {
        check(check_id("job-7 of ünï"), Ok(()));
        check(check_id(&"x".repeat(64)), Ok(()));
        check(check_id(""), Err("id: must not be empty"));
        check(check_id("a\n"), Err(r#"id "a\n": must not contain '\n'"#));
        check(check_id(" a"), Err(r#"id " a": must not start or end with a space"#));
        let long = format!("id \"{}\"…: must be at most 64 bytes", "x".repeat(64));
        check(check_id(&"x".repeat(65)), Err(&long));
    }

    #[test]
    fn headers_are_kept_as_given_or_refused() {
        let check = |name: &str, value: &str, expected| {
            check(check_headers(&[(name.into(), value.into())]), expected);
        };
        check("traceparent", "00-4bf9-01", Ok(()));
        check("X", "", Ok(()));
        check("X", "grüße, a b", Ok(()));
        check("", "x", Err("header: must not be empty"));
        check("a b", "x", Err(r#"header "a b": must not contain ' '"#));
        check("a:", "x", Err(r#"header "a:": must not contain ':'"#));
        check("ü", "x", Err(r#"header "ü": must not contain 'ü'"#));
        let ours = r#"header "nATS-Msg-Id": names starting with Nats- are the server's"#;
        check("nATS-Msg-Id", "x", Err(ours));
        check("X", "a\r\nb: c", Err(r#"header "X": its value must not contain '\r'"#));
        check("X", "a\0", Err(r#"header "X": its value must not contain '\0'"#));
        check("X", "secret ", Err(r#"header "X": its value must not start or end with a space"#));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_by_their_place() {
        check(text("body", "grüße".as_bytes()), Ok(()));
        check(text("body", b"0123456789abcdef-\xff"), Err("body: not UTF-8 at byte 17"));
    }

    proptest! {
        #[test]
        fn no_name_panics_and_no_error_text_is_long(name in any::<String>()) {
            let headers = [(name.clone(), name.clone())];
            let results = [
                thread_short(&name, &name).map(drop),
                name.parse::<Short>().map(drop),
                Agent::new(&name).map(drop),
                Pattern::new(&name).map(drop),
                check_request_subject(&name),
                check_id(&name),
                check_headers(&headers),
            ];
            for error in results.into_iter().filter_map(Result::err) {
                let text = error.to_string();
                prop_assert!(text.len() < 900 && !text.contains(char::is_control), "{}", text);
            }
        }

        #[test]
        fn a_checked_project_is_one_token(name in any::<String>()) {
            if let Ok(project) = Project::new(&name) {
                prop_assert_eq!(project.as_str(), &name);
                let subject = project.subject(&project.short_of("x"));
                prop_assert_eq!(subject.split('.').count(), 3);
                prop_assert!(check_request_subject(&subject).is_ok());
            }
        }
    }
}
