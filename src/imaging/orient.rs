//! The eight orientations of EXIF, and quarter turns.

use crate::iiif::image::geometry::Rect;

use super::pixels::Pixels;

/// How stored pixels become upright: rows and columns change places first, then each axis may be reversed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orientation {
    transpose: bool,
    flip_x: bool,
    flip_y: bool,
}

impl Orientation {
    /// Left and right change places.
    pub(super) const MIRROR: Self = Self::new(false, true, false);
    /// A quarter turn clockwise.
    pub(super) const QUARTER: Self = Self::new(true, true, false);
    /// Upside down.
    pub(super) const HALF: Self = Self::new(false, true, true);
    /// A quarter turn counter-clockwise.
    pub(super) const THREE_QUARTERS: Self = Self::new(true, false, true);

    const fn new(transpose: bool, flip_x: bool, flip_y: bool) -> Self {
        Self { transpose, flip_x, flip_y }
    }

    /// From the value of the EXIF tag; unknown values mean upright, as everywhere.
    pub(super) fn from_exif(value: u64) -> Self {
        match value {
            2 => Self::MIRROR,
            3 => Self::HALF,
            4 => Self::new(false, false, true),
            5 => Self::new(true, false, false),
            6 => Self::QUARTER,
            7 => Self::new(true, true, true),
            8 => Self::THREE_QUARTERS,
            _ => Self::default(),
        }
    }

    /// Whether the columns, as stored, come from the upright picture's far end.
    pub(super) fn reverses_columns(self) -> bool {
        if self.transpose { self.flip_y } else { self.flip_x }
    }

    /// Whether the rows, as stored, come from the upright picture's far end.
    pub(super) fn reverses_rows(self) -> bool {
        if self.transpose { self.flip_x } else { self.flip_y }
    }

    /// What is left to do where stored rows and columns were reversed already.
    pub(super) fn without_reversing(self) -> Self {
        Self::new(self.transpose, false, false)
    }

    /// A size before or after: the way there and the way back are the same.
    pub(super) fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// Where a box of the upright picture lies in the stored one, whose size is given.
    pub(super) fn to_stored(self, upright: Rect, width: u32, height: u32) -> Rect {
        let (across, down) = self.size(width, height);
        let x = if self.flip_x { across - upright.x - upright.width } else { upright.x };
        let y = if self.flip_y { down - upright.y - upright.height } else { upright.y };
        let (x, y) = self.size(x, y);
        let (width, height) = self.size(upright.width, upright.height);
        Rect { x, y, width, height }
    }

    /// Turns stored pixels upright.
    pub(super) fn apply(self, picture: Pixels) -> Pixels {
        if self == Self::default() {
            return picture;
        }
        let (width, height) = self.size(picture.width(), picture.height());
        let (channels, stride) = (picture.channels(), picture.width() as usize);
        let count = channels.count();
        let mut data = Vec::with_capacity(picture.data().len());
        for y in 0..height {
            let y = if self.flip_y { height - 1 - y } else { y } as usize;
            for x in 0..width {
                let x = if self.flip_x { width - 1 - x } else { x } as usize;
                let at = count * if self.transpose { x * stride + y } else { y * stride + x };
                data.extend_from_slice(&picture.data()[at..at + count]);
            }
        }
        Pixels::new(width, height, channels, data).expect("every pixel was moved once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::pixels::Channels;

    /// Stored as `1 2 3 / 4 5 6`; upright as the EXIF tables draw it.
    #[test]
    fn the_eight_orientations() {
        let cases: [(u64, u32, [u8; 6]); 8] = [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ];
        for (value, width, expected) in cases {
            let stored = Pixels::new(3, 2, Channels::Grey, vec![1, 2, 3, 4, 5, 6]).unwrap();
            let upright = Orientation::from_exif(value).apply(stored);
            assert_eq!((upright.width(), upright.data()), (width, &expected[..]), "orientation {value}");
        }
    }

    #[test]
    fn a_box_is_found_in_the_stored_picture() {
        let data: Vec<u8> = (0..6).collect();
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value);
            let upright = orientation.apply(Pixels::new(3, 2, Channels::Grey, data.clone()).unwrap());
            for at in 0..6 {
                let (x, y) = (at % upright.width(), at / upright.width());
                let found = orientation.to_stored(Rect { x, y, width: 1, height: 1 }, 3, 2);
                assert_eq!(
                    u32::from(upright.data()[at as usize]),
                    found.y * 3 + found.x,
                    "orientation {value}"
                );
            }
        }
    }
}
