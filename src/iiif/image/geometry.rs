//! A request held against an image: which box is cut out, and how large it becomes.

use super::Version;
use super::limits::{UNBOUNDED, derived, smaller};
use super::number::Decimal;
use super::region::Region;
use super::request::ImageRequest;
use super::size::{Form, Size};

pub use super::limits::{Limits, Upscale};
pub use super::region::Rect;

/// What a request makes of an image, before it is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// The box that is cut out.
    pub crop: Rect,
    /// Pixels from left to right that the box is scaled to, at least 1.
    pub width: u32,
    /// Pixels from top to bottom that the box is scaled to, at least 1.
    pub height: u32,
}

impl Geometry {
    /// Whether a side becomes longer than it is in the image.
    pub fn enlarges(&self) -> bool {
        self.width > self.crop.width || self.height > self.crop.height
    }
}

impl ImageRequest {
    /// Holds the request against an image of this size, upright.
    pub fn resolve(
        &self,
        version: Version,
        source: (u32, u32),
        limits: &Limits,
    ) -> Result<Geometry, GeometryError> {
        let outside = GeometryError::OutOfBounds { region: self.region, image: source };
        let crop = self.region.within(source).ok_or(outside)?;
        let scale = Scale { size: self.size, region: (crop.width, crop.height), limits };
        let (width, height) = scale.resolve(Growth::of(version, self.size, limits))?;
        Ok(Geometry { crop, width, height })
    }
}

/// Whether a size may exceed its region.
#[derive(Clone, Copy)]
enum Growth {
    /// It asks for no enlarging: what fits a box ends at the region, what exceeds it is a mistake.
    Unasked,
    /// It asks for what is not offered here.
    Unoffered,
    /// It may, up to the limits.
    Allowed,
}

impl Growth {
    fn of(version: Version, size: Size, limits: &Limits) -> Self {
        match version {
            // `max` never enlarges; what `^max` would be without any limit is not defined.
            _ if size.form == Form::Max && (!size.caret || limits.unlimited()) => Self::Unasked,
            Version::V2 if limits.enlarging() => Self::Allowed,
            Version::V3 if size.caret && limits.enlarging() => Self::Allowed,
            Version::V3 if size.caret => Self::Unoffered,
            _ => Self::Unasked,
        }
    }
}

/// A size held against the region that it applies to.
struct Scale<'a> {
    size: Size,
    region: (u32, u32),
    limits: &'a Limits,
}

impl Scale<'_> {
    fn resolve(&self, growth: Growth) -> Result<(u32, u32), GeometryError> {
        let (width, height) = self.region;
        match self.size.form {
            Form::Max => self.fit(UNBOUNDED, growth),
            Form::Within(width, height) => self.fit((width, height), growth),
            Form::Full => self.exactly(u64::from(width), u64::from(height), growth),
            Form::Width(wanted) => self.exactly(wanted.into(), derived(height, wanted, width), growth),
            Form::Height(wanted) => self.exactly(derived(width, wanted, height), wanted.into(), growth),
            Form::Exact(width, height) => self.exactly(width.into(), height.into(), growth),
            Form::Percent(percent) => match (percent.percent_of(width), percent.percent_of(height)) {
                (0, 0) => Err(GeometryError::Empty { size: self.size, region: self.region }),
                (width, height) => self.exactly(width.max(1), height.max(1), growth),
            },
        }
    }

    /// `max` and `!w,h`: whatever fits; nothing is too large.
    fn fit(&self, bounds: (u32, u32), growth: Growth) -> Result<(u32, u32), GeometryError> {
        let bounds = match growth {
            Growth::Unasked => smaller(bounds, self.region),
            Growth::Unoffered | Growth::Allowed => bounds,
        };
        let (width, height) = self.limits.fit(self.region, bounds);
        match growth {
            Growth::Unoffered if self.exceeded_by(width.into(), height.into()) => Err(self.unoffered()),
            _ => Ok((width, height)),
        }
    }

    /// All other forms: this size or none.
    fn exactly(&self, width: u64, height: u64, growth: Growth) -> Result<(u32, u32), GeometryError> {
        let (size, region) = (self.size, self.region);
        match growth {
            Growth::Unasked if self.exceeded_by(width, height) => {
                return Err(GeometryError::NeedsUpscaling { size, region });
            }
            Growth::Unoffered if self.exceeded_by(width, height) => return Err(self.unoffered()),
            _ => {}
        }
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(w), Ok(h)) if self.limits.admit(width, height) => Ok((w, h)),
            _ => Err(GeometryError::TooLarge { size, width, height, limits: *self.limits }),
        }
    }

    /// `pct:100.1` asks for more than the region even where rounding gives the same size.
    fn exceeded_by(&self, width: u64, height: u64) -> bool {
        let more = matches!(self.size.form, Form::Percent(percent) if percent > Decimal::HUNDRED);
        more || width > u64::from(self.region.0) || height > u64::from(self.region.1)
    }

    fn unoffered(&self) -> GeometryError {
        GeometryError::UpscalingNotOffered { size: self.size, region: self.region }
    }
}

