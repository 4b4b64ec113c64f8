//! How images are offered, for all sources or one.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::iiif::image::geometry::{Limits, Upscale};
use crate::imaging::{self, Page};

/// `[image]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageSettings {
    /// Whether an image may be asked for larger than it is.
    pub upscale: bool,
    /// The most pixels of an answer.
    pub max_area: u64,
    /// The widest answer.
    pub max_width: Option<NonZeroU32>,
    /// The highest answer.
    pub max_height: Option<NonZeroU32>,
    /// Width and height of the tiles that viewers are told to ask for.
    pub tile: u32,
    /// JPEG and WebP quality, 1 to 100.
    #[serde(deserialize_with = "quality")]
    pub quality: u8,
    /// Pixels to an inch of the pages of a PDF.
    pub pdf_dpi: u32,
}

/// `[sources.NAME.image]`: what is different for one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageOverride {
    /// See [`ImageSettings::upscale`].
    pub upscale: Option<bool>,
    /// See [`ImageSettings::max_area`].
    pub max_area: Option<u64>,
    /// See [`ImageSettings::max_width`].
    pub max_width: Option<NonZeroU32>,
    /// See [`ImageSettings::max_height`].
    pub max_height: Option<NonZeroU32>,
    /// See [`ImageSettings::tile`].
    pub tile: Option<u32>,
    /// See [`ImageSettings::quality`].
    #[serde(deserialize_with = "own_quality")]
    pub quality: Option<u8>,
    /// See [`ImageSettings::pdf_dpi`].
    pub pdf_dpi: Option<u32>,
}

impl Default for ImageSettings {
    fn default() -> Self {
        Self {
            upscale: true,
            max_area: 100_000_000,
            max_width: None,
            max_height: None,
            tile: 512,
            quality: 80,
            pdf_dpi: Page::DPI,
        }
    }
}

impl ImageSettings {
    /// As the Image API knows them.
    pub fn limits(&self) -> Limits {
        Limits {
            max_width: self.max_width.map(NonZeroU32::get),
            max_height: self.max_height.map(NonZeroU32::get),
            max_area: Some(self.max_area),
            upscale: if self.upscale { Upscale::Offered } else { Upscale::Refused },
        }
    }

    /// These settings, promising no more than the memory allows for every JPEG.
    pub fn within(self, limits: &imaging::Limits) -> Self {
        Self { max_area: self.max_area.min(imaging::largest_jpeg(self.quality, limits)), ..self }
    }

    /// These settings with what one source has of its own.
    pub fn with(&self, own: &ImageOverride) -> Self {
        Self {
            upscale: own.upscale.unwrap_or(self.upscale),
            max_area: own.max_area.unwrap_or(self.max_area),
            max_width: own.max_width.or(self.max_width),
            max_height: own.max_height.or(self.max_height),
            tile: own.tile.unwrap_or(self.tile),
            quality: own.quality.unwrap_or(self.quality),
            pdf_dpi: own.pdf_dpi.unwrap_or(self.pdf_dpi),
        }
    }
}

fn quality<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    struct Percent;
    impl Visitor<'_> for Percent {
        type Value = u8;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number from 1 to 100")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u8, E> {
            let wrong = || E::invalid_value(Unexpected::Signed(number), &self);
            u8::try_from(number).ok().filter(|quality| (1..=100).contains(quality)).ok_or_else(wrong)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u8, E> {
            self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
        }
    }
    deserializer.deserialize_u8(Percent)
}

fn own_quality<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    quality(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quality_is_one_to_a_hundred() {
        for (text, expected) in [("1", Some(1)), ("100", Some(100)), ("0", None), ("101", None), ("-1", None)]
        {
            let written = format!("quality = {text}");
            let all = toml::from_str::<ImageSettings>(&written).ok().map(|image| image.quality);
            let own = toml::from_str::<ImageOverride>(&written).ok().and_then(|image| image.quality);
            assert_eq!((all, own), (expected, expected), "{text}");
        }
    }

    #[test]
    fn the_memory_bounds_what_is_promised() {
        let image = ImageSettings::default();
        let limits = imaging::Limits::default();
        assert_eq!(image.clone().within(&limits), image, "by default all of it can be kept");
        let best = ImageSettings { quality: 100, ..image.clone() };
        assert!((80_000_000..90_000_000).contains(&best.within(&limits).max_area));
        let narrow = imaging::Limits { memory: 100 << 20, ..limits };
        assert!((12_000_000..14_000_000).contains(&image.within(&narrow).max_area));
    }

    #[test]
    fn a_source_changes_only_what_it_names() {
        let own: ImageOverride = toml::from_str("quality = 92\nupscale = false\nmax_width = 4000").unwrap();
        let expected = ImageSettings {
            quality: 92,
            upscale: false,
            max_width: NonZeroU32::new(4000),
            ..ImageSettings::default()
        };
        assert_eq!(ImageSettings::default().with(&own), expected);
    }
}
