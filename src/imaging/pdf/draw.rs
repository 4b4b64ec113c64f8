//! A part of a page as pixels.

use std::sync::Arc;

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_interpret::util::TransformExt;
use hayro::hayro_syntax::page::Page as Drawn;
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::peniko::ImageAlphaType;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};

use super::{find, guarded, open};
use crate::iiif::image::geometry::Rect;
use crate::imaging::ImagingError;
use crate::imaging::pixels::{Channels, Pixels};

/// Draws a part of a page that is drawn so large. It is on paper: white where nothing is printed.
pub(in crate::imaging) fn draw(
    file: &Arc<Vec<u8>>,
    page: u32,
    size: (u32, u32),
    part: Rect,
) -> Result<Pixels, ImagingError> {
    let too_large = |_| ImagingError::broken("a page of another size than it was");
    let width = u16::try_from(part.width).map_err(too_large)?;
    let height = u16::try_from(part.height).map_err(too_large)?;
    guarded(|| {
        let pdf = open(Arc::clone(file))?;
        let page = find(&pdf, page)?;
        let mut context = RenderContext::new(width, height);
        let place = Affine::translate((-f64::from(part.x), -f64::from(part.y))) * onto(page, size);
        let (interpreter, how) = (InterpreterSettings::default(), RenderSettings::default());
        render_into(page, &RenderCache::new(), &interpreter, &how, &mut context, place);
        context.flush();
        let mut paper = Pixmap::new(width, height);
        let rasterizer = RasterizerSettings { target_init: TargetInit::Clear(WHITE), ..Default::default() };
        context.render_with(&mut paper, &mut Resources::default(), rasterizer);
        drop(context);
        let drawn = paper.take_rgba8(ImageAlphaType::AlphaPremultiplied);
        Ok(Pixels::new(part.width, part.height, Channels::Rgba, drawn)?.on_white())
    })
}

/// From the page's own units, which count upwards, to pixels of a picture of this size.
pub(super) fn onto(page: &Drawn<'_>, (width, height): (u32, u32)) -> Affine {
    let (across, down) = page.render_dimensions();
    let scale = (f64::from(width) / f64::from(across), f64::from(height) / f64::from(down));
    Affine::scale_non_uniform(scale.0, scale.1) * page.initial_transform(true).to_kurbo()
}
