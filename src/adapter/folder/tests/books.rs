//! PDFs: items of their own, with pages.

use super::*;
use crate::adapter::record::{Canvas, Size};
use crate::imaging::tests::book::Book;

fn book() -> Vec<u8> {
    let mut book = Book::default();
    book.page("/MediaBox [0 0 72 144]", "");
    book.page("/MediaBox [0 0 144 72] /Rotate 90", "");
    book.page("/MediaBox [0 0 36 36]", "");
    book.tell("/PageLabels << /Nums [0 << /S /r >> 1 << >>] >>");
    book.finish()
}

/// Id, label and size of each page.
fn pages(record: &Record) -> Vec<(&str, &str, Size)> {
    let size = |canvas: &Canvas| canvas.image.as_ref().unwrap().size.unwrap();
    let canvases = record.canvases.iter();
    canvases
        .map(|canvas| (canvas.id.as_str(), canvas.label.first().unwrap_or_default(), size(canvas)))
        .collect()
}

#[tokio::test]
async fn a_pdf_is_an_item_whose_canvases_are_its_pages() {
    let masters = Masters::with(&[]).file("Plan.PDF", book());
    let record = masters.record("Plan.PDF").await.unwrap();
    assert_eq!(
        (label(&record), canvases(&record)),
        ("Plan", vec!["Plan.PDF#page=1", "Plan.PDF#page=2", "Plan.PDF#page=3"])
    );
    let size = |width, height| Size { width, height };
    let expected = [
        ("Plan-PDF~1", "i", size(300, 600)),
        ("Plan-PDF~2", "p. 2", size(300, 600)),
        ("Plan-PDF~3", "p. 3", size(150, 150)),
    ];
    assert_eq!(pages(&record), expected);
    let coarse = masters.open().with_dpi(72);
    let other = coarse.record(&ItemId::from("Plan.PDF"), &Heard::default()).await.unwrap();
    assert_eq!(pages(&other)[0].2, size(72, 144));
    assert_ne!(record.version, other.version);
    let media = masters.media("Plan.PDF").await.unwrap();
    assert_eq!(media.version, record.canvases[0].image.as_ref().unwrap().version);
    assert_eq!(masters.open().item_of(&"Plan.PDF#page=2".into()), Some("Plan.PDF".into()));
}

#[tokio::test]
async fn a_pdf_in_a_folder_is_an_item_of_its_own() {
    let masters = Masters::with(&["mixed/1.jpg", "mixed/2.jpg"])
        .file("mixed/all.pdf", book())
        .file("years/1901.pdf", book())
        .file("years/1902.pdf", book());
    let all = ["mixed: Open", "mixed/all.pdf: Open", "years/1901.pdf: Open", "years/1902.pdf: Open"];
    assert_eq!(masters.listed().await, all);
    assert_eq!(masters.members("").await, ["mixed/ (mixed)", "years/ (years)"]);
    assert_eq!(masters.members("mixed").await, ["mixed: Open", "mixed/all.pdf: Open"]);
    assert_eq!(canvases(&masters.record("mixed").await.unwrap()), ["1.jpg", "2.jpg"]);
    assert!(is_missing(masters.record("years").await));
    let record = masters.record("years/1901.pdf").await.unwrap();
    assert_eq!((label(&record), record.canvases.len()), ("1901", 3));
    assert_eq!(record.parents, [Leaf::from("years")]);
    assert_eq!(masters.open().item_of(&"years/1901.pdf#page=3".into()), Some("years/1901.pdf".into()));
    let items = masters.open().list(None).await.unwrap().items;
    assert_eq!(items[2].thumbnail, Some("years/1901.pdf#page=1".into()));
}

#[tokio::test]
async fn pdfs_are_told_by_name_and_content() {
    let masters = Masters::with(&["image.pdf", "in/image.pdf"])
        .file("text.pdf", "no PDF")
        .file("in/book.tif", book())
        .file("book.tif", book());
    assert_eq!(masters.listed().await, ["image.pdf: Open", "in: Open"]);
    assert_eq!(canvases(&masters.record("in").await.unwrap()), ["image.pdf"]);
    for id in ["text.pdf", "book.tif", "in/book.tif"] {
        assert!(is_missing(masters.record(id).await), "{id}");
        assert!(is_missing(masters.media(id).await), "{id}");
    }
}

/// Until somebody asks for its pages, a PDF is believed to have some.
#[tokio::test]
async fn a_pdf_that_cannot_be_read_is_left_out() {
    let (mut locked, blank) = (Book::default(), Book::default());
    locked.page("/MediaBox [0 0 72 72]", "");
    let lock = "/Encrypt << /Filter /Standard /V 1 /R 2 /O (12345678901234567890123456789012) \
                /U (12345678901234567890123456789012) /P -4 >> /ID [(a) (a)]";
    let masters = Masters::with(&["map.tif"])
        .file("locked.pdf", locked.finish_with(lock))
        .file("blank.pdf", blank.finish())
        .file("cut.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type");
    let folder = masters.open();
    for id in ["locked.pdf", "blank.pdf", "cut.pdf"] {
        assert!(is_missing(folder.record(&ItemId::from(id), &Heard::default()).await), "{id}");
    }
    let listed = folder.list(None).await.unwrap().items;
    assert_eq!(listed.iter().map(item_word).collect::<Vec<_>>(), ["map.tif: Open"]);
}

#[tokio::test]
async fn what_has_the_name_of_a_page_is_left_out() {
    let masters = Masters::with(&["a.jpg#page=3", "book/1.jpg", "book/1.jpg#page=1", "book/1.jpg#page=01"]);
    assert_eq!(masters.listed().await, ["book: Open"]);
    assert_eq!(canvases(&masters.record("book").await.unwrap()), ["1.jpg", "1.jpg#page=01"]);
    assert!(is_missing(masters.record("a.jpg#page=3").await));
    assert!(is_missing(masters.media("book/1.jpg#page=1").await));
}

#[tokio::test]
async fn a_pdf_is_described_beside_it_and_page_by_page() {
    let masters = Masters::with(&[])
        .file("years/1901.pdf", book())
        .file(
            "years/1901.pdf.toml",
            "label = 'The first year'\n[canvas.2]\nlabel = 'Cover'\naccess = 'login'",
        )
        .file("years/1902.pdf", book())
        .file("years/1902.toml", "access = 'hidden'")
        .file("closed/1903.pdf", book())
        .file("closed/info.toml", "access = 'login'");
    let record = masters.record("years/1901.pdf").await.unwrap();
    assert_eq!((label(&record), record.access), ("The first year", Access::Open));
    assert_eq!((pages(&record)[1].1, record.canvases[1].access), ("Cover", Some(Access::Login)));
    assert_eq!(masters.record("years/1902.pdf").await.unwrap().access, Access::Hidden);
    assert_eq!(masters.record("closed/1903.pdf").await.unwrap().access, Access::Login);
}
