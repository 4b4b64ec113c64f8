//! TIFFs of which parts are known: levels, tables, and what a picture needs of the file, told of these alone.
#![no_main]

use std::io::Cursor;
use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use loggia::iiif::image::geometry::Rect;
use loggia::iiif::image::quality::{Format, Quality};
use loggia::iiif::image::rotation::Rotation;
use loggia::imaging::{self, Header, Hints, Job, Limits, Parts, Sniff, Sparse, Tiled};

const LIMITS: Limits = Limits { memory: 16 << 20, max_pixels: 1 << 20 };

/// Questions about one file after which the gateway gives up.
const PIECES: usize = 64;

fuzz_target!(|file: &[u8]| {
    let length = file.len() as u64;
    let Some(header) = sniff(file) else { return };
    let known = imaging::header(&mut Cursor::new(file), &LIMITS).ok();
    assert!(known.is_none_or(|known| known == header), "parts and the whole file tell different things");
    if LIMITS.pixels(header.width, header.height).is_err() {
        return;
    }
    let Ok(tables) = imaging::tables(&header) else { return };
    let mut parts = Parts::default();
    for range in tables {
        assert!(range.end <= length, "a table behind the end of the file");
        parts.add(range.clone(), piece(file, range));
    }
    // What has no tiles to lend is fetched as a whole.
    let Some(side) = header.tile() else { return };
    let _ = Tiled::of(&mut Sparse::new(parts.clone(), length), &header, side);
    let job = job(&header);
    let Ok(Some(needs)) = imaging::needs(&mut Sparse::new(parts.clone(), length), &header, &job) else {
        return;
    };
    for range in needs.into_iter().filter(|range| range.end <= length) {
        parts.add(range.clone(), piece(file, range));
    }
    let hints = Hints::new(&header);
    let drawn = imaging::render(Box::new(Sparse::new(parts, length)), &header, &job, &LIMITS, &hints);
    if let Ok(picture) = drawn {
        let master = Box::new(Cursor::new(file.to_vec()));
        let whole = imaging::render(master, &header, &job, &LIMITS, &hints).ok();
        assert_eq!(whole, Some(picture), "parts and the whole file are drawn differently");
    }
});

/// The header with its levels, piece by piece.
fn sniff(file: &[u8]) -> Option<Header> {
    let mut parts = Parts::default();
    for _ in 0..PIECES {
        match imaging::sniff_levels(&parts, Some(file.len() as u64)).ok()? {
            Sniff::Known(header) => return Some(header),
            Sniff::Need(range) => parts.add(range.clone(), piece(file, range)),
            Sniff::NeedAll => return None,
        }
    }
    None
}

fn piece(file: &[u8], range: Range<u64>) -> Vec<u8> {
    let place = |at: u64| usize::try_from(at).map_or(file.len(), |at| at.min(file.len()));
    file[place(range.start)..place(range.end)].to_vec()
}

/// The last two thirds, made smaller.
fn job(header: &Header) -> Job {
    let (x, y) = (header.width / 3, header.height / 3);
    let crop = Rect { x, y, width: header.width - x, height: header.height - y };
    Job {
        crop,
        width: crop.width.min(40),
        height: crop.height.min(30),
        rotation: Rotation { mirror: false, degrees: 0.0 },
        quality: Quality::Default,
        format: Format::Png,
        jpeg_quality: 80,
    }
}
