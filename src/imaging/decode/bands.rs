//! A whole picture from top to bottom, some rows at a time, so that it need not be held as a whole.

use super::{admit, cost, decode, jp2, jpeg, pdf, png, profile, tiff};
use crate::iiif::image::geometry::Rect;
use crate::imaging::pixels::Pixels;
use crate::imaging::plan::{self, Plan};
use crate::imaging::sniff::Layout;
use crate::imaging::{Header, Hints, ImagingError, Limits, Master};

/// Rows that are handed on at a time, where nothing else decides.
pub(super) const BAND: u32 = 64;

/// A picture, as stored and in the colours of the file.
pub(in crate::imaging) struct Bands {
    /// The ICC profile, if the file has one.
    pub(in crate::imaging) profile: Option<Vec<u8>>,
    /// Bands of rows, all of the picture's width.
    pub(in crate::imaging) rows: Box<dyn Iterator<Item = Result<Pixels, ImagingError>>>,
}

/// Bytes that [`bands()`] holds at most.
pub(in crate::imaging) fn cost_of_bands(header: &Header) -> u64 {
    let (width, _) = header.stored();
    match &header.layout {
        Layout::Tiff(layout) => tiff::cost_of_bands(layout),
        Layout::Png { channels, interlaced: false } => png::cost_of_bands(*channels, width),
        Layout::Jpeg(frame) if frame.comes_in_rows() => {
            jpeg::cost_of_bands(*frame, header.stored(), header.length)
        }
        Layout::Jp2(layout) => jp2::cost_of_bands(layout, header.length) + profile(header),
        Layout::Pdf(sheet) => pdf::cost_of_bands(sheet, header.stored(), header.length),
        _ => cost(header, &whole(header)) + u64::from(width) * u64::from(BAND) * 4,
    }
}

/// Refuses what takes too long from top to bottom.
pub(in crate::imaging) fn admit_bands(header: &Header) -> Result<(), ImagingError> {
    admit(header, &whole(header))
}

/// Opens a picture for reading from top to bottom.
pub(in crate::imaging) fn bands(
    master: Box<dyn Master>,
    header: &Header,
    limits: &Limits,
    hints: &Hints,
) -> Result<Bands, ImagingError> {
    admit_bands(header)?;
    match &header.layout {
        Layout::Tiff(layout) => tiff::bands(master, layout),
        Layout::Png { interlaced: false, .. } => png::bands(master, header.stored(), limits),
        Layout::Jpeg(frame) if frame.comes_in_rows() => jpeg::bands(master, &whole(header), hints),
        Layout::Jp2(layout) => jp2::bands(master, layout),
        Layout::Pdf(sheet) => pdf::bands(master, sheet, header.stored()),
        _ => {
            let decoded = decode(master, header, &whole(header), limits, hints)?;
            let rows = (0..decoded.pixels.height()).step_by(BAND as usize);
            let rows = rows.map(move |y| Ok(decoded.pixels.rows(y, BAND)));
            Ok(Bands { profile: decoded.profile, rows: Box::new(rows) })
        }
    }
}

fn whole(header: &Header) -> Plan {
    let (width, height) = header.stored();
    plan::plan(&header.offer(), Rect { x: 0, y: 0, width, height }, (width, height))
}
