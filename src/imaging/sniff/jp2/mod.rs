//! JPEG 2000: a codestream (*ISO 15444-1, Annex A*), and the boxes that a file may have around it (*Annex I*).

use std::ops::Range;

use super::{Header, Kind, Lack, Parts, Tone};
use crate::imaging::orient::Orientation;

mod axis;
mod boxes;
mod codestream;
mod colour;
pub(in crate::imaging) mod segment;

pub(in crate::imaging) use axis::{Axis, halved};
pub(in crate::imaging) use codestream::{Codestream, Component, MOST_CHANGES};
pub(in crate::imaging) use colour::{Colour, Palette};

/// What matters for reading the pixels of a JPEG 2000.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imaging) struct Layout {
    pub(in crate::imaging) codestream: Codestream,
    pub(in crate::imaging) colour: Colour,
    /// Where the ICC profile lies.
    pub(in crate::imaging) profile: Option<Range<u64>>,
}

/// The divisors that a picture may be shrunk by; smaller ones of it are hardly worth the name.
const SHRINKS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

impl Layout {
    /// Each decomposition halves the picture. Halves begin at even places, and so must the picture, or its halves
    /// would measure something else than other halves do. Numbers of colours cannot be averaged.
    pub(in crate::imaging) fn shrinks(&self) -> &'static [u32] {
        let Codestream { across, down, components, .. } = &self.codestream;
        let levels = components.iter().map(|component| u32::from(component.coding.levels)).min();
        let even = across.start.trailing_zeros().min(down.start.trailing_zeros());
        let halves = if self.colour.palette.is_some() { 0 } else { levels.unwrap_or(0).min(even) };
        &SHRINKS[..=SHRINKS.len().min(halves as usize + 1) - 1]
    }
}

pub(super) fn header(parts: &Parts) -> Result<Header, Lack> {
    let boxes = boxes::read(parts)?;
    let codestream = Codestream::read(parts, boxes.codestream.clone())?;
    let colour = Colour::of(&boxes, &codestream.components)?;
    let tone = if colour.channels.opaque().count() == 1 { Tone::Grey } else { Tone::Colour };
    let size = (codestream.across.length(), codestream.down.length());
    let layout = Layout { codestream, colour, profile: boxes.profile };
    Ok(Header::new(Kind::Jp2, size, tone, Orientation::default(), super::Layout::Jp2(layout)))
}
