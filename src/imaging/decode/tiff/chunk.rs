//! One strip or tile of a TIFF, unpacked row by row.

use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom, copy, sink};
use std::ops::Range;

use fax::decoder::{DecodeStatus, Group4Decoder};
use fax::{BitWriter, Bits, Color, VecWriter};
use flate2::bufread::ZlibDecoder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::handle::Handle;
use super::lzw::Lzw;
use super::packbits::PackBits;
use super::read_at;
use super::shared::{LONGEST_TABLES, before, own};
use crate::iiif::image::geometry::Rect;
use crate::imaging::decode::jpeg::{is_usual, seal, tile as jpeg_tile, words};
use crate::imaging::jpeg::{Jpeg, Scale};
use crate::imaging::sniff::ifd::Values;
use crate::imaging::sniff::tiff::Level;
use crate::imaging::sniff::tiff::compression::{DEFLATE, GROUP_4, JPEG, LZW, NONE, OLD_DEFLATE, PACK_BITS};
use crate::imaging::sniff::tiff::photometric::YCBCR;
use crate::imaging::{ImagingError, Master};

/// Bytes held at most for a chunk, or for one of each plane: a row, or all of it and its file bytes if it is JPEG.
pub(super) fn cost(level: &Level) -> u64 {
    let (width, height) = level.chunk;
    let row = u64::from(width).saturating_mul(level.samples * 6);
    let rows = if level.compression == JPEG { u64::from(height) } else { 1 };
    let beside = if level.compression == JPEG { 1 << 19 } else { 1 << 17 };
    let planes = if level.planar { level.samples } else { 1 };
    row.saturating_mul(rows).saturating_add(beside * planes)
}

/// The rows of a chunk, eight bits a sample.
pub(super) struct Rows {
    source: Box<dyn Read>,
    packed: Vec<u8>,
    row: Vec<u8>,
    level: Level,
    per_pixel: usize,
    /// Samples of a row in front of those that are wanted.
    left: usize,
}

/// Opens a part of the chunk with this index in the file's table, of which `height` rows lie in the picture. `None` is a
/// tile that was never written: all zeros, as GDAL leaves out what is empty. A strip is missing where its writer died.
pub(super) fn rows(
    file: &Handle,
    level: &Level,
    index: u64,
    height: u32,
    wanted: Rect,
) -> Result<Option<Rows>, ImagingError> {
    let mut file = file.clone();
    let Some((at, length)) = place(&mut file, level, index)? else { return Ok(None) };
    let per_pixel = if level.planar { 1 } else { level.samples as usize };
    let rows = |source, width: u32, left: u32| {
        let samples = width as usize * per_pixel;
        let packed = vec![0; (samples * level.bits as usize).div_ceil(8)];
        let (row, left) = (vec![0; samples], left as usize * per_pixel);
        Rows { source, packed, row, level: level.clone(), per_pixel, left }
    };
    if level.compression == JPEG
        && let Some(part) = part_of_jpeg(&mut file, level, (at, length), height, wanted)?
    {
        return Ok(Some(rows(Box::new(Cursor::new(part)), wanted.width, 0)));
    }
    let packed = (level.chunk.0 as usize * per_pixel * level.bits as usize).div_ceil(8);
    // What is not compressed is passed over without being read.
    let passed = if level.compression == NONE { packed as u64 * u64::from(wanted.y) } else { 0 };
    let rest = length.checked_sub(passed).ok_or_else(|| ImagingError::broken("the file ends early"))?;
    let source = open(file, level, (at.saturating_add(passed), rest), height)?;
    let mut rows = rows(source, level.chunk.0, wanted.x);
    if passed == 0 {
        rows.skip(wanted.y)?;
    }
    Ok(Some(rows))
}

impl Rows {
    pub(super) fn per_pixel(&self) -> usize {
        self.per_pixel
    }

    fn skip(&mut self, rows: u32) -> Result<(), ImagingError> {
        let bytes = u64::from(rows) * self.packed.len() as u64;
        let skipped = copy(&mut (&mut self.source).take(bytes), &mut sink())?;
        if skipped < bytes { Err(ImagingError::broken("the file ends early")) } else { Ok(()) }
    }

    /// From the first wanted pixel on, and perhaps beyond the last.
    pub(super) fn next_row(&mut self) -> Result<&[u8], ImagingError> {
        self.source.read_exact(&mut self.packed)?;
        let bits = self.level.bits;
        match bits {
            8 => self.row.copy_from_slice(&self.packed),
            16 => self.high_bytes(),
            _ => self.unpack(),
        }
        if bits == 8 && self.predicted() {
            accumulate(&mut self.row, self.per_pixel, u8::wrapping_add);
        }
        Ok(&self.row[self.left..])
    }

    fn predicted(&self) -> bool {
        self.level.predictor == 2
    }

