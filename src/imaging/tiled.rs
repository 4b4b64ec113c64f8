//! TIFFs that are pyramids already: their tiles, JPEGs in all but their tables, are handed out as they lie in the file.

use std::io::{Read, SeekFrom};
use std::ops::{Range, RangeInclusive};

use super::jpeg::{self, Trimmer};
use super::orient::Orientation;
use super::pyramid::{Place, Shape};
use super::sniff::Layout;
use super::sniff::ifd::Values;
use super::sniff::tiff::{Level, compression, photometric};
use super::{Header, ImagingError, Job, Master};

/// A table longer than this belongs to no picture: so many tiles of 64 pixels have four billion of them.
const MOST_TILES: u64 = 1 << 20;
/// Quantisation and entropy tables, with what else a writer may have put there.
const LONGEST_TABLES: u64 = 1 << 16;
/// Bytes of a pixel's sample that the best quality takes, and then some.
const LONGEST: u64 = 2;

/// Sides of tiles that viewers may be told to ask for.
const SIDES: RangeInclusive<u32> = 64..=4096;

const START: [u8; 2] = [0xff, 0xd8];
const END: [u8; 2] = [0xff, 0xd9];

/// Where the tiles of a TIFF lie, in memory.
#[derive(Debug)]
pub struct Tiled {
    shape: Shape,
    /// From the full picture downwards; a level that is not tiled alike is missing.
    levels: Vec<Option<Tiles>>,
}

/// One level.
#[derive(Debug)]
struct Tiles {
    places: Vec<(u64, u32)>,
    /// What stands before a tile's own bytes in a complete JPEG.
    before: Vec<u8>,
    /// Cuts padding off at the right edge; none where tiles have tables of their own.
    trimmer: Option<Trimmer>,
}

/// A tile in the file, and how it becomes a complete JPEG.
#[derive(Clone, Copy, Debug)]
pub struct Lift<'a> {
    tiles: &'a Tiles,
    at: u64,
    length: u32,
    edge: Edge,
}

/// What of a tile is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    None,
    /// All but so many rows, in tiles of this width.
    Lower(u16, u16),
    /// All but so many columns and rows.
    Right(u16, u16),
}

impl Tiled {
    /// The tiles of a master, if it is such a TIFF: upright, in the colours of screens, in square tiles of which the
    /// picture's levels are made as ours would be.
    pub fn of(master: &mut dyn Master, header: &Header, tile: u32) -> Result<Option<Self>, ImagingError> {
        let Layout::Tiff(layout) = &header.layout else { return Ok(None) };
        if header.tile() != Some(tile) {
            return Ok(None);
        }
        let shape = Shape { width: header.width, height: header.height, tile };
        let mut levels = Vec::new();
        for level in 0..shape.levels() {
            let size = shape.size(level);
            let found = layout.levels.iter().find(|found| (found.width, found.height) == size);
            let found = found.filter(|found| has_tiles(found, tile));
            levels.push(match found {
                Some(found) => Some(Tiles::read(master, found)?),
                None => None,
            });
        }
        Ok(Some(Self { shape, levels }))
    }

    /// Bytes of memory that it takes.
    pub fn weight(&self) -> u64 {
        let of = |tiles: &Tiles| tiles.before.len() + tiles.places.len() * size_of::<(u64, u32)>();
        self.levels.iter().flatten().map(of).sum::<usize>() as u64
    }

    /// The tile that answers for a job, whatever the quality that is set: it is the master's own.
    pub fn find(&self, job: &Job) -> Option<Lift<'_>> {
        let place = self.shape.find(job.crop, (job.width, job.height)).filter(|_| job.is_plain())?;
        let Place::Tile { level, column, row } = place else { return None };
        let (columns, _) = self.shape.grid(level);
        let tiles = self.levels.get(level as usize)?.as_ref()?;
        let (at, length) = *tiles.places.get((row * columns + column) as usize)?;
        let rect = self.shape.rect(level, column, row);
        let tile = self.shape.tile;
        let edge = match (rect.width as u16, rect.height as u16) {
            (width, height) if rect.width < tile => Edge::Right(width, height),
            (width, height) if rect.height < tile => Edge::Lower(width, height),
            _ => Edge::None,
        };
        let able = length > 0 && (!matches!(edge, Edge::Right(..)) || tiles.trimmer.is_some());
        able.then_some(Lift { tiles, at, length, edge })
    }
}

