//! Work that is done once: fetches, renderings, headers; and what a change does to it.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::header::ETAG;
use http::{Request, Response, StatusCode};
use loggia::serve::metrics::{COALESCED, ORIGINALS, PROBES, RENDERS};
use loggia::telemetry::HTTP_WARM;
use serde_json::json;

use crate::support::archive::{Archive, Page};
use crate::support::counts::Counts;
use crate::support::crawl::crawl;
use crate::support::fake_dam::{FakeDam, Fault};
use crate::support::gateway::{PUBLIC, TestGateway, files_below};
use crate::support::masters::{COLOURS, Masters, quarters};

const PICTURE: &str = "/iiif/3/image/dam/7%2F1/full/150,/0/default.jpg";
const FILE: &str = "/files/1.png";

/// A gateway in front of an archive with these pages.
async fn dam(pages: &[Page]) -> (TestGateway, Archive) {
    let archive = Archive::start(pages).await;
    (TestGateway::start(&archive.source("")).await, archive)
}

/// Requests that were begun and wait.
type Waiting<'a> = Vec<Pin<Box<dyn Future<Output = Response<Bytes>> + 'a>>>;

/// Many clients who want the same picture, up to the moment when its master is asked for.
async fn crowd<'a>(gateway: &'a TestGateway, archive: &Archive, count: usize) -> Waiting<'a> {
    // The header is small and known; what is held back is the master.
    gateway.get("/iiif/3/image/dam/7%2F1/info.json").await;
    archive.dam.requests();
    archive.dam.hold(FILE);
    let mut waiting: Waiting<'a> = (0..count).map(|_| Box::pin(gateway.get(PICTURE)) as _).collect();
    for client in &mut waiting {
        assert!(client.as_mut().now_or_never().is_none(), "nobody can be answered yet");
    }
    while archive.dam.asked(FILE) == 0 {
        for client in &mut waiting {
            assert!(client.as_mut().now_or_never().is_none(), "nobody can be answered yet");
        }
        tokio::task::yield_now().await;
    }
    waiting
}

#[tokio::test]
async fn sixty_four_who_want_the_same_cost_one_fetch_and_one_rendering() {
    let counts = Counts::start();
    let (gateway, archive) = dam(&[Page::of(quarters(300, 200))]).await;
    let waiting = crowd(&gateway, &archive, 64).await;
    archive.dam.release();
    let answers = join_all(waiting).await;
    let first = answers[0].body();
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK && answer.body() == first));
    assert_eq!(archive.dam.asked(FILE), 1, "the master was fetched once");
    assert_eq!((counts.of(RENDERS), counts.of(ORIGINALS)), (1, 1));
    assert!(counts.of(COALESCED) >= 63);

    // And it is kept.
    gateway.image(PICTURE).await;
    assert_eq!((archive.dam.asked(FILE), counts.of(RENDERS)), (1, 1));
    // Another size is another rendering of the same master.
    gateway.image("/iiif/2/image/dam/7%2F1/full/75,/0/default.jpg").await;
    assert_eq!((archive.dam.asked(FILE), counts.of(RENDERS)), (1, 2));
}

#[tokio::test]
async fn a_first_client_that_hangs_up_spoils_nothing() {
    let counts = Counts::start();
    let (gateway, archive) = dam(&[Page::of(quarters(300, 200))]).await;
    let mut waiting = crowd(&gateway, &archive, 8).await;
    drop(waiting.remove(0));
    archive.dam.release();
    assert!(join_all(waiting).await.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!((archive.dam.asked(FILE), counts.of(RENDERS)), (1, 1));
}

#[tokio::test]
async fn a_picture_whose_every_client_hangs_up_is_still_kept() {
    let counts = Counts::start();
    let (gateway, archive) = dam(&[Page::of(quarters(300, 200))]).await;
    drop(crowd(&gateway, &archive, 3).await);
    archive.dam.release();
    gateway.image(PICTURE).await;
    assert_eq!((archive.dam.asked(FILE), counts.of(RENDERS)), (1, 1));
}

#[tokio::test]
async fn the_same_picture_in_both_versions_is_drawn_once() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    for path in [
        "3/image/maps/a.png/full/150,100/0/default.jpg",
        "2/image/maps/a.png/full/150,/0/default.jpg",
        "3/image/maps/a.png/pct:0,0,100,100/pct:50/360/color.jpg",
        "3/image/maps/a.png/0,0,300,200/!150,150/0.0/default.jpg",
    ] {
        gateway.image(&format!("/iiif/{path}")).await;
    }
    assert_eq!(counts.of(RENDERS), 1);
}

