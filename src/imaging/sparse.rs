//! A master of which no more than some parts are at hand.

use std::io::{self, Read, Seek, SeekFrom};

use super::Parts;

/// Reads what is known of a file; anything else is an error, but for its end.
#[derive(Clone, Debug)]
pub struct Sparse {
    parts: Parts,
    length: u64,
    position: u64,
}

impl Sparse {
    /// Parts of a file of this length.
    pub fn new(parts: Parts, length: u64) -> Self {
        Self { parts, length, position: 0 }
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.position >= self.length {
            return Ok(0);
        }
        let count = self.parts.from(self.position).read(buffer)?;
        if count == 0 {
            return Err(io::Error::other(format!("its byte {} is not at hand", self.position)));
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_and_nothing_else() {
        let mut parts = Parts::default();
        parts.add(10..14, b"abcd".to_vec());
        parts.add(14..16, b"ef".to_vec());
        parts.add(12..13, b"c".to_vec());
        parts.add(98..100, b"yz".to_vec());
        let mut master = Sparse::new(parts, 100);
        let mut read = |at, length| {
            let mut bytes = Vec::new();
            master.seek(at)?;
            (&mut master).take(length).read_to_end(&mut bytes)?;
            io::Result::Ok(String::from_utf8(bytes).unwrap())
        };
        let start = SeekFrom::Start;
        assert_eq!(read(start(10), 6).unwrap(), "abcdef");
        assert_eq!(read(start(12), 2).unwrap(), "cd");
        assert_eq!(read(SeekFrom::End(-2), 9).unwrap(), "yz");
        assert_eq!(read(start(u64::MAX), 1).unwrap(), "");
        for (at, length) in [(9, 1), (10, 7), (16, 1), (97, 3)] {
            assert!(read(start(at), length).unwrap_err().to_string().contains("not at hand"), "{at}");
        }
        assert!(read(SeekFrom::End(-101), 1).is_err());
    }
}
