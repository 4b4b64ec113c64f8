//! JPEGs that come row by row: little memory, whatever their size; and little work, once they are known.

use super::pyramids::photograph;
use super::*;
use crate::imaging::pyramid::{self, Shape, Spec};

/// A baseline JPEG of a few hundred units.
fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let master = photograph(width, height, 30);
    let job = whole(&header_of(&master).unwrap());
    made(&master, &Job { format: Format::Jpg, ..job }).unwrap()
}

/// A JPEG that says it is of this size.
fn claimed(width: u16, height: u16) -> Header {
    let mut file = fixture("baseline.jpg");
    let at = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    Header { length: Some(200 << 20), ..header_of(&file).unwrap() }
}

/// At the lower right.
fn corner(header: &Header) -> Job {
    let (x, y) = (header.width - 64, header.height - 48);
    Job { crop: Rect { x, y, width: 64, height: 48 }, ..tile(header) }
}

fn tile(header: &Header) -> Job {
    let (x, y) = (header.width / 2, header.height * 3 / 4);
    Job { crop: Rect { x, y, width: 64, height: 48 }, width: 64, height: 48, ..whole(header) }
}

#[test]
fn memory_grows_with_the_width_alone() {
    const MIB: u64 = 1 << 20;
    let limits = Limits::default();
    let of = |width, height, job: fn(&Header) -> Job| {
        let header = claimed(width, height);
        admit(&header, &job(&header), &limits).unwrap()
    };
    for (name, bytes, most) in [
        ("a tile of 80 megapixels", of(10_000, 8000, tile), 24 * MIB),
        ("a tile of 500 megapixels", of(25_000, 20_000, tile), 24 * MIB),
        (
            "a thumbnail",
            of(10_000, 8000, |header| Job { width: 200, height: 160, ..whole(header) }),
            32 * MIB,
        ),
    ] {
        assert!(bytes <= most, "{name} takes {bytes} bytes");
    }
    let header = claimed(25_000, 20_000);
    let shape = Shape { width: header.width, height: header.height, tile: 512 };
    let bytes = pyramid::admit(&header, &shape, &limits).unwrap();
    assert!(bytes <= 300 * MIB, "a pyramid takes {bytes} bytes");
}

/// Though all of its pixels are there.
#[test]
fn no_part_of_a_file_that_was_cut_is_given() {
    let file = jpeg(400, 300);
    let top = Job {
        crop: Rect { x: 8, y: 8, width: 50, height: 50 },
        width: 50,
        height: 50,
        ..tile(&header_of(&file).unwrap())
    };
    made(&file, &top).unwrap();
    for length in [file.len() / 2, file.len() - 50, file.len() - 2] {
        let answer = made(&file[..length], &top);
        assert!(matches!(answer, Err(ImagingError::Broken(_))), "cut to {length} of {} bytes", file.len());
    }
}

/// What lies in front of a region is not read again: it may as well be damaged.
#[test]
fn whoever_sees_all_of_a_file_leaves_hints() {
    let file = jpeg(400, 300);
    let header = header_of(&file).unwrap();
    let mut damaged = file.clone();
    damaged[file.len() / 8..file.len() / 2].fill(0xff);
    let (limits, tile, corner) = (Limits::default(), tile(&header), corner(&header));
    let master = |file: &[u8]| Box::new(Cursor::new(file.to_vec()));
    let draw = |file: &[u8], job: &Job, hints: &Hints| render(master(file), &header, job, &limits, hints);
    let expected = [tile, corner].map(|job| made(&file, &job).unwrap());
    assert!(matches!(made(&damaged, &tile), Err(ImagingError::Broken(_))));

    type Reading<'a> = &'a dyn Fn(&Hints);
    let pyramid = |hints: &Hints| {
        let shape = Shape { width: header.width, height: header.height, tile: 64 };
        let spec = Spec { shape, quality: 80, name: "maps/a/1".into() };
        pyramid::build(master(&file), &header, spec, &limits, hints, &mut Vec::new(), || Ok(())).unwrap();
    };
    let small = Job { width: 40, height: 30, ..whole(&header) };
    let readings: [(&str, Reading<'_>); 4] = [
        ("a tile", &|hints| drop(draw(&file, &tile, hints).unwrap())),
        ("a tile at the end", &|hints| drop(draw(&file, &corner, hints).unwrap())),
        ("a thumbnail", &|hints| drop(draw(&file, &small, hints).unwrap())),
        ("a pyramid", &pyramid),
    ];
    for (name, read) in readings {
        let hints = Hints::new(&header);
        read(&hints);
        let found = [tile, corner].map(|job| draw(&damaged, &job, &hints.clone()).unwrap());
        assert!(found == expected, "{name}");
        assert!(hints.fit(&header) && !hints.fit(&Header { length: Some(1), ..header.clone() }), "{name}");
    }
}
