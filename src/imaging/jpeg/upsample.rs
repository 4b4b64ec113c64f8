//! Coarse components, made as fine as the picture.

use super::band::Plane;
use super::layout::Part;

/// Samples in work at a time: first their values, then their order, for together they would not become vectors.
const RUN: usize = 64;

/// Lines in work.
#[derive(Default)]
pub(super) struct Upsampler {
    /// The sums of two lines, with their ends repeated.
    sums: Vec<u16>,
}

impl Upsampler {
    /// The samples for a line of pixels, counted from the first of the band. A sample weighs three times as much as
    /// its neighbour, in both directions, rounded as libjpeg does; all else is repeated.
    #[inline(always)]
    pub(super) fn line<'a>(
        &mut self,
        part: &Part,
        plane: &'a Plane,
        line: usize,
        out: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let (across, down) = part.each;
        let near = 1 + line / down as usize;
        let far = if line.is_multiple_of(2) { near - 1 } else { near + 1 };
        let (near, far) = (plane.line(near), plane.line(if down == 2 { far } else { near }));
        // As in libjpeg: of two columns, none has two neighbours.
        let is_smooth = part.size.0 > 2 || across == 1;
        match (across, down) {
            (1, 1) => return near,
            (1, 2) => {
                let half = if line.is_multiple_of(2) { 1 } else { 2 };
                out.resize(near.len(), 0);
                for ((out, near), far) in out.iter_mut().zip(near).zip(far) {
                    *out = ((3 * u16::from(*near) + u16::from(*far) + half) >> 2) as u8;
                }
            }
            (2, 1) if is_smooth => {
                self.sum(near.iter().map(|near| u16::from(*near)));
                self.widen::<1, 2, 2>(out);
            }
            (2, 2) if is_smooth => {
                self.sum(near.iter().zip(far).map(|(near, far)| 3 * u16::from(*near) + u16::from(*far)));
                self.widen::<8, 7, 4>(out);
            }
            _ => {
                out.clear();
                out.extend(near.iter().flat_map(|near| std::iter::repeat_n(*near, across as usize)));
            }
        }
        out
    }

    #[inline(always)]
    fn sum(&mut self, sums: impl ExactSizeIterator<Item = u16>) {
        let length = sums.len();
        self.sums.resize(length + 2, 0);
        for (to, sum) in self.sums[1..].iter_mut().zip(sums) {
            *to = sum;
        }
        self.sums[0] = self.sums[1];
        self.sums[length + 1] = self.sums[length];
    }

    /// Two pixels from each sum.
    #[inline(always)]
    fn widen<const LEFT: u16, const RIGHT: u16, const SHIFT: u16>(&self, out: &mut Vec<u8>) {
        let length = self.sums.len() - 2;
        out.resize(2 * length, 0);
        let left = |[before, here, _]: [u16; 3]| ((3 * here + before + LEFT) >> SHIFT) as u8;
        let right = |[_, here, behind]: [u16; 3]| ((3 * here + behind + RIGHT) >> SHIFT) as u8;
        for (index, out) in out.chunks_mut(2 * RUN).enumerate() {
            let sums = &self.sums[index * RUN..];
            match (sums.first_chunk::<{ RUN + 2 }>(), out.first_chunk_mut::<{ 2 * RUN }>()) {
                (Some(sums), Some(out)) => {
                    let (mut lefts, mut rights) = ([0; RUN], [0; RUN]);
                    for at in 0..RUN {
                        let three = [sums[at], sums[at + 1], sums[at + 2]];
                        (lefts[at], rights[at]) = (left(three), right(three));
                    }
                    for at in 0..RUN {
                        (out[2 * at], out[2 * at + 1]) = (lefts[at], rights[at]);
                    }
                }
                _ => {
                    for (out, three) in out.as_chunks_mut::<2>().0.iter_mut().zip(sums.windows(3)) {
                        let three = [three[0], three[1], three[2]];
                        *out = [left(three), right(three)];
                    }
                }
            }
        }
    }
}
