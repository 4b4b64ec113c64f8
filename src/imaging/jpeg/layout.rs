//! What of a picture is wanted, at which scale, and which blocks that takes.

use std::ops::Range;

use super::frame::Component;
use super::header::Header;
use super::scan::Depth;
use crate::iiif::image::geometry::Rect;
use crate::imaging::ImagingError;

/// How large a picture is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imaging) enum Scale {
    /// As it is.
    Full,
    /// Half as wide and high.
    Half,
    /// A quarter as wide and high.
    Quarter,
    /// An eighth as wide and high: a pixel for each block.
    Eighth,
}

impl Scale {
    /// By what lengths are divided.
    pub(super) fn divisor(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

/// Pixels around a window on which those within depend, where colours are coarser than light.
const REACH: u32 = 4;

/// The units of a picture, and those that a window takes.
pub(super) struct Layout {
    pub(super) window: Rect,
    /// Units from left to right in the whole picture, and those wanted.
    pub(super) units: u32,
    pub(super) columns: Range<u32>,
    /// Rows of units in the whole picture.
    pub(super) all_rows: u32,
    /// Pixels of a unit.
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) parts: Vec<Part>,
    pub(super) depths: [Depth; 4],
}

/// A component in this layout.
pub(super) struct Part {
    /// Blocks of a unit from left to right.
    pub(super) blocks: u32,
    /// Samples of a block, from left to right and from top to bottom.
    pub(super) block: (u32, u32),
    /// Samples of a unit.
    pub(super) unit: (u32, u32),
    /// Pixels for each sample.
    pub(super) each: (u32, u32),
    /// Samples of the whole picture.
    pub(super) size: (u32, u32),
}

impl Layout {
    pub(super) fn new(header: &Header, scale: Scale, window: Rect) -> Result<Self, ImagingError> {
        let (width, height) = header.size(scale);
        let fits = |from: u32, length: u32, all: u32| {
            length > 0 && from.checked_add(length).is_some_and(|end| end <= all)
        };
        if !fits(window.x, window.width, width) || !fits(window.y, window.height, height) {
            return Err(ImagingError::Outside(window, width, height));
        }
        let finest = header.finest();
        let (across, down) = (8 * finest.0 / scale.divisor(), 8 * finest.1 / scale.divisor());
        let part = |one| Part::new(one, header, finest, (across, down));
        let parts: Vec<_> = header.components.iter().map(part).collect();
        let reach = if parts.iter().any(|part| part.each.0 > 1) { REACH } else { 0 };
        let (units, all_rows) = header.units();
        let columns = window.x.saturating_sub(reach) / across
            ..(window.x + window.width + reach).div_ceil(across).min(units);
        let mut depths = [Depth::All; 4];
        for (depth, _) in depths.iter_mut().zip(&parts).filter(|(_, part)| part.block == (1, 1)) {
            *depth = Depth::First;
        }
        Ok(Self { window, units, columns, all_rows, across, down, parts, depths })
    }
}

impl Part {
    /// A coarse component is drawn larger than the others as far as its blocks go: that is better than to repeat its
    /// samples, and cheaper.
    fn new(one: &Component, header: &Header, finest: (u32, u32), pixels: (u32, u32)) -> Self {
        let block = ((pixels.0 / one.across).min(8), (pixels.1 / one.down).min(8));
        let unit = (block.0 * one.across, block.1 * one.down);
        let width = (header.width * one.across * block.0).div_ceil(8 * finest.0);
        let height = (header.height * one.down * block.1).div_ceil(8 * finest.1);
        let each = (pixels.0 / unit.0, pixels.1 / unit.1);
        Self { blocks: one.across, block, unit, each, size: (width, height) }
    }
}
