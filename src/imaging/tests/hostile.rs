//! Files that are cut short, damaged or made to hurt.

use std::fs::read_dir;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn names(folder: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(folder);
    let entries = read_dir(path).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| format!("{folder}{}", entry.file_name().display())).collect();
    names.retain(|name| !name.ends_with(".py"));
    names.sort();
    names
}

/// Limits that a hostile file must not get past, far below what these files claim.
const NARROW: Limits = Limits { memory: 64 << 20, max_pixels: 10_000_000_000 };

/// The whole picture in a small answer: everything must be read.
fn try_all(file: &[u8], limits: &Limits) -> Result<Vec<u8>, ImagingError> {
    let header = header(&mut Cursor::new(file), limits)?;
    let job = Job { width: 20, height: 10, ..whole(&header) };
    made_within(file, &job, limits)
}

#[test]
fn hostile_files_are_refused_with_a_sentence() {
    let messages: Vec<String> = names("broken/")
        .iter()
        .filter(|name| !["profile-bomb", "loop", "1x1"].iter().any(|harmless| name.contains(harmless)))
        .map(|name| match try_all(&fixture(name), &NARROW) {
            Ok(_) => format!("{name}: accepted"),
            Err(error) => format!("{name}: {error}"),
        })
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r"
    broken/empty.tif: the master is broken: the file ends early
    broken/gif-65535.gif: the work on this picture is too large: 34359740428 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/gif-frame.gif: the master is broken: its first frame is larger than its canvas
    broken/jp2-100000.j2k: the work on this picture is too large: 6249333530 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/jp2-blocks.j2k: the master is broken: a JPEG 2000 of 5 levels, with blocks of 2^(8+2)x2^(8+2)
    broken/jp2-box.jp2: the master is broken: a box `colr` of a wrong length at byte 40
    broken/jp2-comments.j2k: the master is broken: a JPEG 2000 without tiles
    broken/jp2-levels.j2k: the master is broken: a JPEG 2000 of 255 levels, with blocks of 2^(4+2)x2^(4+2)
    broken/jp2-long-box.jp2: the master is broken: a box `colr` of a wrong length at byte 40
    broken/jp2-missing-tile.j2k: the master is broken: 1 tiles, 2 expected
    broken/jp2-no-codestream.jp2: the master is broken: the file ends early
    broken/jp2-no-tile.j2k: the master is broken: a JPEG 2000 from 0,0 to 96,64 in tiles of 0x0 from 0,0
    broken/jp2-nothing.j2k: the master is broken: a JPEG 2000 from 0,0 to 0,0 in tiles of 96x64 from 0,0
    broken/jp2-offset.j2k: the master is broken: a JPEG 2000 from 96,64 to 96,64 in tiles of 96x64 from 0,0
    broken/jp2-other-tile.j2k: the master is broken: part 0 is of tile 1, of 1
    broken/jp2-palette.jp2: the master is broken: a palette that is longer than its box
    broken/jp2-precincts.j2k: the work on this picture is too large: 2879582839584 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/jp2-specks.j2k: the master is broken: a JPEG 2000 of 10000000000 tiles, at most 65535 expected
    broken/jpeg-65535.jpg: the work on this picture is too large: 212635128 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/jpeg-scans.jpg: the master is broken: a JPEG of more than 100 scans
    broken/not-a-picture.jpg: a file that is no JPEG, JPEG 2000, PNG, TIFF, WebP, GIF or PDF is not supported
    broken/png-100000.png: the work on this picture is too large: 30018613408 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/png-bomb.png: the work on this picture is too large: 911827776 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/png-no-pixels.png: the master is broken: a PNG without pixels
    broken/tiff-100000.tif: the work on this picture is too large: 10009119680 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/tiff-no-strips.tif: the master is broken: a TIFF without a table of strips or tiles
    broken/tiff-nowhere.tif: the master is broken: the file ends early
    broken/tiff-samples.tif: the master is broken: 60000 samples in a pixel of 1 colours
    broken/tiff-table.tif: the work on this picture is too large: 4008525680 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/tiff-wide-tile.tif: the work on this picture is too large: 25778323550 bytes of memory, at most 67108864 allowed (three quarters of `limits.memory`)
    broken/webp-canvas.webp: the master is broken: a WebP picture of another size than its canvas
    ");
}

