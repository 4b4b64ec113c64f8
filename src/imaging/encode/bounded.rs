//! A file that must not become larger than the samples it is made of.

use std::io::{Cursor, Error, Result, Seek, SeekFrom, Write};

/// Beside the samples, and a byte for each row: headers and tables.
const FRAME: usize = 64 * 1024;

/// A file in memory that takes no more bytes than the samples of its picture, and a little for the frame.
/// Compression that has nothing to save makes files larger than they were: then they are better written plain.
pub(super) struct Bounded {
    file: Cursor<Vec<u8>>,
    most: usize,
}

impl Bounded {
    /// All that it may take is reserved at once: what grows is held twice for a moment.
    pub(super) fn new(samples: usize, rows: u32) -> Self {
        let most = samples + samples / 1024 + rows as usize + FRAME;
        Self { file: Cursor::new(Vec::with_capacity(most)), most }
    }

    pub(super) fn into_inner(self) -> Vec<u8> {
        let mut file = self.file.into_inner();
        if file.len() < self.most / 2 {
            file.shrink_to_fit();
        }
        file
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.file.position() as usize + bytes.len() > self.most {
            return Err(Error::other("the file is larger than its samples"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.file.seek(to)
    }
}
