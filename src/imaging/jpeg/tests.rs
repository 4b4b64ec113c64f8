//! Whole pictures against another decoder, parts against the whole, and files that are not what they should be.

use std::io::Cursor;

use libjpeg_turbo_rs::{ColorSpace, Encoder, PixelFormat, decompress_to};
use proptest::prelude::*;

use super::checkpoint::Checkpoint;
use super::fuzz::cut;
use super::rows::RowReader;
use super::*;
use crate::iiif::image::geometry::Rect;
use crate::imaging::ImagingError;

const SCALES: [Scale; 4] = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];

/// Waves, edges and a little noise.
fn picture(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let mut seed = 1_u32;
    let mut sample = |x: usize, y: usize, channel: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wave = ((x as f64 / 9.0).sin() + (y as f64 / (7.0 + channel as f64)).cos()) * 50.0;
        let edge = if (x / 23 + y / 17 + channel).is_multiple_of(3) { 40.0 } else { 0.0 };
        (110.0 + wave + edge + f64::from(seed >> 28)) as u8
    };
    let mut samples = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        samples.extend((0..channels).map(|channel| sample(x, y, channel)));
    }
    samples
}

struct Case {
    size: (usize, usize),
    format: PixelFormat,
    space: Option<ColorSpace>,
    sampling: Vec<(u8, u8)>,
    interval: u16,
}

impl Case {
    /// Light as fine as said, colours of one block a unit.
    fn colours(across: u8, down: u8) -> Self {
        let sampling = vec![(across, down), (1, 1), (1, 1)];
        Self { size: (131, 77), format: PixelFormat::Rgb, space: None, sampling, interval: 0 }
    }

    fn sized(self, width: usize, height: usize) -> Self {
        Self { size: (width, height), ..self }
    }

    fn restarting(self, interval: u16) -> Self {
        Self { interval, ..self }
    }

    fn file(&self) -> Vec<u8> {
        let ((width, height), format) = (self.size, self.format);
        let pixels = picture(width, height, format.bytes_per_pixel());
        let mut encoder = Encoder::new(&pixels, width, height, format).quality(90);
        encoder = encoder.sampling_factors(self.sampling.clone()).restart_blocks(self.interval);
        if let Some(space) = self.space {
            encoder = encoder.colorspace(space);
        }
        encoder.encode().unwrap()
    }
}

/// The last two are for those who have time.
fn cases() -> Vec<(&'static str, Case)> {
    let grey = || Case { format: PixelFormat::Grayscale, sampling: vec![(1, 1)], ..Case::colours(1, 1) };
    let ink = || Case { format: PixelFormat::Cmyk, sampling: vec![(1, 1); 4], ..Case::colours(1, 1) };
    vec![
        ("4:4:4", Case::colours(1, 1)),
        ("4:2:2", Case::colours(2, 1)),
        ("4:4:0", Case::colours(1, 2)),
        ("4:2:0", Case::colours(2, 2)),
        ("4:1:1", Case::colours(4, 1)),
        ("4:1:0", Case::colours(4, 2)),
        ("grey", grey()),
        ("rgb", Case { space: Some(ColorSpace::Rgb), ..Case::colours(1, 1) }),
        ("cmyk", ink()),
        ("ycck", Case { space: Some(ColorSpace::Ycck), ..ink() }),
        ("restarts in a row", Case::colours(2, 2).restarting(5)),
        ("restarts over rows", Case::colours(2, 1).restarting(13)),
        ("a restart for each unit", grey().restarting(1)),
        ("one pixel", Case::colours(2, 2).sized(1, 1)),
        ("one grey pixel", grey().sized(1, 1)),
        ("smaller than a block", Case::colours(2, 2).sized(7, 9)),
        ("one more than a unit", Case::colours(2, 2).sized(17, 33)),
        ("two columns of colour", Case::colours(2, 1).sized(4, 40)),
        ("wide", Case::colours(2, 2).sized(65_500, 3)),
        ("high", Case::colours(2, 2).sized(3, 65_500)),
    ]
}

