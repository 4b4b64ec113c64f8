//! The arithmetic of a pyramid: its levels and tiles, and which requests they answer as they are.

use crate::iiif::image::geometry::Rect;
use crate::iiif::image::levels;
use crate::imaging::plan::Offer;

/// A picture and the side of its tiles. Level *n* is the picture divided by 2ⁿ, both sides rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Pixels from left to right of the whole picture, upright.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Pixels to a side of a tile; those at the right and lower edges are smaller.
    pub tile: u32,
}

/// The side of a picture that is wanted exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Pixels from left to right.
    Width,
    /// Pixels from top to bottom.
    Height,
}

/// A picture that a pyramid holds ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::imaging) enum Place {
    Tile {
        level: u32,
        column: u32,
        row: u32,
    },
    /// A level in one piece, where it has more than one tile.
    Whole {
        level: u32,
    },
    /// The picture as lists of pictures show it, where no level has that size.
    Thumbnail,
}

/// Tiles of a level that lie beside and below each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::imaging) struct Grid {
    pub(in crate::imaging) level: u32,
    /// The first column and row.
    pub(in crate::imaging) first: (u32, u32),
    /// How many columns and rows.
    pub(in crate::imaging) count: (u32, u32),
}

impl Shape {
    /// How many levels there are: down to one tile, and to the smallest size that is listed in info.json.
    pub(in crate::imaging) fn levels(&self) -> u32 {
        levels::count((self.width, self.height), self.tile)
    }

    /// How many levels there are down to the first one that is a single tile: a master's own end there.
    pub(in crate::imaging) fn tiled(&self) -> u32 {
        (0..u32::BITS).find(|level| self.is_one_tile(*level)).unwrap_or(0) + 1
    }

    /// Width and height of a level.
    pub(in crate::imaging) fn size(&self, level: u32) -> (u32, u32) {
        levels::size((self.width, self.height), level)
    }

    /// What a pyramid offers: divisors by which the picture is reduced without any work.
    pub(super) fn offer(&self) -> Offer {
        const HALVES: [u32; 32] = {
            let mut halves = [1; 32];
            let mut at = 1;
            while at < halves.len() {
                halves[at] = halves[at - 1] << 1;
                at += 1;
            }
            halves
        };
        let levels = self.levels() as usize;
        Offer { levels: vec![(self.width, self.height)], shrinks: &HALVES[..levels.min(HALVES.len())] }
    }

    /// Columns and rows of tiles.
    pub(in crate::imaging) fn grid(&self, level: u32) -> (u32, u32) {
        let (width, height) = self.size(level);
        (width.div_ceil(self.tile), height.div_ceil(self.tile))
    }

    /// Where a tile lies, in pixels of its level.
    pub(in crate::imaging) fn rect(&self, level: u32, column: u32, row: u32) -> Rect {
        let (width, height) = self.size(level);
        let (x, y) = (column * self.tile, row * self.tile);
        Rect { x, y, width: self.tile.min(width - x), height: self.tile.min(height - y) }
    }

    /// Whether a level is also kept in one piece.
    pub(super) fn has_whole(&self, level: u32) -> bool {
        !self.is_one_tile(level) && levels::is_listed(self.size(level))
    }

    /// The size of the thumbnail, where no level has it.
    pub(super) fn thumbnail(&self) -> Option<(u32, u32)> {
        let size = levels::thumbnail((self.width, self.height))?;
        (0..self.levels()).all(|level| self.size(level) != size).then_some(size)
    }

    /// The level that the thumbnail is made of: the smallest one that is larger.
    pub(super) fn thumbnail_level(&self) -> Option<u32> {
        let (width, height) = self.thumbnail()?;
        (0..self.levels()).rev().find(|level| {
            let size = self.size(*level);
            size.0 >= width && size.1 >= height
        })
    }

    fn is_one_tile(&self, level: u32) -> bool {
        let (width, height) = self.size(level);
        width.max(height) <= self.tile
    }

    /// How many pictures the pyramid holds; the largest number where that is more than can be counted.
    pub(super) fn count(&self) -> usize {
        self.first(self.levels()).saturating_add(self.thumbnail().is_some().into())
    }

