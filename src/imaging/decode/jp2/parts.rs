//! Where the tiles of a codestream lie, and each of them as a codestream of its own.

use std::io::{Read, SeekFrom};
use std::ops::Range;

use super::read;
use crate::imaging::sniff::jp2::segment::{self, marker};
use crate::imaging::sniff::jp2::{Axis, Codestream, MOST_CHANGES};
use crate::imaging::{ImagingError, Master};

/// Tiles come in parts; encoders make one for each resolution or layer, if that.
const MOST_PARTS: usize = 100_000;

/// Bytes that [`TileParts`] holds at most, for a file of this length.
pub(super) fn cost(length: Option<u64>) -> u64 {
    let parts = length.map_or(MOST_PARTS as u64, |length| (length / HEAD).min(MOST_PARTS as u64));
    // A vector that grows is held twice for a moment, and once more for what is still free in it.
    3 * parts * size_of::<Part>() as u64
}

/// Bytes in front of what is in a part: a marker, its length, the tile's number, the part's length and number, and how
/// many there are.
const HEAD: u64 = 12;

/// A part of a tile.
#[derive(Clone, Copy)]
struct Part {
    tile: u16,
    at: u64,
    length: u32,
}

/// Where the parts of all tiles lie. All are there.
pub(super) struct TileParts(Vec<Part>);

impl TileParts {
    /// Goes from part to part until the end. A picture that lacks a tile, or its end, is refused whatever is wanted of it.
    pub(super) fn find(master: &mut dyn Master, codestream: &Codestream) -> Result<Self, ImagingError> {
        let end = master.seek(SeekFrom::End(0))?.min(codestream.tiles.end);
        let count = codestream.across.tiles() * codestream.down.tiles();
        let mut parts = Vec::new();
        let mut at = codestream.tiles.start;
        while let Some(part) = part(master, at, end)? {
            if u32::from(part.tile) >= count || parts.len() == MOST_PARTS {
                let found = part.tile;
                return Err(ImagingError::broken(format!(
                    "part {} is of tile {found}, of {count}",
                    parts.len()
                )));
            }
            at += u64::from(part.length);
            parts.push(part);
        }
        // They stay in order within a tile.
        parts.sort_by_key(|part| part.tile);
        let tiles = parts.chunk_by(|a, b| a.tile == b.tile).count();
        match tiles == count as usize {
            true => Ok(Self(parts)),
            false => Err(ImagingError::broken(format!("{tiles} tiles, {count} expected"))),
        }
    }

    /// The tile as a codestream of its own, at its place on the grid: what lies where decides how it is coded.
    pub(super) fn stream(
        &self,
        master: &mut dyn Master,
        codestream: &Codestream,
        (column, row): (u32, u32),
    ) -> Result<Vec<u8>, ImagingError> {
        let number = row * codestream.across.tiles() + column;
        let first = self.0.partition_point(|part| u32::from(part.tile) < number);
        let parts = self.0[first..].iter().take_while(|part| u32::from(part.tile) == number);
        let length: u64 = parts.clone().map(|part| u64::from(part.length)).sum();
        let most = longest(codestream, (column, row));
        if length > most {
            return Err(ImagingError::broken(format!("a tile of {length} bytes, at most {most} expected")));
        }
        let needed: u64 = codestream.segments.iter().map(|place| place.end - place.start).sum();
        let mut stream = Vec::with_capacity((2 + needed + length + 2) as usize);
        stream.extend(marker::START.to_be_bytes());
        for place in &codestream.segments {
            stream.extend(read(master, place.clone())?);
        }
        let (across, down) = (&codestream.across, &codestream.down);
        write_size(&mut stream[SIZE..][..32], (across, across.tile(column)), (down, down.tile(row)));
        let mut changes = 0;
        for part in parts {
            let start = stream.len();
            master.seek(SeekFrom::Start(part.at))?;
            if master.take(part.length.into()).read_to_end(&mut stream)? < part.length as usize {
                return Err(ImagingError::broken("the file ends early"));
            }
            changes += check(&stream[start..])?;
            // The only tile is the first one, and says how long it is.
            stream[start + 4..][..2].fill(0);
            stream[start + 6..][..4].copy_from_slice(&part.length.to_be_bytes());
        }
        if changes > MOST_CHANGES {
            return Err(ImagingError::broken(format!("a tile with {changes} changes of order")));
        }
        stream.extend(marker::END.to_be_bytes());
        Ok(stream)
    }
}

