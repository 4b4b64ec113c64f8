//! Resampling: a box of one picture becomes a picture of another size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::ImagingError;
use super::pixels::{Channels, Pixels};
use super::plan::{Exact, MARGIN};

/// Bytes between the two passes of a filter, about: the rows of a result are made in bands.
const BAND: u64 = 8 << 20;

/// Weights of the filter for one column of the result.
const WEIGHTS: u64 = 300;

/// Bytes that [`scale`] holds at most, its input included: a picture of `size` of which the cut is used, wherever
/// it lies.
pub(super) fn cost(channels: Channels, size: (u32, u32), cut: Exact, output: (u32, u32)) -> u64 {
    let bytes = |(width, height)| u64::from(width) * u64::from(height) * channels.count() as u64;
    if cut.as_it_is(output).is_some() {
        return bytes(size);
    }
    let side = |cut: f64, margin: u32, whole: u32| {
        (cut as u32).saturating_add(margin.saturating_mul(2)).saturating_add(2).min(whole)
    };
    let margin = cut.margin(output);
    let kept = (side(cut.width, margin.0, size.0), side(cut.height, margin.1, size.1));
    let held = |from: (u32, u32), to: (u32, u32)| {
        let row = bytes((from.0, 1));
        let band = row * u64::from(band(row, to.1)) + u64::from(to.0) * WEIGHTS;
        bytes(from) + bytes(to) + band
    };
    let scaling = match Averages::of(cut, kept, output) {
        None => held(kept, output),
        Some(Averages { cut, .. }) => {
            let middle = (cut.width as u32 + 2 * MARGIN, cut.height as u32 + 2 * MARGIN);
            held(kept, middle).max(held(middle, output))
        }
    };
    scaling.max(bytes(size))
}

/// Cuts a box out of a picture and gives it a size. Strong reduction averages whole pixels first:
/// that is several times faster, and what Lanczos has left to do decides the sharpness.
pub(super) fn scale(picture: Pixels, cut: Exact, output: (u32, u32)) -> Result<Pixels, ImagingError> {
    if let Some(cut) = cut.as_it_is(output) {
        return Ok(picture.cut(cut));
    }
    let kept = cut.cover((picture.width(), picture.height()), cut.margin(output));
    let cut = cut.within(kept.x, kept.y, kept.width, kept.height);
    let mut picture = picture.cut(kept);
    let alpha = MulDiv::new();
    if picture.channels().has_alpha() {
        // Colours count as much as they are visible.
        alpha.multiply_alpha_inplace(&mut image(&mut picture)?).map_err(fault)?;
    }
    let mut scaled = match Averages::of(cut, (picture.width(), picture.height()), output) {
        None => resize(&picture, cut, output, FilterType::Lanczos3)?,
        Some(averages) => {
            let averaged = resize(&picture, averages.area, averages.size, FilterType::Box)?;
            drop(picture);
            resize(&averaged, averages.cut, output, FilterType::Lanczos3)?
        }
    };
    if scaled.channels().has_alpha() {
        alpha.divide_alpha_inplace(&mut image(&mut scaled)?).map_err(fault)?;
    }
    Ok(scaled)
}

/// The picture in between, of averages.
struct Averages {
    /// What is averaged: the cut and whole cells beside it, as far as the filter looks and the picture goes.
    area: Exact,
    /// How many averages there are.
    size: (u32, u32),
    /// The cut among them.
    cut: Exact,
}

impl Averages {
    /// If there is enough to reduce.
    fn of(cut: Exact, (width, height): (u32, u32), output: (u32, u32)) -> Option<Self> {
        let steps = cut.steps(output);
        let (x, y) =
            (Cells::of(cut.x, cut.width, width, steps.0), Cells::of(cut.y, cut.height, height, steps.1));
        let area = Exact { x: x.start, y: y.start, width: x.length, height: y.length };
        let size = (x.before + x.count + x.behind, y.before + y.count + y.behind);
        let (left, top) = (x.before.into(), y.before.into());
        let cut = Exact { x: left, y: top, width: x.count.into(), height: y.count.into() };
        (steps != (1, 1)).then_some(Self { area, size, cut })
    }
}

/// One side of [`Averages`].
struct Cells {
    count: u32,
    before: u32,
    behind: u32,
    start: f64,
    length: f64,
}

