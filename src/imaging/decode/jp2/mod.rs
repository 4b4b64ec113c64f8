//! JPEG 2000, tile by tile: those that are wanted, no larger than they are wanted.

use std::io::SeekFrom;
use std::ops::Range;

use super::bands::{BAND, Bands};
use super::{Decoded, LONGEST_PROFILE};
use crate::iiif::image::geometry::Rect;
use crate::imaging::pixels::Pixels;
use crate::imaging::plan::Plan;
use crate::imaging::sniff::jp2::Layout;
use crate::imaging::{ImagingError, Master};

mod colour;
mod cost;
mod parts;
mod tile;

use colour::Painter;
pub(super) use cost::{cost, cost_of_bands};
use parts::TileParts;

/// Reads the part of the plan.
pub(super) fn decode(
    mut master: Box<dyn Master>,
    layout: &Layout,
    plan: &Plan,
) -> Result<Decoded, ImagingError> {
    let profile = profile(&mut *master, layout)?;
    let mut picture = Picture::open(master, layout.clone())?;
    let pixels = picture.part(plan.read, plan.shrink.trailing_zeros())?;
    Ok(Decoded { pixels, origin: (plan.read.x, plan.read.y), profile })
}

/// The whole picture from top to bottom, a row of tiles at a time.
pub(super) fn bands(mut master: Box<dyn Master>, layout: &Layout) -> Result<Bands, ImagingError> {
    let profile = profile(&mut *master, layout)?;
    let mut picture = Picture::open(master, layout.clone())?;
    let (across, down) = (layout.codestream.across, layout.codestream.down);
    let rows = (0..down.tiles()).map(move |number| {
        let Range { start: y, end } = down.samples(&down.tile(number), 0);
        picture.part(Rect { x: 0, y, width: across.length(), height: end - y }, 0)
    });
    Ok(Bands { profile, rows: Box::new(rows.flat_map(in_bands)) })
}

/// A row of tiles, some rows of pixels at a time. It is gone before the next one comes.
fn in_bands(row: Result<Pixels, ImagingError>) -> impl Iterator<Item = Result<Pixels, ImagingError>> {
    let (pixels, error) = match row {
        Ok(pixels) => (Some(pixels), None),
        Err(error) => (None, Some(Err(error))),
    };
    let bands = pixels.into_iter().flat_map(|pixels| {
        let starts = (0..pixels.height()).step_by(BAND as usize);
        starts.map(move |y| Ok(pixels.rows(y, BAND)))
    });
    bands.chain(error)
}

fn profile(master: &mut dyn Master, layout: &Layout) -> Result<Option<Vec<u8>>, ImagingError> {
    let place = layout.profile.clone().filter(|place| place.end - place.start <= LONGEST_PROFILE);
    place.map(|place| read(master, place)).transpose()
}

fn read(master: &mut dyn Master, place: Range<u64>) -> Result<Vec<u8>, ImagingError> {
    let mut bytes = vec![0; (place.end - place.start) as usize];
    master.seek(SeekFrom::Start(place.start))?;
    master.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A picture whose tiles are known.
struct Picture {
    master: Box<dyn Master>,
    layout: Layout,
    parts: TileParts,
    painter: Painter,
}

impl Picture {
    fn open(mut master: Box<dyn Master>, layout: Layout) -> Result<Self, ImagingError> {
        let parts = TileParts::find(&mut *master, &layout.codestream)?;
        let painter = Painter::new(&mut *master, &layout)?;
        Ok(Self { master, layout, parts, painter })
    }

    /// A part of the picture as it is after so many halvings.
    fn part(&mut self, wanted: Rect, halvings: u32) -> Result<Pixels, ImagingError> {
        let (across, down) = (self.layout.codestream.across, self.layout.codestream.down);
        let (x, y) = (wanted.x..wanted.x + wanted.width, wanted.y..wanted.y + wanted.height);
        let (columns, rows) = (across.holding(&x, halvings), down.holding(&y, halvings));
        if (columns.len(), rows.len()) == (1, 1) {
            let (pixels, place) = self.tile(columns.start, rows.start, halvings)?;
            return Ok(pixels.cut(Rect { x: x.start - place.x, y: y.start - place.y, ..wanted }));
        }
        let channels = self.layout.colour.channels;
        let mut whole = vec![0; wanted.width as usize * wanted.height as usize * channels.count()];
        for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
            let (pixels, place) = self.tile(column, row, halvings)?;
            lay(&pixels, &place, &mut whole, &wanted);
        }
        Pixels::new(wanted.width, wanted.height, channels, whole)
    }

    /// A tile after so many halvings, and where it lies in the picture.
    fn tile(&mut self, column: u32, row: u32, halvings: u32) -> Result<(Pixels, Rect), ImagingError> {
        let codestream = &self.layout.codestream;
        let (across, down) = (codestream.across, codestream.down);
        let (x, y) = (across.tile(column), down.tile(row));
        let stream = self.parts.stream(&mut *self.master, codestream, (column, row))?;
        let pixels = tile::decode(&stream, (&x, &y), halvings, &self.painter)?;
        let (x, y) = (across.samples(&x, halvings), down.samples(&y, halvings));
        let place = Rect { x: x.start, y: y.start, width: x.end - x.start, height: y.end - y.start };
        Ok((pixels, place))
    }
}

/// Copies what is wanted of a tile to where it is wanted.
fn lay(tile: &Pixels, place: &Rect, whole: &mut [u8], wanted: &Rect) {
    let count = tile.channels().count();
    let common = |a: u32, a_length: u32, b: u32, b_length: u32| a.max(b)..(a + a_length).min(b + b_length);
    let x = common(place.x, place.width, wanted.x, wanted.width);
    let length = x.len() * count;
    for y in common(place.y, place.height, wanted.y, wanted.height) {
        let at = |of: &Rect| ((y - of.y) as usize * of.width as usize + (x.start - of.x) as usize) * count;
        whole[at(wanted)..][..length].copy_from_slice(&tile.data()[at(place)..][..length]);
    }
}
