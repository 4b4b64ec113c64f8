//! PackBits, the run lengths of TIFF.

use std::io::{BufRead, Read, Result};

/// Undoes PackBits while reading (*TIFF 6.0, section 9*).
pub(super) struct PackBits<R> {
    source: R,
    run: Run,
}

enum Run {
    Literal(usize),
    Repeat(usize, u8),
}

impl<R: BufRead> PackBits<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, run: Run::Literal(0) }
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

impl<R: BufRead> Read for PackBits<R> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize> {
        loop {
            match &mut self.run {
                Run::Literal(0) | Run::Repeat(0, _) => {
                    self.run = match self.byte()? {
                        128 => Run::Literal(0),
                        count @ ..128 => Run::Literal(usize::from(count) + 1),
                        count => Run::Repeat(257 - usize::from(count), self.byte()?),
                    }
                }
                Run::Literal(left) => {
                    let count = (*left).min(target.len());
                    self.source.read_exact(&mut target[..count])?;
                    *left -= count;
                    return Ok(count);
                }
                Run::Repeat(left, byte) => {
                    let count = (*left).min(target.len());
                    target[..count].fill(*byte);
                    *left -= count;
                    return Ok(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn the_specification_s_example() {
        let packed =
            [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let mut unpacked = [0; 24];
        PackBits::new(&packed[..]).read_exact(&mut unpacked).unwrap();
        let expected = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(unpacked, expected);
    }
}
