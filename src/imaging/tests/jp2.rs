//! JPEG 2000: its parts and halves beside those of the same picture as PNG, and what is no whole picture.

use super::decode::Decoded;
use super::sniff::Layout;
use super::*;
use crate::iiif::image::quality::Tone;

const LOSSLESS: [&str; 9] = [
    "plain.j2k",
    "modes.j2k",
    "bypass.j2k",
    "one-level.j2k",
    "thin-tiles.j2k",
    "offset.jp2",
    "long.jp2",
    "reversed.jp2",
    "palette.jp2",
];

#[test]
fn what_is_kept_without_loss_comes_back_as_it_was() {
    let rgb = pixels(&fixture("rgb.png"));
    for name in LOSSLESS {
        assert!(pixels(&fixture(name)) == rgb, "{name}");
    }
    for (name, other) in
        [("grey.j2k", "grey.png"), ("sixteen-grey.jp2", "grey.png"), ("alpha.jp2", "alpha.png")]
    {
        assert!(pixels(&fixture(name)) == pixels(&fixture(other)), "{name}");
    }
}

#[test]
fn headers_tell_what_can_be_halved() {
    for (name, tone, last) in [
        ("plain.j2k", Tone::Colour, 32),
        ("one-level.j2k", Tone::Colour, 1),
        ("thin-tiles.j2k", Tone::Colour, 16),
        // Begins at 5,3: its halves would be of other sizes.
        ("offset.jp2", Tone::Colour, 1),
        ("palette.jp2", Tone::Colour, 1),
        ("sixteen-grey.jp2", Tone::Grey, 32),
        ("alpha.jp2", Tone::Colour, 32),
    ] {
        let header = header_of(&fixture(name)).unwrap();
        assert_eq!((header.kind, header.tone), (Kind::Jp2, tone), "{name}");
        assert_eq!(header.offer().shrinks.last(), Some(&last), "{name}");
    }
}

/// What a plan wants, decoded.
fn decoded(file: &[u8], crop: Rect, shrink: u32) -> (Decoded, Rect) {
    let header = header_of(file).unwrap();
    let output = (crop.width / shrink, crop.height / shrink);
    let plan = plan::plan(&header.offer(), crop, output);
    assert_eq!(plan.shrink, shrink.min(*header.offer().shrinks.last().unwrap()));
    let master = Box::new(Cursor::new(file.to_vec()));
    let decoded = decode::decode(master, &header, &plan, &Limits::default(), &Hints::new(&header));
    (decoded.unwrap(), plan.read)
}

/// Tiles are decoded on their own; what lies side by side must fit.
#[test]
fn parts_are_those_of_the_whole() {
    let crops = [(0, 0, 16, 16), (32, 16, 32, 32), (40, 24, 48, 40), (80, 48, 16, 16), (0, 32, 96, 32)];
    for name in ["lossy-tiles.jp2", "thin-tiles.j2k", "offset.jp2", "sycc.jp2", "alpha.jp2", "palette.jp2"] {
        let file = fixture(name);
        for shrink in [1, 2, 4, 8, 16] {
            let (whole, _) = decoded(&file, Rect { x: 0, y: 0, width: 96, height: 64 }, shrink);
            for (x, y, width, height) in crops {
                let (part, read) = decoded(&file, Rect { x, y, width, height }, shrink);
                assert_eq!(part.origin, (read.x, read.y));
                let same = part.pixels == whole.pixels.clone().cut(read);
                assert!(same, "{name} / {shrink}: {read:?}");
            }
        }
    }
}

/// Every tenth byte, and all of the last ones: tiles, their parts and the end must be there.
#[test]
fn files_cut_short_are_refused_whatever_is_wanted() {
    for name in ["lossy-tiles.jp2", "layers.jp2", "plain.j2k", "long.jp2"] {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        let corner =
            Job { crop: Rect { x: 0, y: 0, width: 8, height: 8 }, width: 8, height: 8, ..whole(&header) };
        let small = Job { width: 12, height: 8, ..whole(&header) };
        let last = (1..32).map(|n| file.len() - n);
        for length in (file.len().saturating_sub(2000)..file.len()).step_by(10).chain(last) {
            for job in [&corner, &small] {
                let master = Box::new(Cursor::new(file[..length].to_vec()));
                let answer = render(master, &header, job, &Limits::default(), &Hints::new(&header));
                assert!(matches!(answer, Err(ImagingError::Broken(_))), "{name} cut to {length}");
            }
        }
    }
}

