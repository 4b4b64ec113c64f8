//! What the samples of a TIFF mean (*TIFF 6.0, PhotometricInterpretation*).

use super::read_at;
use crate::imaging::jpeg::from_ycbcr;
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::sniff::tiff::compression::JPEG;
use crate::imaging::sniff::tiff::{Level, photometric};
use crate::imaging::{ImagingError, Master};

/// What the samples of a TIFF mean.
pub(super) struct Colour {
    model: Model,
    alpha: Alpha,
    kept: usize,
}

enum Model {
    Grey { white_is_zero: bool },
    Rgb,
    YCbCr,
    Palette(Vec<[u8; 3]>),
    Cmyk,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpha {
    None,
    Straight,
    /// The colours were multiplied by it.
    Associated,
}

impl Colour {
    pub(super) fn of(level: &Level, master: &mut dyn Master) -> Result<Self, ImagingError> {
        let model = match level.photometric {
            photometric::WHITE_IS_ZERO => Model::Grey { white_is_zero: true },
            photometric::BLACK_IS_ZERO => Model::Grey { white_is_zero: false },
            photometric::PALETTE => Model::Palette(palette(level, master)?),
            photometric::CMYK => Model::Cmyk,
            // The JPEG decoder has made RGB of it already.
            photometric::YCBCR if level.compression != JPEG => Model::YCbCr,
            _ => Model::Rgb,
        };
        Ok(Self { model, alpha: Alpha::of(level), kept: kept(level) })
    }

    /// Bytes that a pixel takes at most: samples become pixels in place, except that the entries of a palette are held
    /// beside their colours.
    pub(super) fn cost(level: &Level) -> u64 {
        let beside = if level.photometric == photometric::PALETTE { 3 } else { 0 };
        kept(level) as u64 + beside
    }

    /// How many samples of each pixel matter.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Makes pixels of samples.
    pub(super) fn interpret(
        &self,
        width: u32,
        height: u32,
        mut samples: Vec<u8>,
    ) -> Result<Pixels, ImagingError> {
        if let Model::Grey { white_is_zero: true } = self.model {
            for pixel in samples.chunks_exact_mut(self.kept()) {
                pixel[0] = 255 - pixel[0];
            }
        }
        if self.alpha == Alpha::Associated {
            samples.chunks_exact_mut(self.kept()).for_each(divide_by_alpha);
        }
        let raw = |channels| Pixels::new(width, height, channels, samples);
        let has_alpha = self.alpha != Alpha::None;
        match &self.model {
            Model::Grey { .. } if has_alpha => raw(Channels::GreyAlpha),
            Model::Grey { .. } => raw(Channels::Grey),
            Model::Rgb if has_alpha => raw(Channels::Rgba),
            Model::Rgb => raw(Channels::Rgb),
            Model::Cmyk => raw(Channels::Cmyk),
            // The default of *TIFF 6.0, section 21*.
            Model::YCbCr => {
                Ok(raw(Channels::Rgb)?.map(Channels::Rgb, |[y, cb, cr]: [u8; 3]| from_ycbcr(y, cb, cr)))
            }
            Model::Palette(colours) => {
                let colour = |[index]: [u8; 1]| colours.get(usize::from(index)).copied().unwrap_or_default();
                Ok(raw(Channels::Grey)?.map(Channels::Rgb, colour))
            }
        }
    }
}

impl Alpha {
    fn of(level: &Level) -> Self {
        match (level.photometric, level.extra) {
            (photometric::CMYK | photometric::PALETTE, _) => Self::None,
            (photometric::YCBCR, _) if level.compression != JPEG => Self::None,
            (_, Some(1)) if level.samples > colours(level) as u64 => Self::Associated,
            (_, Some(2)) if level.samples > colours(level) as u64 => Self::Straight,
            _ => Self::None,
        }
    }
}

fn colours(level: &Level) -> usize {
    match level.photometric {
        photometric::WHITE_IS_ZERO | photometric::BLACK_IS_ZERO | photometric::PALETTE => 1,
        photometric::CMYK => 4,
        _ => 3,
    }
}

fn kept(level: &Level) -> usize {
    colours(level) + usize::from(Alpha::of(level) != Alpha::None)
}

/// All reds, then all greens, then all blues, in sixteen bits; some writers use eight of them.
fn palette(level: &Level, master: &mut dyn Master) -> Result<Vec<[u8; 3]>, ImagingError> {
    let broken = || ImagingError::broken("a TIFF with a palette that does not fit its samples");
    let values = level.palette.filter(|values| values.width == 2 && level.bits <= 8).ok_or_else(broken)?;
    let count = 1_usize << level.bits;
    let bytes = read_at(master, values.at, values.count.min(3 << 8) * 2)?;
    let numbers: Vec<u64> = bytes.chunks_exact(2).map(|value| level.endian.number(value)).collect();
    if numbers.len() < 3 * count {
        return Err(broken());
    }
    let shift = if numbers.iter().all(|number| *number < 256) { 0 } else { 8 };
    let colour = |index: usize, part: usize| (numbers[part * count + index] >> shift) as u8;
    Ok((0..count).map(|index| [colour(index, 0), colour(index, 1), colour(index, 2)]).collect())
}

fn divide_by_alpha(pixel: &mut [u8]) {
    let Some((alpha, colours)) = pixel.split_last_mut() else { return };
    let alpha = u32::from(*alpha);
    for colour in colours.iter_mut().filter(|_| alpha > 0) {
        *colour = ((u32::from(*colour) * 255 + alpha / 2) / alpha).min(255) as u8;
    }
}
