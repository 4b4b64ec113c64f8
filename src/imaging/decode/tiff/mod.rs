//! TIFF: only the strips and tiles that a crop touches, row by row.

use std::io::{Read, SeekFrom};
use std::iter;
use std::ops::Range;

use super::bands::{BAND, Bands};
use super::{Decoded, LONGEST_PROFILE};
use crate::iiif::image::geometry::Rect;
use crate::imaging::pixels::Pixels;
use crate::imaging::plan::Plan;
use crate::imaging::sniff::tiff::{Layout, Level, compression};
use crate::imaging::{ImagingError, Master};

mod chunk;
mod colour;
mod descent;
mod handle;
mod lzw;
mod packbits;
pub(in crate::imaging) mod shared;

use chunk::Rows;
use colour::Colour;
use descent::{Descent, band};
use handle::Handle;

/// Strips and tiles that one job touches: each is looked up and opened, and a million of them take a few seconds.
const MOST_CHUNKS: u64 = 1_000_000;
/// Tiles that are fetched for one job: who needs more of them reads the whole file.
const MOST_NEEDED: u64 = 4096;

/// Refuses a job that touches too many strips or tiles, however small they are.
pub(super) fn admit(layout: &Layout, plan: &Plan) -> Result<(), ImagingError> {
    let count = count(&layout.levels[plan.level], plan.read);
    if count > MOST_CHUNKS {
        return Err(ImagingError::TooLarge {
            what: "the work on this picture",
            found: format!("{count} strips or tiles"),
            limit: MOST_CHUNKS,
            rule: "a few seconds of work",
        });
    }
    Ok(())
}

/// Where the tiles lie that are touched, if it is tiles of JPEG, and not too many.
pub(super) fn needs(
    master: &mut dyn Master,
    layout: &Layout,
    plan: &Plan,
) -> Result<Option<Vec<Range<u64>>>, ImagingError> {
    let level = &layout.levels[plan.level];
    if level.compression != compression::JPEG || count(level, plan.read) > MOST_NEEDED {
        return Ok(None);
    }
    let places = chunks(level, plan.read).map(|(index, _)| chunk::bytes(master, level, index));
    places.filter_map(Result::transpose).collect::<Result<_, _>>().map(Some)
}

/// A chunk of JPEG is decoded as a whole; everything else goes by rows.
pub(super) fn cost(layout: &Layout, plan: &Plan) -> u64 {
    let level = &layout.levels[plan.level];
    let read = u64::from(plan.read.width) * u64::from(plan.read.height);
    read * Colour::cost(level) + chunk::cost(level) + LONGEST_PROFILE
}

pub(super) fn decode(master: Box<dyn Master>, layout: &Layout, plan: &Plan) -> Result<Decoded, ImagingError> {
    let (mut file, level) = (Handle::new(master), &layout.levels[plan.level]);
    // A smaller level may well have lost the little that is there.
    check_written(&mut file, &layout.levels[0])?;
    let pixels = part(&file, level, plan.read)?;
    let profile = profile(&mut file, layout);
    Ok(Decoded { pixels, origin: (plan.read.x, plan.read.y), profile })
}

/// Bytes that [`bands()`] holds at most.
pub(super) fn cost_of_bands(layout: &Layout) -> u64 {
    let level = &layout.levels[0];
    let band = u64::from(level.width) * u64::from(band(level));
    band * Colour::cost(level) + chunk::cost(level) + LONGEST_PROFILE
}

/// The full level from top to bottom.
pub(super) fn bands(master: Box<dyn Master>, layout: &Layout) -> Result<Bands, ImagingError> {
    let (mut file, level) = (Handle::new(master), &layout.levels[0]);
    check_written(&mut file, level)?;
    let profile = profile(&mut file, layout);
    let mut descent = Descent::new(file, level.clone());
    Ok(Bands { profile, rows: Box::new(iter::from_fn(move || descent.next_band().transpose())) })
}

fn part(file: &Handle, level: &Level, read: Rect) -> Result<Pixels, ImagingError> {
    let colour = Colour::of(level, &mut file.clone())?;
    let mut samples = Samples::new(read, colour.kept());
    for chunk in opened(file, level, read, colour.kept()) {
        let (chunk, mut rows) = chunk?;
        samples.add(chunk, &mut rows)?;
    }
    colour.interpret(read.width, read.height, samples.data)
}

/// The strips and tiles that a part of the picture touches, each at the first of its rows that is wanted. What holds no
/// sample that is kept is left out, and so are tiles that were never written.
fn opened(
    file: &Handle,
    level: &Level,
    read: Rect,
    kept: usize,
) -> impl Iterator<Item = Result<(Chunk, Rows), ImagingError>> {
    chunks(level, read).filter(move |(_, chunk)| chunk.plane < kept).filter_map(move |(index, chunk)| {
        let wanted = chunk.within(read);
        let wanted = Rect { x: wanted.x - chunk.area.x, y: wanted.y - chunk.area.y, ..wanted };
        let rows = chunk::rows(file, level, index, chunk.area.height, wanted).transpose()?;
        Some(rows.map(|rows| (chunk, rows)))
    })
}

