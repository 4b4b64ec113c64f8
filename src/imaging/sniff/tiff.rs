//! The directories of a TIFF file: its picture and the smaller levels of the same picture.

use std::ops::Range;

use super::ifd::{Directory, Endian, Format, Values};
use super::{Depth, Header, Kind, Lack, Parts, Tone};
use crate::imaging::ImagingError;

/// What matters for reading the pixels of a TIFF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Layout {
    /// The full picture first, then its levels as they lie in the file.
    pub(in crate::imaging) levels: Vec<Level>,
    /// Where the ICC profile lies.
    pub(in crate::imaging) profile: Option<Range<u64>>,
}

/// One size of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Level {
    pub(in crate::imaging) width: u32,
    pub(in crate::imaging) height: u32,
    /// Whether it comes in tiles, not in strips.
    pub(in crate::imaging) tiled: bool,
    /// Size of a tile or strip.
    pub(in crate::imaging) chunk: (u32, u32),
    pub(in crate::imaging) endian: Endian,
    pub(in crate::imaging) bits: u64,
    pub(in crate::imaging) samples: u64,
    /// The meaning of the first sample behind the colours: 1 and 2 are alpha.
    pub(in crate::imaging) extra: Option<u64>,
    pub(in crate::imaging) photometric: u64,
    pub(in crate::imaging) compression: u64,
    pub(in crate::imaging) predictor: u64,
    pub(in crate::imaging) planar: bool,
    pub(in crate::imaging) reversed_bits: bool,
    /// Whether samples are floating-point or signed numbers.
    unusual_samples: bool,
    /// Whether several pixels share their colours, other than within JPEG.
    coarse_colours: bool,
    pub(in crate::imaging) offsets: Values,
    pub(in crate::imaging) lengths: Values,
    /// Quantisation and entropy tables shared by JPEG chunks.
    pub(in crate::imaging) tables: Option<Values>,
    pub(in crate::imaging) palette: Option<Values>,
}

mod tag {
    pub(super) const SUBFILE: u16 = 254;
    pub(super) const WIDTH: u16 = 256;
    pub(super) const HEIGHT: u16 = 257;
    pub(super) const BITS: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const FILL_ORDER: u16 = 266;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const ROWS_PER_STRIP: u16 = 278;
    pub(super) const STRIP_LENGTHS: u16 = 279;
    pub(super) const PLANAR: u16 = 284;
    pub(super) const PAGE_NUMBER: u16 = 297;
    pub(super) const PREDICTOR: u16 = 317;
    pub(super) const PALETTE: u16 = 320;
    pub(super) const TILE_WIDTH: u16 = 322;
    pub(super) const TILE_HEIGHT: u16 = 323;
    pub(super) const TILE_OFFSETS: u16 = 324;
    pub(super) const TILE_LENGTHS: u16 = 325;
    pub(super) const SUB_DIRECTORIES: u16 = 330;
    pub(super) const EXTRA_SAMPLES: u16 = 338;
    pub(super) const SAMPLE_FORMAT: u16 = 339;
    pub(super) const JPEG_TABLES: u16 = 347;
    pub(super) const COARSENESS: u16 = 530;
    pub(super) const PROFILE: u16 = 34675;
}

/// Ways in which samples are packed (*TIFF 6.0, Compression*).
pub(in crate::imaging) mod compression {
    pub(in crate::imaging) const NONE: u64 = 1;
    pub(in crate::imaging) const GROUP_4: u64 = 4;
    pub(in crate::imaging) const LZW: u64 = 5;
    pub(in crate::imaging) const JPEG: u64 = 7;
    pub(in crate::imaging) const DEFLATE: u64 = 8;
    pub(in crate::imaging) const OLD_DEFLATE: u64 = 32946;
    pub(in crate::imaging) const PACK_BITS: u64 = 32773;
}

/// What samples mean (*TIFF 6.0, PhotometricInterpretation*).
pub(in crate::imaging) mod photometric {
    pub(in crate::imaging) const WHITE_IS_ZERO: u64 = 0;
    pub(in crate::imaging) const BLACK_IS_ZERO: u64 = 1;
    pub(in crate::imaging) const RGB: u64 = 2;
    pub(in crate::imaging) const PALETTE: u64 = 3;
    pub(in crate::imaging) const CMYK: u64 = 5;
    pub(in crate::imaging) const YCBCR: u64 = 6;
}

/// More samples than this in a pixel, and it is no picture.
const MOST_SAMPLES: u64 = 16;

