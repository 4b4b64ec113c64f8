//! What the pictures in a page claim to be. Some kinds say it once more inside, and that is what is believed there.

use hayro::hayro_syntax::Filter;
use hayro::hayro_syntax::object::{Array, Dict, Object, Stream};

/// The pixels of a picture that the page says has this size.
pub(super) fn pixels(stream: &Stream<'_>, (width, height): (u32, u32)) -> u64 {
    let told = area(width, height);
    let mask = ["SMask", "Mask"].iter().find_map(|key| stream.dict().get::<Stream<'_>>(key));
    let mask = mask.map_or(0, |mask| area(number(mask.dict(), "Width"), number(mask.dict(), "Height")));
    let own = match stream.filters().last() {
        Some(Filter::CcittFaxDecode) => area(columns(stream).max(width), height),
        Some(Filter::JpxDecode) => code_stream(&stream.raw_data()).unwrap_or(u64::MAX),
        Some(Filter::Jbig2Decode) => bitmap(&stream.raw_data(), height),
        _ => 0,
    };
    told.max(own).saturating_add(mask)
}

/// Bytes that are gone through for that: each takes less than a nanosecond.
pub(super) fn searched(stream: &Stream<'_>) -> u64 {
    match stream.filters().last() {
        Some(Filter::JpxDecode | Filter::Jbig2Decode) => stream.raw_data().len() as u64,
        _ => 0,
    }
}

/// Bytes of memory that such a picture takes while it is unpacked and scaled, at most; as measured, and more than that.
pub(super) fn bytes(stream: &Stream<'_>, pixels: u64) -> u64 {
    let dict = stream.dict();
    let is_flag = |key: &str| dict.get::<bool>(key).unwrap_or(false);
    let bits = number(dict, "BitsPerComponent").max(number(dict, "BPC"));
    let per_pixel = match stream.filters().last() {
        Some(Filter::CcittFaxDecode | Filter::Jbig2Decode) => 3,
        // Bands of all colours, as floating-point numbers.
        Some(Filter::JpxDecode) => 24,
        Some(Filter::DctDecode) => 12,
        _ if is_flag("ImageMask") || is_flag("IM") || bits == 1 => 3,
        _ if bits > 8 => 24 + 4 * inks(stream),
        _ => 12 + 2 * inks(stream),
    };
    pixels.saturating_mul(per_pixel)
}

/// How many inks there are, where each has a name.
fn inks(stream: &Stream<'_>) -> u64 {
    let space = stream.dict().get::<Array<'_>>("ColorSpace");
    let names = space.and_then(|space| space.iter::<Object<'_>>().nth(1)?.into_array());
    names.map_or(0, |names| names.raw_iter().count() as u64)
}

fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

fn number(dict: &Dict<'_>, key: &str) -> u32 {
    dict.get::<u32>(key).unwrap_or(0)
}

/// What a fax says of its width lies beside it.
fn columns(stream: &Stream<'_>) -> u32 {
    let dict = stream.dict();
    let list = || dict.get::<Array<'_>>("DecodeParms")?.iter::<Dict<'_>>().last();
    let own = dict.get::<Dict<'_>>("DecodeParms").or_else(|| dict.get::<Dict<'_>>("DP")).or_else(list);
    own.and_then(|own| own.get::<u32>("Columns")).unwrap_or(1728)
}

/// The size in the first segment of a JPEG 2000 code stream, ISO/IEC 15444-1, A.5.1.
fn code_stream(data: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(data, &[0xff, 0x4f, 0xff, 0x51])?;
    let number =
        |place: usize| Some(u32::from_be_bytes(data.get(at + place..at + place + 4)?.try_into().ok()?));
    let (right, below, left, top) = (number(8)?, number(12)?, number(16)?, number(20)?);
    Some(area(right.saturating_sub(left), below.saturating_sub(top)))
}

/// The largest size that is told in the segments of a JBIG2 stream, ITU-T T.88, 7.2.
fn bitmap(data: &[u8], height: u32) -> u64 {
    let (mut rest, mut largest) = (data, 0);
    while let Some((size, next)) = segment(rest, height) {
        largest = largest.max(size);
        rest = next;
    }
    largest
}

/// The pixels that a segment tells, and what comes behind it.
fn segment(data: &[u8], height: u32) -> Option<(u64, &[u8])> {
    /// The page and all kinds of regions; the numbers of the regions lie between these.
    const PAGE: u8 = 48;
    const REGIONS: std::ops::RangeInclusive<u8> = 4..=43;
    let number = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
    let (name, flags, referred) = (number(0)?, *data.get(4)?, *data.get(5)?);
    let (count, mut at) = match referred >> 5 {
        7 => {
            let count = (number(5)? & 0x1fff_ffff) as usize;
            (count, 9 + (count + 1).div_ceil(8))
        }
        count => (count.into(), 6),
    };
    at += count
        * if name <= 256 {
            1
        } else if name <= 65_536 {
            2
        } else {
            4
        };
    at += if flags & 0x40 == 0 { 1 } else { 4 };
    let (kind, length) = (flags & 0x3f, number(at)?);
    at += 4;
    let size = match kind {
        // A page that comes in stripes does not know how high it will be.
        PAGE => area(number(at)?, Some(number(at + 4)?).filter(|high| *high != u32::MAX).unwrap_or(height)),
        kind if REGIONS.contains(&kind) => area(number(at)?, number(at + 4)?),
        _ => 0,
    };
    Some((size, data.get(at..)?.get(length as usize..)?))
}
