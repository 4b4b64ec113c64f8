//! Pyramids: what they hold, and what is drawn from them, beside what is drawn from their masters.

use std::io;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::kinds::ORDINARY;
use super::*;
use crate::imaging::orient::Orientation;
use crate::imaging::pyramid::{self, Entry, Pyramid, Shape, Spec, Stored};

impl Stored for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        let from = self.get(at as usize..at as usize + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(from);
        Ok(())
    }
}

const QUALITY: u8 = 80;

fn spec(header: &Header, tile: u32) -> Spec {
    let shape = Shape { width: header.width, height: header.height, tile };
    Spec { shape, quality: QUALITY, name: "maps/a/1".into() }
}

fn built(master: &[u8], tile: u32) -> (Pyramid, Vec<u8>) {
    let header = header_of(master).unwrap();
    let mut file = Vec::new();
    let built = pyramid::build(
        Box::new(Cursor::new(master.to_vec())),
        &header,
        spec(&header, tile),
        &Limits::default(),
        &Hints::new(&header),
        &mut file,
        || Ok(()),
    );
    let opened = Pyramid::open(&file, &spec(&header, tile)).unwrap().unwrap();
    assert_eq!(built.unwrap(), opened);
    (opened, file)
}

fn stored(file: &[u8], entry: Entry) -> &[u8] {
    let range = entry.range();
    let bytes = &file[range.start as usize..range.end as usize];
    entry.check(bytes).unwrap();
    bytes
}

/// A picture with edges and slopes in all colours, and with grain.
pub(super) fn photograph(width: u32, height: u32, grain: i32) -> Vec<u8> {
    let mut state = 7_u32;
    let mut data = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 24) as i32 * grain / 256 - grain / 2;
        let wave = ((f64::from(x) / 37.0).sin() * 60.0 + (f64::from(y) / 23.0).cos() * 50.0) as i32;
        let disc = if (x % 160).abs_diff(80).pow(2) + (y % 120).abs_diff(60).pow(2) < 900 { 40 } else { 0 };
        let shade = |base: i32| (base + wave + disc + noise).clamp(0, 255) as u8;
        let tint = ((f64::from(x + 2 * y) / 61.0).sin() * 20.0) as i32;
        data.extend([shade(128 + tint), shade(110), shade(140 - disc - tint)]);
    }
    let picture = Pixels::new(width, height, Channels::Rgb, data).unwrap();
    let header = header_of(&fixture("rgb.png")).unwrap();
    encode::encode(picture, &Job { format: Format::Png, ..whole(&header) }).unwrap()
}

/// The picture divided by two, each pixel the mean of those that it stands for.
fn half(picture: &Pixels) -> Pixels {
    let (width, height, count) = (picture.width(), picture.height(), picture.channels().count());
    let at = |x: u32, y: u32, sample: usize| {
        let at = (y.min(height - 1) * width + x.min(width - 1)) as usize * count + sample;
        u32::from(picture.data()[at])
    };
    let mut data = Vec::new();
    for (y, x) in (0..height.div_ceil(2)).flat_map(|y| (0..width.div_ceil(2)).map(move |x| (2 * y, 2 * x))) {
        let mean = |s| (at(x, y, s) + at(x + 1, y, s) + at(x, y + 1, s) + at(x + 1, y + 1, s) + 2) / 4;
        data.extend((0..count).map(|sample| mean(sample) as u8));
    }
    Pixels::new(width.div_ceil(2), height.div_ceil(2), picture.channels(), data).unwrap()
}

/// Peak signal-to-noise ratio in decibels.
fn likeness(a: &Pixels, b: &Pixels) -> f64 {
    assert_eq!((a.width(), a.height(), a.channels()), (b.width(), b.height(), b.channels()));
    let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
    let error = a.data().iter().zip(b.data()).map(square).sum::<f64>() / a.data().len() as f64;
    if error == 0.0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 / error).log10() }
}