#[test]
fn what_follows_the_end_does_not_matter() {
    let mut file = fixture("lossy.jp2");
    file.extend(b"\0\0\0\x10xml not wanted");
    assert!(pixels(&file) == pixels(&fixture("lossy.jp2")));
    let mut file = fixture("plain.j2k");
    file.extend([0; 1000]);
    assert!(pixels(&file) == pixels(&fixture("plain.j2k")));
}

/// What the header of a tile says may not make it cost more than the main header does.
#[test]
fn tiles_that_are_coded_otherwise_are_refused() {
    let plain = fixture("plain.j2k");
    let at = |marker: [u8; 2]| plain.windows(2).position(|pair| pair == marker).unwrap();
    let (coding, tile) = (at([0xff, 0x52]), at([0xff, 0x90]));
    let with = |segment: &[u8]| {
        let mut file = [&plain[..tile + 12], segment, &plain[tile + 12..]].concat();
        let length = u32::from_be_bytes(file[tile + 6..tile + 10].try_into().unwrap());
        file[tile + 6..tile + 10].copy_from_slice(&(length + segment.len() as u32).to_be_bytes());
        file
    };
    let comment = b"\xff\x64\0\x06\0\x01hi";
    assert!(pixels(&with(comment)) == pixels(&plain));
    let changes = [b"\xff\x5f\x01\x1a".as_slice(), &[0, 0, 0, 1, 6, 3, 0].repeat(40)].concat();
    for (name, segment, told) in [
        (
            "coding",
            &plain[coding..coding + 14],
            "JPEG 2000 with a coding style for each tile is not supported",
        ),
        ("changes", &changes, "the master is broken: a tile with 40 changes of order"),
        ("unknown", b"\xff\x74\0\x02", "JPEG 2000 with marker ff74 is not supported"),
        ("nothing", b"\0\0\0\x02", "the master is broken: no JPEG 2000 marker, but 0000"),
    ] {
        let file = with(segment);
        let error = made(&file, &whole(&header_of(&file).unwrap())).unwrap_err();
        assert_eq!(error.to_string(), told, "{name}");
    }
}

/// The decoder goes by what segments tell, not by how long they are: what is left of them would be further ones.
#[test]
fn segments_hide_no_others() {
    let plain = fixture("plain.j2k");
    let at = |marker: [u8; 2]| plain.windows(2).position(|pair| pair == marker).unwrap();
    let (size, coding, steps, tile) =
        (at([0xff, 0x51]), at([0xff, 0x52]), at([0xff, 0x5c]), at([0xff, 0x90]));
    let hidden = &plain[coding..coding + 14];
    let region = [b"\xff\x5e\0\x13\0\0\0", hidden].concat();
    let derived = [b"\xff\x5c\0\x13\x21\x48\0", hidden].concat();
    for (name, from, to, segment) in [
        ("size", size, coding, [&plain[size..coding], hidden].concat()),
        ("coding", coding, steps, [&plain[coding..steps], hidden].concat()),
        ("a region", tile, tile, region.clone()),
        ("steps", tile, tile, derived.clone()),
        ("a region of a tile", tile + 12, tile + 12, region),
        ("steps of a tile", tile + 12, tile + 12, derived),
    ] {
        let mut segment = segment;
        let length = segment.len() as u16 - 2;
        segment[2..4].copy_from_slice(&length.to_be_bytes());
        let mut file = [&plain[..from], &segment, &plain[to..]].concat();
        if from > tile {
            let length = u32::from_be_bytes(plain[tile + 6..tile + 10].try_into().unwrap());
            file[tile + 6..tile + 10].copy_from_slice(&(length + segment.len() as u32).to_be_bytes());
        }
        let told = header_of(&file).and_then(|header| made(&file, &whole(&header))).unwrap_err().to_string();
        assert!(told.starts_with("the master is broken: a segment ff"), "{name}: {told}");
    }
}

/// A codestream that measures this much, in tiles of this side, of 64x64 blocks and with five halvings.
fn large(side: u32, tile: u32) -> Vec<u8> {
    let mut file = fixture("plain.j2k");
    let size = file.windows(2).position(|pair| pair == [0xff, 0x51]).unwrap();
    for (index, number) in [(0, side), (1, side), (4, tile), (5, tile)] {
        file[size + 6 + 4 * index..][..4].copy_from_slice(&number.to_be_bytes());
    }
    file
}

