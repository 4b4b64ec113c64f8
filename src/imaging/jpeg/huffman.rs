//! Huffman codes, and what they stand for in a sequential scan.

use std::sync::OnceLock;

use super::bits::Bits;
use crate::imaging::ImagingError;

/// Codes of so many bits and fewer are looked up at once.
const QUICK: u32 = 10;

/// Bits in which several codes are looked up at once where their values do not matter.
const STRIDE: u32 = 12;

/// The codes of one table.
pub(super) struct Table {
    /// By the next bits; none for longer codes.
    quick: Box<[Code; 1 << QUICK]>,
    /// By length: the first 16 bits that no code of that length or less begins.
    limits: [u32; 17],
    /// By length: what is added to a code for the place of its symbol.
    places: [u32; 17],
    symbols: Box<[u8; 256]>,
}

/// A code with the value that follows it: the bits of both together (5 bits), those of the value (4 bits), and how
/// many coefficients it moves on (5 bits; none if the block ends).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(u16);

impl Code {
    const NONE: Self = Self(0);

    fn new(length: u32, symbol: u8) -> Self {
        let size = u16::from(symbol & 15);
        let advance = if size == 0 && symbol != 0xf0 { 0 } else { u16::from(symbol >> 4) + 1 };
        Self((length as u16 + size) | size << 5 | advance << 9)
    }

    /// Bits of the code and its value.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0 & 31)
    }

    /// Bits of the code alone.
    fn length(self) -> u32 {
        self.bits() - u32::from(self.0 >> 5 & 15)
    }

    /// How many coefficients it moves on, itself included.
    #[inline(always)]
    pub(super) fn advance(self) -> usize {
        usize::from(self.0 >> 9)
    }

    /// The value, if the code begins at the highest bit of the word (*ITU T.81, F.2.2.1*, EXTEND).
    #[inline(always)]
    pub(super) fn value(self, word: u64) -> i32 {
        let size = u32::from(self.0 >> 5 & 15);
        let word = word << ((self.bits() - size) & 63);
        let value = (word >> 1 >> (63 - size)) as i32;
        let negative = !((word as i64) >> 63) as i32;
        value - (((1 << size) - 1) & negative)
    }
}