/// Tiles may be missing, but not all of them.
fn check_written(master: &mut dyn Master, level: &Level) -> Result<(), ImagingError> {
    let all = Rect { x: 0, y: 0, width: level.width, height: level.height };
    if level.tiled { chunk::check_written(master, level, count(level, all)) } else { Ok(()) }
}

fn profile(master: &mut dyn Master, layout: &Layout) -> Option<Vec<u8>> {
    let range = layout.profile.clone().filter(|range| range.end - range.start <= LONGEST_PROFILE)?;
    read_at(master, range.start, range.end - range.start).ok()
}

/// A strip or tile: the area that it covers, cut to the picture, and its plane.
#[derive(Clone, Copy)]
struct Chunk {
    area: Rect,
    plane: usize,
}

impl Chunk {
    /// What of it lies in a part of the picture.
    fn within(&self, read: Rect) -> Rect {
        let Rect { x, y, width, height } = self.area;
        let (left, right) = (x.max(read.x), (x + width).min(read.x + read.width));
        let (top, bottom) = (y.max(read.y), (y + height).min(read.y + read.height));
        Rect { x: left, y: top, width: right - left, height: bottom - top }
    }
}

/// How many strips and tiles a part of the picture touches.
fn count(level: &Level, read: Rect) -> u64 {
    let span = |start: u32, length: u32, side: u32| u64::from((start + length - 1) / side - start / side + 1);
    let planes = if level.planar { level.samples } else { 1 };
    span(read.x, read.width, level.chunk.0) * span(read.y, read.height, level.chunk.1) * planes
}

/// The strips and tiles that a part of the picture touches, with their places in the file's table.
fn chunks(level: &Level, read: Rect) -> impl Iterator<Item = (u64, Chunk)> {
    let (width, height) = level.chunk;
    let (picture_width, picture_height) = (level.width, level.height);
    let across = u64::from(picture_width.div_ceil(width));
    let down = u64::from(picture_height.div_ceil(height));
    let planes = if level.planar { level.samples as usize } else { 1 };
    let rows = read.y / height..=(read.y + read.height - 1) / height;
    let columns = move || read.x / width..=(read.x + read.width - 1) / width;
    let places = rows.flat_map(move |row| columns().map(move |column| (row, column)));
    places.flat_map(move |(row, column)| {
        let (x, y) = (column * width, row * height);
        let area = Rect { x, y, width: width.min(picture_width - x), height: height.min(picture_height - y) };
        let index = u64::from(row) * across + u64::from(column);
        (0..planes).map(move |plane| (plane as u64 * across * down + index, Chunk { area, plane }))
    })
}

/// Samples of the part that is read, as they are collected from the chunks.
struct Samples {
    read: Rect,
    /// Samples of a pixel that are kept; others (masks, heights) are left out.
    kept: usize,
    data: Vec<u8>,
}

impl Samples {
    fn new(read: Rect, kept: usize) -> Self {
        Self { read, kept, data: vec![0; read.width as usize * read.height as usize * kept] }
    }

    /// Adds the next rows of a chunk, as far as they lie within what is read.
    fn add(&mut self, chunk: Chunk, rows: &mut Rows) -> Result<(), ImagingError> {
        let wanted = chunk.within(self.read);
        for row in wanted.y..wanted.y + wanted.height {
            let start = (row - self.read.y) as usize * self.read.width as usize;
            let start = start + (wanted.x - self.read.x) as usize;
            let target = &mut self.data[start * self.kept..][..wanted.width as usize * self.kept];
            let per_pixel = rows.per_pixel();
            let source = rows.next_row()?;
            if per_pixel == self.kept {
                target.copy_from_slice(&source[..target.len()]);
            } else {
                copy(source.chunks_exact(per_pixel), target.chunks_exact_mut(self.kept), chunk.plane);
            }
        }
        Ok(())
    }
}

/// Copies pixels of one row. A chunk with fewer samples than are kept holds a single plane.
fn copy<'a>(
    source: impl Iterator<Item = &'a [u8]>,
    target: impl Iterator<Item = &'a mut [u8]>,
    plane: usize,
) {
    for (source, target) in source.zip(target) {
        let target = &mut target[plane..];
        let count = source.len().min(target.len());
        target[..count].copy_from_slice(&source[..count]);
    }
}

/// Reads a few bytes that a directory points at.
fn read_at(master: &mut dyn Master, at: u64, length: u64) -> Result<Vec<u8>, ImagingError> {
    master.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    master.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(ImagingError::broken("the file ends early"));
    }
    Ok(bytes)
}
