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
const MARK: &[u8; 12] = b"LoggiaTiles1";
/// Length, checksum, mark.
pub(super) const TAIL: u64 = 4 + 4 + MARK.len() as u64;
/// Of an index that is believed: a picture of four billion pixels in tiles of 64 has 25 MB.
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
    places: Vec<(u64, u32)>,
}

impl Index {
    /// An index without pictures.
    pub(super) fn new(spec: Spec, channels: Channels) -> Self {
        let places = vec![(0, 0); spec.shape.count()];
        let grey = matches!(channels, Channels::Grey | Channels::GreyAlpha);
        Self { spec, grey, flattened: channels.has_alpha(), places }
    }

    pub(super) fn set(&mut self, number: usize, offset: u64, length: usize) -> Result<(), ImagingError> {
        let length = u32::try_from(length).map_err(|_| ImagingError::broken("a tile of gigabytes"))?;
        self.places[number] = (offset, length);
        Ok(())
    }

    /// Where a picture lies in the file.
    pub(super) fn get(&self, number: usize) -> Range<u64> {
        let (offset, length) = self.places[number];
        offset..offset + u64::from(length)
    }

    /// Bytes of memory that it takes.
    pub(super) fn weight(&self) -> u64 {
        (self.places.len() * size_of::<(u64, u32)>() + self.spec.name.len() + size_of::<Self>()) as u64
    }

    /// The index and the tail.
    pub(super) fn write(&self) -> Vec<u8> {
        let Spec { shape, quality, name } = &self.spec;
        let mut bytes = Vec::with_capacity(self.places.len() * 12 + name.len() + 64);
        for number in [shape.width, shape.height, shape.tile] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([*quality, u8::from(self.grey), u8::from(self.flattened)]);
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend(name.as_bytes());
        for (offset, length) in &self.places {
            bytes.extend(offset.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        let (length, checksum) = (bytes.len() as u32, crc32fast::hash(&bytes));
        bytes.extend(length.to_le_bytes());
        bytes.extend(checksum.to_le_bytes());
        bytes.extend(MARK);
        bytes
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
        let places = fields.0.as_chunks::<12>().0;
        if sides.contains(&0) || shape.count() != places.len() || fields.0.len() != places.len() * 12 {
            return None;
        }
        let places = places.iter().map(|place| {
            let (offset, length) = place.split_at(8);
            let place =
                (u64::from_le_bytes(offset.try_into().ok()?), u32::from_le_bytes(length.try_into().ok()?));
            (place.0.checked_add(place.1.into())? <= end && place.1 > 0).then_some(place)
        });
        let places = places.collect::<Option<_>>()?;
        let spec = Spec { shape, quality, name };
        Some(Self { spec, grey: grey != 0, flattened: flattened != 0, places })
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

/// Reads an index out of foreign bytes, for the fuzzer.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let _ = Index::parse(bytes, u64::MAX);
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
        for number in 0..index.places.len() {
            index.set(number, number as u64 * 10, 10).unwrap();
        }
        let mut file = vec![7; index.places.len() * 10];
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
        assert_eq!((index.get(3), index.grey, index.flattened), (30..40, false, false));
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
            Index { spec: Spec { shape, ..spec() }, grey: false, flattened: false, places: Vec::new() };
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
