//! What to read for a job: which level, at which scale, which part of it. Pure arithmetic.

use crate::iiif::image::geometry::Rect;

/// What a file offers to a reader, as stored (not upright).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Sizes of the levels, the full one first.
    pub(super) levels: Vec<(u32, u32)>,
    /// The divisors that the decoder can shrink by while it decodes, ascending, 1 first.
    pub(super) shrinks: &'static [u32],
}

/// What is read, and what is made of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Index of the level.
    pub(super) level: usize,
    /// The level is shrunk by this divisor while it is decoded.
    pub(super) shrink: u32,
    /// Size of the level after shrinking.
    pub(super) size: (u32, u32),
    /// The whole pixels that are needed, those that a filter looks at beside the box included, in coordinates of that
    /// size.
    pub(super) read: Rect,
    /// The exact box within the same coordinates.
    pub(super) exact: Exact,
    /// Size of the result, not yet upright.
    pub(super) output: (u32, u32),
}

/// A box whose edges may lie between pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exact {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Rows and columns to each side of a box that a filter looks at: three, times the strongest reduction, four. Where
/// pixels are averaged first, the averages count.
pub(super) const MARGIN: u32 = 12;

/// Chooses the cheapest source that is not smaller than what is asked for. `crop` lies within the
/// full level and is at least one pixel large, and so is `output`.
pub(super) fn plan(offer: &Offer, crop: Rect, output: (u32, u32)) -> Plan {
    let full = offer.levels[0];
    let enough = |(width, height): (f64, f64)| {
        width * f64::from(crop.width) >= f64::from(output.0)
            && height * f64::from(crop.height) >= f64::from(output.1)
    };
    let ratio =
        |size: (u32, u32)| (f64::from(size.0) / f64::from(full.0), f64::from(size.1) / f64::from(full.1));
    let reaches = |(width, height): (u32, u32)| {
        reaches(width, full.0, crop.width, output.0) && reaches(height, full.1, crop.height, output.1)
    };
    let level = (0..offer.levels.len())
        .filter(|level| reaches(offer.levels[*level]))
        .min_by_key(|level| offer.levels[*level])
        .unwrap_or(0);
    let (x, y) = ratio(offer.levels[level]);
    let shrunk = |divisor: u32| (x / f64::from(divisor), y / f64::from(divisor));
    let shrink = offer.shrinks.iter().copied().filter(|divisor| enough(shrunk(*divisor))).max().unwrap_or(1);
    let (width, height) = offer.levels[level];
    let size = (width.div_ceil(shrink), height.div_ceil(shrink));
    let (x, y) = shrunk(shrink);
    let exact = Exact {
        x: f64::from(crop.x) * x,
        y: f64::from(crop.y) * y,
        width: f64::from(crop.width) * x,
        height: f64::from(crop.height) * y,
    };
    let read = exact.cover(size, exact.margin(output));
    Plan { level, shrink, size, read, exact, output }
}

/// Whether a side of a level has enough pixels for a part of the whole one. A half that was rounded down is as good as
/// one that was rounded up.
fn reaches(level: u32, whole: u32, crop: u32, output: u32) -> bool {
    let factor = (whole / level).checked_ilog2().map_or(1, |power| 1 << power);
    let is_half = whole / factor == level;
    let has = u64::from(level) * u64::from(crop) >= u64::from(output) * u64::from(whole);
    has || is_half && output <= crop.div_ceil(factor)
}

impl Exact {
    /// All of a picture.
    pub(super) fn whole((width, height): (u32, u32)) -> Self {
        Self { x: 0.0, y: 0.0, width: width.into(), height: height.into() }
    }

    /// The whole pixels that the box touches, and so many beside it as there are.
    pub(super) fn cover(self, (width, height): (u32, u32), margin: (u32, u32)) -> Rect {
        let (x, across) = span(self.x, self.width, width, margin.0);
        let (y, down) = span(self.y, self.height, height, margin.1);
        Rect { x, y, width: across, height: down }
    }

    /// How many pixels are averaged, across and down, so that at least two of these averages are left for each pixel of
    /// the result.
    pub(super) fn steps(self, (width, height): (u32, u32)) -> (u32, u32) {
        let steps = |from: f64, to: u32| (from / f64::from(to) / 2.0).floor().max(1.0) as u32;
        (steps(self.width, width), steps(self.height, height))
    }

    /// The pixels to each side that matter for a result of this size.
    pub(super) fn margin(self, output: (u32, u32)) -> (u32, u32) {
        let (across, down) = self.steps(output);
        match self.as_it_is(output) {
            Some(_) => (0, 0),
            None => (MARGIN.saturating_mul(across), MARGIN.saturating_mul(down)),
        }
    }

    /// The box in whole pixels, if they need no more than to be moved.
    pub(super) fn as_it_is(self, (width, height): (u32, u32)) -> Option<Rect> {
        // Sizes of levels are rounded, so that edges may lie a little beside the pixels that they mean.
        let meant = |length: f64, whole: f64| (length - whole).abs() < 1e-6;
        let same = meant(self.width, width.into()) && meant(self.height, height.into());
        let even = meant(self.x, self.x.round()) && meant(self.y, self.y.round());
        (same && even).then(|| Rect { x: self.x.round() as u32, y: self.y.round() as u32, width, height })
    }

    /// The same box in a picture that begins at `x`, `y` and has the given size. Rounding of
    /// floating-point numbers must not let it reach beyond the edge.
    pub(super) fn within(self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        let left = (self.x - f64::from(x)).clamp(0.0, width);
        let top = (self.y - f64::from(y)).clamp(0.0, height);
        Self { x: left, y: top, width: self.width.min(width - left), height: self.height.min(height - top) }
    }
}

