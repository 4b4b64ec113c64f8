//! The units of a scan, one after the other.

use std::mem;

use super::block::Block;
use super::checkpoint::{Checkpoint, Checkpoints, SPACING};
use super::header::Header;
use super::input::Input;
use super::stream::{Stream, damaged};
use crate::imaging::ImagingError;

/// How much of a block is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The mean.
    First,
    /// All coefficients.
    All,
}

/// A scan that is read.
pub(super) struct Scan {
    stream: Stream,
    /// The next unit.
    unit: u32,
    /// Units up to the next restart.
    left: u32,
    /// The first coefficient of the latest block of each component.
    latest: [i16; 4],
    /// Those that an earlier reading has left.
    known: Option<Checkpoints>,
    /// Those that were passed, if none were known.
    passed: Vec<Checkpoint>,
    /// From which unit on a checkpoint is wanted.
    wanted: u32,
}

impl Scan {
    /// At its first unit.
    pub(super) fn new(
        input: Input,
        header: &Header,
        known: Option<Checkpoints>,
    ) -> Result<Self, ImagingError> {
        let stream = Stream::new(input, header.start)?;
        let wanted = if known.is_some() { u32::MAX } else { 0 };
        let (left, latest, passed) = (header.interval, [0; 4], Vec::new());
        Ok(Self { stream, unit: 0, left, latest, known, passed, wanted })
    }

    pub(super) fn into_input(self) -> Input {
        self.stream.into_input()
    }

    /// The checkpoints of the whole scan, if they are known.
    pub(super) fn checkpoints(&self) -> Option<Checkpoints> {
        self.known.clone()
    }

    /// Passes over all blocks.
    #[inline(always)]
    pub(super) fn pass(&mut self, header: &Header) -> Result<(), ImagingError> {
        let (across, down) = header.units();
        // The last one is not passed by its restart: nothing tells whether it is there.
        self.go_to(header, across * down - 1)?;
        self.draw(header, &[Depth::First; 4], |_, _, _| {})?;
        self.finish()
    }

    /// Behind the last unit: sees to it that nothing is missing.
    pub(super) fn finish(&mut self) -> Result<(), ImagingError> {
        self.stream.finish()?;
        self.known.get_or_insert_with(|| Checkpoints(mem::take(&mut self.passed).into()));
        Ok(())
    }

    /// Goes to a unit at or behind the present one: by a checkpoint or a restart if one lies between, else by passing
    /// over all blocks.
    #[inline(always)]
    pub(super) fn go_to(&mut self, header: &Header, unit: u32) -> Result<(), ImagingError> {
        let near = self.known.as_ref().and_then(|known| known.before(unit));
        if let Some(checkpoint) = near.filter(|near| near.unit > self.unit) {
            self.resume(header, &checkpoint)?;
        }
        while self.unit < unit {
            if header.interval > 0 {
                self.begin(header)?;
                if self.left <= unit - self.unit {
                    self.unit += self.left;
                    self.left = 0;
                    continue;
                }
            }
            self.draw(header, &[Depth::First; 4], |_, _, _| {})?;
        }
        Ok(())
    }

    /// Decodes a unit: each block is handed out with the number of its component, and its own within the unit.
    #[inline(always)]
    pub(super) fn draw(
        &mut self,
        header: &Header,
        depths: &[Depth; 4],
        mut each: impl FnMut(usize, u32, &Block),
    ) -> Result<(), ImagingError> {
        self.begin(header)?;
        let bits = &mut self.stream.bits;
        let mut block = Block::default();
        for ((index, component), (latest, depth)) in
            header.components.iter().enumerate().zip(self.latest.iter_mut().zip(depths))
        {
            let (first, others) = header.tables.get(component.first, component.others).ok_or_else(damaged)?;
            for number in 0..component.across * component.down {
                bits.refill();
                let code = first.code(bits.word()).ok_or_else(damaged)?;
                *latest = latest.wrapping_add(code.value(bits.word()) as i16);
                bits.take(code.bits());
                block.set_mean(*latest, component);
                let whole = match depth {
                    Depth::First => others.pass(bits, 1),
                    Depth::All => block.fill(&others.table, bits, component),
                };
                if !whole {
                    return Err(damaged());
                }
                each(index, number, &block);
            }
        }
        self.unit += 1;
        self.left = self.left.wrapping_sub(1);
        Ok(())
    }

    /// An error if more was read than there was.
    pub(super) fn check(&self) -> Result<(), ImagingError> {
        self.stream.check()
    }

    /// Passes over a restart if one is due, and sees to it that a whole unit is in memory.
    #[inline(always)]
    fn begin(&mut self, header: &Header) -> Result<(), ImagingError> {
        if self.left == 0 && header.interval > 0 {
            self.restart(header)?;
        }
        if !self.stream.bits.is_ample() {
            self.stream.more()?;
        }
        if self.unit >= self.wanted {
            self.mark();
        }
        Ok(())
    }

    #[cold]
    fn mark(&mut self) {
        let (offset, bit) = self.stream.position();
        let (unit, left, latest) = (self.unit, self.left as u16, self.latest);
        self.passed.push(Checkpoint { offset, bit, unit, left, latest });
        self.wanted = unit + SPACING;
    }

    fn resume(&mut self, header: &Header, from: &Checkpoint) -> Result<(), ImagingError> {
        self.stream.go_to(from.offset, from.bit)?;
        (self.unit, self.latest) = (from.unit, from.latest);
        self.left = u32::from(from.left).min(header.interval);
        Ok(())
    }

    /// Goes on behind the next marker. Restarts are numbered from 0 to 7, again and again.
    fn restart(&mut self, header: &Header) -> Result<(), ImagingError> {
        let number = (self.unit / header.interval).wrapping_sub(1) % 8;
        self.stream.restart(number as u8)?;
        self.left = header.interval;
        self.latest = [0; 4];
        Ok(())
    }
}
