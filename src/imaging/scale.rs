//! Resampling: a box of one picture becomes a picture of another size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::ImagingError;
use super::pixels::{Channels, Pixels};
use super::plan::Exact;

/// Bytes that [`scale`] holds besides its input: the averaged picture, one pass of the filter with
/// colours multiplied by alpha, and the result.
pub(super) fn cost(channels: u64, read: (u64, u64), output: (u64, u64)) -> u64 {
    let averaged = read.0 * read.1;
    let one_pass = output.0 * read.1;
    channels * (2 * averaged + one_pass + output.0 * output.1)
}

/// Cuts a box out of a picture and gives it a size. Strong reduction averages whole pixels first:
/// that is several times faster, and what Lanczos has left to do decides the sharpness.
pub(super) fn scale(
    picture: &Pixels,
    cut: Exact,
    (width, height): (u32, u32),
) -> Result<Pixels, ImagingError> {
    let steps = |from: f64, to: u32| (from / f64::from(to) / 2.0).floor().max(1.0);
    let (across, down) = (steps(cut.width, width), steps(cut.height, height));
    if across * down < 2.0 {
        return resize(picture, cut, (width, height), FilterType::Lanczos3);
    }
    let size = ((cut.width / across).ceil().max(1.0) as u32, (cut.height / down).ceil().max(1.0) as u32);
    let averaged = resize(picture, cut, size, FilterType::Box)?;
    let whole = Exact { x: 0.0, y: 0.0, width: size.0.into(), height: size.1.into() };
    resize(&averaged, whole, (width, height), FilterType::Lanczos3)
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
        assert_eq!(scale(&picture, whole(&picture), (3, 2)).unwrap(), picture);
    }

    #[test]
    fn a_crop_without_scaling_is_exact() {
        let picture = Pixels::new(4, 4, Channels::Grey, (0..16).collect()).unwrap();
        let cut = Exact { x: 1.0, y: 2.0, width: 2.0, height: 2.0 };
        assert_eq!(scale(&picture, cut, (2, 2)).unwrap().data(), [9, 10, 13, 14]);
    }

    #[test]
    fn strong_reduction_keeps_the_mean() {
        let data = (0..300 * 200).map(|at| if at % 2 == 0 { 0 } else { 200 }).collect();
        let picture = Pixels::new(300, 200, Channels::Grey, data).unwrap();
        for size in [(3, 2), (30, 20), (7, 150), (300, 1)] {
            let small = scale(&picture, whole(&picture), size).unwrap();
            let sum: u64 = small.data().iter().map(|v| u64::from(*v)).sum();
            let mean = sum / small.data().len() as u64;
            assert!((98..=102).contains(&mean), "{size:?}: {mean}");
        }
    }

    #[test]
    fn transparent_pixels_do_not_bleed() {
        let picture = Pixels::new(2, 1, Channels::Rgba, vec![200, 0, 0, 255, 0, 255, 0, 0]).unwrap();
        let small = scale(&picture, whole(&picture), (1, 1)).unwrap();
        assert_eq!(small.data()[1], 0, "green was invisible: {:?}", small.data());
    }

    #[test]
    fn ink_is_not_mistaken_for_alpha() {
        let picture = Pixels::new(2, 1, Channels::Cmyk, vec![200, 0, 0, 0, 200, 0, 0, 0]).unwrap();
        assert_eq!(scale(&picture, whole(&picture), (1, 1)).unwrap().data(), [200, 0, 0, 0]);
    }
}
