//! libchat's values as text and as JSON. The keys are those of `to_dict()` in Python.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libchat::{Event, Headers, Message, Receipt, ThreadSummary};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

use crate::plain;
use crate::when;

/// Under a message's first line.
const INDENT: &str = "    ";
/// Colours that read on light and on dark.
const COLORS: [u8; 6] = [36, 32, 33, 35, 34, 31];

/// RFC 3339, UTC but where that would be before year 0 or after year 9999.
pub(crate) fn time(time: OffsetDateTime) -> String {
    let utc = time.checked_to_offset(UtcOffset::UTC).unwrap_or(time);
    utc.format(&Rfc3339).or_else(|_| time.format(&Rfc3339)).unwrap_or_default()
}

pub(crate) fn message_json(message: &Message) -> Value {
    json!({
        "id": message.id,
        "sender": message.sender,
        "thread": message.thread.as_deref().unwrap_or_default(),
        "short": message.short.as_str(),
        "body": message.body,
        "reply_to": message.reply_to,
        "sent_at": time(message.sent_at),
        "time": time(message.time),
        "time_ns": i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or_default(),
        "cursor": message.cursor.to_string(),
        "headers": headers_json(&message.headers),
    })
}

/// Of a name that stands there twice, the first value.
pub(crate) fn headers_json(headers: &Headers) -> Value {
    let mut map = Map::new();
    for (name, value) in headers.iter() {
        map.entry(name).or_insert_with(|| value.into());
    }
    Value::Object(map)
}

/// Bytes that are no text go as base64, under another key.
pub(crate) fn payload_json(payload: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(payload) {
        Ok(text) => ("payload", text.into()),
        Err(_) => ("payload_base64", BASE64_STANDARD.encode(payload).into()),
    }
}

pub(crate) fn receipt_json(receipt: &Receipt) -> Value {
    json!({
        "id": receipt.id,
        "cursor": receipt.cursor.map(|cursor| cursor.to_string()),
        "duplicate": receipt.duplicate,
    })
}

pub(crate) fn receipt_text(receipt: &Receipt) -> String {
    let verb = if receipt.duplicate { "already stored" } else { "stored" };
    let id = plain::line(&receipt.id);
    match receipt.cursor {
        Some(cursor) => format!("{verb} as {} id {id} cursor {cursor}\n", cursor.seq),
        None => format!("{verb} id {id}\n"),
    }
}

pub(crate) fn thread_json(thread: &ThreadSummary) -> Value {
    let last = thread.last.as_deref();
    json!({
        "name": thread.name.as_deref().unwrap_or_default(),
        "short": thread.short.as_str(),
        "last_activity": last.map(|last| time(last.time)),
        "message_count": thread.message_count,
        "last_sender": last.map_or("", |last| &last.sender),
        "last_body": last.map_or("", |last| &last.body),
        "cursor": thread.cursor.to_string(),
    })
}

/// An event as JSON: a message, or what has an `event` key.
pub(crate) fn event_json(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Message(message) => message_json(message),
        Event::CaughtUp { cursor } => json!({"event": "caught_up", "cursor": cursor.to_string()}),
        Event::Gap { after, until } => {
            json!({"event": "gap", "after": after.to_string(), "until": until.to_string()})
        }
        Event::Reset { cursor } => json!({"event": "reset", "cursor": cursor.to_string()}),
        Event::Malformed { cursor } => json!({"event": "malformed", "cursor": cursor.to_string()}),
        Event::Stalled { reason } => json!({"event": "stalled", "reason": format!("{reason:#}")}),
        Event::Resumed => json!({"event": "resumed"}),
        _ => return None,
    })
}

/// What is to be said of an event that is no message.
pub(crate) fn notice(event: &Event) -> Option<String> {
    Some(match event {
        Event::Message(_) => return None,
        Event::CaughtUp { cursor } => format!("caught up at {cursor}"),
        Event::Gap { after, until } => {
            format!("gap: what was stored after {after} up to {until} has expired or was purged")
        }
        Event::Reset { cursor } => {
            format!(
                "reset: the stream was made anew or restored; from {cursor} on all of it follows"
            )
        }
        Event::Malformed { cursor } => {
            format!("malformed: what is stored at {cursor} is no message")
        }
        Event::Stalled { reason } => {
            format!("stalled: {}; waiting for it to come back", plain::line(&format!("{reason:#}")))
        }
        Event::Resumed => "resumed: nothing was lost".into(),
        _ => "an event that this version of libchat does not know".into(),
    })
}

/// `2026-07-30 14:03:22 [thread] sender: body`, further lines indented.
pub(crate) fn message_text(message: &Message, with_thread: bool, color: bool) -> String {
    let time = when::local(message.time);
    let sender = plain::line(&message.sender);
    let sender = if color { colored(&sender) } else { sender };
    let body = indented(&message.body);
    if with_thread {
        let thread = plain::line(message.thread.as_deref().unwrap_or(message.short.as_str()));
        format!("{time} [{thread}] {sender}: {body}\n")
    } else {
        format!("{time} {sender}: {body}\n")
    }
}

/// A body on a line that has begun.
pub(crate) fn indented(body: &str) -> String {
    plain::body(body).trim_end_matches('\n').replace('\n', &format!("\n{INDENT}"))
}

/// The same colour for a sender every time.
fn colored(sender: &str) -> String {
    let sum =
        sender.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let color = COLORS[sum % COLORS.len()];
    format!("\x1b[{color}m{sender}\x1b[0m")
}