impl Level {
    /// Whether it can be drawn, as far as its directory tells. What is refused here has no description either.
    fn check(&self) -> Result<(), ImagingError> {
        let unsupported = |what: String| Err(ImagingError::unsupported(format!("TIFF with {what}")));
        let colours = match self.photometric {
            photometric::WHITE_IS_ZERO | photometric::BLACK_IS_ZERO | photometric::PALETTE => 1,
            photometric::RGB | photometric::YCBCR => 3,
            photometric::CMYK => 4,
            8..=10 => return unsupported("L*a*b* colours".into()),
            other => return unsupported(format!("photometric {other}")),
        };
        if !(colours..=MOST_SAMPLES).contains(&self.samples) {
            let found = self.samples;
            return Err(ImagingError::broken(format!("{found} samples in a pixel of {colours} colours")));
        }
        if self.unusual_samples {
            return unsupported("samples that are signed or floating-point numbers".into());
        }
        let bits: &[u64] = match (self.compression, self.photometric) {
            (compression::GROUP_4, _) if self.samples > 1 => {
                return unsupported("CCITT group 4 of colours".into());
            }
            (compression::GROUP_4, _) => &[1],
            (compression::JPEG, _) | (_, photometric::YCBCR) => &[8],
            (_, photometric::PALETTE) => &[1, 2, 4, 8],
            (compression::NONE | compression::LZW | compression::PACK_BITS, _)
            | (compression::DEFLATE | compression::OLD_DEFLATE, _) => &[1, 2, 4, 8, 16],
            (other, _) => return unsupported(unknown(other)),
        };
        if !bits.contains(&self.bits) {
            return unsupported(format!("samples of {} bits", self.bits));
        }
        match (self.predictor, self.compression) {
            (1 | 2, _) | (_, compression::JPEG | compression::GROUP_4) => {}
            (other, _) => return unsupported(format!("predictor {other}")),
        }
        if self.coarse_colours {
            return unsupported("colours coarser than the light, without JPEG".into());
        }
        Ok(())
    }
}

fn unknown(compression: u64) -> String {
    match compression {
        2 | 3 => "CCITT group 3 compression".into(),
        6 => "JPEG compression of the old style".into(),
        33003 | 33005 | 34712 => "JPEG 2000 compression".into(),
        34925 => "LZMA compression".into(),
        50000 => "Zstandard compression".into(),
        50001 | 34927 => "WebP compression".into(),
        other => format!("compression {other}"),
    }
}

/// Levels halve, so 32 are more than any picture can have; this also ends circles of directories.
const MOST_LEVELS: usize = 32;

pub(super) fn header(parts: &Parts, depth: Depth) -> Result<Header, Lack> {
    let (format, first) = Format::open(parts)?;
    let directory = format.directory(parts, first)?;
    let full = level(&directory, parts, format.endian)?;
    let orientation = directory.orientation(parts)?;
    let tone = if full.photometric < 2 { Tone::Grey } else { Tone::Colour };
    let size = (full.width, full.height);
    let profile = directory.values(tag::PROFILE).and_then(Values::bytes);
    let mut levels = vec![full];
    if depth == Depth::Levels {
        add_levels(&mut levels, parts, format, &directory)?;
    }
    let layout = super::Layout::Tiff(Layout { levels, profile });
    Ok(Header::new(Kind::Tiff, size, tone, orientation, layout))
}

/// Adds the directories that hold smaller levels: those below the first one and those behind it. A
/// damaged one ends the search, it does not spoil the picture.
fn add_levels(levels: &mut Vec<Level>, parts: &Parts, format: Format, first: &Directory) -> Result<(), Lack> {
    let below = match first.numbers(parts, tag::SUB_DIRECTORIES, MOST_LEVELS as u64) {
        Err(Lack::Fault(_)) => Vec::new(),
        below => below?,
    };
    for at in below {
        add_level(levels, parts, format, at)?;
    }
    let mut next = first.next;
    for _ in 0..MOST_LEVELS {
        if next == 0 {
            break;
        }
        next = add_level(levels, parts, format, next)?;
    }
    Ok(())
}

