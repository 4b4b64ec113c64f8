//! Mirroring and turning (*Image API 3.0, 4.3*): mirror first, then clockwise.

use super::ImagingError;
use super::orient::Orientation;
use super::pixels::{Channels, Pixels};
use crate::iiif::image::rotation::Rotation;

/// Mirrors and turns a picture. Quarter turns move pixels; any other angle grows the picture, with
/// transparent corners.
pub(super) fn rotate(picture: Pixels, rotation: Rotation) -> Result<Pixels, ImagingError> {
    let picture = if rotation.mirror { Orientation::MIRROR.apply(picture) } else { picture };
    match quarter(rotation.degrees) {
        Some(turn) => Ok(turn.apply(picture)),
        None => turn(&picture.with_alpha(), rotation.degrees),
    }
}

/// Bytes that [`rotate`] holds at most for a picture of this size.
pub(super) fn cost(channels: Channels, (width, height): (u32, u32), degrees: f64) -> u64 {
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let (before, turned) = (area((width, height)), area(size(width, height, degrees)));
    let (own, clear) = (channels.count() as u64, self::channels(channels, degrees).count() as u64);
    match quarter(degrees) {
        Some(_) => own * 2 * before,
        None => (own + clear) * before + clear * turned,
    }
}

/// The samples of a picture after turning: corners are transparent.
pub(super) fn channels(channels: Channels, degrees: f64) -> Channels {
    match (quarter(degrees), channels) {
        (None, Channels::Grey) => Channels::GreyAlpha,
        (None, Channels::Rgb) => Channels::Rgba,
        _ => channels,
    }
}

/// The size of a picture after turning.
pub(super) fn size(width: u32, height: u32, degrees: f64) -> (u32, u32) {
    if let Some(turn) = quarter(degrees) {
        return turn.size(width, height);
    }
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (width, height) = (f64::from(width), f64::from(height));
    // A hair over a whole pixel is rounding, no pixel.
    let side = |a: f64, b: f64| (a.abs() + b.abs() - 1e-6).ceil().max(1.0) as u32;
    (side(width * cos, height * sin), side(height * cos, width * sin))
}

fn quarter(degrees: f64) -> Option<Orientation> {
    match degrees {
        0.0 | 360.0 => Some(Orientation::default()),
        90.0 => Some(Orientation::QUARTER),
        180.0 => Some(Orientation::HALF),
        270.0 => Some(Orientation::THREE_QUARTERS),
        _ => None,
    }
}

/// Looks up each pixel of the result in the picture, between the four pixels around it.
fn turn(picture: &Pixels, degrees: f64) -> Result<Pixels, ImagingError> {
    let (width, height) = size(picture.width(), picture.height(), degrees);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let centre = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let (left, top) = (f64::from(picture.width()) / 2.0 - 0.5, f64::from(picture.height()) / 2.0 - 0.5);
    let channels = picture.channels();
    let mut data = vec![0; width as usize * height as usize * channels.count()];
    for (at, target) in data.chunks_exact_mut(channels.count()).enumerate() {
        let x = (at % width as usize) as f64 + 0.5 - centre.0;
        let y = (at / width as usize) as f64 + 0.5 - centre.1;
        mix(picture, x * cos + y * sin + left, y * cos - x * sin + top, target);
    }
    Pixels::new(width, height, channels, data)
}

/// The weighted mean of the four pixels around a point. Those outside count as transparent; colours
/// count as much as they are visible.
fn mix(picture: &Pixels, x: f64, y: f64, target: &mut [u8]) {
    let (Some((alpha, colours)), count) = (target.split_last_mut(), picture.channels().count()) else {
        return;
    };
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    if x <= -1.0 || y <= -1.0 || x >= width || y >= height {
        return;
    }
    let (column, row) = (x.floor(), y.floor());
    let mut sums = [0.0_f64; 3];
    let mut visible = 0.0;
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (i, j) = (column + dx, row + dy);
        if i < 0.0 || j < 0.0 || i >= width || j >= height {
            continue;
        }
        let at = (j as usize * picture.width() as usize + i as usize) * count;
        let pixel = &picture.data()[at..at + count];
        let weight = (1.0 - (x - i).abs()) * (1.0 - (y - j).abs()) * f64::from(pixel[count - 1]);
        visible += weight;
        sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += weight * f64::from(*value));
    }
    if visible > 0.0 {
        *alpha = visible.round() as u8;
        colours.iter_mut().zip(sums).for_each(|(colour, sum)| *colour = (sum / visible).round() as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_move_pixels() {
        let cases: [(bool, f64, [u8; 6]); 6] = [
            (false, 0.0, [1, 2, 3, 4, 5, 6]),
            (false, 90.0, [4, 1, 5, 2, 6, 3]),
            (false, 180.0, [6, 5, 4, 3, 2, 1]),
            (false, 270.0, [3, 6, 2, 5, 1, 4]),
            (true, 0.0, [3, 2, 1, 6, 5, 4]),
            (true, 90.0, [6, 3, 5, 2, 4, 1]),
        ];
        for (mirror, degrees, expected) in cases {
            let picture = Pixels::new(3, 2, Channels::Grey, vec![1, 2, 3, 4, 5, 6]).unwrap();
            let turned = rotate(picture, Rotation { mirror, degrees }).unwrap();
            assert_eq!(turned.data(), expected, "mirror {mirror}, {degrees}");
        }
    }

    #[test]
    fn hardly_turned_it_hardly_grows() {
        for (degrees, expected) in [
            (1e-10, (401, 301)),
            (359.999_999_999_9, (401, 301)),
            (90.000_000_000_1, (301, 401)),
            (0.1, (402, 302)),
        ] {
            assert_eq!(size(401, 301, degrees), expected, "{degrees}");
        }
    }

    #[test]
    fn other_angles_grow_the_picture_and_leave_the_corners_transparent() {
        let picture = Pixels::new(100, 50, Channels::Rgb, [10, 20, 30].repeat(5000)).unwrap();
        let turned = rotate(picture, Rotation { mirror: false, degrees: 22.5 }).unwrap();
        assert_eq!((turned.width(), turned.height()), (112, 85));
        assert_eq!((turned.width(), turned.height()), size(100, 50, 22.5));
        let pixel = |x: usize, y: usize| &turned.data()[(y * 112 + x) * 4..][..4];
        assert_eq!(pixel(56, 42), [10, 20, 30, 255]);
        for (x, y) in [(0, 0), (111, 0), (0, 84), (111, 84)] {
            assert_eq!(pixel(x, y)[3], 0, "corner {x},{y}");
        }
    }

    /// A dark spot right of the middle is below the middle after nearly a quarter turn.
    #[test]
    fn turning_is_clockwise() {
        let dark = |at: usize| (13..17).contains(&(at % 21)) && (8..13).contains(&(at / 21));
        let data = (0..21 * 21).map(|at| if dark(at) { 0 } else { 255 }).collect();
        let picture = Pixels::new(21, 21, Channels::Grey, data).unwrap();
        let turned = rotate(picture, Rotation { mirror: false, degrees: 89.0 }).unwrap();
        let at = turned.data().as_chunks::<2>().0.iter().position(|[v, a]| *v < 64 && *a > 200).unwrap();
        let (x, y) = (at as u32 % turned.width(), at as u32 / turned.width());
        assert!(x.abs_diff(turned.width() / 2) <= 3 && y >= turned.height() / 2 + 2, "{x},{y}");
    }
}
