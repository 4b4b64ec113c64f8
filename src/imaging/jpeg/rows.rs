//! The reader: rows of pixels from top to bottom, memory in proportion to the width.

use std::mem;

use fearless_simd::{Level, Simd, dispatch};

use super::band::Band;
use super::checkpoint::{self, Checkpoints};
use super::colour::Colour;
use super::header::Header;
use super::input::Input;
use super::layout::{Layout, Scale};
use super::scan::Scan;
use super::upsample::Upsampler;
use crate::iiif::image::geometry::Rect;
use crate::imaging::pixels::Channels;
use crate::imaging::sniff::jpeg::Frame;
use crate::imaging::{ImagingError, Master};

/// A JPEG, its header read.
pub(in crate::imaging) struct Jpeg {
    input: Input,
    header: Header,
    checkpoints: Option<Checkpoints>,
}

/// Bytes that reading a part of a picture holds at most, so many pixels wide.
pub(in crate::imaging) fn cost(frame: &Frame, size: (u32, u32), across: u32) -> u64 {
    /// A piece of the file, bits, tables.
    const FIXED: u64 = 512 << 10;
    let (widest, highest) = frame.finest();
    // A list grows by doubling, and is copied in the end.
    let checkpoints = 3 * checkpoint::cost(frame, size);
    // Two bands with a line above and below; a line upsampled, and rows of pixels.
    let lines = 2 * (8 * u64::from(highest) + 2) + 1 + 8 * u64::from(highest);
    let line = u64::from(across + 4 * 8 * widest) * u64::from(frame.components);
    FIXED + checkpoints + line * lines + u64::from(across) * 4
}

impl Jpeg {
    /// Reads the header. Whatever cannot be read row by row is unsupported.
    pub(in crate::imaging) fn open(source: Box<dyn Master>) -> Result<Self, ImagingError> {
        Self::new(Input::new(source)?)
    }

    /// The same for a file in memory.
    pub(in crate::imaging) fn of(bytes: Vec<u8>) -> Result<Self, ImagingError> {
        Self::new(Input::of(bytes))
    }

    fn new(mut input: Input) -> Result<Self, ImagingError> {
        let header = Header::read(&mut input)?;
        Ok(Self { input, header, checkpoints: None })
    }

    /// Takes three components for red, green and blue, whatever its markers say.
    pub(in crate::imaging) fn in_rgb(mut self) -> Self {
        if self.header.colour == Colour::YCbCr {
            self.header.colour = Colour::Rgb;
        }
        self
    }

    /// Its size in pixels.
    pub(in crate::imaging) fn size(&self, scale: Scale) -> (u32, u32) {
        self.header.size(scale)
    }

    /// The samples of its pixels.
    pub(in crate::imaging) fn channels(&self) -> Channels {
        self.header.colour.channels()
    }

    /// The ICC profile, if the file has one.
    pub(in crate::imaging) fn take_profile(&mut self) -> Option<Vec<u8>> {
        self.header.profile.take()
    }

    /// Makes use of what an earlier reading of the same version of the same file has left.
    pub(in crate::imaging) fn with_checkpoints(self, checkpoints: Checkpoints) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// The places from which this file can be read on, once all of it was seen.
    pub(in crate::imaging) fn checkpoints(&self) -> Option<Checkpoints> {
        self.checkpoints.clone()
    }

    /// Passes over the whole picture: from then on it is known that nothing is missing, and where everything lies.
    pub(in crate::imaging) fn walk(self) -> Result<Self, ImagingError> {
        let Self { input, header, checkpoints } = self;
        let mut scan = Scan::new(input, &header, checkpoints)?;
        dispatch!(Level::new(), _ => scan.pass(&header))?;
        let checkpoints = scan.checkpoints();
        Ok(Self { input: scan.into_input(), header, checkpoints })
    }

    /// Reads a part of it. Where that is its last pixel, it is known at the end that nothing is missing.
    pub(in crate::imaging) fn rows(self, scale: Scale, window: Rect) -> Result<RowReader, ImagingError> {
        let layout = Layout::new(&self.header, scale, window)?;
        let scan = Scan::new(self.input, &self.header, self.checkpoints)?;
        let bands = [Band::new(&layout), Band::new(&layout)];
        let row = window.y / layout.down;
        let (upsampler, lines) = (Upsampler::default(), Default::default());
        Ok(RowReader { header: self.header, scan, layout, bands, row, upsampler, lines })
    }
}

