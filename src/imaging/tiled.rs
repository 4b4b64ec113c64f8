//! TIFFs that are pyramids already: their tiles, JPEGs in all but their tables, are handed out as they lie in the file.

use std::io::{Read, SeekFrom};
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, OnceLock};

use super::decode::tiff_shared::{self as shared, LONGEST_TABLES};
use super::jpeg::{self, Joiner};
use super::orient::Orientation;
use super::pyramid::{Grid, Shape};
use super::sniff::Layout;
use super::sniff::ifd::Values;
use super::sniff::tiff::{Level, compression, photometric};
use super::{HEADER_COST, Header, ImagingError, Job, Master};

/// Tiles of a level, at most: so many of 64 pixels have four billion of them.
const MOST_TILES: u64 = 1 << 20;
/// Bytes of a pixel's sample that the best quality takes, and then some.
const LONGEST: u64 = 2;
/// Tiles that are joined at most, and their bytes: more than that is drawn.
const MOST_JOINED: (u32, u64) = (4096, 16 << 20);
/// Bytes of the tables that joining needs.
const JOINER: usize = 64 << 10;

/// Sides of tiles that viewers may be told to ask for.
const SIDES: RangeInclusive<u32> = 64..=4096;

/// Where the tiles of a TIFF lie, in memory.
#[derive(Debug)]
pub struct Tiled {
    shape: Shape,
    /// From the full picture downwards; a level that is not tiled alike is missing.
    levels: Vec<Option<Tiles>>,
    is_pyramid: bool,
}

/// One level.
#[derive(Debug)]
struct Tiles {
    places: Vec<(u64, u32)>,
    before: Arc<Before>,
}

/// What stands before the own bytes of each tile in a complete JPEG. Most levels have the same.
#[derive(Debug)]
struct Before {
    bytes: Vec<u8>,
    /// None where tiles have tables of their own.
    joiner: OnceLock<Option<Joiner>>,
}

/// Tiles in the file, and how they become a complete JPEG.
#[derive(Clone, Debug)]
pub struct Lift {
    before: Arc<Before>,
    places: Vec<(u64, u32)>,
    /// Pixels to a side of a tile.
    side: u32,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A tile as it is.
    Whole,
    /// All but its last rows, in this size.
    Upper(u16, u16),
    /// So many tiles to a row, in this size.
    Joined(usize, (u16, u16)),
}

impl Tiled {
    /// The tiles of a master, if it is such a TIFF: upright, in the colours of screens, in square tiles of which the
    /// picture's levels are made as ours would be.
    pub fn of(master: &mut dyn Master, header: &Header, tile: u32) -> Result<Option<Self>, ImagingError> {
        let Layout::Tiff(layout) = &header.layout else { return Ok(None) };
        if header.tile() != Some(tile) || !has_full(header) {
            return Ok(None);
        }
        let shape = Shape { width: header.width, height: header.height, tile };
        let mut levels: Vec<Option<Tiles>> = Vec::new();
        for level in 0..shape.levels() {
            let size = shape.size(level);
            let found = lent(header).find(|(found, _)| (found.width, found.height) == size);
            let above = levels.iter().flatten().next_back().map(|tiles| &tiles.before);
            let tiles = found.map(|(found, tables)| Tiles::read(master, found, tables, above));
            levels.push(match tiles {
                Some(Err(ImagingError::Broken(_))) => None,
                tiles => tiles.transpose()?,
            });
        }
        let is_pyramid =
            (1..shape.tiled()).all(|level| layout.levels.iter().any(|found| is_near(&shape, level, found)));
        Ok(Some(Self { shape, levels, is_pyramid }))
    }

    /// Whether no tile has to be drawn from a level that is twice as fine as it or more, down to the first level that is
    /// a single tile: the file has all of these, be they tiled alike or not. Smaller ones are drawn in no time.
    pub fn is_pyramid(&self) -> bool {
        self.is_pyramid
    }

    /// Bytes of memory that [`Self::of`] holds at most.
    pub fn cost(header: &Header) -> u64 {
        /// Place and length of a tile: as they lie in the file, as numbers, and together.
        const TILE: u64 = 48;
        let Some((full, _)) = lent(header).next() else { return HEADER_COST };
        // All other levels have less than another half of what the full one has, and a row and a column.
        let tiles = 2 * count(full);
        HEADER_COST + tiles * TILE + u64::from(u32::BITS) * LONGEST_TABLES
    }