/// Samples are numbers of four bytes, and held up to twice: that is what was measured, with a tenth for the rest.
#[test]
fn tiles_cost_as_much_as_they_hold() {
    let limits = Limits { memory: 1 << 40, max_pixels: u64::MAX };
    let whole_tile = 12 + 4 + 4 + 1 + 3;
    for (name, tile, shrink, least, most) in [
        ("one tile", 8000, 1, 64_000_000 * whole_tile, 64_000_000 * (whole_tile + 4)),
        ("one tile, an eighth", 8000, 8, 1_000_000 * whole_tile, 112 << 20),
        ("many tiles", 1000, 1, 64_000_000 * 3, 64_000_000 * 3 + (64 << 20)),
        ("many tiles, an eighth", 1000, 8, 1_000_000 * 3, 32 << 20),
    ] {
        let header = Header { length: Some(20 << 20), ..header_of(&large(8000, tile)).unwrap() };
        let job = Job { width: 8000 / shrink, height: 8000 / shrink, ..whole(&header) };
        let plan = plan::plan(&header.offer(), job.crop, (job.width, job.height));
        assert_eq!(plan.shrink, shrink, "{name}");
        let cost = decode::cost(&header, &plan);
        assert!((least..most).contains(&cost), "{name}: {cost}, {least} to {most} expected");
    }
    let header = Header { length: Some(20 << 20), ..header_of(&large(8000, 1000)).unwrap() };
    let shape = pyramid::Shape { width: 8000, height: 8000, tile: 512 };
    let cost = pyramid::admit(&header, &shape, &limits).unwrap();
    assert!(cost < 160 << 20, "{cost}");
}

/// The listed sizes of one that is too large for its full size are drawn all the same; the rest says why not.
#[test]
fn of_one_that_is_too_large_the_coarse_is_left() {
    let header = Header { length: Some(20 << 20), ..header_of(&large(9000, 9000)).unwrap() };
    let limits = Limits::default();
    check(&header, 512, &limits).unwrap();
    assert!(matches!(header.layout, Layout::Jp2(_)));
    let small = Job { width: 1125, height: 1125, format: Format::Jpg, ..whole(&header) };
    assert!(admit(&header, &small, &limits).is_ok());
    let tile = Rect { x: 0, y: 0, width: 512, height: 512 };
    let told = admit(&header, &Job { crop: tile, width: 512, height: 512, ..small }, &limits)
        .unwrap_err()
        .to_string();
    assert!(told.contains("three quarters of `limits.memory`"), "{told}");
    let shape = pyramid::Shape { width: 9000, height: 9000, tile: 512 };
    assert!(matches!(pyramid::admit(&header, &shape, &limits), Err(ImagingError::TooLarge { .. })));
    assert!(check(&header, 512, &Limits { memory: 16 << 20, ..limits }).is_err());
}

/// A box that says how colours are meant is as long as that takes, or it is damaged.
#[test]
fn a_colour_box_that_is_too_short_is_refused() {
    let file = fixture("lossy.jp2");
    let at = file.windows(4).position(|kind| kind == b"colr").unwrap();
    let length = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    for (method, body) in [(1, 1), (1, 6), (2, 1), (2, 2), (2, 22), (3, 2)] {
        let mut content = vec![0; body];
        content[0] = method;
        // The rest of the header's length goes to a box that nobody reads.
        let colour = [&(8 + body as u32).to_be_bytes()[..], b"colr", &content].concat();
        let free = vec![0; 64];
        let beside = [&(8 + free.len() as u32).to_be_bytes()[..], b"free", &free].concat();
        let mut changed = [&file[..at - 4], &colour, &beside, &file[at - 4 + length..]].concat();
        let header = file.windows(4).position(|kind| kind == b"jp2h").unwrap();
        let longer = u32::from_be_bytes(file[header - 4..header].try_into().unwrap()) as usize;
        let longer = (longer + colour.len() + beside.len() - length) as u32;
        changed[header - 4..header].copy_from_slice(&longer.to_be_bytes());
        let told = header_of(&changed).unwrap_err().to_string();
        assert_eq!(told, format!("the master is broken: a box `colr` of {body} bytes"));
    }
}

#[test]
fn a_palette_of_too_many_bits_is_refused() {
    let mut file = fixture("palette.jp2");
    let at = file.windows(4).position(|kind| kind == b"pclr").unwrap();
    file[at + 7] = 0xff;
    let told = header_of(&file).unwrap_err().to_string();
    assert_eq!(told, "a palette with samples of 255 bits is not supported");
}
