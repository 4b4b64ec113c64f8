//! TIFFs that are pyramids already: what is handed out beside what is drawn.

use std::ops::Range;

use super::*;
use crate::imaging::{Lift, Tiled};

/// Those whose tiles are handed out.
const LENT: [&str; 3] = ["pyramid-jpeg-big.tif", "pyramid-jpeg-edges.tif", "jpeg-rgb-tiles-64.tif"];

fn tiled(file: &[u8]) -> Option<Tiled> {
    let header = header_of(file).unwrap();
    Tiled::of(&mut Cursor::new(file), &header, header.tile()?).unwrap()
}

fn job(header: &Header, crop: Rect, (width, height): (u32, u32)) -> Job {
    Job { crop, width, height, format: Format::Jpg, ..whole(header) }
}

fn tiles_of<'a>(file: &'a [u8], lift: &Lift) -> Vec<&'a [u8]> {
    lift.ranges().map(|range| &file[range.start as usize..range.end as usize]).collect()
}

/// Every tile of every level, those at the edges too, is what the decoder makes of it.
#[test]
fn tiles_are_handed_out_as_they_are_drawn() {
    let mut lifted = 0;
    for name in LENT {
        let file = fixture(name);
        let (header, tiled) = (header_of(&file).unwrap(), tiled(&file).unwrap());
        let side = header.tile().unwrap();
        for level in 0..4 {
            let step = side << level;
            for y in (0..header.height).step_by(step as usize) {
                for x in (0..header.width).step_by(step as usize) {
                    let (width, height) = (step.min(header.width - x), step.min(header.height - y));
                    let crop = Rect { x, y, width, height };
                    let size = (width.div_ceil(1 << level), height.div_ceil(1 << level));
                    let Some(lift) = tiled.find(&job(&header, crop, size)) else { continue };
                    let tile = lift.finish(&tiles_of(&file, &lift)).unwrap();
                    let straight = made(&file, &Job { format: Format::Png, ..job(&header, crop, size) });
                    let (tile, straight) = (pixels(&tile), pixels(&straight.unwrap()));
                    assert_eq!((tile.width(), tile.height()), size, "{name} {crop:?}");
                    // Colours of the last line and column are smoothed with what lies behind them in the
                    // padded tile; a tile that was cut has nothing there.
                    let inner = Rect { x: 0, y: 0, width: size.0 - 1, height: size.1 - 1 };
                    let (tile, straight) = (tile.cut(inner), straight.cut(inner));
                    let far = tile.data().iter().zip(straight.data()).filter(|(a, b)| a.abs_diff(**b) > 3);
                    assert_eq!(far.count(), 0, "{name} {crop:?}");
                    lifted += 1;
                }
            }
        }
    }
    // All of the full size, and all smaller levels of the one whose sides can be halved.
    assert_eq!(lifted, (24 + 6 + 2 + 1) + 7 * 5 + 2);
}

/// Where every halving has a level, nothing is gained by another pyramid; where none has, every view of the whole would
/// be drawn from all of it.
#[test]
fn a_file_of_tiles_is_a_pyramid_if_it_has_all_halves() {
    assert_eq!(LENT.map(|name| tiled(&fixture(name)).unwrap().is_pyramid()), [true, true, false]);
}

#[test]
fn a_tile_that_is_not_as_it_should_be_is_drawn() {
    let file = fixture("pyramid-jpeg-big.tif");
    let header = header_of(&file).unwrap();
    let tiled = tiled(&file).unwrap();
    let side = header.tile().unwrap();
    let crop = Rect { x: 0, y: 0, width: side, height: side };
    let mut sized = tiles_of(&file, &tiled.find(&job(&header, crop, (side, side))).unwrap())[0].to_vec();
    let frame = sized.windows(2).position(|mark| mark == [0xff, 0xc0]).unwrap();
    sized[frame + 5..frame + 9].copy_from_slice(&[0, 128, 0, 128]);
    for (width, height) in [(side, side), (side, 20), (20, 20)] {
        let crop = Rect { x: 0, y: 0, width, height };
        let lift = tiled.find(&job(&header, crop, (width, height))).unwrap();
        let tile = tiles_of(&file, &lift)[0];
        lift.finish(&[tile]).unwrap();
        let padded = [tile, &[0]].concat();
        for wrong in [&tile[..tile.len() - 1], &tile[1..], &[], &padded, &sized] {
            assert!(
                matches!(lift.finish(&[wrong]), Err(ImagingError::Unsupported { .. })),
                "{width}x{height}"
            );
        }
        assert!(matches!(lift.finish(&[tile, tile]), Err(ImagingError::Broken(_))));
    }
    // Cut within a table.
    let spoiled = changed(&file, 0, JPEG_TABLES, Some(100), None);
    let lift = self::tiled(&spoiled).unwrap().find(&job(&header, crop, (side, side))).unwrap();
    let told = lift.finish(&tiles_of(&file, &lift));
    assert!(matches!(told, Err(ImagingError::Unsupported { .. })), "what all tiles share is damaged");
}

