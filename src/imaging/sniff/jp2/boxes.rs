//! The boxes in front of a codestream: where it begins, and what its components mean (*ISO 15444-1, Annex I*).

use std::ops::Range;

use super::colour::{Channel, Model, Palette};
use super::{Lack, Parts};
use crate::imaging::ImagingError;

/// What the boxes tell. A codestream without boxes tells nothing of it.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    /// Where the codestream begins, and where it must have ended.
    pub(super) codestream: Range<u64>,
    /// What the colours are: of several boxes that say so the first one that we understand counts.
    pub(super) model: Option<Model>,
    /// A colour space that we do not understand.
    pub(super) foreign: Option<String>,
    pub(super) profile: Option<Range<u64>>,
    pub(super) palette: Option<Palette>,
    /// For each channel the column of the palette that it is looked up in.
    pub(super) mapping: Option<Vec<u8>>,
    pub(super) channels: Vec<Channel>,
}

/// Boxes on one level: writers make a dozen. They are walked again for each piece of the file.
const MOST_BOXES: usize = 1000;

/// A file may have 255 components; of a picture we read four.
pub(super) const MOST_COMPONENTS: usize = 4;

pub(super) fn read(parts: &Parts) -> Result<Boxes, Lack> {
    let mut boxes = Boxes::default();
    if parts.array(0)? == [0xff, 0x4f] {
        boxes.codestream = 0..u64::MAX;
        return Ok(boxes);
    }
    let mut at = 0;
    for _ in 0..MOST_BOXES {
        let (kind, body) = next(parts, at, u64::MAX)?;
        match &kind {
            b"jp2c" => return Ok(Boxes { codestream: body, ..boxes }),
            b"jp2h" => boxes.read_header(parts, body.clone())?,
            _ => {}
        }
        if body.end == u64::MAX {
            break;
        }
        at = body.end;
    }
    Err(ImagingError::broken("a JPEG 2000 without a codestream").into())
}

/// The kind of the box at a place, and what is in it. The last one may go on to the end of what it is in.
fn next(parts: &Parts, at: u64, end: u64) -> Result<([u8; 4], Range<u64>), Lack> {
    let [a, b, c, d, kind @ ..] = parts.array::<8>(at)?;
    let (head, length) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, None),
        1 => (16, Some(u64::from_be_bytes(parts.array(at + 8)?))),
        length => (8, Some(length.into())),
    };
    let stop = match length {
        None => Some(end),
        Some(length) if length >= head => at.checked_add(length),
        Some(_) => None,
    };
    match stop {
        Some(stop) if stop <= end && at + head <= stop => Ok((kind, at + head..stop)),
        _ => {
            let kind = kind.escape_ascii();
            Err(ImagingError::broken(format!("a box `{kind}` of a wrong length at byte {at}")).into())
        }
    }
}

impl Boxes {
    fn read_header(&mut self, parts: &Parts, header: Range<u64>) -> Result<(), Lack> {
        /// Asked for at once: everything but long profiles.
        const AHEAD: u64 = 1024;
        parts.slice(header.start, (header.end - header.start).min(AHEAD))?;
        let mut at = header.start;
        for _ in 0..MOST_BOXES {
            if at >= header.end {
                return Ok(());
            }
            let (kind, body) = next(parts, at, header.end)?;
            at = body.end;
            match &kind {
                b"colr" => self.read_colour(parts, body)?,
                b"pclr" => self.palette = Some(Palette::read(parts, body)?),
                b"cmap" => self.mapping = Some(mapping(parts, body)?),
                b"cdef" => self.channels = channels(parts, body)?,
                _ => {}
            }
        }
        Err(ImagingError::broken(format!("a JPEG 2000 of more than {MOST_BOXES} boxes in its header")).into())
    }

    fn read_colour(&mut self, parts: &Parts, body: Range<u64>) -> Result<(), Lack> {
        const ENUMERATED: u8 = 1;
        const PROFILE: u8 = 2;
        const ANY_PROFILE: u8 = 3;
        let [method] = parts.array(body.start)?;
        let least = match method {
            ENUMERATED => 7,
            PROFILE | ANY_PROFILE => 23,
            _ => 1,
        };
        if body.end - body.start < least {
            let found = body.end - body.start;
            return Err(ImagingError::broken(format!("a box `colr` of {found} bytes")).into());
        }
        match method {
            _ if self.model.is_some() => {}
            ENUMERATED => {
                let number = u32::from_be_bytes(parts.array(body.start + 3)?);
                self.model = Model::numbered(number);
                self.foreign = Some(format!("colour space {number}"));
            }
            PROFILE | ANY_PROFILE => {
                let profile = body.start + 3..body.end;
                let space = parts.array(profile.start + 16)?;
                self.model = Model::named(space);
                self.foreign = Some(format!("a profile for `{}`", space.escape_ascii()));
                self.profile = self.model.is_some().then_some(profile);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The columns that channels are looked up in. There is one component to look up.
fn mapping(parts: &Parts, body: Range<u64>) -> Result<Vec<u8>, Lack> {
    let mut columns = Vec::new();
    for at in body.step_by(4) {
        if columns.len() == MOST_COMPONENTS {
            return Err(ImagingError::unsupported("JPEG 2000 of more than 4 channels").into());
        }
        match parts.array(at)? {
            [0, 0, 1, column] => columns.push(column),
            _ => {
                return Err(
                    ImagingError::unsupported("JPEG 2000 with a palette beside other channels").into()
                );
            }
        }
    }
    Ok(columns)
}

fn channels(parts: &Parts, body: Range<u64>) -> Result<Vec<Channel>, Lack> {
    let count = u64::from(u16::from_be_bytes(parts.array(body.start)?));
    if count > 255 {
        return Err(ImagingError::broken(format!("a JPEG 2000 that tells of {count} channels")).into());
    }
    let told = (0..count).map(|number| {
        let [a, b, c, d, e, f] = parts.array(body.start + 2 + 6 * number)?;
        let [number, kind, colour] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
        Ok(Channel { number, kind, colour })
    });
    told.collect()
}
