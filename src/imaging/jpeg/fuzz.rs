//! Foreign bytes, read in every way.

use std::io::Cursor;

use super::checkpoint::{Checkpoint, Checkpoints};
use super::{Jpeg, Scale};
use crate::iiif::image::geometry::Rect;
use crate::imaging::ImagingError;

/// Pixels that are worth the time.
const MOST_PIXELS: u64 = 1 << 16;

/// Reads a file at every scale, and a part of it with the checkpoints that belong there, and with wrong ones. What a walk
/// refuses, no reading gives; with the right checkpoints a part is cut from the whole.
pub fn fuzz(bytes: &[u8]) {
    let Ok(jpeg) = open(bytes) else { return };
    let (width, height) = jpeg.size(Scale::Full);
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return;
    }
    let channels = jpeg.channels().count();
    let right = jpeg.walk().ok().and_then(|jpeg| jpeg.checkpoints());
    // A walk goes from one to the next.
    let has_restarts = bytes.windows(2).any(|pair| pair == [0xff, 0xdd]);
    let at = |at: usize| bytes.get(at % bytes.len().max(1)).copied().unwrap_or_default();
    let wrong = Checkpoint {
        offset: u64::from(at(7)) << 4 | u64::from(at(11)),
        bit: at(13),
        unit: at(17).into(),
        left: at(19).into(),
        latest: [i16::from(at(23)) << 7; 4],
    };
    for scale in [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth] {
        let (width, height) = (width.div_ceil(scale.divisor()), height.div_ceil(scale.divisor()));
        let whole = read(bytes, scale, Rect { x: 0, y: 0, width, height }, None).ok();
        let agree = whole.is_some() == right.is_some() || has_restarts && whole.is_none();
        assert!(agree, "walked: {}, read: {}", right.is_some(), whole.is_some());
        let (x, y) = (width / 3, height / 3);
        let part = Rect { x, y, width: (width - x).div_ceil(2), height: (height - y).div_ceil(2) };
        let found = read(bytes, scale, part, right.clone()).ok();
        if let Some(whole) = whole {
            assert!(found == Some(cut(&whole, width, channels, part)), "{scale:?} {part:?}");
        }
        let _ = read(bytes, scale, part, Some(Checkpoints([wrong].into())));
    }
}

/// A part of the pixels of a whole.
pub(super) fn cut(all: &[u8], width: u32, channels: usize, part: Rect) -> Vec<u8> {
    let lines = all.chunks_exact(width as usize * channels);
    let lines = lines.skip(part.y as usize).take(part.height as usize);
    let of = |x: u32| x as usize * channels;
    lines.flat_map(|line| &line[of(part.x)..of(part.x + part.width)]).copied().collect()
}

fn open(bytes: &[u8]) -> Result<Jpeg, ImagingError> {
    Jpeg::open(Box::new(Cursor::new(bytes.to_vec())))
}

fn read(
    bytes: &[u8],
    scale: Scale,
    part: Rect,
    checkpoints: Option<Checkpoints>,
) -> Result<Vec<u8>, ImagingError> {
    let mut jpeg = open(bytes)?;
    if let Some(checkpoints) = checkpoints {
        jpeg = jpeg.with_checkpoints(checkpoints);
    }
    let mut reader = jpeg.rows(scale, part)?;
    let mut rows = Vec::new();
    while reader.next_rows(&mut rows)?.is_some() {}
    Ok(rows)
}
