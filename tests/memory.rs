//! What work on pictures takes in memory, held against what is counted for it. A program of its own, as its allocator
//! counts: what is reserved and never written, and what grows for a moment beside what it was, are in it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use libjpeg_turbo_rs::{ColorSpace, Encoder, PixelFormat};
use loggia::iiif::image::geometry::Rect;
use loggia::iiif::image::quality::{Format, Quality};
use loggia::iiif::image::rotation::Rotation;
use loggia::imaging::{self, Hints, Job, Limits};
use peak_alloc::PeakAlloc;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Not a whole number of blocks, and large enough for tables and profiles to fall behind.
const SIZE: (u32, u32) = (1601, 1250);

/// One after the other: there is one count for all threads.
#[test]
fn no_work_takes_more_memory_than_is_counted_for_it() {
    let mut told = Vec::new();
    for samples in [1, 3] {
        let noise = noise(samples);
        let plain: &[u8] = tiff(samples, &noise).leak();
        let hard: &[u8] = tiff(samples, &noise.iter().map(|n| n / 128 * 255).collect::<Vec<_>>()).leak();
        for format in [Format::Jpg, Format::Png, Format::Webp, Format::Tif, Format::Gif] {
            let (file, fits) = taken(plain, &job(SIZE, format, 80));
            told.push(format!("{samples} samples to {format:?}: {fits}"));
            told.push(format!("{samples} samples from {format:?}: {}", read(file.leak())));
            told.push(format!(
                "{samples} hard samples to {format:?}: {}",
                taken(hard, &job(SIZE, format, 90)).1
            ));
        }
        for (contrast, file) in [("soft", plain), ("hard", hard)] {
            let (_, fits) = taken(file, &job(SIZE, Format::Jpg, 100));
            told.push(format!("{samples} {contrast} samples to the best JPEG: {fits}"));
        }
        told.push(format!("{samples} samples, interlaced: {}", read(interlaced(samples, &noise).leak())));
    }
    for (name, file) in jpegs() {
        told.push(format!("{name}: {}", read(file.leak())));
    }
    let short: Vec<_> = told.iter().filter(|line| line.ends_with("short")).collect();
    assert!(short.is_empty(), "{short:#?}\nof all\n{told:#?}");
}

/// What is taken to read a file, at its size, at a third and at a tenth of it.
fn read(file: &'static [u8]) -> String {
    let taken = [1, 3, 10].map(|part| taken(file, &job((SIZE.0 / part, SIZE.1 / part), Format::Jpg, 80)).1);
    let short = taken.iter().find(|taken| taken.ends_with("short"));
    short.unwrap_or(&taken[0]).clone()
}

/// An answer, and whether what it took is what was counted, in thousands of bytes.
fn taken(file: &'static [u8], job: &Job) -> (Vec<u8>, String) {
    let limits = Limits::default();
    let header = imaging::header(&mut Cursor::new(file), &limits).unwrap();
    let counted = imaging::admit(&header, job, &limits).unwrap() as usize;
    let (hints, master) = (Hints::new(&header), Box::new(Cursor::new(file)));
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let answer = imaging::render(master, &header, job, &limits, &hints).unwrap();
    let taken = MEMORY.peak_usage() - before;
    let fits = if taken <= counted { "fits" } else { "short" };
    (answer, format!("{} of {}, {fits}", taken / 1000, counted / 1000))
}

fn job((width, height): (u32, u32), format: Format, jpeg_quality: u8) -> Job {
    Job {
        crop: Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 },
        width,
        height,
        rotation: Rotation { mirror: false, degrees: 0.0 },
        quality: Quality::Default,
        format,
        jpeg_quality,
    }
}

/// Nothing is larger when it is packed.
fn noise(samples: u32) -> Vec<u8> {
    let mut noise = vec![0; (SIZE.0 * SIZE.1 * samples) as usize];
    SmallRng::seed_from_u64(11).fill_bytes(&mut noise);
    noise
}

