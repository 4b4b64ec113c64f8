//! The way of a picture: read, scale, colours, upright, turn, quality, encode.

use super::{Header, ImagingError, Job, Limits, Master, colour, decode, encode, plan, rotate, scale, sniff};

/// Bytes of memory that rendering will hold at most. For a header from [`super::header`] an upper
/// bound; for one that was only sniffed an estimate.
pub fn cost(header: &Header, job: &Job) -> u64 {
    let Ok(plan) = plan_for(header, job) else { return 0 };
    let channels = decode::channels(header);
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let scaling = scale::cost(channels, (plan.read.width, plan.read.height), plan.output);
    // At the end two pictures are held, of which one is being made from the other, and the answer;
    // any of them may have gained an alpha channel.
    let turned = rotate::size(job.width, job.height, job.rotation.degrees);
    let at_the_end = 4 * (area(plan.output) + 3 * area(turned));
    decode::cost(header, &plan) + scaling + at_the_end
}

/// Makes a derivative.
pub fn render(mut master: Box<dyn Master>, job: &Job, limits: &Limits) -> Result<Vec<u8>, ImagingError> {
    let header = sniff::header(&mut *master, limits)?;
    let plan = plan_for(&header, job)?;
    limits.bytes(cost(&header, job))?;
    let decoded = decode::decode(master, &header, &plan, limits)?;
    let (x, y) = decoded.origin;
    let cut = plan.exact.within(x, y, decoded.pixels.width(), decoded.pixels.height());
    let scaled = scale::scale(&decoded.pixels, cut, plan.output)?;
    drop(decoded.pixels);
    let picture = colour::to_srgb(scaled, decoded.profile.as_deref());
    let picture = rotate::rotate(header.orientation.apply(picture), job.rotation)?;
    encode::encode(colour::tone(picture, job.quality), job)
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
