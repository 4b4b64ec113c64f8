//! The segments of a JPEG in front of its pixels.

use std::ops::Range;

use super::{Header, Kind, Lack, Layout, Parts, Tone, ifd};
use crate::imaging::ImagingError;
use crate::imaging::jpeg::{
    MOST_SEGMENTS, MOST_STRAY, body_length, marker, next_marker, no_pixels, other_coding, two_frames,
};

/// The frame of a JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Frame {
    pub(in crate::imaging) components: u8,
    pub(in crate::imaging) progressive: bool,
    /// Sequential, with more or finer tables than the baseline has.
    pub(in crate::imaging) extended: bool,
    /// The first scan does not hold all components, so a decoder keeps all coefficients.
    pub(in crate::imaging) several_scans: bool,
    /// How many samples of each component lie side by side, and above each other, in the unit of the picture
    /// that repeats.
    sampling: [(u8, u8); 4],
}

impl Frame {
    /// The size and the frame that a frame header tells.
    pub(in crate::imaging) fn parse(marker: u8, body: &[u8]) -> Result<((u32, u32), Self), ImagingError> {
        let [precision, a, b, c, d, components, specifications @ ..] = body else {
            return Err(ImagingError::broken("a JPEG with half a frame header"));
        };
        if *precision != 8 {
            return Err(ImagingError::unsupported(format!("JPEG with {precision} bits a sample")));
        }
        if !matches!(components, 1 | 3 | 4) {
            return Err(ImagingError::unsupported(format!("JPEG with {components} components")));
        }
        let size = (u32::from(u16::from_be_bytes([*c, *d])), u32::from(u16::from_be_bytes([*a, *b])));
        let progressive = marker == marker::PROGRESSIVE;
        let count = usize::from(*components);
        let sampling = sampling(specifications.get(..3 * count).unwrap_or_default(), count)?;
        let (components, extended) = (*components, marker == marker::EXTENDED);
        Ok((size, Self { components, progressive, extended, several_scans: progressive, sampling }))
    }

    /// The names of the components, by a frame header.
    pub(in crate::imaging) fn names(body: &[u8]) -> Vec<u8> {
        let count = body.get(5).copied().unwrap_or_default();
        body.iter().skip(6).step_by(3).take(count.into()).copied().collect()
    }

    /// The samples of one component.
    pub(in crate::imaging) fn sampling(&self, component: usize) -> (u32, u32) {
        let (across, down) = self.sampling[component];
        (across.into(), down.into())
    }

    /// The samples of the finest component, in each direction.
    pub(in crate::imaging) fn finest(&self) -> (u32, u32) {
        let used = &self.sampling[..usize::from(self.components)];
        let finest = |side: fn(&(u8, u8)) -> u8| used.iter().map(side).max().unwrap_or(1);
        (finest(|(across, _)| *across).into(), finest(|(_, down)| *down).into())
    }

    /// How many pixels of the finest component one of the coarsest covers, in the direction in which they are more.
    pub(in crate::imaging) fn coarseness(&self) -> u32 {
        let (widest, highest) = self.finest();
        let all = (0..self.components.into()).map(|of| self.sampling(of));
        all.map(|(across, down)| (widest / across).max(highest / down)).max().unwrap_or(1)
    }

    /// Whether a picture with this frame can be read row by row: it comes in one scan, and each component has as many
    /// samples as the finest, or half or a quarter of them.
    pub(in crate::imaging) fn comes_in_rows(&self) -> bool {
        /// Blocks in the unit of a scan (*ITU T.81, B.2.3*).
        const MOST_BLOCKS: u32 = 10;
        let (widest, highest) = self.finest();
        let fits = |part: u32, of: u32| matches!(of / part, 1 | 2 | 4);
        let all = || (0..self.components.into()).map(|of| self.sampling(of));
        !self.several_scans
            && all().all(|(across, down)| fits(across, widest) && fits(down, highest))
            && all().map(|(across, down)| across * down).sum::<u32>() <= MOST_BLOCKS
    }

    /// Whether a component is neither the finest nor the coarsest possible: alone in a scan it may have fewer blocks
    /// than the units of the picture take, which the decoders get wrong.
    fn is_uneven(&self) -> bool {
        let (widest, highest) = self.finest();
        let between = |part: u32, of: u32| part > 1 && part < of;
        let mut all = (0..self.components.into()).map(|of| self.sampling(of));
        all.any(|(across, down)| between(across, widest) || between(down, highest))
    }

