//! What the components of a JPEG 2000 mean (*ISO 15444-1, I.5.3*).

use std::ops::Range;

use super::boxes::{Boxes, MOST_COMPONENTS};
use super::{Component, Lack, Parts};
use crate::imaging::ImagingError;
use crate::imaging::pixels::Channels;

/// What makes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Colour {
    pub(in crate::imaging) channels: Channels,
    /// For each sample of a pixel the component, or the column of the palette, that it comes from.
    pub(in crate::imaging) order: Vec<u8>,
    /// Whether they are light and colour, and become red, green and blue.
    pub(in crate::imaging) is_ycc: bool,
    pub(in crate::imaging) palette: Option<Palette>,
}

/// A table of colours, for a component that tells their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Palette {
    /// Where its entries lie.
    pub(in crate::imaging) entries: Range<u64>,
    /// Bits of each column. Entries have whole bytes.
    pub(in crate::imaging) bits: Vec<u8>,
}

/// What the colours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Grey,
    Rgb,
    Ycc,
    Cmyk,
}

/// What is said of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) number: u16,
    pub(super) kind: u16,
    /// The colour that it is, or belongs to; 0: all of them.
    pub(super) colour: u16,
}

const COLOUR: u16 = 0;
const ALPHA: u16 = 1;
const MULTIPLIED_ALPHA: u16 = 2;

impl Model {
    /// *ISO 15444-1, table I.10*; 12 is *ISO 15444-2, table M.25*.
    pub(super) fn numbered(number: u32) -> Option<Self> {
        match number {
            12 => Some(Self::Cmyk),
            16 => Some(Self::Rgb),
            17 => Some(Self::Grey),
            18 => Some(Self::Ycc),
            _ => None,
        }
    }

    /// The space that an ICC profile says it is for.
    pub(super) fn named(space: [u8; 4]) -> Option<Self> {
        match &space {
            b"GRAY" => Some(Self::Grey),
            b"RGB " => Some(Self::Rgb),
            b"CMYK" => Some(Self::Cmyk),
            _ => None,
        }
    }

    fn colours(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb | Self::Ycc => 3,
            Self::Cmyk => 4,
        }
    }
}

impl Palette {
    pub(super) fn read(parts: &Parts, body: Range<u64>) -> Result<Self, Lack> {
        let [a, b, columns] = parts.array(body.start)?;
        let count = u64::from(u16::from_be_bytes([a, b]));
        if !(1..=1024).contains(&count) || columns == 0 {
            let what = format!("a palette of {count} entries and {columns} columns, up to 1024 expected");
            return Err(ImagingError::broken(what).into());
        }
        if usize::from(columns) > MOST_COMPONENTS {
            return Err(ImagingError::unsupported(format!("a palette of {columns} columns")).into());
        }
        let told = parts.slice(body.start + 3, columns.into())?;
        let bits: Vec<u8> = told.iter().map(|bits| bits.saturating_add(1)).collect();
        if let Some(bits) = bits.iter().find(|bits| !(1..=16).contains(*bits)) {
            return Err(ImagingError::unsupported(format!("a palette with samples of {bits} bits")).into());
        }
        let start = body.start + 3 + u64::from(columns);
        let row: u64 = bits.iter().map(|bits| u64::from(bits.div_ceil(8))).sum();
        let entries = start..start + count * row;
        if entries.end > body.end {
            return Err(ImagingError::broken("a palette that is longer than its box").into());
        }
        Ok(Self { entries, bits })
    }
}

impl Colour {
    pub(super) fn of(boxes: &Boxes, components: &[Component]) -> Result<Self, ImagingError> {
        let (Boxes { palette, mapping, channels, .. }, model) = (boxes, boxes.model);
        if let (None, Some(what)) = (model, &boxes.foreign) {
            return Err(ImagingError::unsupported(format!("JPEG 2000 with {what}")));
        }
        if channels.iter().any(|channel| channel.kind == MULTIPLIED_ALPHA) {
            return Err(ImagingError::unsupported("JPEG 2000 with colours that were multiplied by alpha"));
        }
        let sources = sources(palette.as_ref(), mapping.as_deref(), components.len())?;
        let alpha = channels.iter().find(|channel| channel.kind == ALPHA);
        let alpha = alpha.and_then(|channel| sources.get(usize::from(channel.number)).copied());
        let free = sources.len() - usize::from(alpha.is_some());
        // Channels of which nothing is said are no alpha: aerial photographs have a fourth colour.
        let colours = match model.map(Model::colours) {
            Some(colours) if colours <= free => colours,
            _ if free >= 3 => 3,
            _ => 1,
        };
        let place = |colour: usize| {
            let is = |channel: &&Channel| channel.kind == COLOUR && usize::from(channel.colour) == colour + 1;
            let told = channels.iter().find(is).map_or(colour, |channel| channel.number.into());
            let missing = || ImagingError::broken("a JPEG 2000 without one of its channels");
            sources.get(told).copied().ok_or_else(missing)
        };
        let mut order = (0..colours).map(place).collect::<Result<Vec<_>, _>>()?;
        order.extend(alpha.filter(|_| colours < 4));
        let channels = match (colours, alpha) {
            (1, None) => Channels::Grey,
            (1, Some(_)) => Channels::GreyAlpha,
            (3, None) => Channels::Rgb,
            (3, Some(_)) => Channels::Rgba,
            _ => Channels::Cmyk,
        };
        let is_ycc = model == Some(Model::Ycc) && colours == 3;
        Ok(Self { channels, order, is_ycc, palette: palette.clone() })
    }
}

/// Where channels come from: components, or columns of the palette.
fn sources(
    palette: Option<&Palette>,
    mapping: Option<&[u8]>,
    components: usize,
) -> Result<Vec<u8>, ImagingError> {
    let Some(palette) = palette else { return Ok((0..components as u8).collect()) };
    let columns = palette.bits.len() as u8;
    match mapping {
        None => Ok((0..columns).collect()),
        Some(mapping) => match mapping.iter().find(|column| **column >= columns) {
            None => Ok(mapping.to_vec()),
            Some(column) => Err(ImagingError::broken(format!("a palette without a column {column}"))),
        },
    }
}