fn open(file: &[u8]) -> Result<Jpeg, ImagingError> {
    Jpeg::open(Box::new(Cursor::new(file.to_vec())))
}

fn all_rows(jpeg: Jpeg, scale: Scale) -> Result<RowReader, ImagingError> {
    let (width, height) = jpeg.size(scale);
    jpeg.rows(scale, Rect { x: 0, y: 0, width, height })
}

fn collect(mut reader: RowReader) -> Result<(Vec<u8>, Option<Checkpoints>), ImagingError> {
    let mut all = Vec::new();
    while reader.next_rows(&mut all)?.is_some() {}
    Ok((all, reader.checkpoints()))
}

fn whole(file: &[u8], scale: Scale) -> Result<Vec<u8>, ImagingError> {
    Ok(collect(all_rows(open(file)?, scale)?)?.0)
}

fn distances(one: &[u8], other: &[u8]) -> (u8, f64) {
    assert_eq!(one.len(), other.len());
    let all = one.iter().zip(other).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = all.clone().map(u64::from).sum();
    (all.max().unwrap_or(0), sum as f64 / one.len() as f64)
}

#[test]
fn pictures_are_those_of_libjpeg() {
    for (name, case) in cases() {
        let file = case.file();
        let mut expected = decompress_to(&file, case.format).unwrap().data;
        if case.format == PixelFormat::Cmyk {
            // There as the file has them, which is inverted.
            expected.iter_mut().for_each(|ink| *ink = !*ink);
        }
        // A level of colour is up to 1.8 of blue.
        let (most, mean) = distances(&whole(&file, Scale::Full).unwrap(), &expected);
        assert!(most <= 3 && mean < 0.08, "{name}: {most} at most, {mean} in the mean");
    }
}

#[test]
fn without_adobe_ink_is_as_the_file_has_it() {
    let (_, case) = cases().into_iter().find(|(name, _)| *name == "cmyk").unwrap();
    let mut file = case.file();
    let inverted = whole(&file, Scale::Half).unwrap();
    let at = file.windows(5).position(|bytes| bytes == b"Adobe").unwrap();
    file[at] = b'a';
    let expected: Vec<_> = inverted.iter().map(|ink| !ink).collect();
    assert_eq!(whole(&file, Scale::Half).unwrap(), expected);
}

#[test]
fn smaller_scales_are_means() {
    for (name, case) in cases().into_iter().rev().skip(2) {
        let file = case.file();
        let full = whole(&file, Scale::Full).unwrap();
        let (width, height) = case.size;
        let channels = open(&file).unwrap().channels().count();
        for scale in [Scale::Half, Scale::Quarter, Scale::Eighth] {
            let side = scale.divisor() as usize;
            let found = whole(&file, scale).unwrap();
            assert_eq!(found.len(), width.div_ceil(side) * height.div_ceil(side) * channels, "{name}");
            let mut worst = 0.0_f64;
            let whole_ones = (0..height / side).flat_map(|y| (0..width / side).map(move |x| (x, y)));
            for ((x, y), channel) in whole_ones.flat_map(|at| (0..channels).map(move |of| (at, of))) {
                let sample =
                    |dx, dy| f64::from(full[((y * side + dy) * width + x * side + dx) * channels + channel]);
                let sum: f64 = (0..side * side).map(|of| sample(of % side, of / side)).sum();
                let at = (y * width.div_ceil(side) + x) * channels + channel;
                worst = worst.max((sum / (side * side) as f64 - f64::from(found[at])).abs());
            }
            // Where colours are coarse, smoothing has gone over the edges of the means.
            let most = if case.sampling.iter().all(|of| *of == (1, 1)) { 4.0 } else { 40.0 };
            assert!(worst <= most, "{name} {scale:?}: {worst}");
        }
    }
}

