//! A page of a PDF: no more of it than is wanted, as large as is wanted.

use super::{Bands, Decoded};
use crate::iiif::image::geometry::Rect;
use crate::imaging::pdf::{self, Sheet};
use crate::imaging::plan::Plan;
use crate::imaging::{ImagingError, Master};

/// Pixels that are drawn at a time, where a page is drawn from top to bottom. Each time all of it is gone through, and
/// all its pictures are unpacked: a scanned page is drawn at once.
const AT_ONCE: u64 = 32_000_000;

/// The file and its tables, and what drawing the part takes.
pub(super) fn cost(sheet: &Sheet, full: u64, length: Option<u64>, plan: &Plan) -> u64 {
    let part = (plan.read.width, plan.read.height);
    held(length).saturating_add(sheet.weight.cost(part, area(plan.size), full))
}

/// The same for bands of the whole.
pub(super) fn cost_of_bands(sheet: &Sheet, size: (u32, u32), length: Option<u64>) -> u64 {
    let (part, full) = ((size.0, rows(size)), area(size));
    held(length).saturating_add(sheet.weight.cost(part, full, full))
}

pub(super) fn decode(
    mut master: Box<dyn Master>,
    sheet: &Sheet,
    plan: &Plan,
) -> Result<Decoded, ImagingError> {
    let file = pdf::read(&mut *master)?;
    let pixels = pdf::draw(&file, sheet.number, plan.size, plan.read)?;
    Ok(Decoded { pixels, origin: (plan.read.x, plan.read.y), profile: None })
}

/// The whole page from top to bottom.
pub(super) fn bands(
    mut master: Box<dyn Master>,
    sheet: &Sheet,
    size: (u32, u32),
) -> Result<Bands, ImagingError> {
    let (file, number, (width, height)) = (pdf::read(&mut *master)?, sheet.number, size);
    let rows = rows(size);
    let band = move |y| {
        let part = Rect { x: 0, y, width, height: rows.min(height - y) };
        pdf::draw(&file, number, size, part)
    };
    Ok(Bands { profile: None, rows: Box::new((0..height).step_by(rows as usize).map(band)) })
}

/// Rows that are drawn at a time.
fn rows((width, height): (u32, u32)) -> u32 {
    let rows = (AT_ONCE / u64::from(width)).max(1);
    u32::try_from(rows).map_or(height, |rows| rows.min(height))
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// A file of unknown length has the benefit of the doubt.
fn held(length: Option<u64>) -> u64 {
    pdf::cost_of_header(length.unwrap_or(0))
}