/// What is looked at again after every piece must be little, or a megabyte of it takes minutes.
#[test]
fn files_of_nothing_but_markers_are_soon_given_up() {
    let jpeg = b"\xff\xd8".as_slice();
    let png = &fixture("rgb.png")[..33];
    let webp = b"RIFF\0\0\x10\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x07\0\0\x07\0\0".as_slice();
    let exif = [b"\0\0\0\x1aeXIf".as_slice(), b"II*\0\x08\0\0\0\0\0", &[0; 20]].concat();
    let no_jpeg = "a JPEG without pixels";
    let many = "a PNG of more than 1000 chunks in front of its pixels";
    for (name, start, pattern, expected) in [
        ("fill bytes", jpeg, b"\xff".as_slice(), no_jpeg),
        ("restarts", jpeg, b"\xff\xd0", no_jpeg),
        ("empty segments", jpeg, b"\xff\xe0\x00\x02", no_jpeg),
        (
            "segments after fill",
            jpeg,
            &[b"\xff".repeat(60).as_slice(), b"\xff\xe0\x00\x02"].concat(),
            no_jpeg,
        ),
        ("empty texts", png, b"\0\0\0\0tEXt\0\0\0\0", many),
        ("orientations", png, &exif, many),
        ("unknown chunks", webp, b"junk\0\0\0\0", "a WebP without pixels"),
    ] {
        let file = [start, &pattern.repeat((1 << 20) / pattern.len())].concat();
        let mut parts = Parts::default();
        parts.add(0..128 << 10, file[..128 << 10].to_vec());
        let told = sniff(&parts).map_err(|error| error.to_string());
        assert_eq!(told, Err(format!("the master is broken: {expected}")), "{name}");
    }
}

/// As libjpeg does, whichever decoder it is for.
#[test]
fn strays_between_segments_are_passed_over() {
    for name in ["baseline.jpg", "progressive.jpg", "cmyk-adobe.jpg", "sampled/2x2-separate.jpg"] {
        let file = fixture(name);
        let expected = made(&file, &whole(&header_of(&file).unwrap())).unwrap();
        let tables = file.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
        let frame = file.windows(2).position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2])).unwrap();
        for at in [tables, frame] {
            for strays in [b"stray\xff\0".as_slice(), &[0xff; 99], &[0; 60_000], b"\xff\xd3\xff\x01"] {
                let strewn = [&file[..at], strays, &file[at..]].concat();
                let found = header_of(&strewn).and_then(|header| made(&strewn, &whole(&header)));
                assert!(found.unwrap() == expected, "{name} at {at}");
            }
        }
        let strewn = [&file[..tables], &[0; 70_000], &file[tables..]].concat();
        assert!(matches!(header_of(&strewn), Err(ImagingError::Broken(_))), "{name}");
    }
}

/// Each of these segments is gone to by itself.
#[test]
fn metadata_may_be_long() {
    let file = fixture("baseline.jpg");
    let segment = [b"\xff\xe5".as_slice(), &5000_u16.to_be_bytes(), &[7; 4998]].concat();
    let header = header_of(&[&file[..2], &segment.repeat(1100), &file[2..]].concat()).unwrap();
    assert_eq!((header.width, header.height), (96, 64));
}

/// The first EXIF block counts; pixels tell enough where no end of the chunks behind them is in sight.
#[test]
fn what_is_said_again_and_again_is_heard_once() {
    let file = fixture("orientation-6.png");
    let at = file.windows(4).position(|kind| kind == b"eXIf").unwrap() - 4;
    let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize + 12;
    let mut second = file[at..at + length].to_vec();
    let value =
        second.windows(4).position(|tag| tag == [0x01, 0x12, 0, 3] || tag == [0x12, 0x01, 3, 0]).unwrap();
    second[value + 8..value + 12].iter_mut().for_each(|byte| *byte = if *byte == 6 { 1 } else { *byte });
    let twice = [&file[..at + length], &second, &file[at + length..]].concat();
    assert_eq!(header_of(&twice).unwrap().orientation, header_of(&file).unwrap().orientation);

    let file = fixture("orientation-6.webp");
    let at = file.windows(4).position(|kind| kind == b"EXIF").unwrap();
    let crowded = [&file[..at], &b"junk\0\0\0\0".repeat(2000), &file[at..]].concat();
    let header = header_of(&crowded).unwrap();
    assert_eq!((header.width, header.height), header.stored());
}

