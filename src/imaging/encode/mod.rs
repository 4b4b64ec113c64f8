//! From pixels to a file. One format, one module.

use super::pixels::Pixels;
use super::{ImagingError, Job};
use crate::iiif::image::quality::{Format, Quality};

mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

/// Encodes a picture as the job asks.
pub(super) fn encode(picture: Pixels, job: &Job) -> Result<Vec<u8>, ImagingError> {
    let (longest, name) = match job.format {
        Format::Jpg => (65_500, "JPEG"),
        Format::Gif => (65_535, "GIF"),
        Format::Webp => (16_384, "WebP"),
        Format::Png | Format::Tif => (u32::MAX, ""),
    };
    if picture.width().max(picture.height()) > longest {
        let (width, height) = (picture.width(), picture.height());
        let what = format!("a {name} of {width}x{height} pixels, more than {longest} to a side,");
        return Err(ImagingError::unsupported(what));
    }
    match job.format {
        Format::Jpg => jpeg::encode(picture.on_white(), job.jpeg_quality),
        Format::Png if job.quality == Quality::Bitonal => png::encode_bitonal(&picture),
        Format::Png => png::encode(&picture),
        Format::Webp => webp::encode(&picture),
        Format::Tif => tiff::encode(picture),
        Format::Gif => gif::encode(picture),
    }
}
