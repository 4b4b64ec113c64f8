//! PDF: a file of pages, each of which is a picture of its own. Drawn by hayro, within limits that are kept here.
//!
//! hayro trusts a file to ask for what a machine has: it takes whatever memory a page wants, as long as it wants, and
//! nobody can stop it on its way. So a page is looked at before it is drawn: what its streams hold when they are
//! unpacked ([`inflate`]), and what it is going to draw, step by step ([`survey`]).

use std::any::Any;
use std::io::{Read, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hayro::hayro_syntax::page::Page as Drawn;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::sniff::{Kind, Layout};
use super::{Header, ImagingError, Limits, Master};
use crate::iiif::image::quality::Tone;
pub(super) use draw::draw;
pub(super) use survey::Weight;

mod claims;
mod draw;
mod inflate;
mod labels;
mod survey;

/// The longest file that is read: it is held as a whole.
const LONGEST: u64 = 512 << 20;

/// The most pages of a file.
const MOST_PAGES: usize = 10_000;

/// The longest side of a page in pixels: the renderer counts no further.
const LONGEST_SIDE: u32 = 65_535;

/// So far into a file its mark may stand, as readers have it.
pub const MARK_WITHIN: u64 = 1024;

/// What is drawn of a PDF, and how large. Other files have no pages: they are drawn as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Counted from 1; the first where none is named.
    pub number: Option<u32>,
    /// Pixels to an inch of paper.
    pub dpi: u32,
}

impl Header {
    /// Pixels to an inch of a page, if it is one.
    pub fn dpi(&self) -> Option<u32> {
        match &self.layout {
            Layout::Pdf(sheet) => Some(sheet.dpi),
            _ => None,
        }
    }
}

impl Page {
    /// Pixels to an inch, where nobody says otherwise: what libraries scan at.
    pub const DPI: u32 = 300;
}

impl Default for Page {
    fn default() -> Self {
        Self { number: None, dpi: Self::DPI }
    }
}

/// What is known of a page before it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    /// Counted from 1.
    pub(super) number: u32,
    pub(super) dpi: u32,
    pub(super) weight: Weight,
}

/// A page, as a list of all tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folio {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// What the file calls the page, e.g. `xii`.
    pub label: Option<String>,
}

/// Whether these are the first bytes of a PDF.
pub fn is_pdf(beginning: &[u8]) -> bool {
    let beginning = &beginning[..beginning.len().min(MARK_WITHIN as usize)];
    memchr::memmem::find(beginning, b"%PDF-").is_some()
}

/// All pages of a PDF, at so many pixels to an inch.
pub fn folios(master: &mut dyn Master, dpi: u32) -> Result<Vec<Folio>, ImagingError> {
    let bytes = read(master)?;
    guarded(|| {
        let pdf = open(bytes)?;
        let pages = pdf.pages();
        let labels = labels::of(&pdf);
        let folio = |(index, page): (usize, &Drawn<'_>)| {
            let (width, height) = size(page, dpi)?;
            Ok(Folio { width, height, label: labels.label(index) })
        };
        pages.iter().enumerate().map(folio).collect()
    })
}

/// Bytes of memory that [`header`] takes of a file of this length, at most: the file and what is found in it, and what
/// a page holds unpacked.
pub(super) fn cost_of_header(length: u64) -> u64 {
    length.min(LONGEST).saturating_mul(2) + inflate::ROOM
}

/// Looks at a page.
pub(super) fn header(master: &mut dyn Master, page: Page, limits: &Limits) -> Result<Header, ImagingError> {
    let bytes = read(master)?;
    let length = bytes.len() as u64;
    guarded(|| {
        let pdf = open(bytes)?;
        let number = page.number.unwrap_or(1);
        let drawn = find(&pdf, number)?;
        let (width, height) = size(drawn, page.dpi)?;
        limits.pixels(width, height)?;
        inflate::check(drawn, limits)?;
        let weight = survey::weigh(drawn, (width, height))?;
        let layout = Layout::Pdf(Sheet { number, dpi: page.dpi, weight });
        Ok(Header {
            kind: Kind::Pdf,
            width,
            height,
            tone: Tone::Colour,
            length: Some(length),
            orientation: Default::default(),
            layout,
        })
    })
}

/// The whole file.
pub(super) fn read(master: &mut dyn Master) -> Result<Arc<Vec<u8>>, ImagingError> {
    let length = master.seek(SeekFrom::End(0))?;
    if length > LONGEST {
        let found = format!("{length} bytes");
        return Err(ImagingError::TooLarge {
            what: "the PDF",
            found,
            limit: LONGEST,
            rule: "a PDF is read as a whole",
        });
    }
    master.rewind()?;
    let mut bytes = Vec::with_capacity(length as usize);
    master.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(Arc::new(bytes))
}

fn open(bytes: Arc<Vec<u8>>) -> Result<Pdf, ImagingError> {
    inflate::check_structure(&bytes)?;
    // Many files are locked with an empty password, which only tells readers what they should not offer.
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            ImagingError::unsupported("a PDF that asks for a password")
        }
        LoadPdfError::Decryption(_) => ImagingError::unsupported("a PDF that is encrypted in this way"),
        LoadPdfError::Invalid => ImagingError::broken("a PDF in which no pages are found"),
    })?;
    match pdf.pages().len() {
        0 => Err(ImagingError::broken("a PDF without pages")),
        pages if pages > MOST_PAGES => Err(ImagingError::TooLarge {
            what: "the PDF",
            found: format!("{pages} pages"),
            limit: MOST_PAGES as u64,
            rule: "no manifest holds more",
        }),
        _ => Ok(pdf),
    }
}

fn find(pdf: &Pdf, number: u32) -> Result<&Drawn<'_>, ImagingError> {
    let pages = pdf.pages();
    let found = number.checked_sub(1).and_then(|index| pages.get(index as usize));
    found.ok_or_else(|| ImagingError::broken(format!("there is no page {number}, it has {}", pages.len())))
}

/// In pixels, upright.
fn size(page: &Drawn<'_>, dpi: u32) -> Result<(u32, u32), ImagingError> {
    /// Points to an inch.
    const POINTS: f64 = 72.0;
    let unit = page.raw().get::<f32>(b"UserUnit").map_or(1.0, f64::from);
    let unit = if unit.is_finite() && unit > 0.0 { unit } else { 1.0 };
    let (width, height) = page.render_dimensions();
    let pixels = |points: f32| (f64::from(points) * unit * f64::from(dpi) / POINTS).round().max(1.0);
    let (width, height) = (pixels(width), pixels(height));
    // What is not a number is not within either.
    let within = |side: f64| side <= f64::from(LONGEST_SIDE);
    if !(within(width) && within(height)) {
        let found = format!("{width}x{height} pixels");
        let (limit, rule) =
            (LONGEST_SIDE.into(), "a side of a page; a lower `image.pdf_dpi` makes it smaller");
        return Err(ImagingError::TooLarge { what: "the page", found, limit, rule });
    }
    Ok((width as u32, height as u32))
}

/// Runs work that calls hayro. What makes it panic is a file that no reader of ours copes with; and it cannot be left
/// half-way but by unwinding, with the reason as what is thrown.
fn guarded<T>(work: impl FnOnce() -> Result<T, ImagingError>) -> Result<T, ImagingError> {
    let thrown = |thrown: Box<dyn Any + Send>| match thrown.downcast::<ImagingError>() {
        Ok(reason) => *reason,
        Err(_) => ImagingError::broken("a PDF that leads the renderer astray"),
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(thrown(cause)))
}
