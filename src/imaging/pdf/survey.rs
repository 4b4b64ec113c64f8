//! What a page is going to draw, counted before it is drawn.
//!
//! The page is gone through as it is for drawing, but nothing is drawn. That tells the memory that drawing takes, and
//! ends what has no end: patterns within themselves, a few lines that call for one another a million times.

use std::collections::HashSet;
use std::mem;
use std::panic::resume_unwind;

use hayro::hayro_interpret::font::{Glyph, GlyphRun};
use hayro::hayro_interpret::pattern::{Pattern, TilingPattern};
use hayro::hayro_interpret::{
    BlendMode, CacheKey, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, Paint, SoftMask, StrokeProps, interpret_page,
};
use hayro::hayro_syntax::object::Stream;
use hayro::hayro_syntax::page::Page as Drawn;
use hayro::kurbo::{Affine, BezPath, PathEl, Point, Rect};

use super::claims;
use super::draw::onto;
use crate::imaging::ImagingError;

/// Nanoseconds that drawing a page may take, about: a large map takes ten seconds.
const LONGEST: u64 = 60_000_000_000;

/// What that is made of, as measured: pieces of lines and letters, and pixels of their outlines, of the areas that are
/// painted, and of pictures.
const PER_STEP: u64 = 2500;
const PER_OUTLINE: u64 = 100;
const PER_PICTURE: u64 = 60;
const PAINTED_AT_ONCE: u64 = 2;

/// Patterns in patterns, letters that are drawn of letters, masks that are masked: each is a call within a call.
const DEEPEST: u32 = 12;

/// What drawing a page takes, as far as it does not depend on how large the page is drawn. Areas and lengths are in
/// pixels of the page as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::imaging) struct Weight {
    /// Pieces of lines, and letters.
    steps: u64,
    /// How long the outlines of all that is drawn are.
    outlines: u64,
    /// The areas that are painted, together.
    painted: u64,
    /// Bytes that are held while the hungriest of its pictures is unpacked.
    hungriest: u64,
    /// Pixels of all pictures in it.
    pictures: u64,
    /// The part of the page that they are shown on.
    shown: u64,
    /// Pixels of patterns and shades of colour that are drawn before they are used.
    textures: u64,
    /// Masks, each as large as what is drawn.
    masks: u64,
}

impl Weight {
    /// Bytes that are held while a part of this size is drawn, of a page that has `area` pixels in all and is drawn
    /// with `drawn` of them. As measured, and more than that.
    pub(in crate::imaging) fn cost(&self, (width, height): (u32, u32), drawn: u64, area: u64) -> u64 {
        const STEP: u64 = 256;
        const OUTLINE: u64 = 14;
        /// Pixels that are painted with one byte of orders.
        const PAINTED: u64 = 40;
        /// What a mask is drawn of, beside the mask.
        const MASK: u64 = 5;
        let ratio = drawn as f64 / area.max(1) as f64;
        let scaled = |area: u64| (area as f64 * ratio).ceil() as u64;
        let (part, around) =
            (u64::from(width) * u64::from(height), 2 * (u64::from(width) + u64::from(height)));
        // Both sides of a line through all of the part.
        let outlines = (self.outlines as f64 * ratio.sqrt()).ceil() as u64;
        let outlines = outlines.min(self.steps.saturating_mul(around));
        let painted = scaled(self.painted).min(self.steps.saturating_mul(part));
        let masks = if self.masks == 0 { 0 } else { self.masks.saturating_add(MASK).saturating_mul(part) };
        let held = [
            part.saturating_mul(4),
            self.steps.saturating_mul(STEP),
            outlines.saturating_mul(OUTLINE),
            painted / PAINTED,
            self.hungriest,
            self.pictures.min(scaled(self.shown)).saturating_mul(4),
            scaled(self.textures).saturating_mul(4),
            masks,
        ];
        held.into_iter().fold(0, u64::saturating_add)
    }
}

/// Goes through a page that has this size in pixels.
pub(super) fn weigh(page: &Drawn<'_>, size: (u32, u32)) -> Result<Weight, ImagingError> {
    let paper = Rect::new(0.0, 0.0, size.0.into(), size.1.into());
    let (cache, settings) = (InterpreterCache::new(), InterpreterSettings::default());
    let mut context = Context::new(onto(page, size), paper, &cache, page.xref(), settings);
    let mut survey = Survey { paper, times: 1, ..Survey::default() };
    interpret_page(page, &mut context, &mut survey);
    Ok(survey.weight)
}

/// Counts what it is told to draw.
#[derive(Default)]
struct Survey {
    weight: Weight,
    paper: Rect,
    /// Nanoseconds, about.
    work: u64,
    /// How often what is counted now will be drawn.
    times: u64,
    depth: u32,
    /// Groups that are open: each is laid upon the one below.
    groups: u64,
    /// Masks that were met: each is drawn once.
    masks: HashSet<u128>,
}

