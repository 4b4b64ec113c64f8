//! The bytes of a file that are known so far.

use std::io::{Read, SeekFrom};
use std::ops::Range;

use bytes::Bytes;

use super::HEADER_COST;
use crate::imaging::{ImagingError, Master};

/// Read behind a jump: room for a directory; little enough that a JPEG may have as many segments as it may.
const AHEAD: u64 = 256;
/// Read on where the last part ends: what is looked through from its beginning each time is read in few pieces.
const ON: u64 = 64 << 10;

/// The bytes of a file that are known so far: its beginning, and whatever else was asked for.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// In the order of their beginnings.
    held: Vec<(u64, Bytes)>,
    end: Option<u64>,
}

/// Why a header could not be told: bytes are missing, or it is wrong.
#[derive(Debug)]
pub(in crate::imaging) enum Lack {
    Bytes(Range<u64>),
    /// All of it.
    Everything,
    Fault(ImagingError),
}

impl From<ImagingError> for Lack {
    fn from(error: ImagingError) -> Self {
        Self::Fault(error)
    }
}

impl Parts {
    /// Adds the answer to a request for a range. More bytes than were asked for are welcome; fewer
    /// mean that the file ends there.
    pub fn add(&mut self, asked: Range<u64>, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let end = asked.start.saturating_add(bytes.len() as u64);
        if end < asked.end {
            self.end = Some(self.end.map_or(end, |known| known.min(end)));
        }
        self.held.insert(self.behind(asked.start), (asked.start, bytes));
    }

    /// Adds what others know of the same file.
    pub fn join(&mut self, others: Self) {
        for (at, bytes) in others.held {
            self.add(at..at.saturating_add(bytes.len() as u64), bytes);
        }
    }

    /// The bytes of a range, if all of them are known.
    pub fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let known = |(at, bytes): &(u64, Bytes)| {
            let from = usize::try_from(range.start.checked_sub(*at)?).ok()?;
            let to = from.checked_add(length).filter(|to| *to <= bytes.len())?;
            Some(bytes.slice(from..to))
        };
        self.held[..self.behind(range.start)].iter().rev().find_map(known)
    }

    /// Bytes of memory that they take.
    pub fn weight(&self) -> u64 {
        self.held.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// A file that is there as a whole.
    pub(in crate::imaging) fn whole(bytes: Vec<u8>) -> Self {
        Self { end: Some(bytes.len() as u64), held: vec![(0, bytes.into())] }
    }

    /// What is known from the first byte on.
    pub(super) fn beginning(&self) -> &[u8] {
        self.held
            .iter()
            .filter(|(at, _)| *at == 0)
            .map(|(_, bytes)| &**bytes)
            .max_by_key(|bytes| bytes.len())
            .unwrap_or_default()
    }

    /// Reads a range that was found missing. A file that wants more read before its size is known is no picture.
    pub(super) fn fetch(&mut self, master: &mut dyn Master, range: Range<u64>) -> Result<(), ImagingError> {
        let ahead = if self.adjoins(range.start) { ON } else { AHEAD };
        let wanted = range.start..range.end.max(range.start.saturating_add(ahead));
        let length = wanted.end - wanted.start;
        if self.weight() + length > HEADER_COST {
            return Err(ImagingError::broken("its header has no end"));
        }
        master.seek(SeekFrom::Start(wanted.start))?;
        let mut bytes = Vec::with_capacity(length as usize);
        master.take(length).read_to_end(&mut bytes)?;
        self.add(wanted, bytes);
        Ok(())
    }

    /// Whether a place is no further than a step behind what is known.
    fn adjoins(&self, place: u64) -> bool {
        let known = self.held[..self.behind(place)].last();
        known.is_some_and(|(at, bytes)| place <= at.saturating_add(bytes.len() as u64 + AHEAD))
    }

    pub(in crate::imaging) fn slice(&self, start: u64, length: u64) -> Result<&[u8], Lack> {
        let end = start.checked_add(length).filter(|_| length <= HEADER_COST);
        let Some(end) = end else {
            return Err(ImagingError::broken(format!("its header wants {length} bytes at {start}")).into());
        };
        // The last part that begins before it nearly always holds it.
        let found = self.held[..self.behind(start)].iter().rev().find_map(|(at, bytes)| {
            let from = usize::try_from(start.checked_sub(*at)?).ok()?;
            bytes.get(from..from.checked_add(usize::try_from(length).ok()?)?)
        });
        match found {
            Some(bytes) => Ok(bytes),
            None if self.end.is_some_and(|known| end > known) => {
                Err(ImagingError::broken("the file ends early").into())
            }
            None => Err(Lack::Bytes(start..end)),
        }
    }

    /// Some of the bytes from a place on; none where they are not known.
    pub(in crate::imaging) fn from(&self, position: u64) -> &[u8] {
        let known =
            |(at, bytes): &(u64, Bytes)| usize::try_from(position - at).is_ok_and(|from| from < bytes.len());
        let found = self.held[..self.behind(position)].iter().rev().find(|part| known(part));
        found.map_or(&[], |(at, bytes)| &bytes[(position - at) as usize..])
    }

    pub(in crate::imaging) fn array<const N: usize>(&self, start: u64) -> Result<[u8; N], Lack> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(start, N as u64)?);
        Ok(bytes)
    }

    /// How many parts begin at a place or before it.
    fn behind(&self, start: u64) -> usize {
        self.held.partition_point(|(at, _)| *at <= start)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn no_more_is_read_than_a_header_costs() {
        let mut file = Cursor::new(vec![0; 5 << 20]);
        let mut parts = Parts::default();
        let places = (0..).map(|n| n * 1000);
        let read = places.take_while(|at| parts.fetch(&mut file, *at..at + 4).is_ok()).count();
        assert_eq!(read as u64, HEADER_COST / AHEAD);
        assert_eq!(parts.weight(), HEADER_COST);
    }

    #[test]
    fn what_is_read_on_and_on_is_read_in_few_pieces() {
        let mut file = Cursor::new(vec![0; 5 << 20]);
        for step in [2, 255] {
            let mut parts = Parts::default();
            let mut fetches = 0;
            for at in (0..HEADER_COST / 2).step_by(step) {
                if parts.bytes(at..at + 4).is_none() {
                    parts.fetch(&mut file, at..at + 4).unwrap();
                    fetches += 1;
                }
            }
            assert!(fetches <= 10, "{fetches} in steps of {step}");
        }
    }
}
