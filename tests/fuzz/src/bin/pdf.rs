//! PDFs: their pages, and what a page is going to draw. Nothing is drawn.
#![no_main]

use std::io::Cursor;
use std::panic;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use loggia::imaging::{self, Limits, Page};

const LIMITS: Limits = Limits { memory: 16 << 20, max_pixels: 1 << 20 };
const DPI: u32 = 36;

/// What the reader of PDFs panics over is contained, and no find: libFuzzer, whose hook ends the process at every panic,
/// is told of those alone that nobody caught.
static CONTAINED: Once = Once::new();

fuzz_target!(|file: &[u8]| {
    CONTAINED.call_once(|| panic::set_hook(Box::new(|_| ())));
    let mut master = Cursor::new(file);
    if !imaging::is_pdf(file) {
        return;
    }
    let pages = imaging::folios(&mut master, DPI);
    for number in [1, 2] {
        let header = imaging::header_of_page(&mut master, Page { number: Some(number), dpi: DPI }, &LIMITS);
        let told = pages.as_ref().ok().and_then(|pages| pages.get(number as usize - 1));
        if let (Ok(header), Some(told)) = (header, told) {
            assert_eq!(
                (header.width, header.height),
                (told.width, told.height),
                "two sizes of page {number}"
            );
        }
    }
});
