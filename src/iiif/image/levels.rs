//! An image and its halves, and its thumbnail: the sizes that a pyramid keeps.

use super::limits::fit_box;

/// The longest side of a size that is listed: larger ones are asked for in tiles.
const LONGEST: u32 = 2048;

/// Sizes are halved until the longer side is less than twice this.
const SMALLEST: u32 = 100;

/// Thumbnails fit into a square of so many pixels each way: sharp in the lists of today's viewers, and what aggregators
/// ask for at least.
pub const THUMBNAIL: u32 = 400;

/// The image divided by 2ⁿ, both sides rounded up.
pub fn size((width, height): (u32, u32), level: u32) -> (u32, u32) {
    let side = |side: u32| u64::from(side).div_ceil(1 << level) as u32;
    (side(width), side(height))
}

/// How many levels there are, the image itself included: down to a single tile, and to the smallest size that is
/// listed. All of them have tiles.
pub fn count(image: (u32, u32), tile: u32) -> u32 {
    let is_last = |level: &u32| {
        let side = longer(size(image, *level));
        side < 2 * SMALLEST && side <= tile
    };
    (0..u32::BITS).find(is_last).unwrap_or(u32::BITS) + 1
}

/// Whether a level of this size is listed, and so kept in one piece.
pub fn is_listed(size: (u32, u32)) -> bool {
    longer(size) <= LONGEST
}

/// The sizes that are listed, large ones first: without a gap down to the last level that has tiles. Viewers that find as
/// many sizes as levels, or one less, take them for these (OpenSeadragon from 4.1 on), and else show parts of a picture.
pub fn listed(image: (u32, u32), tile: u32) -> impl Iterator<Item = (u32, u32)> + Clone {
    (0..count(image, tile)).map(move |level| size(image, level)).filter(|size| is_listed(*size))
}

/// The size of the thumbnail, `!400,400`, of an image that is larger. It is not listed: sizes are levels.
pub fn thumbnail(image: (u32, u32)) -> Option<(u32, u32)> {
    (longer(image) > THUMBNAIL).then(|| fit_box(image, (THUMBNAIL, THUMBNAIL)))
}

fn longer((width, height): (u32, u32)) -> u32 {
    width.max(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed() {
        for (image, tile, expected) in [
            ((10_240, 7813), 512, vec![(1280, 977), (640, 489), (320, 245), (160, 123)]),
            ((2048, 100), 512, vec![(2048, 100), (1024, 50), (512, 25), (256, 13), (128, 7)]),
            ((150, 199), 512, vec![(150, 199)]),
            ((150, 199), 64, vec![(150, 199), (75, 100), (38, 50)]),
            ((1, 1), 512, vec![(1, 1)]),
        ] {
            assert_eq!(listed(image, tile).collect::<Vec<_>>(), expected, "{image:?} in {tile}");
        }
        assert_eq!(thumbnail((10_240, 7813)), Some((400, 305)));
        assert_eq!(thumbnail((400, 399)), None);
        assert_eq!(count((u32::MAX, 1), 512), 26);
        assert_eq!(count((u32::MAX, 1), 1), 33);
    }
}
