//! The frame: which components there are, how fine they are, what they stand for.

use super::tables::Tables;
use crate::imaging::ImagingError;
use crate::imaging::sniff::jpeg;

/// What a frame header tells.
pub(super) struct Frame {
    pub(super) size: (u32, u32),
    pub(super) frame: jpeg::Frame,
    /// Of its components.
    pub(super) names: Vec<u8>,
    /// Which quantisation tables these have.
    steps: Vec<usize>,
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
        let told = body[6..].chunks_exact(3).take(frame.components.into());
        let steps = told.map(|one| usize::from(one[2])).collect();
        Ok(Self { size, frame, names: jpeg::Frame::names(body), steps })
    }

    /// Of each component, which Huffman tables the header of a scan gives it: for its first coefficients, and for all
    /// others.
    pub(super) fn choices(&self, scan: &[u8]) -> Result<Vec<(usize, usize)>, ImagingError> {
        let misfit = || ImagingError::broken("a JPEG with a scan header that does not fit its frame");
        let (count, rest) = scan.split_first().ok_or_else(misfit)?;
        let pairs = rest.get(..2 * usize::from(*count)).ok_or_else(misfit)?.as_chunks::<2>().0;
        if pairs.len() < self.names.len() {
            return Err(ImagingError::unsupported("a JPEG of several scans, row by row"));
        }
        if !pairs.iter().map(|[name, _]| name).eq(&self.names) {
            return Err(misfit());
        }
        let choices = pairs.iter().map(|[_, choice]| (usize::from(choice >> 4), usize::from(choice & 15)));
        Ok(choices.collect())
    }

    /// The components, each with the tables that it has in a scan.
    pub(super) fn components(&self, scan: &[u8], tables: &Tables) -> Result<Vec<Component>, ImagingError> {
        let component = |(number, (first, others))| {
            let (across, down) = self.frame.sampling(number);
            tables.check(first, others)?;
            Ok(Component { across, down, steps: tables.steps(self.steps[number])?, first, others })
        };
        self.choices(scan)?.into_iter().enumerate().map(component).collect()
    }
}
