//! The tables in front of a scan: for its codes, and for what their values mean.

use super::huffman::{Others, Table};
use crate::imaging::ImagingError;

/// The tables that were told so far, by number.
#[derive(Default)]
pub(super) struct Tables {
    steps: [Option<[u16; 64]>; 4],
    first: [Option<Table>; 4],
    others: [Option<Others>; 4],
}

/// One table of a segment of Huffman tables (*ITU T.81, B.2.4.2*).
pub(super) struct Codes<'a> {
    /// 0: for first coefficients; 1: for all others.
    pub(super) class: u8,
    /// Up to 3.
    pub(super) number: usize,
    /// How many codes there are of each length.
    pub(super) counts: &'a [u8; 16],
    /// What they stand for.
    pub(super) symbols: &'a [u8],
}

impl<'a> Codes<'a> {
    /// Takes the next table out of a segment.
    pub(super) fn next(body: &mut &'a [u8]) -> Result<Option<Self>, ImagingError> {
        let half = || ImagingError::broken("a JPEG with half a Huffman table");
        let Some((head, rest)) = body.split_first() else { return Ok(None) };
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(half)?;
        let total = counts.iter().map(|count| usize::from(*count)).sum();
        let (symbols, rest) = rest.split_at_checked(total).ok_or_else(half)?;
        *body = rest;
        match (head >> 4, usize::from(head & 15)) {
            (class @ 0..=1, number @ 0..=3) => Ok(Some(Self { class, number, counts, symbols })),
            (0..=1, _) => Err(ImagingError::broken("a JPEG with more than four Huffman tables")),
            _ => Err(impossible()),
        }
    }
}

fn impossible() -> ImagingError {
    ImagingError::broken("a JPEG with an impossible Huffman table")
}

impl Tables {
    /// Takes in a segment of Huffman tables.
    pub(super) fn codes(&mut self, mut body: &[u8]) -> Result<(), ImagingError> {
        while let Some(Codes { class, number, counts, symbols }) = Codes::next(&mut body)? {
            let table = Table::new(counts, symbols)?;
            match class {
                0 if table.has_sizes_only() => self.first[number] = Some(table),
                0 => return Err(impossible()),
                _ => self.others[number] = Some(Others::from(table)),
            }
        }
        Ok(())
    }

    /// Takes in a segment of quantisation tables.
    pub(super) fn quantisation(&mut self, mut body: &[u8]) -> Result<(), ImagingError> {
        while let Some((head, rest)) = body.split_first() {
            let wide = usize::from(head >> 4 != 0);
            let (values, rest) = rest
                .split_at_checked(64 << wide)
                .ok_or_else(|| ImagingError::broken("a JPEG with half a quantisation table"))?;
            body = rest;
            let mut steps = [0; 64];
            for (step, value) in steps.iter_mut().zip(values.chunks_exact(1 << wide)) {
                *step = value.iter().fold(0, |step, byte| step << 8 | u16::from(*byte));
            }
            *self
                .steps
                .get_mut(usize::from(head & 15))
                .ok_or_else(|| ImagingError::broken("a JPEG with more than four quantisation tables"))? =
                Some(steps);
        }
        Ok(())
    }

    /// The steps of one component, in the order of the file; zero behind the last coefficient.
    pub(super) fn steps(&self, number: usize) -> Result<[f32; 80], ImagingError> {
        let found = self.steps.get(number).copied().flatten();
        let found = found.ok_or_else(|| ImagingError::broken("a JPEG that lacks a quantisation table"))?;
        let mut steps = [0.0; 80];
        for (step, found) in steps.iter_mut().zip(found) {
            *step = f32::from(found);
        }
        Ok(steps)
    }

    /// An error unless there are Huffman tables of these numbers.
    pub(super) fn check(&self, first: usize, others: usize) -> Result<(), ImagingError> {
        match self.get(first, others) {
            Some(_) => Ok(()),
            None => Err(ImagingError::broken("a JPEG that lacks a Huffman table")),
        }
    }

    /// The Huffman tables of these numbers: for first coefficients, and for all others.
    #[inline(always)]
    pub(super) fn get(&self, first: usize, others: usize) -> Option<(&Table, &Others)> {
        Some((self.first.get(first)?.as_ref()?, self.others.get(others)?.as_ref()?))
    }
}