/// Writes something else into an entry of a directory: behind its tag and type come a count and a place.
fn changed(file: &[u8], directory: usize, tag: u16, count: Option<u32>, place: Option<u32>) -> Vec<u8> {
    let (word, head, entry) = if file[2] == 43 { (8, 8, 20) } else { (4, 2, 12) };
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let mut at = number(word, word);
    for _ in 0..directory {
        at = number(at + head + entry * number(at, head), word);
    }
    let entries = (0..number(at, head)).map(|index| at + head + entry * index);
    let found = entries.into_iter().find(|at| number(*at, 2) == usize::from(tag)).unwrap();
    let mut file = file.to_vec();
    for (at, value) in [(found + 4, count), (found + 4 + word, place)] {
        if let Some(value) = value {
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    file
}

const OFFSETS: u16 = 324;
const SUB_DIRECTORIES: u16 = 330;
const JPEG_TABLES: u16 = 347;

/// A table is as long as there are tiles, whatever it claims: else a small file takes much memory.
#[test]
fn tables_are_read_as_far_as_there_are_tiles() {
    let file = fixture("jpeg-rgb-tiles-64.tif");
    let known = tiled(&file).unwrap().weight();
    let claiming = |count| changed(&file, 0, OFFSETS, Some(count), None);
    let more = claiming(1 << 20);
    assert_eq!(tiled(&more).map(|tiled| tiled.weight()), Some(known));
    let header = header_of(&more).unwrap();
    assert_eq!(tables(&header).unwrap(), tables(&header_of(&file).unwrap()).unwrap());
    assert!(Tiled::cost(&header) < 4 << 20, "{}", Tiled::cost(&header));
    let less = claiming(1);
    assert!(tiled(&less).is_none(), "a table that is too short is none");
    assert!(matches!(tables(&header_of(&less).unwrap()), Err(ImagingError::Broken(_))));
}

/// What is wrong with a smaller level is no harm to the others.
#[test]
fn a_level_whose_tables_are_damaged_is_missing() {
    let file = fixture("pyramid-jpeg-big.tif");
    let far = Some(u32::MAX);
    for damaged in [changed(&file, 1, OFFSETS, None, far), changed(&file, 1, JPEG_TABLES, far, None)] {
        let header = header_of(&damaged).unwrap();
        let tiled = tiled(&damaged).unwrap();
        let side = header.tile().unwrap();
        let found = |level: u32| {
            let crop = Rect { x: 0, y: 0, width: side << level, height: side << level };
            tiled.find(&job(&header, crop, (side, side))).is_some()
        };
        assert_eq!([0, 1, 2].map(found), [true, false, true]);
        let ranges = tables(&header).unwrap();
        assert!(!ranges.is_empty() && ranges.iter().all(|range| range.end <= damaged.len() as u64));
    }
}

#[test]
fn a_damaged_list_of_levels_is_none() {
    let file = fixture("pyramid-sub.tif");
    let known = header_of(&file).unwrap();
    let told = header_of(&changed(&file, 0, SUB_DIRECTORIES, None, Some(u32::MAX))).unwrap();
    assert_eq!((told.width, told.height), (known.width, known.height));
}

#[test]
fn what_is_written_otherwise_is_drawn() {
    for name in ["deflate-tiles.tif", "jpeg-strips.tif", "lzw.tif", "orientation-6.tif", "baseline.jpg"] {
        assert!(tiled(&fixture(name)).is_none(), "{name}");
    }
}

/// Regions that begin where a tile begins, of any size, are put together from tiles: the same pixels, but where colours
/// are smoothed over a seam that each tile had for itself.
#[test]
fn tiles_are_joined_as_they_are_drawn() {
    let mut joined = 0;
    for name in LENT {
        let file = fixture(name);
        let (header, tiled) = (header_of(&file).unwrap(), tiled(&file).unwrap());
        let side = header.tile().unwrap();
        let mut draw = 7_u32;
        let mut below = |most: u32| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (draw >> 8) % most.max(1)
        };
        for round in 0..90 {
            let level = round % 3;
            let step = side << level;
            let (x, y) =
                (below(header.width.div_ceil(step)) * step, below(header.height.div_ceil(step)) * step);
            let (right, lower) = (header.width - x, header.height - y);
            // Whatever is larger than what is left ends at the edge.
            let mut span = |left: u32| (1 + below(left + side)).next_multiple_of(1 << level).min(left);
            let crop = Rect { x, y, width: span(right), height: span(lower) };
            let size = (crop.width.div_ceil(1 << level), crop.height.div_ceil(1 << level));
            let job = job(&header, crop, size);
            // Colours of what is this narrow are not smoothed at all.
            let Some(lift) = tiled.find(&job).filter(|_| size.0 > 4) else { continue };
            let picture = pixels(&lift.finish(&tiles_of(&file, &lift)).unwrap());
            let straight = pixels(&made(&file, &Job { format: Format::Png, ..job }).unwrap());
            assert_eq!((picture.width(), picture.height()), size, "{name} {crop:?}");
            let seam = |at: u32, end: u32| at + 1 == end || matches!(at % side, 0) || at % side == side - 1;
            let pixel = picture.channels().count();
            for (index, (one, other)) in
                picture.data().chunks(pixel).zip(straight.data().chunks(pixel)).enumerate()
            {
                let (column, row) = (index as u32 % size.0, index as u32 / size.0);
                if !seam(column, size.0) && !seam(row, size.1) {
                    let near = one.iter().zip(other).all(|(a, b)| a.abs_diff(*b) <= 3);
                    assert!(near, "{name} {crop:?} {size:?} at {column},{row}: {one:?} {other:?}");
                }
            }
            joined += usize::from(lift.ranges().len() > 1);
        }
    }
    assert!(joined > 40, "{joined} pictures of several tiles");
}

/// Whatever is drawn, of whatever part and size: from the tables and the tiles that are told to be needed it is the same.
#[test]
fn what_is_needed_is_all_that_is_read() {
    let (mut drawn, mut saved) = (0, 0);
    for name in LENT {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        let part = |range: &Range<u64>| file[range.start as usize..range.end as usize].to_vec();
        let mut parts = Parts::default();
        tables(&header).unwrap().into_iter().for_each(|range| parts.add(range.clone(), part(&range)));
        let length = file.len() as u64;
        let mut draw = 11_u32;
        let mut below = |most: u32| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (draw >> 8) % most.max(1)
        };
        for round in 0..40 {
            let (x, y) = (below(header.width), below(header.height));
            let crop =
                Rect { x, y, width: 1 + below(header.width - x), height: 1 + below(header.height - y) };
            let size = (1 + below(crop.width), 1 + below(crop.height));
            let format = FORMATS[round % FORMATS.len()];
            let job = Job { format, ..job(&header, crop, size) };
            let needs = needs(&mut Sparse::new(parts.clone(), length), &header, &job).unwrap().unwrap();
            let mut known = parts.clone();
            needs.iter().for_each(|range| known.add(range.clone(), part(range)));
            let limits = Limits::default();
            let sparse = Box::new(Sparse::new(known, length));
            let from_parts = render(sparse, &header, &job, &limits, &Hints::new(&header)).unwrap();
            assert!(from_parts == made(&file, &job).unwrap(), "{name} {crop:?} {size:?}");
            drawn += 1;
            saved += usize::from(needs.len() < header.width.div_ceil(64) as usize);
        }
    }
    assert!(drawn == 120 && saved > 20, "{saved} of {drawn} needed few tiles");
}

