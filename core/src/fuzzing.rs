//! What fuzz/ hands in, and what must hold of whatever comes of it. A panic is a finding.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ack::{self, Said};
use crate::answer::Refusal;
use crate::context;
use crate::envelope::Envelope;
use crate::environment::Environment;
use crate::error::ErrorKind;
use crate::message::Cursor;
use crate::name::Project;
use crate::pull::Created;
use crate::stored::{self, Delivery, Parsed, is_place, parse_headers, unix_ns};
use crate::stream::{Got, Info};

/// A stored payload: what is read is written so that it reads the same, for whoever reads it.
pub fn envelope(payload: &[u8]) {
    let Ok(envelope) = Envelope::decode(payload) else { return };
    let written = envelope.encode();
    assert_eq!(Envelope::decode(&written).as_ref(), Ok(&envelope));
    assert_eq!(Envelope::decode(&written).map(|it| it.encode()).as_ref(), Ok(&written));
    let theirs: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
    assert_eq!(theirs["body"].as_str(), Some(envelope.body.as_str()));
    let message = stored::read("demo", "chat.demo.d0825bc5", Vec::new(), payload.to_vec());
    let message = message.expect("an envelope is a message");
    let project = Project::new("demo").expect("a name");
    assert_eq!((&message.body, &message.sender), (&envelope.body, &envelope.sender));
    assert!(message.thread.as_ref().is_none_or(|it| project.short_of(it) == message.short));
    assert!(message.weight() >= message.body.len() + message.id.len());
}

/// A context file. What is wrong with it is said without what stands in it.
pub fn context(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let env = Environment::of_test(Path::new("/nowhere"), "", &[("A", "x")]);
    match context::read(text, "/nowhere/x.json".into(), &env) {
        Ok(context) => assert!(!context.url.is_empty()),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::System));
            assert!(error.to_string().starts_with("/nowhere/x.json: "), "{error}");
        }
    }
}

/// What the server answers, or a stranger in its name: the first byte says to what.
pub fn answer(bytes: &[u8]) {
    let Some((kind, answer)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => said(answer),
        1 => info(answer),
        2 => got(answer),
        3 => drop(read::<Created>(answer)),
        4 => drop(read::<Refusal>(answer).map(|it| (it.passes(), it.error("x").to_string()))),
        _ => {
            let names = parse_headers(answer);
            assert!(names.iter().all(|(name, _)| !name.to_lowercase().starts_with("nats-")));
        }
    }
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Option<T> {
    serde_json::from_slice(answer).ok()
}

fn said(answer: &[u8]) {
    if let Some(Said::Stored(ack)) = ack::read_payload(answer, "chat-demo") {
        assert!(is_place(ack.seq));
    }
}

fn info(answer: &[u8]) {
    let Some(info) = read::<Info>(answer) else { return };
    let made = unix_ns(info.created()).and_then(|ns| u64::try_from(ns).ok());
    assert_eq!(info.incarnation(), made.unwrap_or_default());
    let last_seq = info.state.last_seq;
    assert!(last_seq == 0 || is_place(last_seq));
    let end = Cursor { incarnation: info.incarnation(), seq: last_seq, check: 0 };
    assert_eq!(end.to_string().parse::<Cursor>().ok(), Some(end));
    // As every reader does.
    let _ = (info.is_single(), info.state.first_seq.saturating_sub(1), last_seq + 1);
}

fn got(answer: &[u8]) {
    let Some(stored) = read::<Got>(answer).and_then(|it| it.message.stored()) else { return };
    let project = Project::new("demo").expect("a name");
    let cursor = stored.cursor(1);
    assert!(cursor.check > 0 && cursor.seq < u64::MAX);
    let of_thread = stored.short(&project).is_some();
    if let Parsed::Message(message) = stored.parse(&project, 1) {
        assert!(of_thread && message.cursor == cursor);
    }
}

/// The reply subject of a delivery: both of its forms say the same.
pub fn delivery(subject: &[u8]) {
    let Ok(subject) = std::str::from_utf8(subject) else { return };
    let Some(delivery) = Delivery::parse(subject) else { return };
    let Delivery { stream_seq, consumer_seq, time_ns, pending } = delivery;
    assert!(is_place(stream_seq) && subject.starts_with("$JS.ACK."));
    let numbers = format!("1.{stream_seq}.{consumer_seq}.{time_ns}.{pending}");
    for form in [format!("$JS.ACK.s.c.{numbers}"), format!("$JS.ACK._.h.s.c.{numbers}.r")] {
        assert_eq!(Delivery::parse(&form), Some(delivery), "{form}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    type Fuzzer = (&'static str, fn(&[u8]));

    const FUZZERS: [Fuzzer; 4] =
        [("envelope", envelope), ("context", context), ("answer", answer), ("delivery", delivery)];

    /// What the fuzzers begin with, and what they have found.
    fn seeds(name: &str) -> Vec<Vec<u8>> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds"));
        let files = fs::read_dir(folder.join(name)).expect(name);
        let files = files.map(|it| fs::read(it.expect("a file").path()).expect("readable"));
        let seeds: Vec<Vec<u8>> = files.collect();
        assert!(!seeds.is_empty(), "{name}: no seeds");
        seeds
    }

    /// Every seed, whole and cut after each of its first bytes.
    fn walk(name: &str, fuzz: fn(&[u8])) {
        for seed in seeds(name) {
            fuzz(&seed);
            (0..seed.len().min(400)).for_each(|end| fuzz(&seed[..end]));
        }
    }

    #[test]
    fn what_the_fuzzers_know_is_read() {
        FUZZERS.into_iter().for_each(|(name, fuzz)| walk(name, fuzz));
    }

    proptest! {
        #[test]
        fn what_is_like_it_is_read_too(
            seed: Index,
            changes in vec((any::<Index>(), any::<u8>()), 1..8),
        ) {
            for (name, fuzz) in FUZZERS {
                let mut bytes = seed.get(&seeds(name)).clone();
                for (at, byte) in &changes {
                    let len = bytes.len().max(1);
                    if let Some(place) = bytes.get_mut(at.index(len)) {
                        *place = *byte;
                    }
                }
                fuzz(&bytes);
            }
        }
    }
}
