//! Reading a pyramid: a stored picture as it is, or any other drawn from the tiles that it touches.

use std::io;
use std::ops::Range;

use super::Stored;
use super::index::{Entry, Index, Spec};
use super::shape::Place;
use crate::iiif::image::geometry::Rect;
use crate::imaging::decode;
use crate::imaging::jpeg::{Jpeg, Scale};
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Offer;
use crate::imaging::{ImagingError, Job};

/// A pyramid's index, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pyramid {
    index: Index,
}

impl Pyramid {
    pub(super) fn of(index: Index) -> Self {
        Self { index }
    }

    /// Opens the pyramid of `spec`; `None` where the file is damaged, cut or one of something else.
    pub fn open(file: &dyn Stored, spec: &Spec) -> io::Result<Option<Self>> {
        let index = Index::read(spec, file.length()?, |into, at| file.read_exact_at(into, at))?;
        Ok(index.map(Self::of))
    }

    /// Bytes of memory that it takes.
    pub fn weight(&self) -> u64 {
        self.index.weight()
    }

    /// Where the answer lies in the file, if it is there as it was asked for.
    pub fn find(&self, job: &Job) -> Option<Entry> {
        let Spec { shape, quality, .. } = &self.index.spec;
        let plain = job.is_plain() && job.jpeg_quality == *quality;
        let place = shape.find(job.crop, (job.width, job.height)).filter(|_| plain)?;
        Some(self.index.get(shape.number(place)))
    }

    /// Whether a job can be drawn from its tiles: what was transparent is white in them.
    pub fn serves(&self, job: &Job) -> bool {
        !self.index.flattened || !job.format.has_alpha()
    }

    pub(super) fn channels(&self) -> Channels {
        if self.index.grey { Channels::Grey } else { Channels::Rgb }
    }

    pub(super) fn offer(&self) -> Offer {
        self.index.spec.shape.offer()
    }

    /// Bytes that [`Self::draw`] holds at most.
    pub(super) fn cost(&self, level: u32, part: Rect) -> u64 {
        let tile = u64::from(self.index.spec.shape.tile).pow(2) * 2;
        let file = self.whole(level, part).map_or(0, |place| {
            let Range { start, end } = self.index.get(self.index.spec.shape.number(place)).range();
            end - start
        });
        (u64::from(part.width) * u64::from(part.height) + tile) * self.channels().count() as u64 + file
    }

    /// The picture of a whole level, if that is what is wanted: of a part, less is decoded from tiles.
    fn whole(&self, level: u32, part: Rect) -> Option<Place> {
        let shape = &self.index.spec.shape;
        let is_all = (part.width, part.height) == shape.size(level);
        (is_all && shape.has_whole(level)).then_some(Place::Whole { level })
    }

    /// Part of a level: of the one picture of it, or put together from tiles.
    pub(super) fn draw(&self, file: &dyn Stored, level: u32, part: Rect) -> Result<Pixels, ImagingError> {
        let (shape, count) = (&self.index.spec.shape, self.channels().count());
        if let Some(place) = self.whole(level, part) {
            return self.piece(file, (place, part), part).map(|(_, pixels)| pixels);
        }
        let stride = part.width as usize * count;
        let mut data = vec![0; stride * part.height as usize];
        let span = |start: u32, length: u32| start / shape.tile..(start + length).div_ceil(shape.tile);
        for row in span(part.y, part.height) {
            for column in span(part.x, part.width) {
                let place = (Place::Tile { level, column, row }, shape.rect(level, column, row));
                let ((left, top), piece) = self.piece(file, place, part)?;
                let rows = piece.data().chunks_exact(piece.width() as usize * count);
                for (y, row) in (top..).zip(rows) {
                    let into = (y - part.y) as usize * stride + (left - part.x) as usize * count;
                    data[into..into + row.len()].copy_from_slice(row);
                }
            }
        }
        Pixels::new(part.width, part.height, self.channels(), data)
    }

    /// What a stored picture, which lies `at` this place of its level, has of a part of it; and where that begins.
    fn piece(
        &self,
        file: &dyn Stored,
        (place, at): (Place, Rect),
        part: Rect,
    ) -> Result<((u32, u32), Pixels), ImagingError> {
        let (left, right) = (at.x.max(part.x), (at.x + at.width).min(part.x + part.width));
        let (top, bottom) = (at.y.max(part.y), (at.y + at.height).min(part.y + part.height));
        let wanted = Rect { x: left - at.x, y: top - at.y, width: right - left, height: bottom - top };
        let jpeg = self.jpeg(file, place)?;
        if (jpeg.size(Scale::Full), jpeg.channels()) != ((at.width, at.height), self.channels()) {
            return Err(ImagingError::broken("a tile of the wrong size"));
        }
        Ok(((left, top), decode::jpeg_tile(jpeg, wanted)?))
    }

    fn jpeg(&self, file: &dyn Stored, place: Place) -> Result<Jpeg, ImagingError> {
        let entry = self.index.get(self.index.spec.shape.number(place));
        let Range { start, end } = entry.range();
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact_at(&mut bytes, start)?;
        entry.check(&bytes)?;
        Jpeg::of(bytes)
    }
}