impl Survey {
    fn step(&mut self, pieces: u64) {
        add(&mut self.weight.steps, pieces.saturating_mul(self.times));
        self.work(pieces.saturating_mul(PER_STEP));
    }

    fn work(&mut self, nanoseconds: u64) {
        add(&mut self.work, nanoseconds.saturating_mul(self.times));
        if self.work > LONGEST {
            let seconds = LONGEST / 1_000_000_000;
            stop(format!("more than {seconds} seconds of work"), seconds, "for the page as a whole");
        }
    }

    /// Something that is drawn of things drawn for it alone.
    fn within(&mut self, times: u64, inside: impl FnOnce(&mut Self)) {
        if self.depth >= DEEPEST {
            let found = format!("{} patterns, letters or masks within each other", self.depth + 1);
            stop(found, DEEPEST.into(), "none is drawn so");
        }
        let (before, masks) = (self.times, mem::take(&mut self.masks));
        (self.times, self.depth) = (before.saturating_mul(times), self.depth + 1);
        inside(self);
        (self.times, self.depth, self.masks) = (before, self.depth - 1, masks);
    }

    fn paint(&mut self, pixels: f64) {
        let pixels = (pixels as u64).saturating_mul(1 + self.groups);
        add(&mut self.weight.painted, pixels.saturating_mul(self.times));
        self.work(pixels / PAINTED_AT_ONCE);
    }

    fn outline(&mut self, pixels: f64) {
        let pixels = pixels as u64;
        add(&mut self.weight.outlines, pixels.saturating_mul(self.times));
        self.work(pixels.saturating_mul(PER_OUTLINE));
    }

    fn path(&mut self, path: &BezPath, props: &DrawProps<'_>, mode: &DrawMode) {
        self.step(path.elements().len() as u64);
        self.mask(props.soft_mask.as_ref());
        let (fill, stroke) = match mode {
            DrawMode::Fill(_) => (true, None),
            DrawMode::Stroke(stroke) => (false, Some(stroke)),
            DrawMode::FillAndStroke(_, stroke) => (true, Some(stroke)),
            DrawMode::Invisible => return,
        };
        if let Some(stroke) = stroke {
            self.step(dashes(path, stroke));
        }
        let [a, b, c, d, ..] = props.transform.as_coeffs();
        let scale = a.hypot(b).max(c.hypot(d));
        let width = stroke.map_or(0.0, |stroke| f64::from(stroke.line_width) * scale + 2.0);
        let bounds = props.transform.transform_rect_bbox(path.control_box()).inflate(width, width);
        if !bounds.overlaps(self.paper) {
            return;
        }
        let seen = bounds.intersect(self.paper);
        let across = self.paper.width() + self.paper.height();
        let lines = lines(path).map(|(from, to)| (props.transform * to - props.transform * from).hypot());
        let length: f64 = lines.map(|length| length.min(across)).sum();
        if fill {
            self.outline(length);
            self.paint(seen.area());
        }
        if stroke.is_some() {
            self.outline(2.0 * length);
            self.paint((length * width).min(seen.area()));
        }
        self.pattern(&props.paint, seen, !fill);
    }

    fn pattern(&mut self, paint: &Paint<'_>, area: Rect, is_stroke: bool) {
        let Paint::Pattern(pattern) = paint else { return };
        match &**pattern {
            Pattern::Shading(_) => self.texture((area.width() + 1.0) * (area.height() + 1.0)),
            Pattern::Tiling(tiling) => self.tiling(tiling, area, is_stroke),
        }
    }

    /// Drawn pixel by pixel.
    fn texture(&mut self, pixels: f64) {
        let pixels = pixels as u64;
        add(&mut self.weight.textures, pixels.saturating_mul(self.times));
        self.work(pixels.saturating_mul(PER_PICTURE));
    }

    fn tiling(&mut self, tiling: &TilingPattern<'_>, area: Rect, is_stroke: bool) {
        let [a, b, c, d, ..] = tiling.matrix.as_coeffs();
        let area = tiling.matrix.inverse().transform_rect_bbox(area);
        let across =
            Tiles::new(a.hypot(b), (tiling.bbox.x0, tiling.bbox.x1), tiling.x_step, (area.x0, area.x1));
        let down =
            Tiles::new(c.hypot(d), (tiling.bbox.y0, tiling.bbox.y1), tiling.y_step, (area.y0, area.y1));
        self.texture(across.pixels * down.pixels);
        let copies = (across.copies * down.copies).max(1.0) as u64;
        self.step(copies);
        let place = tiling.matrix;
        self.within(copies, |inner| {
            tiling.interpret(inner, place, is_stroke);
        });
    }

    fn mask(&mut self, mask: Option<&SoftMask<'_>>) {
        let Some(mask) = mask.filter(|mask| self.masks.insert(mask.cache_key())) else { return };
        add(&mut self.weight.masks, self.times);
        self.texture(self.paper.area());
        self.within(1, |inner| mask.interpret(inner));
    }