    /// Samples of all components in a picture of this size, made up to whole units.
    pub(in crate::imaging) fn samples(&self, (width, height): (u32, u32)) -> u64 {
        let (across, down) = self.finest();
        let units = u64::from(width.div_ceil(8 * across)) * u64::from(height.div_ceil(8 * down));
        let blocks = (0..self.components.into()).map(|of| self.sampling(of)).map(|(h, v)| u64::from(h * v));
        units * blocks.sum::<u64>() * 64
    }
}

/// The sampling factors of all components. A single one has the whole picture, whatever it says.
fn sampling(specifications: &[u8], count: usize) -> Result<[(u8, u8); 4], ImagingError> {
    let mut sampling = [(1, 1); 4];
    for (found, specification) in
        sampling.iter_mut().zip(specifications.chunks_exact(3)).skip_while(|_| count == 1)
    {
        *found = (specification[1] >> 4, specification[1] & 15);
    }
    let finest = |side: fn(&(u8, u8)) -> u8| sampling[..count].iter().map(side).max().unwrap_or(1);
    let (widest, highest) = (finest(|(across, _)| *across), finest(|(_, down)| *down));
    let whole = |part: u8, of: u8| (1..=4).contains(&part) && of.is_multiple_of(part);
    let right = specifications.len() == 3 * count
        && sampling[..count].iter().all(|(across, down)| whole(*across, widest) && whole(*down, highest));
    if right { Ok(sampling) } else { Err(ImagingError::unsupported("JPEG with such sampling factors")) }
}

/// One segment in front of the pixels.
struct Segment {
    marker: u8,
    body: Range<u64>,
}

impl Segment {
    fn length(&self) -> u64 {
        self.body.end - self.body.start
    }

    /// The bytes behind a signature, if the segment begins with it.
    fn after<'a>(&self, signature: &[u8], parts: &'a Parts) -> Result<Option<&'a [u8]>, Lack> {
        if self.length() < signature.len() as u64
            || parts.slice(self.body.start, signature.len() as u64)? != signature
        {
            return Ok(None);
        }
        Ok(parts.slice(self.body.start, self.length())?.get(signature.len()..))
    }
}

/// The next segment at or after `at`.
fn segment(parts: &Parts, at: u64) -> Result<Segment, Lack> {
    let mut behind = at;
    let marker = loop {
        let pair: [u8; 2] = parts.array(behind)?;
        let known = Some(parts.from(behind)).filter(|known| known.len() > 1).unwrap_or(&pair);
        let (found, passed) = next_marker(known);
        behind += passed as u64;
        if behind - at > MOST_STRAY {
            return Err(no_pixels().into());
        }
        if let Some(marker) = found {
            break marker;
        }
    };
    if marker == marker::END_OF_IMAGE {
        return Err(no_pixels().into());
    }
    let length = body_length(parts.array(behind)?)? as u64;
    Ok(Segment { marker, body: behind + 2..behind + 2 + length })
}

pub(super) fn header(parts: &Parts) -> Result<Header, Lack> {
    let mut at = 2;
    let mut orientation = None;
    let mut frame = None;
    for _ in 0..MOST_SEGMENTS {
        let segment = segment(parts, at)?;
        match segment.marker {
            marker::START_OF_SCAN => {
                let (size, frame): ((u32, u32), Frame) =
                    frame.ok_or_else(|| ImagingError::broken("a JPEG without a frame header"))?;
                let [in_scan] = parts.array(segment.body.start)?;
                let frame = Frame { several_scans: frame.progressive || in_scan < frame.components, ..frame };
                if frame.several_scans && frame.is_uneven() {
                    return Err(ImagingError::unsupported(
                        "JPEG with such sampling factors in several scans",
                    )
                    .into());
                }
                let tone = if frame.components == 1 { Tone::Grey } else { Tone::Colour };
                let orientation = orientation.unwrap_or_default();
                return Ok(Header::new(Kind::Jpeg, size, tone, orientation, Layout::Jpeg(frame)));
            }
            marker::BASELINE..=marker::PROGRESSIVE if frame.is_some() => return Err(two_frames().into()),
            marker::BASELINE..=marker::PROGRESSIVE => {
                frame =
                    Some(Frame::parse(segment.marker, parts.slice(segment.body.start, segment.length())?)?);
            }
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Err(other_coding().into()),
            marker::APP1 if orientation.is_none() => {
                orientation = segment.after(b"Exif\0\0", parts)?.map(ifd::orientation);
            }
            _ => {}
        }
        at = segment.body.end;
    }
    Err(no_pixels().into())
}
