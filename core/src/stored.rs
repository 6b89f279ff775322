//! A message as it lies in the stream, however it was fetched, and what it says.

use std::sync::Arc;

use async_nats::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::envelope::Envelope;
use crate::message::{Cursor, Headers, Message};
use crate::name::{Project, Short};

/// One stored message, not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) seq: u64,
    /// Server time in Unix nanoseconds.
    pub(crate) time_ns: i64,
    pub(crate) headers: Headers,
    pub(crate) payload: Bytes,
}

/// What a stored message turned out to be.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    Message(Arc<Message>),
    /// No envelope, or under a subject that is no thread's.
    Malformed(Cursor),
}

impl Stored {
    pub(crate) fn cursor(&self, incarnation: u64) -> Cursor {
        Cursor { incarnation, seq: self.seq, check: check(self.time_ns) }
    }

    /// The thread it belongs to, by its subject.
    pub(crate) fn short(&self, project: &Project) -> Option<Short> {
        project.subject_rest(&self.subject)?.parse().ok()
    }

    pub(crate) fn parse(self, project: &Project, incarnation: u64) -> Parsed {
        let cursor = self.cursor(incarnation);
        let Some(short) = self.short(project) else { return Parsed::Malformed(cursor) };
        match Envelope::decode(&self.payload) {
            Ok(envelope) => {
                Parsed::Message(Arc::new(self.message(project, short, envelope, cursor)))
            }
            Err(why) => {
                tracing::debug!(seq = self.seq, %why, "a stored payload is no envelope");
                Parsed::Malformed(cursor)
            }
        }
    }

    fn message(
        self,
        project: &Project,
        short: Short,
        envelope: Envelope,
        cursor: Cursor,
    ) -> Message {
        let name = envelope.thread_name;
        // A name is believed only where it leads: anyone can write anything into a payload.
        let thread = (!name.is_empty() && project.short_of(&name) == short).then_some(name);
        Message {
            id: envelope.id,
            sender: envelope.sender,
            thread,
            short,
            body: envelope.body,
            reply_to: Some(envelope.reply_to).filter(|id| !id.is_empty()),
            sent_at: envelope.timestamp,
            time: from_unix_ns(self.time_ns),
            cursor,
            headers: self.headers,
        }
    }
}

/// The message that lies under `subject` of this project, as the first of its stream.
pub fn read(
    project: &str,
    subject: &str,
    headers: Vec<(String, String)>,
    payload: Vec<u8>,
) -> Option<Arc<Message>> {
    let headers = Headers(headers);
    let (subject, payload) = (subject.to_owned(), payload.into());
    let stored = Stored { subject, seq: 1, time_ns: 1, headers, payload };
    match stored.parse(&Project::new(project).ok()?, 1) {
        Parsed::Message(message) => Some(message),
        Parsed::Malformed(_) => None,
    }
}

/// The cursor's mark of a message stored at this time; never 0, which means unknown.
pub(crate) fn check(time_ns: i64) -> u32 {
    let low = u32::try_from(time_ns & 0xffff_ffff).unwrap_or_default();
    low.max(1)
}

/// The highest number from which we count on. No stream comes near it; a stranger's answer may.
const SEQ_MAX: u64 = u64::MAX >> 1;

/// A number in a stream, or of its end.
pub(crate) fn seq<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let seq = u64::deserialize(from)?;
    if seq > SEQ_MAX { Err(D::Error::custom("beyond any stream")) } else { Ok(seq) }
}

/// Whether a stored message can have this number.
pub(crate) fn is_place(seq: u64) -> bool {
    (1..=SEQ_MAX).contains(&seq)
}

/// The position that a delivered message's reply subject carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) stream_seq: u64,
    pub(crate) consumer_seq: u64,
    pub(crate) time_ns: i64,
    /// Messages of the filter after this one.
    pub(crate) pending: u64,
}

