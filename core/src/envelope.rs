//! The JSON on the wire, both directions, as the original Go package writes and reads it.

use time::OffsetDateTime;

use crate::gotime;
use crate::json::{Malformed, Scanner, Text, write_text};

/// A message as its payload holds it, all of it the sender's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// 32 hex digits, unless the sender chose otherwise.
    pub id: String,
    /// `from`: who wrote it.
    pub sender: String,
    /// The thread's short.
    pub thread: String,
    /// The text.
    pub body: String,
    /// When it was sent, by the sender's clock; the first instant of year 1 if it does not say.
    pub timestamp: OffsetDateTime,
    /// The id of the message this one answers, or empty.
    pub reply_to: String,
    /// The thread's name, or empty; the original neither writes nor reads it.
    pub thread_name: String,
}

impl Envelope {
    /// The payload, to the byte what Go's `json.Marshal` makes of the original's struct, and
    /// `thread_name` behind it.
    pub fn encode(&self) -> Vec<u8> {
        let texts =
            [&self.id, &self.sender, &self.thread, &self.body, &self.reply_to, &self.thread_name];
        let length: usize = texts.iter().map(|text| text.len()).sum();
        let mut out = Vec::with_capacity(length + length / 8 + 160);
        out.extend_from_slice(b"{\"id\":");
        write_text(&mut out, &self.id);
        out.extend_from_slice(b",\"from\":");
        write_text(&mut out, &self.sender);
        out.extend_from_slice(b",\"thread\":");
        write_text(&mut out, &self.thread);
        out.extend_from_slice(b",\"body\":");
        write_text(&mut out, &self.body);
        out.extend_from_slice(b",\"timestamp\":\"");
        gotime::write(&mut out, self.timestamp);
        out.push(b'"');
        if !self.reply_to.is_empty() {
            out.extend_from_slice(b",\"reply_to\":");
            write_text(&mut out, &self.reply_to);
        }
        if !self.thread_name.is_empty() {
            out.extend_from_slice(b",\"thread_name\":");
            write_text(&mut out, &self.thread_name);
        }
        out.push(b'}');
        out
    }

    /// Reads a payload with the verdict of Go's `json.Unmarshal` into the original's struct: keys
    /// in any case, the last of two counts, `null` changes nothing, other keys are passed over,
    /// bytes that are no UTF-8 become U+FFFD.
    pub fn decode(payload: &[u8]) -> Result<Envelope, Malformed> {
        let mut scanner = Scanner::new(payload);
        let mut envelope = Envelope::empty();
        if scanner.peek() == Some(b'n') {
            scanner.text_or_null()?;
        } else {
            envelope.fill(&mut scanner)?;
        }
        scanner.end()?;
        Ok(envelope)
    }

    fn empty() -> Envelope {
        Envelope {
            id: String::new(),
            sender: String::new(),
            thread: String::new(),
            body: String::new(),
            timestamp: gotime::ZERO,
            reply_to: String::new(),
            thread_name: String::new(),
        }
    }

    fn fill(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        scanner.expect(b'{', "not an object")?;
        if scanner.take(b'}') {
            return Ok(());
        }
        loop {
            let key = scanner.key()?;
            match Field::of(&key) {
                Some(field) => self.set(field, scanner)?,
                None => scanner.skip()?,
            }
            if scanner.take(b'}') {
                return Ok(());
            }
            scanner.expect(b',', "neither a comma nor an end")?;
        }
    }

    fn set(&mut self, field: Field, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        let slot = match field {
            Field::Id => &mut self.id,
            Field::From => &mut self.sender,
            Field::Thread => &mut self.thread,
            Field::Body => &mut self.body,
            Field::ReplyTo => &mut self.reply_to,
            Field::Timestamp => return self.set_timestamp(scanner),
            Field::ThreadName => {
                // The original passes over this key, so no type of it makes the message unreadable.
                if !matches!(scanner.peek(), Some(b'"' | b'n')) {
                    self.thread_name.clear();
                    return scanner.skip();
                }
                &mut self.thread_name
            }
        };
        if let Some(text) = scanner.text_or_null()? {
            *slot = text.decode().into_owned();
        }
        Ok(())
    }