#[test]
fn parts_are_cut_from_the_whole_with_checkpoints_and_without() {
    for (name, case) in cases().into_iter().rev().skip(2) {
        let file = case.file();
        let checkpoints = open(&file).unwrap().walk().unwrap().checkpoints().unwrap();
        for scale in SCALES {
            let all = whole(&file, scale).unwrap();
            let jpeg = open(&file).unwrap();
            let ((width, height), channels) = (jpeg.size(scale), jpeg.channels().count());
            for (x, y, right, bottom) in
                [(0, 0, 1, 1), (1, 1, 2, 2), (1, 3, 5, 5), (2, 1, 3, 4), (4, 4, 5, 5)]
            {
                let (x, y) = (width * x / 5, height * y / 5);
                let (right, bottom) = ((width * right / 5).max(x + 1), (height * bottom / 5).max(y + 1));
                let window = Rect { x, y, width: right - x, height: bottom - y };
                let expected = cut(&all, width, channels, window);
                let plain = open(&file).unwrap();
                let hinted = open(&file).unwrap().with_checkpoints(checkpoints.clone());
                for jpeg in [plain, hinted] {
                    let found = collect(jpeg.rows(scale, window).unwrap()).unwrap().0;
                    assert!(found == expected, "{name} {scale:?} {window:?}");
                }
            }
        }
    }
}

/// Whichever way the units were passed, and whether any were drawn.
#[test]
fn checkpoints_depend_on_the_file_alone() {
    for (name, case) in cases().into_iter().filter(|(_, case)| case.interval == 0) {
        let file = case.file();
        let walked = open(&file).unwrap().walk().unwrap().checkpoints();
        let drawn = collect(all_rows(open(&file).unwrap(), Scale::Full).unwrap()).unwrap().1;
        assert!(walked.is_some());
        assert_eq!(walked, drawn, "{name}");
    }
}

/// Reads with a checkpoint do not touch what lies in front of it.
#[test]
fn a_checkpoint_saves_the_way() {
    let file = Case::colours(2, 2).sized(64, 2000).file();
    let checkpoints = open(&file).unwrap().walk().unwrap().checkpoints().unwrap();
    let window = Rect { x: 10, y: 1900, width: 40, height: 50 };
    let expected = collect(open(&file).unwrap().rows(Scale::Full, window).unwrap()).unwrap().0;
    let mut damaged = file.clone();
    damaged[1000..file.len() / 2].fill(0);
    assert!(collect(open(&damaged).unwrap().rows(Scale::Full, window).unwrap()).is_err());
    let jpeg = open(&damaged).unwrap().with_checkpoints(checkpoints);
    assert!(collect(jpeg.rows(Scale::Full, window).unwrap()).unwrap().0 == expected);
}

#[test]
fn a_window_beyond_the_picture_is_refused() {
    let file = Case::colours(2, 2).file();
    for (x, y, width, height) in [(0, 0, 132, 1), (131, 0, 1, 1), (0, 0, 0, 5), (u32::MAX, 0, 2, 1)] {
        assert!(open(&file).unwrap().rows(Scale::Full, Rect { x, y, width, height }).is_err());
    }
}

#[test]
fn what_cannot_come_row_by_row_is_unsupported() {
    let pixels = picture(40, 40, 3);
    let encoder = || Encoder::new(&pixels, 40, 40, PixelFormat::Rgb);
    let several = Case::colours(3, 1).file();
    let mut deep = Case::colours(1, 1).file();
    let at = deep.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    deep[at + 4] = 12;
    for (name, file) in [
        ("progressive", encoder().progressive(true).encode().unwrap()),
        ("arithmetic", encoder().arithmetic(true).encode().unwrap()),
        ("thirds", several),
        ("12 bits", deep),
    ] {
        assert!(matches!(open(&file), Err(ImagingError::Unsupported { .. })), "{name}");
    }
}