/// Rows of pixels, from top to bottom.
pub(in crate::imaging) struct RowReader {
    header: Header,
    scan: Scan,
    layout: Layout,
    /// The row at hand, and the one above or below it.
    bands: [Band; 2],
    /// The next row of units.
    row: u32,
    upsampler: Upsampler,
    /// Upsampled lines, one for each component.
    lines: [Vec<u8>; 4],
}

impl RowReader {
    /// Puts the next rows of pixels behind what is in `out`, 8 or 16 of them at full scale, and says how many they
    /// are. None at the end, and after an error.
    pub(in crate::imaging) fn next_rows(&mut self, out: &mut Vec<u8>) -> Result<Option<u32>, ImagingError> {
        let Layout { window, down, all_rows, .. } = self.layout;
        let top = self.row * down;
        let end = (window.y + window.height).saturating_sub(top).min(down);
        let first = window.y.saturating_sub(top);
        if self.row >= all_rows || first >= end {
            return Ok(None);
        }
        let row = mem::replace(&mut self.row, all_rows);
        self.prepare(row, first, end)?;
        let bytes = (end - first) as usize * window.width as usize * self.header.colour.channels().count();
        let behind = out.len();
        out.resize(behind + bytes, 0);
        self.mix(first, &mut out[behind..]);
        self.row = row + 1;
        Ok(Some(end - first))
    }

    /// The places from which this file can be read on, once its last pixel was read.
    pub(in crate::imaging) fn checkpoints(&self) -> Option<Checkpoints> {
        self.scan.checkpoints()
    }

    /// Decodes a row, and what of its neighbours is needed for the lines that are wanted.
    fn prepare(&mut self, row: u32, first: u32, end: u32) -> Result<(), ImagingError> {
        let is_coarse = self.layout.parts.iter().any(|part| part.each.1 > 1);
        self.bands.swap(0, 1);
        let above = row.checked_sub(1).filter(|_| is_coarse && first == 0);
        if let Some(above) = above.filter(|above| self.bands[1].row != Some(*above)) {
            self.decode(1, above)?;
        }
        if self.bands[0].row != Some(row) {
            self.decode(0, row)?;
        }
        let [here, other] = &mut self.bands;
        match above {
            Some(_) => here.join_above(other),
            None => here.close_above(),
        }
        if row + 1 == self.layout.all_rows {
            here.close_below(&self.layout, row);
        } else if is_coarse && end == self.layout.down {
            self.decode(1, row + 1)?;
            let [here, below] = &mut self.bands;
            here.join_below(below);
        }
        Ok(())
    }

    fn decode(&mut self, band: usize, row: u32) -> Result<(), ImagingError> {
        let Self { header, scan, layout, bands, .. } = self;
        let band = &mut bands[band];
        band.row = Some(row);
        dispatch!(Level::new(), simd => draw(simd, header, scan, layout, band, row))?;
        let is_last = row + 1 == layout.all_rows && layout.columns.end == layout.units;
        if is_last { scan.finish() } else { scan.check() }
    }

    /// Writes the pixels of the row at hand, from a line of it on.
    fn mix(&mut self, first: u32, out: &mut [u8]) {
        let Self { header, layout, bands: [band, _], upsampler, lines, .. } = self;
        let colour = header.colour;
        dispatch!(Level::new(), _ => {
            let left = (layout.window.x - layout.columns.start * layout.across) as usize;
            let width = layout.window.width as usize;
            let stride = width * colour.channels().count();
            for (line, out) in (first as usize..).zip(out.chunks_exact_mut(stride)) {
                let mut parts = [&[][..]; 4];
                let found = layout.parts.iter().zip(&band.planes).zip(lines.iter_mut());
                for (to, ((part, plane), buffer)) in parts.iter_mut().zip(found) {
                    *to = &upsampler.line(part, plane, line, buffer)[left..left + width];
                }
                colour.mix(parts, out);
            }
        });
    }
}

/// Decodes the blocks of a row that are wanted.
///
/// This and the other work on each block or pixel is compiled several times, for vectors of several widths, and the
/// right one chosen where it runs: that takes a third of the time off.
#[inline(always)]
fn draw<S: Simd>(
    simd: S,
    header: &Header,
    scan: &mut Scan,
    layout: &Layout,
    band: &mut Band,
    row: u32,
) -> Result<(), ImagingError> {
    scan.go_to(header, row * layout.units + layout.columns.start)?;
    for unit in 0..layout.columns.end - layout.columns.start {
        scan.draw(header, &layout.depths, |part, number, block| {
            band.planes[part].draw(simd, unit, number, block);
        })?;
    }
    Ok(())
}