#[test]
fn what_comes_in_no_tiles_of_jpeg_is_not_read_in_parts() {
    for name in ["deflate-tiles.tif", "baseline.jpg", "lzw.tif"] {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        assert_eq!(tables(&header).unwrap(), [], "{name}");
        let needs = needs(&mut Cursor::new(&file), &header, &whole(&header)).unwrap();
        assert_eq!(needs, None, "{name}");
    }
}

/// A directory that is told piece by piece is the one that is told of the open file.
#[test]
fn levels_are_told_from_afar() {
    for name in
        ["pyramid-jpeg-big.tif", "pyramid-jpeg-edges.tif", "pyramid-sub.tif", "pages.tif", "baseline.jpg"]
    {
        let file = fixture(name);
        let known = header_of(&file).unwrap();
        let mut parts = Parts::default();
        let told = loop {
            match sniff_levels(&parts, Some(file.len() as u64)).unwrap() {
                Sniff::Known(header) => break header,
                Sniff::NeedAll => panic!("it is no PDF"),
                Sniff::Need(range) => {
                    let end = range.end.min(file.len() as u64) as usize;
                    let bytes = file.get(range.start as usize..end).unwrap_or_default();
                    parts.add(range, bytes.to_vec());
                }
            }
        };
        assert_eq!(told, known, "{name}");
    }
}