/// Start and length of the pixels that an interval and its margin touch. The tolerance keeps an edge that was
/// meant to lie on a pixel's border from pulling in the next one.
fn span(start: f64, length: f64, total: u32, margin: u32) -> (u32, u32) {
    const TOLERANCE: f64 = 1e-6;
    let first = ((start + TOLERANCE).floor().max(0.0) as u32).saturating_sub(margin).min(total - 1);
    let end = ((start + length - TOLERANCE).ceil() as u32).saturating_add(margin).clamp(first + 1, total);
    (first, end - first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DCT: &[u32] = &[1, 2, 4, 8];

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn the_cheapest_sufficient_source_is_chosen() {
        let flat = Offer { levels: vec![(4000, 3000)], shrinks: DCT };
        let pyramid = Offer { levels: vec![(4000, 3000), (2000, 1500), (1000, 750)], shrinks: &[1] };
        let odd = Offer { levels: vec![(7813, 6251), (3906, 3125), (1953, 1562)], shrinks: &[1] };
        let cases = [
            ("full size", &flat, rect(0, 0, 4000, 3000), (4000, 3000), (0, 1), rect(0, 0, 4000, 3000)),
            ("a half", &flat, rect(0, 0, 4000, 3000), (2000, 1500), (0, 2), rect(0, 0, 2000, 1500)),
            ("above a half", &flat, rect(0, 0, 4000, 3000), (2001, 1501), (0, 1), rect(0, 0, 4000, 3000)),
            ("a thumbnail", &flat, rect(0, 0, 4000, 3000), (100, 75), (0, 8), rect(0, 0, 500, 375)),
            (
                "one side asks for more",
                &flat,
                rect(0, 0, 4000, 3000),
                (100, 1500),
                (0, 2),
                rect(0, 0, 2000, 1500),
            ),
            ("an odd crop", &flat, rect(1001, 999, 101, 101), (50, 50), (0, 2), rect(488, 487, 75, 75)),
            ("upscaling", &flat, rect(10, 10, 20, 20), (40, 40), (0, 1), rect(0, 0, 42, 42)),
            ("level 1", &pyramid, rect(1024, 1024, 1024, 1024), (512, 512), (1, 1), rect(512, 512, 512, 512)),
            ("level 2", &pyramid, rect(0, 0, 4000, 3000), (400, 300), (2, 1), rect(0, 0, 1000, 750)),
            ("above a level", &pyramid, rect(0, 0, 4000, 3000), (1001, 750), (1, 1), rect(0, 0, 2000, 1500)),
            (
                "rounded down",
                &odd,
                rect(2048, 2048, 1024, 1024),
                (512, 512),
                (1, 1),
                rect(1011, 1011, 537, 537),
            ),
            ("and again", &odd, rect(2048, 2048, 2048, 2048), (512, 512), (2, 1), rect(499, 499, 537, 537)),
            ("rounded up", &odd, rect(0, 0, 7813, 6251), (3907, 3126), (1, 1), rect(0, 0, 3906, 3125)),
            ("too far", &odd, rect(2048, 2048, 1024, 1024), (513, 512), (0, 1), rect(2036, 2036, 1048, 1048)),
        ];
        for (name, offer, crop, output, (level, shrink), read) in cases {
            let plan = plan(offer, crop, output);
            assert_eq!((plan.level, plan.shrink, plan.read), (level, shrink, read), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_covers_the_crop_and_stays_inside(
            (width, height) in (1u32..70_000, 1u32..70_000),
            (left, top, right, bottom) in (0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0),
            output in (1u32..5000, 1u32..5000),
            levels in 1u32..10,
        ) {
            let levels = (0..levels).map(|n| ((width >> n).max(1), (height >> n).max(1))).collect();
            let offer = Offer { levels, shrinks: DCT };
            let x = (left * f64::from(width - 1)) as u32;
            let y = (top * f64::from(height - 1)) as u32;
            let crop = rect(x, y,
                1 + (right * f64::from(width - x - 1)) as u32,
                1 + (bottom * f64::from(height - y - 1)) as u32);
            let plan = plan(&offer, crop, output);
            let Plan { read, size, exact, .. } = plan;
            prop_assert!(read.width > 0 && read.height > 0);
            prop_assert!(read.x + read.width <= size.0 && read.y + read.height <= size.1);
            prop_assert!(f64::from(read.x) <= exact.x + 1e-3);
            prop_assert!(f64::from(read.x + read.width) >= exact.x + exact.width - 1e-3);
            let inner = exact.within(read.x, read.y, read.width, read.height);
            prop_assert!(inner.width > 0.0 && inner.x + inner.width <= f64::from(read.width) + 1e-9);
            prop_assert!(inner.height > 0.0 && inner.y + inner.height <= f64::from(read.height) + 1e-9);
            let reduced = plan.level > 0 || plan.shrink > 1;
            // A level that was rounded down lacks less than a pixel, and what is cut out of it is rounded up.
            let reaches = |exact: f64, level: u32, output: u32| {
                (exact * (1.0 + 1.0 / f64::from(level)) + 1e-3).ceil() >= f64::from(output)
            };
            let level = offer.levels[plan.level];
            prop_assert!(!reduced || (reaches(exact.width, level.0, output.0)
                && reaches(exact.height, level.1, output.1)));
        }
    }
}