    /// Bytes of memory that it takes.
    pub fn weight(&self) -> u64 {
        let of = |tiles: &Tiles| tiles.before.bytes.len() + tiles.places.len() * size_of::<(u64, u32)>();
        (self.levels.iter().flatten().map(of).sum::<usize>() + JOINER) as u64
    }

    /// The tiles that answer for a job, whatever the quality that is set: it is the master's own.
    pub fn find(&self, job: &Job) -> Option<Lift> {
        let size = (job.width, job.height);
        let grid = self.shape.grid_of(job.crop, size).filter(|_| job.is_plain())?;
        let Grid { level, first, count } = grid;
        if count.0.saturating_mul(count.1) > MOST_JOINED.0 {
            return None;
        }
        let tiles = self.levels.get(level as usize)?.as_ref()?;
        let (columns, _) = self.shape.grid(level);
        let rows = first.1..first.1 + count.1;
        let places =
            rows.flat_map(|row| (first.0..first.0 + count.0).map(move |column| row * columns + column));
        let place = |place: u32| tiles.places.get(place as usize).copied().filter(|(_, length)| *length > 0);
        let places: Vec<_> = places.map(place).collect::<Option<_>>()?;
        let (width, height) = (u16::try_from(size.0).ok()?, u16::try_from(size.1).ok()?);
        let way = match (places.len(), size) {
            (1, (width, height)) if (width, height) == (self.shape.tile, self.shape.tile) => Way::Whole,
            (1, (across, _)) if across == self.shape.tile => Way::Upper(width, height),
            _ => Way::Joined(count.0 as usize, (width, height)),
        };
        let lift = Lift { before: Arc::clone(&tiles.before), places, side: self.shape.tile, way };
        let able = !matches!(way, Way::Joined(..))
            || (lift.bytes() <= MOST_JOINED.1 && lift.before.joiner().is_some());
        able.then_some(lift)
    }
}

