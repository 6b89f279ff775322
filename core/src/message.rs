//! The values handed to users: what was stored, where, and what a watch saw.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::error::{Error, ErrorKind};
use crate::name::Short;

/// A place in a project's stream, from which any process can resume.
///
/// `incarnation` says which stream (the server's creation time of it, Unix nanoseconds), `seq`
/// which message, and `check` holds the low 32 bits of that message's server time, so that a
/// restored or rolled-back stream is noticed; 0 means unknown, as in a receipt. Its text form,
/// `c1.<hex>.<seq>.<hex>`, survives files and command lines. Cursors compare in stream order within
/// one incarnation only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The stream's creation time in Unix nanoseconds.
    pub incarnation: u64,
    /// The stream sequence of the last message already seen; 0 is before the first.
    pub seq: u64,
    /// Low 32 bits of that message's server time in nanoseconds; 0 when unknown.
    pub check: u32,
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Cursor) -> Option<std::cmp::Ordering> {
        (self.incarnation == other.incarnation).then(|| self.seq.cmp(&other.seq))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c1.{:x}.{}.{:x}", self.incarnation, self.seq, self.check)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Cursor, Error> {
        parse_cursor(text).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("cursor {text:?}: not a cursor"))
                .hint("a cursor reads c1.<hex>.<number>.<hex>, as a receipt or a message shows it")
        })
    }
}

fn parse_cursor(text: &str) -> Option<Cursor> {
    let mut parts = text.strip_prefix("c1.")?.split('.');
    let cursor = Cursor {
        incarnation: u64::from_str_radix(digits(parts.next()?, 16)?, 16).ok()?,
        seq: digits(parts.next()?, 10)?.parse().ok()?,
        check: u32::from_str_radix(digits(parts.next()?, 16)?, 16).ok()?,
    };
    parts.next().is_none().then_some(cursor)
}

/// `from_str_radix` takes a sign; a cursor has none, and only lower-case digits.
fn digits(text: &str, radix: u32) -> Option<&str> {
    let plain = |c: char| c.is_digit(radix) && !c.is_ascii_uppercase();
    (!text.is_empty() && text.chars().all(plain)).then_some(text)
}

/// Header fields of a message or a request: names as they were written, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// The first value under `name`, compared to the letter as NATS does.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// All fields, sorted by name; the values of one name in the order they were written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Headers {
        let mut fields = Vec::from_iter(fields);
        // Stable: the values of one name stay in their order.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Headers(fields)
    }
}

/// A stored message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The sender's id of this message: 32 hex unless the sender chose one.
    pub id: String,
    /// Who wrote it, as the sender says; nothing proves it.
    pub sender: String,
    /// The thread's name, if the sender stored it and it hashes to [`Message::short`].
    pub thread: Option<String>,
    /// The thread's 8 hex digits, from the subject it was stored under.
    pub short: Short,
    /// The text.
    pub body: String,
    /// The id of the message this one answers.
    pub reply_to: Option<String>,
    /// The sender's clock when it was sent.
    pub sent_at: OffsetDateTime,
    /// The server's clock when it was stored, UTC.
    pub time: OffsetDateTime,
    /// Its place in the stream: resume from here to get what follows.
    pub cursor: Cursor,
    /// Header fields, `traceparent` among them where the sender gave one.
    pub headers: Headers,
}

impl Message {
    /// A message made up, to test code that reads them; the fields not named here are empty.
    pub fn new(short: Short, sender: &str, body: &str, time: OffsetDateTime) -> Message {
        Message {
            id: String::new(),
            sender: sender.to_owned(),
            thread: None,
            short,
            body: body.to_owned(),
            reply_to: None,
            sent_at: time,
            time,
            cursor: Cursor::default(),
            headers: Headers::default(),
        }
    }

    /// Roughly what this message occupies in memory, for bounds.
    pub(crate) fn weight(&self) -> usize {
        let headers: usize = self.headers.0.iter().map(|(n, v)| n.len() + v.len() + 48).sum();
        let thread = self.thread.as_ref().map_or(0, String::len);
        let reply_to = self.reply_to.as_ref().map_or(0, String::len);
        size_of::<Message>()
            + self.id.len()
            + self.sender.len()
            + self.body.len()
            + thread
            + reply_to
            + headers
    }
}

/// Proof that a message is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The message's id: the caller's, or the one drawn for it.
    pub id: String,
    /// Where it is stored; `None` when this agent may not read the stream's information.
    pub cursor: Option<Cursor>,
    /// It was already stored under this id, in this thread, by this agent or with this text; the
    /// cursor is the first copy's.
    pub duplicate: bool,
}

/// One thread as [`list_threads`](crate::Manager::list_threads) shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ThreadSummary {
    /// The name, where the last message carries it.
    pub name: Option<String>,
    /// The thread's 8 hex digits.
    pub short: Short,
    /// Messages stored in it, malformed payloads included.
    pub message_count: u64,
    /// The last well-formed message, looked for among the newest 33; `None` if all those are
    /// malformed.
    pub last: Option<Arc<Message>>,
    /// The place of the newest message, malformed or not.
    pub cursor: Cursor,
}

