//! Markers, and the segments behind them (*ITU T.81, B.1.1*): what holds for whoever goes through a JPEG.

use memchr::memchr_iter;

use super::input::early;
use crate::imaging::ImagingError;

/// What stands behind 0xff, by what follows.
pub(in crate::imaging) mod marker {
    pub(in crate::imaging) const BASELINE: u8 = 0xc0;
    pub(in crate::imaging) const EXTENDED: u8 = 0xc1;
    pub(in crate::imaging) const PROGRESSIVE: u8 = 0xc2;
    pub(in crate::imaging) const CODES: u8 = 0xc4;
    pub(in crate::imaging) const END_OF_IMAGE: u8 = 0xd9;
    pub(in crate::imaging) const START_OF_SCAN: u8 = 0xda;
    pub(in crate::imaging) const QUANTISATION: u8 = 0xdb;
    pub(in crate::imaging) const RESTART_INTERVAL: u8 = 0xdd;
    pub(in crate::imaging) const APP0: u8 = 0xe0;
    pub(in crate::imaging) const APP1: u8 = 0xe1;
    pub(in crate::imaging) const APP2: u8 = 0xe2;
    pub(in crate::imaging) const APP14: u8 = 0xee;
}

/// Segments in front of the pixels: 128 MB of metadata, if each is as long as it may be.
pub(in crate::imaging) const MOST_SEGMENTS: usize = 2000;

/// Bytes from a segment to the next one's marker, and over it.
pub(in crate::imaging) const MOST_STRAY: u64 = 1 << 16;

/// A segment in memory; the end of the picture is one without a body.
pub(in crate::imaging) struct Segment<'a> {
    pub(in crate::imaging) marker: u8,
    /// Where its marker begins.
    pub(in crate::imaging) start: usize,
    pub(in crate::imaging) body: &'a [u8],
    /// Where it ends, and so does its body.
    pub(in crate::imaging) end: usize,
}

/// The next segment at or behind `at`.
pub(in crate::imaging) fn segment(bytes: &[u8], at: usize) -> Result<Segment<'_>, ImagingError> {
    let (Some(marker), passed) = next_marker(bytes.get(at..).unwrap_or_default()) else {
        return Err(early());
    };
    let behind = at + passed;
    let start = behind - 2;
    if marker == marker::END_OF_IMAGE {
        return Ok(Segment { marker, start, body: &[], end: behind });
    }
    let told = bytes[behind..].first_chunk().ok_or_else(early)?;
    let (from, end) = (behind + 2, behind + 2 + body_length(*told)?);
    Ok(Segment { marker, start, body: bytes.get(from..end).ok_or_else(early)?, end })
}

/// The first marker of a segment, or of the end, if there is one in these bytes, and how many of them are done with. As
/// libjpeg does, this passes over fill bytes, strays and markers that stand alone.
pub(in crate::imaging) fn next_marker(bytes: &[u8]) -> (Option<u8>, usize) {
    let marker = |at: usize| Some((Some(*bytes.get(at + 1)?), at + 2));
    let begins = |(marker, _): &(Option<u8>, usize)| !matches!(marker, Some(0 | 0x01 | 0xd0..=0xd8 | 0xff));
    // The last byte may be the first half of one.
    memchr_iter(0xff, bytes).filter_map(marker).find(begins).unwrap_or((None, bytes.len().saturating_sub(1)))
}

/// Bytes of a segment's body, by the two in front of it, which count themselves.
pub(in crate::imaging) fn body_length(told: [u8; 2]) -> Result<usize, ImagingError> {
    let length = usize::from(u16::from_be_bytes(told));
    length.checked_sub(2).ok_or_else(|| ImagingError::broken(format!("a JPEG segment of length {length}")))
}

pub(in crate::imaging) fn no_pixels() -> ImagingError {
    ImagingError::broken("a JPEG without pixels")
}

pub(in crate::imaging) fn two_frames() -> ImagingError {
    ImagingError::broken("a JPEG with two frame headers")
}

pub(in crate::imaging) fn other_coding() -> ImagingError {
    ImagingError::unsupported("JPEG with lossless, hierarchical or arithmetic coding")
}