impl Cells {
    fn of(start: f64, length: f64, whole: u32, step: u32) -> Self {
        let count = (length / f64::from(step)).ceil().max(1.0);
        let cell = length / count;
        // Rounding must not cost a cell that is there.
        let beside = |room: f64| ((room / cell + 1e-6).floor().max(0.0) as u32).min(MARGIN);
        let (before, behind) = (beside(start), beside(f64::from(whole) - start - length));
        let start = (start - f64::from(before) * cell).max(0.0);
        let length = (length + f64::from(before + behind) * cell).min(f64::from(whole) - start);
        Self { count: count as u32, before, behind, start, length }
    }
}

/// How many rows of a result are made at a time.
fn band(row: u64, height: u32) -> u32 {
    u32::try_from(BAND / row.max(1)).unwrap_or(u32::MAX).clamp(1, height)
}

fn resize(
    picture: &Pixels,
    cut: Exact,
    (width, height): (u32, u32),
    filter: FilterType,
) -> Result<Pixels, ImagingError> {
    let channels = picture.channels();
    let source =
        ImageRef::new(picture.width(), picture.height(), picture.data(), kind(channels)).map_err(fault)?;
    let row = width as usize * channels.count();
    let mut data = vec![0; row * height as usize];
    let rows = band(u64::from(picture.width()) * channels.count() as u64, height);
    let step = cut.height / f64::from(height);
    let mut resizer = Resizer::new();
    for (first, band) in (0..height).step_by(rows as usize).zip(data.chunks_mut(row * rows as usize)) {
        let count = rows.min(height - first);
        let top = cut.y + f64::from(first) * step;
        let down = (f64::from(count) * step).min(f64::from(picture.height()) - top);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(filter))
            .crop(cut.x, top, cut.width, down)
            .use_alpha(false);
        let mut target = Image::from_slice_u8(width, count, band, kind(channels)).map_err(fault)?;
        resizer.resize(&source, &mut target, &options).map_err(fault)?;
    }
    Pixels::new(width, height, channels, data)
}

fn image(picture: &mut Pixels) -> Result<Image<'_>, ImagingError> {
    let (width, height, kind) = (picture.width(), picture.height(), kind(picture.channels()));
    Image::from_slice_u8(width, height, picture.data_mut(), kind).map_err(fault)
}

fn kind(channels: Channels) -> PixelType {
    match channels {
        Channels::Grey => PixelType::U8,
        Channels::GreyAlpha => PixelType::U8x2,
        Channels::Rgb => PixelType::U8x3,
        Channels::Rgba | Channels::Cmyk => PixelType::U8x4,
    }
}

fn fault(error: impl std::fmt::Display) -> ImagingError {
    ImagingError::Decoder(error.to_string())
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

    #[test]
    fn a_picture_of_many_bands_has_no_seams() {
        // Rows of half a band: nothing but a slope, so that a seam would be a step.
        let width = (BAND / 6) as u32;
        let rows = (0..9_u8).flat_map(|y| std::iter::repeat_n(y * 20, width as usize));
        let picture = Pixels::new(width, 9, Channels::Grey, rows.collect()).unwrap();
        let cut = whole(&picture);
        let tall = scale(picture, cut, (2, 90)).unwrap();
        let column: Vec<u8> = tall.data().iter().step_by(2).copied().collect();
        assert!(column.is_sorted(), "{column:?}");
        assert!(column.windows(2).all(|pair| pair[1] - pair[0] <= 4), "{column:?}");
    }

    /// A picture that is only cut is held once; one that is scaled is held with what it becomes.
    #[test]
    fn what_is_held() {
        const MIB: u64 = 1 << 20;
        let cost = |size, cut: (u32, u32), output| {
            let cut = Exact { x: 0.0, y: 0.0, width: cut.0.into(), height: cut.1.into() };
            cost(Channels::Rgb, size, cut, output) / MIB
        };
        let (large, most) = ((10_800, 10_000), (10_392, 9622));
        assert_eq!(cost(large, large, large), 308);
        assert_eq!(cost(large, (512, 512), (512, 512)), 308);
        assert_eq!(cost(large, (600, 600), (512, 512)), 308);
        assert_eq!(cost(large, large, most), 308 + 286 + 12);
    }
}
