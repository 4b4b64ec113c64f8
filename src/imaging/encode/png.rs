//! PNG, eight bits a sample; black and white in one bit.

use std::io::Write;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use super::bounded::Bounded;
use crate::imaging::ImagingError;
use crate::imaging::pixels::{Channels, Pixels};

/// The picture, and a file that is no larger; a copy of it where it is less than half of that.
pub(super) fn cost(channels: Channels, area: u64) -> u64 {
    channels.count() as u64 * area * 5 / 2 + area / 256
}

pub(super) fn encode(picture: &Pixels) -> Result<Vec<u8>, ImagingError> {
    let colour = match picture.channels() {
        Channels::Grey => ColorType::Grayscale,
        Channels::GreyAlpha => ColorType::GrayscaleAlpha,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
        Channels::Cmyk => return Err(ImagingError::unsupported("PNG of CMYK samples")),
    };
    write(picture, colour, BitDepth::Eight, picture.data())
}

/// One bit a pixel, unless some pixels are transparent.
pub(super) fn encode_bitonal(picture: &Pixels) -> Result<Vec<u8>, ImagingError> {
    if picture.channels() != Channels::Grey {
        return encode(picture);
    }
    let rows = picture.data().chunks_exact(picture.width() as usize);
    let packed: Vec<u8> = rows.flat_map(|row| row.chunks(8).map(pack)).collect();
    write(picture, ColorType::Grayscale, BitDepth::One, &packed)
}

fn pack(pixels: &[u8]) -> u8 {
    pixels.iter().enumerate().fold(0, |byte, (at, value)| byte | (value >> 7) << (7 - at))
}

fn write(picture: &Pixels, colour: ColorType, depth: BitDepth, data: &[u8]) -> Result<Vec<u8>, ImagingError> {
    let with = |compression| -> Result<Vec<u8>, EncodingError> {
        let mut file = Bounded::new(data.len(), picture.height());
        let mut encoder = Encoder::new(&mut file, picture.width(), picture.height());
        encoder.set_color(colour);
        encoder.set_depth(depth);
        encoder.set_compression(compression);
        let mut writer = encoder.write_header()?;
        // As a stream: the other way the whole file is held twice.
        let mut rows = writer.stream_writer()?;
        rows.write_all(data)?;
        rows.finish()?;
        writer.finish()?;
        Ok(file.into_inner())
    };
    // What is fast makes noise half as large again.
    let written = with(Compression::Fast).or_else(|_| with(Compression::NoCompression));
    written.map_err(|error| ImagingError::Decoder(error.to_string()))
}
