//! A file that several read, each from a place of its own.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use crate::imaging::Master;

/// One of those who read a file. A clone goes on from the same place.
#[derive(Clone)]
pub(super) struct Handle {
    file: Arc<Mutex<Box<dyn Master>>>,
    at: u64,
}

impl Handle {
    pub(super) fn new(file: Box<dyn Master>) -> Self {
        Self { file: Arc::new(Mutex::new(file)), at: 0 }
    }
}

impl Read for Handle {
    fn read(&mut self, target: &mut [u8]) -> Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let count = file.read(target)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Handle {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(_) => Some(self.file.lock().unwrap_or_else(PoisonError::into_inner).seek(to)?),
        };
        self.at = target.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
