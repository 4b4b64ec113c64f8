//! The scans of a JPEG, told apart without being decoded, and made safe against those that end early.

use crate::imaging::ImagingError;
use crate::imaging::jpeg::{Segment, early, marker, segment};
use crate::imaging::sniff::jpeg::Frame;

/// A picture has a handful of scans; hostile files have thousands.
pub(super) const MOST_SCANS: usize = 100;

/// Blocks of all scans together, a few seconds of work: a picture of 100 megapixels in full colour has a quarter of
/// them.
const MOST_BLOCKS: u64 = 80_000_000;

/// Ones, where no more bits are due. No Huffman code consists of ones (*ITU T.81, C.2*), so a decoder that was not
/// satisfied with a scan stops here with a fault. At a marker it would go on with zeros, and paint what is missing
/// in grey. Enough for the longest code behind the longest value.
const ONES: [u8; 16] = [0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0];

/// Bytes that [`seal`] adds at most.
pub(super) const SEALS: usize = MOST_SCANS * ONES.len();

/// Walks through a complete JPEG and closes each scan with ones; whatever follows the picture is cut off, and strays in
/// front of it become fill bytes, which every decoder passes over. An error if scans are missing, or parts of them as far
/// as that shows without decoding.
pub(in crate::imaging::decode) fn seal(bytes: &mut Vec<u8>) -> Result<Frame, ImagingError> {
    let Scans { frame, factors, ends, length } = Scans::read(bytes)?;
    bytes.truncate(length);
    if frame.components == 1 {
        // They mean nothing, but decoders make something of them.
        bytes[factors] = 0x11;
    }
    // One decoder expects the marker right behind the first scan. Progressive, it is not the last one: if it lacks
    // anything, so do those behind it.
    let first = usize::from(frame.progressive);
    let ends = &ends[first.min(ends.len())..];
    let mut rest = bytes.len();
    bytes.resize(rest + ends.len() * ONES.len(), 0);
    for (index, end) in ends.iter().enumerate().rev() {
        let moved = end + (index + 1) * ONES.len();
        bytes.copy_within(*end..rest, moved);
        bytes[moved - ONES.len()..moved].copy_from_slice(&ONES);
        rest = *end;
    }
    Ok(frame)
}

struct Scans {
    frame: Frame,
    /// Where the sampling factors of the first component lie.
    factors: usize,
    /// Where the bits of each scan end.
    ends: Vec<usize>,
    /// Where the file ends.
    length: usize,
}

impl Scans {
    fn read(bytes: &mut [u8]) -> Result<Self, ImagingError> {
        let mut frame = None;
        let mut factors = 0;
        let mut interval = 0;
        let mut ends = Vec::new();
        let mut blocks = 0;
        let mut at = 0;
        loop {
            let Segment { marker, start, body, end: behind } = segment(bytes, at)?;
            let strays = at..start;
            at = behind;
            match (marker, &mut frame) {
                (marker::END_OF_IMAGE, _) => {
                    let progress: Option<Progress> = frame;
                    let frame =
                        progress.ok_or_else(|| ImagingError::broken("a JPEG without a frame header"))?;
                    return Ok(Self { frame: frame.complete()?, factors, ends, length: behind });
                }
                (marker::BASELINE..=marker::PROGRESSIVE, None) => {
                    frame = Some(Progress::new(marker, body)?);
                    factors = behind - body.len() + 7;
                }
                (marker::RESTART_INTERVAL, _) => {
                    interval = body.try_into().map_or(0, u16::from_be_bytes).into();
                }
                (marker::START_OF_SCAN, Some(progress)) => {
                    let units = progress.add(body)?;
                    let (end, restarts) = end_of_scan(bytes, at)?;
                    if interval > 0 && restarts + 1 < units.count.div_ceil(interval) {
                        return Err(ImagingError::broken(format!("a JPEG scan of {restarts} restarts")));
                    }
                    ends.push(end);
                    blocks += units.count * units.blocks;
                    at = end;
                }
                _ => {}
            }
            // In front of the first segment lies the mark of the beginning.
            if strays.start > 0 {
                bytes[strays].fill(0xff);
            }
            check_work(ends.len(), blocks)?;
        }
    }
}

