//! The end of a pyramid's file: what it is of, and where each of its pictures lies.
//!
//! A file is the pictures, complete JPEGs in the order in which they came, then this index, then its length, its
//! checksum and a mark, in twenty bytes. Numbers are little-endian.

use std::io;
use std::ops::Range;

use super::shape::Shape;
use crate::imaging::ImagingError;
use crate::imaging::pixels::Channels;

/// At the very end; the digit goes up with the layout.
const MARK: &[u8; 12] = b"LoggiaTiles2";
/// Length, checksum, mark.
pub(super) const TAIL: u64 = 4 + 4 + MARK.len() as u64;
/// Of an index that is believed: a picture of four billion pixels in tiles of 64 has 22 MB.
const LONGEST: u32 = 64 << 20;

/// What a pyramid is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its levels and tiles.
    pub shape: Shape,
    /// JPEG quality of its pictures, 1 to 100.
    pub quality: u8,
    /// The master, its version, and how it is drawn: a pyramid of anything else is none.
    pub name: String,
}

/// Where each picture lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) spec: Spec,
    /// Whether the pictures are grey.
    pub(super) grey: bool,
    /// Whether the master was transparent in places: here it lies on white.
    pub(super) flattened: bool,
    entries: Vec<Entry>,
}

/// Where a picture lies in the file, and what is to be found there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    offset: u64,
    length: u32,
    checksum: u32,
}

impl Entry {
    /// Bytes of an entry that is written.
    const WRITTEN: usize = 8 + 4 + 4;

    fn read(bytes: &[u8; Self::WRITTEN]) -> Self {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let offset = u64::from(number(4)) << 32 | u64::from(number(0));
        Self { offset, length: number(8), checksum: number(12) }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
    }

    /// Its bytes in the file.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.length)
    }

    /// An error unless these are the bytes that were written.
    pub fn check(&self, bytes: &[u8]) -> Result<(), ImagingError> {
        if crc32fast::hash(bytes) == self.checksum {
            Ok(())
        } else {
            Err(ImagingError::broken("a tile of it is no longer what was written"))
        }
    }
}

impl Index {
    /// An index without pictures.
    pub(super) fn new(spec: Spec, channels: Channels) -> Self {
        let entries = vec![Entry::default(); spec.shape.count()];
        let grey = matches!(channels, Channels::Grey | Channels::GreyAlpha);
        Self { spec, grey, flattened: channels.has_alpha(), entries }
    }

    pub(super) fn set(&mut self, number: usize, offset: u64, picture: &[u8]) -> Result<(), ImagingError> {
        let length = u32::try_from(picture.len()).map_err(|_| ImagingError::broken("a tile of gigabytes"))?;
        self.entries[number] = Entry { offset, length, checksum: crc32fast::hash(picture) };
        Ok(())
    }

    pub(super) fn get(&self, number: usize) -> Entry {
        self.entries[number]
    }

    /// Bytes of memory that it takes.
    pub(super) fn weight(&self) -> u64 {
        (self.entries.len() * size_of::<Entry>() + self.spec.name.len() + size_of::<Self>()) as u64
    }

    /// The index and the tail.
    pub(super) fn write(&self) -> Vec<u8> {
        let Spec { shape, quality, name } = &self.spec;
        let mut bytes = Vec::with_capacity(self.entries.len() * Entry::WRITTEN + name.len() + 64);
        for number in [shape.width, shape.height, shape.tile] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([*quality, u8::from(self.grey), u8::from(self.flattened)]);
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend(name.as_bytes());
        self.entries.iter().for_each(|entry| entry.write(&mut bytes));
        Self::end(&mut bytes);
        bytes
    }

    /// Puts the tail behind an index.
    fn end(bytes: &mut Vec<u8>) {
        let (length, checksum) = (bytes.len() as u32, crc32fast::hash(bytes));
        bytes.extend(length.to_le_bytes());
        bytes.extend(checksum.to_le_bytes());
        bytes.extend(MARK);
    }

