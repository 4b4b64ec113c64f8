//! From pixels to a file. One format, one module.

use super::pixels::{Channels, Pixels};
use super::{ImagingError, Job};
use crate::iiif::image::quality::{Format, Quality};

mod bounded;
mod gif;
pub(super) mod jpeg;
mod png;
mod tiff;
mod webp;

/// Whether the format can hold a picture of this size.
pub(super) fn fits(format: Format, width: u32, height: u32) -> Result<(), ImagingError> {
    let limit = format.longest_side();
    if width.max(height) <= limit {
        return Ok(());
    }
    let what = match format {
        Format::Jpg => "a JPEG",
        Format::Png => "a PNG",
        Format::Webp => "a WebP",
        Format::Tif => "a TIFF",
        Format::Gif => "a GIF",
    };
    let found = format!("{} pixels to a side", width.max(height));
    Err(ImagingError::OutputTooLarge { what, found, limit: limit.into() })
}

/// Bytes that [`encode`] holds at most for a picture of this many pixels, the picture and the file included.
/// Files are taken to be as large as noise makes them.
pub(super) fn cost(format: Format, jpeg_quality: u8, channels: Channels, area: u64) -> u64 {
    match format {
        Format::Jpg => jpeg::cost(jpeg_quality, channels, area),
        Format::Png => png::cost(channels, area),
        Format::Webp => webp::cost(channels, area),
        Format::Tif => tiff::cost(channels, area),
        Format::Gif => gif::cost(channels, area),
    }
}

/// Encodes a picture as the job asks.
pub(super) fn encode(picture: Pixels, job: &Job) -> Result<Vec<u8>, ImagingError> {
    fits(job.format, picture.width(), picture.height())?;
    match job.format {
        Format::Jpg => {
            let picture = picture.on_white();
            let size = (picture.width(), picture.height());
            jpeg::encode(picture.data(), size, picture.channels(), job.jpeg_quality)
        }
        Format::Png if job.quality == Quality::Bitonal => png::encode_bitonal(&picture),
        Format::Png => png::encode(&picture),
        Format::Webp => webp::encode(&picture),
        Format::Tif => tiff::encode(picture),
        Format::Gif => gif::encode(picture),
    }
}
