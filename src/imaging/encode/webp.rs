//! WebP, lossless.

use image_webp::{ColorType, WebPEncoder};

use crate::imaging::ImagingError;
use crate::imaging::pixels::{Channels, Pixels};

/// The picture, four samples of each pixel in the encoder, and a file that takes up to nine bits a sample: as it grows
/// its vector is held beside one that is twice as long.
pub(super) fn cost(channels: Channels, area: u64) -> u64 {
    let own = channels.count() as u64 * area;
    own + 4 * area + 3 * (own * 9).div_ceil(8)
}

pub(super) fn encode(picture: &Pixels) -> Result<Vec<u8>, ImagingError> {
    let colour = match picture.channels() {
        Channels::Grey => ColorType::L8,
        Channels::GreyAlpha => ColorType::La8,
        Channels::Rgb => ColorType::Rgb8,
        Channels::Rgba => ColorType::Rgba8,
        Channels::Cmyk => return Err(ImagingError::unsupported("WebP of CMYK samples")),
    };
    let mut file = Vec::new();
    WebPEncoder::new(&mut file)
        .encode(picture.data(), picture.width(), picture.height(), colour)
        .map_err(|error| ImagingError::Decoder(error.to_string()))?;
    Ok(file)
}