#[tokio::test]
async fn after_a_restart_a_picture_comes_from_disk() {
    let counts = Counts::start();
    let (gateway, archive) = dam(&[Page::of(quarters(300, 200))]).await;
    let before = gateway.image(PICTURE).await;
    let gateway = gateway.restart().await;
    archive.dam.requests();
    let after = gateway.image(PICTURE).await;
    assert_eq!(before.bytes, after.bytes);
    assert_eq!(before.headers[ETAG], after.headers[ETAG]);
    assert_eq!((archive.dam.requests(), counts.of(RENDERS)), (0, 1), "nothing is asked of the source");
    // The master is there too.
    gateway.image("/iiif/3/image/dam/7%2F1/full/60,/0/default.jpg").await;
    assert_eq!((archive.dam.requests(), counts.of(RENDERS)), (0, 2));
}

#[tokio::test]
async fn four_hundred_pages_without_sizes_cost_one_small_read_each_and_only_once() {
    let counts = Counts::start();
    let pages: Vec<_> = (0..400).map(|n| Page::of(quarters(10 + n, 20))).collect();
    let (gateway, archive) = dam(&pages).await;
    let manifest = gateway.document("/iiif/3/manifest/dam/7").await;
    let widths = manifest["items"].as_array().unwrap().iter().map(|canvas| canvas["width"].as_u64().unwrap());
    assert!(widths.eq(10..410));
    assert_eq!((archive.dam.asked("/files/"), counts.of(PROBES)), (400, 400));
    let again = gateway.document("/iiif/3/manifest/dam/7").await;
    assert_eq!(manifest, again);
    gateway.document("/iiif/2/manifest/dam/7").await;
    // The record is old now, the headers are not.
    gateway.advance(Duration::from_secs(3600));
    gateway.document("/iiif/3/manifest/dam/7").await;
    let gateway = gateway.restart().await;
    assert_eq!(gateway.document("/iiif/3/manifest/dam/7").await, manifest);
    assert_eq!((archive.dam.asked("/files/"), counts.of(PROBES)), (400, 400));
}

/// Ids and versions of two systems may well be the same.
#[tokio::test]
async fn another_system_under_the_same_name_has_its_own_masters() {
    let dir = tempfile::tempdir().unwrap();
    let cache = format!("[cache]\ndir = '{}'\n", dir.path().join("cache").display());
    let size = async |width, height| {
        let archive = Archive::start(&[Page::of(quarters(width, height))]).await;
        let gateway = TestGateway::start(&format!("{cache}{}", archive.source(""))).await;
        let picture = gateway.image("/iiif/3/image/dam/7%2F1/full/max/0/default.png").await;
        (picture.width, picture.height)
    };
    assert_eq!(size(300, 200).await, (300, 200));
    assert_eq!(size(200, 300).await, (200, 300));
}

/// MediaWiki's pages are all open: a list of them says enough.
#[tokio::test]
async fn a_list_costs_no_question_for_every_item_in_it() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mediawiki");
    let dam = FakeDam::start(&fixtures).await;
    let base = dam.here("https://wiki.example.org/w");
    let gateway =
        TestGateway::start(&format!("[sources.wiki]\nadapter = 'mediawiki'\nbase = '{base}'")).await;
    let listed = gateway.document("/iiif/3/collection/wiki").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    assert_eq!((dam.asked("list=allimages"), dam.asked("titles=")), (2, 0));
    dam.assert_all_known();
}

/// No file of a remote list is looked into for the list; what is known of one all the same, counts.
#[tokio::test]
async fn a_list_shows_no_thumbnail_of_what_is_known_to_be_no_image() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mediawiki");
    let dam = FakeDam::start(&fixtures).await;
    let base = dam.here("https://wiki.example.org/w");
    for looked_at in [false, true] {
        let gateway =
            TestGateway::start(&format!("[sources.wiki]\nadapter = 'mediawiki'\nbase = '{base}'")).await;
        if looked_at {
            let info = gateway.get("/iiif/3/image/wiki/P1.jpg/info.json").await;
            assert_eq!(info.status(), StatusCode::BAD_GATEWAY);
        }
        let listed = gateway.document("/iiif/3/collection/wiki").await;
        let shown = listed.to_string().contains("/image/wiki/P1.jpg/full/");
        assert_eq!(shown, !looked_at, "{listed:#}");
    }
}

