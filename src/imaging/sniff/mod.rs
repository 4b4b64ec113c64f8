//! What a file is, told from as few of its bytes as possible.

use std::io::{Read, SeekFrom};
use std::ops::Range;

use super::orient::Orientation;
use super::plan::Offer;
use super::{ImagingError, Limits, Master, Page, pdf};
use crate::iiif::image::quality::Tone;

mod gif;
pub(super) mod ifd;
pub(super) mod jp2;
pub(super) mod jpeg;
mod parts;
mod png;
pub(super) mod tiff;
mod webp;

pub(super) use parts::Lack;
pub use parts::Parts;

/// Kinds of masters that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// JPEG, ISO 10918.
    Jpeg,
    /// PNG.
    Png,
    /// TIFF 6.0 and BigTIFF.
    Tiff,
    /// WebP, lossy and lossless.
    Webp,
    /// GIF.
    Gif,
    /// JPEG 2000, ISO 15444: a codestream, with boxes around it or without.
    Jp2,
    /// PDF, ISO 32000: each of its pages is a picture.
    Pdf,
}

impl Kind {
    /// As in `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Tiff => "image/tiff",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Jp2 => "image/jp2",
            Self::Pdf => "application/pdf",
        }
    }
}

/// What a file's header tells; sizes are upright, that is after the orientation of EXIF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the file is.
    pub kind: Kind,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Whether it has colours.
    pub tone: Tone,
    /// Bytes of the file, if it was open.
    pub(super) length: Option<u64>,
    pub(super) orientation: Orientation,
    pub(super) layout: Layout,
}

/// What matters for reading the pixels, per kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Jpeg(jpeg::Frame),
    Png { channels: u8, interlaced: bool },
    Tiff(tiff::Layout),
    Webp,
    Gif,
    Jp2(jp2::Layout),
    Pdf(pdf::Sheet),
}

impl Header {
    fn new(
        kind: Kind,
        (width, height): (u32, u32),
        tone: Tone,
        orientation: Orientation,
        layout: Layout,
    ) -> Self {
        let (width, height) = orientation.size(width, height);
        Self { kind, width, height, tone, length: None, orientation, layout }
    }

    /// The size as stored.
    pub(super) fn stored(&self) -> (u32, u32) {
        self.orientation.size(self.width, self.height)
    }

    /// What the file offers to a reader.
    pub(super) fn offer(&self) -> Offer {
        match &self.layout {
            Layout::Jpeg(frame) => {
                // The decoder of whole frames shrinks coarse colours as much as the light: no more than leaves a pixel
                // of them in a block.
                let shrinks = match frame.coarseness() {
                    _ if frame.comes_in_rows() => &[1, 2, 4, 8][..],
                    1 => &[1, 2, 4, 8],
                    2 => &[1, 2, 4],
                    _ => &[1, 2],
                };
                Offer { levels: vec![self.stored()], shrinks }
            }
            Layout::Tiff(tiff) => {
                let levels = tiff.levels.iter().map(|level| (level.width, level.height)).collect();
                Offer { levels, shrinks: &[1] }
            }
            Layout::Jp2(jp2) => Offer { levels: vec![self.stored()], shrinks: jp2.shrinks() },
            Layout::Png { .. } | Layout::Webp | Layout::Gif => {
                Offer { levels: vec![self.stored()], shrinks: &[1] }
            }
            // It is drawn as large as anybody likes.
            Layout::Pdf(_) => {
                let (width, height) = self.stored();
                let halves = (0..u32::BITS).map(|n| (width.div_ceil(1 << n), height.div_ceil(1 << n)));
                let last = halves.clone().take_while(|size| *size != (1, 1)).count();
                Offer { levels: halves.take(last + 1).collect(), shrinks: &[1] }
            }
        }
    }
}

/// So many bytes at the beginning of a file tell its kind.
pub const MAGIC: usize = 12;

/// The kind of a file by its first [`MAGIC`] bytes; `None` where it is no picture that we read.
pub fn kind(head: &[u8]) -> Option<Kind> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some(Kind::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 0, 0, 0, 0x0d, ..] => Some(Kind::Png),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Kind::Tiff),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::Webp),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Gif),
        [0, 0, 0, 0x0c, b'j', b'P', b' ', b' ', b'\r', b'\n', 0x87, b'\n', ..] => Some(Kind::Jp2),
        [0xff, 0x4f, 0xff, 0x51, ..] => Some(Kind::Jp2),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(Kind::Pdf),
        _ => None,
    }
}

/// How far some bytes of a file lead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is looked into at once")]
pub enum Sniff {
    /// All that a header tells.
    Known(Header),
    /// These bytes are missing. Add them (or more, from the same start) and ask again.
    Need(Range<u64>),
    /// Nothing less than the whole file tells, to [`header`].
    NeedAll,
}

