//! A whole image request: region, size, rotation, quality and format, in this order
//! (*Image API 3.0, 4*).

use std::fmt;

use super::Version;
use super::quality::{Format, Quality};
use super::region::Region;
use super::rotation::Rotation;
use super::size::Size;
use super::syntax::SyntaxError;
use crate::iiif::address::Parameters;

/// What is asked of an image, understood but not yet held against one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageRequest {
    /// Which part of the image.
    pub region: Region,
    /// How large that part becomes.
    pub size: Size,
    /// How it is turned then.
    pub rotation: Rotation,
    /// In which colours.
    pub quality: Quality,
    /// In which file format.
    pub format: Format,
}

impl ImageRequest {
    /// Reads the four decoded segments; the first that is wrong is complained about.
    pub fn parse(version: Version, parameters: &Parameters) -> Result<Self, SyntaxError> {
        let last = &parameters.quality_format;
        let region = Region::parse(&parameters.region)?;
        let size = Size::parse(version, &parameters.size)?;
        let rotation = Rotation::parse(&parameters.rotation)?;
        let Some((quality, format)) = last.rsplit_once('.') else {
            return Err(SyntaxError::new(
                "quality",
                last,
                "has no format: expected `default.jpg` or the like",
            ));
        };
        Ok(Self { region, size, rotation, quality: Quality::parse(quality)?, format: Format::parse(format)? })
    }
}

impl fmt::Display for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, size, rotation, quality, format } = self;
        write!(f, "{region}/{size}/{rotation}/{quality}.{format}")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::iiif::image::{region, rotation, size};

    pub(in crate::iiif::image) fn parameters(path: &str) -> Parameters {
        let mut parts = path.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap();
        Parameters { region: next(), size: next(), rotation: next(), quality_format: next() }
    }

    pub(in crate::iiif::image) fn request() -> impl Strategy<Value = ImageRequest> {
        (
            region::tests::region(),
            size::tests::size(),
            rotation::tests::rotation(),
            proptest::sample::select(&Quality::ALL),
            proptest::sample::select(&Format::ALL),
        )
            .prop_map(|(region, size, rotation, quality, format)| ImageRequest {
                region,
                size,
                rotation,
                quality,
                format,
            })
    }

    #[test]
    fn the_sentence_names_the_first_wrong_part() {
        for (path, sentence) in [
            ("full/max/0/default", "quality `default` has no format: expected `default.jpg` or the like"),
            (
                "full/max/0/.jpg",
                "quality `` is not offered: expected `default`, `color`, `gray` or `bitonal`",
            ),
            (
                "full/max/0/a.b.jpg",
                "quality `a.b` is not offered: expected `default`, `color`, `gray` or `bitonal`",
            ),
            (
                "full/max/361/native.jp2",
                "rotation `361` is not understood: expected degrees from 0 to 360, and `!` before them to mirror",
            ),
        ] {
            let error = ImageRequest::parse(Version::V3, &parameters(path)).unwrap_err();
            assert_eq!(error.to_string(), sentence, "{path}");
        }
    }

    #[test]
    fn long_findings_are_shortened() {
        let path = format!("full/max/0/{}.jpg", "ä".repeat(500));
        let error = ImageRequest::parse(Version::V3, &parameters(&path)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("quality `{}…` is not offered", "ä".repeat(40))), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(request in request()) {
            let printed = request.to_string();
            prop_assert_eq!(ImageRequest::parse(Version::V3, &parameters(&printed)), Ok(request));
        }
    }
}
