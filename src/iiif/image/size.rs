//! How large the answer shall be, in all forms of 2.1 and 3.0 (*Image API 3.0, 4.2*).

use std::fmt;

use super::Version;
use super::number::{Decimal, integer, is_beyond};
use super::syntax::SyntaxError;

/// A size, before it is held against a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// `^` before it: the region may be enlarged. Only in 3.0; 2.1 may enlarge without asking.
    pub caret: bool,
    /// What follows.
    pub form: Form,
}

/// The forms of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `full`: the size of the region. Only in 2.1.
    Full,
    /// `max`: the largest that is allowed.
    Max,
    /// `w,`: the width, at least 1; the height follows.
    Width(u32),
    /// `,h`: the height, at least 1; the width follows.
    Height(u32),
    /// `w,h`: both, whatever that does to the picture.
    Exact(u32, u32),
    /// `!w,h`: the largest that fits.
    Within(u32, u32),
    /// `pct:n`: so many per cent of the region, more than 0.
    Percent(Decimal),
}

impl Size {
    /// Reads the second part of a request.
    pub fn parse(version: Version, text: &str) -> Result<Self, SyntaxError> {
        let (caret, rest) = match (version, text.strip_prefix('^')) {
            (Version::V3, Some(rest)) => (true, rest),
            _ => (false, text),
        };
        let form = Form::parse(rest).filter(|form| *form != Form::Full || version == Version::V2);
        let form = form.ok_or_else(|| SyntaxError::new("size", text, expected(version, text)))?;
        match form {
            Form::Width(0) | Form::Exact(0, _) | Form::Within(0, _) => {
                Err(SyntaxError::new("size", text, "is empty: width must be at least 1"))
            }
            Form::Height(0) | Form::Exact(_, 0) | Form::Within(_, 0) => {
                Err(SyntaxError::new("size", text, "is empty: height must be at least 1"))
            }
            Form::Percent(percent) if percent.is_zero() => {
                Err(SyntaxError::new("size", text, "is empty: the percentage must be more than 0"))
            }
            Form::Width(_) | Form::Height(_) | Form::Exact(..) if is_beyond(rest.split(',')) => {
                Err(SyntaxError::new("size", text, "is beyond all limits: expected at most 4294967295"))
            }
            _ => Ok(Self { caret, form }),
        }
    }
}

impl Form {
    /// Whether it leaves the size to us, within bounds: then nothing is too large (*Image API 3.0, 4.2*).
    pub fn is_open(self) -> bool {
        matches!(self, Self::Max | Self::Within(..))
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "full" => return Some(Self::Full),
            "max" => return Some(Self::Max),
            _ => {}
        }
        if let Some(percent) = text.strip_prefix("pct:") {
            return Decimal::parse(percent).map(Self::Percent);
        }
        if let Some(sides) = text.strip_prefix('!') {
            let (width, height) = sides.split_once(',')?;
            return Some(Self::Within(integer(width)?, integer(height)?));
        }
        match text.split_once(',')? {
            ("", height) => integer(height).map(Self::Height),
            (width, "") => integer(width).map(Self::Width),
            (width, height) => Some(Self::Exact(integer(width)?, integer(height)?)),
        }
    }
}

