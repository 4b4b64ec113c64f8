//! Rotation and mirroring: `!90`, `22.5` (*Image API 3.0, 4.3*).

use std::fmt;

use super::number::Decimal;
use super::syntax::SyntaxError;

/// Mirror first (left to right), then turn clockwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    /// Whether left and right change places before turning.
    pub mirror: bool,
    /// Clockwise, 0 <= degrees < 360 (360 is the same as 0).
    pub degrees: f64,
}

impl Rotation {
    /// Reads the third part of a request.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (mirror, number) = match text.strip_prefix('!') {
            Some(number) => (true, number),
            None => (false, text),
        };
        let expected = "is not understood: expected degrees from 0 to 360, and `!` before them to mirror";
        let degrees = Decimal::parse(number).map(Decimal::to_f64).filter(|degrees| *degrees <= 360.0);
        let degrees = degrees.ok_or_else(|| SyntaxError::new("rotation", text, expected))?;
        Ok(Self { mirror, degrees: degrees % 360.0 })
    }
}

/// The shortest decimal, which for whole numbers is an integer.
impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mirror {
            f.write_str("!")?;
        }
        write!(f, "{}", self.degrees)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_are_read_and_printed_short() {
        for (text, mirror, degrees, printed) in [
            ("0", false, 0.0, "0"),
            ("90.0", false, 90.0, "90"),
            ("!0", true, 0.0, "!0"),
            ("!22.50", true, 22.5, "!22.5"),
            (".5", false, 0.5, "0.5"),
            ("359.9999999999", false, 359.9999999999, "359.9999999999"),
            ("0.0000001", false, 1e-7, "0.0000001"),
            ("360", false, 0.0, "0"),
            ("!360.0", true, 0.0, "!0"),
        ] {
            let rotation = Rotation::parse(text).unwrap();
            assert_eq!(rotation, Rotation { mirror, degrees }, "{text}");
            assert_eq!(rotation.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for text in
            ["361", "360.1", "-90", "+90", "1e2", "abc", "!", "!!90", "90!", "NaN", "inf", " 90", "", "9."]
        {
            assert_eq!(
                Rotation::parse(text).unwrap_err().to_string(),
                format!(
                    "rotation `{text}` is not understood: expected degrees from 0 to 360, and `!` before them to mirror"
                )
            );
        }
    }

    pub(in crate::iiif::image) fn rotation() -> impl Strategy<Value = Rotation> {
        let quarter = (0..=4_u64).prop_map(|turns| format!("{}", turns * 90));
        let odd = (0..360_u64, "[0-9]{1,10}").prop_map(|(whole, places)| format!("{whole}.{places}"));
        (any::<bool>(), prop_oneof![quarter, odd]).prop_map(|(mirror, degrees)| {
            Rotation::parse(&format!("{}{degrees}", if mirror { "!" } else { "" })).unwrap()
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(rotation in rotation()) {
            prop_assert_eq!(Rotation::parse(&rotation.to_string()), Ok(rotation));
        }
    }
}