/// The longest tile that is decoded: noise without loss takes little more than its samples do.
pub(super) fn longest(codestream: &Codestream, (column, row): (u32, u32)) -> u64 {
    const BESIDE: u64 = 1 << 20;
    let side = |axis: &Axis, number| axis.tile(number).len() as u64;
    let area = side(&codestream.across, column) * side(&codestream.down, row);
    let samples = codestream.components.iter();
    let bytes: u64 = samples.map(|component| u64::from(component.bits.div_ceil(8)) + 1).sum();
    area * bytes + BESIDE
}

/// The part at a place; `None` at the end of the codestream. The last part need not say how long it is.
fn part(master: &mut dyn Master, at: u64, end: u64) -> Result<Option<Part>, ImagingError> {
    let early = || ImagingError::broken("the file ends early");
    let left = end.checked_sub(at).ok_or_else(early)?;
    let head = read(master, at..at + left.min(HEAD))?;
    match head.as_slice() {
        [0xff, 0xd9, ..] => Ok(None),
        [0xff, 0x90, _, _, a, b, c, d, e, f, _, _] => {
            let length = match u32::from_be_bytes([*c, *d, *e, *f]) {
                0 => until_end(master, at, end)?,
                length => length,
            };
            if u64::from(length) < HEAD || u64::from(length) > left {
                return Err(early());
            }
            Ok(Some(Part { tile: u16::from_be_bytes([*a, *b]), at, length }))
        }
        head if head.len() < HEAD as usize => Err(early()),
        _ => Err(ImagingError::broken(format!("no tile at byte {at}"))),
    }
}

fn until_end(master: &mut dyn Master, at: u64, end: u64) -> Result<u32, ImagingError> {
    let last = end.saturating_sub(2);
    if last < at || read(master, last..end)? != marker::END.to_be_bytes() {
        return Err(ImagingError::broken("the file ends early"));
    }
    u32::try_from(last - at).map_err(|_| ImagingError::broken("a tile of more than 4 GB"))
}

/// Where the size begins that the first segment tells, behind marker, length and capabilities.
const SIZE: usize = 2 + 6;

/// A picture of a single tile.
fn write_size(size: &mut [u8], across: (&Axis, Range<u32>), down: (&Axis, Range<u32>)) {
    let origin = |(axis, tile): &(&Axis, Range<u32>)| {
        let number = (tile.start - axis.origin) / axis.tile;
        axis.origin + number * axis.tile
    };
    let numbers = [
        across.1.end,
        down.1.end,
        across.1.start,
        down.1.start,
        across.0.tile,
        down.0.tile,
        origin(&across),
        origin(&down),
    ];
    for (place, number) in size.as_chunks_mut().0.iter_mut().zip(numbers) {
        *place = number.to_be_bytes();
    }
}

/// The changes of order that the header of a part tells. What would make it cost more than the main header says is
/// refused.
fn check(part: &[u8]) -> Result<u64, ImagingError> {
    let early = || ImagingError::broken("a part of a tile without data");
    let (mut at, mut changes) = (HEAD as usize, 0);
    loop {
        let number = |at: usize| part.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        let marker = number(at).ok_or_else(early)?;
        let length = number(at + 2).unwrap_or_default();
        match marker {
            marker::DATA => return Ok(changes),
            marker::CHANGES => changes += u64::from(length) / 7,
            marker::QUANTISATION
            | marker::QUANTISATION_OF_COMPONENT
            | marker::REGION
            | marker::PACKED_HEADERS_OF_TILE
            | marker::PACKET_LENGTHS_OF_TILE
            | marker::COMMENT => {}
            other => return Err(segment::unknown(other)),
        }
        let end = at + 2 + usize::from(length);
        segment::check(part.get(at..end).ok_or_else(early)?)?;
        at = end;
    }
}