    fn picture(&mut self, stream: &Stream<'_>, (width, height): (u32, u32), place: Affine) {
        let bounds = place.transform_rect_bbox(Rect::new(0.0, 0.0, width.into(), height.into()));
        if !bounds.overlaps(self.paper) {
            return;
        }
        self.work(claims::searched(stream));
        let pixels = claims::pixels(stream, (width, height));
        self.weight.hungriest = self.weight.hungriest.max(claims::bytes(stream, pixels));
        add(&mut self.weight.pictures, pixels.saturating_mul(self.times));
        self.work(pixels.saturating_mul(PER_PICTURE));
        self.paint(bounds.intersect(self.paper).area());
        // It is scaled as a whole, what is seen of it and what is not.
        let [a, b, c, d, ..] = place.as_coeffs();
        let shown = (a.hypot(b) * f64::from(width) + 1.0) * (c.hypot(d) * f64::from(height) + 1.0);
        add(&mut self.weight.shown, (shown as u64).saturating_mul(self.times));
    }
}

impl<'a> Device<'a> for Survey {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        self.path(path, &props, mode);
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        self.step(clip.path.elements().len() as u64);
        let bounds = clip.path.control_box().intersect(self.paper);
        self.outline(2.0 * (bounds.width() + bounds.height()).max(0.0));
    }

    fn push_transparency_group(&mut self, _: f32, mask: Option<SoftMask<'a>>, _: BlendMode) {
        self.step(1);
        self.mask(mask.as_ref());
        self.groups += 1;
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        /// How long the outline of a letter is, in its heights.
        const OUTLINE: f64 = 8.0;
        /// A letter is drawn on a square of so many units.
        const EM: f64 = 1000.0;
        self.mask(props.soft_mask.as_ref());
        self.pattern(&props.paint, self.paper, false);
        for glyph in run.glyphs() {
            self.step(1);
            match &**glyph {
                Glyph::Outline(_) => {
                    let [_, _, c, d, ..] = (props.transform * glyph.transform()).as_coeffs();
                    let height = (c.hypot(d) * EM).min(self.paper.width() + self.paper.height());
                    self.outline(OUTLINE * height);
                    self.paint(height * height);
                }
                Glyph::Type3(drawn) if !matches!(mode, DrawMode::Invisible) => self.within(1, |inner| {
                    drawn.interpret(inner, props.transform, glyph.transform(), &props.paint);
                }),
                Glyph::Type3(_) => {}
            }
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.step(1);
        self.mask(props.soft_mask.as_ref());
        let size = (image.width(), image.height());
        match &image {
            Image::Stencil(stencil) => self.picture(stencil.stream(), size, props.transform),
            Image::Raster(raster) => self.picture(raster.stream(), size, props.transform),
        }
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {
        self.groups = self.groups.saturating_sub(1);
    }
}

/// How a pattern repeats along one axis, as the renderer lays it.
struct Tiles {
    pixels: f64,
    copies: f64,
}

impl Tiles {
    fn new(scale: f64, (start, end): (f64, f64), step: f32, (from, to): (f64, f64)) -> Self {
        let (step, width, seen) = (f64::from(step.abs()), end - start, (to - from).max(0.0));
        let scale = (step * scale).round().max(1.0) / step;
        let (pixels, copies) = match seen >= step {
            true => ((step * scale).round(), width / step),
            false => (seen * scale, (seen + width) / step),
        };
        Self { pixels: pixels.max(1.0), copies: copies.ceil() + 1.0 }
    }
}

/// The straight lines that a path is made of, and those that its curves are drawn by.
fn lines(path: &BezPath) -> impl Iterator<Item = (Point, Point)> {
    let mut last = Point::ZERO;
    path.elements().iter().filter_map(move |element| {
        let (from, end) = (last, element.end_point()?);
        last = end;
        match element {
            PathEl::MoveTo(_) | PathEl::ClosePath => None,
            PathEl::LineTo(_) => Some((from, end)),
            PathEl::QuadTo(by, _) | PathEl::CurveTo(by, _, _) => Some((from, end + (*by - from))),
        }
    })
}

/// How many dashes a path is drawn with.
fn dashes(path: &BezPath, stroke: &StrokeProps) -> u64 {
    let period: f64 = stroke.dash_array.iter().map(|dash| f64::from(dash.abs())).sum();
    if stroke.dash_array.is_empty() {
        return 0;
    }
    let length: f64 = lines(path).map(|(from, to)| (to - from).hypot()).sum();
    let dashes = length / period * stroke.dash_array.len() as f64;
    if dashes.is_finite() { dashes as u64 } else { u64::MAX }
}

fn add(to: &mut u64, more: u64) {
    *to = to.saturating_add(more);
}

/// Ends the survey. The renderer has no other way out than to be unwound: nobody asks its devices how they are.
fn stop(found: String, limit: u64, rule: &'static str) -> ! {
    resume_unwind(Box::new(ImagingError::TooLarge { what: "the page", found, limit, rule }))
}
