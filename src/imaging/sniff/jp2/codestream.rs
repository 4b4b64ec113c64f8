//! The main header of a codestream: how large, of what samples, how coded (*ISO 15444-1, Annex A*).

use std::ops::Range;

use super::boxes::MOST_COMPONENTS;
use super::segment::{check, marker, unknown};
use super::{Axis, Lack, Parts};
use crate::imaging::ImagingError;

/// A codestream, as its main header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Codestream {
    pub(in crate::imaging) across: Axis,
    pub(in crate::imaging) down: Axis,
    pub(in crate::imaging) components: Vec<Component>,
    pub(in crate::imaging) layers: u16,
    /// Changes of the order in which packets come.
    pub(in crate::imaging) changes: u64,
    /// Where the segments lie that decoding needs, the one with the size first.
    pub(in crate::imaging) segments: Vec<Range<u64>>,
    /// From the first tile to where the codestream must have ended.
    pub(in crate::imaging) tiles: Range<u64>,
}

/// One component of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Component {
    pub(in crate::imaging) bits: u8,
    /// So many pixels share a sample, across and down.
    pub(in crate::imaging) coarseness: (u8, u8),
    pub(in crate::imaging) coding: Coding,
}

/// How samples are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Coding {
    /// How often the picture is halved.
    pub(in crate::imaging) levels: u8,
    /// Sides of a block of coefficients, as powers of two.
    pub(in crate::imaging) block: (u8, u8),
    /// Pieces that the data of a block may be in, beside those of its layers.
    pub(in crate::imaging) pieces: u64,
    /// Sides of a precinct in each resolution, the smallest first, as powers of two.
    pub(in crate::imaging) precincts: Vec<(u8, u8)>,
}

/// Segments in front of the first tile: writers make a handful, and one for each 64 KiB of lengths.
const MOST_SEGMENTS: usize = 1000;
/// Those that decoding needs, and how long each may be. It reads them again for every tile.
const MOST_NEEDED: usize = 32;
const LONGEST_NEEDED: u64 = 1024;

/// An order for each resolution is more than anybody makes of it.
pub(in crate::imaging) const MOST_CHANGES: u64 = 32;

/// As many as the decoder takes.
const MOST_LAYERS: u16 = 32;
const MOST_BITS: u8 = 16;
/// Tiles are numbered with sixteen bits.
const MOST_TILES: u64 = u16::MAX as u64;

impl Codestream {
    pub(super) fn read(parts: &Parts, place: Range<u64>) -> Result<Self, Lack> {
        let mut at = place.start + 2;
        let (mut size, mut coding, mut codings) = (None, None, Vec::new());
        let (mut segments, mut changes) = (Vec::new(), 0);
        for _ in 0..MOST_SEGMENTS {
            let [a, b, c, d] = parts.array(at)?;
            let (marker, length) = (u16::from_be_bytes([a, b]), u64::from(u16::from_be_bytes([c, d])));
            if marker == marker::TILE {
                let (across, down, components) = size.ok_or_else(|| missing("size"))?;
                let (layers, coding) = coding.ok_or_else(|| missing("coding style"))?;
                let components = with_codings(components, coding, codings);
                let tiles = at..place.end;
                return Ok(Self { across, down, components, layers, changes, segments, tiles });
            }
            let segment = at..at + 2 + length.max(2);
            at = segment.end;
            match marker {
                marker::COMMENT | marker::REGISTRATION | marker::TILE_LENGTHS | marker::PACKET_LENGTHS => {
                    continue;
                }
                marker::SIZE | marker::CODING | marker::CODING_OF_COMPONENT | marker::CHANGES => {}
                marker::QUANTISATION | marker::QUANTISATION_OF_COMPONENT | marker::REGION => {}
                other => return Err(unknown(other).into()),
            }
            if length > LONGEST_NEEDED || segments.len() == MOST_NEEDED {
                return Err(ImagingError::broken("a JPEG 2000 whose main header is too long").into());
            }
            check(parts.slice(segment.start, segment.end - segment.start)?)?;
            let body = segment.start + 4;
            match marker {
                marker::SIZE if size.is_none() => size = Some(read_size(parts, body)?),
                _ if size.is_none() => return Err(missing("size").into()),
                marker::CODING => coding = Some(Coding::read_default(parts, body)?),
                marker::CODING_OF_COMPONENT => codings.push(Coding::read_own(parts, body)?),
                marker::CHANGES => changes += length / 7,
                marker::SIZE => return Err(ImagingError::broken("two sizes of one JPEG 2000").into()),
                _ => {}
            }
            if changes > MOST_CHANGES {
                return Err(
                    ImagingError::broken(format!("a JPEG 2000 with {changes} changes of order")).into()
                );
            }
            segments.push(segment);
        }
        Err(ImagingError::broken("a JPEG 2000 without tiles").into())
    }
}

fn missing(what: &str) -> ImagingError {
    ImagingError::broken(format!("a JPEG 2000 without its {what}"))
}

/// Bits and coarseness of each component.
type Samples = Vec<(u8, (u8, u8))>;
type Size = (Axis, Axis, Samples);

