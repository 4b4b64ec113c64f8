//! What stands in front of the pixels, segment by segment.

use super::colour::Colour;
use super::frame::{Component, Frame};
use super::input::{Input, early};
use super::layout::Scale;
use super::notes::Notes;
use super::segment::{
    MOST_SEGMENTS, MOST_STRAY, body_length, marker, next_marker, no_pixels, other_coding, two_frames,
};
use super::tables::Tables;
use crate::imaging::ImagingError;

/// Everything that is needed to read the scan.
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
    pub(super) colour: Colour,
    pub(super) tables: Tables,
    /// Units from restart to restart; 0: there are none.
    pub(super) interval: u32,
    /// Where in the file the scan begins.
    pub(super) start: u64,
    /// The ICC profile.
    pub(super) profile: Option<Vec<u8>>,
}

/// What the segments have told so far.
#[derive(Default)]
struct Told {
    tables: Tables,
    frame: Option<Frame>,
    interval: u32,
    notes: Notes,
}

impl Header {
    /// Reads up to the first scan.
    pub(super) fn read(input: &mut Input) -> Result<Self, ImagingError> {
        if input.array()? != [0xff, 0xd8] {
            return Err(ImagingError::broken("no JPEG marker at byte 0"));
        }
        let mut told = Told::default();
        for _ in 0..MOST_SEGMENTS {
            let found = next(input)?;
            if found == marker::END_OF_IMAGE {
                break;
            }
            let length = body_length(input.array()?)?;
            if !Told::is_of_use(found) {
                input.seek(input.position() + length as u64)?;
                continue;
            }
            let body = input.at_least(length)?.get(..length).ok_or_else(early)?.to_vec();
            input.take(length);
            if found == marker::START_OF_SCAN {
                return told.scan(&body, input.position());
            }
            told.segment(found, &body)?;
        }
        Err(no_pixels())
    }

    /// The size of the picture at a scale.
    pub(super) fn size(&self, scale: Scale) -> (u32, u32) {
        (self.width.div_ceil(scale.divisor()), self.height.div_ceil(scale.divisor()))
    }

    /// Blocks of the finest component in a unit, side by side and above each other.
    pub(super) fn finest(&self) -> (u32, u32) {
        let finest = |side: fn(&Component) -> u32| self.components.iter().map(side).max().unwrap_or(1);
        (finest(|one| one.across), finest(|one| one.down))
    }

    /// Units of the scan, from left to right and from top to bottom.
    pub(super) fn units(&self) -> (u32, u32) {
        let (across, down) = self.finest();
        (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down))
    }
}

/// The next marker of a segment, or of the end.
pub(super) fn next(input: &mut Input) -> Result<u8, ImagingError> {
    let start = input.position();
    loop {
        let known = input.at_least(2)?;
        if known.len() < 2 {
            return Err(early());
        }
        let (found, passed) = next_marker(known);
        input.take(passed);
        if input.position() - start > MOST_STRAY {
            return Err(no_pixels());
        }
        if let Some(marker) = found {
            return Ok(marker);
        }
    }
}

impl Told {
    fn is_of_use(marker: u8) -> bool {
        use marker::{APP0, APP2, APP14, BASELINE, QUANTISATION, RESTART_INTERVAL, START_OF_SCAN};
        matches!(
            marker,
            BASELINE..=0xcf | START_OF_SCAN | QUANTISATION | RESTART_INTERVAL | APP0 | APP2 | APP14
        )
    }

    fn segment(&mut self, marker: u8, body: &[u8]) -> Result<(), ImagingError> {
        match marker {
            marker::CODES => self.tables.codes(body)?,
            marker::QUANTISATION => self.tables.quantisation(body)?,
            marker::RESTART_INTERVAL => {
                let interval = body.first_chunk();
                let half = || ImagingError::broken("a JPEG with half a restart interval");
                self.interval = u16::from_be_bytes(*interval.ok_or_else(half)?).into();
            }
            marker::BASELINE..=marker::PROGRESSIVE if self.frame.is_none() => {
                self.frame = Some(Frame::parse(marker, body)?);
            }
            marker::BASELINE..=marker::PROGRESSIVE => return Err(two_frames()),
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => return Err(other_coding()),
            _ => self.notes.take(marker, body),
        }
        Ok(())
    }

    /// Closes the account at the header of the first scan.
    fn scan(self, body: &[u8], start: u64) -> Result<Header, ImagingError> {
        let frame = self.frame.ok_or_else(|| ImagingError::broken("a JPEG without a frame header"))?;
        Ok(Header {
            width: frame.size.0,
            height: frame.size.1,
            components: frame.components(body, &self.tables)?,
            colour: self.notes.colour(&frame.names),
            tables: self.tables,
            interval: self.interval,
            start,
            profile: self.notes.profile(),
        })
    }
}
