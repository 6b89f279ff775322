//! Times and durations as people type them, and times as people read them.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};
use libchat::{Cursor, Start};
use time::OffsetDateTime;

/// `--since`: a cursor, a time or a duration back from now.
pub(crate) fn start(text: &str) -> Result<Start, String> {
    if text.starts_with("c1.") {
        let cursor = text.parse::<Cursor>();
        return cursor.map(Start::After).map_err(|error| error.to_string());
    }
    let time = match (text.parse::<Timestamp>(), text.parse::<Span>()) {
        (Ok(time), _) => Some(time),
        (_, Ok(span)) => {
            ZonedDateTime::now().checked_sub(span.abs()).ok().map(|then| then.timestamp())
        }
        _ => None,
    };
    time.and_then(|time| OffsetDateTime::from_unix_timestamp_nanos(time.as_nanosecond()).ok())
        .map(Start::Time)
        .ok_or_else(|| {
            "give a cursor (c1.18c7.42.0), a time (2026-07-30T14:00:00Z) or a duration (2h)".into()
        })
}

/// `--timeout`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|it| Duration::try_from(it).ok());
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "give a duration: 500ms, 2s, 1m".into())
}

/// In the time zone of this machine, to the second.
pub(crate) fn local(time: OffsetDateTime) -> String {
    match Timestamp::from_nanosecond(time.unix_timestamp_nanos()) {
        Ok(time) => {
            time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        Err(_) => "unknown time".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_a_cursor_a_time_or_a_duration() {
        let cursor = Cursor { incarnation: 0x18c7, seq: 42, check: 0 };
        assert_eq!(start("c1.18c7.42.0"), Ok(Start::After(cursor)));
        let time = OffsetDateTime::from_unix_timestamp(1_785_420_000).expect("a time");
        assert_eq!(start("2026-07-30T14:00:00Z"), Ok(Start::Time(time)));
        assert_eq!(start("2026-07-30 16:00:00+02:00"), Ok(Start::Time(time)));
        for (text, seconds) in
            [("2h", 7200), ("90 minutes", 5400), ("PT1H", 3600), ("1h ago", 3600)]
        {
            let Ok(Start::Time(then)) = start(text) else { panic!("{text}") };
            let back = (OffsetDateTime::now_utc() - then).whole_seconds();
            assert!((seconds..seconds + 60).contains(&back), "{text}: {back} s");
        }
        assert!(start("3d").is_ok());
    }

    #[test]
    fn since_takes_nothing_else() {
        assert_eq!(start("c1.x"), Err("cursor \"c1.x\": not a cursor".into()));
        for text in ["", "yesterday", "17", "2026-07-30", "999999999 years"] {
            let error = start(text).expect_err(text);
            assert!(error.starts_with("give a cursor"), "{text}: {error}");
        }
    }

    #[test]
    fn a_timeout_has_a_unit_and_a_length() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        for text in ["", "5", "0s", "-1s", "soon"] {
            assert_eq!(duration(text), Err("give a duration: 500ms, 2s, 1m".into()), "{text}");
        }
    }
}
