//! Pages of PDFs: what is drawn, how large, and what is refused.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::book::Book;
use super::*;

/// Pixels to a point are whole.
const DPI: u32 = 144;

fn page(number: u32) -> Page {
    Page { number: Some(number), dpi: DPI }
}

fn look(file: &[u8], number: u32) -> Result<Header, ImagingError> {
    header_of_page(&mut Cursor::new(file), page(number), &Limits::default())
}

/// The header, and the whole page.
fn drawn(file: &[u8], number: u32) -> (Header, Pixels) {
    let header = look(file, number).unwrap();
    let pixels = part(file, &header, whole(&header));
    (header, pixels)
}

fn part(file: &[u8], header: &Header, job: Job) -> Pixels {
    let master = Box::new(Cursor::new(file.to_vec()));
    pixels(&render(master, header, &job, &Limits::default(), &Hints::new(header)).unwrap())
}

fn at(picture: &Pixels, x: u32, y: u32) -> [u8; 3] {
    let place = (y * picture.width() + x) as usize * picture.channels().count();
    let pixel = &picture.data()[place..];
    match picture.channels() {
        Channels::Grey => [pixel[0]; 3],
        _ => [pixel[0], pixel[1], pixel[2]],
    }
}

/// Two pages: one high with a red box at its lower left, one wide with a blue one at its upper right.
fn two_pages() -> Vec<u8> {
    let mut book = Book::default();
    book.page("/MediaBox [0 0 100 200]", "1 0 0 rg 10 20 30 40 re f");
    book.page("/MediaBox [0 0 300 100]", "0 0 1 rg 260 70 30 20 re f");
    book.finish()
}

const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const WHITE: [u8; 3] = [255; 3];

#[test]
fn each_page_is_a_picture_of_its_own() {
    let file = two_pages();
    let (first, picture) = drawn(&file, 1);
    assert_eq!((first.kind, first.width, first.height), (Kind::Pdf, 200, 400));
    let places = [(25, 285), (75, 355), (18, 300), (50, 275), (82, 300), (50, 365)];
    assert_eq!(places.map(|(x, y)| at(&picture, x, y)), [RED, RED, WHITE, WHITE, WHITE, WHITE]);
    let (second, picture) = drawn(&file, 2);
    assert_eq!((second.width, second.height), (600, 200));
    assert_eq!(
        [(525, 25), (575, 55), (515, 40), (550, 65)].map(|(x, y)| at(&picture, x, y)),
        [BLUE, BLUE, WHITE, WHITE]
    );
    let first =
        header_of_page(&mut Cursor::new(&file), Page { number: None, dpi: DPI }, &Limits::default()).unwrap();
    assert_eq!((first.width, first.height), (200, 400), "where none is named it is the first");
}