fn read_size(parts: &Parts, body: u64) -> Result<Size, Lack> {
    let number = |index: u64| Ok::<_, Lack>(u32::from_be_bytes(parts.array(body + 2 + 4 * index)?));
    let axis = |index| {
        let (end, start, tile, origin) =
            (number(index)?, number(index + 2)?, number(index + 4)?, number(index + 6)?);
        Ok::<_, Lack>(Axis { start, end, tile, origin })
    };
    let (across, down) = (axis(0)?, axis(1)?);
    let count = usize::from(u16::from_be_bytes(parts.array(body + 34)?));
    if !(1..=MOST_COMPONENTS).contains(&count) {
        let what = format!("JPEG 2000 of {count} components (1 to {MOST_COMPONENTS} are)");
        return Err(ImagingError::unsupported(what).into());
    }
    if !across.is_sound() || !down.is_sound() {
        let place = format!("from {},{} to {},{}", across.start, down.start, across.end, down.end);
        let tiles = format!("{}x{} from {},{}", across.tile, down.tile, across.origin, down.origin);
        let what = format!("a JPEG 2000 {place} in tiles of {tiles}");
        return Err(ImagingError::broken(what).into());
    }
    let tiles = u64::from(across.tiles()) * u64::from(down.tiles());
    if tiles > MOST_TILES {
        return Err(ImagingError::broken(format!(
            "a JPEG 2000 of {tiles} tiles, at most {MOST_TILES} expected"
        ))
        .into());
    }
    let told = parts.slice(body + 36, 3 * count as u64)?;
    let samples: Samples =
        told.as_chunks().0.iter().map(|[bits, across, down]| (*bits, (*across, *down))).collect();
    check_samples(&samples)?;
    Ok((across, down, samples))
}

fn check_samples(samples: &[(u8, (u8, u8))]) -> Result<(), ImagingError> {
    const SIGNED: u8 = 0x80;
    for (number, (bits, coarseness)) in samples.iter().enumerate() {
        let known = |side| matches!((number, side), (_, 1) | (1.., 2 | 4));
        if bits & SIGNED != 0 {
            return Err(ImagingError::unsupported("JPEG 2000 with samples that are signed numbers"));
        }
        if *bits >= MOST_BITS {
            return Err(ImagingError::unsupported(format!("JPEG 2000 with samples of {} bits", bits + 1)));
        }
        if !known(coarseness.0) || !known(coarseness.1) {
            return Err(ImagingError::unsupported("JPEG 2000 with such sampling factors"));
        }
    }
    Ok(())
}

fn with_codings(samples: Samples, default: Coding, own: Vec<(u8, Coding)>) -> Vec<Component> {
    let coding = |number: usize| {
        let own = own.iter().rfind(|(of, _)| usize::from(*of) == number);
        own.map_or(&default, |(_, coding)| coding).clone()
    };
    let samples = samples.into_iter().enumerate();
    samples
        .map(|(number, (bits, coarseness))| Component { bits: bits + 1, coarseness, coding: coding(number) })
        .collect()
}

impl Coding {
    /// The coding of all components that have none of their own, and the number of layers.
    fn read_default(parts: &Parts, at: u64) -> Result<(u16, Self), Lack> {
        let [style, _, a, b, _] = parts.array(at)?;
        let layers = u16::from_be_bytes([a, b]);
        if !(1..=MOST_LAYERS).contains(&layers) {
            return Err(ImagingError::unsupported(format!("JPEG 2000 of {layers} layers")).into());
        }
        Ok((layers, Self::read(parts, style, at + 5)?))
    }

    /// The coding of one component, whose number has a byte as long as there are few.
    fn read_own(parts: &Parts, at: u64) -> Result<(u8, Self), Lack> {
        let [number, style] = parts.array(at)?;
        Ok((number, Self::read(parts, style, at + 2)?))
    }

    fn read(parts: &Parts, style: u8, at: u64) -> Result<Self, Lack> {
        const PRECINCTS: u8 = 1;
        const HIGH_THROUGHPUT: u8 = 0x40;
        let [levels, width, height, blocks, _] = parts.array(at)?;
        if blocks & HIGH_THROUGHPUT != 0 {
            return Err(unknown(marker::CAPABILITIES).into());
        }
        if levels > 32 || width > 8 || height > 8 || width + height > 8 {
            let what = format!("a JPEG 2000 of {levels} levels, with blocks of 2^({width}+2)x2^({height}+2)");
            return Err(ImagingError::broken(what).into());
        }
        let precincts = match style & PRECINCTS {
            0 => vec![(15, 15); usize::from(levels) + 1],
            _ => {
                let sides = parts.slice(at + 5, u64::from(levels) + 1)?;
                sides.iter().map(|side| (side & 15, side >> 4)).collect()
            }
        };
        Ok(Self { levels, block: (width + 2, height + 2), pieces: pieces(blocks), precincts })
    }
}

/// Each coding pass on its own, or two of three of them from the tenth on; else none but those of layers. A block has
/// up to 94 passes: one, and three for each further bit of 32.
fn pieces(style: u8) -> u64 {
    const BYPASS: u8 = 1;
    const TERMINATE: u8 = 4;
    match style {
        _ if style & TERMINATE != 0 => 94,
        _ if style & BYPASS != 0 => 57,
        _ => 0,
    }
}