/// Wherever the file was cut, and though an end marker was put there.
#[test]
fn scans_that_end_early_are_broken_at_every_scale() {
    for name in ["4:2:0", "grey", "cmyk", "restarts in a row", "restarts over rows"] {
        let (_, case) = cases().into_iter().find(|(of, _)| *of == name).unwrap();
        let file = case.file();
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        // The last byte may be padding.
        let ends = [(&[][..], file.len() - 1), (&[0xff, 0xd9], file.len() - 3)];
        for (end, length) in
            ends.iter().flat_map(|(end, to)| (scan..*to).rev().step_by(499).map(move |at| (end, at)))
        {
            {
                let cut = [&file[..length], end].concat();
                for scale in SCALES {
                    let found = whole(&cut, scale);
                    assert!(
                        matches!(found, Err(ImagingError::Broken(_))),
                        "{name} {scale:?} of {length} bytes"
                    );
                }
            }
        }
    }
}

#[test]
fn a_frame_that_lies_is_broken() {
    for name in ["4:2:0", "grey", "cmyk", "restarts in a row"] {
        let (_, case) = cases().into_iter().find(|(of, _)| *of == name).unwrap();
        let mut file = case.file();
        let at = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        for (width, height) in [(300_u16, 77_u16), (131, 200), (65_535, 65_535)] {
            file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
            file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
            assert!(matches!(open(&file).unwrap().walk(), Err(ImagingError::Broken(_))), "{name}");
        }
    }
}

#[test]
fn rubbish_that_libjpeg_passes_over_is_passed_over() {
    let file = Case::colours(2, 2).restarting(7).file();
    let expected = whole(&file, Scale::Full).unwrap();
    let restart = file.windows(2).position(|pair| pair == [0xff, 0xd0]).unwrap();
    let tables = file.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    let with = |at: usize, more: &[u8]| [&file[..at], more, &file[at..]].concat();
    for (name, file) in [
        ("behind the picture", with(file.len(), b"\0\0and so on")),
        ("fill in front of a marker", with(2, &[0xff; 9])),
        ("strays between markers", with(tables, b"stray\xff\0")),
        ("fill in front of a restart", with(restart, &[0xff; 300_000])),
        ("bytes in front of a restart", with(restart, &[1, 2, 3])),
    ] {
        assert!(whole(&file, Scale::Full).unwrap() == expected, "{name}");
    }
}

#[test]
fn a_lost_restart_is_broken() {
    let file = Case::colours(2, 2).restarting(7).file();
    let of = |number: u8| file.windows(2).position(|pair| pair == [0xff, 0xd0 | number]).unwrap();
    let lost = [&file[..of(2)], &file[of(3)..]].concat();
    assert!(matches!(whole(&lost, Scale::Full), Err(ImagingError::Broken(_))));
}

#[test]
fn after_an_error_nothing_comes() {
    let file = Case::colours(2, 2).file();
    let mut reader = all_rows(open(&file[..file.len() / 2]).unwrap(), Scale::Full).unwrap();
    let mut rows = Vec::new();
    while let Ok(more) = reader.next_rows(&mut rows) {
        assert!(more.is_some());
    }
    assert!(matches!(reader.next_rows(&mut rows), Ok(None)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn damage_never_panics(
        case in 0..cases().len() - 2,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        in_header: bool,
    ) {
        let mut file = cases()[case].1.file();
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        let range = if in_header { 0..scan + 14 } else { 0..file.len() };
        for (at, byte) in changes {
            file[at.index(range.len())] = byte;
        }
        fuzz::fuzz(&file);
    }

    #[test]
    fn wrong_checkpoints_never_panic(
        case in 0..cases().len() - 2,
        offset: u64, near in 0..5000_u64, bit: u8, unit in 0..2000_u32, left: u16, latest: [i16; 4],
    ) {
        let file = cases()[case].1.file();
        for offset in [offset, near] {
            let checkpoints = Checkpoints([Checkpoint { offset, bit, unit, left, latest }].into());
            let _ = open(&file).unwrap().with_checkpoints(checkpoints.clone()).walk();
            let jpeg = open(&file).unwrap().with_checkpoints(checkpoints);
            let _ = collect(all_rows(jpeg, Scale::Full).unwrap());
        }
    }
}
