//! PDFs behind the gateway: each page a canvas and a picture.

use std::fs;

use http::StatusCode;
use loggia::adapter::declared::builtin;
use loggia::serve::metrics::{ORIGINALS, PROBES, PYRAMIDS, RENDERS};

use crate::support::archive::{Archive, Page};
use crate::support::book::Book;
use crate::support::counts::Counts;
use crate::support::gateway::TestGateway;
use crate::support::masters::Masters;

const FIRST: &str = "/iiif/3/image/maps/plan.pdf%23page=1";
const SECOND: &str = "/iiif/3/image/maps/plan.pdf%23page=2";

/// Two pages: a high one whose lower half is red, a wide one whose right half is blue.
fn plan() -> Vec<u8> {
    let mut book = Book::default();
    book.page("/MediaBox [0 0 300 600]", "1 0 0 rg 0 0 300 300 re f");
    book.page("/MediaBox [0 0 400 200]", "0 0 1 rg 200 0 200 200 re f");
    book.finish()
}

async fn gateway(settings: &str) -> (Masters, TestGateway) {
    let masters = Masters::with([("plan.pdf", plan())]);
    let gateway = TestGateway::start(&masters.source("maps", settings)).await;
    (masters, gateway)
}

fn is_near(found: [u8; 4], expected: [u8; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 6)
}

#[tokio::test]
async fn a_manifest_has_the_pages() {
    let counts = Counts::start();
    let (_masters, gateway) = gateway("").await;
    let manifest = gateway.document("/iiif/3/manifest/maps/plan.pdf").await;
    let canvases = manifest["items"].as_array().unwrap();
    let told: Vec<_> =
        canvases.iter().map(|canvas| (canvas["width"].clone(), canvas["height"].clone())).collect();
    assert_eq!(told, [(1250.into(), 2500.into()), (1667.into(), 833.into())]);
    assert_eq!(canvases[1]["label"]["none"][0], "p. 2");
    let service = canvases[1]["items"][0]["items"][0]["body"]["service"][0]["id"].as_str().unwrap();
    assert!(service.ends_with("/iiif/3/image/maps/plan.pdf%23page%3D2"), "{service}");
    assert_eq!(counts.of(PROBES), 0, "all sizes are told by one look into the file");
    gateway.document(canvases[1]["id"].as_str().unwrap()).await;
    gateway.document("/iiif/2/manifest/maps/plan.pdf").await;
}

#[tokio::test]
async fn a_page_is_an_image() {
    let (_masters, gateway) = gateway("").await;
    let info = gateway.document(&format!("{SECOND}/info.json")).await;
    assert_eq!((info["width"].as_u64(), info["height"].as_u64()), (Some(1667), Some(833)));
    let whole = gateway.image(&format!("{FIRST}/full/max/0/default.png")).await;
    assert_eq!((whole.width, whole.height), (1250, 2500));
    assert!(is_near(whole.at((50, 25)), [255; 3]) && is_near(whole.at((50, 75)), [255, 0, 0]));
    let tile = gateway.image(&format!("{SECOND}/512,0,512,512/512,512/0/default.jpg")).await;
    assert!(is_near(tile.at((10, 50)), [255; 3]) && is_near(tile.at((90, 50)), [0, 0, 255]));
    let small = gateway.image(&format!("{SECOND}/full/!100,100/90/default.png")).await;
    assert_eq!((small.width, small.height), (50, 100));
    assert!(is_near(small.at((50, 10)), [255; 3]) && is_near(small.at((50, 90)), [0, 0, 255]));
}

#[tokio::test]
async fn pages_that_are_not_there_are_missing() {
    let (_masters, gateway) = gateway("").await;
    for page in ["%23page=3", "%23page=0", "%23page=01", "%23page=", ""] {
        let address = format!("/iiif/3/image/maps/plan.pdf{page}/info.json");
        assert_eq!(gateway.get(&address).await.status(), StatusCode::NOT_FOUND, "{page}");
    }
}

