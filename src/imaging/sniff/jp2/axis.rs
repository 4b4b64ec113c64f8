//! One direction of a picture on its reference grid, cut into tiles (*ISO 15444-1, Annex B*).

use std::ops::Range;

/// One direction of a picture on its reference grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Axis {
    /// Where the picture begins and ends.
    pub(in crate::imaging) start: u32,
    pub(in crate::imaging) end: u32,
    /// The side of a tile, and where the first one begins: at the picture, or before it.
    pub(in crate::imaging) tile: u32,
    pub(in crate::imaging) origin: u32,
}

impl Axis {
    /// Whether tiles cover the picture, and the first one holds some of it. Coordinates beyond 31 bits are no pictures.
    pub(super) fn is_sound(&self) -> bool {
        const LARGEST: u32 = i32::MAX as u32;
        let first = self.origin <= self.start && self.start - self.origin < self.tile;
        self.start < self.end && self.end <= LARGEST && first
    }

    pub(in crate::imaging) fn length(&self) -> u32 {
        self.end - self.start
    }

    /// How many tiles there are.
    pub(in crate::imaging) fn tiles(&self) -> u32 {
        (self.end - self.origin).div_ceil(self.tile)
    }

    /// What a tile covers of the picture, on the grid.
    pub(in crate::imaging) fn tile(&self, number: u32) -> Range<u32> {
        let start = u64::from(self.origin) + u64::from(number) * u64::from(self.tile);
        let end = (start + u64::from(self.tile)).min(u64::from(self.end));
        (start as u32).max(self.start)..end as u32
    }

    /// The samples that are left of a part of the grid after so many halvings, counted from the picture's first one.
    pub(in crate::imaging) fn samples(&self, part: &Range<u32>, halvings: u32) -> Range<u32> {
        let sample = |at: u32| halved(at, halvings) - halved(self.start, halvings);
        sample(part.start)..sample(part.end)
    }

    /// The tiles that hold these samples. Sample `n` of a picture that was halved stands where `n` times two was.
    pub(in crate::imaging) fn holding(&self, samples: &Range<u32>, halvings: u32) -> Range<u32> {
        let tile = |sample: u32| {
            let sample = u64::from(sample) + u64::from(halved(self.start, halvings));
            let at = (sample << halvings).max(self.start.into()) - u64::from(self.origin);
            (at / u64::from(self.tile)) as u32
        };
        tile(samples.start)..tile(samples.end - 1) + 1
    }
}

/// A coordinate after so many halvings.
pub(in crate::imaging) fn halved(at: u32, halvings: u32) -> u32 {
    u64::from(at).div_ceil(1 << halvings.min(32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tiles together hold each sample once, and are found by it.
    #[test]
    fn tiles_share_the_samples() {
        let axes = [
            Axis { start: 0, end: 100, tile: 32, origin: 0 },
            Axis { start: 0, end: 97, tile: 97, origin: 0 },
            Axis { start: 0, end: 41, tile: 3, origin: 0 },
            Axis { start: 16, end: 90, tile: 20, origin: 5 },
            Axis { start: 8, end: 9, tile: 1, origin: 8 },
        ];
        for axis in axes {
            assert!(axis.is_sound(), "{axis:?}");
            for halvings in 0..5 {
                let mut held = Vec::new();
                for number in 0..axis.tiles() {
                    let samples = axis.samples(&axis.tile(number), halvings);
                    for sample in samples.clone() {
                        let found = axis.holding(&(sample..sample + 1), halvings);
                        assert_eq!(found, number..number + 1, "{sample} of {axis:?} / {halvings}");
                    }
                    held.extend(samples);
                }
                let whole = axis.samples(&(axis.start..axis.end), halvings);
                assert!(held.into_iter().eq(whole), "{axis:?} / {halvings}");
            }
        }
    }

    #[test]
    fn what_is_no_axis() {
        for (name, start, end, tile, origin) in [
            ("nothing", 5, 5, 10, 0),
            ("no tile", 0, 5, 0, 0),
            ("tiles behind the beginning", 0, 5, 10, 1),
            ("a first tile without pixels", 10, 20, 10, 0),
            ("too far", 0, u32::MAX, 10, 0),
        ] {
            assert!(!Axis { start, end, tile, origin }.is_sound(), "{name}");
        }
    }
}
