//! WebP, lossy and lossless; of an animation the first frame.

use std::io::{BufReader, Read, Result as IoResult, Seek, SeekFrom};

use image_webp::{DecodingError, WebPDecoder};

use super::{Decoded, LONGEST_PROFILE};
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Plan;
use crate::imaging::{ImagingError, Master};

/// The picture, the decoder's planes or pixels, the frame of an animation.
pub(super) fn cost(full: u64) -> u64 {
    full * 12 + (1 << 20)
}

pub(super) fn decode(master: Box<dyn Master>, plan: &Plan) -> Result<Decoded, ImagingError> {
    let mut decoder = WebPDecoder::new(BufReader::new(Silent::open(master)?)).map_err(fault)?;
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

/// A file that announces neither EXIF nor XMP: the decoder refuses one that lacks what it announces, and needs neither.
struct Silent {
    master: Box<dyn Master>,
    position: u64,
    is_extended: bool,
}

impl Silent {
    fn open(mut master: Box<dyn Master>) -> IoResult<Self> {
        let mut head = [0; 16];
        master.rewind()?;
        master.read_exact(&mut head)?;
        master.rewind()?;
        Ok(Self { master, position: 0, is_extended: head.ends_with(b"VP8X") })
    }
}

impl Read for Silent {
    fn read(&mut self, target: &mut [u8]) -> IoResult<usize> {
        const FLAGS: u64 = 20;
        const EXIF_AND_XMP: u8 = 0x0c;
        let count = self.master.read(target)?;
        let at = FLAGS.checked_sub(self.position).filter(|at| self.is_extended && *at < count as u64);
        if let Some(at) = at {
            target[at as usize] &= !EXIF_AND_XMP;
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Silent {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        self.position = self.master.seek(to)?;
        Ok(self.position)
    }
}

fn fault(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(error) => error.into(),
        DecodingError::UnsupportedFeature(what) => ImagingError::unsupported(format!("WebP with {what}")),
        other => ImagingError::broken(other),
    }
}
