//! A master in memory, while the disk takes none.

/// Bytes of a piece.
const PIECE: usize = 64 << 10;

/// Bytes in pieces of one size: a single vector that grows would hold up to three times as much as was counted.
#[derive(Debug, Default)]
pub(in crate::serve) struct Pieces {
    pieces: Vec<Vec<u8>>,
    length: u64,
}

impl Pieces {
    /// How many there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of memory that so many more will take.
    pub(super) fn growth(&self, more: usize) -> u64 {
        let count = (self.length + more as u64).div_ceil(PIECE as u64) - self.pieces.len() as u64;
        count * PIECE as u64
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
                self.pieces.push(Vec::with_capacity(PIECE));
            }
            let Some(piece) = self.pieces.last_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - piece.len()));
            piece.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Some of the bytes from a place on; none are behind the end.
    pub(super) fn from(&self, position: u64) -> &[u8] {
        let (number, at) = (position / PIECE as u64, (position % PIECE as u64) as usize);
        let piece = usize::try_from(number).ok().and_then(|number| self.pieces.get(number));
        piece.and_then(|piece| piece.get(at..)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_what_was_counted_and_read_as_one() {
        let bytes: Vec<u8> = (0..3 * PIECE + 7).map(|at| (at % 251) as u8).collect();
        let (mut pieces, mut counted) = (Pieces::default(), 0);
        for chunk in [1, PIECE - 1, 0, 5, 2 * PIECE, 2].iter().scan(0, |at, length| {
            *at += length;
            Some(&bytes[*at - length..*at])
        }) {
            counted += pieces.growth(chunk.len());
            pieces.append(chunk);
        }
        let held: usize = pieces.pieces.iter().map(Vec::capacity).sum();
        assert_eq!((pieces.length, held as u64), (bytes.len() as u64, counted));
        let mut found = Vec::new();
        while !pieces.from(found.len() as u64).is_empty() {
            found.extend_from_slice(pieces.from(found.len() as u64));
        }
        assert_eq!(found, bytes);
        assert!(pieces.from(u64::MAX).is_empty());
    }
}