/// As it is, in one strip.
fn tiff(samples: u32, pixels: &[u8]) -> Vec<u8> {
    let bits = if samples == 1 { 8 } else { 8 | 8 << 16 };
    let tags = [
        (256, 1, SIZE.0),
        (257, 1, SIZE.1),
        (258, samples.min(2), bits),
        (259, 1, 1),
        (262, 1, if samples == 1 { 1 } else { 2 }),
        (273, 1, 8 + 2 + 9 * 12 + 4),
        (277, 1, samples),
        (278, 1, SIZE.1),
        (279, 1, pixels.len() as u32),
    ];
    let mut file = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, count, value) in tags {
        let kind: u16 = if tag == 258 { 3 } else { 4 };
        file.extend([(tag as u16).to_le_bytes(), kind.to_le_bytes()].concat());
        file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file.extend(pixels);
    file
}

/// One for each way in which JPEGs are read.
fn jpegs() -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = (SIZE.0 as usize, SIZE.1 as usize);
    let [grey, colours, inks] = [1, 3, 4].map(noise);
    let file = |encoder: Encoder<'_>| encoder.quality(90).encode().unwrap();
    let grey = || Encoder::new(&grey, width, height, PixelFormat::Grayscale);
    let inks = || Encoder::new(&inks, width, height, PixelFormat::Cmyk).sampling_factors(vec![(1, 1); 4]);
    let sampled = |across, down| {
        let encoder = Encoder::new(&colours, width, height, PixelFormat::Rgb);
        encoder.sampling_factors(vec![(across, down), (1, 1), (1, 1)])
    };
    vec![
        ("baseline", file(sampled(2, 2))),
        ("baseline, inks", file(inks())),
        ("progressive, grey", file(grey().progressive(true))),
        ("progressive, half the colours", file(sampled(2, 2).progressive(true))),
        ("progressive, all colours", file(sampled(1, 1).progressive(true))),
        (
            "progressive, red, green and blue",
            file(sampled(1, 1).colorspace(ColorSpace::Rgb).progressive(true)),
        ),
        ("progressive, inks", file(inks().progressive(true))),
        ("a third of the colours", file(sampled(3, 1))),
        ("a scan for each component", separate(&file(grey()))),
    ]
}

/// A grey JPEG, three times in one: each component has a scan of its own.
fn separate(grey: &[u8]) -> Vec<u8> {
    let at = |marker: u8| grey.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
    let (frame, scan) = (at(0xc0), at(0xda));
    let (size, bits) = (&grey[frame + 4..frame + 9], &grey[scan + 10..grey.len() - 2]);
    let components = [3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    let mut file =
        [&grey[..frame], &[0xff, 0xc0, 0, 17], size, &components, &grey[frame + 13..scan]].concat();
    for component in 1..=3 {
        file.extend([0xff, 0xda, 0, 8, 1, component, 0, 0, 63, 0]);
        file.extend(bits);
    }
    file.extend([0xff, 0xd9]);
    file
}

/// A PNG in seven passes (*PNG, 8.2*).
fn interlaced(samples: u32, pixels: &[u8]) -> Vec<u8> {
    let passes =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
    for (left, top, across, down) in passes {
        for y in (top..SIZE.1).step_by(down) {
            packed.write_all(&[0]).unwrap();
            for x in (left..SIZE.0).step_by(across) {
                let at = ((y * SIZE.0 + x) * samples) as usize;
                packed.write_all(&pixels[at..at + samples as usize]).unwrap();
            }
        }
    }
    let kind = if samples == 1 { 0 } else { 2 };
    let head = [&SIZE.0.to_be_bytes()[..], &SIZE.1.to_be_bytes(), &[8, kind, 0, 0, 1]].concat();
    let chunk = |name: &[u8], body: &[u8]| {
        let named = [name, body].concat();
        [&(body.len() as u32).to_be_bytes()[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat()
    };
    let packed = packed.finish().unwrap();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &head), chunk(b"IDAT", &packed), chunk(b"IEND", &[])]
        .concat()
}
