//! The way of a picture: read, scale, colours, upright, turn, quality, encode.

use super::decode::{self, Decoded};
use super::pixels::{Channels, Pixels};
use super::{Header, ImagingError, Job, Limits, Master, colour, encode, plan, rotate, scale, sniff};

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
        let found = format!("{reading} bytes of memory");
        return Err(ImagingError::TooLarge { what: "the work on this picture", found, limit: limits.memory });
    }
    Ok(reading.max(writing))
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
    let scaling = scale::cost(channels, size, (plan.read.width, plan.read.height), plan.output);
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
    use crate::iiif::image::geometry::Rect;
    use crate::iiif::image::quality::{Format, Quality};
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
        Grey: Jpg 6, Png 2.5, Webp 7.25, Tif 2.5, Gif 4
        GreyAlpha: Jpg 6, Png 5, Webp 10.5, Tif 10, Gif 6
        Rgb: Jpg 9, Png 7.5, Webp 13.75, Tif 7.5, Gif 7
        Rgba: Jpg 9, Png 10, Webp 17, Tif 10, Gif 8
        Cmyk: Jpg 9, Png 7.5, Webp 13.75, Tif 7.5, Gif 7
        ");
    }
}
