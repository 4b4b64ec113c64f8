//! Which part of the image is asked for: `full`, `square`, pixels or per cent (*Image API 3.0, 4.1*).

use std::fmt;

use super::number::{Decimal, integer, is_beyond};
use super::syntax::SyntaxError;

/// A box of pixels within an image, never empty, never reaching beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Pixels from the left edge.
    pub x: u32,
    /// Pixels from the top edge.
    pub y: u32,
    /// Pixels from left to right, at least 1.
    pub width: u32,
    /// Pixels from top to bottom, at least 1.
    pub height: u32,
}

/// A part of an image, before it is held against one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are named as the grammar names them")]
pub enum Region {
    /// `full`: all of it.
    Full,
    /// `square`: as wide as high, from the middle.
    Square,
    /// `x,y,w,h` in pixels.
    Pixels { x: u32, y: u32, width: u32, height: u32 },
    /// `pct:x,y,w,h` in per cent of width and height.
    Percent { x: Decimal, y: Decimal, width: Decimal, height: Decimal },
}

impl Region {
    /// Reads the first part of a request.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let expected =
            "is not understood: expected `full`, `square`, `x,y,w,h` in whole pixels or `pct:x,y,w,h`";
        let region =
            match text {
                "full" => Some(Self::Full),
                "square" => Some(Self::Square),
                _ => match text.strip_prefix("pct:") {
                    Some(numbers) => four(numbers, Decimal::parse)
                        .map(|[x, y, width, height]| Self::Percent { x, y, width, height }),
                    None => {
                        four(text, integer).map(|[x, y, width, height]| Self::Pixels { x, y, width, height })
                    }
                },
            };
        let region = region.ok_or_else(|| SyntaxError::new("region", text, expected))?;
        // Width and height are cut to the image; this begins beyond any.
        if matches!(region, Self::Pixels { .. }) && is_beyond(text.split(',').take(2)) {
            return Err(SyntaxError::new("region", text, "lies outside of any image"));
        }
        match region.empty_side() {
            None => Ok(region),
            Some("width") => Err(SyntaxError::new("region", text, "is empty: width must be more than 0")),
            Some(_) => Err(SyntaxError::new("region", text, "is empty: height must be more than 0")),
        }
    }

    fn empty_side(self) -> Option<&'static str> {
        let (width, height) = match self {
            Self::Full | Self::Square => return None,
            Self::Pixels { width, height, .. } => (width == 0, height == 0),
            Self::Percent { width, height, .. } => (width.is_zero(), height.is_zero()),
        };
        width.then_some("width").or(height.then_some("height"))
    }

    /// The box of pixels in an image of this size, cropped at its edges, never padded; `None`
    /// when it lies wholly outside.
    pub fn within(self, (image_width, image_height): (u32, u32)) -> Option<Rect> {
        let (x, width) = self.across(image_width, image_height)?;
        let (y, height) = self.down(image_width, image_height)?;
        Some(Rect { x, y, width, height })
    }

    fn across(self, image_width: u32, image_height: u32) -> Option<(u32, u32)> {
        match self {
            Self::Full => cut(0, image_width, image_width),
            Self::Square => middle(image_width, image_height),
            Self::Pixels { x, width, .. } => cut(x, width, image_width),
            Self::Percent { x, width, .. } => cut_percent(x, width, image_width),
        }
    }

    fn down(self, image_width: u32, image_height: u32) -> Option<(u32, u32)> {
        match self {
            Self::Full => cut(0, image_height, image_height),
            Self::Square => middle(image_height, image_width),
            Self::Pixels { y, height, .. } => cut(y, height, image_height),
            Self::Percent { y, height, .. } => cut_percent(y, height, image_height),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Square => f.write_str("square"),
            Self::Pixels { x, y, width, height } => write!(f, "{x},{y},{width},{height}"),
            Self::Percent { x, y, width, height } => write!(f, "pct:{x},{y},{width},{height}"),
        }
    }
}

/// Where a stretch begins and how long it is, between 0 and `side`; `None` beyond it.
fn cut(start: u32, length: u32, side: u32) -> Option<(u32, u32)> {
    let left = side.checked_sub(start).filter(|left| *left > 0)?;
    Some((start, length.min(left)))
}

/// The stretch in the middle of `side` that is no longer than `other`.
fn middle(side: u32, other: u32) -> Option<(u32, u32)> {
    let length = side.min(other);
    (length > 0).then_some(((side - length) / 2, length))
}

