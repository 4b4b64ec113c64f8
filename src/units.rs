//! Sizes and lengths of time as people write them in settings: `64MiB`, `10s`.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of bytes: `64MiB`, `20GiB`, `1GB`, or a plain number.
///
/// `kB`, `MB`, `GB`, `TB` count in thousands, `KiB`, `MiB`, `GiB`, `TiB` in 1024s; capitals do not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

impl Bytes {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 1024 × 1024 bytes; the largest there is where that does not fit.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// This many times 1024 × 1024 × 1024 bytes; the largest there is where that does not fit.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// The number as an index into memory; the largest there is on machines where it does not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A length of time: `500ms`, `10s`, `5m`, `2h`, `7d`. Nothing finer than a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(time::Duration);

impl Duration {
    /// This many milliseconds.
    pub const fn millis(count: u64) -> Self {
        Self(time::Duration::from_millis(count))
    }

    /// This many seconds.
    pub const fn secs(count: u64) -> Self {
        Self::of(count, 1_000)
    }

    /// This many minutes.
    pub const fn mins(count: u64) -> Self {
        Self::of(count, 60_000)
    }

    /// This many hours.
    pub const fn hours(count: u64) -> Self {
        Self::of(count, 3_600_000)
    }

    /// This many days.
    pub const fn days(count: u64) -> Self {
        Self::of(count, 86_400_000)
    }

    const fn of(count: u64, unit: u64) -> Self {
        Self::millis(count.saturating_mul(unit))
    }
}

/// What was written is not a size or a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Neither a number nor a number with a unit that we know.
    #[error("expected {expected}, found `{found}`")]
    Unknown {
        /// What was written.
        found: String,
        /// The grammar in words.
        expected: &'static str,
    },
    /// More than 64 bits hold.
    #[error("`{found}` is too large")]
    TooLarge {
        /// What was written.
        found: String,
    },
}

/// The names of units with what each counts.
type Units = [(&'static str, u64)];

const SIZES: &Units = &[
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];
const SIZE: &str =
    "a size such as `64MiB`, `1GB` or a plain number of bytes (units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)";

/// In milliseconds.
const TIMES: &Units = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const TIME: &str = "a length of time such as `10s` or `5m` (units: ms, s, m, h, d)";

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, SIZES, Some(1), SIZE).map(Self)
    }
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, TIMES, None, TIME).map(Self::millis)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, SIZES, "B", f)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), TIMES, "s", f)
    }
}

impl Deref for Bytes {
    type Target = u64;

    fn deref(&self) -> &u64 {
        &self.0
    }
}

impl Deref for Duration {
    type Target = time::Duration;

    fn deref(&self) -> &time::Duration {
        &self.0
    }
}

impl From<u64> for Bytes {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<Bytes> for u64 {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl From<time::Duration> for Duration {
    /// What is finer than a millisecond is cut off.
    fn from(duration: time::Duration) -> Self {
        Self::millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SIZE)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                u64::try_from(bytes)
                    .map(Bytes)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
            }
        }
        deserializer.deserialize_any(Size)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Time;
        impl Visitor<'_> for Time {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(TIME)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Time)
    }
}

/// A whole number and a unit; `bare` is what a number without a unit counts, if that is allowed.
fn parse(text: &str, units: &Units, bare: Option<u64>, expected: &'static str) -> Result<u64, UnitError> {
    let unknown = || UnitError::Unknown { found: text.to_owned(), expected };
    let too_large = || UnitError::TooLarge { found: text.to_owned() };
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start();
    let factor = match (unit, bare) {
        ("", bare) => bare,
        _ => units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor),
    };
    let factor = factor.filter(|_| !number.is_empty()).ok_or_else(unknown)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(too_large)
}

/// The shortest form that is exact; nothing at all is `0` of the given unit.
fn print(count: u64, units: &Units, zero: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let largest = units.iter().rev().filter(|(_, factor)| count != 0 && count.is_multiple_of(*factor));
    match largest.min_by_key(|(_, factor)| count / factor) {
        Some((name, factor)) => write!(f, "{}{name}", count / factor),
        None => write!(f, "{count}{zero}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("1kB", 1_000),
            ("1KiB", 1_024),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            (" 20GiB ", 20 << 30),
            ("1GB", 1_000_000_000),
            ("3TiB", 3 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn times_as_people_write_them() {
        for (text, duration) in [
            ("500ms", Duration::millis(500)),
            ("10s", Duration::secs(10)),
            ("5m", Duration::mins(5)),
            ("2 h", Duration::hours(2)),
            ("7d", Duration::days(7)),
        ] {
            assert_eq!(text.parse(), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_with_the_grammar() {
        for text in ["", "MiB", "-1", "1.5GiB", "64M", "64MiB/s", "１B", "1 2"] {
            let error = text.parse::<Bytes>().unwrap_err();
            assert!(matches!(error, UnitError::Unknown { .. }), "{text}: {error}");
        }
        insta::assert_snapshot!(
            "64M".parse::<Bytes>().unwrap_err(),
            @"expected a size such as `64MiB`, `1GB` or a plain number of bytes (units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), found `64M`"
        );
        insta::assert_snapshot!("16777216TiB".parse::<Bytes>().unwrap_err(), @"`16777216TiB` is too large");
    }

    #[test]
    fn what_is_no_time_is_told_with_the_grammar() {
        for text in ["", "10", "s", "-1s", "1.5h", "1h30m", "10 sec"] {
            let error = text.parse::<Duration>().unwrap_err();
            assert!(matches!(error, UnitError::Unknown { .. }), "{text}: {error}");
        }
        insta::assert_snapshot!(
            "10".parse::<Duration>().unwrap_err(),
            @"expected a length of time such as `10s` or `5m` (units: ms, s, m, h, d), found `10`"
        );
        insta::assert_snapshot!("213503982335d".parse::<Duration>().unwrap_err(), @"`213503982335d` is too large");
    }

    #[test]
    fn toml_takes_numbers_for_sizes_and_texts_for_both() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Sample {
            size: Bytes,
            time: Duration,
        }
        let sample: Sample = toml::from_str("size = 1024\ntime = '10s'").unwrap();
        assert_eq!(sample, Sample { size: Bytes(1024), time: Duration::secs(10) });
        for wrong in ["size = -1\ntime = '10s'", "size = 1.5\ntime = '10s'", "size = 1\ntime = 10"] {
            assert!(toml::from_str::<Sample>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn printed_in_the_shortest_exact_form() {
        for (bytes, text) in [(0, "0B"), (1, "1B"), (1_000, "1kB"), (1 << 20, "1MiB"), (1025, "1025B")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for (duration, text) in [
            (Duration::default(), "0s"),
            (Duration::secs(90), "90s"),
            (Duration::secs(120), "2m"),
            (Duration::hours(48), "2d"),
            (Duration::from(time::Duration::from_micros(1_999)), "1ms"),
        ] {
            assert_eq!(duration.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_a_size_prints_it_parses(bytes in prop_oneof![any::<u64>(), (0..1u64 << 24, 0..40u32).prop_map(|(n, by)| n << by)]) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }

        #[test]
        fn what_a_time_prints_it_parses(count in 0..1u64 << 32, unit in prop::sample::select(TIMES)) {
            let duration = Duration::of(count, unit.1);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = (text.parse::<Bytes>(), text.parse::<Duration>());
        }
    }
}