#[test]
fn pages_that_are_not_there_are_told() {
    let error = |number| look(&two_pages(), number).unwrap_err().to_string();
    let error = [error(3), error(0), error(u32::MAX)].join("\n");
    insta::assert_snapshot!(error, @r"
    the master is broken: there is no page 3, it has 2
    the master is broken: there is no page 0, it has 2
    the master is broken: there is no page 4294967295, it has 2
    ");
    let picture = header_of_page(&mut Cursor::new(fixture("rgb.png")), page(1), &Limits::default());
    assert_eq!(
        picture.unwrap_err().to_string(),
        "the master is broken: a page is asked for, and the file is no PDF"
    );
}

/// The crop box is what is shown, turned as it is shown; units may be larger than points.
#[test]
fn pages_are_cut_turned_and_measured_as_readers_do() {
    let content = "1 0 0 rg 0 0 50 50 re f 0 0 1 rg 50 50 50 50 re f";
    let shown = |entries: &str| {
        let mut book = Book::default();
        book.page(&format!("/MediaBox [0 0 100 200] {entries}"), content);
        let (header, picture) = drawn(&book.finish(), 1);
        let (right, below) = (picture.width() - 5, picture.height() - 5);
        let corners = [(5, 5), (right, 5), (5, below), (right, below)].map(|(x, y)| at(&picture, x, y));
        ((header.width, header.height), corners)
    };
    assert_eq!(shown(""), ((200, 400), [WHITE, WHITE, RED, WHITE]));
    assert_eq!(shown("/Rotate 90"), ((400, 200), [RED, WHITE, WHITE, WHITE]));
    assert_eq!(shown("/Rotate 180"), ((200, 400), [WHITE, RED, WHITE, WHITE]));
    assert_eq!(shown("/Rotate -90"), ((400, 200), [WHITE, WHITE, WHITE, RED]));
    assert_eq!(shown("/CropBox [20 20 80 80]"), ((120, 120), [WHITE, BLUE, RED, WHITE]));
    assert_eq!(shown("/CropBox [20 20 80 70] /Rotate 90"), ((100, 120), [RED, WHITE, WHITE, BLUE]));
    assert_eq!(shown("/UserUnit 2.5").0, (500, 1000));
    assert_eq!(shown("/UserUnit -1").0, (200, 400));
}

/// A part is the part of the whole, at each scale.
#[test]
fn a_part_is_drawn_as_in_the_whole() {
    let mut book = Book::default();
    let font = book.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
    let content = "BT /F 40 Tf 10 30 Td (Loggia) Tj ET 0 0 1 RG 3 w 5 5 m 180 90 l S";
    book.page(&format!("/MediaBox [0 0 200 100] /Resources << /Font << /F {font} 0 R >> >>"), content);
    let file = book.finish();
    let (header, complete) = drawn(&file, 1);
    assert!(complete.data().iter().filter(|value| **value < 100).count() > 1000, "letters are black");
    for (crop, scale) in [((0, 0, 100, 50), 1), ((100, 50, 200, 100), 1), ((0, 0, 400, 200), 4)] {
        let crop = Rect { x: crop.0, y: crop.1, width: crop.2, height: crop.3 };
        let job = Job { crop, width: crop.width / scale, height: crop.height / scale, ..whole(&header) };
        let part = part(&file, &header, job);
        if scale == 1 {
            let expected = complete.clone().cut(crop);
            let differs =
                part.data().iter().zip(expected.data()).filter(|(a, b)| a.abs_diff(**b) > 2).count();
            assert_eq!(differs, 0, "{crop:?}");
        }
        assert_eq!((part.width(), part.height()), (job.width, job.height));
    }
}

/// One pixel of the scan is one of the picture.
#[test]
fn a_scanned_page_is_the_scan() {
    let jpeg = fixture("baseline.jpg");
    let scan = drawn_jpeg(&jpeg);
    let mut book = Book::default();
    let entries =
        "/Type /XObject /Subtype /Image /Width 96 /Height 64 /ColorSpace /DeviceRGB /BitsPerComponent 8";
    let image = book.stream(&format!("{entries} /Filter /DCTDecode"), &jpeg);
    let resources = format!("/Resources << /XObject << /I {image} 0 R >> >>");
    book.page(&format!("/MediaBox [0 0 48 32] {resources}"), "q 48 0 0 32 0 0 cm /I Do Q");
    let (_, picture) = drawn(&book.finish(), 1);
    assert_eq!((picture.width(), picture.height()), (96, 64));
    let far = picture.data().iter().zip(scan.data()).filter(|(a, b)| a.abs_diff(**b) > 4).count();
    assert!(far < picture.data().len() / 100, "{far} samples differ");
}

fn drawn_jpeg(jpeg: &[u8]) -> Pixels {
    pixels(&made(jpeg, &whole(&header_of(jpeg).unwrap())).unwrap())
}

#[test]
fn pages_have_names() {
    let mut book = Book::default();
    for _ in 0..6 {
        book.page("/MediaBox [0 0 10 20]", "");
    }
    book.tell("/PageLabels << /Nums [0 << /S /r >> 2 << /S /D /St 7 >> 4 << /P (A-) /S /A >> 5 << >>] >>");
    let folios = folios(&mut Cursor::new(book.finish()), 72).unwrap();
    let labels: Vec<_> = folios.iter().map(|folio| folio.label.as_deref().unwrap_or("none")).collect();
    assert_eq!(labels, ["i", "ii", "7", "8", "A-A", "none"]);
    assert_eq!((folios[5].width, folios[5].height), (10, 20));
}

/// What stands in front of the mark, and what is told from a file's first bytes.
#[test]
fn a_pdf_is_told_by_its_mark() {
    let file = two_pages();
    let late = [b"junk in front of it\n".as_slice(), &file].concat();
    assert_eq!(look(&late, 2).unwrap().width, 600);
    for bytes in [&file, &late] {
        let mut parts = Parts::default();
        parts.add(0..1024, bytes[..bytes.len().min(1024)].to_vec());
        assert_eq!(sniff(&parts).unwrap(), Sniff::NeedAll);
    }
    let too_late = [&[b' '; 1100], file.as_slice()].concat();
    assert!(matches!(look(&too_late, 1), Err(ImagingError::Unsupported { .. })));
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What looking at a page says, and what drawing it with little memory says.
fn refusal(file: &[u8]) -> String {
    let limits = Limits { memory: 400 << 20, max_pixels: 100_000_000 };
    let header = match header_of_page(&mut Cursor::new(file), page(1), &limits) {
        Ok(header) => header,
        Err(error) => return error.to_string(),
    };
    match admit(&header, &whole(&header), &limits) {
        Ok(cost) => format!("admitted with {} MB", cost >> 20),
        Err(error) => error.to_string(),
    }
}

fn with_resources(resources: impl FnOnce(&mut Book) -> String, content: &str) -> Vec<u8> {
    let mut book = Book::default();
    let resources = resources(&mut book);
    book.page(&format!("/MediaBox [0 0 100 100] /Resources << {resources} >>"), content);
    book.finish()
}

/// Patterns that are each drawn with the next one.
fn nested_patterns(book: &mut Book) -> String {
    let entries =
        "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 50 50] /XStep 50 /YStep 50";
    let mut last = book.stream(entries, b"0 0 50 50 re f");
    for _ in 0..20 {
        let entries = format!("{entries} /Resources << /Pattern << /P {last} 0 R >> >>");
        last = book.stream(&entries, b"/Pattern cs /P scn 0 0 50 50 re f");
    }
    format!("/Pattern << /P {last} 0 R >>")
}

/// Letters that are each written with the next one.
fn nested_letters(book: &mut Book) -> String {
    let mut last = book.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
    for _ in 0..20 {
        let letter = book.stream("", b"100 0 d0 BT /F 1 Tf (a) Tj ET");
        last = book.add(format!(
            "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 100 100] /FontMatrix [0.01 0 0 0.01 0 0] /FirstChar 97 \
             /LastChar 97 /Widths [100] /CharProcs << /a {letter} 0 R >> /Encoding << /Differences [97 /a] >> \
             /Resources << /Font << /F {last} 0 R >> >> >>"
        ));
    }
    format!("/Font << /F {last} 0 R >>")
}

/// A form that draws itself.
fn itself(book: &mut Book) -> String {
    let next = book.add("null") + 1;
    let entries = format!("/Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >>");
    assert_eq!(book.stream(&entries, b"/X Do"), next);
    format!("/XObject << /X {next} 0 R >>")
}

/// Forms that each draw the next one ten times.
fn laughs(book: &mut Book) -> String {
    let mut last = book.stream("/Subtype /Form /BBox [0 0 9 9]", b"0 0 9 9 re f");
    for _ in 0..12 {
        let entries = format!("/Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {last} 0 R >> >>");
        last = book.stream(&entries, "/X Do ".repeat(10).as_bytes());
    }
    format!("/XObject << /X {last} 0 R >>")
}

fn image(book: &mut Book, entries: &str, data: &[u8]) -> String {
    let image = book.stream(&format!("/Subtype /Image {entries}"), data);
    format!("/XObject << /X {image} 0 R >>")
}

#[test]
fn hostile_pages_are_refused_with_a_sentence() {
    let grey = "/ColorSpace /DeviceGray /BitsPerComponent 8";
    let pattern =
        |steps: &str| format!("/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 100 100] {steps}");
    let tiled = |steps: &str| {
        let entries = pattern(steps);
        let resources =
            |book: &mut Book| format!("/Pattern << /P {} 0 R >>", book.stream(&entries, b"0 0 1 1 re f"));
        with_resources(resources, "/Pattern cs /P scn 0 0 100 100 re f")
    };
    let bomb = deflated(&vec![b' '; 70 << 20]);
    let compressed = |book: &mut Book, filter: &str, data: &[u8]| {
        let form = book.stream(&format!("/Subtype /Form /BBox [0 0 9 9] /Filter {filter}"), data);
        format!("/XObject << /X {form} 0 R >>")
    };
    let cases = [
        ("a million points", Book::of_page((1_000_000, 1_000_000), "")),
        ("many pixels", Book::of_page((30_000, 30_000), "")),
        (
            "a large picture",
            with_resources(|b| image(b, &format!("/Width 100000 /Height 100000 {grey}"), b"0"), "/X Do"),
        ),
        (
            "a picture often",
            with_resources(
                |b| image(b, &format!("/Width 9000 /Height 9000 {grey}"), b"0"),
                &"q 99 0 0 99 0 0 cm /X Do Q ".repeat(4000),
            ),
        ),
        (
            "a wide fax",
            with_resources(
                |b| {
                    image(
                        b,
                        "/Width 9 /Height 60000 /Filter /CCITTFaxDecode /DecodeParms << /Columns 4000000 >>",
                        b"0",
                    )
                },
                "/X Do",
            ),
        ),
        (
            "a large bitmap",
            with_resources(
                |b| {
                    image(
                        b,
                        "/Width 9 /Height 9 /Filter /JBIG2Decode",
                        b"\0\0\0\0\x30\0\x01\0\0\0\x13\0\0\xff\xff\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0",
                    )
                },
                "/X Do",
            ),
        ),
        (
            "a large code stream",
            with_resources(
                |b| {
                    image(
                        b,
                        "/Width 9 /Height 9 /Filter /JPXDecode",
                        b"\xff\x4f\xff\x51\0\x29\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0",
                    )
                },
                "/X Do",
            ),
        ),
        ("patterns in patterns", with_resources(nested_patterns, "/Pattern cs /P scn 0 0 100 100 re f")),
        ("letters of letters", with_resources(nested_letters, "BT /F 10 Tf (a) Tj ET")),
        ("forms of forms", with_resources(laughs, "/X Do")),
        ("a form in itself", with_resources(itself, "/X Do")),
        ("much paint", Book::of_page((500, 500), &"0 0 500 500 re f ".repeat(200_000))),
        ("much in a page", {
            let mut book = Book::default();
            let content = book.stream("/Filter /FlateDecode", &bomb);
            book.page_of("/MediaBox [0 0 9 9]", content);
            book.finish()
        }),
        ("tiny tiles", tiled("/XStep 0.01 /YStep 0.01")),
        ("slanted tiles", tiled("/XStep 100000 /YStep 100000 /Matrix [1 1 1 1.000001 0 0]")),
        ("tiny dashes", Book::of_page((100, 100), "[0.000001] 0 d 0 0 m 100 100 l S")),
        ("much in little", with_resources(|b| compressed(b, "/FlateDecode", &bomb), "/X Do")),
        (
            "more in little",
            with_resources(|b| compressed(b, "[/FlateDecode /FlateDecode]", &deflated(&bomb)), "/X Do"),
        ),
        (
            "much in letters",
            with_resources(
                |b| compressed(b, "[/ASCIIHexDecode /FlateDecode]", hex::encode(&bomb).as_bytes()),
                "/X Do",
            ),
        ),
    ];
    let told: Vec<_> = cases.iter().map(|(name, file)| format!("{name}: {}", refusal(file))).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    a million points: the page is too large: 2000000x2000000 pixels, at most 65535 allowed (a side of a page; a lower `image.pdf_dpi` makes it smaller)
    many pixels: the master is too large: 60000x60000 pixels, at most 100000000 allowed (`limits.max_pixels`)
    a large picture: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    a picture often: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    a wide fax: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    a large bitmap: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    a large code stream: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    patterns in patterns: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    letters of letters: the page is too large: 13 patterns, letters or masks within each other, at most 12 allowed (none is drawn so)
    forms of forms: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    a form in itself: admitted with 64 MB
    much paint: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    much in a page: the text of the page is too large: 67108864 bytes and more when it is unpacked, at most 67108864 allowed (what a page may hold)
    tiny tiles: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    slanted tiles: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    tiny dashes: the page is too large: more than 60 seconds of work, at most 60 allowed (for the page as a whole)
    much in little: the text of the page is too large: 67108864 bytes and more when it is unpacked, at most 67108864 allowed (what a page may hold)
    more in little: the text of the page is too large: 67108864 bytes and more when it is unpacked, at most 67108864 allowed (what a page may hold)
    much in letters: the text of the page is too large: 67108864 bytes and more when it is unpacked, at most 67108864 allowed (what a page may hold)
    ");
}

/// Each of them would be gone through to the end of the file: 10 MB took minutes.
#[test]
fn tables_of_objects_within_each_other_are_refused() {
    let file = [b"%PDF-1.7\n".to_vec(), b"/ObjStm stream\n\x03\0".repeat(600_000)].concat();
    let told = [refusal(&file), folios(&mut Cursor::new(&file), DPI).unwrap_err().to_string()];
    let expected = "the master is broken: a PDF with tables of objects within each other";
    assert_eq!(told, [expected; 2]);
}

/// None of them is too large, all of them are.
#[test]
fn pictures_are_unpacked_so_often_and_no_more() {
    let packed = deflated(&vec![b' '; 16 << 20]);
    let limits = Limits { memory: 20 << 20, ..Limits::default() };
    let look = |pictures: usize| {
        let resources = |book: &mut Book| {
            let entries = "/Subtype /Image /Width 9 /Height 9 /Filter /FlateDecode";
            let names: String = (0..pictures)
                .map(|number| format!("/X{number} {} 0 R ", book.stream(entries, &packed)))
                .collect();
            format!("/XObject << {names} >>")
        };
        let file = with_resources(resources, "/X0 Do");
        header_of_page(&mut Cursor::new(&file), page(1), &limits).map_err(|error| error.to_string())
    };
    look(7).unwrap();
    insta::assert_snapshot!(look(8).unwrap_err(), @"all that is in the page is too large: more than 125829120 bytes, packed and unpacked, at most 125829120 allowed (six times what a picture may hold)");
}

/// Deep, but not without end: neither the survey nor the renderer may run out of stack.
#[test]
fn what_is_deep_is_drawn_or_refused() {
    let forms = |book: &mut Book| {
        let mut last = book.stream("/Subtype /Form /BBox [0 0 9 9]", b"0 0 9 9 re f");
        for _ in 0..100 {
            let entries =
                format!("/Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {last} 0 R >> >>");
            last = book.stream(&format!("{entries} /Group << /S /Transparency >>"), b"/X Do");
        }
        format!("/XObject << /X {last} 0 R >>")
    };
    let nested = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    for (name, file) in [
        ("forms", with_resources(forms, "/X Do")),
        ("lists", Book::of_page((9, 9), &format!("{} Tj", nested("[", "]")))),
        ("dictionaries", Book::of_page((9, 9), &format!("/a {} BDC", nested("<< /a ", ">>")))),
        ("lists in the page", with_resources(|_| nested("/a [", "]"), "")),
        ("states", Book::of_page((9, 9), &"q ".repeat(100_000))),
        ("clips", Book::of_page((9, 9), &"0 0 9 9 re W n ".repeat(10_000))),
    ] {
        let Ok(header) = look(&file, 1) else { continue };
        let job = Job { width: header.width.min(10), height: header.height.min(10), ..whole(&header) };
        let master = Box::new(Cursor::new(file.clone()));
        let drawn = render(master, &header, &job, &Limits::default(), &Hints::new(&header));
        assert!(matches!(drawn, Ok(_) | Err(ImagingError::Broken(_))), "{name}: {drawn:?}");
    }
}

/// What is damaged is drawn as well as it goes, or refused; the process goes on.
#[test]
fn damaged_pages_are_drawn_or_refused() {
    let file = with_resources(nested_letters, "BT /F 10 Tf (a) Tj ET 0 0 1 rg 5 5 20 20 re f");
    let mut random = SmallRng::seed_from_u64(5);
    let limits = Limits { memory: 256 << 20, max_pixels: 1 << 20 };
    for file in [file, two_pages()] {
        for _ in 0..150 {
            let mut damaged = file.clone();
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..damaged.len());
                damaged[at] = if random.random() {
                    random.random()
                } else {
                    b"0123456789/<>[]() R"[random.random_range(0..19)]
                };
            }
            damaged.truncate(random.random_range(damaged.len() / 2..=damaged.len()));
            let Ok(header) = header_of_page(&mut Cursor::new(&damaged), page(1), &limits) else { continue };
            let job = Job { width: 10, height: 10, ..whole(&header) };
            let _ = render(Box::new(Cursor::new(damaged)), &header, &job, &limits, &Hints::new(&header));
        }
    }
}