    /// Which one of them this is: level by level, the whole one last; behind all of them the thumbnail.
    pub(super) fn number(&self, place: Place) -> usize {
        match place {
            Place::Tile { level, column, row } => {
                self.first(level) + row as usize * self.grid(level).0 as usize + column as usize
            }
            Place::Whole { level } => self.first(level + 1) - 1,
            Place::Thumbnail => self.first(self.levels()),
        }
    }

    fn first(&self, level: u32) -> usize {
        let pictures = |level| {
            let (columns, rows) = self.grid(level);
            (columns as usize).saturating_mul(rows as usize).saturating_add(self.has_whole(level).into())
        };
        (0..level).map(pictures).fold(0, usize::saturating_add)
    }

    /// The picture that answers for a box of the whole picture at a given size, pixel for pixel.
    pub(in crate::imaging) fn find(&self, crop: Rect, output: (u32, u32)) -> Option<Place> {
        let of_levels = (0..self.levels()).find_map(|level| self.find_at(level, crop, output));
        of_levels.or_else(|| {
            let is_thumbnail = crop == self.everything() && self.thumbnail() == Some(output);
            is_thumbnail.then_some(Place::Thumbnail)
        })
    }

    fn everything(&self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }

    /// The size of the picture that stands ready where one side is wanted, and the other as it follows: the standard
    /// leaves its rounding free, and rounded up it costs nothing.
    pub fn ready(&self, crop: Rect, (width, height): (u32, u32), wanted: Side) -> Option<(u32, u32)> {
        let near = |a: u32, b: u32| a.abs_diff(b) <= 1;
        let fits = |ready: (u32, u32)| match wanted {
            Side::Width => ready.0 == width && near(ready.1, height),
            Side::Height => ready.1 == height && near(ready.0, width),
        };
        let sizes = (0..self.levels()).map(|level| levels::size((crop.width, crop.height), level));
        sizes.filter(|size| fits(*size)).find(|size| self.find(crop, *size).is_some())
    }

    /// The tiles that hold the answer for a box of the whole picture at a given size, pixel for pixel, from the first
    /// one's upper left corner on.
    pub(in crate::imaging) fn grid_of(&self, crop: Rect, output: (u32, u32)) -> Option<Grid> {
        (0..self.levels()).find_map(|level| self.grid_at(level, crop, output))
    }

    fn grid_at(&self, level: u32, crop: Rect, output: (u32, u32)) -> Option<Grid> {
        let (side, step) = (u64::from(self.tile) << level, 1_u64 << level);
        let span = |start: u32, length: u32, whole: u32, output: u32| {
            let (start, length) = (u64::from(start), u64::from(length));
            let even = length.is_multiple_of(step) || start + length == u64::from(whole);
            let fits = even && start.is_multiple_of(side) && u64::from(output) == length.div_ceil(step);
            fits.then_some(((start / side) as u32, output.div_ceil(self.tile)))
        };
        let across = span(crop.x, crop.width, self.width, output.0)?;
        let down = span(crop.y, crop.height, self.height, output.1)?;
        Some(Grid { level, first: (across.0, down.0), count: (across.1, down.1) })
    }

