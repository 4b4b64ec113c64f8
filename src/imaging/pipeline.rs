//! The way of a picture: read, scale, colours, upright, turn, quality, encode.

use std::ops::Range;

use super::decode::{self, Decoded};
use super::orient::Orientation;
use super::pixels::{Channels, Pixels};
use super::plan::Offer;
use super::pyramid::{self, Shape};
use super::{Header, Hints, ImagingError, Job, Kind, Limits, Master, colour, encode, plan, rotate, scale};
use crate::iiif::image::geometry::Rect;
use crate::iiif::image::levels;
use crate::iiif::image::quality::{Format, Tone};

/// Beside the pixels: rows, bands, strips and tables of encoders and of colour transforms.
const WORKSPACE: u64 = 2 << 20;

/// Bytes of memory that rendering will hold at most, if they are within the limits: those of the hungriest step, for
/// each step drops what it was given. For a header from [`super::header`] an upper bound; for one that was only
/// sniffed an estimate. What takes too long is refused too. The error tells a master that is too large for its job from an answer that would be too
/// large whatever the master.
pub fn admit(header: &Header, job: &Job, limits: &Limits) -> Result<u64, ImagingError> {
    let plan = plan_for(&header.offer(), header.orientation, job)?;
    let cost = admit_costs(cost_of_reading(header, &plan), decode::channels(header), job, limits)?;
    decode::admit(header, &plan)?;
    Ok(cost)
}

/// The same, once it is known what reading costs.
pub(super) fn admit_costs(
    reading: u64,
    channels: Channels,
    job: &Job,
    limits: &Limits,
) -> Result<u64, ImagingError> {
    let (width, height) = rotate::size(job.width, job.height, job.rotation.degrees);
    encode::fits(job.format, width, height)?;
    let writing = cost_of_writing(channels, job);
    if writing > limits.memory {
        let found = format!("{writing} bytes of memory for {width}x{height} pixels");
        return Err(ImagingError::OutputTooLarge { what: "the answer", found, limit: limits.memory });
    }
    if reading > limits.memory {
        return Err(ImagingError::too_much_memory(reading, limits.memory));
    }
    Ok(reading.max(writing))
}

/// Whether what info.json says of a master can be kept, as far as its header tells: tiles of its full size and the
/// sizes that are listed, from a pyramid with tiles of this side or at once. Of a JPEG 2000 the listed sizes suffice.
pub fn check(header: &Header, tile: u32, limits: &Limits) -> Result<(), ImagingError> {
    let (width, height) = (header.width, header.height);
    limits.pixels(width, height)?;
    // A file of unknown length is given the benefit of the doubt.
    let known = Header { length: header.length.or(Some(0)), ..header.clone() };
    let shape = Shape { width, height, tile };
    let tiled = || pyramid::admit(&known, &shape, limits).and(decode::admit_bands(&known));
    if width.max(height) > tile && tiled().is_ok() {
        return Ok(());
    }
    let (stored, offer) = (header.stored(), header.offer());
    let first = (stored.0.min(tile), stored.1.min(tile));
    // A JPEG 2000 is coarse before it is fine: of one whose full size is too much, the listed sizes are something.
    let first = (header.kind != Kind::Jp2).then_some((first, first));
    let listed =
        levels::listed((width, height), tile).map(|size| (stored, header.orientation.size(size.0, size.1)));
    for ((width, height), output) in listed.chain(first) {
        let plan = plan::plan(&offer, Rect { x: 0, y: 0, width, height }, output);
        let reading = cost_of_reading(&known, &plan);
        if reading > limits.memory {
            return Err(ImagingError::too_much_memory(reading, limits.memory));
        }
        decode::admit(&known, &plan)?;
    }
    Ok(())
}

/// Whether an answer can be made, as far as it can be told before the master is seen: whether its format holds it, and
/// the memory too, be the master transparent or not.
pub fn can_write(job: &Job, tone: Tone, limits: &Limits) -> bool {
    let channels = match tone {
        Tone::Colour => Channels::Rgba,
        Tone::Grey => Channels::GreyAlpha,
    };
    let (width, height) = rotate::size(job.width, job.height, job.rotation.degrees);
    encode::fits(job.format, width, height).is_ok() && cost_of_writing(channels, job) <= limits.memory
}