/// Rounded half up. A sliver keeps a pixel: within the image where it starts within it (below 100 %), and
/// wide where it is more than nothing.
fn cut_percent(start: Decimal, length: Decimal, side: u32) -> Option<(u32, u32)> {
    if start >= Decimal::HUNDRED {
        return None;
    }
    let start = start.percent_of(side).min(u64::from(side.saturating_sub(1)));
    let length = length.percent_of(side).max(1);
    let pixels = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    cut(pixels(start), pixels(length), side)
}

fn four<T>(text: &str, number: impl Fn(&str) -> Option<T>) -> Option<[T; 4]> {
    let numbers: Vec<T> = text.split(',').map(number).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rect(text: &str, image: (u32, u32)) -> Option<(u32, u32, u32, u32)> {
        Region::parse(text).unwrap().within(image).map(|rect| (rect.x, rect.y, rect.width, rect.height))
    }

    #[test]
    fn boxes() {
        for (region, image, expected) in [
            ("full", (300, 200), Some((0, 0, 300, 200))),
            ("square", (300, 200), Some((50, 0, 200, 200))),
            ("square", (200, 301), Some((0, 50, 200, 200))),
            ("square", (1, 1), Some((0, 0, 1, 1))),
            // Cropped, not padded (*3.0, 4.1*).
            ("125,15,200,200", (300, 200), Some((125, 15, 175, 185))),
            ("299,199,9,9", (300, 200), Some((299, 199, 1, 1))),
            ("0,0,99999999999999999999,10", (300, 200), Some((0, 0, 300, 10))),
            // The edge itself is outside.
            ("300,0,9,9", (300, 200), None),
            ("0,200,9,9", (300, 200), None),
            ("4294967295,0,1,1", (u32::MAX, 1), None),
            ("4294967294,0,4294967295,1", (u32::MAX, 1), Some((4_294_967_294, 0, 1, 1))),
            ("pct:41.6,7.5,40,70", (300, 200), Some((125, 15, 120, 140))),
            ("pct:0,0,1000,100.5", (300, 200), Some((0, 0, 300, 200))),
            ("pct:100,0,9,9", (300, 200), None),
            ("pct:0,99999999999999999999,9,9", (300, 200), None),
            // Slivers keep a pixel.
            ("pct:0,0,0.01,0.01", (300, 200), Some((0, 0, 1, 1))),
            ("pct:99.99,99.99,0.01,0.01", (300, 200), Some((299, 199, 1, 1))),
            ("full", (0, 200), None),
            ("square", (300, 0), None),
            ("pct:0,0,1,1", (0, 0), None),
        ] {
            assert_eq!(rect(region, image), expected, "{region} of {image:?}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        let not_understood =
            "is not understood: expected `full`, `square`, `x,y,w,h` in whole pixels or `pct:x,y,w,h`";
        for (text, why) in [
            ("0,0,0,10", "is empty: width must be more than 0"),
            ("pct:0,0,10,0.0", "is empty: height must be more than 0"),
            ("", not_understood),
            ("FULL", not_understood),
            ("0,0,10", not_understood),
            ("0,0,10,10,10", not_understood),
            ("-1,0,10,10", not_understood),
            ("0,0,10.5,10", not_understood),
            ("pct:1e1,0,10,10", not_understood),
            ("pct:full", not_understood),
        ] {
            let error = Region::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("region `{text}` {why}"));
        }
    }

    fn side() -> impl Strategy<Value = u32> {
        prop_oneof![1..=3_u32, 1..=5000_u32, u32::MAX - 3..=u32::MAX]
    }

    pub(in crate::iiif::image) fn region() -> impl Strategy<Value = Region> {
        let percent =
            || (0..1200_u32, 0..100_u32).prop_map(|(whole, places)| format!("{}.{places}", whole / 10));
        let text = prop_oneof![
            Just("full".to_owned()),
            Just("square".to_owned()),
            (0..400_u32, 0..400_u32, side(), side()).prop_map(|(x, y, w, h)| format!("{x},{y},{w},{h}")),
            (percent(), percent(), percent(), percent())
                .prop_map(|(x, y, w, h)| format!("pct:{x},{y},{w},{h}")),
        ];
        text.prop_filter_map("empty", |text| Region::parse(&text).ok())
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(region in region()) {
            prop_assert_eq!(Region::parse(&region.to_string()), Ok(region));
        }

        #[test]
        fn the_box_lies_within_the_image(region in region(), image in (side(), side())) {
            if let Some(rect) = region.within(image) {
                prop_assert!(rect.width >= 1 && rect.height >= 1);
                prop_assert!(u64::from(rect.x) + u64::from(rect.width) <= u64::from(image.0));
                prop_assert!(u64::from(rect.y) + u64::from(rect.height) <= u64::from(image.1));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(pct:)?[0-9,.]{0,20}|.{0,10}") {
            let _ = Region::parse(&text).map(|region| region.within((3, 2)));
        }
    }
}
