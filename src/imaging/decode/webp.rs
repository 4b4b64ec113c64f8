//! WebP, lossy and lossless; of an animation the first frame.

use std::io::BufReader;

use image_webp::{DecodingError, WebPDecoder};

use super::{Decoded, LONGEST_PROFILE};
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Plan;
use crate::imaging::{ImagingError, Master};

/// The picture, the decoder's planes or pixels, the frame of an animation.
pub(super) fn cost(full: u64) -> u64 {
    full * 12 + (1 << 20)
}

pub(super) fn decode(mut master: Box<dyn Master>, plan: &Plan) -> Result<Decoded, ImagingError> {
    master.rewind()?;
    let mut decoder = WebPDecoder::new(BufReader::new(master)).map_err(fault)?;
    decoder.set_memory_limit(LONGEST_PROFILE as usize);
    let (width, height) = plan.size;
    if decoder.dimensions() != plan.size {
        return Err(ImagingError::broken("two sizes of one WebP"));
    }
    let channels = if decoder.has_alpha() { Channels::Rgba } else { Channels::Rgb };
    let mut data = vec![0; width as usize * height as usize * channels.count()];
    decoder.read_image(&mut data).map_err(fault)?;
    let pixels = Pixels::new(width, height, channels, data)?;
    Ok(Decoded { pixels, origin: (0, 0), profile: decoder.icc_profile().ok().flatten() })
}

fn fault(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(error) => error.into(),
        DecodingError::UnsupportedFeature(what) => ImagingError::unsupported(format!("WebP with {what}")),
        other => ImagingError::broken(other),
    }
}