/// What lies beside a tile counts for its edge: tiles that are put together show no seams.
#[test]
fn scaled_parts_are_those_of_the_whole() {
    let master = photograph(600, 400, 60);
    let header = header_of(&master).unwrap();
    let png = made(&master, &whole(&header)).unwrap();
    let tif = made(&master, &Job { format: Format::Tif, ..whole(&header) }).unwrap();
    let (pyramid, file) = built(&master, 64);
    for (name, scale) in [("half", 2), ("a quarter", 4), ("an eighth", 8)] {
        let small = Job { width: 600 / scale, height: 400 / scale, ..whole(&header) };
        let crop = Rect { x: 200, y: 160, width: 160, height: 80 };
        let part = Job { crop, width: 160 / scale, height: 80 / scale, ..small };
        let place = Rect { x: crop.x / scale, y: crop.y / scale, width: part.width, height: part.height };
        let both = |draw: &dyn Fn(&Job) -> Vec<u8>| (pixels(&draw(&part)), pixels(&draw(&small)).cut(place));
        for (kind, master) in [("png", &png), ("tif", &tif), ("jpg", &master)] {
            let (part, all) = both(&|job| made(master, job).unwrap());
            assert_alike(&format!("{kind}, {name}"), 1, &part, &all);
        }
        // Off the levels of the pyramid, so that it is scaled.
        let at = |side: u32| side * 6 / 5 / scale;
        let small = Job { width: at(600), height: at(400), ..small };
        let part = Job { width: at(crop.width), height: at(crop.height), ..part };
        let place = Rect { x: at(crop.x), y: at(crop.y), width: part.width, height: part.height };
        let draw = |job: &Job| pixels(&pyramid::redraw(&pyramid, &file, job, &Limits::default()).unwrap());
        // A whole level is a JPEG of its own, a part comes from its tiles: they are rounded twice.
        assert_alike(&format!("tiles, {name}"), 4, &draw(&part), &draw(&small).cut(place));
    }
}

#[track_caller]
fn assert_alike(name: &str, levels: u8, a: &Pixels, b: &Pixels) {
    assert_eq!((a.width(), a.height(), a.channels()), (b.width(), b.height(), b.channels()), "{name}");
    let most = a.data().iter().zip(b.data()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(levels), "{name}: {most:?} levels off");
}

/// All requests that a viewer makes which keeps to the grid.
fn on_the_grid((width, height): (u32, u32), tile: u32) -> Vec<(u32, Rect, (u32, u32))> {
    let mut jobs = Vec::new();
    for level in 0..8 {
        let side = tile << level;
        for (y, x) in (0..height)
            .step_by(side as usize)
            .flat_map(|y| (0..width).step_by(side as usize).map(move |x| (y, x)))
        {
            let crop = Rect { x, y, width: side.min(width - x), height: side.min(height - y) };
            jobs.push((level, crop, (crop.width.div_ceil(1 << level), crop.height.div_ceil(1 << level))));
        }
        if side >= width.max(height) {
            break;
        }
    }
    jobs
}

fn plain(header: &Header, crop: Rect, (width, height): (u32, u32)) -> Job {
    Job { crop, width, height, format: Format::Jpg, jpeg_quality: QUALITY, ..whole(header) }
}

/// Holds every tile against the master's pixels, averaged and encoded the straight way.
fn assert_tiles(name: &str, master: &[u8], tile: u32) {
    let (pyramid, file) = built(master, tile);
    let header = header_of(master).unwrap();
    let mut level = (0, pixels(&made(master, &whole(&header)).unwrap()).on_white());
    for (wanted, crop, output) in on_the_grid((header.width, header.height), tile) {
        while level.0 < wanted {
            level = (level.0 + 1, half(&level.1));
        }
        let job = plain(&header, crop, output);
        let entry = pyramid.find(&job).unwrap_or_else(|| panic!("{name}: no tile {crop:?} {output:?}"));
        let found = pixels(stored(&file, entry));
        let at = |side: u32| side >> wanted;
        let cut =
            level.1.clone().cut(Rect { x: at(crop.x), y: at(crop.y), width: output.0, height: output.1 });
        let straight = pixels(&encode::encode(cut, &job).unwrap());
        let likeness = likeness(&found, &straight);
        assert!(likeness >= 45.0, "{name}: {likeness} dB at {crop:?} {output:?}");
    }
}

#[test]
fn tiles_of_every_kind_of_master_are_those_of_the_straight_way() {
    for (name, _) in ORDINARY.iter().chain(&[("alpha.png", COLOURS)]) {
        assert_tiles(name, &fixture(name), 16);
    }
}

#[test]
fn tiles_of_a_large_picture_are_those_of_the_straight_way() {
    let master = photograph(1501, 1103, 30);
    for tile in [256, 512] {
        assert_tiles("photograph", &master, tile);
    }
}

#[test]
fn listed_sizes_lie_in_the_file_in_one_piece() {
    let master = photograph(2300, 901, 30);
    let (pyramid, file) = built(&master, 256);
    let header = header_of(&master).unwrap();
    let crop = Rect { x: 0, y: 0, width: 2300, height: 901 };
    let mut straight = pixels(&master);
    for size in [(1150, 451), (575, 226), (288, 113), (144, 57)] {
        straight = half(&straight);
        let job = plain(&header, crop, size);
        let found = pixels(stored(&file, pyramid.find(&job).unwrap()));
        let likeness = likeness(&found, &pixels(&encode::encode(straight.clone(), &job).unwrap()));
        assert!(likeness >= 45.0, "{size:?}: {likeness} dB");
    }
    for other in [
        plain(&header, crop, (2300, 901)),
        plain(&header, crop, (575, 225)),
        Job { jpeg_quality: 81, ..plain(&header, crop, (575, 226)) },
        Job { format: Format::Png, ..plain(&header, crop, (575, 226)) },
        Job { quality: Quality::Gray, ..plain(&header, crop, (575, 226)) },
        Job { rotation: Rotation { mirror: true, degrees: 0.0 }, ..plain(&header, crop, (575, 226)) },
    ] {
        assert_eq!(pyramid.find(&other), None, "{other:?}");
    }
}

