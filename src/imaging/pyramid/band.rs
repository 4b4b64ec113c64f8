//! The rows of one row of tiles, tile after tile: each is encoded where it lies.

/// Bytes of the rows, one tile whole before the next.
#[derive(Default)]
pub(super) struct Band {
    data: Vec<u8>,
    rows: usize,
    /// Bytes of a tile's row.
    tile: usize,
}

impl Band {
    /// For rows of so many bytes, in tiles of so many bytes to a row.
    pub(super) fn new(stride: usize, rows: usize, tile: usize) -> Self {
        Self { data: vec![0; stride * rows], rows, tile }
    }

    /// Takes in a row.
    pub(super) fn lay(&mut self, y: usize, row: &[u8]) {
        for (tile, part) in self.data.chunks_mut(self.tile * self.rows).zip(row.chunks(self.tile)) {
            tile[y * part.len()..][..part.len()].copy_from_slice(part);
        }
    }

    /// The tiles from left to right, of as many rows as there are in the band.
    pub(super) fn tiles(&self) -> impl Iterator<Item = &[u8]> {
        self.data.chunks(self.tile * self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_tile_after_tile() {
        let mut band = Band::new(5, 2, 2);
        band.lay(1, &[5, 6, 7, 8, 9]);
        band.lay(0, &[1, 2, 3, 4, 5]);
        let tiles: Vec<_> = band.tiles().collect();
        assert_eq!(tiles, [&[1, 2, 5, 6][..], &[3, 4, 7, 8], &[5, 9]]);
    }
}
