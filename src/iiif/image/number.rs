//! The two kinds of number in an image request: digits, and digits with a point
//! (*Image API 3.0, 4.7*).

use std::fmt;

/// Reads digits and nothing else. What is too large for any image becomes the largest number.
pub(super) fn integer(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// Whether one of several whole numbers is larger than any that is reckoned with.
pub(super) fn is_beyond<'a>(mut numbers: impl Iterator<Item = &'a str>) -> bool {
    numbers.any(|number| !number.is_empty() && number.parse::<u32>().is_err())
}

/// A decimal number, not negative, exact to ten places (*Image API 2.1.1, 4*).
///
/// Kept as a whole number of ten-thousand-millionths, so that `33.3` per cent of 500 is 166.5
/// and rounds up, which binary fractions do not promise. Too large numbers become the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(u64);

const PLACES: usize = 10;
const ONE: u64 = 10_u64.pow(PLACES as u32);

impl Decimal {
    /// 100, as in per cent.
    pub const HUNDRED: Self = Self(100 * ONE);

    /// Reads `90`, `90.0`, `22.5` and `.5`; further places than ten are rounded away.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, places) = match text.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, places)) => (whole, places),
            None if text.is_empty() => return None,
            None => (text, ""),
        };
        let mut digits = whole.chars().chain(places.chars());
        if !digits.all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let next = places.as_bytes().get(PLACES).is_some_and(|digit| *digit >= b'5');
        let kept = places.get(..PLACES).unwrap_or(places);
        let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
        let places = format!("{kept:0<PLACES$}").parse::<u64>().ok()? + u64::from(next);
        Some(Self(whole.saturating_mul(ONE).saturating_add(places)))
    }

    /// Whether this is 0.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// So many per cent of a length, rounded half up.
    pub fn percent_of(self, length: u32) -> u64 {
        let hundredths = u128::from(self.0) * u128::from(length);
        let per_cent = u128::from(Self::HUNDRED.0);
        u64::try_from((hundredths + per_cent / 2) / per_cent).unwrap_or(u64::MAX)
    }

    /// The nearest binary fraction.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

/// A leading zero, no trailing ones, no point without need.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / ONE)?;
        match self.0 % ONE {
            0 => Ok(()),
            places => write!(f, ".{}", format!("{places:0PLACES$}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_and_printed_short() {
        for (text, printed) in [
            ("0", Some("0")),
            ("90.0", Some("90")),
            (".5", Some("0.5")),
            ("007.250", Some("7.25")),
            ("0.00000000014", Some("0.0000000001")),
            ("0.00000000015", Some("0.0000000002")),
            ("9.99999999999", Some("10")),
            ("99999999999999999999", Some("1844674407.3709551615")),
            ("", None),
            (".", None),
            ("5.", None),
            ("1.2.3", None),
            ("1e2", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("NaN", None),
            ("١", None),
            ("1.٢", None),
        ] {
            assert_eq!(Decimal::parse(text).map(|number| number.to_string()).as_deref(), printed, "{text:?}");
        }
    }

    #[test]
    fn per_cent_round_half_up() {
        for (percent, length, pixels) in [
            ("33.3", 500, 167),
            ("41.6", 300, 125),
            ("0.1", 500, 1),
            ("0.0999999999", 500, 0),
            ("100", u32::MAX, u64::from(u32::MAX)),
        ] {
            assert_eq!(Decimal::parse(percent).unwrap().percent_of(length), pixels, "{percent} of {length}");
        }
    }

    #[test]
    fn integers_are_digits_and_saturate() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("4294967296", Some(u32::MAX)),
            ("", None),
            ("+1", None),
            ("1.0", None),
            ("١", None),
        ] {
            assert_eq!(integer(text), number, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(number in any::<u64>().prop_map(Decimal)) {
            prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.]{0,30}|.{0,10}") {
            if let Some(number) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
            }
        }
    }
}
