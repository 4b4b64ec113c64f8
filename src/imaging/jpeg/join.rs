//! Tiles become one picture without being drawn: blocks keep their bits, and only the differences between first
//! coefficients are written anew, where other blocks come together than before. What lies behind the right and the
//! lower edge is left out.
//!
//! For tiles of TIFFs, which are padded to their full size: their tables are told once for all of them.

use std::fmt;

use memchr::memchr_iter;

use super::bits::{AT_HAND, Bits};
use super::frame::Frame;
use super::segment::{Segment, marker, segment};
use super::stream::damaged;
use super::tables::{Codes, Tables};
use crate::imaging::ImagingError;

/// The tables of many tiles.
#[derive(Default)]
pub(in crate::imaging) struct Joiner {
    tables: Tables,
    sizes: [Option<Sizes>; 4],
    /// The code that ends a block, of each table of other coefficients.
    ends: [Option<Word>; 4],
}

/// A code, and its length.
type Word = (u16, u32);

/// How differences of each size are written.
type Sizes = [Option<Word>; 16];

/// What stands in front of a tile's scan.
struct Head {
    components: Vec<Component>,
    /// Of the tile, in pixels.
    size: (u16, u16),
    /// Blocks of the finest component in a unit, across and down.
    unit: (u32, u32),
    /// In bytes.
    length: usize,
}

/// A component of a tile.
struct Component {
    /// Blocks side by side and above each other in a unit.
    blocks: u32,
    first: usize,
    others: usize,
}

/// A tile on its way, row of units by row of units.
struct Tile {
    bits: Bits,
    /// The first coefficient of the latest block of each component.
    latest: [i32; 4],
}

/// Units of a row: those that are kept, and all.
#[derive(Clone, Copy)]
struct Span {
    kept: u32,
    all: u32,
}

impl Joiner {
    /// From the segments that stand before the tiles; none where they hold something that tiles should not have.
    pub(in crate::imaging) fn of(segments: &[u8]) -> Option<Self> {
        let mut joiner = Self::default();
        let mut at = 0;
        while at < segments.len() {
            let segment = adjoining(segments, at)?;
            match segment.marker {
                marker::CODES => joiner.codes(segment.body)?,
                marker::RESTART_INTERVAL | marker::END_OF_IMAGE => return None,
                _ => {}
            }
            at = segment.end;
        }
        Some(joiner)
    }

    fn codes(&mut self, body: &[u8]) -> Option<()> {
        self.tables.codes(body).ok()?;
        let mut rest = body;
        while let Some(codes) = Codes::next(&mut rest).ok()? {
            let sizes = sizes(&codes);
            match codes.class {
                0 => self.sizes[codes.number] = Some(sizes),
                _ => self.ends[codes.number] = sizes[0],
            }
        }
        Some(())
    }

    /// The segments of one picture of so many columns and rows, from its upper left corner on; `Unsupported` where it
    /// would have to be drawn. Tiles come row by row, so many to a row, each from its first segment to its end marker.
    /// What stands before the tiles is not repeated.
    pub(in crate::imaging) fn join(
        &self,
        tiles: &[&[u8]],
        columns: usize,
        size: (u16, u16),
    ) -> Result<Vec<u8>, ImagingError> {
        let first = *tiles.first().ok_or_else(damaged)?;
        let head = Head::read(first)?;
        let (start, rows) = (&first[..head.length], tiles.len() / columns.max(1));
        let units = |side: u16, unit: u32| u32::from(side).div_ceil(8 * unit);
        let all = (units(head.size.0, head.unit.0), units(head.size.1, head.unit.1));
        let kept = (units(size.0, head.unit.0), units(size.1, head.unit.1));
        let seams = |side: u16, unit: u32, tiles: usize| tiles == 1 || u32::from(side) % (8 * unit) == 0;
        if !seams(head.size.0, head.unit.0, columns) || !seams(head.size.1, head.unit.1, rows) {
            return Err(unsupported());
        }
        let covers = |side: u16, tile: u16, tiles: usize| usize::from(side) <= usize::from(tile) * tiles;
        if !covers(size.0, head.size.0, columns) || !covers(size.1, head.size.1, rows) {
            return Err(damaged());
        }
        let blank = self.blank(&head);
        let mut writer = Writer::new(tiles.iter().map(|tile| tile.len()).sum());
        let mut written = [0; 4];
        for (row, tiles) in (0..).zip(tiles.chunks(columns)) {
            let open = |tile: &&[u8]| tile.strip_prefix(start).map(Tile::new).ok_or_else(unsupported);
            let mut tiles = tiles.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            for _ in 0..all.1.min(kept.1.saturating_sub(row * all.1)) {
                for (column, tile) in (0..).zip(&mut tiles) {
                    let span = Span { kept: all.0.min(kept.0.saturating_sub(column * all.0)), all: all.0 };
                    self.row((&head, blank), tile, span, &mut writer, &mut written)?;
                }
            }
        }
        let mut file = start.to_vec();
        resize(&mut file, size)?;
        writer.finish(&mut file);
        Ok(file)
    }

