//! The frame: which components there are, how fine they are, what they stand for.

use super::colour::Colour;
use super::tables::Tables;
use crate::imaging::ImagingError;
use crate::imaging::sniff::jpeg;

/// What a frame header tells.
pub(super) struct Frame {
    pub(super) size: (u32, u32),
    frame: jpeg::Frame,
    /// Of each component, its name and the number of its quantisation table.
    names: Vec<(u8, usize)>,
}

/// One component.
pub(super) struct Component {
    /// Blocks side by side, and above each other, in the unit of the scan.
    pub(super) across: u32,
    pub(super) down: u32,
    /// Quantisation, in the order of the file; zero behind the last coefficient.
    pub(super) steps: [f32; 80],
    /// Which Huffman tables: for its first coefficients, and for all others.
    pub(super) first: usize,
    pub(super) others: usize,
}

impl Frame {
    pub(super) fn parse(marker: u8, body: &[u8]) -> Result<Self, ImagingError> {
        let (size, frame) = jpeg::Frame::parse(marker, body)?;
        if size.0 == 0 || size.1 == 0 {
            return Err(ImagingError::broken(format!(
                "its size is {}x{}, at least 1x1 expected",
                size.0, size.1
            )));
        }
        if !frame.comes_in_rows() {
            return Err(ImagingError::unsupported("a JPEG of this kind, row by row"));
        }
        let names = body[6..].chunks_exact(3).take(frame.components.into());
        let names = names.map(|one| (one[0], usize::from(one[2]))).collect();
        Ok(Self { size, frame, names })
    }

    pub(super) fn colour(&self, jfif: bool, adobe: Option<u8>) -> Colour {
        let names: Vec<u8> = self.names.iter().map(|(name, _)| *name).collect();
        Colour::of(&names, jfif, adobe)
    }

    /// The components, each with the tables that the header of the scan gives it.
    pub(super) fn components(&self, scan: &[u8], tables: &Tables) -> Result<Vec<Component>, ImagingError> {
        let misfit = || ImagingError::broken("a JPEG with a scan header that does not fit its frame");
        let (count, rest) = scan.split_first().ok_or_else(misfit)?;
        let pairs = rest.get(..2 * usize::from(*count)).ok_or_else(misfit)?.as_chunks::<2>().0;
        if pairs.len() < self.names.len() {
            return Err(ImagingError::unsupported("a JPEG of several scans, row by row"));
        }
        if !pairs.iter().map(|pair| pair[0]).eq(self.names.iter().map(|(name, _)| *name)) {
            return Err(misfit());
        }
        let component = |(number, [_, choice]): (usize, &[u8; 2])| {
            let (across, down) = self.frame.sampling(number);
            let (first, others) = (usize::from(choice >> 4), usize::from(choice & 15));
            tables.check(first, others)?;
            let steps = tables.steps(self.names[number].1)?;
            Ok(Component { across, down, steps, first, others })
        };
        pairs.iter().enumerate().map(component).collect()
    }
}
