//! The last part of an image request: `default.jpg` (*Image API 3.0, 4.4 and 4.5*).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::syntax::SyntaxError;

/// Which colours the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quality {
    /// As the image is.
    Default,
    /// In full colour, as far as the image has any.
    Color,
    /// In shades of grey.
    Gray,
    /// In black and white.
    Bitonal,
}

impl Quality {
    /// All that are offered.
    pub const ALL: [Self; 4] = [Self::Default, Self::Color, Self::Gray, Self::Bitonal];

    /// The word for it in addresses and info.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Color => "color",
            Self::Gray => "gray",
            Self::Bitonal => "bitonal",
        }
    }

    /// Reads the word before the last dot.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let expected = "is not offered: expected `default`, `color`, `gray` or `bitonal`";
        let known = Self::ALL.into_iter().find(|quality| quality.name() == text);
        known.ok_or_else(|| SyntaxError::new("quality", text, expected))
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether an image has colours at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// It has: its default quality is `color`.
    Colour,
    /// It has none: its default quality is `gray`, and `color` changes nothing.
    Grey,
}

/// How the answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `jpg`, `image/jpeg`.
    Jpg,
    /// `png`, `image/png`.
    Png,
    /// `webp`, `image/webp`.
    Webp,
    /// `tif`, `image/tiff`.
    Tif,
    /// `gif`, `image/gif`.
    Gif,
}

impl Format {
    /// All that are offered.
    pub const ALL: [Self; 5] = [Self::Jpg, Self::Png, Self::Webp, Self::Tif, Self::Gif];

    /// The word for it in addresses and info.json.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Tif => "tif",
            Self::Gif => "gif",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Tif => "image/tiff",
            Self::Gif => "image/gif",
        }
    }

    /// Whether a picture may be transparent in places.
    pub fn has_alpha(self) -> bool {
        self != Self::Jpg
    }

    /// Whether a picture can be had back from it as it was, whatever its colours.
    pub fn is_lossless(self) -> bool {
        matches!(self, Self::Png | Self::Tif)
    }

    /// Neither side of a picture may be longer. What encoders refuse, and a little less than the format could hold.
    pub fn longest_side(self) -> u32 {
        match self {
            Self::Jpg => 65_500,
            Self::Gif => 65_535,
            Self::Webp => 16_383,
            Self::Png | Self::Tif => i32::MAX as u32,
        }
    }

    /// Reads the word after the last dot.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let expected = "is not offered: expected `jpg`, `png`, `webp`, `tif` or `gif`";
        let known = Self::ALL.into_iter().find(|format| format.extension() == text);
        known.ok_or_else(|| SyntaxError::new("format", text, expected))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_to_itself() {
        for quality in Quality::ALL {
            assert_eq!(Quality::parse(&quality.to_string()), Ok(quality));
        }
        for format in Format::ALL {
            assert_eq!(Format::parse(&format.to_string()), Ok(format));
        }
    }

    #[test]
    fn words_of_other_versions_and_spellings_are_refused() {
        for text in ["native", "grey", "colour", "DEFAULT", "", "default "] {
            let error = Quality::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("quality `{text}` is not offered: expected `default`, `color`, `gray` or `bitonal`")
            );
        }
        for text in ["jpeg", "JPG", "tiff", "jp2", "pdf", "xyz", ""] {
            let error = Format::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("format `{text}` is not offered: expected `jpg`, `png`, `webp`, `tif` or `gif`")
            );
        }
    }
}