impl Header {
    /// The side of the master's own tiles, if they can be handed out as they are.
    pub fn tile(&self) -> Option<u32> {
        let Layout::Tiff(layout) = &self.layout else { return None };
        let plain = layout.profile.is_none() && self.orientation == Orientation::default();
        let full = &layout.levels[0];
        let side = full.chunk.0;
        (plain && SIDES.contains(&side) && has_tiles(full, side)).then_some(side)
    }
}

fn has_tiles(level: &Level, tile: u32) -> bool {
    let colours = match level.photometric {
        photometric::BLACK_IS_ZERO => 1,
        photometric::RGB | photometric::YCBCR => 3,
        _ => return false,
    };
    level.tiled
        && level.chunk == (tile, tile)
        && level.compression == compression::JPEG
        && level.samples == colours
        && !level.planar
}

impl Tiles {
    fn read(master: &mut dyn Master, level: &Level) -> Result<Self, ImagingError> {
        let (offsets, lengths) = (numbers(master, level.offsets)?, numbers(master, level.lengths)?);
        let most =
            u64::from(level.chunk.0) * u64::from(level.chunk.1) * level.samples * LONGEST + LONGEST_TABLES;
        let place = |(at, length): (u64, u64)| {
            let length = u32::try_from(length).ok().filter(|length| u64::from(*length) <= most);
            (at, length.unwrap_or(0))
        };
        let places = offsets.into_iter().zip(lengths).map(place).collect();
        let mut before = START.to_vec();
        if let Some(tables) = level.tables {
            let bytes = bytes(master, tables, LONGEST_TABLES)?;
            let bytes = bytes.strip_prefix(&START).unwrap_or(&bytes);
            before.extend_from_slice(bytes.strip_suffix(&END).unwrap_or(bytes));
        }
        if level.samples == 3 {
            before.extend(adobe(level.photometric == photometric::YCBCR));
        }
        let trimmer = Trimmer::of(&before[START.len()..]);
        Ok(Self { places, before, trimmer })
    }
}

/// The segment that says whether three samples are light and colours or red, green and blue: there is no other word
/// for it in such a file.
fn adobe(light_and_colours: bool) -> [u8; 16] {
    let mut segment = *b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    segment[15] = u8::from(light_and_colours);
    segment
}

fn bytes(master: &mut dyn Master, values: Values, most: u64) -> Result<Vec<u8>, ImagingError> {
    let Range { start, end } =
        values.bytes().filter(|range| range.end - range.start <= most).ok_or_else(far)?;
    master.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    master.take(end - start).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == end - start { Ok(bytes) } else { Err(far()) }
}

fn numbers(master: &mut dyn Master, values: Values) -> Result<Vec<u64>, ImagingError> {
    let bytes = bytes(master, values, MOST_TILES * u64::from(values.width))?;
    Ok(bytes.chunks_exact(values.width.into()).map(|value| values.endian.number(value)).collect())
}

fn far() -> ImagingError {
    ImagingError::broken("a TIFF without its table of tiles")
}

impl Lift<'_> {
    /// Which bytes of the file it needs.
    pub fn range(&self) -> Range<u64> {
        self.at..self.at.saturating_add(self.length.into())
    }

    /// The complete JPEG, out of those bytes; `Unsupported` where it would have to be drawn after all.
    pub fn finish(&self, tile: &[u8]) -> Result<Vec<u8>, ImagingError> {
        let own = tile.strip_prefix(&START).filter(|own| own.ends_with(&END));
        let own = own.ok_or_else(|| ImagingError::broken("a tile that is no whole JPEG"))?;
        let before = &self.tiles.before;
        let mut file = Vec::with_capacity(before.len() + own.len());
        file.extend_from_slice(before);
        match (self.edge, &self.tiles.trimmer) {
            (Edge::Right(width, height), Some(trimmer)) => file.extend(trimmer.trim(own, (width, height))?),
            _ => file.extend_from_slice(own),
        }
        if let Edge::Lower(width, height) = self.edge {
            jpeg::resize(&mut file[before.len()..], (width, height))?;
        }
        Ok(file)
    }
}
