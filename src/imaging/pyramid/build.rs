//! One pass over the rows of a picture makes all tiles of all levels.
//!
//! Each level holds the rows of the tiles that it is in the middle of, and hands averages of two of its rows on to the
//! next one: all levels together hold less than twice the first one's band. Rows may come in any of the eight
//! orientations; tiles come out upright.

use std::io::Write;
use std::mem;

use super::average::average;
use super::band::Band;
use super::index::{Index, Spec};
use super::shape::{Place, Shape};
use crate::imaging::ImagingError;
use crate::imaging::encode::jpeg;
use crate::imaging::orient::Orientation;
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Exact;
use crate::imaging::scale;

/// Takes rows, writes tiles.
pub(super) struct Builder<'a> {
    index: Index,
    orientation: Orientation,
    channels: Channels,
    levels: Vec<Level>,
    sink: &'a mut dyn Write,
    written: u64,
    /// Rows that were taken.
    taken: u32,
}

/// One level on its way. Its rows are those of the master, in the master's order of columns, except that a reversed
/// axis is counted from its upright end: tiles and pairs of pixels begin there.
struct Level {
    width: usize,
    height: u32,
    band: Band,
    /// All its rows, where they are written in one piece or the thumbnail is made of them.
    whole: Option<Vec<u8>>,
    /// A row that waits for its partner, or nothing.
    waiting: Vec<u8>,
    /// Nothing, with room for what two rows become.
    reduced: Vec<u8>,
}

/// Bytes that a builder holds at most.
pub(super) fn cost(shape: &Shape, orientation: Orientation, channels: Channels) -> u64 {
    let laid = laid(shape, orientation);
    let held = |level| {
        let (width, height) = laid.size(level);
        let rows = laid.tile.min(height) + 2;
        let whole = if is_held(&laid, level) { u64::from(height) } else { 0 };
        u64::from(width) * (u64::from(rows) + whole)
    };
    let tile = u64::from(shape.tile).pow(2) * 4;
    let held: u64 = (0..laid.levels()).map(held).sum();
    (held + tile) * channels.count() as u64 + cost_of_thumbnail(&laid, channels)
}

fn cost_of_thumbnail(laid: &Shape, channels: Channels) -> u64 {
    let made = laid.thumbnail_level().zip(laid.thumbnail());
    made.map_or(0, |(level, output)| {
        let size = laid.size(level);
        scale::cost(channels.opaque(), size, Exact::whole(size), output)
    })
}

/// Whether all rows of a level are held.
fn is_held(laid: &Shape, level: u32) -> bool {
    laid.has_whole(level) || laid.thumbnail_level() == Some(level)
}

