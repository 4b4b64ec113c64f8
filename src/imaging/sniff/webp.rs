//! The chunks of a WebP file.

use super::{Header, Kind, Lack, Layout, Parts, Tone, ifd};
use crate::imaging::ImagingError;
use crate::imaging::orient::Orientation;

const HAS_EXIF: u8 = 0x08;
const ANIMATED: u8 = 0x02;
const LONGEST_EXIF: u64 = 1 << 16;

/// Chunks that are looked at: frames of an animation come before its EXIF block. They are walked again for each piece
/// of the file.
const MOST_CHUNKS: usize = 1000;

pub(super) fn header(parts: &Parts) -> Result<Header, Lack> {
    let (size, orientation) = match &parts.array::<4>(12)? {
        b"VP8 " => (lossy(parts, 20)?, Orientation::default()),
        b"VP8L" => (lossless(parts, 20)?, Orientation::default()),
        b"VP8X" => extended(parts)?,
        other => return Err(ImagingError::broken(format!("WebP chunk `{}`", other.escape_ascii())).into()),
    };
    Ok(Header::new(Kind::Webp, size, Tone::Colour, orientation, Layout::Webp))
}

fn lossy(parts: &Parts, at: u64) -> Result<(u32, u32), Lack> {
    let [a, b, c, d] = parts.array(at + 6)?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok((side(a, b), side(c, d)))
}

fn lossless(parts: &Parts, at: u64) -> Result<(u32, u32), Lack> {
    let bits = u32::from_le_bytes(parts.array(at + 1)?);
    Ok((1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)))
}

/// The canvas, and the orientation from the EXIF block, which stands behind the pixels. A still
/// picture must be as large as its canvas: the decoder would find out only after allocating.
fn extended(parts: &Parts) -> Result<((u32, u32), Orientation), Lack> {
    let [flags, _, _, _, a, b, c, d, e, f] = parts.array(20)?;
    let canvas = (1 + u32::from_le_bytes([a, b, c, 0]), 1 + u32::from_le_bytes([d, e, f, 0]));
    // Flags promise EXIF that is not there: where the file says that it ends, nothing is left to come.
    let end = 8 + u64::from(u32::from_le_bytes(parts.array(4)?));
    let mut at = 12_u64;
    let mut is_picture = false;
    for _ in 0..MOST_CHUNKS {
        if is_picture && at + 8 > end {
            break;
        }
        let [w, x, y, z, length @ ..] = parts.array::<8>(at)?;
        let length = u64::from(u32::from_le_bytes(length));
        let picture = match &[w, x, y, z] {
            b"VP8 " => Some(lossy(parts, at + 8)?),
            b"VP8L" => Some(lossless(parts, at + 8)?),
            b"ANMF" => Some(canvas),
            b"EXIF" if length <= LONGEST_EXIF => {
                return Ok((canvas, ifd::orientation(parts.slice(at + 8, length)?)));
            }
            b"EXIF" => return Ok((canvas, Orientation::default())),
            _ => None,
        };
        if let Some(picture) = picture {
            is_picture = true;
            if flags & ANIMATED == 0 && picture != canvas {
                return Err(ImagingError::broken("a WebP picture of another size than its canvas").into());
            }
            if flags & HAS_EXIF == 0 {
                return Ok((canvas, Orientation::default()));
            }
        }
        at += 8 + length + (length & 1);
    }
    match is_picture {
        true => Ok((canvas, Orientation::default())),
        false => Err(ImagingError::broken("a WebP without pixels").into()),
    }
}
