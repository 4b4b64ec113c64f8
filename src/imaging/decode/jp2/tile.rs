//! One tile, decoded.

use std::ops::Range;

use hayro_jpeg2000::{DecodeError, DecodeSettings, DecoderContext, FormatError, Image, MarkerError};

use super::colour::Painter;
use crate::imaging::ImagingError;
use crate::imaging::pixels::Pixels;
use crate::imaging::sniff::jp2::halved;

/// How often a tile is halved while it is decoded: as often as leaves a sample of it. Thin ones at the edges are thinned
/// out afterwards.
pub(super) fn halvings(width: u32, height: u32, wanted: u32) -> u32 {
    wanted.min(width.min(height).max(1).ilog2())
}

/// The picture of a single tile, which lies at `x` and `y` of its grid, after so many halvings.
pub(super) fn decode(
    stream: &[u8],
    (x, y): (&Range<u32>, &Range<u32>),
    wanted: u32,
    painter: &Painter,
) -> Result<Pixels, ImagingError> {
    let (width, height) = (x.end - x.start, y.end - y.start);
    let done = halvings(width, height, wanted);
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        // Forgiving, it would leave out what is missing.
        strict: true,
        target_resolution: (done > 0).then_some((width >> done, height >> done)),
    };
    let image = Image::new(stream, &settings).map_err(fault)?;
    let side = |part: &Range<u32>, halvings| halved(part.end, halvings) - halved(part.start, halvings);
    let size = (side(x, done), side(y, done));
    if (image.width(), image.height()) != size {
        return Err(ImagingError::broken("two sizes of one JPEG 2000"));
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(fault)?;
    let pixels = painter.paint(&decoded, size)?;
    drop(context);
    if done == wanted {
        return Ok(pixels);
    }
    let every = |part: &Range<u32>| {
        let (first, step) = (halved(part.start, done), wanted - done);
        (halved(part.start, wanted)..halved(part.end, wanted))
            .map(move |sample| ((sample << step) - first) as usize)
    };
    let (columns, rows) = (every(x), every(y));
    let (count, stride) = (pixels.channels().count(), size.0 as usize * pixels.channels().count());
    let mut data = Vec::with_capacity(columns.len() * rows.len() * count);
    for row in rows.clone() {
        for column in columns.clone() {
            data.extend_from_slice(&pixels.data()[row * stride + column * count..][..count]);
        }
    }
    Pixels::new(columns.len() as u32, rows.len() as u32, pixels.channels(), data)
}

fn fault(error: DecodeError) -> ImagingError {
    match error {
        DecodeError::Format(FormatError::Unsupported) | DecodeError::Marker(MarkerError::Unsupported) => {
            ImagingError::unsupported("a JPEG 2000 of this kind")
        }
        other => ImagingError::broken(other),
    }
}