/// The shape as its rows come: rows and columns not yet changed.
fn laid(shape: &Shape, orientation: Orientation) -> Shape {
    let (width, height) = orientation.size(shape.width, shape.height);
    Shape { width, height, tile: shape.tile }
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        spec: Spec,
        orientation: Orientation,
        channels: Channels,
        sink: &'a mut dyn Write,
    ) -> Self {
        let laid = laid(&spec.shape, orientation);
        let index = Index::new(spec, channels);
        let channels = channels.opaque();
        let level = |level| Level::new(&laid, level, channels);
        let levels = (0..laid.levels()).map(level).collect();
        Self { index, orientation, channels, levels, sink, written: 0, taken: 0 }
    }

    /// Takes the next rows, as stored and in their final colours.
    pub(super) fn take(&mut self, band: Pixels) -> Result<(), ImagingError> {
        let band = band.on_white();
        let (width, height) = (self.levels[0].width, self.levels[0].height);
        let expected = (self.channels, width, true);
        let rows = band.height();
        if (band.channels(), band.width() as usize, rows <= height - self.taken) != expected {
            return Err(ImagingError::broken("its rows are not those of one picture"));
        }
        let stride = width * self.channels.count();
        let mut mirrored = Vec::new();
        for row in band.data().chunks_exact(stride) {
            let y = match self.orientation.reverses_rows() {
                true => height - 1 - self.taken,
                false => self.taken,
            };
            if self.orientation.reverses_columns() {
                let pixels = row.chunks_exact(self.channels.count());
                mirrored.clear();
                pixels.rev().for_each(|pixel| mirrored.extend_from_slice(pixel));
                self.row(0, y, &mirrored)?;
            } else {
                self.row(0, y, row)?;
            }
            self.taken += 1;
        }
        Ok(())
    }

    /// Writes what is left, and the index.
    pub(super) fn finish(mut self) -> Result<Index, ImagingError> {
        if self.taken != self.levels[0].height {
            return Err(ImagingError::broken("rows are missing"));
        }
        let laid = laid(&self.index.spec.shape, self.orientation);
        for level in 0..laid.levels() {
            let Some(data) = self.levels[level as usize].whole.take() else { continue };
            if laid.has_whole(level) {
                self.write(Place::Whole { level }, laid.size(level), &data)?;
            }
            if let Some(size) = laid.thumbnail().filter(|_| laid.thumbnail_level() == Some(level)) {
                let (width, height) = laid.size(level);
                let picture = Pixels::new(width, height, self.channels, data)?;
                let thumbnail = scale::scale(picture, Exact::whole((width, height)), size)?;
                self.write(Place::Thumbnail, size, thumbnail.data())?;
            }
        }
        self.sink.write_all(&self.index.write())?;
        Ok(self.index)
    }

    /// Row `y` of a level.
    fn row(&mut self, at: usize, y: u32, row: &[u8]) -> Result<(), ImagingError> {
        let tile = self.index.spec.shape.tile;
        let level = &mut self.levels[at];
        level.band.lay((y % tile) as usize, row);
        if let Some(whole) = &mut level.whole {
            let place = y as usize * row.len();
            whole[place..place + row.len()].copy_from_slice(row);
        }
        let last = level.height - 1;
        let down = !self.orientation.reverses_rows();
        let band_ends = if down { y % tile == tile - 1 || y == last } else { y.is_multiple_of(tile) };
        if band_ends {
            self.cut(at, y / tile)?;
        }
        if at + 1 == self.levels.len() {
            return Ok(());
        }
        let level = &mut self.levels[at];
        // The last row of an odd number has no partner, from whichever side it comes.
        let is_alone = y == last && y.is_multiple_of(2);
        if level.waiting.is_empty() && !is_alone {
            level.waiting.extend_from_slice(row);
            return Ok(());
        }
        let partner = if is_alone { row } else { &level.waiting };
        let mut reduced = mem::take(&mut level.reduced);
        average(partner, row, self.channels, &mut reduced);
        level.waiting.clear();
        self.row(at + 1, y / 2, &reduced)?;
        reduced.clear();
        self.levels[at].reduced = reduced;
        Ok(())
    }

    /// Writes a row of tiles.
    fn cut(&mut self, at: usize, row: u32) -> Result<(), ImagingError> {
        let tile = self.index.spec.shape.tile;
        let Level { width, height, .. } = self.levels[at];
        let rows = tile.min(height - row * tile);
        let band = mem::take(&mut self.levels[at].band);
        for (column, data) in (0..).zip(band.tiles()) {
            let across = tile.min(width as u32 - column * tile);
            let data = &data[..(across * rows) as usize * self.channels.count()];
            let (column, row) = self.orientation.size(column, row);
            self.write(Place::Tile { level: at as u32, column, row }, (across, rows), data)?;
        }
        self.levels[at].band = band;
        Ok(())
    }

    /// Encodes one picture, upright, and notes where it lies.
    fn write(&mut self, place: Place, size: (u32, u32), data: &[u8]) -> Result<(), ImagingError> {
        let (channels, quality) = (self.channels, self.index.spec.quality);
        let turned = self.orientation.without_reversing();
        let bytes = if turned == Orientation::default() {
            jpeg::encode(data, size, channels, quality)?
        } else {
            let picture = turned.apply(Pixels::new(size.0, size.1, channels, data.to_vec())?);
            jpeg::encode(picture.data(), (picture.width(), picture.height()), channels, quality)?
        };
        self.sink.write_all(&bytes)?;
        self.index.set(self.index.spec.shape.number(place), self.written, &bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl Level {
    fn new(shape: &Shape, level: u32, channels: Channels) -> Self {
        let (width, height) = shape.size(level);
        let (width, count) = (width as usize, channels.count());
        let rows = shape.tile.min(height) as usize;
        let whole = is_held(shape, level).then(|| vec![0; width * count * height as usize]);
        let band = Band::new(width * count, rows, shape.tile as usize * count);
        Self { width, height, band, whole, waiting: Vec::new(), reduced: Vec::new() }
    }
}
