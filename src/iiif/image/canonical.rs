//! The one spelling of all requests that mean the same (*Image API 3.0, 4.8; 2.1.1, 4.7*).

use super::Version;
use super::geometry::{Geometry, Limits};
use super::limits::derived;
use super::quality::{Quality, Tone};
use super::region::Region;
use super::request::ImageRequest;
use super::size::{Form, Size};

impl ImageRequest {
    /// The canonical spelling, e.g. `full/max/0/default.jpg`, of a request that resolved to this
    /// geometry in an image of this size, under these limits.
    pub fn canonical(
        &self,
        version: Version,
        geometry: &Geometry,
        source: (u32, u32),
        limits: &Limits,
        tone: Tone,
    ) -> String {
        let size = match version {
            Version::V2 => size_2(geometry),
            Version::V3 => size_3(geometry, limits),
        };
        let region = region(geometry, source);
        Self { region, size, quality: quality(self.quality, tone), ..*self }.to_string()
    }
}

fn region(geometry: &Geometry, source: (u32, u32)) -> Region {
    let crop = geometry.crop;
    match (crop.width, crop.height) == source {
        true => Region::Full,
        false => Region::Pixels { x: crop.x, y: crop.y, width: crop.width, height: crop.height },
    }
}

/// `full` if nothing is scaled, `w,` if the height follows from it, else `w,h`.
fn size_2(&Geometry { crop, width, height }: &Geometry) -> Size {
    let form = match derived(crop.height, width, crop.width) == u64::from(height) {
        _ if (width, height) == (crop.width, crop.height) => Form::Full,
        true => Form::Width(width),
        false => Form::Exact(width, height),
    };
    Size { caret: false, form }
}

/// `max` or `^max` if these give the same, else `w,h`; the caret only where it is needed.
fn size_3(geometry: &Geometry, limits: &Limits) -> Size {
    let region = (geometry.crop.width, geometry.crop.height);
    let size = (geometry.width, geometry.height);
    let caret = geometry.enlarges();
    let form = match caret {
        false if size == limits.largest(region) => Form::Max,
        true if size == limits.largest_enlarged(region) => Form::Max,
        _ => Form::Exact(geometry.width, geometry.height),
    };
    Size { caret, form }
}

fn quality(quality: Quality, tone: Tone) -> Quality {
    match (tone, quality) {
        (Tone::Colour, Quality::Color) | (Tone::Grey, Quality::Color | Quality::Gray) => Quality::Default,
        _ => quality,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::iiif::image::geometry::Upscale;
    use crate::iiif::image::geometry::tests::{any_version, source};
    use crate::iiif::image::limits::tests::any_limits;
    use crate::iiif::image::request::tests::{parameters, request};

    fn canonical(version: Version, source: (u32, u32), limits: &Limits, tone: Tone, path: &str) -> String {
        let request = ImageRequest::parse(version, &parameters(path)).unwrap();
        let geometry = request.resolve(version, source, limits).unwrap();
        request.canonical(version, &geometry, source, limits, tone)
    }

    #[test]
    fn equal_requests_have_one_spelling() {
        let limits = Limits { max_width: Some(600), upscale: Upscale::Offered, ..Limits::default() };
        for (version, spellings, expected) in [
            (
                Version::V3,
                &[
                    "0,0,300,200/300,200/0/color.jpg",
                    "pct:0,0,100,100/!999,999/360/default.jpg",
                    "0,0,999,999/pct:100/0.0/default.jpg",
                    "full/^300,/0/default.jpg",
                ][..],
                "full/max/0/default.jpg",
            ),
            (
                Version::V3,
                &["full/150,/!90.0/gray.png", "full/,100/!90/gray.png", "full/^!150,999/!90/gray.png"],
                "full/150,100/!90/gray.png",
            ),
            (
                Version::V3,
                &["full/^pct:200/0/default.jpg", "full/^,400/0/color.jpg"],
                "full/^max/0/default.jpg",
            ),
            (Version::V3, &["full/^400,/.5/default.jpg"], "full/^400,267/0.5/default.jpg"),
            (Version::V3, &["square/max/0/default.jpg"], "50,0,200,200/max/0/default.jpg"),
            (
                Version::V2,
                &["full/max/0/color.jpg", "0,0,300,200/300,200/360/default.jpg", "full/,200/0/default.jpg"],
                "full/full/0/default.jpg",
            ),
            (
                Version::V2,
                &["full/pct:50/0/default.jpg", "full/150,100/0/default.jpg"],
                "full/150,/0/default.jpg",
            ),
            (Version::V2, &["full/200,133/0/default.jpg"], "full/200,/0/default.jpg"),
            (Version::V2, &["full/200,134/0/default.jpg"], "full/200,134/0/default.jpg"),
            (Version::V2, &["full/!400,400/0/default.jpg"], "full/400,/0/default.jpg"),
        ] {
            for path in spellings {
                assert_eq!(canonical(version, (300, 200), &limits, Tone::Colour, path), expected, "{path}");
            }
        }
    }

    #[test]
    fn the_default_of_a_grey_image_is_gray() {
        for (sent, expected) in
            [("color", "default"), ("gray", "default"), ("default", "default"), ("bitonal", "bitonal")]
        {
            let path = format!("full/max/0/{sent}.jpg");
            let canonical = canonical(Version::V3, (300, 200), &Limits::default(), Tone::Grey, &path);
            assert_eq!(canonical, format!("full/max/0/{expected}.jpg"));
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(
            version in any_version(),
            request in request(),
            source in source(),
            limits in any_limits(),
            tone in prop_oneof![Just(Tone::Colour), Just(Tone::Grey)],
        ) {
            let request = match version {
                Version::V2 => ImageRequest { size: Size { caret: false, ..request.size }, ..request },
                Version::V3 => request,
            };
            if let Ok(geometry) = request.resolve(version, source, &limits) {
                let canonical = request.canonical(version, &geometry, source, &limits, tone);
                let again = ImageRequest::parse(version, &parameters(&canonical)).unwrap();
                prop_assert_eq!(again.resolve(version, source, &limits), Ok(geometry), "{}", canonical);
                prop_assert_eq!(again.canonical(version, &geometry, source, &limits, tone), canonical);
            }
        }
    }
}