    fn high_bytes(&mut self) {
        let number = |bytes: &[u8]| self.level.endian.number(bytes) as u16;
        let mut samples: Vec<u16> = self.packed.chunks_exact(2).map(number).collect();
        if self.predicted() {
            accumulate(&mut samples, self.per_pixel, u16::wrapping_add);
        }
        for (target, sample) in self.row.iter_mut().zip(samples) {
            *target = (sample >> 8) as u8;
        }
    }

    /// Samples of one, two or four bits, stretched to eight unless they are entries of a palette.
    fn unpack(&mut self) {
        let bits = self.level.bits as usize;
        let mask = (1_u8 << bits) - 1;
        let stretch = if self.level.photometric == 3 { 1 } else { 255 / mask };
        let per_byte = 8 / bits;
        for (index, target) in self.row.iter_mut().enumerate() {
            let shift = 8 - bits * (index % per_byte + 1);
            *target = (self.packed[index / per_byte] >> shift & mask) * stretch;
        }
    }
}

/// Undoes horizontal differencing (*TIFF 6.0, section 14*).
fn accumulate<T: Copy>(row: &mut [T], per_pixel: usize, add: impl Fn(T, T) -> T) {
    for index in per_pixel..row.len() {
        row[index] = add(row[index], row[index - per_pixel]);
    }
}

/// Where a chunk lies. The tables are not loaded: they may claim any length.
fn place(master: &mut dyn Master, level: &Level, index: u64) -> Result<Option<(u64, u64)>, ImagingError> {
    let mut look_up = |table: Values| {
        let at =
            table.place(index).ok_or_else(|| ImagingError::broken(format!("no strip or tile {index}")))?;
        Ok::<u64, ImagingError>(level.endian.number(&read_at(master, at, table.width.into())?))
    };
    match (look_up(level.offsets)?, look_up(level.lengths)?) {
        (0, 0) if level.tiled => Ok(None),
        (_, 0) => Err(ImagingError::broken(format!("strip or tile {index} is empty"))),
        place => Ok(Some(place)),
    }
}

/// An error if not one of so many tiles was written: their writer has died, or there never was a picture.
pub(super) fn check_written(master: &mut dyn Master, level: &Level, tiles: u64) -> Result<(), ImagingError> {
    let table = Values { count: tiles.min(level.lengths.count), ..level.lengths }.bytes();
    let table = table.ok_or_else(|| ImagingError::broken("a TIFF without a table of tiles"))?;
    master.seek(SeekFrom::Start(table.start))?;
    let mut bytes = BufReader::new(master.take(table.end - table.start));
    loop {
        let known = bytes.fill_buf()?;
        if known.iter().any(|byte| *byte != 0) {
            return Ok(());
        }
        let passed = known.len();
        if passed == 0 {
            return Err(ImagingError::broken("a TIFF of which no tile was written"));
        }
        bytes.consume(passed);
    }
}

/// Which bytes of the file a chunk of JPEG is. `None` is one that was never written.
pub(super) fn bytes(
    master: &mut dyn Master,
    level: &Level,
    index: u64,
) -> Result<Option<Range<u64>>, ImagingError> {
    let Some((at, length)) = place(master, level, index)? else { return Ok(None) };
    check_length(level, length)?;
    Ok(Some(at..at.saturating_add(length)))
}

fn open(
    mut file: Handle,
    level: &Level,
    (at, length): (u64, u64),
    height: u32,
) -> Result<Box<dyn Read>, ImagingError> {
    if level.compression == JPEG {
        let mut jpeg = jpeg_file(&mut file, level, at, length)?;
        if !is_usual(seal(&mut jpeg)?) {
            return Err(ImagingError::unsupported("TIFF with JPEG of such sampling factors or scans"));
        }
        return Ok(Box::new(Cursor::new(samples(&jpeg, level, height)?)));
    }
    file.seek(SeekFrom::Start(at))?;
    let bytes = BufReader::new(Ordered { bytes: file.take(length), reversed: level.reversed_bits });
    Ok(match level.compression {
        GROUP_4 => Box::new(Group4::new(bytes, level)?),
        LZW => Box::new(Lzw::new(bytes)),
        DEFLATE | OLD_DEFLATE => Box::new(ZlibDecoder::new(bytes)),
        PACK_BITS => Box::new(PackBits::new(bytes)),
        _ => Box::new(bytes),
    })
}

/// Bytes of a file whose bits may be in the other order (*TIFF 6.0, FillOrder*).
struct Ordered<R> {
    bytes: R,
    reversed: bool,
}

impl<R: Read> Read for Ordered<R> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(target)?;
        if self.reversed {
            target[..count].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Ok(count)
    }
}