/// Tiles of a pixel each: looking them up takes longer than their pixels are worth.
#[test]
fn tiffs_of_specks_are_refused() {
    let specks = |side: u32| {
        let count = side * side;
        tiff_of(&[
            (256, 1, side),
            (257, 1, side),
            (258, 1, 8),
            (259, 1, 1),
            (262, 1, 1),
            (277, 1, 1),
            (322, 1, 1),
            (323, 1, 1),
            (324, count, 1000),
            (325, count, 1000),
        ])
    };
    let header = header_of(&specks(2000)).unwrap();
    let message = "the work on this picture is too large: 4000000 strips or tiles, at most 1000000 allowed (a few seconds of work)";
    let job = Job { width: 64, height: 64, ..whole(&header) };
    let limits = Limits::default();
    assert_eq!(admit(&header, &job, &limits).unwrap_err().to_string(), message);
    assert_eq!(check(&header, 512, &limits).unwrap_err().to_string(), message);
    let bands = decode::bands(Box::new(Cursor::new(specks(2000))), &header, &limits, &Hints::new(&header));
    assert_eq!(bands.err().unwrap().to_string(), message);
    let part = Rect { x: 1000, y: 1000, width: 800, height: 800 };
    assert!(admit(&header, &Job { crop: part, ..job }, &limits).is_ok());
    check(&header_of(&specks(1000)).unwrap(), 512, &limits).unwrap();
}

/// What cannot be drawn has no description either: viewers would be promised pictures.
#[test]
fn masters_that_cannot_be_drawn_are_refused_at_the_header() {
    let refusals = names("foreign/").into_iter().map(|name| {
        let told = sniff(&Parts::whole(fixture(&name))).unwrap_err().to_string();
        assert_eq!(header_of(&fixture(&name)).unwrap_err().to_string(), told, "{name}");
        format!("{name}: {told}")
    });
    insta::assert_snapshot!(refusals.collect::<Vec<_>>().join("\n"), @r"
    foreign/12-bits.tif: TIFF with samples of 12 bits is not supported
    foreign/32-bits.tif: TIFF with samples of 32 bits is not supported
    foreign/coarse-colours.tif: TIFF with colours coarser than the light, without JPEG is not supported
    foreign/components.j2k: JPEG 2000 of 5 components (1 to 4 are) is not supported
    foreign/deep-jpeg.tif: TIFF with samples of 12 bits is not supported
    foreign/deep.j2k: JPEG 2000 with samples of 24 bits is not supported
    foreign/extension.j2k: JPEG 2000 with marker ff74 is not supported
    foreign/float-predictor.tif: TIFF with predictor 3 is not supported
    foreign/float.tif: TIFF with samples that are signed or floating-point numbers is not supported
    foreign/group-3.tif: TIFF with CCITT group 3 compression is not supported
    foreign/huffman.tif: TIFF with CCITT group 3 compression is not supported
    foreign/jpeg-2000.tif: TIFF with JPEG 2000 compression is not supported
    foreign/lab-profile.jp2: JPEG 2000 with a profile for `Lab ` is not supported
    foreign/lab.jp2: JPEG 2000 with colour space 14 is not supported
    foreign/lab.tif: TIFF with L*a*b* colours is not supported
    foreign/layers.j2k: JPEG 2000 of 40 layers is not supported
    foreign/log.tif: TIFF with photometric 32845 is not supported
    foreign/multiplied.jp2: JPEG 2000 with colours that were multiplied by alpha is not supported
    foreign/old-jpeg.tif: TIFF with JPEG compression of the old style is not supported
    foreign/packed-headers.j2k: JPEG 2000 with headers of packets in front of all tiles is not supported
    foreign/sampling.j2k: JPEG 2000 with such sampling factors is not supported
    foreign/signed.j2k: JPEG 2000 with samples that are signed numbers is not supported
    foreign/signed.tif: TIFF with samples that are signed or floating-point numbers is not supported
    foreign/throughput-blocks.j2k: JPEG 2000 with coding of high throughput is not supported
    foreign/throughput.j2k: JPEG 2000 with coding of high throughput is not supported
    foreign/webp.tif: TIFF with WebP compression is not supported
    foreign/wide-palette.jp2: a palette of 5 columns is not supported
    foreign/zstandard.tif: TIFF with Zstandard compression is not supported
    ");
}

/// Directories in a circle, a profile of 64 MiB of zeros in a few bytes, more data than the frame
/// takes: the picture itself is fine.
#[test]
fn what_is_not_needed_is_passed_over() {
    let header = header_of(&fixture("broken/tiff-loop.tif")).unwrap();
    assert_eq!(header.offer().levels.len(), 1);
    assert!(try_all(&fixture("broken/jpeg-1x1.jpg"), &NARROW).is_ok());
    let bomb = fixture("broken/png-profile-bomb.png");
    let picture = pixels(&made(&bomb, &whole(&header_of(&bomb).unwrap())).unwrap());
    assert_eq!(colour_at(&picture, (50, 50)), [200, 100, 50]);
}

#[test]
fn a_size_beyond_the_limit_is_told_from_the_header() {
    let limits = Limits { max_pixels: 96 * 64 - 1, ..NARROW };
    for name in ["baseline.jpg", "rgb.png", "none.tif", "lossy.webp", "plain.gif", "plain.j2k"] {
        let found = header(&mut Cursor::new(fixture(name)), &limits);
        assert!(matches!(found, Err(ImagingError::TooLarge { .. })), "{name}");
    }
}

/// A file cut short gives an error or, where the cut took nothing that the picture needs, all of it.
#[test]
fn files_cut_short_never_give_half_a_picture() {
    for name in names("") {
        let file = fixture(&name);
        let complete = pixels(&made(&file, &whole(&header_of(&file).unwrap())).unwrap());
        let lengths =
            (0..40).map(|n| file.len() * n / 40).chain((1..12).map(|n| file.len().saturating_sub(n)));
        for length in lengths {
            let cut = &file[..length];
            let Ok(header) = header_of(cut) else { continue };
            let Ok(answer) = made(cut, &whole(&header)) else { continue };
            let picture = pixels(&answer);
            assert!(picture == complete, "{name} cut to {length} of {} bytes", file.len());
        }
    }
}

#[test]
fn jpegs_without_their_end_are_refused() {
    for name in ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk-adobe.jpg", "restarts.jpg"] {
        let file = fixture(name);
        for length in [file.len() - 2, file.len() - 1, file.len() - 20] {
            for scale in [1, 2, 8] {
                let header = header_of(&file).unwrap();
                let job = Job { width: 96 / scale, height: 64 / scale, ..whole(&header) };
                let answer = made(&file[..length], &job);
                assert!(matches!(answer, Err(ImagingError::Broken(_))), "{name} cut to {length}, 1/{scale}");
            }
        }
    }
}