fn expected(version: Version, text: &str) -> &'static str {
    match (version, text) {
        (Version::V3, "full") => "belongs to version 2: expected `max`",
        (Version::V3, _) => {
            "is not understood: expected `max`, `w,`, `,h`, `w,h`, `!w,h` or `pct:n`, and `^` before it to enlarge"
        }
        (Version::V2, text) if text.starts_with('^') => "belongs to version 3: expected the same without `^`",
        (Version::V2, _) => "is not understood: expected `full`, `max`, `w,`, `,h`, `w,h`, `!w,h` or `pct:n`",
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.caret {
            f.write_str("^")?;
        }
        match self.form {
            Form::Full => f.write_str("full"),
            Form::Max => f.write_str("max"),
            Form::Width(width) => write!(f, "{width},"),
            Form::Height(height) => write!(f, ",{height}"),
            Form::Exact(width, height) => write!(f, "{width},{height}"),
            Form::Within(width, height) => write!(f, "!{width},{height}"),
            Form::Percent(percent) => write!(f, "pct:{percent}"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        for (text, form) in [
            ("max", Form::Max),
            ("150,", Form::Width(150)),
            (",150", Form::Height(150)),
            ("150,75", Form::Exact(150, 75)),
            ("!150,75", Form::Within(150, 75)),
            ("pct:100", Form::Percent(Decimal::HUNDRED)),
        ] {
            assert_eq!(Size::parse(Version::V2, text), Ok(Size { caret: false, form }), "{text}");
            assert_eq!(Size::parse(Version::V3, text), Ok(Size { caret: false, form }), "{text}");
            let enlarged = format!("^{text}");
            assert_eq!(Size::parse(Version::V3, &enlarged), Ok(Size { caret: true, form }), "{enlarged}");
        }
        assert_eq!(Size::parse(Version::V2, "full"), Ok(Size { caret: false, form: Form::Full }));
    }

    #[test]
    fn what_is_refused_and_why() {
        for (version, text, why) in [
            (Version::V3, "0,", "is empty: width must be at least 1"),
            (Version::V3, ",0", "is empty: height must be at least 1"),
            (Version::V3, "0,0", "is empty: width must be at least 1"),
            (Version::V3, "^!10,0", "is empty: height must be at least 1"),
            (Version::V3, "99999999999999999999,", "is beyond all limits: expected at most 4294967295"),
            (Version::V2, "9,4294967296", "is beyond all limits: expected at most 4294967295"),
            (Version::V2, "pct:0.0", "is empty: the percentage must be more than 0"),
            (Version::V3, "full", "belongs to version 2: expected `max`"),
            (Version::V2, "^max", "belongs to version 3: expected the same without `^`"),
            (
                Version::V3,
                // One example of the specification has it so; a known mistake (*3.0, 4.2*).
                ",^240",
                "is not understood: expected `max`, `w,`, `,h`, `w,h`, `!w,h` or `pct:n`, and `^` before it to enlarge",
            ),
            (
                Version::V2,
                "10.5,",
                "is not understood: expected `full`, `max`, `w,`, `,h`, `w,h`, `!w,h` or `pct:n`",
            ),
        ] {
            let error = Size::parse(version, text).unwrap_err().to_string();
            assert_eq!(error, format!("size `{text}` {why}"));
        }
        let bad = [
            "", ",", "^", "^^max", "!^9,9", "!9,", "!,9", "!max", "9,9,9", "-9,", "max,", "MAX", "pct:", "9",
        ];
        for text in bad {
            assert!(Size::parse(Version::V3, text).is_err(), "{text}");
            assert!(Size::parse(Version::V2, text).is_err(), "{text}");
        }
    }

    /// Sizes of 3.0, and of 2.1 where there is no caret.
    pub(in crate::iiif::image) fn size() -> impl Strategy<Value = Size> {
        let side = || prop_oneof![1..=3_u32, 1..=6000_u32, u32::MAX - 3..=u32::MAX];
        let percent = (0..30_000_u32).prop_filter_map("empty", |hundredths| {
            Decimal::parse(&format!("{}.{:02}", hundredths / 100, hundredths % 100))
                .filter(|number| !number.is_zero())
        });
        let form = prop_oneof![
            Just(Form::Max),
            side().prop_map(Form::Width),
            side().prop_map(Form::Height),
            (side(), side()).prop_map(|(width, height)| Form::Exact(width, height)),
            (side(), side()).prop_map(|(width, height)| Form::Within(width, height)),
            percent.prop_map(Form::Percent),
        ];
        (any::<bool>(), form).prop_map(|(caret, form)| Size { caret, form })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(size in size()) {
            prop_assert_eq!(Size::parse(Version::V3, &size.to_string()), Ok(size));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\^!]?(pct:)?[0-9,.]{0,12}|.{0,10}") {
            let _ = Size::parse(Version::V2, &text);
            let _ = Size::parse(Version::V3, &text);
        }
    }
}
