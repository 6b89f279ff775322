//! The vectors made with the original Go package: every byte and every verdict, vector by vector.

use std::path::PathBuf;
use std::{env, fs};

use libchat::wire::{Envelope, lossy, short_of_bytes};
use libchat::{ErrorKind, thread_short};
use serde_json::Value;
use time::OffsetDateTime;

#[test]
fn envelopes_are_written_to_the_byte_and_read_back() {
    for vector in vectors("envelopes.json") {
        let payload = vector.bytes("json_b64");
        let decoded = Envelope::decode(&payload);
        vector.same("decoded", &fields(&decoded.expect(&vector.label)), &vector.fields("decoded"));

        let texts = ["from_b64", "body_b64", "reply_to_b64"].map(|key| vector.bytes(key));
        let envelope = Envelope {
            id: vector.text("id").to_owned(),
            sender: lossy(&texts[0]),
            thread: vector.text("thread").to_owned(),
            body: lossy(&texts[1]),
            timestamp: vector.time(),
            reply_to: lossy(&texts[2]),
            thread_name: String::new(),
        };
        vector.same("fields", &fields(&envelope), &vector.fields("decoded"));
        let encoded = envelope.encode();
        if texts.iter().all(|it| std::str::from_utf8(it).is_ok()) {
            vector.same(
                "payload",
                &encoded.escape_ascii().to_string(),
                &payload.escape_ascii().to_string(),
            );
        } else {
            // Go writes what it replaces as the escape \ufffd, a U+FFFD of the caller's as it is.
            vector.same("read back", &Envelope::decode(&encoded), &Ok(envelope));
        }
    }
}

#[test]
fn payloads_get_the_verdict_of_go() {
    for vector in vectors("payloads.json") {
        let decoded = Envelope::decode(&vector.bytes("payload_b64"));
        let accept = vector.value["accept"].as_bool().expect(&vector.label);
        vector.same("verdict", &decoded.is_ok(), &accept);
        if let Ok(envelope) = decoded {
            vector.same("fields", &fields(&envelope), &vector.fields("fields"));
        }
    }
}

#[test]
fn threads_get_the_short_of_go() {
    for vector in vectors("thread_hash.json") {
        let (project, name) = (vector.bytes("project_b64"), vector.bytes("name_b64"));
        let short = short_of_bytes(&project, &name);
        vector.same("short", &short.as_str(), &vector.text("short"));

        // What is no UTF-8 cannot even be given to the public function.
        if let (Ok(project), Ok(name)) = (String::from_utf8(project), String::from_utf8(name)) {
            let refused = thread_short(&project, &name).map_err(|error| error.kind());
            let expected = if is_allowed(&project) && !name.is_empty() {
                Ok(short)
            } else {
                Err(ErrorKind::InvalidArgument)
            };
            vector.same("public answer", &refused, &expected);
        }
    }
}

/// The rule of projects in DESIGN.md section 11, for the names that stand in the vectors.
fn is_allowed(project: &str) -> bool {
    !project.is_empty()
        && !project.starts_with('$')
        && !project.contains([' ', '.', '*', '>', '/', '\\'])
}

/// One vector; what is wrong with it is said with its number.
struct Vector {
    label: String,
    value: Value,
}

fn vectors(file: &str) -> Vec<Vector> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/wire"));
    let folder = env::var_os("LIBCHAT_WIRE_VECTORS").map_or_else(default, PathBuf::from);
    let path = folder.join(file);
    let text = fs::read(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    let mut json: Value = serde_json::from_slice(&text).expect(file);
    let Value::Array(values) = json["vectors"].take() else { panic!("{file}: no vectors") };
    assert!(!values.is_empty(), "{file}: no vectors");
    assert_eq!(json["count"].as_u64(), u64::try_from(values.len()).ok(), "{file}: count");
    let label = |value: &Value| format!("{file}, vector {}", value["n"]);
    values.into_iter().map(|value| Vector { label: label(&value), value }).collect()
}

impl Vector {
    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, found: &T, expected: &T) {
        assert_eq!(found, expected, "{}: {what} (found, expected)", self.label);
    }

    fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or_else(|| panic!("{}: {key}", self.label))
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        base64(self.text(key)).unwrap_or_else(|| panic!("{}: {key}", self.label))
    }

    fn time(&self) -> OffsetDateTime {
        let [seconds, nanos] = ["time_unix_s", "time_nanos"].map(|key| self.value[key].as_i64());
        let (seconds, nanos) = seconds.zip(nanos).expect(&self.label);
        let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        OffsetDateTime::from_unix_timestamp_nanos(nanos).expect(&self.label)
    }

    /// The fields Go found, but for its own print of the time.
    fn fields(&self, key: &str) -> Value {
        let mut fields = self.value[key].clone();
        fields.as_object_mut().expect(&self.label).remove("time_rfc3339nano");
        fields
    }
}

fn fields(envelope: &Envelope) -> Value {
    let time = envelope.timestamp;
    serde_json::json!({
        "id": envelope.id,
        "from": envelope.sender,
        "thread": envelope.thread,
        "body": envelope.body,
        "reply_to": envelope.reply_to,
        "time_unix_s": time.unix_timestamp(),
        "time_nanos": time.nanosecond(),
        "time_offset_s": time.offset().whole_seconds(),
        "time_is_zero": time.unix_timestamp_nanos() == -62_135_596_800_000_000_000,
    })
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | u32::try_from(DIGITS.iter().position(|it| *it == digit)?).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 255) as u8);
        }
    }
    Some(bytes)
}
