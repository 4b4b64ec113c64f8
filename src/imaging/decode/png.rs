//! PNG of every colour type and depth, as eight bits a sample.

use std::io::BufReader;
use std::iter;

use png::{ColorType, Decoder, DecodingError, Reader, Transformations};

use super::bands::{BAND, Bands};
use super::{Decoded, LONGEST_PROFILE};
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Plan;
use crate::imaging::{ImagingError, Limits, Master};

type Source = Reader<BufReader<Box<dyn Master>>>;

/// For rows, inflated data and metadata in front of the pixels.
const WORKSPACE: u64 = 1 << 20;

/// Only the rows of the crop are kept, unless the rows come interlaced.
pub(super) fn cost(channels: u8, interlaced: bool, full: u64, plan: &Plan) -> u64 {
    let read = u64::from(plan.read.width) * u64::from(plan.read.height);
    let row = u64::from(plan.size.0) * u64::from(channels) * 2;
    (if interlaced { full } else { read }) * u64::from(channels) + row * 4 + WORKSPACE + LONGEST_PROFILE
}

pub(super) fn decode(
    master: Box<dyn Master>,
    interlaced: bool,
    plan: &Plan,
    limits: &Limits,
) -> Result<Decoded, ImagingError> {
    let (mut reader, channels) = open(master, limits)?;
    let (pixels, origin) = if interlaced {
        (whole(&mut reader, channels, plan)?, (0, 0))
    } else {
        (part(&mut reader, channels, plan)?, (plan.read.x, plan.read.y))
    };
    Ok(Decoded { pixels, origin, profile: profile(&reader) })
}

/// Bytes that [`bands()`] holds at most.
pub(super) fn cost_of_bands(channels: u8, width: u32) -> u64 {
    u64::from(width) * u64::from(channels) * u64::from(BAND + 8) + WORKSPACE + LONGEST_PROFILE
}

/// The rows of a PNG that is not interlaced, from top to bottom.
pub(super) fn bands(
    master: Box<dyn Master>,
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<Bands, ImagingError> {
    let (mut reader, channels) = open(master, limits)?;
    let profile = profile(&reader);
    let mut y = 0;
    let mut band = move |rows: u32| {
        let mut data = Vec::with_capacity(width as usize * rows as usize * channels.count());
        for _ in 0..rows {
            data.extend_from_slice(next_row(&mut reader)?);
        }
        Pixels::new(width, rows, channels, data)
    };
    let rows = iter::from_fn(move || {
        let rows = BAND.min(height - y);
        y += rows;
        (rows > 0).then(|| band(rows))
    });
    Ok(Bands { profile, rows: Box::new(rows) })
}

fn open(mut master: Box<dyn Master>, limits: &Limits) -> Result<(Source, Channels), ImagingError> {
    master.rewind()?;
    let bytes = usize::try_from(limits.memory.min(WORKSPACE + LONGEST_PROFILE)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(BufReader::new(master), png::Limits { bytes });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    let reader = decoder.read_info().map_err(fault)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
        ColorType::Indexed => return Err(ImagingError::broken("a PNG without its palette")),
    };
    Ok((reader, channels))
}

fn profile(reader: &Source) -> Option<Vec<u8>> {
    reader.info().icc_profile.as_ref().map(|profile| profile.to_vec())
}

fn next_row(reader: &mut Source) -> Result<&[u8], ImagingError> {
    let row = reader.next_row().map_err(fault)?;
    row.map(|row| row.data()).ok_or_else(|| ImagingError::broken("the file ends early"))
}

fn whole(reader: &mut Source, channels: Channels, plan: &Plan) -> Result<Pixels, ImagingError> {
    let (width, height) = plan.size;
    let mut data = vec![0; width as usize * height as usize * channels.count()];
    if reader.output_buffer_size() != Some(data.len()) {
        return Err(ImagingError::broken("two sizes of one PNG"));
    }
    reader.next_frame(&mut data).map_err(fault)?;
    Pixels::new(width, height, channels, data)
}

fn part(reader: &mut Source, channels: Channels, plan: &Plan) -> Result<Pixels, ImagingError> {
    let read = plan.read;
    let from = read.x as usize * channels.count();
    let length = read.width as usize * channels.count();
    let mut data = Vec::with_capacity(length * read.height as usize);
    for y in 0..read.y + read.height {
        let row = next_row(reader)?;
        if y >= read.y {
            let part = row.get(from..from + length);
            data.extend_from_slice(part.ok_or_else(|| ImagingError::broken("two sizes of one PNG"))?);
        }
    }
    Pixels::new(read.width, read.height, channels, data)
}

fn fault(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(error) => error.into(),
        other => ImagingError::broken(other),
    }
}