    /// Reads the index of a file of this length; `None` where the file is not what was written for `spec`.
    pub(super) fn read(
        spec: &Spec,
        file: u64,
        read_at: impl Fn(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<Option<Self>> {
        let Some(at) = file.checked_sub(TAIL) else { return Ok(None) };
        let mut tail = [0; TAIL as usize];
        read_at(&mut tail, at)?;
        let mut tail = Fields(&tail);
        let (Some(length), Some(checksum)) = (tail.u32(), tail.u32()) else { return Ok(None) };
        let Some(start) = at.checked_sub(length.into()) else { return Ok(None) };
        if tail.0 != MARK || length > LONGEST {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        read_at(&mut bytes, start)?;
        if crc32fast::hash(&bytes) != checksum {
            return Ok(None);
        }
        Ok(Self::parse(&bytes, start).filter(|index| index.spec == *spec))
    }

    /// `end`: where the pictures end.
    fn parse(bytes: &[u8], end: u64) -> Option<Self> {
        let mut fields = Fields(bytes);
        let shape = Shape { width: fields.u32()?, height: fields.u32()?, tile: fields.u32()? };
        let [quality, grey, flattened] = fields.array()?;
        let name = fields.u32()?;
        let name = String::from_utf8(fields.take(name as usize)?.to_vec()).ok()?;
        let sides = [shape.width, shape.height, shape.tile];
        // As many as follow, before they are counted: a count is quick, a list of them is not.
        let (entries, []) = fields.0.as_chunks() else { return None };
        if sides.contains(&0) || shape.count() != entries.len() {
            return None;
        }
        let entry = |bytes| {
            let entry = Entry::read(bytes);
            let ends = entry.offset.checked_add(entry.length.into())?;
            (ends <= end && entry.length > 0).then_some(entry)
        };
        let entries = entries.iter().map(entry).collect::<Option<_>>()?;
        let spec = Spec { shape, quality, name };
        Some(Self { spec, grey: grey != 0, flattened: flattened != 0, entries })
    }
}

/// Numbers and texts one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

/// Reads foreign bytes as the index of a file, for the fuzzer: it is believed where the file has all the pictures that it
/// tells of, and not where a byte is missing.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let Some(index) = Index::parse(bytes, u64::MAX) else { return };
    let mut end = bytes.to_vec();
    Index::end(&mut end);
    let behind = |pictures: u64| {
        let read_at = |into: &mut [u8], at: u64| {
            into.copy_from_slice(&end[(at - pictures) as usize..][..into.len()]);
            Ok(())
        };
        Index::read(&index.spec, pictures + end.len() as u64, read_at).expect("nothing fails here")
    };
    let pictures =
        index.entries.iter().map(|entry| entry.range().end).max().expect("there is one of any size");
    if pictures < u64::MAX / 2 {
        assert_eq!(behind(pictures).as_ref(), Some(&index));
        assert_eq!(behind(pictures - 1), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            shape: Shape { width: 3000, height: 2000, tile: 512 },
            quality: 80,
            name: "maps/a.jpg/1".into(),
        }
    }

    fn file() -> Vec<u8> {
        let mut index = Index::new(spec(), Channels::Rgb);
        for number in 0..index.entries.len() {
            index.set(number, number as u64 * 10, &[7; 10]).unwrap();
        }
        let mut file = vec![7; index.entries.len() * 10];
        file.extend(index.write());
        file
    }

    fn read(spec: &Spec, file: &[u8]) -> Option<Index> {
        let at = |into: &mut [u8], at: u64| {
            let from = file.get(at as usize..at as usize + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.copy_from_slice(from);
            Ok(())
        };
        Index::read(spec, file.len() as u64, at).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let index = read(&spec(), &file()).unwrap();
        assert_eq!((index.get(3).range(), index.grey, index.flattened), (30..40, false, false));
        assert!(index.get(3).check(&[7; 10]).is_ok() && index.get(3).check(&[8; 10]).is_err());
        assert_eq!(index.spec, spec());
    }

    #[test]
    fn a_pyramid_of_something_else_is_none() {
        for other in [
            Spec { name: "maps/a.jpg/2".into(), ..spec() },
            Spec { quality: 81, ..spec() },
            Spec { shape: Shape { tile: 256, ..spec().shape }, ..spec() },
        ] {
            assert_eq!(read(&other, &file()), None);
        }
    }

    #[test]
    fn an_index_of_more_pictures_than_can_be_counted_is_none() {
        let shape = Shape { width: u32::MAX, height: u32::MAX, tile: 1 };
        let index =
            Index { spec: Spec { shape, ..spec() }, grey: false, flattened: false, entries: Vec::new() };
        assert_eq!(Index::parse(&index.write()[..], u64::MAX), None);
    }

    #[test]
    fn a_damaged_or_cut_index_is_none() {
        let file = file();
        let pictures = spec().shape.count() * 10;
        for at in pictures..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert_eq!(read(&spec(), &damaged), None, "byte {at}");
        }
        for length in 0..file.len() {
            assert_eq!(read(&spec(), &file[..length]), None, "cut at {length}");
        }
    }
}
