//! Colours: ICC profiles to sRGB, ink to light, grey, black and white.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};
use tracing::debug;

use super::pixels::{Channels, Pixels};
use crate::iiif::image::quality::Quality;

/// Turns the colours of a master into sRGB.
pub(super) fn to_srgb(picture: Pixels, profile: Option<&[u8]>) -> Pixels {
    ToScreen::new(profile, picture.channels()).apply(picture)
}

/// The way from the colours of a master to sRGB, for pictures of certain samples.
pub(super) struct ToScreen {
    conversion: Option<Conversion>,
    from: Channels,
}

impl ToScreen {
    /// A profile that cannot be used is passed over: a picture in slightly wrong colours is better than none.
    pub(super) fn new(profile: Option<&[u8]>, from: Channels) -> Self {
        let conversion = profile.and_then(|profile| match Conversion::new(profile, from) {
            Ok(conversion) => Some(conversion),
            Err(error) => {
                debug!(%error, profile_bytes = profile.len(), "ICC profile passed over: {error}");
                None
            }
        });
        Self { conversion, from }
    }

    /// The samples that come of it.
    pub(super) fn channels(&self) -> Channels {
        if self.from == Channels::Cmyk { Channels::Rgb } else { self.from }
    }

    pub(super) fn apply(&self, picture: Pixels) -> Pixels {
        debug_assert_eq!(picture.channels(), self.from);
        match &self.conversion {
            Some(conversion) => conversion.apply(picture),
            None if self.from == Channels::Cmyk => picture.map(Channels::Rgb, from_ink),
            None => picture,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ProfileError {
    #[error("{0:?}")]
    Cms(#[from] moxcms::CmsError),
    #[error("it describes {0:?}, the picture has {1:?} samples")]
    Mismatch(DataColorSpace, Channels),
}

/// What a profile does to samples.
enum Conversion {
    /// What becomes of each shade.
    Shades(Box<[u8; 256]>),
    /// Whole pixels, and which samples they have afterwards.
    Colours(Arc<dyn TransformExecutor<u8> + Send + Sync>, Channels),
}

impl Conversion {
    fn new(profile: &[u8], channels: Channels) -> Result<Self, ProfileError> {
        let profile = ColorProfile::new_from_slice(profile)?;
        let (from, to) = match (profile.color_space, channels) {
            (DataColorSpace::Gray, Channels::Grey | Channels::GreyAlpha) => {
                return Ok(Self::Shades(Box::new(shades(&profile)?)));
            }
            (DataColorSpace::Rgb, Channels::Rgb) => (Layout::Rgb, Channels::Rgb),
            (DataColorSpace::Rgb, Channels::Rgba) => (Layout::Rgba, Channels::Rgba),
            (DataColorSpace::Cmyk, Channels::Cmyk) => (Layout::Rgba, Channels::Rgb),
            (space, channels) => return Err(ProfileError::Mismatch(space, channels)),
        };
        let layout = if to == Channels::Rgba { Layout::Rgba } else { Layout::Rgb };
        let options = TransformOptions::default();
        let transform = profile.create_transform_8bit(from, &ColorProfile::new_srgb(), layout, options)?;
        Ok(Self::Colours(transform, to))
    }

    fn apply(&self, picture: Pixels) -> Pixels {
        match self {
            Self::Shades(shades) => {
                let shade = |value: u8| shades[usize::from(value)];
                match picture.channels() {
                    Channels::GreyAlpha => picture.map(Channels::GreyAlpha, |[v, a]: [u8; 2]| [shade(v), a]),
                    _ => picture.map(Channels::Grey, |[v]: [u8; 1]| [shade(v)]),
                }
            }
            Self::Colours(transform, to) => picture.convert(*to, |from, into| {
                transform.transform(from, into).expect("whole pixels, as many here as there");
            }),
        }
    }
}

/// What becomes of each shade under a profile for grey.
fn shades(profile: &ColorProfile) -> Result<[u8; 256], ProfileError> {
    let options = TransformOptions::default();
    let transform =
        profile.create_transform_8bit(Layout::Gray, &ColorProfile::new_srgb(), Layout::Rgb, options)?;
    let ramp: [u8; 256] = std::array::from_fn(|value| value as u8);
    let mut light = [0; 768];
    transform.transform(&ramp, &mut light)?;
    Ok(std::array::from_fn(|value| light[value * 3 + 1]))
}

/// Ink without a profile: each ink swallows its share of the light, black swallows all colours.
fn from_ink([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = |ink: u8| {
        let product = u32::from(255 - ink) * u32::from(255 - k);
        ((product + 127) / 255) as u8
    };
    [light(c), light(m), light(y)]
}

/// Applies a quality. Black and white are told apart at the middle, not where the histogram of the
/// region would put it: neighbouring tiles must agree.
pub(super) fn tone(picture: Pixels, quality: Quality) -> Pixels {
    const MIDDLE: u8 = 128;
    match quality {
        Quality::Default | Quality::Color => picture,
        Quality::Gray => grey(picture),
        Quality::Bitonal => {
            let mut picture = grey(picture);
            // Alpha too: half of black is grey.
            picture.data_mut().iter_mut().for_each(|value| *value = if *value < MIDDLE { 0 } else { 255 });
            picture
        }
    }
}

fn grey(picture: Pixels) -> Pixels {
    match picture.channels() {
        Channels::Rgb => picture.map(Channels::Grey, |rgb: [u8; 3]| [luma(rgb)]),
        Channels::Rgba => picture.map(Channels::GreyAlpha, |[r, g, b, a]: [u8; 4]| [luma([r, g, b]), a]),
        Channels::Cmyk => grey(picture.map(Channels::Rgb, from_ink)),
        Channels::Grey | Channels::GreyAlpha => picture,
    }
}

/// Weights of ITU-R BT.601, as in JPEG.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(channels: Channels, data: &[u8]) -> Pixels {
        Pixels::new(1, 1, channels, data.to_vec()).unwrap()
    }

    #[test]
    fn ink_without_a_profile() {
        let cases = [
            ("paper", [0, 0, 0, 0], [255, 255, 255]),
            ("cyan", [255, 0, 0, 0], [0, 255, 255]),
            ("red", [0, 255, 255, 0], [255, 0, 0]),
            ("black", [0, 0, 0, 255], [0, 0, 0]),
            ("half black", [0, 0, 0, 127], [128, 128, 128]),
        ];
        for (name, ink, light) in cases {
            assert_eq!(to_srgb(one(Channels::Cmyk, &ink), None).data(), light, "{name}");
        }
    }

    #[test]
    fn a_profile_moves_colours_and_leaves_alpha() {
        let profile = ColorProfile::new_adobe_rgb().encode().unwrap();
        let picture = to_srgb(one(Channels::Rgba, &[0, 200, 100, 77]), Some(&profile));
        assert_eq!((picture.data()[0], picture.data()[3]), (0, 77));
        assert!(picture.data()[1] > 200, "{:?}", picture.data());
    }

    #[test]
    fn a_profile_for_grey_keeps_one_channel() {
        let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let picture = to_srgb(one(Channels::Grey, &[55]), Some(&profile));
        assert_eq!(picture.channels(), Channels::Grey);
        assert!((127..=129).contains(&picture.data()[0]), "linear 55 is {} in sRGB", picture.data()[0]);
    }

    #[test]
    fn a_broken_or_foreign_profile_is_passed_over() {
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let truncated = &ColorProfile::new_adobe_rgb().encode().unwrap()[..100];
        for profile in [&b""[..], b"not a profile", &grey, truncated] {
            assert_eq!(to_srgb(one(Channels::Rgb, &[1, 2, 3]), Some(profile)).data(), [1, 2, 3]);
        }
    }

    #[test]
    fn qualities() {
        let picture = || one(Channels::Rgba, &[255, 0, 0, 40]);
        let cases: [(Quality, &[u8]); 4] = [
            (Quality::Default, &[255, 0, 0, 40]),
            (Quality::Color, &[255, 0, 0, 40]),
            (Quality::Gray, &[76, 40]),
            (Quality::Bitonal, &[0, 0]),
        ];
        for (quality, expected) in cases {
            assert_eq!(tone(picture(), quality).data(), expected, "{quality:?}");
        }
    }
}