#[tokio::test]
async fn the_header_wins_over_the_size_that_the_source_tells() {
    let page = Page { told: Some((3000, 2000)), ..Page::of(quarters(300, 200)) };
    let (gateway, archive) = dam(&[page]).await;
    let (manifest, info) = ("/iiif/3/manifest/dam/7", "/iiif/3/image/dam/7%2F1/info.json");
    let told = gateway.get(manifest).await;
    let width = async |gateway: &TestGateway| gateway.document(manifest).await["items"][0]["width"].clone();
    assert_eq!(width(&gateway).await, json!(3000));
    assert_eq!(archive.dam.asked("/files/"), 0, "a size that is told costs no read");
    assert_eq!(gateway.document(info).await["width"], json!(300));
    assert_eq!(width(&gateway).await, json!(300));
    let known = gateway.get(manifest).await;
    assert_ne!(known.headers()[ETAG], told.headers()[ETAG]);
    // What was learned is not forgotten.
    let gateway = gateway.restart().await;
    assert_eq!(width(&gateway).await, json!(300));
    assert_eq!(gateway.get(manifest).await.headers()[ETAG], known.headers()[ETAG]);
}

/// A source may tell the size of a file that it does not have.
#[tokio::test]
async fn a_file_that_was_found_to_be_no_image_is_not_pointed_at() {
    let told = |image| Page { told: Some((300, 200)), ..Page::of(image) };
    let (gateway, archive) = dam(&[told(b"no picture".to_vec()), told(quarters(300, 200))]).await;
    let (first, second) = ("/iiif/3/image/dam/7%2F1", "/iiif/3/image/dam/7%2F2");
    let thumbnail = async || {
        let manifest = gateway.document("/iiif/3/manifest/dam/7").await;
        manifest["thumbnail"][0]["service"][0]["id"].as_str().unwrap().replace(PUBLIC, "")
    };
    assert_eq!(thumbnail().await, first, "the source's word for it");
    assert_eq!(gateway.get(&format!("{first}/info.json")).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(thumbnail().await, second);
    for version in [3, 2] {
        crawl(&gateway, &format!("/iiif/{version}/manifest/dam/7")).await;
    }
    let manifest = gateway.document("/iiif/3/manifest/dam/7").await;
    let canvas = &manifest["items"][0];
    assert_eq!(
        (&canvas["width"], &canvas["height"], &canvas["items"]),
        (&json!(300), &json!(200), &json!([]))
    );
    // Some time later it is looked at again, and it is no better.
    gateway.advance(Duration::from_secs(3600));
    let before = archive.dam.asked(FILE);
    assert_eq!((thumbnail().await.as_str(), archive.dam.asked(FILE)), (second, before + 1));
}

#[tokio::test]
async fn a_master_that_changes_gives_a_new_picture() {
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let (picture, info) =
        ("/iiif/3/image/maps/a.png/full/max/0/default.png", "/iiif/3/image/maps/a.png/info.json");
    let before = gateway.image(picture).await;
    let described = gateway.get(info).await;
    masters.put("a.png", quarters(200, 300));
    gateway.a_moment();
    let after = gateway.image(picture).await;
    assert_eq!((after.width, after.height), (200, 300));
    assert_ne!(before.headers[ETAG], after.headers[ETAG]);
    assert_ne!(gateway.get(info).await.headers()[ETAG], described.headers()[ETAG]);
    assert_eq!(gateway.document("/iiif/3/manifest/maps/a.png").await["items"][0]["height"], json!(300));
    fs::remove_file(masters.path().join("a.png")).unwrap();
    gateway.a_moment();
    assert_eq!(gateway.get(picture).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn damaged_files_of_the_cache_are_dropped() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 5] = [
        ("a bit in the middle", |mut file| {
            let middle = file.len() / 2;
            file[middle] ^= 0x10;
            file
        }),
        ("the last byte", |mut file| {
            *file.last_mut().unwrap() ^= 1;
            file
        }),
        ("cut short", |file| file[..file.len() / 2].to_vec()),
        ("empty", |_| Vec::new()),
        ("other bytes of the same length", |file| vec![b'x'; file.len()]),
    ];
    for (case, damage) in damages {
        let masters = Masters::with([("a.png", quarters(300, 200))]);
        let gateway = TestGateway::start(&masters.source("maps", "")).await;
        let picture = "/iiif/3/image/maps/a.png/full/150,/0/default.png";
        let before = gateway.image(picture).await;
        let gateway = gateway.restart().await;
        let files = files_below(&gateway.cache());
        assert!(files.len() >= 2, "{files:?}");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, damage(bytes)).unwrap();
        }
        let after = gateway.image(picture).await;
        assert_eq!(before.bytes, after.bytes, "{case}");
        assert_eq!(after.at((25, 25))[..3], COLOURS[0], "{case}");
    }
}

