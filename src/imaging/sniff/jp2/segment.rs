//! Segments of a codestream: which there are, and how long they must be.

use crate::imaging::ImagingError;

/// Markers (*ISO 15444-1, table A.2*).
pub(in crate::imaging) mod marker {
    pub(in crate::imaging) const START: u16 = 0xff4f;
    pub(in crate::imaging) const CAPABILITIES: u16 = 0xff50;
    pub(in crate::imaging) const SIZE: u16 = 0xff51;
    pub(in crate::imaging) const CODING: u16 = 0xff52;
    pub(in crate::imaging) const CODING_OF_COMPONENT: u16 = 0xff53;
    pub(in crate::imaging) const TILE_LENGTHS: u16 = 0xff55;
    pub(in crate::imaging) const PACKET_LENGTHS: u16 = 0xff57;
    pub(in crate::imaging) const PACKET_LENGTHS_OF_TILE: u16 = 0xff58;
    pub(in crate::imaging) const QUANTISATION: u16 = 0xff5c;
    pub(in crate::imaging) const QUANTISATION_OF_COMPONENT: u16 = 0xff5d;
    pub(in crate::imaging) const REGION: u16 = 0xff5e;
    pub(in crate::imaging) const CHANGES: u16 = 0xff5f;
    pub(in crate::imaging) const PACKED_HEADERS: u16 = 0xff60;
    pub(in crate::imaging) const PACKED_HEADERS_OF_TILE: u16 = 0xff61;
    pub(in crate::imaging) const REGISTRATION: u16 = 0xff63;
    pub(in crate::imaging) const COMMENT: u16 = 0xff64;
    pub(in crate::imaging) const TILE: u16 = 0xff90;
    pub(in crate::imaging) const DATA: u16 = 0xff93;
    pub(in crate::imaging) const END: u16 = 0xffd9;
}

/// What a segment of another kind stands for.
pub(in crate::imaging) fn unknown(marker: u16) -> ImagingError {
    let what = match marker {
        marker::CAPABILITIES => "coding of high throughput".into(),
        marker::CODING | marker::CODING_OF_COMPONENT => "a coding style for each tile".into(),
        marker::PACKED_HEADERS => "headers of packets in front of all tiles".into(),
        0xff00.. => format!("marker {marker:04x}"),
        other => return ImagingError::broken(format!("no JPEG 2000 marker, but {other:04x}")),
    };
    ImagingError::unsupported(format!("JPEG 2000 with {what}"))
}

/// Refuses a segment that is longer or shorter than what it tells: the decoder does not go by lengths, and would take
/// what is left of it for further segments.
pub(in crate::imaging) fn check(segment: &[u8]) -> Result<(), ImagingError> {
    let [a, b, _, _, body @ ..] = segment else {
        return Err(ImagingError::broken("a segment without a length"));
    };
    let marker = u16::from_be_bytes([*a, *b]);
    let at = |index: usize| usize::from(body.get(index).copied().unwrap_or_default());
    let precincts = |style: usize, levels: usize| if style & 1 == 0 { 0 } else { levels + 1 };
    let is_right = match marker {
        marker::SIZE => body.len() == 36 + 3 * (at(34) << 8 | at(35)),
        marker::CODING => body.len() == 10 + precincts(at(0), at(5)),
        marker::CODING_OF_COMPONENT => body.len() == 7 + precincts(at(1), at(2)),
        marker::QUANTISATION => are_steps(at(0), body.len().checked_sub(1)),
        marker::QUANTISATION_OF_COMPONENT => are_steps(at(1), body.len().checked_sub(2)),
        marker::REGION => body.len() == 3,
        marker::CHANGES => body.len() % 7 == 0,
        _ => true,
    };
    match is_right {
        true => Ok(()),
        false => Err(ImagingError::broken(format!("a segment {marker:04x} of {} bytes", segment.len()))),
    }
}

/// A byte a step, one step of two, or any number of these (*ISO 15444-1, table A.28*).
fn are_steps(style: usize, length: Option<usize>) -> bool {
    match (style & 0x1f, length) {
        (_, None | Some(0)) => false,
        (1, length) => length == Some(2),
        (2, Some(length)) => length % 2 == 0,
        _ => true,
    }
}
