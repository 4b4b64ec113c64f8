//! From a file to pixels. One kind of file, one module.

use std::ops::Range;

use super::pixels::{Channels, Pixels};
use super::plan::Plan;
use super::sniff::Layout;
use super::{Header, Hints, ImagingError, Limits, Master};

mod bands;
mod gif;
mod jp2;
mod jpeg;
mod pdf;
mod png;
mod tiff;
mod webp;

pub(super) use bands::{Bands, admit_bands, bands, cost_of_bands};
pub(super) use jpeg::tile as jpeg_tile;
pub(super) use tiff::shared as tiff_shared;

/// ICC profiles longer than this are passed over: those for print take about three megabytes.
pub(super) const LONGEST_PROFILE: u64 = 8 << 20;

/// What was read: the part that the plan wants, or more than that.
pub(super) struct Decoded {
    pub(super) pixels: Pixels,
    /// Where these pixels begin, in the coordinates of the plan.
    pub(super) origin: (u32, u32),
    /// The ICC profile, if the file has one.
    pub(super) profile: Option<Vec<u8>>,
}

/// Reads what the plan wants, as stored (not upright) and in the colours of the file.
pub(super) fn decode(
    master: Box<dyn Master>,
    header: &Header,
    plan: &Plan,
    limits: &Limits,
    hints: &Hints,
) -> Result<Decoded, ImagingError> {
    match &header.layout {
        Layout::Jpeg(frame) => jpeg::decode(master, header.stored(), *frame, plan, hints),
        Layout::Png { interlaced, .. } => png::decode(master, *interlaced, plan, limits),
        Layout::Tiff(layout) => tiff::decode(master, layout, plan),
        Layout::Webp => webp::decode(master, plan),
        Layout::Gif => gif::decode(master, plan),
        Layout::Jp2(layout) => jp2::decode(master, layout, plan),
        Layout::Pdf(sheet) => pdf::decode(master, sheet, plan),
    }
}

/// Refuses what takes too long, however little memory it takes.
pub(super) fn admit(header: &Header, plan: &Plan) -> Result<(), ImagingError> {
    match &header.layout {
        Layout::Tiff(layout) => tiff::admit(layout, plan),
        _ => Ok(()),
    }
}

/// Which bytes [`decode`] reads of a file, beside its tables, which have to be at hand; `None` where it reads all.
pub(super) fn needs(
    master: &mut dyn Master,
    header: &Header,
    plan: &Plan,
) -> Result<Option<Vec<Range<u64>>>, ImagingError> {
    match &header.layout {
        Layout::Tiff(layout) => tiff::needs(master, layout, plan),
        _ => Ok(None),
    }
}

/// The samples that decoded pixels have at most.
pub(super) fn channels(header: &Header) -> Channels {
    match &header.layout {
        Layout::Jpeg(frame) if frame.components == 1 => Channels::Grey,
        Layout::Jpeg(frame) if frame.components == 3 => Channels::Rgb,
        Layout::Jpeg(_) => Channels::Cmyk,
        Layout::Png { channels: 1, .. } => Channels::Grey,
        Layout::Png { channels: 2, .. } => Channels::GreyAlpha,
        Layout::Png { channels: 3, .. } => Channels::Rgb,
        Layout::Tiff(tiff) if tiff.levels[0].samples == 1 && tiff.levels[0].photometric < 2 => Channels::Grey,
        Layout::Tiff(tiff) if tiff.levels[0].samples != 2 && tiff.levels[0].samples < 4 => Channels::Rgb,
        Layout::Jp2(jp2) => jp2.colour.channels,
        Layout::Pdf(_) => Channels::Rgb,
        Layout::Png { .. } | Layout::Tiff(_) | Layout::Webp | Layout::Gif => Channels::Rgba,
    }
}

/// The size of the picture that [`decode`] hands on.
pub(super) fn size(header: &Header, plan: &Plan) -> (u32, u32) {
    match &header.layout {
        Layout::Tiff(_) | Layout::Jp2(_) | Layout::Pdf(_) | Layout::Png { interlaced: false, .. } => {
            (plan.read.width, plan.read.height)
        }
        Layout::Jpeg(frame) if frame.comes_in_rows() => (plan.read.width, plan.read.height),
        Layout::Png { .. } | Layout::Jpeg(_) | Layout::Webp | Layout::Gif => plan.size,
    }
}

/// Bytes of the profile that [`decode`] hands on, at most. Only a PNG has it compressed.
pub(super) fn profile(header: &Header) -> u64 {
    match &header.layout {
        Layout::Jp2(layout) => {
            layout.profile.as_ref().map_or(0, |place| place.end - place.start).min(LONGEST_PROFILE)
        }
        Layout::Png { .. } => LONGEST_PROFILE,
        Layout::Pdf(_) => 0,
        _ => header.length.unwrap_or(LONGEST_PROFILE).min(LONGEST_PROFILE),
    }
}

/// Bytes that [`decode`] holds at most, the pixels it hands on included.
pub(super) fn cost(header: &Header, plan: &Plan) -> u64 {
    let (width, height) = header.stored();
    let full = u64::from(width) * u64::from(height);
    match &header.layout {
        Layout::Jpeg(frame) => jpeg::cost(*frame, (width, height), header.length, plan),
        Layout::Png { channels, interlaced } => png::cost(*channels, *interlaced, full, plan),
        Layout::Tiff(layout) => tiff::cost(layout, plan),
        Layout::Webp => webp::cost(full),
        Layout::Gif => gif::cost(full, header.length),
        Layout::Jp2(layout) => jp2::cost(layout, header.length, plan) + profile(header),
        Layout::Pdf(sheet) => pdf::cost(sheet, full, header.length, plan),
    }
}
