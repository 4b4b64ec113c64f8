//! The bytes of a scan, its stuffing and markers taken out.

use memchr::{memchr, memchr_iter};

use super::bits::Bits;
use super::header;
use super::input::Input;
use super::segment::{body_length, marker};
use crate::imaging::ImagingError;

/// Bits of a scan, as they come from a file.
pub(super) struct Stream {
    pub(super) bits: Bits,
    input: Input,
    /// Where in the file the first byte of those in memory lies.
    origin: u64,
    /// Whether a marker, or the end of the file, lies behind those in memory.
    closed: bool,
}

impl Stream {
    /// From a byte of the file on, and from a bit of this byte.
    pub(super) fn new(input: Input, offset: u64) -> Result<Self, ImagingError> {
        let mut stream = Self { bits: Bits::new(), input, origin: 0, closed: false };
        stream.go_to(offset, 0)?;
        Ok(stream)
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }

    /// Goes on at another byte, and bit of this byte.
    pub(super) fn go_to(&mut self, offset: u64, bit: u8) -> Result<(), ImagingError> {
        self.input.seek(offset)?;
        self.begin()?;
        self.bits.refill();
        self.bits.take(u32::from(bit & 7));
        Ok(())
    }

    /// The byte of the file, and the bit of this byte, that comes next.
    pub(super) fn position(&self) -> (u64, u8) {
        let used = self.bits.used();
        // Each of these was followed by a byte of stuffing, and nothing else was left out.
        let stuffed = memchr_iter(0xff, used).count();
        (self.origin + (used.len() + stuffed) as u64, (self.bits.taken() % 8) as u8)
    }

    /// Reads on, so that a whole unit is in memory. An error if more was taken than there was.
    #[inline(never)]
    pub(super) fn more(&mut self) -> Result<(), ImagingError> {
        self.check()?;
        if !self.closed {
            (self.origin, _) = self.position();
            self.bits.drop_used();
            self.fill()?;
        }
        Ok(())
    }

    /// An error if more was taken than there was.
    pub(super) fn check(&self) -> Result<(), ImagingError> {
        if self.bits.is_overdrawn() { Err(damaged()) } else { Ok(()) }
    }

    /// Passes over the rest up to a restart, and over the marker of that number.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), ImagingError> {
        self.pass()?;
        self.input.take(1);
        let marker = loop {
            match self.input.array()? {
                [0xff] => {}
                [marker] => break marker,
            }
        };
        if marker != 0xd0 | number & 7 {
            return Err(ImagingError::broken(format!(
                "a JPEG with {marker:#x} in place of restart {number}"
            )));
        }
        self.begin()
    }

    /// Passes over what is left of the file, up to its end marker. Without one, the file was cut.
    pub(super) fn finish(&mut self) -> Result<(), ImagingError> {
        self.pass()?;
        loop {
            match header::next(&mut self.input)? {
                marker::END_OF_IMAGE => return Ok(()),
                marker::START_OF_SCAN => {
                    return Err(ImagingError::broken("a JPEG with a scan behind the last one"));
                }
                _ => {
                    let length = body_length(self.input.array()?)?;
                    self.input.seek(self.input.position() + length as u64)?;
                }
            }
        }
    }

    /// Passes over the rest up to a marker.
    fn pass(&mut self) -> Result<(), ImagingError> {
        self.check()?;
        while !self.closed {
            self.bits.clear();
            self.fill()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), ImagingError> {
        self.origin = self.input.position();
        self.closed = false;
        self.bits.clear();
        self.fill()
    }

    /// Fills the memory up to the next marker.
    fn fill(&mut self) -> Result<(), ImagingError> {
        while !self.closed && self.bits.room() > 0 {
            let next = self.input.at_least(2)?;
            let clean = memchr(0xff, next).unwrap_or(next.len()).min(self.bits.room());
            self.bits.append(&next[..clean]);
            let taken = match next[clean..] {
                [0xff, 0, ..] if self.bits.room() > 0 => {
                    self.bits.append(&[0xff]);
                    clean + 2
                }
                _ => {
                    self.closed = clean == 0;
                    clean
                }
            };
            self.input.take(taken);
        }
        Ok(())
    }
}

pub(super) fn damaged() -> ImagingError {
    ImagingError::broken("the pixels of a JPEG are damaged or end early")
}
