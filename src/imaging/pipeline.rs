//! The way of a picture: read, scale, colours, upright, turn, quality, encode.

use super::decode::{self, Decoded};
use super::pixels::{Channels, Pixels};
use super::{Header, ImagingError, Job, Limits, Master, colour, encode, plan, rotate, scale, sniff};
use crate::iiif::image::geometry::Rect;
use crate::iiif::image::quality::{Format, Tone};

/// Beside the pixels: rows, bands, strips and tables of encoders and of colour transforms.
const WORKSPACE: u64 = 2 << 20;

/// Bytes of memory that rendering will hold at most, if they are within the limits: those of the hungriest step, for
/// each step drops what it was given. For a header from [`super::header`] an upper bound; for one that was only
/// sniffed an estimate. The error tells a master that is too large for its job from an answer that would be too
/// large whatever the master.
pub fn admit(header: &Header, job: &Job, limits: &Limits) -> Result<u64, ImagingError> {
    let plan = plan_for(header, job)?;
    let (width, height) = rotate::size(job.width, job.height, job.rotation.degrees);
    encode::fits(job.format, width, height)?;
    let writing = cost_of_writing(decode::channels(header), job);
    if writing > limits.memory {
        let found = format!("{writing} bytes of memory for {width}x{height} pixels");
        return Err(ImagingError::OutputTooLarge { what: "the answer", found, limit: limits.memory });
    }
    let reading = cost_of_reading(header, &plan);
    if reading > limits.memory {
        return Err(ImagingError::too_much_memory(reading, limits.memory));
    }
    Ok(reading.max(writing))
}

/// Whether a master can be drawn at all, as far as its header tells: tiles of its full size are within the limits.
pub fn check(header: &Header, limits: &Limits) -> Result<(), ImagingError> {
    limits.pixels(header.width, header.height)?;
    let one = Rect { x: 0, y: 0, width: 1, height: 1 };
    let plan = plan::plan(&header.offer(), one, (1, 1));
    // A file of unknown length is given the benefit of the doubt.
    let known = Header { length: header.length.or(Some(0)), ..header.clone() };
    let reading = cost_of_reading(&known, &plan);
    if reading > limits.memory { Err(ImagingError::too_much_memory(reading, limits.memory)) } else { Ok(()) }
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

/// Makes a derivative.
pub fn render(mut master: Box<dyn Master>, job: &Job, limits: &Limits) -> Result<Vec<u8>, ImagingError> {
    let header = sniff::header(&mut *master, limits)?;
    admit(&header, job, limits)?;
    let picture = scaled(master, &header, job, limits)?;
    let picture = rotate::rotate(header.orientation.apply(picture), job.rotation)?;
    encode::encode(colour::tone(picture, job.quality), job)
}

/// As large as asked for and in the colours of screens, but not yet upright.
fn scaled(
    master: Box<dyn Master>,
    header: &Header,
    job: &Job,
    limits: &Limits,
) -> Result<Pixels, ImagingError> {
    let plan = plan_for(header, job)?;
    let Decoded { pixels, origin: (x, y), profile } = decode::decode(master, header, &plan, limits)?;
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
fn plan_for(header: &Header, job: &Job) -> Result<plan::Plan, ImagingError> {
    let crop = job.crop;
    let inside = |start: u32, length: u32, whole: u32| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= whole)
    };
    let within = inside(crop.x, crop.width, header.width) && inside(crop.y, crop.height, header.height);
    if !within || job.width == 0 || job.height == 0 {
        return Err(ImagingError::Outside(crop, header.width, header.height));
    }
    let (width, height) = header.stored();
    let crop = header.orientation.to_stored(crop, width, height);
    Ok(plan::plan(&header.offer(), crop, header.orientation.size(job.width, job.height)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iiif::image::quality::Quality;
    use crate::iiif::image::rotation::Rotation;

    const CHANNELS: [Channels; 5] =
        [Channels::Grey, Channels::GreyAlpha, Channels::Rgb, Channels::Rgba, Channels::Cmyk];
    const FORMATS: [Format; 5] = [Format::Jpg, Format::Png, Format::Webp, Format::Tif, Format::Gif];

    fn job(format: Format, side: u32, degrees: f64) -> Job {
        Job {
            crop: Rect { x: 0, y: 0, width: 1, height: 1 },
            width: side,
            height: side,
            rotation: Rotation { mirror: false, degrees },
            quality: Quality::Default,
            format,
            jpeg_quality: 100,
        }
    }

    #[test]
    fn bytes_per_pixel_of_the_answer() {
        const SIDE: u32 = 10_000;
        let line = |channels: Channels| {
            let bytes = FORMATS.map(|format| {
                let cost = cost_of_writing(channels, &job(format, SIDE, 0.0)) - WORKSPACE;
                format!("{format:?} {}", cost as f64 / f64::from(SIDE * SIDE))
            });
            format!("{channels:?}: {}", bytes.join(", "))
        };
        insta::assert_snapshot!(CHANNELS.map(line).join("\n"), @r"
        Grey: Jpg 6, Png 2.00390625, Webp 7.25, Tif 2.00390625, Gif 4
        GreyAlpha: Jpg 6, Png 4.00390625, Webp 10.5, Tif 8.00390625, Gif 4
        Rgb: Jpg 9, Png 6.00390625, Webp 13.75, Tif 6.00390625, Gif 6
        Rgba: Jpg 9, Png 8.00390625, Webp 17, Tif 8.00390625, Gif 8
        Cmyk: Jpg 9, Png 6.00390625, Webp 13.75, Tif 6.00390625, Gif 6
        ");
    }
}
