//! Masters: whatever a file claims, its header and a small picture of it come back within tight limits.
#![no_main]

use std::io::Cursor;
use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use loggia::iiif::image::geometry::Rect;
use loggia::iiif::image::quality::{Format, Quality};
use loggia::iiif::image::rotation::Rotation;
use loggia::imaging::{self, Header, Hints, Job, Limits, Parts, Sniff};

const LIMITS: Limits = Limits { memory: 16 << 20, max_pixels: 1 << 20 };

/// Questions about one file after which the gateway gives up and fetches the whole file.
const PIECES: usize = 8;

// Pages of PDFs are left out: what their renderer panics over is contained, and libFuzzer takes every panic for a find.
fuzz_target!(|file: &[u8]| {
    if imaging::is_pdf(file) {
        return;
    }
    let sniffed = sniff(file);
    let Ok(header) = imaging::header(&mut Cursor::new(file), &LIMITS) else { return };
    if let Some(sniffed) = sniffed {
        let sizes = [&sniffed, &header].map(|header| (header.kind, header.width, header.height));
        assert_eq!(sizes[0], sizes[1], "parts of a file and the whole file tell different sizes");
    }
    let hints = Hints::new(&header);
    for job in jobs(&header) {
        let _ = imaging::render(Box::new(Cursor::new(file.to_vec())), &header, &job, &LIMITS, &hints);
    }
});

/// The header as it is told from afar, piece by piece.
fn sniff(file: &[u8]) -> Option<Header> {
    let mut parts = Parts::default();
    let mut wanted = 0..512;
    for _ in 0..PIECES {
        parts.add(wanted.clone(), piece(file, wanted));
        match imaging::sniff(&parts).ok()? {
            Sniff::Known(header) => return Some(header),
            Sniff::Need(range) => wanted = range,
            Sniff::NeedAll => return None,
        }
    }
    None
}

fn piece(file: &[u8], range: Range<u64>) -> Vec<u8> {
    let place = |at: u64| usize::try_from(at).map_or(file.len(), |at| at.min(file.len()));
    file[place(range.start)..place(range.end)].to_vec()
}

/// Everything made small; and the last quarter, mirrored and turned.
fn jobs(header: &Header) -> [Job; 2] {
    let whole = Rect { x: 0, y: 0, width: header.width, height: header.height };
    let (x, y) = (header.width / 2, header.height / 2);
    let quarter = Rect { x, y, width: header.width - x, height: header.height - y };
    let job = Job {
        crop: whole,
        width: header.width.min(16),
        height: header.height.min(16),
        rotation: Rotation { mirror: false, degrees: 0.0 },
        quality: Quality::Default,
        format: Format::Jpg,
        jpeg_quality: 80,
    };
    let turned = Rotation { mirror: true, degrees: 22.5 };
    [job, Job { crop: quarter, rotation: turned, quality: Quality::Gray, format: Format::Png, ..job }]
}