/// Why an image has no answer to a request that is well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences name the fields")]
pub enum GeometryError {
    /// The region lies wholly beside the image.
    #[error("region `{region}` lies outside the image of {} x {} pixels", image.0, image.1)]
    OutOfBounds { region: Region, image: (u32, u32) },
    /// Both sides of the size round to nothing.
    #[error("size `{size}` leaves nothing of {} x {} pixels: expected at least one pixel", region.0, region.1)]
    Empty { size: Size, region: (u32, u32) },
    /// Larger than the region, without a word that enlarging is meant, or where 2.1 cannot.
    #[error(
        "size `{size}` is larger than the {} x {} pixels of its region: expected at most these", region.0, region.1
    )]
    NeedsUpscaling { size: Size, region: (u32, u32) },
    /// Larger than the region, said so, and not offered.
    #[error(
        "size `{size}` enlarges the {} x {} pixels of its region, which is not offered here", region.0, region.1
    )]
    UpscalingNotOffered { size: Size, region: (u32, u32) },
    /// Beyond a declared limit.
    #[error("size `{size}` makes {width} x {height} pixels: expected {limits}")]
    TooLarge { size: Size, width: u64, height: u64, limits: Limits },
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::iiif::image::limits::tests::any_limits;
    use crate::iiif::image::request::tests::{parameters, request};

    const UNLIMITED: Limits =
        Limits { max_width: None, max_height: None, max_area: None, upscale: Upscale::Refused };

    fn limits(width: u32, height: u32, area: u64, upscale: Upscale) -> Limits {
        // 0 stands for no limit here.
        let side = |side: u32| (side > 0).then_some(side);
        Limits {
            max_width: side(width),
            max_height: side(height),
            max_area: (area > 0).then_some(area),
            upscale,
        }
    }

    fn resolve(
        version: Version,
        source: (u32, u32),
        limits: &Limits,
        start: &str,
    ) -> Result<(u32, u32), GeometryError> {
        let request = ImageRequest::parse(version, &parameters(&format!("{start}/0/default.jpg"))).unwrap();
        request.resolve(version, source, limits).map(|geometry| (geometry.width, geometry.height))
    }

    #[test]
    fn sizes_of_version_3() {
        let free = limits(0, 0, 100_000_000, Upscale::Offered);
        let kept = UNLIMITED;
        for (source, limits, start, expected) in [
            ((300, 200), kept, "full/max", (300, 200)),
            ((300, 200), kept, "full/^max", (300, 200)),
            ((300, 200), limits(0, 0, 0, Upscale::Offered), "full/^max", (300, 200)),
            ((300, 200), kept, "full/^150,", (150, 100)),
            ((300, 200), kept, "full/!400,400", (300, 200)),
            ((300, 200), free, "full/!400,400", (300, 200)),
            ((300, 200), free, "full/^!400,400", (400, 267)),
            ((300, 200), free, "full/^400,", (400, 267)),
            ((300, 200), free, "full/^pct:150", (450, 300)),
            ((300, 200), free, "full/^pct:100.1", (300, 200)),
            ((300, 200), free, "full/^20,400", (20, 400)),
            ((1000, 1000), free, "full/^max", (10_000, 10_000)),
            // A derived side has one pixel at least, and both none is an error.
            ((20_000, 50), kept, "full/100,", (100, 1)),
            ((20_000, 50), kept, "full/!100,100", (100, 1)),
            ((20_000, 50), kept, "full/pct:0.5", (100, 1)),
            // Half a pixel rounds up.
            ((301, 201), kept, "full/pct:50", (151, 101)),
            // Area first, rounded down (*implementation notes 4*), and it holds at the end.
            ((6000, 4000), limits(3000, 2000, 4_000_000, Upscale::Refused), "full/max", (2449, 1632)),
            ((10_000, 500), limits(2235, 0, 250_000, Upscale::Refused), "full/max", (2235, 111)),
            ((1, 1_000_000), limits(0, 0, 100, Upscale::Refused), "full/max", (1, 100)),
            // Limits apply to the extracted region.
            ((300, 200), limits(200, 0, 0, Upscale::Refused), "0,0,100,100/max", (100, 100)),
            ((300, 200), limits(200, 0, 0, Upscale::Refused), "full/^!250,250", (200, 133)),
            ((300, 200), limits(200, 0, 0, Upscale::Refused), "full/^max", (200, 133)),
            ((300, 200), limits(0, 100, 0, Upscale::Refused), "full/max", (100, 67)),
            ((u32::MAX, u32::MAX), kept, "full/max", (u32::MAX, u32::MAX)),
            ((u32::MAX, 1), kept, "full/!4294967295,4294967295", (u32::MAX, 1)),
            ((u32::MAX, u32::MAX), free, "full/^max", (10_000, 10_000)),
        ] {
            assert_eq!(resolve(Version::V3, source, &limits, start), Ok(expected), "{start} of {source:?}");
        }
    }

    #[test]
    fn sizes_of_version_2() {
        let free = limits(1000, 0, 0, Upscale::Offered);
        for (limits, start, expected) in [
            (UNLIMITED, "full/full", (300, 200)),
            (UNLIMITED, "full/!400,400", (300, 200)),
            // With `sizeAboveFull` every form but `max` may enlarge (*2.1.1, 4.2*).
            (free, "full/!400,400", (400, 267)),
            (free, "full/!4000,4000", (1000, 667)),
            (free, "full/400,", (400, 267)),
            (free, "full/pct:200", (600, 400)),
            (free, "full/max", (300, 200)),
            (free, "full/full", (300, 200)),
        ] {
            assert_eq!(resolve(Version::V2, (300, 200), &limits, start), Ok(expected), "{start}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        let free = limits(360, 0, 0, Upscale::Offered);
        let endless = limits(0, 0, 0, Upscale::Offered);
        let area = limits(0, 0, u64::MAX, Upscale::Offered);
        let (v2, v3) = (Version::V2, Version::V3);
        let sentence = |version, limits: &Limits, start: &str| {
            resolve(version, (300, 200), limits, start).unwrap_err().to_string()
        };
        insta::assert_snapshot!(sentence(v3, &free, "300,0,9,9/max"), @"region `300,0,9,9` lies outside the image of 300 x 200 pixels");
        insta::assert_snapshot!(sentence(v3, &free, "full/pct:0.01"), @"size `pct:0.01` leaves nothing of 300 x 200 pixels: expected at least one pixel");
        insta::assert_snapshot!(sentence(v3, &free, "full/301,"), @"size `301,` is larger than the 300 x 200 pixels of its region: expected at most these");
        insta::assert_snapshot!(sentence(v3, &free, "full/pct:100.1"), @"size `pct:100.1` is larger than the 300 x 200 pixels of its region: expected at most these");
        insta::assert_snapshot!(sentence(v2, &endless, "full/400,"), @"size `400,` is larger than the 300 x 200 pixels of its region: expected at most these");
        insta::assert_snapshot!(sentence(v3, &UNLIMITED, "full/^!360,360"), @"size `^!360,360` enlarges the 300 x 200 pixels of its region, which is not offered here");
        insta::assert_snapshot!(sentence(v3, &limits(360, 0, 0, Upscale::Refused), "full/^max"), @"size `^max` enlarges the 300 x 200 pixels of its region, which is not offered here");
        insta::assert_snapshot!(sentence(v3, &endless, "full/^,201"), @"size `^,201` enlarges the 300 x 200 pixels of its region, which is not offered here");
        insta::assert_snapshot!(sentence(v3, &free, "full/^361,"), @"size `^361,` makes 361 x 241 pixels: expected at most 360 x 360");
        insta::assert_snapshot!(sentence(v2, &limits(200, 0, 30_000, Upscale::Refused), "full/full"), @"size `full` makes 300 x 200 pixels: expected at most 200 x 200 and 30000 altogether");
        insta::assert_snapshot!(sentence(v3, &area, "0,0,1,200/^4294967295,"), @"size `^4294967295,` makes 4294967295 x 858993459000 pixels: expected at most 18446744073709551615 altogether");
    }

    pub(in crate::iiif::image) fn source() -> impl Strategy<Value = (u32, u32)> {
        let side = || prop_oneof![1..=3_u32, 1..=5000_u32, u32::MAX - 3..=u32::MAX];
        (side(), side())
    }

    pub(in crate::iiif::image) fn any_version() -> impl Strategy<Value = Version> {
        prop_oneof![Just(Version::V2), Just(Version::V3)]
    }

    proptest! {
        #[test]
        fn the_crop_lies_within_the_image_and_the_limits_hold(
            version in any_version(), request in request(), source in source(), limits in any_limits()
        ) {
            if let Ok(geometry) = request.resolve(version, source, &limits) {
                let Geometry { crop, width, height } = geometry;
                prop_assert!(crop.width >= 1 && u64::from(crop.x) + u64::from(crop.width) <= u64::from(source.0));
                prop_assert!(crop.height >= 1 && u64::from(crop.y) + u64::from(crop.height) <= u64::from(source.1));
                prop_assert!(width >= 1 && height >= 1);
                prop_assert!(limits.admit(width.into(), height.into()));
                prop_assert!(!geometry.enlarges() || limits.enlarging());
            }
        }

        #[test]
        fn max_always_answers(source in source(), limits in any_limits()) {
            prop_assert!(resolve(Version::V3, source, &limits, "full/max").is_ok());
            prop_assert!(resolve(Version::V3, source, &limits, "full/!9,9").is_ok());
        }
    }
}
