//! Places in a scan from which it can be read on.

use std::sync::Arc;

use crate::imaging::sniff::jpeg::Frame;

/// Units from one checkpoint to the next: fine enough that a tile costs little more than its own blocks, and 80 KB
/// for a picture of 80 megapixels.
pub(super) const SPACING: u32 = 128;

/// All that must be known to read on at a unit in the middle of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Where in the file its first bit lies: the byte,
    pub(super) offset: u64,
    /// and the bit, from the highest on.
    pub(super) bit: u8,
    /// Units in front of it.
    pub(super) unit: u32,
    /// Units up to the next restart.
    pub(super) left: u16,
    /// The first coefficient of the latest block of each component.
    pub(super) latest: [i16; 4],
}

/// The checkpoints of a file that was passed as a whole, in order. With another file the picture is wrong, or broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Checkpoints(pub(super) Arc<[Checkpoint]>);

/// Bytes that the checkpoints of a picture take.
pub(in crate::imaging) fn cost(frame: &Frame, (width, height): (u32, u32)) -> u64 {
    let (widest, highest) = frame.finest();
    let units = u64::from(width.div_ceil(8 * widest)) * u64::from(height.div_ceil(8 * highest));
    (units / u64::from(SPACING) + 1) * size_of::<Checkpoint>() as u64
}

impl Checkpoints {
    /// The nearest one at or before a unit.
    pub(super) fn before(&self, unit: u32) -> Option<Checkpoint> {
        let behind = self.0.partition_point(|one| one.unit <= unit);
        self.0[..behind].last().copied()
    }
}
