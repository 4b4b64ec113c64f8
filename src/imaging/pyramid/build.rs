//! One pass over the rows of a picture makes all tiles of all levels.
//!
//! Each level holds the rows of the tiles that it is in the middle of, and hands averages of two of its rows on to the
//! next one: all levels together hold less than twice the first one's band. Rows may come in any of the eight
//! orientations; tiles come out upright.

use std::io::Write;

use super::index::{Index, Spec};
use super::shape::{Place, Shape};
use crate::imaging::ImagingError;
use crate::imaging::encode::jpeg;
use crate::imaging::orient::Orientation;
use crate::imaging::pixels::{Channels, Pixels};

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
    band: Vec<u8>,
    whole: Option<Vec<u8>>,
    /// A row that waits for its partner.
    waiting: Option<Vec<u8>>,
}

/// Bytes that a builder holds at most.
pub(super) fn cost(shape: &Shape, orientation: Orientation, channels: Channels) -> u64 {
    let laid = laid(shape, orientation);
    let held = |level| {
        let (width, height) = laid.size(level);
        let rows = laid.tile.min(height) + 2;
        let whole = if laid.has_whole(level) { u64::from(height) } else { 0 };
        u64::from(width) * (u64::from(rows) + whole)
    };
    let tile = u64::from(shape.tile).pow(2) * 4;
    let held: u64 = (0..laid.levels()).map(held).sum();
    (held + tile) * channels.count() as u64
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
        for level in 0..self.levels.len() {
            if let Some(data) = self.levels[level].whole.take() {
                let (width, height) = (self.levels[level].width as u32, self.levels[level].height);
                let picture = Pixels::new(width, height, self.channels, data)?;
                self.write(Place::Whole { level: level as u32 }, picture)?;
            }
        }
        self.sink.write_all(&self.index.write())?;
        Ok(self.index)
    }

    /// Row `y` of a level.
    fn row(&mut self, at: usize, y: u32, row: &[u8]) -> Result<(), ImagingError> {
        let tile = self.index.spec.shape.tile;
        let level = &mut self.levels[at];
        let place = (y % tile) as usize * row.len();
        level.band[place..place + row.len()].copy_from_slice(row);
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
        let reduced = match level.waiting.take() {
            Some(partner) => average(&partner, row, self.channels),
            // The last row of an odd number has no partner, from whichever side it comes.
            None if y == last && y.is_multiple_of(2) => average(row, row, self.channels),
            None => {
                level.waiting = Some(row.to_vec());
                return Ok(());
            }
        };
        self.row(at + 1, y / 2, &reduced)
    }

    /// Writes a row of tiles.
    fn cut(&mut self, at: usize, row: u32) -> Result<(), ImagingError> {
        let (count, tile) = (self.channels.count(), self.index.spec.shape.tile);
        let Level { width, height, .. } = self.levels[at];
        let stride = width * count;
        let rows = tile.min(height - row * tile);
        for column in 0..(width as u32).div_ceil(tile) {
            let (x, across) = (column * tile, tile.min(width as u32 - column * tile));
            let (from, length) = (x as usize * count, across as usize * count);
            let mut data = Vec::with_capacity(length * rows as usize);
            for line in self.levels[at].band.chunks_exact(stride).take(rows as usize) {
                data.extend_from_slice(&line[from..from + length]);
            }
            let picture = Pixels::new(across, rows, self.channels, data)?;
            let (column, row) = self.orientation.size(column, row);
            self.write(Place::Tile { level: at as u32, column, row }, picture)?;
        }
        Ok(())
    }

    /// Encodes one picture, upright, and notes where it lies.
    fn write(&mut self, place: Place, picture: Pixels) -> Result<(), ImagingError> {
        let picture = self.orientation.without_reversing().apply(picture);
        let bytes = jpeg::encode(picture, self.index.spec.quality)?;
        self.sink.write_all(&bytes)?;
        self.index.set(self.index.spec.shape.number(place), self.written, bytes.len())?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl Level {
    fn new(shape: &Shape, level: u32, channels: Channels) -> Self {
        let (width, height) = shape.size(level);
        let stride = width as usize * channels.count();
        let rows = shape.tile.min(height) as usize;
        let whole = shape.has_whole(level).then(|| vec![0; stride * height as usize]);
        Self { width: width as usize, height, band: vec![0; stride * rows], whole, waiting: None }
    }
}

/// Two rows become one of half the length: each pixel the mean of four, at an odd end of two.
fn average(upper: &[u8], lower: &[u8], channels: Channels) -> Vec<u8> {
    match channels {
        Channels::Grey => average_of::<1, 2>(upper, lower),
        _ => average_of::<3, 6>(upper, lower),
    }
}

fn average_of<const COUNT: usize, const PAIR: usize>(upper: &[u8], lower: &[u8]) -> Vec<u8> {
    let mean = |[a, b, c, d]: [u8; 4]| {
        let sum = u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d);
        ((sum + 2) / 4) as u8
    };
    let mut row = Vec::with_capacity(upper.len().div_ceil(PAIR) * COUNT);
    let ((pairs, end), (below, end_below)) = (upper.as_chunks::<PAIR>(), lower.as_chunks::<PAIR>());
    for (upper, lower) in pairs.iter().zip(below) {
        let pixel: [u8; COUNT] =
            std::array::from_fn(|at| mean([upper[at], upper[at + COUNT], lower[at], lower[at + COUNT]]));
        row.extend_from_slice(&pixel);
    }
    row.extend(end.iter().zip(end_below).map(|(a, b)| mean([*a, *a, *b, *b])));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_averaged_in_fours() {
        assert_eq!(average(&[0, 4, 10, 20, 7], &[0, 4, 10, 21, 8], Channels::Grey), [2, 15, 8]);
        let colours =
            average(&[0, 10, 20, 4, 30, 40, 9, 9, 9], &[0, 10, 20, 4, 30, 41, 9, 9, 9], Channels::Rgb);
        assert_eq!(colours, [2, 20, 30, 9, 9, 9]);
    }
}
