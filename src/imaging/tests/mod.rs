//! Pictures in, pictures out: the fixtures in `tests/fixtures/images`, all through [`super::render`].

use std::io::Cursor;
use std::path::PathBuf;

use super::pixels::{Channels, Pixels};
use super::*;

#[expect(unreachable_pub, reason = "other tests share it")]
pub(crate) mod book;
mod colours;
mod costs;
mod hostile;
mod jp2;
mod kinds;
mod lanes;
mod pdf;
mod pyramids;
mod rows;
mod scans;
mod strips;
mod tiled;

const FORMATS: [Format; 5] = [Format::Jpg, Format::Png, Format::Webp, Format::Tif, Format::Gif];

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn header_of(file: &[u8]) -> Result<Header, ImagingError> {
    header(&mut Cursor::new(file), &Limits::default())
}

fn made(file: &[u8], job: &Job) -> Result<Vec<u8>, ImagingError> {
    made_within(file, job, &Limits::default())
}

fn made_within(file: &[u8], job: &Job, limits: &Limits) -> Result<Vec<u8>, ImagingError> {
    let header = header(&mut Cursor::new(file), limits)?;
    render(Box::new(Cursor::new(file.to_vec())), &header, job, limits, &Hints::new(&header))
}

/// The header of a TIFF: tags, numbers of their values, and the values or where they lie.
fn tiff_of(tags: &[(u16, u32, u32)]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, count, value) in tags {
        file.extend([tag.to_le_bytes(), 4_u16.to_le_bytes()].concat());
        file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file
}

/// The whole picture as it is, as PNG.
fn whole(header: &Header) -> Job {
    Job {
        crop: Rect { x: 0, y: 0, width: header.width, height: header.height },
        width: header.width,
        height: header.height,
        rotation: Rotation { mirror: false, degrees: 0.0 },
        quality: Quality::Default,
        format: Format::Png,
        jpeg_quality: 90,
    }
}

/// The pixels of an answer, without colour conversion.
fn pixels(file: &[u8]) -> Pixels {
    let header = header_of(file).unwrap();
    let crop = Rect { x: 0, y: 0, width: header.width, height: header.height };
    let plan = plan::plan(&header.offer(), crop, (header.width, header.height));
    let master = Box::new(Cursor::new(file.to_vec()));
    decode::decode(master, &header, &plan, &Limits::default(), &Hints::new(&header)).unwrap().pixels
}

/// The colour at a place given in hundredths of width and height; grey as three equal parts.
fn colour_at(picture: &Pixels, (x, y): (u32, u32)) -> [u8; 3] {
    let at = (picture.height() * y / 100 * picture.width() + picture.width() * x / 100) as usize;
    let count = picture.channels().count();
    let pixel = &picture.data()[at * count..][..count];
    match picture.channels() {
        Channels::Grey | Channels::GreyAlpha => [pixel[0]; 3],
        _ => [pixel[0], pixel[1], pixel[2]],
    }
}

#[track_caller]
fn assert_colours(
    name: &str,
    picture: &Pixels,
    places: [(u32, u32); 4],
    expected: [[u8; 3]; 4],
    tolerance: u8,
) {
    for (place, expected) in places.into_iter().zip(expected) {
        let found = colour_at(picture, place);
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= tolerance);
        assert!(near, "{name}: {found:?} at {place:?} %, expected {expected:?}");
    }
}

/// The middles of the four quarters.
const MIDDLES: [(u32, u32); 4] = [(25, 25), (75, 25), (25, 75), (75, 75)];
const COLOURS: [[u8; 3]; 4] = [[220, 40, 40], [40, 180, 60], [50, 70, 200], [240, 220, 60]];
const GREYS: [[u8; 3]; 4] = [[30; 3], [100; 3], [170; 3], [240; 3]];
const BILEVEL: [[u8; 3]; 4] = [[0; 3], [255; 3], [255; 3], [255; 3]];
