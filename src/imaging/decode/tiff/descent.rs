//! The full level from top to bottom, some rows at a time.

use super::chunk::Rows;
use super::colour::Colour;
use super::handle::Handle;
use super::{BAND, Chunk, Samples, opened, part};
use crate::iiif::image::geometry::Rect;
use crate::imaging::ImagingError;
use crate::imaging::pixels::Pixels;
use crate::imaging::sniff::tiff::{Level, compression};

/// A level that is read from top to bottom.
pub(super) struct Descent {
    file: Handle,
    level: Level,
    /// The next row.
    y: u32,
    /// Tall strips stay open while their rows are read: to go on in one that is compressed is to begin anew.
    strips: Vec<(Chunk, Rows)>,
}

impl Descent {
    pub(super) fn new(file: Handle, level: Level) -> Self {
        Self { file, level, y: 0, strips: Vec::new() }
    }

    /// The next rows; none behind the last.
    pub(super) fn next_band(&mut self) -> Result<Option<Pixels>, ImagingError> {
        let (y, level) = (self.y, &self.level);
        let strip = level.chunk.1;
        let is_tall = is_tall(level);
        let left = if is_tall { (strip - y % strip).min(level.height - y) } else { level.height - y };
        let read = Rect { x: 0, y, width: level.width, height: band(level).min(left) };
        if read.height == 0 {
            return Ok(None);
        }
        self.y += read.height;
        if !is_tall {
            return part(&self.file, level, read).map(Some);
        }
        let colour = Colour::of(level, &mut self.file)?;
        if y.is_multiple_of(strip) {
            let whole = Rect { height: left, ..read };
            self.strips = opened(&self.file, level, whole, colour.kept()).collect::<Result<_, _>>()?;
        }
        let mut samples = Samples::new(read, colour.kept());
        for (chunk, rows) in &mut self.strips {
            samples.add(*chunk, rows)?;
        }
        colour.interpret(read.width, read.height, samples.data).map(Some)
    }
}

/// Rows that are read at a time: some of tall strips, and of what needs no unpacking; otherwise whole strips or tiles.
pub(super) fn band(level: &Level) -> u32 {
    let rows = level.chunk.1.max(1);
    let some = is_tall(level) || level.compression == compression::NONE;
    let band = if some { BAND } else { rows.saturating_mul(BAND.div_ceil(rows)) };
    band.min(level.height)
}

fn is_tall(level: &Level) -> bool {
    !level.tiled && level.chunk.1 > BAND
}
