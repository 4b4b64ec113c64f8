//! One entry as bytes in a file, with all that is needed to tell whether it is whole.
//!
//! ```text
//! 8 bytes   "loggia", 0, version of this form
//! 4         CRC-32 of all that follows
//! 8         when it ends, in milliseconds since 1970
//! 4         length of the key
//! 8         length of the value
//!           key, value
//! ```
//!
//! Numbers are little-endian.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::Key;

const MAGIC: [u8; 8] = *b"loggia\0\x01";
const HEAD: usize = MAGIC.len() + 4 + 8 + 4 + 8;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it is no entry of a store, or one of another version")]
    Foreign,
    #[error("it is cut short or too long")]
    Length,
    #[error("its bytes changed")]
    Sum,
    #[error("it holds another key")]
    Key,
}

/// A value with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) end: SystemTime,
}

/// How many bytes an entry takes.
pub(super) fn size(key: &Key, value: &Bytes) -> u64 {
    (HEAD + key.as_str().len() + value.len()) as u64
}

/// All that stands before the value.
pub(super) fn head(key: &Key, value: &Bytes, end: SystemTime) -> Vec<u8> {
    let key = key.as_str().as_bytes();
    let end = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut rest = Vec::with_capacity(HEAD + key.len());
    rest.extend(u64::try_from(end).unwrap_or(u64::MAX).to_le_bytes());
    rest.extend((key.len() as u32).to_le_bytes());
    rest.extend((value.len() as u64).to_le_bytes());
    rest.extend(key);
    let mut sum = crc32fast::Hasher::new();
    sum.update(&rest);
    sum.update(value);
    [MAGIC.as_slice(), &sum.finalize().to_le_bytes(), &rest].concat()
}

/// Reads an entry back.
pub(super) fn parse(key: &Key, file: Bytes) -> Result<Entry, Damage> {
    let (magic, rest) = file.split_first_chunk::<8>().ok_or(Damage::Foreign)?;
    if *magic != MAGIC {
        return Err(Damage::Foreign);
    }
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Length)?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
        return Err(Damage::Sum);
    }
    let (end, rest) = rest.split_first_chunk::<8>().ok_or(Damage::Length)?;
    let (key_length, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Length)?;
    let (value_length, rest) = rest.split_first_chunk::<8>().ok_or(Damage::Length)?;
    let (key_length, value_length) =
        (u64::from(u32::from_le_bytes(*key_length)), u64::from_le_bytes(*value_length));
    if key_length.checked_add(value_length) != Some(rest.len() as u64) {
        return Err(Damage::Length);
    }
    if !rest.starts_with(key.as_str().as_bytes()) || key_length != key.as_str().len() as u64 {
        return Err(Damage::Key);
    }
    let end = UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_le_bytes(*end))).ok_or(Damage::Sum)?;
    Ok(Entry { value: file.slice(file.len() - value_length as usize..), end })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(key: &Key, value: &[u8], end: SystemTime) -> Vec<u8> {
        let value = Bytes::copy_from_slice(value);
        let mut file = head(key, &value, end);
        file.extend(&value);
        assert_eq!(file.len() as u64, size(key, &value));
        file
    }

    fn end() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_714_564_800_123)
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let key = Key::new(["tile", "a"]);
        let whole = file(&key, b"value", end());
        for bit in 0..whole.len() * 8 {
            let mut file = whole.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&key, file.into()).is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert!(parse(&key, whole[..length].to_vec().into()).is_err(), "length {length}");
        }
        assert_eq!(parse(&key, [whole.as_slice(), b"x"].concat().into()), Err(Damage::Sum));
    }

    #[test]
    fn another_key_is_noticed() {
        let whole = Bytes::from(file(&Key::new(["ab"]), b"cd", end()));
        assert_eq!(parse(&Key::new(["a"]), whole.clone()), Err(Damage::Key));
        assert_eq!(parse(&Key::new(["abc"]), whole), Err(Damage::Key));
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was(key in ".*", value: Vec<u8>, millis in 0..u64::MAX / 2_000_000) {
            let (key, end) = (Key::new([key.as_str()]), UNIX_EPOCH + Duration::from_millis(millis));
            let entry = parse(&key, file(&key, &value, end).into()).unwrap();
            prop_assert_eq!(entry, Entry { value: value.into(), end });
        }

        #[test]
        fn any_bytes_are_fine(bytes: Vec<u8>) {
            let _ = parse(&Key::new(["a"]), [MAGIC.as_slice(), &bytes].concat().into());
            prop_assert!(parse(&Key::new(["a"]), bytes.into()).is_err());
        }
    }
}