/// What [`history`](crate::Manager::history) found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// A bound was reached before the end: go on from [`History::next`].
    pub truncated: bool,
    /// Where this page ended; start the next one after it.
    pub next: Cursor,
    /// What expired or was purged while it was read: `(after, until)`.
    pub gaps: Vec<(Cursor, Cursor)>,
    /// Stored payloads that are no envelope.
    pub malformed: u64,
}

/// Where a watch or a history begins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Start {
    /// With what is stored after the call; for watches only.
    #[default]
    New,
    /// With the oldest message stored.
    All,
    /// After this place. If it does not belong to today's stream, a watch says [`Event::Reset`] and
    /// gives everything.
    After(Cursor),
    /// With the first message the server stored at or after this time.
    Time(OffsetDateTime),
    /// With the last `n` messages.
    Last(u64),
}

impl Start {
    /// The place that the caller gave.
    pub(crate) fn given(self) -> Option<Cursor> {
        match self {
            Start::After(cursor) => Some(cursor),
            Start::New | Start::All | Start::Time(_) | Start::Last(_) => None,
        }
    }
}

/// What a watch tells, in stream order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message, once.
    Message(Arc<Message>),
    /// Once: all that was stored when the watch began is delivered; for [`Start::New`] the first
    /// event.
    CaughtUp {
        /// Everything up to here is delivered.
        cursor: Cursor,
    },
    /// Messages after `after` up to `until` expired or were purged before they could be delivered.
    /// Whether any of them was of the watched thread can no longer be told.
    Gap {
        /// The last place before the gap.
        after: Cursor,
        /// The last place within the gap.
        until: Cursor,
    },
    /// The stream was deleted and made anew, restored or rolled back; all of today's follows.
    Reset {
        /// The beginning of today's stream.
        cursor: Cursor,
    },
    /// A stored payload is no envelope, or its subject no thread's.
    Malformed {
        /// Its place.
        cursor: Cursor,
    },
    /// For 10 s there has been no working source; nothing is lost, delivery waits.
    Stalled {
        /// What stands in the way.
        reason: Error,
    },
    /// The source works again after [`Event::Stalled`].
    Resumed,
}

/// Counters of a manager since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages stored.
    pub sent: u64,
    /// Publishes repeated under the same id because no answer came.
    pub resent: u64,
    /// Answers saying that the message was already stored.
    pub duplicates: u64,
    /// Messages handed to watches.
    pub delivered: u64,
    /// Stored payloads that were no envelope.
    pub malformed: u64,
    /// Gap events.
    pub gaps: u64,
    /// Reset events.
    pub resets: u64,
    /// Times a watch was too slow for the live tail and went on reading from the stream.
    pub detaches: u64,
    /// Times the reader of the live tail was opened again after a fault.
    pub reopens: u64,
    /// Times the connection was made again.
    pub reconnects: u64,
    /// Live watches now.
    pub watches: u64,
    /// Bytes now queued for watches of the whole connection.
    pub buffered_bytes: u64,
    /// Whether the connection is up now.
    pub connected: bool,
    /// Whether the live tail is read by polling, the server having no consumers to spare.
    pub polling: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        let cursor = Cursor { incarnation: 0x18a3f, seq: 42, check: 0xbeef };
        assert_eq!(cursor.to_string(), "c1.18a3f.42.beef");
        assert_eq!("c1.18a3f.42.beef".parse::<Cursor>().expect("its own text"), cursor);
        assert_eq!("c1.1.2.0".parse::<Cursor>().expect("check unknown").check, 0);
    }

    #[test]
    fn other_text_is_no_cursor() {
        for text in [
            "",
            "c1",
            "c1.1.2",
            "c1.1.2.3.4",
            "c2.1.2.3",
            "c1.+1.2.3",
            "c1.1.-2.3",
            "c1.1.2.1ffffffff",
            "c1.A.2.3",
            " c1.1.2.3",
        ] {
            let error = text.parse::<Cursor>().expect_err(text);
            assert_eq!(error.to_string(), format!("cursor {text:?}: not a cursor"));
        }
    }

    #[test]
    fn cursors_of_two_incarnations_do_not_compare() {
        let old = Cursor { incarnation: 1, seq: 9, check: 0 };
        let new = Cursor { incarnation: 2, seq: 1, check: 0 };
        assert_eq!(old.partial_cmp(&new), None);
        assert!(old > Cursor { seq: 8, ..old });
    }

    proptest! {
        #[test]
        fn any_cursor_round_trips(incarnation: u64, seq: u64, check: u32) {
            let cursor = Cursor { incarnation, seq, check };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().expect("its own text"), cursor);
        }

        #[test]
        fn what_parses_prints_the_same(
            text in "c1\\.[0-9a-f+-]{0,18}\\.[0-9+-]{0,21}\\.[0-9a-f]{0,9}|.*",
        ) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                let again = cursor.to_string().parse::<Cursor>();
                prop_assert_eq!(again.expect("its own text"), cursor);
            }
        }
    }
}
