//! JPEG: no more than is wanted, where it comes in rows; else the whole frame, shrunk where that is enough.

use std::io::{Cursor, Read, SeekFrom};
use std::iter;

use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Bands, Decoded, LONGEST_PROFILE};
use crate::iiif::image::geometry::Rect;
use crate::imaging::jpeg::{self, Colour, Jpeg, Notes, RowReader, Scale, marker, segment};
use crate::imaging::pixels::{Channels, Pixels};
use crate::imaging::plan::Plan;
use crate::imaging::sniff::jpeg::Frame;
use crate::imaging::{Hints, ImagingError, Master};

mod scans;

pub(super) use scans::seal;

/// Metadata beside the pixels, previews included.
const METADATA: u64 = 16 << 20;

/// The longest file that a frame of this many pixels may come in: noise at the best quality takes
/// less than two bytes a sample.
fn longest(frame: Frame, full: u64) -> u64 {
    full * u64::from(frame.components) * 2 + METADATA
}

/// Where it comes in rows, these and the part that is wanted. Else the file as it is (where its length is not known, a
/// quarter of the longest, which photographs never reach); coefficients; planes and pixels at the scale of the plan.
pub(super) fn cost(frame: Frame, size: (u32, u32), length: Option<u64>, plan: &Plan) -> u64 {
    if frame.comes_in_rows() {
        let area = u64::from(plan.read.width) * u64::from(plan.read.height);
        return area * u64::from(frame.components) + cost_of_rows(frame, size, length, plan.read.width);
    }
    let longest = longest(frame, u64::from(size.0) * u64::from(size.1));
    let file = length.unwrap_or(longest / 4).min(longest);
    let shrinks = shrinks(frame, plan);
    let samples = frame.samples(size);
    // Of all scans, if there are several. The decoder that shrinks hands them to threads of its own, whether or not
    // these have done with those before.
    let held = u64::from(frame.progressive) + u64::from(shrinks);
    let planes = if shrinks { samples / u64::from(plan.shrink).pow(2) } else { 0 };
    let area = u64::from(plan.size.0) * u64::from(plan.size.1);
    let file = file + cost_of_profile(length);
    file + 2 * samples * held + planes + area * u64::from(frame.components) + (1 << 20)
}

/// Whether the decoder is used that shrinks. It also hands out four components as they are.
fn shrinks(frame: Frame, plan: &Plan) -> bool {
    plan.shrink > 1 || frame.components == 4 || !is_usual(frame)
}

/// Whether it is one of the JPEGs that everybody writes: colours are as fine as the light or half as fine, and all
/// are in one scan unless it is progressive. The faster decoder mistakes most others.
pub(super) fn is_usual(frame: Frame) -> bool {
    let light = match frame.components {
        1 => true,
        3 => matches!(frame.sampling(0), (1 | 2, 1 | 2)),
        _ => frame.sampling(0) == (1, 1),
    };
    let mut others = (1..frame.components.into()).map(|of| frame.sampling(of));
    let alike = others.all(|sampling| sampling == (1, 1));
    light && alike && !frame.extended && (frame.progressive || !frame.several_scans)
}

pub(super) fn decode(
    master: Box<dyn Master>,
    size: (u32, u32),
    frame: Frame,
    plan: &Plan,
    hints: &Hints,
) -> Result<Decoded, ImagingError> {
    if frame.comes_in_rows() {
        return part(master, plan, hints);
    }
    let full = u64::from(size.0) * u64::from(size.1);
    let mut bytes = read(master, longest(frame, full))?;
    seal(&mut bytes)?;
    let (colour, profile) = metadata(&bytes)?;
    let (pixels, expected) = if shrinks(frame, plan) {
        (shrunk(&bytes, size, plan, colour)?, plan.size)
    } else {
        (whole(&bytes, frame)?, size)
    };
    if (pixels.width(), pixels.height()) != expected {
        return Err(ImagingError::broken("two sizes of one JPEG"));
    }
    Ok(Decoded { pixels, origin: (0, 0), profile })
}

/// Bytes that [`bands`] holds at most.
pub(super) fn cost_of_bands(frame: Frame, size: (u32, u32), length: Option<u64>) -> u64 {
    /// Rows that come at a time, at most.
    const ROWS: u64 = 32;
    cost_of_rows(frame, size, length, size.0) + u64::from(size.0) * u64::from(frame.components) * ROWS
}

/// The whole picture from top to bottom.
pub(super) fn bands(master: Box<dyn Master>, plan: &Plan, hints: &Hints) -> Result<Bands, ImagingError> {
    let mut jpeg = Jpeg::open(master)?;
    let (profile, channels) = (jpeg.take_profile(), jpeg.channels());
    let mut reader = jpeg.rows(Scale::Full, plan.read)?;
    let (width, hints) = (plan.read.width, hints.clone());
    let mut next = move || {
        let mut rows = Vec::new();
        let height = reader.next_rows(&mut rows)?;
        if height.is_none() {
            hints.keep(reader.checkpoints());
        }
        height.map(|height| Pixels::new(width, height, channels, rows)).transpose()
    };
    Ok(Bands { profile, rows: Box::new(iter::from_fn(move || next().transpose())) })
}

fn cost_of_rows(frame: Frame, size: (u32, u32), length: Option<u64>, across: u32) -> u64 {
    jpeg::cost(&frame, size, across) + cost_of_profile(length)
}

/// In pieces and put together.
fn cost_of_profile(length: Option<u64>) -> u64 {
    2 * length.unwrap_or(LONGEST_PROFILE).min(LONGEST_PROFILE)
}