/// What was answered once is answered again as it was; only the request's own id differs.
#[tokio::test]
async fn a_warm_answer_is_the_first_one_again() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    for path in ["full/150,/0/default.jpg", "info.json"] {
        let path = format!("/iiif/3/image/maps/a.png/{path}");
        let (first, again) = (gateway.get(&path).await, gateway.get(&path).await);
        assert_eq!((first.status(), first.body()), (again.status(), again.body()), "{path}");
        let (mut before, mut after) = (first.headers().clone(), again.headers().clone());
        assert_ne!(before.remove("x-request-id").unwrap(), after.remove("x-request-id").unwrap());
        assert_eq!(before, after, "{path}");
        // Nothing but a plain request is answered this way, and all get what they would have got.
        let ask = |builder: http::request::Builder| gateway.send(builder.uri(&path));
        let unchanged = ask(Request::builder().header("if-none-match", before[ETAG].clone())).await;
        assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
        assert!(unchanged.body().is_empty() && !unchanged.headers().contains_key("content-type"));
        let head = ask(Request::builder().method("HEAD")).await;
        assert!(head.body().is_empty());
        let (before, after) = (before.get("content-type"), head.headers().get("content-type"));
        assert_eq!(before, after);
        assert_eq!(ask(Request::builder().method("POST")).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(counts.of("loggia_http_requests_total"), 10);
    // The second plain request of each, and the conditional one.
    assert_eq!(counts.of(HTTP_WARM), 4);
    assert_eq!(counts.of(RENDERS), 1);
}

/// The decision is made anew when the record is older than it may be.
#[tokio::test]
async fn a_warm_answer_ends_with_its_record() {
    let (gateway, archive) = dam(&[Page::of(quarters(300, 200))]).await;
    let info = "/iiif/3/image/dam/7%2F1/info.json";
    for path in [PICTURE, PICTURE, info, info] {
        assert_eq!(gateway.get(path).await.status(), StatusCode::OK);
    }
    // From now on the system says nothing of whether the item is public.
    archive.dam.fault_at("/api/items/7", Fault::Shape);
    assert_eq!(gateway.get(PICTURE).await.status(), StatusCode::OK);
    gateway.advance(Duration::from_secs(3600));
    for path in [PICTURE, info] {
        assert_eq!(gateway.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

/// A record that is told again as it was changes nothing: what was answered is not made ready a second time.
#[tokio::test]
async fn a_warm_answer_outlives_the_renewal_of_its_record() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(300, 200)), ("b.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let path = |size: &str| format!("/iiif/3/image/maps/a.png/full/{size}/0/default.jpg");
    for size in ["150,", "100,"] {
        gateway.image(&path(size)).await;
    }
    gateway.a_moment();
    gateway.image(&path("150,")).await;
    assert_eq!(counts.of(HTTP_WARM), 0, "the record is asked for first");
    gateway.image(&path("100,")).await;
    assert_eq!(counts.of(HTTP_WARM), 1);
    masters.put("a.png", quarters(600, 400));
    gateway.a_moment();
    assert_eq!(gateway.image(&path("max")).await.width, 600);
    assert_eq!(counts.of(HTTP_WARM), 1);
}

/// Browsers take documents packed: they are packed once.
#[tokio::test]
async fn a_packed_document_is_given_again_as_it_was() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(3000, 2000))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    for path in ["/iiif/3/image/maps/a.png/info.json", "/iiif/3/image/maps/a.png/info%2Ejson"] {
        let before = counts.of(HTTP_WARM);
        let ask = async |encoding: &str| {
            gateway.send(Request::get(path).header("accept-encoding", encoding.to_owned())).await
        };
        let (first, again) = (ask("gzip").await, ask("gzip").await);
        assert_eq!(first.headers()["content-encoding"], "gzip");
        assert_eq!(counts.of(HTTP_WARM) - before, 1);
        assert_eq!((first.status(), first.body()), (again.status(), again.body()));
        for name in ["content-encoding", "content-type", "etag", "vary"] {
            assert_eq!(first.headers().get(name), again.headers().get(name), "{name}");
        }
        let plain = ask("identity").await;
        assert_eq!((plain.headers().get("content-encoding"), counts.of(HTTP_WARM) - before), (None, 1));
        let plainly = gateway.send(Request::get(path).header("accept", "application/json")).await;
        assert_ne!(plainly.headers()["content-type"], gateway.get(path).await.headers()["content-type"]);
    }
}
