//! Dates as systems write them, as RFC 3339 in UTC: `2024-05-01T12:00:00Z`.
//!
//! One form only, so that two dates compare as texts do.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;

/// Milliseconds from here on: as seconds this is the year 5138.
const MILLISECONDS: i128 = 100_000_000_000;

/// Dates with a time but no zone. Numbers by month and day in unclear order are not among them.
const TIMES: [&str; 9] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y:%m:%d %H:%M:%S", // EXIF
    "%Y%m%d%H%M%S",      // MediaWiki
    "%Y%m%dT%H%M%S",
    "%d.%m.%Y %H:%M:%S",
];

const ZONED: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f%z"];

const DAYS: [&str; 8] =
    ["%Y-%m-%d", "%Y/%m/%d", "%Y:%m:%d", "%Y%m%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%d %b %Y"];

/// A date in whatever form; one without a zone is in UTC, one without a day begins its month or year.
pub(super) fn rfc3339(text: &str) -> Option<String> {
    let text = text.trim();
    // No date that we know is longer.
    if text.len() > 64 {
        return None;
    }
    zoned(text)
        .or_else(|| local(text).and_then(|time| Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())))
        .map(print)
}

/// Seconds since 1970, or milliseconds.
pub(super) fn of_epoch(number: i128) -> Option<String> {
    let seconds = if number.abs() >= MILLISECONDS { number.div_euclid(1000) } else { number };
    Some(print(Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?))
}

fn print(time: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", time).unwrap_or_else(|_| time.to_string())
}

fn zoned(text: &str) -> Option<Timestamp> {
    text.parse()
        .or_else(|_| rfc2822::parse(text).map(|time| time.timestamp()))
        .or_else(|error| {
            let known = ZONED.iter().find_map(|format| Timestamp::strptime(format, text).ok());
            known.ok_or(error)
        })
        .ok()
}

fn local(text: &str) -> Option<DateTime> {
    let time = TIMES.iter().find_map(|format| DateTime::strptime(format, text).ok());
    let day = || DAYS.iter().find_map(|format| Date::strptime(format, text).ok());
    time.or_else(|| day().or_else(|| year_or_month(text)).map(DateTime::from))
}

fn year_or_month(text: &str) -> Option<Date> {
    let number = |text: &str, length| {
        (text.len() == length && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<i16>().ok())?
    };
    let (year, month) = text.split_once('-').unwrap_or((text, "01"));
    Date::new(number(year, 4)?, i8::try_from(number(month, 2)?).ok()?, 1).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_become_rfc3339() {
        let noon = Some("2024-05-01T12:00:00Z");
        let day = Some("2024-05-01T00:00:00Z");
        let cases = [
            ("2024-05-01T12:00:00Z", noon),
            ("2024-05-01T14:00:00+02:00", noon),
            ("2024-05-01T14:00:00+0200", noon),
            ("2024-05-01T12:00:00.123456Z", noon),
            ("2024-05-01 14:00:00 +0200", noon),
            ("2024-05-01 14:00:00+02:00", noon),
            ("2024-05-01T12:00:00", noon),
            ("2024-05-01T12:00:00.5", noon),
            ("2024-05-01 12:00:00", noon),
            ("2024-05-01T12:00", noon),
            ("2024/05/01 12:00:00", noon),
            ("2024:05:01 12:00:00", noon),
            ("20240501120000", noon),
            ("20240501T120000", noon),
            ("01.05.2024 12:00:00", noon),
            ("Wed, 01 May 2024 12:00:00 GMT", noon),
            ("Wed, 01 May 2024 14:00:00 +0200", noon),
            ("2024-05-01", day),
            ("2024/05/01", day),
            ("20240501", day),
            ("1.5.2024", day),
            ("1 May 2024", day),
            ("May 1, 2024", day),
            ("2024-05", day),
            (" 2024 ", Some("2024-01-01T00:00:00Z")),
            ("1450", Some("1450-01-01T00:00:00Z")),
            ("0000-00-00 00:00:00", None),
            ("2024-13-01", None),
            ("2024-02-30", None),
            ("01/05/2024", None),
            ("circa 1900", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(rfc3339(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds_or_milliseconds() {
        assert_eq!(of_epoch(1_714_564_800).as_deref(), Some("2024-05-01T12:00:00Z"));
        assert_eq!(of_epoch(1_714_564_800_999).as_deref(), Some("2024-05-01T12:00:00Z"));
        assert_eq!(of_epoch(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(of_epoch(i128::MAX), None);
        assert_eq!(of_epoch(i128::MIN + 1), None);
    }

    proptest! {
        #[test]
        fn what_comes_out_goes_in_again(seconds in -60_000_000_000_i64..250_000_000_000) {
            let text = print(Timestamp::from_second(seconds).unwrap());
            prop_assert_eq!(rfc3339(&text), Some(text.clone()));
        }

        #[test]
        fn any_text_is_fine(text in any::<String>()) {
            let _ = rfc3339(&text);
        }
    }
}
