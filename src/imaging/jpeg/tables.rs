//! The tables in front of a scan: for its codes, and for what their values mean.

use super::huffman::{Strides, Table};
use crate::imaging::ImagingError;

/// The tables that were told so far, by number.
#[derive(Default)]
pub(super) struct Tables {
    steps: [Option<[u16; 64]>; 4],
    first: [Option<Table>; 4],
    others: [Option<(Table, Strides)>; 4],
}

impl Tables {
    /// Takes in a segment of Huffman tables.
    pub(super) fn codes(&mut self, mut body: &[u8]) -> Result<(), ImagingError> {
        let half = || ImagingError::broken("a JPEG with half a Huffman table");
        while let Some((head, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(half)?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or_else(half)?;
            body = rest;
            let table = Table::new(counts, symbols)?;
            let number = usize::from(head & 15);
            if number > 3 {
                return Err(ImagingError::broken("a JPEG with more than four Huffman tables"));
            }
            match head >> 4 {
                0 if table.has_sizes_only() => self.first[number] = Some(table),
                1 => {
                    let strides = Strides::new(&table);
                    self.others[number] = Some((table, strides));
                }
                _ => return Err(ImagingError::broken("a JPEG with an impossible Huffman table")),
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

    /// The Huffman tables of these numbers: for first coefficients, for all others, and for passing over these.
    #[inline(always)]
    pub(super) fn get(&self, first: usize, others: usize) -> Option<(&Table, &Table, &Strides)> {
        let first = self.first.get(first)?.as_ref()?;
        let (others, strides) = self.others.get(others)?.as_ref()?;
        Some((first, others, strides))
    }
}