impl Delivery {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or
    /// with domain and account hash after `ACK` and perhaps one more token at the end.
    pub(crate) fn parse(subject: &str) -> Option<Delivery> {
        let mut tokens = subject.split('.');
        (tokens.next()? == "$JS" && tokens.next()? == "ACK").then_some(())?;
        let rest: Vec<&str> = tokens.collect();
        let numbers = match rest.len() {
            7 => rest.get(3..7)?,
            9.. => rest.get(5..9)?,
            _ => return None,
        };
        Some(Delivery {
            stream_seq: numbers.first()?.parse().ok().filter(|seq| is_place(*seq))?,
            consumer_seq: numbers.get(1)?.parse().ok()?,
            time_ns: numbers.get(2)?.parse().ok()?,
            pending: numbers.get(3)?.parse().ok()?,
        })
    }
}

/// The message object of a STREAM.MSG.GET answer.
#[derive(Deserialize)]
pub(crate) struct Fetched {
    subject: String,
    #[serde(deserialize_with = "seq")]
    seq: u64,
    #[serde(default)]
    data: String,
    #[serde(default)]
    hdrs: String,
    time: String,
}

impl Fetched {
    /// `None` when the server's answer is not what its API describes.
    pub(crate) fn stored(self) -> Option<Stored> {
        Some(Stored {
            seq: self.seq,
            time_ns: unix_ns(&self.time)?,
            headers: parse_headers(&STANDARD.decode(self.hdrs).ok()?),
            payload: STANDARD.decode(self.data).ok()?.into(),
            subject: self.subject,
        })
    }
}

/// An RFC 3339 time of the server's as Unix nanoseconds.
pub(crate) fn unix_ns(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

pub(crate) fn from_unix_ns(ns: i64) -> OffsetDateTime {
    // Every i64 of nanoseconds lies between the years 1677 and 2262.
    OffsetDateTime::from_unix_timestamp_nanos(ns.into()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The header fields a peer wrote; those of the server's own (`Nats-…`) are left out.
pub(crate) fn headers_of(map: &HeaderMap) -> Headers {
    let mut fields = Vec::new();
    for (name, values) in map.iter() {
        let name = name.to_string();
        if !is_servers_own(&name) {
            fields.extend(values.iter().map(|value| (name.clone(), value.as_str().to_owned())));
        }
    }
    // A map has no order; a stable sort keeps the one of a name's values.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Headers(fields)
}

fn is_servers_own(name: &str) -> bool {
    name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("nats-"))
}

/// `NATS/1.0\r\nName: value\r\n\r\n`, as MSG.GET gives it.
pub(crate) fn parse_headers(block: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(block);
    let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let own = lines.filter(|(name, _)| !is_servers_own(name));
    let mut fields: Vec<_> =
        own.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Headers(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_read_from_both_forms_of_the_reply_subject() {
        let delivery = Delivery { stream_seq: 7, consumer_seq: 3, time_ns: 99, pending: 2 };
        for subject in [
            "$JS.ACK.chat-demo.c.1.7.3.99.2",
            "$JS.ACK._.hash.chat-demo.c.1.7.3.99.2",
            "$JS.ACK.hub.hash.chat-demo.c.1.7.3.99.2.random",
        ] {
            assert_eq!(Delivery::parse(subject), Some(delivery), "{subject}");
        }
        for subject in [
            "",
            "$JS.ACK",
            "$JS.ACK.s.c.1.7.3.99",
            "$JS.ACK.s.c.1.x.3.99.2",
            "_INBOX.1.2.3.4.5.6.7.8",
        ] {
            assert_eq!(Delivery::parse(subject), None, "{subject}");
        }
    }

    #[test]
    fn header_blocks_lose_only_what_is_the_servers() {
        let headers = parse_headers(b"NATS/1.0\r\nb: 2\r\nNats-Msg-Id: x\r\na: 1\r\na:3\r\n\r\n");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "1"), ("a", "3"), ("b", "2")]);
        assert_eq!(parse_headers(b""), Headers::default());
    }

    #[test]
    fn a_check_is_never_zero() {
        assert_eq!(check(1 << 32), 1);
        assert_eq!(check(-1), u32::MAX);
        assert_eq!(check(0x1_0000_0005), 5);
    }
}