/// Tells a header from parts of a file: start with its first kilobytes, add what is asked for,
/// repeat. A JPEG with long metadata asks for a few bytes behind it, a TIFF for its first directory
/// wherever that lies, a WebP for its EXIF block behind the pixels, a JPEG 2000 for its codestream
/// behind long boxes; none asks for more than a few times. A file that ends before what it announces is [`ImagingError::Broken`].
pub fn sniff(parts: &Parts) -> Result<Sniff, ImagingError> {
    settle(examine(parts, Depth::Size))
}

/// Tells what [`header`] tells, from parts of a file of this length, if that is known.
pub fn sniff_levels(parts: &Parts, length: Option<u64>) -> Result<Sniff, ImagingError> {
    Ok(match settle(examine(parts, Depth::Levels))? {
        Sniff::Known(header) => Sniff::Known(Header { length, ..header }),
        need => need,
    })
}

/// Bytes of a file that [`header`] holds at most: nearly all tell it in their first kilobytes.
pub const HEADER_COST: u64 = 1 << 20;

/// Bytes of memory that [`header`] takes of a file that it reads as a whole; `None` of all others.
pub(super) fn cost_of_header(master: &mut dyn Master) -> Result<Option<u64>, ImagingError> {
    let mut beginning = Vec::new();
    master.rewind()?;
    master.take(pdf::MARK_WITHIN).read_to_end(&mut beginning)?;
    let length = master.seek(SeekFrom::End(0))?;
    Ok(is_pdf(&beginning).then(|| pdf::cost_of_header(length)))
}

/// Tells the header of an open file, and what rendering wants to know besides (the levels of a
/// TIFF). Of a PDF it is that of its first page. A size beyond the limits is an error.
pub fn header(master: &mut dyn Master, limits: &Limits) -> Result<Header, ImagingError> {
    header_of_page(master, Page::default(), limits)
}

/// The same for a page of a PDF. Files of other kinds have no pages, and are what they are.
pub fn header_of_page(master: &mut dyn Master, page: Page, limits: &Limits) -> Result<Header, ImagingError> {
    let mut parts = Parts::default();
    parts.fetch(master, 0..64 * 1024)?;
    loop {
        match settle(examine(&parts, Depth::Levels))? {
            Sniff::Known(_) if page.number.is_some() => {
                return Err(ImagingError::broken("a page is asked for, and the file is no PDF"));
            }
            Sniff::Known(header) => {
                limits.pixels(header.width, header.height)?;
                let length = Some(master.seek(SeekFrom::End(0))?);
                return Ok(Header { length, ..header });
            }
            Sniff::Need(range) => parts.fetch(master, range)?,
            Sniff::NeedAll => return pdf::header(master, page, limits),
        }
    }
}

/// Whether these are the first bytes of a PDF that begins with something else, as some do.
fn is_pdf(beginning: &[u8]) -> bool {
    beginning.first_chunk::<MAGIC>().is_some_and(|head| matches!(kind(head), None | Some(Kind::Pdf)))
        && pdf::is_pdf(beginning)
}

/// How much of a header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Size,
    Levels,
}

fn settle(result: Result<Header, Lack>) -> Result<Sniff, ImagingError> {
    match result {
        Ok(header) => Ok(Sniff::Known(header)),
        Err(Lack::Bytes(range)) => Ok(Sniff::Need(range)),
        Err(Lack::Everything) => Ok(Sniff::NeedAll),
        Err(Lack::Fault(error)) => Err(error),
    }
}

fn examine(parts: &Parts, depth: Depth) -> Result<Header, Lack> {
    let header = match kind(&parts.array::<MAGIC>(0)?) {
        Some(Kind::Jpeg) => jpeg::header(parts),
        Some(Kind::Png) => png::header(parts),
        Some(Kind::Tiff) => tiff::header(parts, depth),
        Some(Kind::Webp) => webp::header(parts),
        Some(Kind::Gif) => gif::header(parts),
        Some(Kind::Jp2) => jp2::header(parts),
        Some(Kind::Pdf) => Err(Lack::Everything),
        None if pdf::is_pdf(parts.beginning()) => Err(Lack::Everything),
        None => {
            let what = "a file that is no JPEG, JPEG 2000, PNG, TIFF, WebP, GIF or PDF";
            Err(ImagingError::unsupported(what).into())
        }
    }?;
    if header.width == 0 || header.height == 0 {
        let size = format!("its size is {}x{}, at least 1x1 expected", header.width, header.height);
        return Err(ImagingError::Broken(size).into());
    }
    Ok(header)
}
