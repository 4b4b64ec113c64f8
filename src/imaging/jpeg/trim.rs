//! Cutting columns off a JPEG without drawing it: blocks behind the right edge are passed over, the others keep their
//! bits, and only the differences between first coefficients are written anew.
//!
//! For tiles of TIFFs, which are padded to their full width: their tables are told once for all of them.

use std::fmt;

use super::bits::Bits;
use super::huffman::Table;
use super::stream::damaged;
use super::tables::Codes;
use crate::imaging::ImagingError;

/// The tables of many tiles.
#[derive(Default)]
pub(in crate::imaging) struct Trimmer {
    first: [Option<(Table, Sizes)>; 4],
    others: [Option<Table>; 4],
}

/// How differences of each size are written: code and its length.
type Sizes = [Option<(u16, u32)>; 16];

/// A component of a tile.
struct Component {
    name: u8,
    /// Blocks side by side and above each other in a unit.
    blocks: u32,
    first: usize,
    others: usize,
    /// The first coefficient that was read last, and the one that was written last.
    read: i32,
    written: i32,
}

impl Trimmer {
    /// From the segments that stand before the tiles; none where they hold something that tiles should not have.
    pub(in crate::imaging) fn of(segments: &[u8]) -> Option<Self> {
        let mut trimmer = Self::default();
        let mut rest = segments;
        while let Some((marker, body, after)) = segment(rest) {
            if marker == 0xc4 {
                trimmer.codes(body)?;
            }
            rest = after;
        }
        rest.is_empty().then_some(trimmer)
    }

    fn codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some(codes) = Codes::next(&mut body).ok()? {
            let table = Table::new(codes.counts, codes.symbols).ok()?;
            match codes.class {
                0 => self.first[codes.number] = Some((table, sizes(&codes))),
                _ => self.others[codes.number] = Some(table),
            }
        }
        Some(())
    }

    /// The segments of a tile, cut to so many columns and rows; `Unsupported` where it would have to be drawn. What
    /// stands before the tile is not repeated.
    pub(in crate::imaging) fn trim(&self, tile: &[u8], size: (u16, u16)) -> Result<Vec<u8>, ImagingError> {
        let (mut components, mut full, mut unit) = (Vec::new(), (0, 0), (1, 1));
        let mut rest = tile;
        loop {
            let (marker, body, after) = segment(rest).ok_or_else(damaged)?;
            match marker {
                0xc0 | 0xc1 => (components, full, unit) = frame(body)?,
                0xda => {
                    scan(body, &mut components)?;
                    rest = after;
                    break;
                }
                // Tables of its own, restarts and other kinds of frames.
                0xc2..=0xcf | 0xdd => return Err(unsupported()),
                _ => {}
            }
            rest = after;
        }
        if size.0 > full.0 || size.1 > full.1 {
            return Err(damaged());
        }
        let head = &tile[..tile.len() - rest.len()];
        let mut out = Vec::with_capacity(tile.len());
        out.extend_from_slice(head);
        resize(&mut out, size)?;
        let units = |side: u16, unit: u32| u32::from(side).div_ceil(8 * unit);
        let across = units(full.0, unit.0);
        let kept = (units(size.0, unit.0), units(size.1, unit.1));
        let mut writer = Writer { out, word: 0, count: 0 };
        let mut reader = Reader::new(rest);
        for _ in 0..kept.1 {
            for column in 0..across {
                self.unit(&mut reader, (column < kept.0).then_some(&mut writer), &mut components)?;
            }
        }
        Ok(writer.finish())
    }

    fn unit(
        &self,
        reader: &mut Reader,
        mut writer: Option<&mut Writer>,
        components: &mut [Component],
    ) -> Result<(), ImagingError> {
        for component in components {
            let (first, sizes) = self.first[component.first].as_ref().ok_or_else(unsupported)?;
            let others = self.others[component.others].as_ref().ok_or_else(unsupported)?;
            for _ in 0..component.blocks {
                let word = reader.word();
                let code = first.code(word).ok_or_else(damaged)?;
                component.read += code.value(word);
                reader.take(code.bits());
                if let Some(writer) = writer.as_deref_mut() {
                    writer.difference(component.read - component.written, sizes)?;
                    component.written = component.read;
                }
                let mut next = 1;
                while next < 64 {
                    let word = reader.word();
                    let code = others.code(word).ok_or_else(damaged)?;
                    if let Some(writer) = writer.as_deref_mut() {
                        writer.put(word >> (64 - code.bits()), code.bits());
                    }
                    reader.take(code.bits());
                    next += code.advance();
                    if code.advance() == 0 {
                        break;
                    }
                }
                if next > 64 {
                    return Err(damaged());
                }
            }
        }
        reader.check()
    }
}

impl fmt::Debug for Trimmer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trimmer").finish_non_exhaustive()
    }
}

/// Marker and body of the segment that comes first, and what follows.
fn segment(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [0xff, marker, high, low, ..] = *bytes else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (segment, rest) = bytes.split_at_checked(2 + length)?;
    Some((marker, segment.get(4..)?, rest))
}

