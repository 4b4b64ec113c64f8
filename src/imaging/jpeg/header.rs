//! What stands in front of the pixels, segment by segment.

use super::colour::Colour;
use super::frame::{Component, Frame};
use super::input::{Input, early};
use super::layout::Scale;
use super::tables::Tables;
use crate::imaging::ImagingError;
use crate::imaging::decode::LONGEST_PROFILE;

/// Segments in front of the pixels: 128 MB of metadata, if each is as long as it may be.
const MOST_SEGMENTS: usize = 2000;

/// Bytes between segments that belong to none.
const MOST_STRAY: usize = 1 << 16;

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
    jfif: bool,
    /// How Adobe's marker says that colours were transformed.
    adobe: Option<u8>,
    /// The pieces of an ICC profile, numbered.
    profile: Vec<(u8, Vec<u8>)>,
}

impl Header {
    /// Reads up to the first scan.
    pub(super) fn read(input: &mut Input) -> Result<Self, ImagingError> {
        if input.array()? != [0xff, 0xd8] {
            return Err(ImagingError::broken("no JPEG marker at byte 0"));
        }
        let mut told = Told::default();
        for _ in 0..MOST_SEGMENTS {
            let marker = marker(input)?;
            match marker {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => break,
                _ => {}
            }
            let length = length(input)?;
            if !matches!(marker, 0xc0..=0xcf | 0xda | 0xdb | 0xdd | 0xe0 | 0xe2 | 0xee) {
                input.seek(input.position() + length as u64)?;
                continue;
            }
            let body = input.at_least(length)?.get(..length).ok_or_else(early)?.to_vec();
            input.take(length);
            if marker == 0xda {
                return told.scan(&body, input.position());
            }
            told.segment(marker, &body)?;
        }
        Err(ImagingError::broken("a JPEG without pixels"))
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

/// The next marker. Fill bytes and strays are passed over.
pub(super) fn marker(input: &mut Input) -> Result<u8, ImagingError> {
    let mut filled = false;
    for _ in 0..MOST_STRAY {
        let [byte] = input.array()?;
        match byte {
            0xff => filled = true,
            0 => filled = false,
            marker if filled => return Ok(marker),
            _ => {}
        }
    }
    Err(ImagingError::broken(format!("no JPEG marker in {MOST_STRAY} bytes")))
}

/// Bytes of the segment that begins here, without those that tell its length.
pub(super) fn length(input: &mut Input) -> Result<usize, ImagingError> {
    let length = usize::from(u16::from_be_bytes(input.array()?));
    length.checked_sub(2).ok_or_else(|| ImagingError::broken(format!("a JPEG segment of length {length}")))
}

impl Told {
    fn segment(&mut self, marker: u8, body: &[u8]) -> Result<(), ImagingError> {
        match marker {
            0xc4 => self.tables.codes(body)?,
            0xdb => self.tables.quantisation(body)?,
            0xdd => {
                let interval = body.first_chunk();
                let half = || ImagingError::broken("a JPEG with half a restart interval");
                self.interval = u16::from_be_bytes(*interval.ok_or_else(half)?).into();
            }
            0xe0 => self.jfif |= body.starts_with(b"JFIF\0"),
            0xe2 => {
                let held: usize = self.profile.iter().map(|(_, piece)| piece.len()).sum();
                match body.strip_prefix(b"ICC_PROFILE\0") {
                    Some([number, _, piece @ ..]) if held as u64 <= LONGEST_PROFILE => {
                        self.profile.push((*number, piece.to_vec()));
                    }
                    _ => {}
                }
            }
            0xee if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied(),
            0xc0..=0xc2 if self.frame.is_none() => self.frame = Some(Frame::parse(marker, body)?),
            0xc0..=0xc2 => return Err(ImagingError::broken("a JPEG with two frame headers")),
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => {
                let what = "JPEG with lossless, hierarchical or arithmetic coding";
                return Err(ImagingError::unsupported(what));
            }
            _ => {}
        }
        Ok(())
    }

    /// Closes the account at the header of the first scan.
    fn scan(mut self, body: &[u8], start: u64) -> Result<Header, ImagingError> {
        let profile = self.profile();
        let frame = self.frame.ok_or_else(|| ImagingError::broken("a JPEG without a frame header"))?;
        Ok(Header {
            width: frame.size.0,
            height: frame.size.1,
            components: frame.components(body, &self.tables)?,
            colour: frame.colour(self.jfif, self.adobe),
            tables: self.tables,
            interval: self.interval,
            start,
            profile,
        })
    }

    /// Its pieces may come in any order.
    fn profile(&mut self) -> Option<Vec<u8>> {
        self.profile.sort_by_key(|(number, _)| *number);
        let profile: Vec<u8> = self.profile.drain(..).flat_map(|(_, piece)| piece).collect();
        Some(profile).filter(|profile| (1..=LONGEST_PROFILE).contains(&(profile.len() as u64)))
    }
}