    fn find_at(&self, level: u32, crop: Rect, output: (u32, u32)) -> Option<Place> {
        if crop == self.everything() && output == self.size(level) && self.has_whole(level) {
            return Some(Place::Whole { level });
        }
        let side = u64::from(self.tile) << level;
        let span = |start: u32, length: u32, whole: u32| {
            let (start, whole) = (u64::from(start), u64::from(whole));
            let fits = start.is_multiple_of(side) && u64::from(length) == side.min(whole - start);
            fits.then_some((start / side) as u32)
        };
        let column = span(crop.x, crop.width, self.width)?;
        let row = span(crop.y, crop.height, self.height)?;
        let tile = self.rect(level, column, row);
        ((tile.width, tile.height) == output).then_some(Place::Tile { level, column, row })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHAPE: Shape = Shape { width: 10_240, height: 7813, tile: 512 };

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn requests_that_need_no_drawing() {
        let cases = [
            ("a tile", rect(512, 1024, 512, 512), (512, 512), Some((0, 1, 2))),
            ("at the lower edge", rect(0, 7680, 512, 133), (512, 133), Some((0, 0, 15))),
            ("reduced", rect(4096, 0, 1024, 1024), (512, 512), Some((1, 4, 0))),
            ("reduced, at the corner", rect(8192, 6144, 2048, 1669), (512, 418), Some((2, 4, 3))),
            ("reduced to one", rect(0, 0, 10_240, 7813), (320, 245), Some((5, 0, 0))),
            ("off the grid", rect(513, 1024, 512, 512), (512, 512), None),
            ("off by a pixel", rect(512, 1024, 512, 512), (511, 512), None),
            ("too short", rect(512, 1024, 500, 512), (500, 512), None),
            ("enlarged", rect(512, 1024, 512, 512), (1024, 1024), None),
        ];
        for (name, crop, output, tile) in cases {
            let expected = tile.map(|(level, column, row)| Place::Tile { level, column, row });
            assert_eq!(SHAPE.find(crop, output), expected, "{name}");
        }
        let all = rect(0, 0, 10_240, 7813);
        assert_eq!(SHAPE.find(all, (1280, 977)), Some(Place::Whole { level: 3 }));
        assert_eq!(SHAPE.find(all, (2560, 1954)), None, "larger than what is listed");
    }

    #[test]
    fn the_side_that_follows_is_rounded_up_where_that_stands_ready() {
        let edge = rect(8192, 4096, 2048, 3717);
        let cases = [
            ("an edge", edge, (256, 464), Side::Width, Some((256, 465))),
            ("its height", edge, (256, 465), Side::Height, Some((256, 465))),
            ("a listed size", rect(0, 0, 10_240, 7813), (320, 244), Side::Width, Some((320, 245))),
            ("another size", rect(0, 0, 10_240, 7813), (321, 245), Side::Width, None),
            ("off the grid", rect(1, 0, 1024, 1024), (512, 512), Side::Width, None),
        ];
        for (name, crop, size, side, expected) in cases {
            assert_eq!(SHAPE.ready(crop, size, side), expected, "{name}");
        }
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        let side = || prop_oneof![1u32..70, 1u32..3000, 1u32..200_000];
        (side(), side(), prop_oneof![Just(256u32), Just(512), 1u32..2000]).prop_map(
            |(width, height, tile)| Shape { width, height, tile: tile.max(width.max(height) / 400) },
        )
    }

    proptest! {
        #[test]
        fn every_picture_has_a_number_of_its_own_and_is_found(shape in shapes()) {
            let mut numbers = vec![false; shape.count()];
            for level in 0..shape.levels() {
                let (columns, rows) = shape.grid(level);
                let tiles = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
                for (column, row) in tiles {
                    let place = Place::Tile { level, column, row };
                    prop_assert!(!std::mem::replace(&mut numbers[shape.number(place)], true));
                    let at = shape.rect(level, column, row);
                    let side = |start: u32, length: u32, whole: u32| {
                        let start = u64::from(start) << level;
                        (start as u32, (u64::from(length) << level).min(u64::from(whole) - start) as u32)
                    };
                    let (x, width) = side(at.x, at.width, shape.width);
                    let (y, height) = side(at.y, at.height, shape.height);
                    let found = shape.find(Rect { x, y, width, height }, (at.width, at.height));
                    prop_assert!(found.is_some());
                }
                if shape.has_whole(level) {
                    let number = shape.number(Place::Whole { level });
                    prop_assert!(!std::mem::replace(&mut numbers[number], true));
                }
            }
            if let Some(size) = shape.thumbnail() {
                prop_assert!(!std::mem::replace(&mut numbers[shape.number(Place::Thumbnail)], true));
                prop_assert_eq!(shape.find(shape.everything(), size), Some(Place::Thumbnail));
                let (width, height) = shape.size(shape.thumbnail_level().unwrap());
                prop_assert!(width >= size.0 && height >= size.1 && width.max(height) < 800);
            }
            prop_assert!(numbers.iter().all(|seen| *seen));
            let (width, height) = shape.size(shape.levels() - 1);
            prop_assert!(width.max(height) <= shape.tile);
        }
    }
}
