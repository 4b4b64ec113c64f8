//! The screen descriptor of a GIF.

use super::{Header, Kind, Lack, Layout, Parts, Tone};
use crate::imaging::ImagingError;
use crate::imaging::orient::Orientation;

/// Extensions in front of the first frame.
const MOST_EXTENSIONS: usize = 20;

/// Pieces of an extension, of up to 255 bytes. They are walked again for each piece of the file.
const MOST_PIECES: usize = 10_000;

pub(super) fn header(parts: &Parts) -> Result<Header, Lack> {
    let size = match pair(parts, 6)? {
        (0, 0) => first_frame(parts)?,
        screen => screen,
    };
    Ok(Header::new(Kind::Gif, size, Tone::Colour, Orientation::default(), Layout::Gif))
}

/// A screen without a size is as large as what is first shown on it: browsers draw it so.
fn first_frame(parts: &Parts) -> Result<(u32, u32), Lack> {
    let [flags] = parts.array(10)?;
    let colours = if flags & 0x80 == 0 { 0 } else { 2 << (flags & 7) };
    let mut at = 13 + 3 * colours;
    for _ in 0..MOST_EXTENSIONS {
        match parts.array(at)? {
            [b','] => {
                let ((left, top), (width, height)) = (pair(parts, at + 1)?, pair(parts, at + 5)?);
                return Ok((left + width, top + height));
            }
            [b'!'] => at = behind_pieces(parts, at + 2)?,
            _ => break,
        }
    }
    Err(ImagingError::broken("a GIF without a frame").into())
}

/// Behind the pieces of an extension, of which an empty one is the last.
fn behind_pieces(parts: &Parts, mut at: u64) -> Result<u64, Lack> {
    for _ in 0..MOST_PIECES {
        let [length] = parts.array(at)?;
        at += 1 + u64::from(length);
        if length == 0 {
            return Ok(at);
        }
    }
    Err(ImagingError::broken("a GIF whose metadata has no end").into())
}

fn pair(parts: &Parts, at: u64) -> Result<(u32, u32), Lack> {
    let [a, b, c, d] = parts.array(at)?;
    Ok((u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into()))
}