/// What the plan wants, and no more. A file that is cut short gives nothing of what is left of it.
fn part(master: Box<dyn Master>, plan: &Plan, hints: &Hints) -> Result<Decoded, ImagingError> {
    let mut jpeg = Jpeg::open(master)?;
    let (profile, channels, scale) = (jpeg.take_profile(), jpeg.channels(), scale(plan));
    if jpeg.size(scale) != plan.size {
        return Err(ImagingError::broken("two sizes of one JPEG"));
    }
    let Rect { x, y, width, height } = plan.read;
    // Whoever reads the last pixel sees by himself whether it is there.
    let ends = (x + width, y + height) == plan.size;
    let jpeg = if ends { hints.help(jpeg) } else { hints.walk(jpeg)? };
    let mut reader = jpeg.rows(scale, plan.read)?;
    let pixels = all(&mut reader, plan.read, channels)?;
    hints.keep(reader.checkpoints());
    Ok(Decoded { pixels, origin: (x, y), profile })
}

fn all(reader: &mut RowReader, part: Rect, channels: Channels) -> Result<Pixels, ImagingError> {
    let mut data = Vec::with_capacity(part.width as usize * part.height as usize * channels.count());
    while reader.next_rows(&mut data)?.is_some() {}
    Pixels::new(part.width, part.height, channels, data)
}

/// A part of a picture that is read at once: a tile, of which nothing will be asked again.
pub(in crate::imaging) fn tile(jpeg: Jpeg, part: Rect) -> Result<Pixels, ImagingError> {
    let channels = jpeg.channels();
    all(&mut jpeg.rows(Scale::Full, part)?, part, channels)
}

fn scale(plan: &Plan) -> Scale {
    match plan.shrink {
        1 => Scale::Full,
        2 => Scale::Half,
        4 => Scale::Quarter,
        _ => Scale::Eighth,
    }
}

/// All of it, with room for what [`seal`] adds: a list that grows takes twice as much as it has.
fn read(mut master: Box<dyn Master>, longest: u64) -> Result<Vec<u8>, ImagingError> {
    let length = master.seek(SeekFrom::End(0))?;
    if length > longest {
        return Err(ImagingError::broken(format!("more than {longest} bytes for so small a JPEG")));
    }
    master.rewind()?;
    let mut bytes = Vec::with_capacity(length as usize + scans::SEALS);
    master.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the segments in front of the pixels tell: what its components stand for, and its profile.
fn metadata(bytes: &[u8]) -> Result<(Colour, Option<Vec<u8>>), ImagingError> {
    let (mut notes, mut names, mut at) = (Notes::default(), Vec::new(), 0);
    loop {
        let segment = segment(bytes, at)?;
        match segment.marker {
            marker::START_OF_SCAN => return Ok((notes.colour(&names), notes.profile())),
            marker::BASELINE..=marker::PROGRESSIVE => names = Frame::names(segment.body),
            marker => notes.take(marker, segment.body),
        }
        at = segment.end;
    }
}

/// The whole frame, grey or in colour.
fn whole(bytes: &[u8], frame: Frame) -> Result<Pixels, ImagingError> {
    let channels = if frame.components == 1 { Channels::Grey } else { Channels::Rgb };
    let space = if channels == Channels::Grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default()
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_max_scans(scans::MOST_SCANS)
        // Forgiving, it would paint what is missing in grey.
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let data = decoder.decode().map_err(|error| ImagingError::broken(words(error)))?;
    let (width, height) =
        decoder.dimensions().ok_or_else(|| ImagingError::broken("a JPEG without a size"))?;
    Pixels::new(width as u32, height as u32, channels, data)
}

fn shrunk(bytes: &[u8], size: (u32, u32), plan: &Plan, colour: Colour) -> Result<Pixels, ImagingError> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_color_transform(match colour {
        Colour::Grey => ColorTransform::Grayscale,
        Colour::YCbCr => ColorTransform::YCbCr,
        Colour::Rgb => ColorTransform::RGB,
        Colour::Cmyk | Colour::InvertedCmyk => ColorTransform::CMYK,
        Colour::Ycck => ColorTransform::YCCK,
    });
    let side = |side: u32| side.div_ceil(plan.shrink) as u16;
    let (width, height) = decoder.scale(side(size.0), side(size.1)).map_err(fault)?;
    let info = decoder.info().ok_or_else(|| ImagingError::broken("a JPEG without a frame"))?;
    let mut data = decoder.decode().map_err(fault)?;
    if colour == Colour::Cmyk {
        // The decoder takes all ink for inverted.
        data.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    let channels = match info.pixel_format {
        PixelFormat::L8 => Channels::Grey,
        PixelFormat::RGB24 => Channels::Rgb,
        PixelFormat::CMYK32 => Channels::Cmyk,
        PixelFormat::L16 => return Err(ImagingError::unsupported("JPEG with 16 bits a sample")),
    };
    Pixels::new(width.into(), height.into(), channels, data)
}

/// What the faster decoder says, without the quotation marks that it puts around some of it.
pub(super) fn words(error: DecodeErrors) -> String {
    error.to_string().replace('"', "")
}

fn fault(error: jpeg_decoder::Error) -> ImagingError {
    match error {
        jpeg_decoder::Error::Io(error) => error.into(),
        jpeg_decoder::Error::Unsupported(_) => ImagingError::unsupported("a JPEG of this kind"),
        other => ImagingError::broken(other),
    }
}
