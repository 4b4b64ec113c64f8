//! Our own pyramids: one file of complete JPEG tiles of a master in all its halves, with an index at its end.
//!
//! Tiles are upright and in the colours of screens, so that a request which lies on their grid is answered with bytes
//! that lie in the file. All others are drawn from the tiles that they touch.

use std::io::{self, Write};
use std::iter;

use super::colour::ToScreen;
use super::decode::{self, Bands};
use super::orient::Orientation;
use super::pixels::Channels;
use super::{Header, Hints, ImagingError, Job, Limits, Master, pipeline, scale};
use build::Builder;

mod average;
mod band;
mod build;
mod index;
mod read;
mod shape;
#[cfg(fuzzing)]
pub use index::fuzz;
pub use index::{Entry, Spec};
pub use read::Pyramid;
pub(super) use shape::Grid;
pub use shape::{Shape, Side};

/// A file that is read by position.
pub trait Stored: Send + Sync {
    /// Bytes of the file.
    fn length(&self) -> io::Result<u64>;
    /// Fills `into` with what lies at `at`.
    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()>;
}

/// Bytes of memory that [`build()`] holds at most; an error where that is beyond the limits.
pub fn admit(header: &Header, shape: &Shape, limits: &Limits) -> Result<u64, ImagingError> {
    let channels = decode::channels(header);
    let bands = decode::cost_of_bands(header);
    let cost = bands + build::cost(shape, header.orientation, channels) + decode::profile(header);
    if cost > limits.memory { Err(ImagingError::too_much_memory(cost, limits.memory)) } else { Ok(cost) }
}

/// Draws the pyramid of a master with this header into `sink`. After each band of rows `breathe` is asked whether to go on.
pub fn build(
    master: Box<dyn Master>,
    header: &Header,
    spec: Spec,
    limits: &Limits,
    hints: &Hints,
    sink: &mut dyn Write,
    mut breathe: impl FnMut() -> Result<(), ImagingError>,
) -> Result<Pyramid, ImagingError> {
    if (header.width, header.height) != (spec.shape.width, spec.shape.height) {
        return Err(ImagingError::broken("it is no longer the size that it was"));
    }
    admit(header, &spec.shape, limits)?;
    let Bands { profile, mut rows } = decode::bands(master, header, limits, hints)?;
    let first = rows.next().ok_or_else(|| ImagingError::broken("a picture without rows"))??;
    let screen = ToScreen::new(profile.as_deref(), first.channels());
    let mut builder = Builder::new(spec, header.orientation, screen.channels(), sink);
    for band in iter::once(Ok(first)).chain(rows) {
        builder.take(screen.apply(band?))?;
        breathe()?;
    }
    builder.finish().map(Pyramid::of)
}

/// Whether a job can be drawn from the halves of a picture, as far as its shape tells.
pub fn can_draw(shape: &Shape, job: &Job, limits: &Limits) -> bool {
    let Ok(plan) = pipeline::plan_for(&shape.offer(), Orientation::default(), job) else { return false };
    let size = (plan.read.width, plan.read.height);
    scale::cost(Channels::Rgb, size, plan.exact, plan.output) <= limits.memory
}

/// Makes a derivative from a pyramid instead of its master.
pub fn redraw(
    pyramid: &Pyramid,
    file: &dyn Stored,
    job: &Job,
    limits: &Limits,
) -> Result<Vec<u8>, ImagingError> {
    admit_redrawing(pyramid, job, limits)?;
    let plan = pipeline::plan_for(&pyramid.offer(), Orientation::default(), job)?;
    let pixels = pyramid.draw(file, plan.shrink.trailing_zeros(), plan.read)?;
    let cut = plan.exact.within(plan.read.x, plan.read.y, plan.read.width, plan.read.height);
    pipeline::finish(scale::scale(pixels, cut, plan.output)?, job)
}

/// Bytes of memory that [`redraw`] holds at most; an error where that is beyond the limits.
pub fn admit_redrawing(pyramid: &Pyramid, job: &Job, limits: &Limits) -> Result<u64, ImagingError> {
    let plan = pipeline::plan_for(&pyramid.offer(), Orientation::default(), job)?;
    let size = (plan.read.width, plan.read.height);
    let scaling = scale::cost(pyramid.channels(), size, plan.exact, plan.output);
    let reading = pyramid.cost(plan.shrink.trailing_zeros(), plan.read).max(scaling);
    pipeline::admit_costs(reading, pyramid.channels(), job, limits)
}
