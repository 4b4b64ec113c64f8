//! The screen descriptor of a GIF.

use super::{Header, Kind, Lack, Layout, Parts, Tone};
use crate::imaging::orient::Orientation;

pub(super) fn header(parts: &Parts) -> Result<Header, Lack> {
    let [a, b, c, d] = parts.array(6)?;
    let size = (u32::from(u16::from_le_bytes([a, b])), u32::from(u16::from_le_bytes([c, d])));
    Ok(Header::new(Kind::Gif, size, Tone::Colour, Orientation::default(), Layout::Gif))
}
