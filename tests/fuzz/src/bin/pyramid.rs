//! Pyramids: an index of any bytes; the pyramid of any master; the tiles that any TIFF claims to have.
#![no_main]

use std::io::{self, Cursor};
use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use loggia::iiif::image::geometry::Rect;
use loggia::iiif::image::quality::{Format, Quality};
use loggia::iiif::image::rotation::Rotation;
use loggia::imaging::pyramid::{self, Pyramid, Shape, Spec, Stored};
use loggia::imaging::{self, Header, Hints, Job, Limits, Tiled};

const LIMITS: Limits = Limits { memory: 16 << 20, max_pixels: 1 << 18 };
const TILE: u32 = 64;

struct File(Vec<u8>);

impl Stored for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.0.get(at..)?.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    pyramid::fuzz(bytes);
    let Ok(header) = imaging::header(&mut Cursor::new(bytes), &LIMITS) else { return };
    lend(bytes, &header);
    build(bytes, &header);
});

fn job(header: &Header, side: u32) -> Job {
    Job {
        crop: Rect { x: 0, y: 0, width: header.width.min(side), height: header.height.min(side) },
        width: header.width.min(side),
        height: header.height.min(side),
        rotation: Rotation { mirror: false, degrees: 0.0 },
        quality: Quality::Default,
        format: Format::Jpg,
        jpeg_quality: 80,
    }
}

/// What is put together of a file's own tiles is a JPEG of the size that was asked for.
fn lend(bytes: &[u8], header: &Header) {
    let Some(side) = header.tile() else { return };
    let Ok(Some(tiled)) = Tiled::of(&mut Cursor::new(bytes), header, side) else { return };
    assert!(tiled.weight() <= Tiled::cost(header), "tables take more than is counted for them");
    // One tile, a part of one, and several at once.
    for side in [side, side / 2 + 1, side * 2, side * 3 - 7] {
        let job = job(header, side);
        let Some(lift) = tiled.find(&job) else { continue };
        let from = |at: u64| usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let cut = |range: Range<u64>| {
            let bytes = from(range.start);
            &bytes[..bytes.len().min((range.end - range.start) as usize)]
        };
        let Ok(file) = lift.finish(&lift.ranges().map(cut).collect::<Vec<_>>()) else { continue };
        // What lies in the tiles may be damaged, their frames too.
        let Ok(told) = imaging::header(&mut Cursor::new(&file), &LIMITS) else { continue };
        assert_eq!((told.width, told.height), (job.width, job.height), "another size than was asked for");
        let hints = Hints::new(&told);
        let _ = imaging::render(Box::new(Cursor::new(file)), &told, &job, &LIMITS, &hints);
    }
}

/// What was built is opened again, and every tile of it can be read.
fn build(bytes: &[u8], header: &Header) {
    let shape = Shape { width: header.width, height: header.height, tile: TILE };
    let spec = Spec { shape, quality: 80, name: "a".into() };
    let (mut file, master) = (Vec::new(), Box::new(Cursor::new(bytes.to_vec())));
    let hints = Hints::new(header);
    let built = pyramid::build(master, header, spec.clone(), &LIMITS, &hints, &mut file, || Ok(()));
    let Ok(built) = built else { return };
    let file = File(file);
    let opened = Pyramid::open(&file, &spec).expect("the file is whole").expect("it is what was written");
    assert_eq!(opened, built);
    let half =
        Job { width: header.width.div_ceil(3), height: header.height.div_ceil(3), ..job(header, u32::MAX) };
    pyramid::redraw(&opened, &file, &half, &LIMITS).expect("our own tiles can be read");
}