    /// The bits of a unit that is as light and as coloured as the one before, all over, and how many they are: padding is
    /// made of these. None are more than are at hand at once.
    fn blank(&self, head: &Head) -> Option<(u64, u32)> {
        let (mut bits, mut count) = (0, 0);
        for component in &head.components {
            for _ in 0..component.blocks {
                for (code, length) in
                    [self.sizes[component.first].as_ref()?[0]?, self.ends[component.others]?]
                {
                    (bits, count) = (bits << length | u64::from(code), count + length);
                    if count > AT_HAND {
                        return None;
                    }
                }
            }
        }
        Some((bits, count))
    }

    /// A tile's next row of units.
    fn row(
        &self,
        (head, blank): (&Head, Option<(u64, u32)>),
        tile: &mut Tile,
        Span { kept, all }: Span,
        writer: &mut Writer,
        written: &mut [i32; 4],
    ) -> Result<(), ImagingError> {
        // What comes from here on is copied as it is.
        let mut from = tile.bits.taken();
        for unit in 0..all {
            if unit >= kept
                && let Some((bits, count)) = blank
            {
                tile.bits.refill();
                if tile.bits.word() >> (64 - count) == bits {
                    tile.bits.take(count);
                    continue;
                }
            }
            for (number, component) in head.components.iter().enumerate() {
                let (first, others) =
                    self.tables.get(component.first, component.others).ok_or_else(unsupported)?;
                for block in 0..component.blocks {
                    let start = tile.bits.taken();
                    tile.bits.refill();
                    let code = first.code(tile.bits.word()).ok_or_else(damaged)?;
                    tile.latest[number] = tile.latest[number].wrapping_add(code.value(tile.bits.word()));
                    tile.bits.take(code.bits());
                    if unit == 0 && block == 0 && kept > 0 {
                        tile.check()?;
                        writer.copy(tile.bits.whole(), from, start);
                        let sizes = self.sizes[component.first].as_ref().ok_or_else(unsupported)?;
                        writer.difference(tile.latest[number].wrapping_sub(written[number]), sizes)?;
                        from = tile.bits.taken();
                    }
                    if !others.pass(&mut tile.bits, 1) {
                        return Err(damaged());
                    }
                }
            }
            if unit + 1 == kept {
                tile.check()?;
                writer.copy(tile.bits.whole(), from, tile.bits.taken());
                *written = tile.latest;
            }
        }
        tile.check()
    }
}

impl fmt::Debug for Joiner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joiner").finish_non_exhaustive()
    }
}

impl Head {
    fn read(tile: &[u8]) -> Result<Self, ImagingError> {
        let (mut frame, mut at) = (None, 0);
        loop {
            let segment = adjoining(tile, at).ok_or_else(damaged)?;
            at = segment.end;
            match (segment.marker, &frame) {
                (marker::BASELINE | marker::EXTENDED, _) => {
                    frame = Some(Frame::parse(segment.marker, segment.body)?);
                }
                (marker::START_OF_SCAN, Some(frame)) => {
                    let choices = frame.choices(segment.body)?;
                    let known = choices.iter().all(|(first, others)| *first < 4 && *others < 4);
                    let usual = matches!(frame.names.len(), 1 | 3) && known;
                    return usual.then(|| Self::new(frame, choices, at)).ok_or_else(unsupported);
                }
                (marker::START_OF_SCAN | marker::END_OF_IMAGE, _) => return Err(damaged()),
                // Tables of its own, restarts and other kinds of frames.
                (marker::PROGRESSIVE..=0xcf | marker::RESTART_INTERVAL, _) => return Err(unsupported()),
                _ => {}
            }
        }
    }

    fn new(Frame { size, frame, .. }: &Frame, choices: Vec<(usize, usize)>, length: usize) -> Self {
        let component = |(number, (first, others))| {
            let (across, down) = frame.sampling(number);
            Component { blocks: across * down, first, others }
        };
        let components = choices.into_iter().enumerate().map(component).collect();
        Self { components, size: (size.0 as u16, size.1 as u16), unit: frame.finest(), length }
    }
}

impl Tile {
    fn new(scan: &[u8]) -> Self {
        Self { bits: Bits::of(scan), latest: [0; 4] }
    }

