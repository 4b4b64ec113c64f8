//! The chunks of a PNG in front of its pixels.

use super::{Header, Kind, Lack, Layout, Parts, Tone, ifd};
use crate::imaging::ImagingError;
use crate::imaging::orient::Orientation;

/// EXIF blocks are small; a larger one is passed over.
const LONGEST_EXIF: u32 = 1 << 16;

/// Chunks in front of the pixels: writers make a dozen. They are walked again for each piece of the file.
const MOST_CHUNKS: usize = 1000;

pub(super) fn header(parts: &Parts) -> Result<Header, Lack> {
    let [a, b, c, d, e, f, g, h, _, colour, _, _, interlace] = parts.array(16)?;
    let size = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let (channels, tone) = match colour {
        0 => (1, Tone::Grey),
        2 => (3, Tone::Colour),
        3 => (3, Tone::Colour),
        4 => (2, Tone::Grey),
        6 => (4, Tone::Colour),
        _ => return Err(ImagingError::broken(format!("PNG colour type {colour}, 0 to 6 expected")).into()),
    };
    let before = before_pixels(parts)?;
    let channels = if before.transparency && colour != 4 && colour != 6 { channels + 1 } else { channels };
    let layout = Layout::Png { channels, interlaced: interlace != 0 };
    Ok(Header::new(Kind::Png, size, tone, before.orientation.unwrap_or_default(), layout))
}

#[derive(Default)]
struct Before {
    /// Of the first `eXIf`: there may be one only.
    orientation: Option<Orientation>,
    transparency: bool,
}

/// What the chunks up to the pixels tell. An `eXIf` behind the pixels does not count: the size must
/// be known without reading the whole file.
fn before_pixels(parts: &Parts) -> Result<Before, Lack> {
    let mut before = Before::default();
    let mut at = 8_u64;
    for _ in 0..MOST_CHUNKS {
        let [a, b, c, d, kind @ ..] = parts.array::<8>(at)?;
        let length = u32::from_be_bytes([a, b, c, d]);
        match &kind {
            b"IDAT" => return Ok(before),
            b"IEND" => return Err(ImagingError::broken("a PNG without pixels").into()),
            b"tRNS" => before.transparency = true,
            b"eXIf" if length <= LONGEST_EXIF && before.orientation.is_none() => {
                before.orientation = Some(ifd::orientation(parts.slice(at + 8, u64::from(length))?));
            }
            _ => {}
        }
        at += 12 + u64::from(length);
    }
    Err(ImagingError::broken(format!("a PNG of more than {MOST_CHUNKS} chunks in front of its pixels"))
        .into())
}
