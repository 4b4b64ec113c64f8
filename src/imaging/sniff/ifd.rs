//! Directories of TIFF, which EXIF blocks have too.

use std::ops::Range;

use super::{Lack, Parts};
use crate::imaging::ImagingError;
use crate::imaging::orient::Orientation;

/// How numbers are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imaging) enum Endian {
    Little,
    Big,
}

impl Endian {
    /// A number of up to eight bytes.
    pub(in crate::imaging) fn number(self, bytes: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Self::Big => bytes.iter().fold(0, join),
            Self::Little => bytes.iter().rev().fold(0, join),
        }
    }
}

/// Values of one tag, where they lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Values {
    pub(in crate::imaging) at: u64,
    pub(in crate::imaging) count: u64,
    /// Bytes of one value: 1, 2, 4 or 8.
    pub(in crate::imaging) width: u8,
    pub(in crate::imaging) endian: Endian,
}

impl Values {
    pub(in crate::imaging) fn bytes(self) -> Option<Range<u64>> {
        let length = self.count.checked_mul(u64::from(self.width))?;
        Some(self.at..self.at.checked_add(length)?)
    }

    /// Where the value with this index lies.
    pub(in crate::imaging) fn place(self, index: u64) -> Option<u64> {
        (index < self.count).then_some(())?;
        self.at.checked_add(index.checked_mul(u64::from(self.width))?)
    }
}

/// The frame around directories: byte order and width of offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) endian: Endian,
    big: bool,
}

/// One directory.
#[derive(Debug)]
pub(super) struct Directory {
    entries: Vec<(u16, Values)>,
    /// Where the next one lies; 0 if there is none.
    pub(super) next: u64,
}

impl Format {
    /// From the first bytes of a file, with the place of the first directory.
    pub(super) fn open(parts: &Parts) -> Result<(Self, u64), Lack> {
        let [a, b, c, d, e, f, g, h] = parts.array(0)?;
        let endian = match (a, b) {
            (b'I', b'I') => Endian::Little,
            (b'M', b'M') => Endian::Big,
            _ => return Err(ImagingError::broken("no TIFF byte order mark").into()),
        };
        match endian.number(&[c, d]) {
            42 => Ok((Self { endian, big: false }, endian.number(&[e, f, g, h]))),
            43 => Ok((Self { endian, big: true }, endian.number(&parts.array::<8>(8)?))),
            other => Err(ImagingError::broken(format!("TIFF version {other}, 42 or 43 expected")).into()),
        }
    }

    pub(super) fn directory(self, parts: &Parts, at: u64) -> Result<Directory, Lack> {
        const MOST: u64 = 4096;
        let (head, entry, tail) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let far = || Lack::Fault(ImagingError::broken(format!("a TIFF directory at byte {at}")));
        let count = self.endian.number(parts.slice(at, head)?);
        if count == 0 || count > MOST {
            return Err(ImagingError::broken(format!("a TIFF directory of {count} entries")).into());
        }
        let start = at.checked_add(head).ok_or_else(far)?;
        let bytes = parts.slice(start, count * entry + tail)?;
        let (table, next) = bytes.split_at((count * entry) as usize);
        let entries = table.chunks_exact(entry as usize).zip(0_u64..).filter_map(|(bytes, index)| {
            let tag = self.endian.number(&bytes[..2]) as u16;
            Some((tag, self.values(bytes, start + index * entry)?))
        });
        Ok(Directory { entries: entries.collect(), next: self.endian.number(next) })
    }

    /// Where the values of an entry lie: in the entry itself if they fit.
    fn values(self, entry: &[u8], at: u64) -> Option<Values> {
        let width = match self.endian.number(&entry[2..4]) {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => return None,
        };
        let slot = if self.big { 8 } else { 4 };
        let count = self.endian.number(&entry[4..4 + slot]);
        let field = 4 + slot;
        let inside = count.checked_mul(u64::from(width))? <= slot as u64;
        let place = if inside { at + field as u64 } else { self.endian.number(&entry[field..]) };
        Some(Values { at: place, count, width, endian: self.endian })
    }
}

impl Directory {
    pub(super) fn values(&self, tag: u16) -> Option<Values> {
        self.entries.iter().find(|(found, _)| *found == tag).map(|(_, values)| *values)
    }

    /// The first value of a tag.
    pub(super) fn number(&self, parts: &Parts, tag: u16) -> Result<Option<u64>, Lack> {
        match self.values(tag).filter(|values| values.count > 0) {
            Some(values) => {
                let bytes = parts.slice(values.at, u64::from(values.width))?;
                Ok(Some(values.endian.number(bytes)))
            }
            None => Ok(None),
        }
    }

    /// All values of a tag, if they are not too many to be meant.
    pub(super) fn numbers(&self, parts: &Parts, tag: u16, most: u64) -> Result<Vec<u64>, Lack> {
        let Some(values) = self.values(tag).filter(|values| (1..=most).contains(&values.count)) else {
            return Ok(Vec::new());
        };
        let bytes = parts.slice(values.at, values.count * u64::from(values.width))?;
        Ok(bytes.chunks_exact(values.width.into()).map(|value| values.endian.number(value)).collect())
    }
}

const ORIENTATION: u16 = 274;

impl Directory {
    pub(super) fn orientation(&self, parts: &Parts) -> Result<Orientation, Lack> {
        Ok(Orientation::from_exif(self.number(parts, ORIENTATION)?.unwrap_or(1)))
    }
}

/// The orientation that an EXIF block tells; a damaged block tells none.
pub(super) fn orientation(exif: &[u8]) -> Orientation {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let parts = Parts::whole(exif.to_vec());
    let read = || -> Result<Orientation, Lack> {
        let (format, first) = Format::open(&parts)?;
        format.directory(&parts, first)?.orientation(&parts)
    };
    read().unwrap_or_default()
}