/// The most pixels that can be written as JPEG of this quality.
pub fn largest_jpeg(quality: u8, limits: &Limits) -> u64 {
    let per_pixel = encode::cost(Format::Jpg, quality, Channels::Rgba, 1);
    let turning = 2 * Channels::Rgba.count() as u64;
    (limits.memory.saturating_sub(WORKSPACE) / per_pixel.max(turning)).max(1)
}

/// Which bytes of a master [`render`] reads for a job, beside the [`tables`](super::tables) of its tiles, which have to
/// be at hand; `None` where that is no fair part of the file.
pub fn needs(
    master: &mut dyn Master,
    header: &Header,
    job: &Job,
) -> Result<Option<Vec<Range<u64>>>, ImagingError> {
    decode::needs(master, header, &plan_for(&header.offer(), header.orientation, job)?)
}

/// Makes a derivative of a master with this header.
pub fn render(
    master: Box<dyn Master>,
    header: &Header,
    job: &Job,
    limits: &Limits,
    hints: &Hints,
) -> Result<Vec<u8>, ImagingError> {
    admit(header, job, limits)?;
    let picture = scaled(master, header, job, limits, hints)?;
    finish(header.orientation.apply(picture), job)
}

/// What is left to do with a picture that is as large as asked for, upright, and in the colours of screens.
pub(super) fn finish(picture: Pixels, job: &Job) -> Result<Vec<u8>, ImagingError> {
    let picture = rotate::rotate(picture, job.rotation)?;
    encode::encode(colour::tone(picture, job.quality), job)
}

/// As large as asked for and in the colours of screens, but not yet upright.
fn scaled(
    master: Box<dyn Master>,
    header: &Header,
    job: &Job,
    limits: &Limits,
    hints: &Hints,
) -> Result<Pixels, ImagingError> {
    let plan = plan_for(&header.offer(), header.orientation, job)?;
    let Decoded { pixels, origin: (x, y), profile } = decode::decode(master, header, &plan, limits, hints)?;
    let cut = plan.exact.within(x, y, pixels.width(), pixels.height());
    let scaled = scale::scale(pixels, cut, plan.output)?;
    Ok(colour::to_srgb(scaled, profile.as_deref()))
}

/// What is held until the picture has the size that is asked for.
fn cost_of_reading(header: &Header, plan: &plan::Plan) -> u64 {
    let (channels, size) = (decode::channels(header), decode::size(header, plan));
    let scaling = scale::cost(channels, size, plan.exact, plan.output);
    decode::cost(header, plan).max(scaling + decode::profile(header) + WORKSPACE)
}

/// What is held from then on, the answer included.
fn cost_of_writing(channels: Channels, job: &Job) -> u64 {
    // Ink has become light, in place.
    let channels = if channels == Channels::Cmyk { Channels::Rgb } else { channels };
    let (width, height) = rotate::size(job.width, job.height, job.rotation.degrees);
    let turning = rotate::cost(channels, (job.width, job.height), job.rotation.degrees);
    let turned = rotate::channels(channels, job.rotation.degrees);
    let encoding = encode::cost(job.format, job.jpeg_quality, turned, u64::from(width) * u64::from(height));
    turning.max(encoding) + WORKSPACE
}

/// The plan in stored coordinates for a job in upright ones.
pub(super) fn plan_for(
    offer: &Offer,
    orientation: Orientation,
    job: &Job,
) -> Result<plan::Plan, ImagingError> {
    let crop = job.crop;
    let (stored_width, stored_height) = offer.levels[0];
    let (width, height) = orientation.size(stored_width, stored_height);
    let inside = |start: u32, length: u32, whole: u32| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= whole)
    };
    let within = inside(crop.x, crop.width, width) && inside(crop.y, crop.height, height);
    if !within || job.width == 0 || job.height == 0 {
        return Err(ImagingError::Outside(crop, width, height));
    }
    let crop = orientation.to_stored(crop, stored_width, stored_height);
    Ok(plan::plan(offer, crop, orientation.size(job.width, job.height)))
}