#[tokio::test]
async fn each_page_has_a_pyramid() {
    let counts = Counts::start();
    let (_masters, gateway) = gateway("").await;
    for (page, made) in [(FIRST, 1), (SECOND, 2)] {
        gateway.image(&format!("{page}/full/300,/0/default.jpg")).await;
        while counts.of(PYRAMIDS) < made {
            tokio::task::yield_now().await;
        }
        let tile = gateway.image(&format!("{page}/0,0,512,512/512,512/0/default.jpg")).await;
        assert!(is_near(tile.at((50, 50)), [255; 3]));
        assert_eq!(counts.of(RENDERS), made, "the tile lay there");
    }
    let lower = gateway.image(&format!("{FIRST}/0,2048,512,452/512,452/0/default.jpg")).await;
    assert!(is_near(lower.at((50, 50)), [255, 0, 0]));
    assert_eq!((counts.of(RENDERS), counts.of(ORIGINALS)), (2, 0));
}

#[tokio::test]
async fn pages_are_as_large_as_they_are_set() {
    let (masters, gateway) = gateway("image.pdf_dpi = 72").await;
    let width = |info: serde_json::Value| info["width"].as_u64();
    assert_eq!(width(gateway.document(&format!("{FIRST}/info.json")).await), Some(300));
    let tile = format!("{SECOND}/0,0,200,200/200,200/0/default.png");
    assert!(is_near(gateway.image(&tile).await.at((90, 50)), [255; 3]));
    // What was learnt and drawn before is not taken for what is set now.
    let gateway = gateway.restart_with(&masters.source("maps", "image.pdf_dpi = 36")).await;
    assert_eq!(width(gateway.document(&format!("{FIRST}/info.json")).await), Some(150));
    let tile = gateway.image(&format!("{SECOND}/0,0,100,100/100,100/0/default.png")).await;
    assert!(is_near(tile.at((90, 50)), [255; 3]));
    let tile = gateway.image(&format!("{SECOND}/100,0,100,100/100,100/0/default.png")).await;
    assert!(is_near(tile.at((10, 50)), [0, 0, 255]));
}

#[tokio::test]
async fn a_page_that_cannot_be_drawn_is_told() {
    let mut book = Book::default();
    book.page("/MediaBox [0 0 100 100]", &"0 0 100 100 re f ".repeat(5_000_000));
    let masters = Masters::with([("plan.pdf", book.finish())]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let answer = gateway.get(&format!("{FIRST}/info.json")).await;
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
    let manifest = gateway.document("/iiif/3/manifest/maps/plan.pdf").await;
    assert_eq!(manifest["items"][0]["width"], 417);
}

/// A definition names the pages; their file is fetched once for all of them.
#[tokio::test]
async fn pages_of_a_remote_file_share_it() {
    let counts = Counts::start();
    let definitions = tempfile::tempdir().unwrap();
    let changes = [
        (r#""))]"#, r#"")) | . + {page: (1, 2)}]"#),
        (r#"id = '.["o:id"] | numbers | tostring'"#, r#"id = '"\(.["o:id"])-\(.page)"'"#),
        ("image = '''{file: (", "image = '''{page, file: ("),
    ];
    let pages = changes.iter().fold(builtin("omeka-s").unwrap().to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    fs::write(definitions.path().join("omeka-s.toml"), pages).unwrap();
    let archive = Archive::start(&[Page::of(plan())]).await;
    let settings = format!("adapters = '{}'\n{}", definitions.path().display(), archive.source(""));
    let gateway = TestGateway::start(&settings).await;
    let manifest = gateway.document("/iiif/3/manifest/dam/7").await;
    assert_eq!(manifest["items"][1]["width"], 1667);
    for (page, width) in [(1, 1250), (2, 1667)] {
        let picture = format!("/iiif/3/image/dam/7%2F1%23page={page}/full/max/0/default.jpg");
        assert_eq!(gateway.image(&picture).await.width, width);
    }
    assert_eq!(counts.of(ORIGINALS), 1);
    let missing = gateway.get("/iiif/3/image/dam/7%2F1%23page=3/info.json").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}