#[test]
fn the_thumbnail_lies_in_the_file_whichever_way_up_the_master_is() {
    let master = photograph(1301, 907, 10);
    let header = header_of(&master).unwrap();
    for orientation in (1..=8).map(Orientation::from_exif) {
        let (width, height) = orientation.size(1301, 907);
        let header = Header { orientation, width, height, ..header.clone() };
        let (spec, mut file) = (spec(&header, 256), Vec::new());
        let reader = Box::new(Cursor::new(master.clone()));
        let (limits, hints) = (Limits::default(), Hints::new(&header));
        let pyramid = pyramid::build(reader, &header, spec, &limits, &hints, &mut file, || Ok(())).unwrap();
        let size = if width > height { (400, 279) } else { (279, 400) };
        let job = plain(&header, Rect { x: 0, y: 0, width, height }, size);
        let found = pixels(stored(&file, pyramid.find(&job).unwrap()));
        let lossless = Job { format: Format::Png, ..job };
        let drawn = pixels(&pyramid::redraw(&pyramid, &file, &lossless, &limits).unwrap());
        let likeness = likeness(&found, &drawn);
        assert!(likeness >= 34.0, "{orientation:?}: {likeness} dB");
    }
}

/// Requests off the grid, of any size: like those of the master, except for the grain that the tiles have lost.
#[test]
fn what_is_drawn_from_tiles_is_like_what_is_drawn_from_the_master() {
    for (grain, least) in [(30, 31.0), (0, 34.0)] {
        let master = photograph(1301, 907, grain);
        let header = header_of(&master).unwrap();
        let pyramids = [256, 512].map(|tile| built(&master, tile));
        let part = |from: f64, length: f64, whole: u32| {
            let start = (from * f64::from(whole - 64)) as u32;
            (start, 64 + (length * f64::from(whole - 64 - start)) as u32)
        };
        let numbers = (0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0);
        let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
        let outcome = runner.run(&(numbers, 0.05f64..1.3), |((x, y, across, down), scale)| {
            let ((x, width), (y, height)) = (part(x, across, header.width), part(y, down, header.height));
            // Of a handful of pixels a likeness says nothing.
            let side = |length: u32| ((f64::from(length) * scale) as u32).max(16);
            let crop = Rect { x, y, width, height };
            let job = Job { format: Format::Png, ..plain(&header, crop, (side(width), side(height))) };
            let straight = pixels(&made(&master, &job).unwrap());
            for (pyramid, file) in &pyramids {
                let drawn = pyramid::redraw(pyramid, file, &job, &Limits::default()).unwrap();
                let likeness = likeness(&pixels(&drawn), &straight);
                prop_assert!(likeness >= least, "{} dB, {:?}", likeness, job);
            }
            Ok(())
        });
        outcome.unwrap();
    }
}

#[test]
fn a_master_that_changed_or_is_cut_gives_no_pyramid() {
    let master = fixture("baseline.jpg");
    let spec = spec(&header_of(&fixture("rgb.png")).unwrap(), 16);
    let build = |master: &[u8], spec: Spec| {
        let header = header_of(&fixture("baseline.jpg")).unwrap();
        let hints = Hints::new(&header);
        let master = Box::new(Cursor::new(master.to_vec()));
        pyramid::build(master, &header, spec, &Limits::default(), &hints, &mut Vec::new(), || Ok(()))
    };
    let other = Spec { shape: Shape { width: 95, ..spec.shape }, ..spec.clone() };
    assert!(matches!(build(&master, other), Err(ImagingError::Broken(_))));
    assert!(matches!(build(&master[..master.len() / 2], spec), Err(ImagingError::Broken(_))));
}

/// The work stops where it is told to.
#[test]
fn a_build_can_be_given_up() {
    let master = photograph(300, 300, 0);
    let header = header_of(&master).unwrap();
    let mut bands = 0;
    let breathe = || {
        bands += 1;
        if bands == 2 { Err(ImagingError::Busy) } else { Ok(()) }
    };
    let master = Box::new(Cursor::new(master));
    let (spec, hints) = (spec(&header, 64), Hints::new(&header));
    let built = pyramid::build(master, &header, spec, &Limits::default(), &hints, &mut Vec::new(), breathe);
    assert!(matches!(built, Err(ImagingError::Busy)));
    assert_eq!(bands, 2);
}