/// Components, the size, and the blocks of the finest component in a unit.
type Frame = (Vec<Component>, (u16, u16), (u32, u32));

fn frame(body: &[u8]) -> Result<Frame, ImagingError> {
    let [8, h1, h0, w1, w0, count, rest @ ..] = body else { return Err(unsupported()) };
    let told = rest.as_chunks::<3>().0;
    if told.len() != usize::from(*count) || !matches!(count, 1 | 3) {
        return Err(unsupported());
    }
    let factors = |one: &[u8; 3]| (u32::from(one[1] >> 4), u32::from(one[1] & 15));
    let component = |one: &[u8; 3]| {
        let (across, down) = factors(one);
        // A single component's scan is not made of units.
        let blocks = if *count == 1 { 1 } else { across * down };
        Component { name: one[0], blocks, first: 0, others: 0, read: 0, written: 0 }
    };
    let fits = |one: &[u8; 3]| matches!(factors(one), (1..=4, 1..=4));
    if !told.iter().all(fits) {
        return Err(damaged());
    }
    let finest = |side: fn((u32, u32)) -> u32| told.iter().map(|one| side(factors(one))).max().unwrap_or(1);
    let unit = if *count == 1 { (1, 1) } else { (finest(|(x, _)| x), finest(|(_, y)| y)) };
    let size = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
    Ok((told.iter().map(component).collect(), size, unit))
}

/// Takes in which tables the scan gives to which component.
fn scan(body: &[u8], components: &mut [Component]) -> Result<(), ImagingError> {
    let [count, rest @ ..] = body else { return Err(damaged()) };
    let pairs = rest.as_chunks::<2>().0;
    if usize::from(*count) != components.len() || pairs.len() < components.len() {
        return Err(unsupported());
    }
    for (component, [name, tables]) in components.iter_mut().zip(pairs) {
        (component.first, component.others) = (usize::from(tables >> 4), usize::from(tables & 15));
        if component.name != *name || component.first > 3 || component.others > 3 {
            return Err(unsupported());
        }
    }
    if components.is_empty() { Err(damaged()) } else { Ok(()) }
}

/// Writes another size into the frame, which stands before any scan: fewer rows need nothing else. `Unsupported` where
/// a frame's rows cannot just be left out, as in a progressive one.
pub(in crate::imaging) fn resize(
    segments: &mut [u8],
    (width, height): (u16, u16),
) -> Result<(), ImagingError> {
    let mut at = 0;
    while let Some((marker, body, _)) = segments.get(at..).and_then(segment) {
        let length = body.len();
        if matches!(marker, 0xc0 | 0xc1) {
            let sides = segments.get_mut(at + 5..at + 9).ok_or_else(damaged)?;
            sides[..2].copy_from_slice(&height.to_be_bytes());
            sides[2..].copy_from_slice(&width.to_be_bytes());
            return Ok(());
        }
        at += 4 + length;
    }
    Err(unsupported())
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

/// The bits of a tile.
struct Reader<'a> {
    bits: Bits,
    /// What is not among them yet.
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(scan: &'a [u8]) -> Self {
        Self { bits: Bits::new(), rest: scan }
    }

    /// The next bits, at least 56 of them.
    fn word(&mut self) -> u64 {
        if !self.rest.is_empty() && !self.bits.is_ample() {
            self.more();
        }
        self.bits.refill();
        self.bits.word()
    }

    /// An error if more was taken than there was.
    fn check(&self) -> Result<(), ImagingError> {
        if self.bits.is_overdrawn() { Err(damaged()) } else { Ok(()) }
    }

    fn take(&mut self, bits: u32) {
        self.bits.take(bits);
    }

    #[cold]
    fn more(&mut self) {
        self.bits.drop_used();
        while self.bits.room() > 1 && !self.rest.is_empty() {
            let clean = memchr::memchr(0xff, self.rest).unwrap_or(self.rest.len()).min(self.bits.room() - 1);
            self.bits.append(&self.rest[..clean]);
            self.rest = match &self.rest[clean..] {
                [0xff, 0, after @ ..] => {
                    self.bits.append(&[0xff]);
                    after
                }
                // A marker ends the scan.
                [0xff, ..] => &[],
                more => more,
            };
        }
    }
}

/// Bits on their way out, stuffed.
struct Writer {
    out: Vec<u8>,
    word: u64,
    count: u32,
}

impl Writer {
    /// Puts out fewer than 32 bits.
    fn put(&mut self, bits: u64, count: u32) {
        self.word = self.word << count | bits;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.word >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
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

    /// Fills the last byte with ones, and sets the end marker.
    fn finish(mut self) -> Vec<u8> {
        let left = (8 - self.count % 8) % 8;
        self.put((1 << left) - 1, left);
        self.out.extend([0xff, 0xd9]);
        self.out
    }
}

fn unsupported() -> ImagingError {
    ImagingError::unsupported("cutting a tile of this kind")
}
