//! JPEG, 4:2:0. The only file that knows the encoder: young and fast, it sees our own pixels only.

use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress, compress_raw};

use crate::imaging::ImagingError;
use crate::imaging::pixels::Channels;

/// The picture on white, and the scan twice, in the encoder and in the file. The encoder begins with two bytes a pixel
/// and doubles what is not enough: noise takes less than three at the best quality, grey noise less than two and a
/// half; up to 90 both take less than two.
pub(super) fn cost(quality: u8, channels: Channels, area: u64) -> u64 {
    let (picture, best) = match channels {
        Channels::Grey | Channels::GreyAlpha => (1, 7),
        Channels::Rgb | Channels::Rgba | Channels::Cmyk => (3, 7),
    };
    area * (picture + if quality <= 90 { 4 } else { best })
}

/// Encodes pixels without alpha, row by row; grey ones get a single component.
pub(in crate::imaging) fn encode(
    data: &[u8],
    (width, height): (u32, u32),
    channels: Channels,
    quality: u8,
) -> Result<Vec<u8>, ImagingError> {
    let (width, height, quality) = (width as usize, height as usize, quality.clamp(1, 100));
    let file = match channels {
        // As a plane of its own: of grey pixels the encoder would make three planes, and each of them twice.
        Channels::Grey => {
            compress_raw(&[data], &[width], &[height], width, height, quality, Subsampling::S444)
        }
        Channels::Rgb => compress(data, width, height, PixelFormat::Rgb, quality, Subsampling::S420),
        other => return Err(ImagingError::Decoder(format!("no JPEG of {other:?} samples"))),
    };
    file.map_err(|error| ImagingError::Decoder(error.to_string()))
}
