//! What the JPEG chunks of a TIFF share, and how a chunk becomes a file with it (*TIFF Technical Note 2*).

use super::read_at;
use crate::imaging::sniff::tiff::Level;
use crate::imaging::{ImagingError, Master};

/// Quantisation and entropy tables, with what else a writer may have put there.
pub(in crate::imaging) const LONGEST_TABLES: u64 = 1 << 16;

const START: &[u8] = &[0xff, 0xd8];
const END: &[u8] = &[0xff, 0xd9];

/// What stands in front of the own bytes of each chunk: the mark of a beginning, and the tables that all have.
pub(in crate::imaging) fn before(master: &mut dyn Master, level: &Level) -> Result<Vec<u8>, ImagingError> {
    let Some(tables) = level.tables else { return Ok(START.to_vec()) };
    let place = tables.bytes().filter(|place| place.end - place.start <= LONGEST_TABLES);
    let place = place.ok_or_else(|| ImagingError::broken("a TIFF whose JPEG tables are too long"))?;
    let tables = read_at(master, place.start, place.end - place.start)?;
    let tables = own(&tables);
    Ok([START, tables.strip_suffix(END).unwrap_or(tables)].concat())
}

/// A chunk without the mark of its beginning, if it has one.
pub(in crate::imaging) fn own(chunk: &[u8]) -> &[u8] {
    chunk.strip_prefix(START).unwrap_or(chunk)
}

/// Whether a chunk goes from the mark of its beginning to that of its end.
pub(in crate::imaging) fn is_whole(chunk: &[u8]) -> bool {
    chunk.starts_with(START) && chunk.ends_with(END)
}
