//! The first frame of a GIF, laid on its canvas.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::Decoded;
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Plan;
use crate::imaging::{ImagingError, Master};

/// The canvas, the frame on it, and a little for the decoder.
pub(super) fn cost(full: u64) -> u64 {
    full * 8 + (1 << 20)
}

pub(super) fn decode(master: Box<dyn Master>, plan: &Plan) -> Result<Decoded, ImagingError> {
    let (width, height) = plan.size;
    let area = u64::from(width) * u64::from(height) * 4;
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.set_memory_limit(
        NonZeroU64::new(area.max(1 << 16)).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes),
    );
    let mut decoder = options.read_info(rewound(master)?).map_err(fault)?;
    let frame = decoder.read_next_frame().map_err(fault)?;
    let frame = frame.ok_or_else(|| ImagingError::broken("a GIF without a frame"))?;

    let mut canvas = vec![0; area as usize];
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let stride = width as usize * 4;
    let visible = usize::from(frame.width).min((width as usize).saturating_sub(left)) * 4;
    let rows = frame.buffer.chunks_exact(usize::from(frame.width) * 4);
    for (row, target) in rows.zip(canvas.chunks_exact_mut(stride).skip(top)).filter(|_| visible > 0) {
        target[left * 4..left * 4 + visible].copy_from_slice(&row[..visible]);
    }
    let pixels = Pixels::new(width, height, Channels::Rgba, canvas)?;
    let profile = decoder.icc_profile().map(<[u8]>::to_vec);
    Ok(Decoded { pixels: opaque_if_possible(pixels), origin: (0, 0), profile })
}

/// Most GIFs are opaque; three samples are less work than four.
fn opaque_if_possible(pixels: Pixels) -> Pixels {
    let opaque = pixels.data().as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 255);
    if opaque { pixels.on_white() } else { pixels }
}

fn rewound(mut master: Box<dyn Master>) -> Result<Box<dyn Master>, ImagingError> {
    master.rewind()?;
    Ok(master)
}

fn fault(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::Io(error) => error.into(),
        DecodingError::OutOfMemory | DecodingError::MemoryLimit => {
            ImagingError::broken("its first frame is larger than its canvas")
        }
        other => ImagingError::broken(other),
    }
}
