//! The samples of a row of units.

use fearless_simd::Simd;

use super::block::{Block, Shape};
use super::layout::{Layout, Part};

/// The samples of all components in a row of units.
pub(super) struct Band {
    /// Which row it is.
    pub(super) row: Option<u32>,
    pub(super) planes: Vec<Plane>,
}

/// The samples of one component: a line of the row above, those of this row, and a line of the row below.
pub(super) struct Plane {
    samples: Vec<u8>,
    stride: usize,
    /// Samples in a line that belong to the picture.
    width: usize,
    lines: usize,
    blocks: u32,
    down: &'static Shape,
    across: &'static Shape,
}

impl Band {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { row: None, planes: layout.parts.iter().map(|part| Plane::new(layout, part)).collect() }
    }

    /// Takes over the nearest line of the row above.
    pub(super) fn join_above(&mut self, above: &Band) {
        for (plane, above) in self.planes.iter_mut().zip(&above.planes) {
            plane.line_mut(0).copy_from_slice(above.line(above.lines));
        }
    }

    /// Takes over the nearest line of the row below.
    pub(super) fn join_below(&mut self, below: &Band) {
        for (plane, below) in self.planes.iter_mut().zip(&below.planes) {
            plane.line_mut(plane.lines + 1).copy_from_slice(below.line(1));
        }
    }

    /// Nothing is above the picture: its first line counts twice.
    pub(super) fn close_above(&mut self) {
        for plane in &mut self.planes {
            plane.repeat(1, 0);
        }
    }

    /// Nothing is below the picture: its last line counts twice.
    pub(super) fn close_below(&mut self, layout: &Layout, row: u32) {
        for (plane, part) in self.planes.iter_mut().zip(&layout.parts) {
            let last = part.size.1.saturating_sub(row * part.unit.1).clamp(1, part.unit.1) as usize;
            plane.repeat(last, last + 1);
        }
    }
}

impl Plane {
    fn new(layout: &Layout, part: &Part) -> Self {
        let from = layout.columns.start * part.unit.0;
        let stride = (layout.columns.len() as u32 * part.unit.0) as usize;
        let width = (part.size.0.saturating_sub(from) as usize).clamp(1, stride);
        let lines = part.unit.1 as usize;
        let (across, down) = (Shape::of(part.block.0), Shape::of(part.block.1));
        let samples = vec![0; stride * (lines + 2)];
        Self { samples, stride, width, lines, blocks: part.blocks, down, across }
    }

    /// Draws a block of a unit, counted from the left end of the band.
    #[inline(always)]
    pub(super) fn draw<S: Simd>(&mut self, simd: S, unit: u32, number: u32, block: &Block) {
        let column = (unit * self.blocks + number % self.blocks) as usize * self.across.size;
        let line = 1 + (number / self.blocks) as usize * self.down.size;
        let samples = &mut self.samples[line * self.stride + column..];
        block.draw(simd, self.down, self.across, samples, self.stride);
    }

    /// A line, counted from the one above: only what belongs to the picture.
    pub(super) fn line(&self, line: usize) -> &[u8] {
        &self.samples[line * self.stride..][..self.width]
    }

    fn line_mut(&mut self, line: usize) -> &mut [u8] {
        &mut self.samples[line * self.stride..][..self.width]
    }

    fn repeat(&mut self, from: usize, to: usize) {
        let from = from * self.stride;
        self.samples.copy_within(from..from + self.width, to * self.stride);
    }
}