    /// An error if more was taken than there was.
    fn check(&self) -> Result<(), ImagingError> {
        if self.bits.is_overdrawn() { Err(damaged()) } else { Ok(()) }
    }
}

/// The segment that begins right here: what is handed out has no strays in it.
fn adjoining(bytes: &[u8], at: usize) -> Option<Segment<'_>> {
    segment(bytes, at).ok().filter(|found| found.start == at)
}

/// Writes another size into the frame, which stands before any scan: fewer rows need nothing else. `Unsupported` where
/// a frame's rows cannot just be left out, as in a progressive one.
pub(in crate::imaging) fn resize(
    segments: &mut [u8],
    (width, height): (u16, u16),
) -> Result<(), ImagingError> {
    let at = sides(segments).ok_or_else(unsupported)?;
    segments[at..at + 2].copy_from_slice(&height.to_be_bytes());
    segments[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    Ok(())
}

/// The size that the frame tells, if it is a sequential one.
pub(in crate::imaging) fn size(segments: &[u8]) -> Option<(u16, u16)> {
    let [h1, h0, w1, w0] = *segments[sides(segments)?..].first_chunk()?;
    Some((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])))
}

/// Where a sequential frame tells its size, in four bytes, if whole segments lead from there to a scan.
fn sides(segments: &[u8]) -> Option<usize> {
    let (mut at, mut sides) = (0, None);
    loop {
        let segment = adjoining(segments, at)?;
        match segment.marker {
            marker::BASELINE | marker::EXTENDED if sides.is_some() || segment.body.len() < 5 => return None,
            marker::BASELINE | marker::EXTENDED => sides = Some(segment.end - segment.body.len() + 1),
            marker::START_OF_SCAN => return sides,
            marker::END_OF_IMAGE => return None,
            _ => {}
        }
        at = segment.end;
    }
}

/// Codes by what they stand for (*ITU T.81, C.2*).
fn sizes(codes: &Codes<'_>) -> Sizes {
    let mut sizes = [None; 16];
    let (mut code, mut symbols) = (0_u32, codes.symbols.iter());
    for (length, count) in (1..).zip(codes.counts) {
        for symbol in symbols.by_ref().take(usize::from(*count)) {
            if let Some(size) = sizes.get_mut(usize::from(*symbol)) {
                *size = Some((code as u16, length));
            }
            code += 1;
        }
        code <<= 1;
    }
    sizes
}

/// Bits on their way out.
struct Writer {
    out: Vec<u8>,
    word: u64,
    count: u32,
}

impl Writer {
    fn new(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), word: 0, count: 0 }
    }

    /// Puts out 32 bits or fewer.
    #[inline(always)]
    fn put(&mut self, bits: u64, count: u32) {
        self.word = self.word << count | bits;
        self.count += count;
        if self.count >= 32 {
            self.count -= 32;
            self.out.extend_from_slice(&((self.word >> self.count) as u32).to_be_bytes());
        }
    }

    /// Puts out the bits between two places. Eight more bytes can be read behind the last one.
    fn copy(&mut self, bytes: &[u8], from: usize, to: usize) {
        let mut at = from;
        while at < to {
            let count = (to - at).min(32);
            let next = bytes.get(at / 8..).and_then(|next| next.first_chunk());
            let word = next.map_or(0, |next| u64::from_be_bytes(*next)) << (at % 8);
            self.put(word >> (64 - count), count as u32);
            at += count;
        }
    }

    fn difference(&mut self, value: i32, sizes: &Sizes) -> Result<(), ImagingError> {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let (code, length) = sizes.get(size as usize).copied().flatten().ok_or_else(unsupported)?;
        self.put(code.into(), length);
        let low = if value < 0 { value - 1 } else { value };
        self.put(low as u64 & ((1 << size) - 1), size);
        Ok(())
    }

    /// Puts everything behind `file`, stuffed, the last byte filled with ones, and sets the end marker.
    fn finish(mut self, file: &mut Vec<u8>) {
        let left = (8 - self.count % 8) % 8;
        self.put((1 << left) - 1, left);
        let rest = (self.word as u32).to_be_bytes();
        self.out.extend_from_slice(&rest[4 - self.count as usize / 8..]);
        file.reserve(self.out.len() + self.out.len() / 64);
        let mut from = 0;
        for at in memchr_iter(0xff, &self.out) {
            file.extend_from_slice(&self.out[from..=at]);
            file.push(0);
            from = at + 1;
        }
        file.extend_from_slice(&self.out[from..]);
        file.extend([0xff, marker::END_OF_IMAGE]);
    }
}

fn unsupported() -> ImagingError {
    ImagingError::unsupported("joining tiles of this kind")
}