    fn set_timestamp(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        scanner.peek();
        let malformed = scanner.malformed("not a timestamp");
        if let Some(text) = scanner.text_or_null()? {
            self.timestamp = gotime::parse(text.raw).ok_or(malformed)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Field {
    Id,
    From,
    Thread,
    Body,
    Timestamp,
    ReplyTo,
    ThreadName,
}

const FIELDS: [(&str, Field); 7] = [
    ("id", Field::Id),
    ("from", Field::From),
    ("thread", Field::Thread),
    ("body", Field::Body),
    ("timestamp", Field::Timestamp),
    ("reply_to", Field::ReplyTo),
    ("thread_name", Field::ThreadName),
];

impl Field {
    fn of(key: &Text<'_>) -> Option<Field> {
        let exact = FIELDS.iter().find(|(name, _)| name.as_bytes() == key.raw);
        let found = exact.or_else(|| {
            let key = key.decode();
            FIELDS.iter().find(|(name, _)| key.chars().map(fold).eq(name.chars()))
        });
        found.map(|&(_, field)| field)
    }
}

/// Beyond ASCII, Unicode's simple case folding takes two characters to a letter of it.
fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',  // long s
        '\u{212a}' => 'k', // Kelvin sign
        _ => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::Index;
    use time::{Date, Time, UtcOffset};

    use super::*;

    const PLAIN: &str = concat!(
        r#"{"id":"1","from":"ana","thread":"d0825bc5","body":"hi","#,
        r#""timestamp":"2026-01-02T03:04:05Z"}"#
    );

    fn plain() -> Envelope {
        Envelope::decode(PLAIN.as_bytes()).expect("an envelope")
    }

    #[track_caller]
    fn check(payload: &str, expected: Result<Envelope, &str>) {
        let found = Envelope::decode(payload.as_bytes()).map_err(|it| it.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{payload}");
    }

    #[test]
    fn the_thread_name_follows_what_the_original_writes() {
        assert_eq!(plain().encode(), PLAIN.as_bytes());
        let named = Envelope { reply_to: "0".into(), thread_name: "plan".into(), ..plain() };
        let payload = PLAIN.replace("Z\"}", "Z\",\"reply_to\":\"0\",\"thread_name\":\"plan\"}");
        assert_eq!(named.encode(), payload.as_bytes());
        check(&payload, Ok(named));
    }

    #[test]
    fn a_key_may_be_written_in_any_case() {
        let time = plain().timestamp;
        let found = |body: &str| Ok(Envelope { body: body.into(), ..Envelope::empty() });
        check(r#"{"BODY":"a"}"#, found("a"));
        check(r#"{"\u0042ody":"a"}"#, found("a"));
        check(r#"{"body ":"a","bödy":"b","K":1}"#, found(""));
        let timed = Envelope { timestamp: time, ..Envelope::empty() };
        check(r#"{"TIMEſTAMP":"2026-01-02T03:04:05Z"}"#, Ok(timed));
        assert_eq!("\u{212a}ſ".chars().map(fold).collect::<String>(), "ks");
    }

    #[test]
    fn the_last_of_two_counts_and_null_changes_nothing() {
        let found = |body: &str| Ok(Envelope { body: body.into(), ..Envelope::empty() });
        check(r#"{"body":"a","Body":"b"}"#, found("b"));
        check(r#"{"body":"a","body":null}"#, found("a"));
        check(r#"{"timestamp":null,"id":null,"x":null}"#, found(""));
        check(" null ", found(""));
    }

    #[test]
    fn a_wrong_type_is_refused_where_the_original_reads_it() {
        check(r#"{"body":1}"#, Err("not a string at byte 8"));
        check(r#"{"timestamp": 1}"#, Err("not a string at byte 14"));
        check(r#"{"timestamp": "secret"}"#, Err("not a timestamp at byte 14"));
        check(r#"[]"#, Err("not an object at byte 0"));
        check(r#"nullnull"#, Err("more than one value at byte 4"));
    }

    #[test]
    fn a_thread_name_of_a_wrong_type_is_no_name() {
        for value in ["1", "[\"x\"]", "{}", "true", "\"a\",\"thread_name\":2"] {
            check(&format!("{{\"thread_name\":{value}}}"), Ok(Envelope::empty()));
        }
        check(r#"{"thread_name":[}"#, Err("not a value at byte 16"));
        let named = Envelope { thread_name: "plan".into(), ..Envelope::empty() };
        check(r#"{"Thread_Name":"plan","thread_name":null}"#, Ok(named));
    }

    fn any_text() -> impl Strategy<Value = String> {
        let c = prop_oneof![any::<char>(), prop::char::range('\0', '\u{7f}'), Just('\u{2028}')];
        vec(c, 0..40).prop_map(String::from_iter)
    }

    fn any_time() -> impl Strategy<Value = OffsetDateTime> {
        (0..=9999, 1..=365_u16, 0..86_400_u32, 0..1_000_000_000_u32, -1439..=1439).prop_map(
            |(year, day, second, nano, minutes)| {
                let date = Date::from_ordinal_date(year, day).expect("a day of every year");
                let (minute, second) = (second / 60, (second % 60) as u8);
                let time =
                    Time::from_hms_nano((minute / 60) as u8, (minute % 60) as u8, second, nano);
                let offset = UtcOffset::from_whole_seconds(minutes * 60).expect("under a day");
                date.with_time(time.expect("a time")).assume_offset(offset)
            },
        )
    }

    fn any_envelope() -> impl Strategy<Value = Envelope> {
        (vec(any_text(), 6), any_time()).prop_map(|(texts, timestamp)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().expect("six");
            Envelope {
                id: next(),
                sender: next(),
                thread: next(),
                body: next(),
                timestamp,
                reply_to: next(),
                thread_name: next(),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(envelope in any_envelope()) {
            let payload = envelope.encode();
            let read = Envelope::decode(&payload).expect("its own payload");
            prop_assert_eq!(read.timestamp.offset(), envelope.timestamp.offset());
            prop_assert_eq!(read, envelope);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&payload).is_ok());
        }

        #[test]
        fn no_bytes_panic(payload in vec(any::<u8>(), 0..200)) {
            let _ = Envelope::decode(&payload); // Only a panic would be wrong.
        }

        #[test]
        fn no_mutated_payload_panics_and_what_passes_reads_back(
            envelope in any_envelope(),
            changes in vec((any::<Index>(), any::<u8>()), 1..4),
            end in any::<Index>(),
        ) {
            let mut payload = envelope.encode();
            for (place, byte) in changes {
                let place = place.index(payload.len());
                payload[place] = byte;
            }
            let cut = &payload[..end.index(payload.len())];
            prop_assert!(Envelope::decode(cut).is_err(), "it ends too early");
            if let Ok(read) = Envelope::decode(&payload) {
                prop_assert_eq!(Envelope::decode(&read.encode()), Ok(read));
            }
        }

        // Under keys that are none of ours, where types do not matter.
        #[test]
        fn serde_json_says_the_same_of_objects_of_strings(
            map in btree_map("x[ -~]{12,20}", "[ -~\n]{0,20}", 0..4),
            change in any::<Option<(Index, u8)>>(),
        ) {
            let mut payload = serde_json::to_vec(&map).expect("strings");
            if let Some((place, byte)) = change {
                let place = place.index(payload.len());
                payload[place] = byte % 128;
            }
            // serde_json refuses lone surrogates.
            prop_assume!(!payload.windows(3).any(|it| it.eq_ignore_ascii_case(b"\\ud")));
            let theirs = serde_json::from_slice::<serde_json::Map<_, _>>(&payload);
            prop_assert_eq!(Envelope::decode(&payload).is_ok(), theirs.is_ok());
        }
    }
}
