//! What a PDF calls its pages: a number tree in its catalogue, ISO 32000-1, 12.4.2.

use std::collections::BTreeMap;

use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::object::{Array, Dict, Name, Object, String as Text};

/// Ranges of pages that are numbered alike. A book has some dozens.
const MOST_RANGES: usize = 10_000;
/// Longer ones are none.
const LONGEST: usize = 100;
/// Beyond this, numbers are no longer written in letters.
const LARGEST: u32 = 5000;

/// By the index of the first page.
pub(super) struct Labels(BTreeMap<usize, Range>);

struct Range {
    style: Option<u8>,
    prefix: String,
    start: u32,
}

/// The labels of a file, if it has any.
pub(super) fn of(pdf: &Pdf) -> Labels {
    let catalogue = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let root = catalogue.and_then(|catalogue| catalogue.get::<Dict<'_>>("PageLabels"));
    let (mut ranges, mut next) = (BTreeMap::new(), Vec::from_iter(root));
    // Whoever leads the way in a circle is followed for a while.
    for _ in 0..MOST_RANGES {
        let Some(node) = next.pop() else { break };
        next.extend(node.get::<Array<'_>>("Kids").unwrap_or_default().iter::<Dict<'_>>());
        let mut pairs = node.get::<Array<'_>>("Nums").unwrap_or_default();
        ranges.extend(read(&mut pairs));
        next.truncate(MOST_RANGES);
    }
    Labels(ranges)
}

fn read(pairs: &mut Array<'_>) -> Vec<(usize, Range)> {
    let mut pairs = pairs.iter::<Object<'_>>();
    let pair = || Some((pairs.next()?, pairs.next()?));
    let range = |(first, range): (Object<'_>, Object<'_>)| {
        let (first, range) = (usize::try_from(first.into_i32()?).ok()?, range.into_dict()?);
        let style = range.get::<Name<'_>>("S").and_then(|style| style.first().copied());
        let prefix = range.get::<Text<'_>>("P").map(|prefix| spoken(prefix.as_bytes())).unwrap_or_default();
        Some((first, Range { style, prefix, start: range.get::<u32>("St").unwrap_or(1) }))
    };
    std::iter::from_fn(pair).take(MOST_RANGES).filter_map(range).collect()
}

impl Labels {
    /// What the page of this index is called.
    pub(super) fn label(&self, index: usize) -> Option<String> {
        let (first, range) = self.0.range(..=index).next_back()?;
        let number = range.start.saturating_add(u32::try_from(index - first).ok()?);
        let number = match range.style {
            Some(b'D') => number.to_string(),
            Some(b'R') if number <= LARGEST => roman(number).to_uppercase(),
            Some(b'r') if number <= LARGEST => roman(number),
            Some(b'A') if number <= LARGEST => letters(number).to_uppercase(),
            Some(b'a') if number <= LARGEST => letters(number),
            Some(_) => number.to_string(),
            None => String::new(),
        };
        Some(range.prefix.clone() + &number).filter(|label| !label.trim().is_empty())
    }
}

fn roman(mut number: u32) -> String {
    const LETTERS: [(u32, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    let mut written = String::new();
    for (value, letter) in LETTERS {
        written += &letter.repeat((number / value) as usize);
        number %= value;
    }
    written
}

/// `a` to `z`, then `aa` to `zz`.
fn letters(number: u32) -> String {
    let index = number.saturating_sub(1);
    let letter = char::from(b'a' + (index % 26) as u8);
    letter.to_string().repeat(1 + (index / 26) as usize)
}

/// Text of a PDF: UTF-16 with its mark, UTF-8 with its mark, else as good as Latin 1.
fn spoken(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units: Vec<_> =
                rest.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_letters() {
        let written = |number| (roman(number), letters(number));
        assert_eq!(written(1), ("i".into(), "a".into()));
        assert_eq!(written(4), ("iv".into(), "d".into()));
        assert_eq!(written(28), ("xxviii".into(), "bb".into()));
        assert_eq!(written(1999).0, "mcmxcix");
    }

    #[test]
    fn text_is_read_in_each_of_its_ways() {
        for bytes in [b"\xfe\xff\0A\0\xe4".as_slice(), b"\xef\xbb\xbfA\xc3\xa4", b"A\xe4", b"A\n\xe4"] {
            assert_eq!(spoken(bytes), "A\u{e4}");
        }
    }
}