impl Table {
    /// From the numbers of codes by length and what they stand for (*ITU T.81, C.2*).
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, ImagingError> {
        let mut table = Self {
            quick: Box::new([Code::NONE; 1 << QUICK]),
            limits: [0; 17],
            places: [0; 17],
            symbols: Box::new([0; 256]),
        };
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        if total > 256 || total > symbols.len() {
            return Err(ImagingError::broken(format!("a JPEG with {total} codes in a Huffman table")));
        }
        table.symbols[..total].copy_from_slice(&symbols[..total]);
        let (mut code, mut place) = (0_u32, 0_u32);
        for (length, count) in (1_u32..).zip(counts) {
            let count = u32::from(*count);
            if code + count > 1 << length {
                return Err(ImagingError::broken("a JPEG with a Huffman table of too many codes"));
            }
            table.places[length as usize] = place.wrapping_sub(code);
            if let Some(rest) = QUICK.checked_sub(length) {
                let symbols = &symbols[place as usize..(place + count) as usize];
                let quick = table.quick[(code << rest) as usize..].chunks_exact_mut(1 << rest);
                for (symbol, quick) in symbols.iter().zip(quick) {
                    quick.fill(Code::new(length, *symbol));
                }
            }
            (code, place) = (code + count, place + count);
            table.limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// Whether all symbols are sizes of differences, as those of a table for first coefficients are.
    pub(super) fn has_sizes_only(&self) -> bool {
        self.symbols.iter().all(|symbol| *symbol < 16)
    }

    /// The code at the highest bit of a word.
    #[inline(always)]
    pub(super) fn code(&self, word: u64) -> Option<Code> {
        match self.quick[(word >> (64 - QUICK)) as usize] {
            Code::NONE => self.long(word),
            code => Some(code),
        }
    }

    #[cold]
    #[inline(never)]
    fn long(&self, word: u64) -> Option<Code> {
        self.search((word >> 48) as u32).map(|(length, symbol)| Code::new(length, symbol))
    }

    /// Length and symbol of the code that 16 bits begin with.
    fn search(&self, next: u32) -> Option<(u32, u8)> {
        let length = (1..=16).find(|length| next < self.limits[*length])?;
        let place = (next >> (16 - length)).wrapping_add(self.places[length]);
        Some((length as u32, self.symbols[place as usize & 255]))
    }
}

/// Several codes with their values at once: the bits of all together, how many coefficients they move on, and
/// whether the block ends behind them.
#[derive(Clone, Copy)]
struct Steps(u16);

/// The codes of one table, taken several at a time.
struct Strides(Box<[Steps; 1 << STRIDE]>);

/// The codes of all coefficients of a block but its first.
pub(super) struct Others {
    pub(super) table: Table,
    /// Not every picture has something to pass over.
    strides: OnceLock<Strides>,
}

impl From<Table> for Others {
    fn from(table: Table) -> Self {
        Self { table, strides: OnceLock::new() }
    }
}

impl Steps {
    const END: u16 = 1 << 15;

    #[inline(always)]
    fn bits(self) -> u32 {
        u32::from(self.0 & 31)
    }

    #[inline(always)]
    fn advance(self) -> usize {
        usize::from(self.0 >> 5 & 127)
    }

    /// As many codes as the bits begin, up to one whose value they do not hold.
    fn new(table: &Table, next: u32) -> Self {
        let (mut bits, mut advance) = (0, 0);
        while bits < STRIDE {
            let rest = u64::from(next) << (64 - STRIDE) << bits;
            let Some(code) = table.code(rest).filter(|code| bits + code.length() <= STRIDE) else { break };
            bits += code.bits();
            advance += code.advance() as u16;
            if code.advance() == 0 {
                return Self(bits as u16 | advance << 5 | Self::END);
            }
            if advance > 63 {
                break;
            }
        }
        Self(bits as u16 | advance << 5)
    }
}

impl Strides {
    fn new(table: &Table) -> Self {
        let mut steps = Box::new([Steps(0); 1 << STRIDE]);
        for (next, steps) in (0..).zip(steps.iter_mut()) {
            *steps = Steps::new(table, next);
        }
        Self(steps)
    }
}

impl Others {
    /// Passes over the rest of a block from the coefficient `from` on. False if it does not end where a block ends.
    #[inline(always)]
    pub(super) fn pass(&self, bits: &mut Bits, from: usize) -> bool {
        let strides = self.strides.get_or_init(|| Strides::new(&self.table));
        let mut next = from;
        loop {
            bits.refill();
            let steps = strides.0[(bits.word() >> (64 - STRIDE)) as usize];
            let then = next + steps.advance();
            if then < 64 && steps.0 != 0 {
                bits.take(steps.bits());
                if steps.0 & Steps::END != 0 {
                    return true;
                }
                next = then;
                continue;
            }
            // The last of these codes may be of the next block already.
            let Some(code) = self.table.code(bits.word()) else { return false };
            bits.take(code.bits());
            next += code.advance();
            if code.advance() == 0 || next >= 64 {
                return next <= 64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lengths as uneven as they may be: one code of each, and 200 of the longest.
    fn table() -> Table {
        let counts = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 200];
        let symbols: Vec<u8> = [1, 0, 0x11, 2, 0x21, 0xf0, 5, 0x53, 0x0a].into_iter().chain(0..200).collect();
        Table::new(&counts, &symbols).unwrap()
    }

    fn bits(bytes: &[u8]) -> Bits {
        let mut bits = Bits::new();
        bits.append(bytes);
        bits
    }

    /// Where a block ends, taken code by code.
    fn plain(table: &Table, bits: &mut Bits) -> bool {
        let mut next = 1;
        while next < 64 {
            bits.refill();
            let Some(code) = table.code(bits.word()) else { return false };
            bits.take(code.bits());
            if code.advance() == 0 {
                return true;
            }
            next += code.advance();
        }
        next == 64
    }

    proptest! {
        #[test]
        fn several_codes_at_once_come_to_the_same_end(bytes in prop::collection::vec(any::<u8>(), 400)) {
            let others = Others::from(table());
            let (mut one, mut other) = (bits(&bytes), bits(&bytes));
            for _ in 0..20 {
                let (whole, expected) = (others.pass(&mut one, 1), plain(&others.table, &mut other));
                prop_assert_eq!(whole, expected);
                if !whole {
                    break;
                }
                prop_assert_eq!(one.taken(), other.taken());
            }
        }
    }

    #[test]
    fn values_are_extended() {
        // The code `0` stands for one bit of value, `1110` for two.
        for (first, value) in
            [(0b0000_0000, -1), (0b0100_0000, 1), (0b1110_0000, -3), (0b1110_0100, -2), (0b1110_1100, 3)]
        {
            let word = u64::from(first as u8) << 56;
            assert_eq!(table().code(word).unwrap().value(word), value, "{first:08b}");
        }
    }

    #[test]
    fn tables_of_too_many_codes_are_refused() {
        for (name, counts) in [("three of one bit", vec![3_u8]), ("all taken, and more", vec![1, 2, 1])] {
            let mut all = [0; 16];
            all[..counts.len()].copy_from_slice(&counts);
            assert!(Table::new(&all, &[0; 256]).is_err(), "{name}");
        }
        assert!(Table::new(&[1; 16], &[0; 15]).is_err());
    }
}
