//! A file, read in pieces.

use std::io::{self, ErrorKind, SeekFrom};

use crate::imaging::{ImagingError, Master};

/// Large enough that reading costs little beside decoding, small enough for a processor's cache.
const PIECE: usize = 128 << 10;

/// A file and the piece of it that is in memory.
pub(super) struct Input {
    source: Box<dyn Master>,
    piece: Box<[u8]>,
    /// What of the piece is filled and not yet taken.
    at: usize,
    end: usize,
    /// Where in the file the piece begins.
    start: u64,
}

impl Input {
    pub(super) fn new(mut source: Box<dyn Master>) -> Result<Self, ImagingError> {
        source.rewind()?;
        Ok(Self { source, piece: vec![0; PIECE].into(), at: 0, end: 0, start: 0 })
    }

    /// A file that is in memory as a whole.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { source: Box::new(io::empty()), piece: bytes.into(), at: 0, end, start: 0 }
    }

    /// Where in the file the next byte lies.
    pub(super) fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    /// What is in memory and not yet taken: at least so many bytes (never more than a segment has), unless the file ends.
    pub(super) fn at_least(&mut self, bytes: usize) -> Result<&[u8], ImagingError> {
        while self.end - self.at < bytes && self.read()? {}
        Ok(&self.piece[self.at..self.end])
    }

    /// The next bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ImagingError> {
        let next = *self.at_least(N)?.first_chunk().ok_or_else(early)?;
        self.take(N);
        Ok(next)
    }

    /// Passes over bytes that [`Input::at_least`] has shown.
    pub(super) fn take(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.end);
    }

    /// Goes on elsewhere in the file.
    pub(super) fn seek(&mut self, to: u64) -> Result<(), ImagingError> {
        let within = to.checked_sub(self.start).filter(|within| *within <= self.end as u64);
        if let Some(within) = within {
            self.at = within as usize;
            return Ok(());
        }
        self.source.seek(SeekFrom::Start(to))?;
        (self.at, self.end, self.start) = (0, 0, to);
        Ok(())
    }

    /// Reads more behind what is left of the piece. False at the end of the file.
    fn read(&mut self) -> Result<bool, ImagingError> {
        self.piece.copy_within(self.at..self.end, 0);
        self.start += self.at as u64;
        (self.at, self.end) = (0, self.end - self.at);
        loop {
            match self.source.read(&mut self.piece[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(in crate::imaging) fn early() -> ImagingError {
    ImagingError::broken("the file ends early")
}
