//! GIF: at most 256 colours, pixels either opaque or transparent.

use gif::{Encoder, EncodingError, Frame};

use crate::imaging::ImagingError;
use crate::imaging::pixels::{Channels, Pixels};

/// From 1 (best) to 30 (fastest), for pictures of more than 256 colours.
const SPEED: i32 = 10;

/// First the picture and its copy with alpha, then that and one byte a pixel; then this byte, and twice a file
/// that takes up to twelve bits a pixel.
pub(super) fn cost(channels: Channels, area: u64) -> u64 {
    area * match channels {
        Channels::Grey => 4,
        Channels::GreyAlpha => 2 + 4,
        Channels::Rgb => 3 + 4,
        Channels::Rgba | Channels::Cmyk => 4 + 1,
    }
}

pub(super) fn encode(picture: Pixels) -> Result<Vec<u8>, ImagingError> {
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    let frame = match picture.channels() {
        Channels::Grey => {
            let shades: Vec<u8> = (0..=255).flat_map(|shade| [shade; 3]).collect();
            Frame::from_palette_pixels(width, height, picture.into_data(), shades, None)
        }
        Channels::Rgb => {
            let picture = picture.with_alpha();
            Frame::from_rgba_speed(width, height, &mut picture.into_data(), SPEED)
        }
        Channels::GreyAlpha => {
            return encode(picture.map(Channels::Rgba, |[v, a]: [u8; 2]| [v, v, v, a]));
        }
        Channels::Rgba => {
            let picture = picture.map(Channels::Rgba, all_or_nothing);
            Frame::from_rgba_speed(width, height, &mut picture.into_data(), SPEED)
        }
        Channels::Cmyk => return Err(ImagingError::unsupported("GIF of CMYK samples")),
    };
    write(&frame).map_err(|error| ImagingError::Decoder(error.to_string()))
}

/// Pixels that are more visible than not become opaque.
fn all_or_nothing([r, g, b, a]: [u8; 4]) -> [u8; 4] {
    if a < 128 { [0; 4] } else { [r, g, b, 255] }
}

fn write(frame: &Frame<'_>) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    Encoder::new(&mut file, frame.width, frame.height, &[])?.write_frame(frame)?;
    Ok(file)
}
