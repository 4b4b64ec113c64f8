//! `--rate`: how often a source may be asked, as people say it.

use std::str::FromStr;

/// Requests a second: `5/s`, `30/m`, `2000/h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(f64);

/// Slower ones would let requests wait longer than any may take.
const SLOWEST: f64 = 0.1;
const FASTEST: f64 = 10_000.0;
/// Seconds for which those who are at work may have to wait for their turn.
const WAIT: f64 = 10.0;

impl Rate {
    /// The slower of this and another one, in requests a second.
    pub(super) fn within(self, other: Option<f64>) -> f64 {
        other.map_or(self.0, |other| self.0.min(other))
    }

    /// How many may be at work without waiting for each other for long.
    pub(super) fn workers(self, wanted: usize) -> usize {
        wanted.min((self.0 * WAIT) as usize).max(1)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err("expected requests a second, minute or hour: `5/s`, `30/m`, `2000/h`".to_owned()),
        };
        let rate = number.parse::<f64>().ok().map(|number| number / seconds);
        match rate.filter(|rate| (SLOWEST..=FASTEST).contains(rate)) {
            Some(rate) => Ok(Self(rate)),
            None => Err("expected at least `6/m` and at most `10000/s`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, rate) in
            [("5/s", 5.0), ("5", 5.0), ("0.5/s", 0.5), ("30/m", 0.5), ("7200/h", 2.0), ("6/m", 0.1)]
        {
            assert_eq!(text.parse(), Ok(Rate(rate)), "{text}");
        }
        for text in ["", "/s", "x/s", "5/d", "5/s/s", "0", "-1", "5/m", "inf", "NaN", "20000/s", "1e300"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_slower_rate_holds() {
        assert_eq!([None, Some(2.0), Some(9.0)].map(|own| Rate(5.0).within(own)), [5.0, 2.0, 5.0]);
        assert_eq!([0.1, 0.5, 2.0].map(|rate| Rate(rate).workers(8)), [1, 5, 8]);
    }
}
