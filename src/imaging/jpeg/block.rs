//! Blocks of coefficients, and the samples that they stand for.

use std::f64::consts::PI;
use std::sync::LazyLock;

use fearless_simd::f32x8;
use fearless_simd::prelude::*;

use super::bits::Bits;
use super::frame::Component;
use super::huffman::Table;

/// Where the coefficients of a file lie in a block (*ITU T.81, figure A.6*). A run may lead past the last one, in a
/// file that is broken.
const ZIGZAG: [u8; 80] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
];

/// Added to a number from 0 to 255, it leaves this number, rounded, in the lowest bits.
const ROUNDING: f32 = (3 << 22) as f32;

/// The coefficients of a block.
pub(super) struct Block {
    coefficients: [f32; 64],
    /// The places of those that are not zero, one laid over the other.
    seen: u8,
}

impl Default for Block {
    fn default() -> Self {
        Self { coefficients: [0.0; 64], seen: 0 }
    }
}

impl Block {
    /// Sets the first coefficient. All others count as zero until they are filled in.
    #[inline(always)]
    pub(super) fn set_mean(&mut self, mean: i16, component: &Component) {
        self.coefficients[0] = f32::from(mean) * component.steps[0];
        self.seen = 0;
    }

    /// Reads all others. False if the block does not end where a block ends.
    #[inline(always)]
    pub(super) fn fill(&mut self, table: &Table, bits: &mut Bits, component: &Component) -> bool {
        self.coefficients[1..].fill(0.0);
        let mut next = 1;
        while next < 64 {
            bits.refill();
            let Some(code) = table.code(bits.word()) else { return false };
            let value = code.value(bits.word());
            bits.take(code.bits());
            let advance = code.advance();
            if advance == 0 {
                return true;
            }
            next += advance;
            // At most 63 + 16 - 1.
            let last = (next - 1).min(79);
            let place = ZIGZAG[last];
            self.seen |= place;
            self.coefficients[usize::from(place & 63)] = value as f32 * component.steps[last];
        }
        next == 64
    }

    /// Draws the samples, in so many lines as the first shape has and so many columns as the second.
    #[inline(always)]
    pub(super) fn draw<S: Simd>(
        &self,
        simd: S,
        down: &Shape,
        across: &Shape,
        samples: &mut [u8],
        stride: usize,
    ) {
        if self.seen == 0 || down.size * across.size == 1 {
            let mean = level(self.coefficients[0] / 8.0 + 128.0);
            for line in samples.chunks_mut(stride).take(down.size) {
                line[..across.size].fill(mean);
            }
            return;
        }
        let drawn = match self.seen & 0o44 {
            0 => self.transform::<S, 4>(simd, down, across),
            _ => self.transform::<S, 8>(simd, down, across),
        };
        for (line, drawn) in samples.chunks_mut(stride).zip(&drawn.as_chunks::<8>().0[..down.size]) {
            match line.first_chunk_mut() {
                Some(line) if across.size == 8 => *line = *drawn,
                _ => line[..across.size].copy_from_slice(&drawn[..across.size]),
            }
        }
    }

    /// The inverse cosine transform, of the first `K` coefficients in each direction.
    #[inline(always)]
    fn transform<S: Simd, const K: usize>(&self, simd: S, down: &Shape, across: &Shape) -> [u8; 64] {
        let (mut sums, mut drawn) = ([[0.0; 8]; 8], [[0.0; 8]; 8]);
        let row = |row: &[f32; 8]| f32x8::simd_from(simd, *row);
        let rows = self.coefficients.as_chunks::<8>().0;
        for (sums, weights) in sums.iter_mut().zip(&down.by_sample[..down.size]) {
            let mut sum = f32x8::splat(simd, 0.0);
            for (coefficients, weight) in rows[..K].iter().zip(weights) {
                sum = row(coefficients).mul_add(f32x8::splat(simd, *weight), sum);
            }
            *sums = sum.into();
        }
        for (drawn, sums) in drawn.iter_mut().zip(&sums[..down.size]) {
            let mut sum = f32x8::splat(simd, 128.0);
            for (weights, coefficient) in across.by_coefficient[..K].iter().zip(sums) {
                sum = row(weights).mul_add(f32x8::splat(simd, *coefficient), sum);
            }
            *drawn = sum.into();
        }
        let mut levels = [0; 64];
        for (to, drawn) in levels.iter_mut().zip(drawn.as_flattened()) {
            *to = level(*drawn);
        }
        levels
    }
}

/// The nearest level. Written so that a loop of it becomes vectors, other than with a conversion.
#[inline(always)]
fn level(sample: f32) -> u8 {
    (sample.clamp(0.0, 255.0) + ROUNDING).to_bits() as u8
}

/// One direction of the transform: a block is drawn in 8 samples, or in 4, 2 or 1, each the mean of those it stands
/// for.
pub(super) struct Shape {
    pub(super) size: usize,
    /// What each coefficient adds to a sample: by samples, and by coefficients.
    by_sample: [[f32; 8]; 8],
    by_coefficient: [[f32; 8]; 8],
}

/// For blocks drawn in 1, 2, 4 and 8 samples.
static SHAPES: LazyLock<[Shape; 4]> = LazyLock::new(|| [1, 2, 4, 8].map(Shape::new));

impl Shape {
    /// The shape for so many samples: 1, 2, 4 or 8.
    pub(super) fn of(samples: u32) -> &'static Self {
        &SHAPES[samples.trailing_zeros().min(3) as usize]
    }

    fn new(size: usize) -> Self {
        let each = 8 / size;
        let weight = |sample: usize, k: usize| {
            let scale = if k == 0 { 0.5_f64.sqrt() } else { 1.0 } / 2.0;
            let angle = |place: usize| ((2 * place + 1) * k) as f64 * PI / 16.0;
            let sum: f64 = (sample * each..(sample + 1) * each).map(|place| angle(place).cos()).sum();
            (scale * sum / each as f64) as f32
        };
        let (mut by_sample, mut by_coefficient) = ([[0.0; 8]; 8], [[0.0; 8]; 8]);
        for sample in 0..size {
            for k in 0..8 {
                by_sample[sample][k] = weight(sample, k);
                by_coefficient[k][sample] = weight(sample, k);
            }
        }
        Self { size, by_sample, by_coefficient }
    }
}
