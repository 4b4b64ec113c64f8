//! Every kind of master in every format, whole, cut, small, mirrored and turned.

use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Name, size, the colours of the four quarters.
pub(super) const ORDINARY: &[(&str, [[u8; 3]; 4])] = &[
    ("baseline.jpg", COLOURS),
    ("progressive.jpg", COLOURS),
    ("full-chroma.jpg", COLOURS),
    ("restarts.jpg", COLOURS),
    ("grey.jpg", GREYS),
    ("cmyk-adobe.jpg", COLOURS),
    ("cmyk-plain.jpg", COLOURS),
    ("orientation-1.jpg", COLOURS),
    ("orientation-2.jpg", COLOURS),
    ("orientation-3.jpg", COLOURS),
    ("orientation-4.jpg", COLOURS),
    ("orientation-5.jpg", COLOURS),
    ("orientation-6.jpg", COLOURS),
    ("orientation-7.jpg", COLOURS),
    ("orientation-8.jpg", COLOURS),
    ("rgb.png", COLOURS),
    ("grey.png", GREYS),
    ("palette.png", COLOURS),
    ("bilevel.png", BILEVEL),
    ("interlaced.png", COLOURS),
    ("sixteen.png", COLOURS),
    ("orientation-6.png", COLOURS),
    ("none.tif", COLOURS),
    ("lzw.tif", COLOURS),
    ("deflate-tiles.tif", COLOURS),
    ("packbits.tif", COLOURS),
    ("jpeg-strips.tif", COLOURS),
    ("jpeg-rgb-tiles.tif", COLOURS),
    ("planar.tif", COLOURS),
    ("big-endian.tif", COLOURS),
    ("big.tif", COLOURS),
    ("sixteen-lzw.tif", COLOURS),
    ("sixteen-big-endian.tif", COLOURS),
    ("grey.tif", GREYS),
    ("grey-miniswhite.tif", GREYS),
    ("cmyk.tif", COLOURS),
    ("palette.tif", COLOURS),
    ("bilevel.tif", BILEVEL),
    ("group4.tif", BILEVEL),
    ("group4-lsb.tif", BILEVEL),
    ("group4-miniswhite.tif", BILEVEL),
    ("lsb-none.tif", BILEVEL),
    ("lsb-packbits.tif", BILEVEL),
    ("lsb-lzw.tif", BILEVEL),
    ("lsb-deflate.tif", BILEVEL),
    ("pages.tif", COLOURS),
    ("half-page.tif", COLOURS),
    ("orientation-6.tif", COLOURS),
    ("lossy.webp", COLOURS),
    ("orientation-6.webp", COLOURS),
    ("animated.webp", COLOURS),
    ("plain.gif", COLOURS),
    ("animated.gif", COLOURS),
    ("lossy.jp2", COLOURS),
    ("lossy-tiles.jp2", COLOURS),
    ("layers.jp2", COLOURS),
    ("offset.jp2", COLOURS),
    ("modes.j2k", COLOURS),
    ("bypass.j2k", COLOURS),
    ("plain.j2k", COLOURS),
    ("one-level.j2k", COLOURS),
    ("thin-tiles.j2k", COLOURS),
    ("sixteen-grey.jp2", GREYS),
    ("grey.j2k", GREYS),
    ("sycc.jp2", COLOURS),
    ("sycc-full.jp2", COLOURS),
    ("cmyk.jp2", COLOURS),
    ("palette.jp2", COLOURS),
    ("reversed.jp2", COLOURS),
    ("long.jp2", COLOURS),
];

/// JPEG, lossy WebP and lossy JPEG 2000 in, JPEG out: each may move a colour a little.
const TOLERANCE: u8 = 9;

