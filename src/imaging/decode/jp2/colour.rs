//! What the samples of a JPEG 2000 mean.

use hayro_jpeg2000::DecodedImage;

use super::read;
use crate::imaging::jpeg::from_ycbcr;
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::sniff::jp2::{Codestream, Colour, Layout, Palette};
use crate::imaging::{ImagingError, Master};

/// Makes pixels of samples.
pub(super) struct Painter {
    colour: Colour,
    /// What is looked up, ready to be laid down.
    table: Vec<[u8; 4]>,
    /// Whether light and colour are left to be mixed: of colours that are coarser than the light the decoder has taken
    /// it for granted that they are to be.
    is_ycc: bool,
}

impl Painter {
    pub(super) fn new(master: &mut dyn Master, layout: &Layout) -> Result<Self, ImagingError> {
        let colour = layout.colour.clone();
        let table = match &colour.palette {
            Some(palette) => table(&read(master, palette.entries.clone())?, palette, &colour.order),
            None => Vec::new(),
        };
        let is_ycc = colour.is_ycc && (colour.palette.is_some() || !is_mixed(&layout.codestream));
        Ok(Self { colour, table, is_ycc })
    }

    pub(super) fn paint(
        &self,
        image: &DecodedImage<'_>,
        (width, height): (u32, u32),
    ) -> Result<Pixels, ImagingError> {
        let (channels, order) = (self.colour.channels, &self.colour.order);
        let components = image.components();
        let count = channels.count();
        let data = if self.colour.palette.is_some() {
            let numbers = components[0].samples().iter();
            let last = self.table.len() - 1;
            let colours = numbers.map(|number| self.table[(number.round() as usize).min(last)]);
            let mut data = Vec::with_capacity(components[0].samples().len() * count);
            colours.for_each(|colour| data.extend_from_slice(&colour[..count]));
            data
        } else {
            pick(image.data_u8(), components.len(), order)
        };
        let pixels = Pixels::new(width, height, channels, data)?;
        Ok(match (self.is_ycc, channels) {
            (true, Channels::Rgb) => pixels.map(Channels::Rgb, |[y, cb, cr]: [u8; 3]| from_ycbcr(y, cb, cr)),
            (true, Channels::Rgba) => pixels.map(Channels::Rgba, |[y, cb, cr, a]: [u8; 4]| {
                let [r, g, b] = from_ycbcr(y, cb, cr);
                [r, g, b, a]
            }),
            _ => pixels,
        })
    }
}

/// Whether the decoder makes red, green and blue of a codestream without being told.
fn is_mixed(codestream: &Codestream) -> bool {
    match codestream.components.as_slice() {
        [light, a, b] => a.coarseness == b.coarseness && a.coarseness != light.coarseness,
        _ => false,
    }
}

/// The samples that matter, in their order, in place.
fn pick(mut data: Vec<u8>, components: usize, order: &[u8]) -> Vec<u8> {
    if order.iter().copied().eq(0..components as u8) {
        return data;
    }
    for at in 0..data.len() / components {
        let mut pixel = [0; 4];
        pixel[..components].copy_from_slice(&data[at * components..][..components]);
        for (place, from) in order.iter().enumerate() {
            data[at * order.len() + place] = pixel[usize::from(*from)];
        }
    }
    data.truncate(data.len() / components * order.len());
    data
}

/// The entries of a palette, eight bits a sample, in the order of a pixel.
fn table(entries: &[u8], palette: &Palette, order: &[u8]) -> Vec<[u8; 4]> {
    let lengths = palette.bits.iter().map(|bits| usize::from(bits.div_ceil(8)));
    let row: usize = lengths.sum();
    let entry = |entry: &[u8]| {
        let mut at = 0;
        let mut columns = [0; 4];
        for (column, bits) in columns.iter_mut().zip(&palette.bits) {
            let length = usize::from(bits.div_ceil(8));
            let value =
                entry[at..at + length].iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            *column = (value.min((1 << bits) - 1) * 255 / ((1 << bits) - 1)) as u8;
            at += length;
        }
        let mut colour = [0; 4];
        colour.iter_mut().zip(order).for_each(|(part, column)| *part = columns[usize::from(*column)]);
        colour
    };
    entries.chunks_exact(row).map(entry).collect()
}