fn check_work(scans: usize, blocks: u64) -> Result<(), ImagingError> {
    if scans > MOST_SCANS {
        return Err(ImagingError::broken(format!("a JPEG of more than {MOST_SCANS} scans")));
    }
    if scans > 1 && blocks > MOST_BLOCKS {
        let found = format!("{blocks} blocks in {scans} scans");
        let (what, rule) = ("the work on this picture", "a few seconds");
        return Err(ImagingError::TooLarge { what, found, limit: MOST_BLOCKS, rule });
    }
    Ok(())
}

/// How far the scans have come that were seen.
struct Progress {
    size: (u32, u32),
    frame: Frame,
    names: Vec<u8>,
    /// Of each component, the coefficients that are there to the last bit, one bit each.
    exact: [u64; 4],
}

/// The units of one scan that are coded one after the other.
struct Units {
    count: u64,
    /// Blocks in each.
    blocks: u64,
}

impl Progress {
    fn new(marker: u8, body: &[u8]) -> Result<Self, ImagingError> {
        let (size, frame) = Frame::parse(marker, body)?;
        Ok(Self { size, frame, names: Frame::names(body), exact: [0; 4] })
    }

    /// Counts in a scan by its header.
    fn add(&mut self, header: &[u8]) -> Result<Units, ImagingError> {
        let broken = || ImagingError::broken("a JPEG with a scan header that does not fit its frame");
        let (count, rest) = header.split_first().ok_or_else(broken)?;
        let (names, rest) = rest.split_at_checked(2 * usize::from(*count)).ok_or_else(broken)?;
        let &[first, last, bits] = rest else { return Err(broken()) };
        let position = |name: &[u8]| self.names.iter().position(|found| *found == name[0]);
        let components =
            names.chunks_exact(2).map(position).collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        if components.is_empty() || first > last || last > 63 {
            return Err(broken());
        }
        let band =
            if self.frame.progressive { u64::MAX >> (63 - last) & u64::MAX << first } else { u64::MAX };
        for component in components.iter().filter(|_| !self.frame.progressive || bits & 15 == 0) {
            self.exact[*component] |= band;
        }
        Ok(self.units(&components))
    }

    /// A component alone has a unit for each of its blocks; several share one (*ITU T.81, A.2*).
    fn units(&self, components: &[usize]) -> Units {
        let finest = self.frame.finest();
        let count = |(across, down): (u32, u32)| {
            let side = |length: u32, part: u32, of: u32| u64::from((length * part).div_ceil(8 * of));
            side(self.size.0, across, finest.0) * side(self.size.1, down, finest.1)
        };
        match components {
            [alone] => Units { count: count(self.frame.sampling(*alone)), blocks: 1 },
            _ => {
                let blocks =
                    components.iter().map(|of| self.frame.sampling(*of)).map(|(h, v)| u64::from(h * v));
                Units { count: count((1, 1)), blocks: blocks.sum() }
            }
        }
    }

    /// The frame, if nothing of it is missing.
    fn complete(self) -> Result<Frame, ImagingError> {
        let components = usize::from(self.frame.components);
        match self.exact[..components].iter().all(|exact| *exact == u64::MAX) {
            true => Ok(self.frame),
            false => Err(ImagingError::broken("a JPEG that lacks scans")),
        }
    }
}

/// Where the bits of a scan end that begin at `start`, and how many restarts are among them. Other markers cannot
/// appear by chance: each 0xff is stuffed.
fn end_of_scan(bytes: &[u8], start: usize) -> Result<(usize, u64), ImagingError> {
    let (mut at, mut restarts) = (start, 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += rest.iter().position(|byte| *byte == 0xff).ok_or_else(early)?;
        let fill = bytes[at..].iter().take_while(|byte| **byte == 0xff).count();
        match bytes.get(at + fill).ok_or_else(early)? {
            0 => {}
            0xd0..=0xd7 => restarts += 1,
            _ => return Ok((at, restarts)),
        }
        at += fill + 1;
    }
}