/// What is usual has to pass with the memory that there is by default: the largest sheets, and scans of them.
#[test]
fn usual_pages_are_admitted() {
    let scan = |(width, height): (u32, u32), dots: u32, entries: &str| {
        let size = (width * dots / 72, height * dots / 72);
        let entries = format!("/Width {} /Height {} {entries}", size.0, size.1);
        let mut book = Book::default();
        let resources = image(&mut book, &entries, b"0");
        let content = format!("q {width} 0 0 {height} 0 0 cm /X Do Q");
        book.page(&format!("/MediaBox [0 0 {width} {height}] /Resources << {resources} >>"), &content);
        book.finish()
    };
    let (a4, a1, a0) = ((595, 842), (1684, 2384), (2384, 3370));
    let jpeg = "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode";
    let fax =
        "/BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /CCITTFaxDecode /DecodeParms << /Columns 9 >>";
    for (name, file, most) in [
        ("text on A4", Book::of_page(a4, &"BT /F 11 Tf (the quick brown fox) Tj ET ".repeat(250)), 150),
        ("lines on A0", Book::of_page(a0, &"0 0 m 2384 3370 l S ".repeat(1000)), 750),
        ("a scanned A4", scan(a4, 300, jpeg), 300),
        ("a scanned A4, fine", scan(a4, 600, jpeg), 650),
        ("a scanned A0", scan(a0, 150, jpeg), 750),
        ("a fax of A1, fine", scan(a1, 400, fax), 750),
    ] {
        let limits = Limits::default();
        let header =
            header_of_page(&mut Cursor::new(&file), Page { number: None, dpi: 300 }, &limits).unwrap();
        check(&header, 512, &limits).unwrap_or_else(|error| panic!("{name}: {error}"));
        let tile = Rect { x: 0, y: 0, width: 512, height: 512 };
        let job = Job { crop: tile, width: 512, height: 512, ..whole(&header) };
        let cost = admit(&header, &job, &limits).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(cost < most << 20, "{name}: {} MB", cost >> 20);
    }
}