#[test]
fn every_kind_in_every_format() {
    for (name, colours) in ORDINARY {
        let file = fixture(name);
        let header = header_of(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((header.width, header.height), (96, 64), "{name}");
        for format in FORMATS {
            let answer = made(&file, &Job { format, ..whole(&header) });
            let answer = answer.unwrap_or_else(|error| panic!("{name} as {format:?}: {error}"));
            let told = header_of(&answer).unwrap();
            assert_eq!((told.width, told.height), (96, 64), "{name} as {format:?}");
            assert_eq!(told.kind, kind_of(format), "{name} as {format:?}");
            assert_colours(&format!("{name} as {format:?}"), &pixels(&answer), MIDDLES, *colours, TOLERANCE);
        }
    }
}

/// GDAL leaves out tiles that hold nothing: offset and length are 0.
#[test]
fn a_tile_that_was_never_written_is_empty() {
    let mut file = fixture("deflate-tiles.tif");
    let header = header_of(&file).unwrap();
    let sniff::Layout::Tiff(layout) = &header.layout else { panic!("a TIFF") };
    for table in [layout.levels[0].offsets, layout.levels[0].lengths] {
        file[table.bytes().unwrap().start as usize..][..usize::from(table.width)].fill(0);
    }
    let picture = pixels(&made(&file, &whole(&header)).unwrap());
    assert_colours(
        "sparse",
        &picture,
        [(5, 5), (75, 25), (25, 75), (75, 75)],
        [[0; 3], COLOURS[1], COLOURS[2], COLOURS[3]],
        2,
    );
}

/// A master that counts what is read of it.
struct Counted {
    file: Cursor<Vec<u8>>,
    read: Arc<AtomicUsize>,
}

impl Read for Counted {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(target)?;
        self.read.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn the_end_of_a_long_strip_is_read_without_its_beginning() {
    let pixels = Pixels::new(500, 2000, Channels::Grey, vec![7; 1_000_000]).unwrap();
    let file = one_strip(&pixels);
    let header = header_of(&file).unwrap();
    let crop = Rect { x: 0, y: 1990, width: 10, height: 10 };
    let job = Job { crop, width: 10, height: 10, ..whole(&header) };
    let read = Arc::new(AtomicUsize::new(0));
    let master = Counted { file: Cursor::new(file), read: Arc::clone(&read) };
    render(Box::new(master), &header, &job, &Limits::default(), &Hints::new(&header)).unwrap();
    assert!(read.load(Ordering::Relaxed) < 100_000, "{read:?}");
}

/// An uncompressed TIFF of a single strip.
fn one_strip(picture: &Pixels) -> Vec<u8> {
    let (width, height, length) = (picture.width(), picture.height(), picture.data().len() as u32);
    let mut file = tiff_of(&[
        (256, 1, width),
        (257, 1, height),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (273, 1, 8 + 2 + 9 * 12 + 4),
        (277, 1, 1),
        (278, 1, height),
        (279, 1, length),
    ]);
    file.extend(picture.data());
    file
}

fn kind_of(format: Format) -> Kind {
    match format {
        Format::Jpg => Kind::Jpeg,
        Format::Png => Kind::Png,
        Format::Webp => Kind::Webp,
        Format::Tif => Kind::Tiff,
        Format::Gif => Kind::Gif,
    }
}

/// Parts of the picture, at sizes that take each path: as it is, each of the shrinks, larger.
#[test]
fn every_kind_cut_and_scaled() {
    let crops = [
        ("whole", Rect { x: 0, y: 0, width: 96, height: 64 }, MIDDLES.map(Some)),
        (
            "upper left quarter",
            Rect { x: 0, y: 0, width: 48, height: 32 },
            [Some((50, 50)), None, None, None],
        ),
        (
            "lower right corner",
            Rect { x: 56, y: 40, width: 40, height: 24 },
            [None, None, None, Some((50, 50))],
        ),
        ("across the middle", Rect { x: 15, y: 7, width: 66, height: 50 }, MIDDLES.map(Some)),
    ];
    for (name, colours) in ORDINARY {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        for (crop_name, crop, places) in crops {
            for scale in [1.0, 0.75, 0.5, 0.25, 0.125, 1.5] {
                let side = |length: u32| (f64::from(length) * scale).round() as u32;
                let job = Job { crop, width: side(crop.width), height: side(crop.height), ..whole(&header) };
                let picture = pixels(&made(&file, &job).unwrap());
                let name = format!("{name}, {crop_name}, {scale}");
                assert_eq!((picture.width(), picture.height()), (job.width, job.height), "{name}");
                for (place, expected) in places.into_iter().zip(*colours) {
                    let Some(place) = place else { continue };
                    assert_colours(&name, &picture, [place; 4], [expected; 4], 40);
                }
            }
        }
    }
}

#[test]
fn every_kind_mirrored_and_turned() {
    let [a, b, c, d] = [0, 1, 2, 3];
    let cases = [
        (false, 90.0, [c, a, d, b]),
        (false, 180.0, [d, c, b, a]),
        (false, 270.0, [b, d, a, c]),
        (true, 0.0, [b, a, d, c]),
        (true, 180.0, [c, d, a, b]),
        (true, 90.0, [d, b, c, a]),
    ];
    for (name, colours) in ORDINARY {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        for (mirror, degrees, order) in cases {
            let job = Job { rotation: Rotation { mirror, degrees }, ..whole(&header) };
            let picture = pixels(&made(&file, &job).unwrap());
            let size = if degrees % 180.0 == 0.0 { (96, 64) } else { (64, 96) };
            let name = format!("{name}, mirror {mirror}, {degrees}");
            assert_eq!((picture.width(), picture.height()), size, "{name}");
            assert_colours(&name, &picture, MIDDLES, order.map(|at| colours[at]), TOLERANCE);
        }
    }
}

#[test]
fn turned_by_any_angle_the_corners_are_transparent_or_white() {
    for name in ["baseline.jpg", "grey.tif", "rgb.png"] {
        let file = fixture(name);
        let rotation = Rotation { mirror: false, degrees: 22.5 };
        for format in FORMATS {
            let job = Job { rotation, format, ..whole(&header_of(&file).unwrap()) };
            let picture = pixels(&made(&file, &job).unwrap());
            assert_eq!((picture.width(), picture.height()), (114, 96), "{name} as {format:?}");
            let corner = &picture.data()[..picture.channels().count()];
            match format {
                Format::Jpg => assert!(corner.iter().all(|v| *v > 245), "{name}: {corner:?}"),
                _ => assert_eq!(corner.last(), Some(&0), "{name} as {format:?}: {corner:?}"),
            }
        }
    }
}

#[test]
fn the_level_that_is_large_enough_is_read() {
    for name in ["pyramid-jpeg-big.tif", "pyramid-sub.tif"] {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        assert_eq!((header.width, header.height), (384, 256), "{name}");
        let levels = header.offer().levels;
        assert_eq!(levels, [(384, 256), (192, 128), (96, 64), (48, 32)], "{name}");
        for (width, height) in [(384, 256), (192, 128), (100, 67), (96, 64), (20, 13)] {
            let picture = pixels(&made(&file, &Job { width, height, ..whole(&header) }).unwrap());
            assert_eq!((picture.width(), picture.height()), (width, height), "{name}");
            assert_colours(name, &picture, MIDDLES, COLOURS, TOLERANCE);
        }
        let crop = Rect { x: 100, y: 20, width: 200, height: 200 };
        let picture = pixels(&made(&file, &Job { crop, width: 50, height: 50, ..whole(&header) }).unwrap());
        assert_colours(name, &picture, [(20, 20), (70, 20), (20, 80), (70, 80)], COLOURS, TOLERANCE);
    }
}

#[test]
fn pages_are_no_levels() {
    for name in ["pages.tif", "half-page.tif"] {
        assert_eq!(header_of(&fixture(name)).unwrap().offer().levels, [(96, 64)], "{name}");
    }
}

#[test]
fn a_gif_without_a_screen_is_as_large_as_its_first_frame() {
    let plain = fixture("plain.gif");
    let behind_palette = 13 + 3 * (2 << (plain[10] & 7));
    let comment =
        [b"\x21\xfe".as_slice(), &[b"\x2c".as_slice(), &[b','; 44]].concat().repeat(9), b"\0"].concat();
    let mut file = [&plain[..behind_palette], &comment, &plain[behind_palette..]].concat();
    file[6..10].fill(0);
    let header = header_of(&file).unwrap();
    assert_eq!((header.width, header.height), (96, 64));
    let answer = made(&file, &whole(&header)).unwrap();
    assert_colours("plain.gif", &pixels(&answer), MIDDLES, COLOURS, TOLERANCE);
}

/// Some tools drop the EXIF block, and leave the flag that tells of it.
#[test]
fn a_webp_without_the_exif_that_it_announces_is_upright() {
    let file = fixture("orientation-6.webp");
    let at = file.windows(4).position(|kind| kind == b"EXIF").unwrap();
    let mut cut = file[..at].to_vec();
    cut[4..8].copy_from_slice(&(at as u32 - 8).to_le_bytes());
    let header = header_of(&cut).unwrap();
    assert_eq!(((header.width, header.height), header.stored()), ((64, 96), (64, 96)));
    assert!(made(&cut, &whole(&header)).is_ok());
    // Cut short it is, if it says that more was to come.
    assert!(matches!(header_of(&file[..at]), Err(ImagingError::Broken(_))));
}

/// What is written about a small picture may be longer than the picture.
#[test]
fn a_small_gif_may_have_long_metadata() {
    let file = fixture("plain.gif");
    let header = header_of(&file).unwrap();
    let behind_palette = 13 + 3 * (2 << (file[10] & 7));
    let packet = [b"<?xpacket?>".as_slice(), &[b' '; 70_000]].concat();
    let ramp: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
    let said = |length: usize| {
        let xmp = [b"\x21\xff\x0bXMP DataXMP", &packet[..length], &ramp].concat();
        [&file[..behind_palette], &xmp, &file[behind_palette..]].concat()
    };
    for length in [0, 100, packet.len()] {
        let answer = made(&said(length), &whole(&header)).unwrap_or_else(|error| panic!("{length}: {error}"));
        assert_colours("plain.gif", &pixels(&answer), MIDDLES, COLOURS, TOLERANCE);
    }
}

/// Two pages, the second half as large: only tiles that are written alike pass for a level without saying so.
#[test]
fn half_a_page_is_no_level_unless_it_is_tiled_alike() {
    let page = |side: u32, (offsets, lengths): (u16, u16), samples: u32, subfile: u32| {
        tiff_of(&[
            (254, 1, subfile),
            (256, 1, side),
            (257, 1, side),
            (258, 1, 8),
            (259, 1, 1),
            (262, 1, 1),
            (277, 1, samples),
            (278, 1, side),
            (322, 1, 64),
            (323, 1, 64),
            (offsets, 1, 1000),
            (lengths, 1, 1000),
        ])
    };
    let (strips, tiles) = ((273, 279), (324, 325));
    for (name, first, second, levels) in [
        ("strips", page(64, strips, 1, 0), page(32, strips, 1, 0), 1),
        ("strips that say so", page(64, strips, 1, 0), page(32, strips, 1, 1), 2),
        ("tiles", page(64, tiles, 1, 0), page(32, tiles, 1, 0), 2),
        ("tiles of other samples", page(64, tiles, 1, 0), page(32, tiles, 2, 0), 1),
        ("tiles and strips", page(64, tiles, 1, 0), page(32, strips, 1, 0), 1),
    ] {
        // The second directory follows the first one.
        let mut file = first;
        let next = file.len() as u32;
        file.truncate(next as usize - 4);
        file.extend(next.to_le_bytes());
        file.extend(&second[8..]);
        assert_eq!(header_of(&file).unwrap().offer().levels.len(), levels, "{name}");
    }
}

#[test]
fn a_tile_of_a_large_tiff_costs_little() {
    let file = fixture("pyramid-jpeg-big.tif");
    let header = header_of(&file).unwrap();
    let tile =
        Job { crop: Rect { x: 64, y: 64, width: 64, height: 64 }, width: 64, height: 64, ..whole(&header) };
    let cost = admit(&header, &tile, &Limits::default()).unwrap();
    assert!(cost < 9 << 20, "{cost}");
}

#[test]
fn transparency_is_kept_or_laid_on_white() {
    let cases = [
        ("alpha.png", [COLOURS[0], COLOURS[1], COLOURS[2], [255; 3]]),
        ("palette-alpha.png", [COLOURS[0], COLOURS[1], COLOURS[2], [255; 3]]),
        ("alpha.tif", [COLOURS[0], COLOURS[1], COLOURS[2], [255; 3]]),
        ("lossy-alpha.webp", [COLOURS[0], COLOURS[1], COLOURS[2], [255; 3]]),
        ("lossless.webp", [COLOURS[0], COLOURS[1], COLOURS[2], [255; 3]]),
        ("alpha.jp2", [COLOURS[0], COLOURS[1], COLOURS[2], [255; 3]]),
        ("offset.gif", [[255; 3], COLOURS[1], [255; 3], COLOURS[3]]),
    ];
    for (name, on_white) in cases {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        for format in FORMATS {
            let picture = pixels(&made(&file, &Job { format, ..whole(&header) }).unwrap());
            let transparent = picture.channels() == Channels::Rgba;
            assert_eq!(transparent, format != Format::Jpg, "{name} as {format:?}");
            assert_colours(
                &format!("{name} as {format:?}"),
                &picture.on_white(),
                MIDDLES,
                on_white,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn the_answer_has_no_orientation_of_its_own() {
    for name in ["orientation-6.jpg", "orientation-6.png", "orientation-6.tif", "orientation-6.webp"] {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        assert_eq!(header.stored(), (64, 96), "{name}");
        for format in FORMATS {
            let told = header_of(&made(&file, &Job { format, ..whole(&header) }).unwrap()).unwrap();
            assert_eq!(told.stored(), (96, 64), "{name} as {format:?}");
        }
    }
}

#[test]
fn a_region_outside_the_picture_is_an_error() {
    let file = fixture("rgb.png");
    let header = header_of(&file).unwrap();
    for crop in [
        Rect { x: 96, y: 0, width: 1, height: 1 },
        Rect { x: 0, y: 60, width: 10, height: 5 },
        Rect { x: u32::MAX, y: 0, width: 2, height: 2 },
        Rect { x: 0, y: 0, width: 0, height: 1 },
    ] {
        let answer = made(&file, &Job { crop, ..whole(&header) });
        assert!(matches!(answer, Err(ImagingError::Outside(..))), "{crop:?}");
    }
    let answer = made(&file, &Job { crop: Rect { x: 96, y: 0, width: 1, height: 2 }, ..whole(&header) });
    let told = answer.unwrap_err().to_string();
    assert_eq!(told, "region `96,0,1,2` does not lie within the picture of 96x64 pixels");
}