/// Adds one directory if it is a level; tells where the next one lies.
fn add_level(levels: &mut Vec<Level>, parts: &Parts, format: Format, at: u64) -> Result<u64, Lack> {
    let read = || -> Result<(Option<Level>, u64), Lack> {
        let directory = format.directory(parts, at)?;
        let subfile = directory.number(parts, tag::SUBFILE)?.unwrap_or(0);
        let found = level(&directory, parts, format.endian);
        if let Err(Lack::Bytes(range)) = found {
            return Err(Lack::Bytes(range));
        }
        Ok((found.ok().filter(|level| is_level_of(levels, level, subfile, &directory)), directory.next))
    };
    match read() {
        Ok((found, next)) => {
            levels.extend(found);
            Ok(next)
        }
        Err(Lack::Fault(_)) => Ok(0),
        Err(lack) => Err(lack),
    }
}

/// Whether a directory holds the same picture, smaller: it says that it is reduced, or it is exactly half of the level
/// before it, tiled and written like it, and does not call itself a page. Anything else is another page, a mask or a
/// thumbnail of another shape.
fn is_level_of(levels: &[Level], found: &Level, subfile: u64, directory: &Directory) -> bool {
    const REDUCED: u64 = 1;
    const PAGE_OR_MASK: u64 = 6;
    let (full, last) = (&levels[0], &levels[levels.len() - 1]);
    let halves = |whole: u32, part: u32| part == whole / 2 || part == whole.div_ceil(2);
    let written = |level: &Level| (level.tiled, level.compression, level.samples, level.bits);
    let is_page = directory.values(tag::PAGE_NUMBER).is_some();
    let alike = found.tiled && written(last) == written(found);
    let halved = halves(last.width, found.width) && halves(last.height, found.height) && alike && !is_page;
    let cross = u64::from(found.width) * u64::from(full.height);
    let shape = cross.abs_diff(u64::from(found.height) * u64::from(full.width));
    let same_shape = shape <= u64::from(full.width.max(full.height));
    let smaller = found.width < full.width && found.height <= full.height;
    let same_tone = (found.photometric < 2) == (full.photometric < 2);
    subfile & PAGE_OR_MASK == 0 && smaller && same_shape && same_tone && (subfile & REDUCED != 0 || halved)
}

fn level(directory: &Directory, parts: &Parts, endian: Endian) -> Result<Level, Lack> {
    let number = |tag, default| Ok::<u64, Lack>(directory.number(parts, tag)?.unwrap_or(default));
    let side = |tag, what| {
        let side = u32::try_from(number(tag, 0)?).ok().filter(|side| *side > 0);
        side.ok_or_else(|| Lack::Fault(ImagingError::broken(format!("a TIFF without a usable {what}"))))
    };
    let width = side(tag::WIDTH, "width")?;
    let height = side(tag::HEIGHT, "height")?;
    let tiled = directory.values(tag::TILE_OFFSETS).is_some();
    let (chunk, offsets, lengths) = if tiled {
        let chunk = (side(tag::TILE_WIDTH, "tile width")?, side(tag::TILE_HEIGHT, "tile height")?);
        (chunk, tag::TILE_OFFSETS, tag::TILE_LENGTHS)
    } else {
        let rows = number(tag::ROWS_PER_STRIP, height.into())?.clamp(1, height.into()) as u32;
        ((width, rows), tag::STRIP_OFFSETS, tag::STRIP_LENGTHS)
    };
    let table = |tag| {
        let values = directory.values(tag);
        values.ok_or_else(|| Lack::Fault(ImagingError::broken("a TIFF without a table of strips or tiles")))
    };
    let (photometric, compression) = (number(tag::PHOTOMETRIC, 1)?, number(tag::COMPRESSION, 1)?);
    let fine = || Ok::<_, Lack>(directory.numbers(parts, tag::COARSENESS, 2)? == [1, 1]);
    let coarse_colours = photometric == photometric::YCBCR && compression != compression::JPEG && !fine()?;
    let level = Level {
        width,
        height,
        tiled,
        chunk,
        endian,
        bits: number(tag::BITS, 1)?,
        samples: number(tag::SAMPLES, 1)?,
        extra: directory.number(parts, tag::EXTRA_SAMPLES)?,
        photometric,
        compression,
        predictor: number(tag::PREDICTOR, 1)?,
        planar: number(tag::PLANAR, 1)? == 2,
        reversed_bits: number(tag::FILL_ORDER, 1)? == 2,
        unusual_samples: number(tag::SAMPLE_FORMAT, 1)? != 1,
        coarse_colours,
        offsets: table(offsets)?,
        lengths: table(lengths)?,
        tables: directory.values(tag::JPEG_TABLES),
        palette: directory.values(tag::PALETTE),
    };
    level.check()?;
    Ok(level)
}