/// Which bytes of a TIFF tell where the tiles of its levels lie, and have what stands in front of each: none of a file
/// that is read in no tiles.
pub fn tables(header: &Header) -> Result<Vec<Range<u64>>, ImagingError> {
    if header.tile().is_some() && !has_full(header) {
        return Err(far());
    }
    let shared = |level: &Level| level.tables.and_then(Values::bytes).filter(|range| !range.is_empty());
    Ok(lent(header).flat_map(|(level, tables)| tables.into_iter().chain(shared(level))).collect())
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

/// Whether a level of the file is fine enough for one of ours, and not twice as fine. A pixel that was lost in rounding
/// does not count.
fn is_near(shape: &Shape, level: u32, found: &Level) -> bool {
    let full = u64::from(shape.width.max(shape.height));
    let reaches = (u64::from(found.width.max(found.height)) + 1) << level;
    (full + 1..=2 * full).contains(&reaches)
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
        && count(level) <= MOST_TILES
}

fn count(level: &Level) -> u64 {
    let (width, height) = level.chunk;
    u64::from(level.width.div_ceil(width)) * u64::from(level.height.div_ceil(height))
}

/// The levels whose tiles can be handed out, and where the file tells the places of these and their lengths.
fn lent(header: &Header) -> impl Iterator<Item = (&Level, [Range<u64>; 2])> {
    let levels = match &header.layout {
        Layout::Tiff(layout) => &layout.levels[..],
        _ => &[],
    };
    let side = header.tile();
    levels.iter().filter_map(move |level| Some((level, places(level, side?, header.length)?)))
}

/// Whether the tiles of the full level are among them: what has none of these is drawn as far as that goes.
fn has_full(header: &Header) -> bool {
    let Layout::Tiff(layout) = &header.layout else { return false };
    header.tile().is_some_and(|side| places(&layout.levels[0], side, header.length).is_some())
}

/// Where the places and lengths of a level's tiles are told, if they can be handed out. Tables that are too short, or
/// lie behind the end of the file, are none.
fn places(level: &Level, tile: u32, length: Option<u64>) -> Option<[Range<u64>; 2]> {
    let inside = |range: &Range<u64>| length.is_none_or(|length| range.end <= length);
    if !has_tiles(level, tile)
        || level.tables.is_some_and(|shared| !shared.bytes().is_some_and(|range| inside(&range)))
    {
        return None;
    }
    let table = |values: Values| {
        let told = values.count >= count(level);
        Values { count: count(level), ..values }.bytes().filter(|range| told && inside(range))
    };
    Some([table(level.offsets)?, table(level.lengths)?])
}

impl Tiles {
    /// `above` has what stands before the tiles of another level.
    fn read(
        master: &mut dyn Master,
        level: &Level,
        [offsets, lengths]: [Range<u64>; 2],
        above: Option<&Arc<Before>>,
    ) -> Result<Self, ImagingError> {
        let offsets = numbers(master, offsets, level.offsets)?;
        let lengths = numbers(master, lengths, level.lengths)?;
        let most =
            u64::from(level.chunk.0) * u64::from(level.chunk.1) * level.samples * LONGEST + LONGEST_TABLES;
        let place = |(at, length): (u64, u64)| {
            let length = u32::try_from(length).ok().filter(|length| u64::from(*length) <= most);
            (at, length.unwrap_or(0))
        };
        let places = offsets.into_iter().zip(lengths).map(place).collect();
        let bytes = before(master, level)?;
        let before = match above.filter(|above| above.bytes == bytes) {
            Some(above) => Arc::clone(above),
            None => Arc::new(Before { bytes, joiner: OnceLock::new() }),
        };
        Ok(Self { places, before })
    }
}

impl Before {
    fn joiner(&self) -> Option<&Joiner> {
        self.joiner.get_or_init(|| Joiner::of(shared::own(&self.bytes))).as_ref()
    }
}

fn before(master: &mut dyn Master, level: &Level) -> Result<Vec<u8>, ImagingError> {
    let mut before = shared::before(master, level)?;
    if level.samples == 3 {
        // Whether three samples are light and colours or red, green and blue: no other word in such a file says it.
        let transform = u8::from(level.photometric == photometric::YCBCR);
        before.extend(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00");
        before.push(transform);
    }
    Ok(before)
}

fn numbers(
    master: &mut dyn Master,
    Range { start, end }: Range<u64>,
    values: Values,
) -> Result<Vec<u64>, ImagingError> {
    master.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    master.take(end - start).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < end - start {
        return Err(far());
    }
    Ok(bytes.chunks_exact(values.width.into()).map(|value| values.endian.number(value)).collect())
}

fn far() -> ImagingError {
    ImagingError::broken("a TIFF without its table of tiles")
}

impl Lift {
    /// Which bytes of the file it needs: one range for each tile.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> + Send {
        self.places.iter().map(|(at, length)| *at..at.saturating_add(u64::from(*length)))
    }

    /// How many bytes these are.
    pub fn bytes(&self) -> u64 {
        self.places.iter().map(|(_, length)| u64::from(*length)).sum()
    }

    /// Bytes of memory that [`Self::finish`] holds at most, beside those it is given.
    pub fn cost(&self) -> u64 {
        self.bytes() * 4 + LONGEST_TABLES
    }

    /// The complete JPEG, out of those bytes; `Unsupported` where it would have to be drawn after all.
    pub fn finish(&self, tiles: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, ImagingError> {
        if tiles.len() != self.places.len() {
            return Err(ImagingError::broken("more or fewer tiles than were asked for"));
        }
        let own = tiles.iter().map(|tile| self.own(tile.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let before = &self.before.bytes;
        if let Way::Joined(columns, size) = self.way {
            let joiner =
                self.before.joiner().ok_or_else(|| ImagingError::unsupported("tables in each tile"))?;
            return Ok([before, &*joiner.join(&own, columns, size)?].concat());
        }
        let mut file = Vec::with_capacity(before.len() + own[0].len());
        file.extend_from_slice(before);
        file.extend_from_slice(own[0]);
        self.check(shared::own(&file))?;
        if let Way::Upper(width, height) = self.way {
            jpeg::resize(&mut file[before.len()..], (width, height))?;
        }
        Ok(file)
    }

    /// What comes behind the mark of a tile's beginning. A tile of another size, or with something behind its end, is
    /// left to the decoder, which knows what is wrong with it.
    fn own<'a>(&self, tile: &'a [u8]) -> Result<&'a [u8], ImagingError> {
        let own = shared::own(tile);
        self.check(own)?;
        if shared::is_whole(tile) { Ok(own) } else { Err(otherwise()) }
    }

    /// An error unless segments lead to a frame that is as large as a tile.
    fn check(&self, segments: &[u8]) -> Result<(), ImagingError> {
        let size = jpeg::size(segments).map(|(width, height)| (width.into(), height.into()));
        if size == Some((self.side, self.side)) { Ok(()) } else { Err(otherwise()) }
    }
}

fn otherwise() -> ImagingError {
    ImagingError::unsupported("a tile that is no JPEG of its size")
}
