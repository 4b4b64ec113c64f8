//! Pixels: what a master is, and a derivative of it. All blocking work on pictures lives here.

use std::io::{Read, Seek};

use serde::Deserialize;

use crate::iiif::image::geometry::Rect;
use crate::iiif::image::quality::{Format, Quality};
use crate::iiif::image::rotation::Rotation;
use crate::units::Bytes;

mod colour;
mod decode;
pub mod demand;
mod encode;
mod hints;
mod jpeg;
mod limits;
pub mod metrics;
mod orient;
mod pdf;
mod pipeline;
mod pixels;
mod plan;
mod pool;
pub mod pyramid;
mod rotate;
mod scale;
mod sniff;
mod sparse;
#[cfg(test)]
pub(crate) mod tests;
mod tiled;

pub use hints::Hints;
#[cfg(any(test, fuzzing))]
pub use jpeg::fuzz as fuzz_rows;
pub use limits::Limits;
pub use pdf::{Folio, MARK_WITHIN, Page, folios, is_pdf};
pub use pipeline::{admit, can_write, check, largest_jpeg, needs, render};
pub use pool::Pool;
pub use sniff::{
    HEADER_COST, Header, Kind, MAGIC, Parts, Sniff, header, header_of_page, kind, sniff, sniff_levels,
};
pub use sparse::Sparse;
pub use tiled::{Lift, Tiled, tables};

/// An original, open for reading.
pub trait Master: Read + Seek + Send {}
impl<T: Read + Seek + Send> Master for T {}

/// What is to be made of a master.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// What is cut out, in upright coordinates.
    pub crop: Rect,
    /// Pixels from left to right, before rotation.
    pub width: u32,
    /// Pixels from top to bottom, before rotation.
    pub height: u32,
    /// Mirroring and turning.
    pub rotation: Rotation,
    /// Which colours the answer has.
    pub quality: Quality,
    /// How it is encoded.
    pub format: Format,
    /// 1 to 100, for [`Format::Jpg`].
    pub jpeg_quality: u8,
}

impl Job {
    /// Whether nothing but a box of it is asked for, in the form in which tiles are kept.
    pub(in crate::imaging) fn is_plain(&self) -> bool {
        let turned = self.rotation.mirror || self.rotation.degrees != 0.0;
        !turned && self.quality == Quality::Default && self.format == Format::Jpg
    }
}

/// The section `[limits]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Bytes of pixels in work at any one time.
    pub memory: Bytes,
    /// Masters that claim more pixels than this are refused unread.
    pub max_pixels: u64,
    /// Jobs worked on at once, in each of the two lanes; 0: as many as the machine has cores.
    pub threads: usize,
    /// Jobs that may wait in each lane before the next one is refused as busy.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { memory: Bytes::gib(1), max_pixels: 4_000_000_000, threads: 0, queue: 256 }
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ImagingError {
    /// The master, or the work on it, is beyond the limits: whoever runs the gateway may raise them.
    #[error("{what} is too large: {found}, at most {limit} allowed ({rule})")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is, with its unit.
        found: String,
        /// How large it may be.
        limit: u64,
        /// Which setting says so, or what else.
        rule: &'static str,
    },
    /// The answer would be beyond the limits, whatever the master: not this source is at fault, but the question.
    #[error("{what} is too large: {found}, at most {limit} allowed")]
    OutputTooLarge {
        /// What would be too large.
        what: &'static str,
        /// How large it would be, with its unit.
        found: String,
        /// How large it may be.
        limit: u64,
    },
    /// The file is damaged, cut short or lies about itself.
    #[error("the master is broken: {0}")]
    Broken(String),
    /// A kind of file, or a property of it, that we do not read or write.
    #[error("{what} is not supported")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// The region does not lie within the picture.
    #[error("region `{x},{y},{w},{h}` does not lie within the picture of {1}x{2} pixels", x = .0.x, y = .0.y, w = .0.width, h = .0.height)]
    Outside(Rect, u32, u32),
    /// The master could not be read.
    #[error("cannot read the master: {0}")]
    Read(#[source] std::io::Error),
    /// Too much work is waiting already.
    #[error("too many pictures are being made, try again in a moment")]
    Busy,
    /// A decoder or encoder failed in a way that is no fault of the master.
    #[error("decoder: {0}")]
    Decoder(String),
}

impl ImagingError {
    fn broken(reason: impl std::fmt::Display) -> Self {
        Self::Broken(reason.to_string())
    }

    fn too_much_memory(bytes: u64, limit: u64) -> Self {
        let found = format!("{bytes} bytes of memory");
        let rule = "three quarters of `limits.memory`";
        Self::TooLarge { what: "the work on this picture", found, limit, rule }
    }

    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}

impl From<std::io::Error> for ImagingError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof => Self::broken("the file ends early"),
            InvalidData | InvalidInput => Self::broken(error),
            _ => Self::Read(error),
        }
    }
}
