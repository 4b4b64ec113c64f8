//! How large an answer may become, and the largest sizes that keep a shape (*Image API 3.0, 5.2*).

use std::fmt;

use super::quality::Format;

/// How large an answer may become.
///
/// One of the two sides alone stands for both: `maxWidth` does so by *Image API 3.0, 5.2*, and
/// `maxHeight` may not be declared without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The widest, in pixels, at least 1.
    pub max_width: Option<u32>,
    /// The highest, in pixels, at least 1.
    pub max_height: Option<u32>,
    /// The most pixels altogether, at least 1.
    pub max_area: Option<u64>,
    /// Whether a region may be enlarged.
    pub upscale: Upscale,
}

/// Whether a region may be made larger than it is in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Upscale {
    /// It may, where a limit says how far.
    Offered,
    /// It may not.
    #[default]
    Refused,
}

impl Limits {
    /// The widest and the highest, where they are limited.
    pub fn sides(&self) -> Option<(u32, u32)> {
        let width = self.max_width.or(self.max_height)?;
        Some((width, self.max_height.unwrap_or(width)))
    }

    /// Whether enlarging is offered. Without a limit there is no end to it, and *Image API 3.0, 5.7*
    /// forbids to promise it.
    pub fn enlarging(&self) -> bool {
        self.upscale == Upscale::Offered && !self.unlimited()
    }

    /// Whether an answer of this size may be given.
    pub fn admit(&self, width: u64, height: u64) -> bool {
        let (widest, highest) = self.bounds();
        let area = u128::from(width) * u128::from(height);
        width <= u64::from(widest)
            && height <= u64::from(highest)
            && self.max_area.is_none_or(|most| area <= u128::from(most))
    }

    /// The side of a tile: the one that is wanted, or what is allowed.
    pub fn tile(&self, wanted: u32) -> u32 {
        let area = self.max_area.unwrap_or(u64::MAX).isqrt();
        let (widest, highest) = self.sides().unwrap_or((u32::MAX, u32::MAX));
        wanted.min(u32::try_from(area).unwrap_or(u32::MAX)).min(widest).min(highest).max(1)
    }

    /// What `max` makes of a region (*Image API 3.0, 4.2*).
    pub fn largest(&self, region: (u32, u32)) -> (u32, u32) {
        self.fit(region, region)
    }

    /// What `^max` makes of a region where enlarging is offered.
    pub fn largest_enlarged(&self, region: (u32, u32)) -> (u32, u32) {
        self.fit(region, UNBOUNDED)
    }

    /// These limits for one image: where JPEG cannot hold what they allow, the longest side that it can hold is one
    /// more of them. Everything that is offered must be had as JPEG (*Image API 3.0, 5.3*).
    pub fn of_image(self, size: (u32, u32)) -> Self {
        let longest = Format::Jpg.longest_side();
        let (width, height) = if self.enlarging() { self.largest_enlarged(size) } else { self.largest(size) };
        if width.max(height) <= longest {
            return self;
        }
        let (widest, highest) = smaller(self.bounds(), (longest, longest));
        Self { max_width: Some(widest), max_height: Some(highest), ..self }
    }

    pub(super) fn unlimited(&self) -> bool {
        self.sides().is_none() && self.max_area.is_none()
    }

    fn bounds(&self) -> (u32, u32) {
        self.sides().unwrap_or(UNBOUNDED)
    }

    /// The largest size of a region's shape within a box and the limits.
    ///
    /// Where the area binds, both sides are rounded down, so that it is never exceeded; the box
    /// holds still, since the area only makes it smaller.
    pub(super) fn fit(&self, region: (u32, u32), bounds: (u32, u32)) -> (u32, u32) {
        let (width, height) = fit_box(region, smaller(bounds, self.bounds()));
        match self.max_area {
            Some(area) if u64::from(width) * u64::from(height) > area => {
                smaller((width, height), fit_area(region, area))
            }
            _ => (width, height),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.sides(), self.max_area) {
            (Some((width, height)), Some(area)) => {
                write!(f, "at most {width} x {height} and {area} altogether")
            }
            (Some((width, height)), None) => write!(f, "at most {width} x {height}"),
            (None, Some(area)) => write!(f, "at most {area} altogether"),
            (None, None) => f.write_str("any size"),
        }
    }
}

/// A box without edges.
pub(super) const UNBOUNDED: (u32, u32) = (u32::MAX, u32::MAX);

/// The other side when one becomes `exact`: rounded half up, at least 1.
pub(super) fn derived(side: u32, exact: u32, of: u32) -> u64 {
    let of = u64::from(of);
    // (2^32 - 1)^2 + 2^31 < 2^64
    ((u64::from(side) * u64::from(exact) + of / 2) / of).max(1)
}