/// A complete JPEG: what all have, then the chunk.
fn jpeg_file(master: &mut dyn Master, level: &Level, at: u64, length: u64) -> Result<Vec<u8>, ImagingError> {
    check_length(level, length)?;
    let mut file = before(master, level)?;
    file.extend_from_slice(own(&read_at(master, at, length)?));
    Ok(file)
}

/// An error unless a JPEG has no more bytes than its chunk can give a reason for.
fn check_length(level: &Level, length: u64) -> Result<(), ImagingError> {
    let raw = u64::from(level.chunk.0) * u64::from(level.chunk.1) * level.samples;
    if length > raw.saturating_mul(2).saturating_add(LONGEST_TABLES) {
        return Err(ImagingError::broken(format!("a JPEG of {length} bytes in a strip or tile of {raw}")));
    }
    Ok(())
}

/// The samples of a part of a JPEG chunk, if it is one that is read row by row.
fn part_of_jpeg(
    master: &mut dyn Master,
    level: &Level,
    (at, length): (u64, u64),
    height: u32,
    wanted: Rect,
) -> Result<Option<Vec<u8>>, ImagingError> {
    if level.planar || !matches!(level.samples, 1 | 3) {
        return Ok(None);
    }
    let mut jpeg = match Jpeg::of(jpeg_file(master, level, at, length)?) {
        Err(ImagingError::Unsupported { .. }) => return Ok(None),
        jpeg => jpeg?,
    };
    check_size(level, jpeg.size(Scale::Full), height)?;
    if jpeg.channels().count() as u64 != level.samples {
        return Err(ImagingError::broken("a JPEG with another number of samples in a strip or tile"));
    }
    if level.photometric != YCBCR {
        jpeg = jpeg.in_rgb();
    }
    Ok(Some(jpeg_tile(jpeg, wanted)?.into_data()))
}

/// An error unless a JPEG is as large as its chunk, or as what of it lies in the picture.
fn check_size(level: &Level, (width, rows): (u32, u32), height: u32) -> Result<(), ImagingError> {
    if width == level.chunk.0 && (height..=level.chunk.1).contains(&rows) {
        return Ok(());
    }
    Err(ImagingError::broken(format!("a JPEG of {width}x{rows} pixels in a strip or tile")))
}

/// The samples of a JPEG chunk. YCbCr becomes RGB; anything else is taken as it is, whatever a
/// decoder would guess without the markers that a file of its own would have.
fn samples(file: &[u8], level: &Level, height: u32) -> Result<Vec<u8>, ImagingError> {
    let fault = |error| ImagingError::broken(format!("JPEG in a strip or tile: {}", words(error)));
    let mut decoder = JpegDecoder::new(ZCursor::new(file));
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_max_width(side).set_max_height(side).set_strict_mode(true);
    decoder.set_options(options);
    decoder.decode_headers().map_err(fault)?;
    let (width, rows) = decoder.dimensions().unwrap_or_default();
    check_size(level, (width as u32, rows as u32), height)?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let wanted = if level.photometric == YCBCR { ColorSpace::RGB } else { stored };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let expected = if level.planar { 1 } else { level.samples as usize };
    if wanted.num_components() != expected {
        return Err(ImagingError::broken("a JPEG with another number of samples in a strip or tile"));
    }
    decoder.decode().map_err(fault)
}

/// Undoes CCITT group 4 while reading, one row at a time.
struct Group4<R: BufRead> {
    decoder: Group4Decoder<std::io::Bytes<R>>,
    width: u16,
    row: Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: BufRead> Group4<R> {
    fn new(source: R, level: &Level) -> Result<Self, ImagingError> {
        let width = u16::try_from(level.chunk.0);
        let width = width.map_err(|_| ImagingError::unsupported("CCITT group 4 wider than 65535 pixels"))?;
        let decoder = Group4Decoder::new(source.bytes(), width)?;
        Ok(Self { decoder, width, row: Cursor::new(Vec::new()), ended: false })
    }

    /// Rows behind the end marker are white: some writers leave them out.
    fn advance(&mut self) -> std::io::Result<()> {
        if !self.ended {
            let status = self.decoder.advance();
            let broken = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "CCITT group 4 data");
            self.ended = status.map_err(broken)? == DecodeStatus::End;
        }
        let transitions = if self.ended { &[] } else { self.decoder.transition() };
        let mut bits = VecWriter::with_capacity(usize::from(self.width));
        for colour in fax::decoder::pels(transitions, self.width) {
            let data = u16::from(colour == Color::Black);
            let Ok(()) = bits.write(Bits { data, len: 1 });
        }
        bits.pad();
        self.row = Cursor::new(bits.finish());
        Ok(())
    }
}

impl<R: BufRead> Read for Group4<R> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        if self.row.position() == self.row.get_ref().len() as u64 {
            self.advance()?;
        }
        self.row.read(target)
    }
}