/// The frame header claims far more than the scans can hold, though the end marker is there.
#[test]
fn jpegs_that_lie_about_their_size_are_refused() {
    for (name, marker) in [("baseline.jpg", 0xc0), ("grey.jpg", 0xc0), ("full-chroma.jpg", 0xc0)] {
        for (width, height, scale) in [(2048_u16, 2048_u16, 1), (2048, 2048, 8)] {
            let mut file = fixture(name);
            let at = file.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
            file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
            file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
            let header = header_of(&file).unwrap();
            let job = Job { width: header.width / scale, height: header.height / scale, ..whole(&header) };
            let answer = made(&file, &job);
            assert!(matches!(answer, Err(ImagingError::Broken(_))), "{name} as {width}x{height}, 1/{scale}");
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let mut random = SmallRng::seed_from_u64(3);
    for name in names("").into_iter().chain(names("broken/")) {
        let file = fixture(&name);
        for _ in 0..60 {
            let mut damaged = file.clone();
            for _ in 0..random.random_range(1..6) {
                // Headers are where the decisions are; pixels are most of the bytes.
                let reach = if random.random() { file.len() } else { file.len().min(200) };
                if reach > 0 {
                    damaged[random.random_range(0..reach)] = random.random();
                }
            }
            let _ = try_all(&damaged, &NARROW);
        }
    }
}

/// Whatever is missing from the beginning of a file, a caller that obeys gets the same header.
#[test]
fn a_header_is_told_from_ranges() {
    for name in names("") {
        let file = fixture(&name);
        let known = header_of(&file).unwrap();
        for first in [1, 16, 100, 1 << 20] {
            let read = |range: std::ops::Range<u64>| {
                let end = range.end.min(file.len() as u64) as usize;
                file.get(range.start as usize..end).unwrap_or_default().to_vec()
            };
            let mut parts = Parts::default();
            parts.add(0..first, read(0..first));
            let mut asked = 0;
            let told = loop {
                match sniff(&parts).unwrap() {
                    Sniff::Known(header) => break header,
                    Sniff::Need(range) => parts.add(range.clone(), read(range)),
                    Sniff::NeedAll => panic!("{name}: a PDF?"),
                }
                asked += 1;
            };
            assert!(asked < 30, "{name}: asked {asked} times");
            let essence = |header: &Header| (header.kind, header.width, header.height, header.tone);
            assert_eq!(essence(&told), essence(&known), "{name}");
        }
    }
}