/// The largest size of this shape within a box: one side is the box's, the other rounded.
pub(super) fn fit_box((width, height): (u32, u32), (widest, highest): (u32, u32)) -> (u32, u32) {
    // Half up towards a whole number that it does not exceed: the rounded side stays in the box.
    let fits = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
    match u64::from(widest) * u64::from(height) <= u64::from(highest) * u64::from(width) {
        true => (widest.max(1), fits(derived(height, widest, width))),
        false => (fits(derived(width, highest, height)), highest.max(1)),
    }
}

/// The largest size of this shape with so many pixels, both sides rounded down, at least 1.
fn fit_area((width, height): (u32, u32), area: u64) -> (u32, u32) {
    let side = |along: u32, across: u32| {
        let square = u128::from(area) * u128::from(along) / u128::from(across);
        // Only where the other side is 1 does the area bound this one.
        let side = square.isqrt().min(u128::from(area)).max(1);
        u32::try_from(side).unwrap_or(u32::MAX)
    };
    (side(width, height), side(height, width))
}

pub(super) fn smaller(one: (u32, u32), other: (u32, u32)) -> (u32, u32) {
    (one.0.min(other.0), one.1.min(other.1))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::iiif::image) fn any_limits() -> impl Strategy<Value = Limits> {
        let side = || proptest::option::of(prop_oneof![1..=3_u32, 1..=5000_u32, u32::MAX - 3..=u32::MAX]);
        let area = proptest::option::of(prop_oneof![1..=9_u64, 1..=9_000_000_u64, u64::MAX - 3..=u64::MAX]);
        let upscale = prop_oneof![Just(Upscale::Offered), Just(Upscale::Refused)];
        (side(), side(), area, upscale).prop_map(|(max_width, max_height, max_area, upscale)| Limits {
            max_width,
            max_height,
            max_area,
            upscale,
        })
    }

    fn side() -> impl Strategy<Value = u32> {
        prop_oneof![1..=3_u32, 1..=5000_u32, u32::MAX - 3..=u32::MAX]
    }

    #[test]
    fn one_side_alone_stands_for_both() {
        for (max_width, max_height, sides) in [
            (None, None, None),
            (Some(9), None, Some((9, 9))),
            (Some(9), Some(5), Some((9, 5))),
            (None, Some(5), Some((5, 5))),
        ] {
            assert_eq!(Limits { max_width, max_height, ..Limits::default() }.sides(), sides);
        }
    }

    #[test]
    fn an_image_too_long_for_jpeg_has_a_limit_of_its_own() {
        let area = |upscale| Limits { max_area: Some(100_000_000), upscale, ..Limits::default() };
        let (kept, free) = (area(Upscale::Refused), area(Upscale::Offered));
        let narrow = Limits { max_width: Some(70_000), max_height: Some(500), ..kept };
        for (limits, size, sides) in [
            (kept, (6000, 4000), None),
            (free, (6000, 4000), None),
            (kept, (6000, 40), None),
            (free, (6000, 40), Some((65_500, 65_500))),
            (kept, (70_000, 40), Some((65_500, 65_500))),
            (kept, (40, 70_000), Some((65_500, 65_500))),
            (narrow, (70_000, 40), Some((65_500, 500))),
            (Limits::default(), (u32::MAX, 1), Some((65_500, 65_500))),
        ] {
            let own = limits.of_image(size);
            assert_eq!(own.sides(), sides.or(limits.sides()), "{size:?}");
            let (width, height) = own.largest_enlarged(size);
            assert!(width.max(height) <= 65_500 || !limits.enlarging(), "{width}x{height}");
        }
    }

    #[test]
    fn limits_in_words() {
        let limits = |side, area| Limits { max_width: side, max_area: area, ..Limits::default() };
        for (limits, words) in [
            (limits(Some(9), Some(50)), "at most 9 x 9 and 50 altogether"),
            (limits(Some(9), None), "at most 9 x 9"),
            (limits(None, Some(50)), "at most 50 altogether"),
            (limits(None, None), "any size"),
        ] {
            assert_eq!(limits.to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn the_largest_is_within_the_limits_and_within_a_pixel_of_the_shape(
            region in (1..=5000_u32, 1..=5000_u32), bounds in (side(), side()), limits in any_limits()
        ) {
            let (width, height) = limits.fit(region, bounds);
            prop_assert!(limits.admit(width.into(), height.into()));
            prop_assert!(width <= bounds.0 && height <= bounds.1);
            // Cross products differ by no more than a pixel of either side, or that pixel is the last.
            let off = (f64::from(width) / f64::from(region.0) * f64::from(region.1) - f64::from(height)).abs();
            let step = 1.0 + f64::from(region.1) / f64::from(region.0);
            prop_assert!(off <= step || width == 1 || height == 1, "{}x{}", width, height);
        }
    }
}
