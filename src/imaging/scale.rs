//! Resampling: a box of one picture becomes a picture of another size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::ImagingError;
use super::pixels::{Channels, Pixels};
use super::plan::Exact;

/// Columns beside the cut that the filter looks at: three to each side, times the strongest reduction, four.
const MARGIN: u32 = 24;

/// Bytes that [`scale`] holds at most, its input included: a picture of `size` of which about `cut` is used.
pub(super) fn cost(channels: Channels, size: (u32, u32), cut: (u32, u32), output: (u32, u32)) -> u64 {
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    // Vertical first; colours are multiplied by alpha in a copy.
    let held = |whole: u64, from: (u32, u32), to: (u32, u32)| {
        let copies = if channels.has_alpha() { 2 } else { 1 };
        whole * copies + area((from.0.saturating_add(MARGIN), to.1)) + area(to)
    };
    let pixels = match averaged(f64::from(cut.0), f64::from(cut.1), output) {
        None => held(area(size), cut, output),
        Some(middle) => held(area(size), cut, middle).max(held(area(middle), middle, output)),
    };
    channels.count() as u64 * pixels
}

/// Cuts a box out of a picture and gives it a size. Strong reduction averages whole pixels first:
/// that is several times faster, and what Lanczos has left to do decides the sharpness.
pub(super) fn scale(picture: Pixels, cut: Exact, output: (u32, u32)) -> Result<Pixels, ImagingError> {
    let Some(size) = averaged(cut.width, cut.height, output) else {
        return resize(&picture, cut, output, FilterType::Lanczos3);
    };
    let averaged = resize(&picture, cut, size, FilterType::Box)?;
    drop(picture);
    let whole = Exact { x: 0.0, y: 0.0, width: size.0.into(), height: size.1.into() };
    resize(&averaged, whole, output, FilterType::Lanczos3)
}

/// The size in between, at least twice that of the result, if there is enough to reduce.
fn averaged(width: f64, height: f64, output: (u32, u32)) -> Option<(u32, u32)> {
    let steps = |from: f64, to: u32| (from / f64::from(to) / 2.0).floor().max(1.0);
    let (across, down) = (steps(width, output.0), steps(height, output.1));
    let side = |length: f64, steps: f64| (length / steps).ceil().max(1.0) as u32;
    (across * down >= 2.0).then(|| (side(width, across), side(height, down)))
}

fn resize(
    picture: &Pixels,
    cut: Exact,
    (width, height): (u32, u32),
    filter: FilterType,
) -> Result<Pixels, ImagingError> {
    let channels = picture.channels();
    let kind = match channels {
        Channels::Grey => PixelType::U8,
        Channels::GreyAlpha => PixelType::U8x2,
        Channels::Rgb => PixelType::U8x3,
        Channels::Rgba | Channels::Cmyk => PixelType::U8x4,
    };
    let source = ImageRef::new(picture.width(), picture.height(), picture.data(), kind)
        .map_err(|error| ImagingError::Decoder(error.to_string()))?;
    let mut target = Image::new(width, height, kind);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(cut.x, cut.y, cut.width, cut.height)
        .use_alpha(channels.has_alpha());
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|error| ImagingError::Decoder(error.to_string()))?;
    Pixels::new(width, height, channels, target.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(picture: &Pixels) -> Exact {
        Exact { x: 0.0, y: 0.0, width: picture.width().into(), height: picture.height().into() }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = Pixels::new(3, 2, Channels::Rgb, (0..18).collect()).unwrap();
        assert_eq!(scale(picture.clone(), whole(&picture), (3, 2)).unwrap(), picture);
    }

    #[test]
    fn a_crop_without_scaling_is_exact() {
        let picture = Pixels::new(4, 4, Channels::Grey, (0..16).collect()).unwrap();
        let cut = Exact { x: 1.0, y: 2.0, width: 2.0, height: 2.0 };
        assert_eq!(scale(picture, cut, (2, 2)).unwrap().data(), [9, 10, 13, 14]);
    }

    #[test]
    fn strong_reduction_keeps_the_mean() {
        let data = (0..300 * 200).map(|at| if at % 2 == 0 { 0 } else { 200 }).collect();
        let picture = Pixels::new(300, 200, Channels::Grey, data).unwrap();
        for size in [(3, 2), (30, 20), (7, 150), (300, 1)] {
            let small = scale(picture.clone(), whole(&picture), size).unwrap();
            let sum: u64 = small.data().iter().map(|v| u64::from(*v)).sum();
            let mean = sum / small.data().len() as u64;
            assert!((98..=102).contains(&mean), "{size:?}: {mean}");
        }
    }

    #[test]
    fn transparent_pixels_do_not_bleed() {
        let picture = Pixels::new(2, 1, Channels::Rgba, vec![200, 0, 0, 255, 0, 255, 0, 0]).unwrap();
        let cut = whole(&picture);
        let small = scale(picture, cut, (1, 1)).unwrap();
        assert_eq!(small.data()[1], 0, "green was invisible: {:?}", small.data());
    }

    #[test]
    fn ink_is_not_mistaken_for_alpha() {
        let picture = Pixels::new(2, 1, Channels::Cmyk, vec![200, 0, 0, 0, 200, 0, 0, 0]).unwrap();
        let cut = whole(&picture);
        assert_eq!(scale(picture, cut, (1, 1)).unwrap().data(), [200, 0, 0, 0]);
    }
}
