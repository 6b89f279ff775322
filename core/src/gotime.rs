//! Timestamps as Go's time package reads and writes them in JSON: RFC 3339, and what it tolerates.

use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};

/// Go's zero time, which a payload without a timestamp has: the first instant of year 1.
pub(crate) const ZERO: OffsetDateTime =
    OffsetDateTime::UNIX_EPOCH.saturating_sub(Duration::seconds(62_135_596_800));

/// Gives Go's verdict on what stands between the quotes: one-digit hours, a comma before the
/// fraction and offsets up to 24:60 pass.
pub(crate) fn parse(text: &[u8]) -> Option<OffsetDateTime> {
    let mut rest = Rest(text);
    let year = rest.number(4)?;
    rest.byte(b'-')?;
    let month = Month::try_from(rest.two()?).ok()?;
    rest.byte(b'-')?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, rest.two()?).ok()?;
    rest.byte(b'T')?;
    let hour = rest.two().or_else(|| rest.number(1)?.try_into().ok())?;
    rest.byte(b':')?;
    let minute = rest.two()?;
    rest.byte(b':')?;
    let second = rest.two()?;
    let time = Time::from_hms_nano(hour, minute, second, rest.nanos()).ok()?;
    let offset = rest.offset()?;
    rest.0.is_empty().then_some(date.with_time(time).assume_offset(offset))
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// Exactly `width` digits; takes nothing otherwise.
    fn number(&mut self, width: usize) -> Option<u32> {
        let (digits, after) = self.0.split_at_checked(width)?;
        let mut number = 0;
        for digit in digits {
            number = number * 10 + char::from(*digit).to_digit(10)?;
        }
        self.0 = after;
        Some(number)
    }

    fn two(&mut self) -> Option<u8> {
        self.number(2)?.try_into().ok()
    }

    /// A fraction of a second, if there is one; digits beyond nanoseconds are dropped.
    fn nanos(&mut self) -> u32 {
        let [b'.' | b',', digits @ ..] = self.0 else { return 0 };
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = digits.split_at(count);
        if digits.is_empty() {
            return 0;
        }
        self.0 = after;
        let padded = digits.iter().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0));
        padded.take(9).fold(0, |nanos, digit| nanos * 10 + digit)
    }

    fn offset(&mut self) -> Option<UtcOffset> {
        if self.byte(b'Z').is_some() {
            return Some(UtcOffset::UTC);
        }
        let sign = if self.byte(b'-').is_some() { -1 } else { self.byte(b'+').map(|()| 1)? };
        let hours = i32::from(self.two()?);
        self.byte(b':')?;
        let minutes = i32::from(self.two()?);
        let seconds = sign * (hours * 60 + minutes) * 60;
        if hours <= 24 && minutes <= 60 {
            UtcOffset::from_whole_seconds(seconds).ok()
        } else {
            None
        }
    }
}

/// Writes RFC 3339 with the nanoseconds there are: what [`parse`] reads, whole. The year must be
/// one of 0 to 9999 and the offset of whole minutes, as a clock's are.
pub(crate) fn write(out: &mut Vec<u8>, time: OffsetDateTime) {
    write_number(out, time.year().unsigned_abs(), 4);
    for (sign, number) in [
        (b'-', u8::from(time.month())),
        (b'-', time.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ] {
        out.push(sign);
        write_number(out, number.into(), 2);
    }
    write_fraction(out, time.nanosecond());
    write_offset(out, time.offset().whole_seconds());
}

fn write_fraction(out: &mut Vec<u8>, nanos: u32) {
    if nanos == 0 {
        return;
    }
    out.push(b'.');
    write_number(out, nanos, 9);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn write_offset(out: &mut Vec<u8>, seconds: i32) {
    if seconds == 0 {
        return out.push(b'Z');
    }
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let minutes = seconds.unsigned_abs() / 60;
    // Go reads 24:60, but not 25:00.
    let hours = (minutes / 60).min(24);
    write_number(out, hours, 2);
    out.push(b':');
    write_number(out, minutes - hours * 60, 2);
}

fn write_number(out: &mut Vec<u8>, number: u32, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (number / 10_u32.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let written = parse(text.as_bytes()).map(|time| {
            let mut out = Vec::new();
            write(&mut out, time);
            String::from_utf8(out).expect("digits")
        });
        assert_eq!(written.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_go_reads_keeps_its_form() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.006Z",
            "9999-12-31T23:59:59.999999999Z",
            "0000-02-29T00:00:00.1-23:59",
            "2026-01-02T03:04:05+05:30",
            "0000-01-01T00:00:00+24:00",
            "9999-12-31T23:00:00-24:60",
        ] {
            check(text, Some(text));
        }
    }

    #[test]
    fn what_go_tolerates_is_read() {
        check("2026-01-02T3:04:05Z", Some("2026-01-02T03:04:05Z"));
        check("2026-01-02T03:04:05,5Z", Some("2026-01-02T03:04:05.5Z"));
        check("2026-01-02T03:04:05.12345678999Z", Some("2026-01-02T03:04:05.123456789Z"));
        check("2026-01-02T03:04:05.000Z", Some("2026-01-02T03:04:05Z"));
        check("2026-01-02T03:04:05-00:00", Some("2026-01-02T03:04:05Z"));
    }

    #[test]
    fn other_text_is_no_timestamp() {
        for text in [
            "",
            "null",
            "2026-1-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2026-13-02T03:04:05Z",
            "2026-01-02t03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T123:04:05Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05z",
            "2026-01-02T03:04:05+0200",
            "2026-01-02T03:04:05+25:00",
            "2026-01-02T03:04:05+00:61",
            "2026-01-02T03:04:05Z ",
            "+026-01-02T03:04:05Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_zero_time_is_the_first_instant_of_year_1() {
        assert_eq!(parse(b"0001-01-01T00:00:00Z"), Some(ZERO));
    }
}
