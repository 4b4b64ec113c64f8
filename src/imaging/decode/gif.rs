//! The first frame of a GIF, laid on its canvas.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::{Decoded, LONGEST_PROFILE};
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Plan;
use crate::imaging::{ImagingError, Master};

/// Pixels of a frame that is larger than its canvas, however small that is.
const SMALLEST: u64 = 1 << 14;

/// The most that is kept of the ICC profile, and of XMP.
const METADATA: NonZeroU64 = NonZeroU64::new(LONGEST_PROFILE).expect("it is not 0");

/// The canvas, the frame on it, and a little for the decoder; its metadata, in vectors that grow by doubling.
pub(super) fn cost(full: u64, length: Option<u64>) -> u64 {
    let metadata = length.unwrap_or(LONGEST_PROFILE).min(LONGEST_PROFILE);
    full * 8 + metadata * 4 + (1 << 20)
}

pub(super) fn decode(master: Box<dyn Master>, plan: &Plan) -> Result<Decoded, ImagingError> {
    let (width, height) = plan.size;
    let area = u64::from(width) * u64::from(height);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.set_memory_limit(MemoryLimit::Bytes(METADATA));
    let mut decoder = options.read_info(rewound(master)?).map_err(fault)?;
    let frame = decoder.next_frame_info().map_err(fault)?;
    let frame = frame.ok_or_else(|| ImagingError::broken("a GIF without a frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let own = usize::from(frame.width);
    if u64::from(frame.width) * u64::from(frame.height) > area.max(SMALLEST) {
        return Err(ImagingError::broken("its first frame is larger than its canvas"));
    }
    let mut frame = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut frame).map_err(fault)?;

    let mut canvas = vec![0; area as usize * 4];
    let stride = width as usize * 4;
    let visible = own.min((width as usize).saturating_sub(left)) * 4;
    let rows = frame.chunks_exact(own.max(1) * 4);
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
            ImagingError::broken(format!("its ICC profile or XMP is longer than {METADATA} bytes"))
        }
        other => ImagingError::broken(other),
    }
}
