//! Pyramids behind the gateway: made at the first touch, found again, dropped when they are damaged.

use std::fs;
use std::path::{Path, PathBuf};

use http::header::ETAG;
use http::{HeaderMap, Request, StatusCode};
use loggia::serve::metrics::{PYRAMIDS, PYRAMIDS_WAITING, RENDERS, TILES};

use crate::support::counts::Counts;
use crate::support::gateway::{Picture, TestGateway, files_below};
use crate::support::masters::{COLOURS, MIDDLES, Masters, fixture, quarters, transparent};
use crate::support::process::Process;

const MAP: &str = "/iiif/3/image/maps/a.png";

fn tile(region: &str, size: &str) -> String {
    format!("{MAP}/{region}/{size}/0/default.jpg")
}

/// A gateway before a master that is larger than a tile.
async fn map() -> (Masters, TestGateway) {
    let masters = Masters::with([("a.png", quarters(1900, 1300))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    (masters, gateway)
}

/// Waits until so many pyramids were made, or could not be.
async fn made(counts: &Counts, pyramids: u64) {
    while counts.of(PYRAMIDS) < pyramids {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn after_the_first_touch_tiles_are_looked_up() {
    let counts = Counts::start();
    let (_masters, gateway) = map().await;
    let first = gateway.image(&tile("0,0,512,512", "512,512")).await;
    assert_eq!(counts.of(RENDERS), 1);
    made(&counts, 1).await;
    // Other bytes than those of the first answer, and another name for them.
    let again = gateway.image("/iiif/2/image/maps/a.png/0,0,512,512/512,512/0/default.jpg").await;
    assert_ne!(first.headers[ETAG], again.headers[ETAG]);
    for (region, size) in [
        ("1536,1024,364,276", "364,276"),
        ("0,1024,1024,276", "512,138"),
        ("full", "475,325"),
        ("full", "950,650"),
        ("full", "238,163"),
    ] {
        let picture = gateway.image(&tile(region, size)).await;
        let (width, height) = size.split_once(',').unwrap();
        assert_eq!((picture.width.to_string(), picture.height.to_string()), (width.into(), height.into()));
    }
    assert_eq!(counts.of(RENDERS), 1, "all of these lie in the file");
}

#[tokio::test]
async fn what_is_off_the_grid_is_drawn_from_tiles() {
    let counts = Counts::start();
    let (_masters, gateway) = map().await;
    gateway.image(&tile("0,0,512,512", "512,512")).await;
    made(&counts, 1).await;
    for (request, width, height) in [
        ("full/400,/0/default.jpg", 400, 274),
        ("full/!300,300/90/default.jpg", 205, 300),
        ("pct:0,0,100,100/pct:30/0/gray.png", 570, 390),
        ("square/100,/!0/color.webp", 100, 100),
    ] {
        let picture = gateway.image(&format!("{MAP}/{request}")).await;
        assert_eq!((picture.width, picture.height), (width, height), "{request}");
    }
    let picture = gateway.image(&format!("{MAP}/full/max/0/default.png")).await;
    for (place, colour) in MIDDLES.into_iter().zip(COLOURS) {
        let found = picture.at(place);
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6), "{found:?} for {colour:?}");
    }
}

#[tokio::test]
async fn a_pyramid_is_found_again_after_a_restart() {
    let counts = Counts::start();
    let (_masters, gateway) = map().await;
    gateway.image(&tile("full", "300,")).await;
    made(&counts, 1).await;
    let before = gateway.image(&tile("512,512,512,512", "512,512")).await;
    let gateway = gateway.restart().await;
    while gateway.get("/ready").await.status() != StatusCode::OK {}
    let after = gateway.image(&tile("512,512,512,512", "512,512")).await;
    assert_eq!((before.bytes, &before.headers[ETAG]), (after.bytes, &after.headers[ETAG]));
    gateway.image(&tile("1024,512,512,512", "512,512")).await;
    assert_eq!((counts.of(RENDERS), counts.of(PYRAMIDS)), (1, 1));
}

/// In its index, or in its first tile, which is the one that is asked for.
#[tokio::test]
async fn a_damaged_pyramid_is_dropped_and_made_again() {
    for place in [|length: usize| length - 100, |_| 400] {
        let counts = Counts::start();
        let (_masters, gateway) = map().await;
        gateway.image(&tile("full", "300,")).await;
        made(&counts, 1).await;
        let files = files_below(&gateway.cache().join("pyramids"));
        let [file] = &files[..] else { panic!("{files:?}") };
        let mut bytes = fs::read(file).unwrap();
        let at = place(bytes.len());
        bytes[at] ^= 1;
        fs::write(file, &bytes).unwrap();
        let gateway = gateway.restart().await;
        while gateway.get("/ready").await.status() != StatusCode::OK {}
        gateway.image(&tile("0,0,512,512", "512,512")).await;
        made(&counts, 2).await;
        gateway.image(&tile("512,0,512,512", "512,512")).await;
        assert_eq!(counts.of(RENDERS), 2, "drawn from the master once more, then looked up: byte {at}");
    }
}

/// What is drawn of the master instead has the master's tag.
#[tokio::test]
async fn a_pyramid_that_is_cut_short_while_it_is_open_gives_no_other_bytes_its_tag() {
    let counts = Counts::start();
    let (_masters, gateway) = map().await;
    gateway.image(&tile("0,0,512,512", "512,512")).await;
    let (on_the_grid, off_it) = (tile("512,0,512,512", "512,512"), tile("0,0,700,700", "300,300"));
    for (request, pyramids) in [(on_the_grid, 1), (off_it, 2)] {
        made(&counts, pyramids).await;
        gateway.image(&tile("full", "238,163")).await;
        let files = files_below(&gateway.cache().join("pyramids"));
        let [file] = &files[..] else { panic!("{files:?}") };
        fs::File::options().write(true).open(file).unwrap().set_len(9).unwrap();
        let renders = counts.of(RENDERS);
        let from_master = gateway.image(&request).await;
        assert_eq!(counts.of(RENDERS), renders + 1, "{request}");
        made(&counts, pyramids + 1).await;
        // As it was answered, the same address is answered again.
        let other = request.replace("/iiif/3/", "/iiif/2/");
        let from_tiles = gateway.image(&other).await;
        assert_ne!(from_master.headers[ETAG], from_tiles.headers[ETAG], "{request}");
        let known = Request::builder().uri(&other).header("if-none-match", &from_tiles.headers[ETAG]);
        assert_eq!(gateway.send(known).await.status(), StatusCode::NOT_MODIFIED, "{request}");
    }
}

/// Too many files are open, or the disk is away for a moment: here its file is a link that leads to itself.
#[tokio::test]
async fn a_pyramid_that_cannot_be_opened_just_now_is_not_made_again() {
    let counts = Counts::start();
    let (_masters, gateway) = map().await;
    gateway.image(&tile("full", "300,")).await;
    made(&counts, 1).await;
    let gateway = gateway.restart().await;
    while gateway.get("/ready").await.status() != StatusCode::OK {}
    let files = files_below(&gateway.cache().join("pyramids"));
    let ([file], aside) = (&files[..], gateway.cache().join("aside")) else { panic!("{files:?}") };
    fs::rename(file, &aside).unwrap();
    std::os::unix::fs::symlink(file, file).unwrap();
    gateway.image(&tile("0,0,512,512", "512,512")).await;
    gateway.image(&tile("512,0,512,512", "512,512")).await;
    assert_eq!((counts.of(PYRAMIDS), counts.of(RENDERS)), (1, 3), "drawn from the master");
    fs::rename(&aside, file).unwrap();
    gateway.image(&tile("1024,0,512,512", "512,512")).await;
    assert_eq!((counts.of(PYRAMIDS), counts.of(RENDERS)), (1, 3), "looked up");
}

/// Rows pass by, the whole picture never lies in memory.
#[tokio::test]
async fn a_master_larger_than_the_memory_is_drawn_from_its_tiles() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(9000, 7000))]);
    let limits = "[limits]\nmemory = '100MiB'\n";
    let gateway = TestGateway::start(&format!("{limits}{}", masters.source("maps", ""))).await;
    let picture = gateway.image(&tile("full", "400,")).await;
    assert_eq!((picture.width, picture.height, counts.of(PYRAMIDS)), (400, 311, 1));
    for (place, colour) in MIDDLES.into_iter().zip(COLOURS) {
        let found = picture.at(place);
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6), "{found:?} for {colour:?}");
    }
}

/// Its own tiles are handed out, at the size that it has them in; nothing is made of it.
#[tokio::test]
async fn a_master_that_is_a_pyramid_lends_its_tiles() {
    let counts = Counts::start();
    let masters = Masters::with([("a.tif", fixture("pyramid-jpeg-edges.tif"))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let image = "/iiif/3/image/maps/a.tif";
    let info = gateway.document(&format!("{image}/info.json")).await;
    assert_eq!(info["tiles"][0]["width"], 64);
    let tile = async |region: &str, size: &str| {
        gateway.image(&format!("{image}/{region}/{size}/0/default.jpg")).await
    };
    tile("0,0,64,64", "64,64").await;
    let lower = tile("64,256,64,44", "64,44").await;
    assert_eq!((lower.width, lower.height), (64, 44));
    for (x, y, colour) in [(64, 64, COLOURS[0]), (256, 64, COLOURS[1]), (64, 192, COLOURS[2])] {
        let found = tile(&format!("{x},{y},64,64"), "64,64").await.at((50, 50));
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6), "{found:?} for {colour:?}");
    }
    assert_eq!(counts.of(RENDERS), 0, "all of these lie in the file");
    // Padding at the right edge is cut off.
    let picture = tile("384,256,5,44", "5,44").await;
    assert_eq!((picture.width, picture.height, counts.of(RENDERS)), (5, 44, 0));
    // Several tiles are joined, whatever part of the last ones is wanted.
    let joined = tile("128,64,190,180", "190,180").await;
    assert_eq!((joined.width, joined.height, counts.of(RENDERS)), (190, 180, 0));
    for (place, colour) in [((10, 10), COLOURS[0]), ((95, 10), COLOURS[1]), ((10, 95), COLOURS[2])] {
        let found = joined.at(place);
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6), "{found:?} for {colour:?}");
    }
    // Off the grid it is drawn.
    let picture = tile("321,0,68,64", "68,64").await;
    assert_eq!((picture.width, counts.of(RENDERS)), (68, 1));
    masters.put("a.tif", fixture("pyramid-jpeg-big.tif"));
    gateway.a_moment();
    gateway.advance(std::time::Duration::from_secs(3600));
    let info = gateway.document(&format!("{image}/info.json")).await;
    assert_eq!(info["width"], 384);
    assert_eq!(tile("128,128,64,64", "64,64").await.width, 64);
    assert_eq!(counts.of(PYRAMIDS), 0);
}

/// What was drawn while somebody wrote into the file is no picture of anything.
#[tokio::test]
async fn a_lent_master_that_is_written_into_is_a_problem_and_nothing_is_kept() {
    let masters = Masters::with([("a.tif", fixture("pyramid-jpeg-edges.tif"))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    gateway.image("/iiif/3/image/maps/a.tif/0,0,64,64/64,64/0/default.jpg").await;
    masters.put("a.tif", fixture("pyramid-jpeg-big.tif"));
    let off_the_grid = "/iiif/3/image/maps/a.tif/3,3,50,50/50,50/0/default.jpg";
    let kept = || files_below(&gateway.cache().join("answers")).len();
    let before = kept();
    assert_eq!(gateway.get(off_the_grid).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(kept(), before);
    gateway.a_moment();
    assert_eq!(gateway.image(off_the_grid).await.width, 50);
}

/// Tiles without smaller levels are no pyramid: it gets one.
#[tokio::test]
async fn a_master_in_tiles_without_halves_gets_a_pyramid() {
    let counts = Counts::start();
    let masters = Masters::with([("a.tif", fixture("jpeg-rgb-tiles-64.tif"))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let info = gateway.document("/iiif/3/image/maps/a.tif/info.json").await;
    assert_eq!(info["tiles"][0]["width"], 64);
    gateway.image("/iiif/3/image/maps/a.tif/0,0,64,64/64,64/0/default.jpg").await;
    made(&counts, 1).await;
    let renders = counts.of(RENDERS);
    let (width, height) = (&info["width"].as_u64().unwrap(), &info["height"].as_u64().unwrap());
    let half = format!("full/{},{}/0/default.jpg", width.div_ceil(2), height.div_ceil(2));
    gateway.image(&format!("/iiif/3/image/maps/a.tif/{half}")).await;
    assert_eq!(counts.of(RENDERS), renders, "it lies there now");
}

/// A tile is the same, with the same headers, whichever way it comes: in front of the stack, where one of its image was
/// handed out before, or through it, as everything does that is not plain.
#[tokio::test]
async fn a_neighbouring_tile_is_the_one_that_the_stack_gives() {
    let counts = Counts::start();
    let masters = Masters::with([("a.tif", fixture("pyramid-jpeg-edges.tif"))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let path = |tile: &str| format!("/iiif/3/image/maps/a.tif/{tile}/0/default.jpg");
    let long_way = async |path: &str| {
        let req = Request::builder().uri(path).header("x-request-id", "7");
        gateway.send(req).await
    };
    for tile in ["0,0,64,64/64,", "64,0,64,64/64,"] {
        assert_eq!(long_way(&path(tile)).await.status(), StatusCode::OK);
        assert_eq!(gateway.get(&path(tile)).await.status(), StatusCode::OK);
    }
    let before = counts.of(TILES);
    for tile in ["64,64,64,64/64,", "0,0,128,128/128,128", "384,0,5,64/5,", "64,256,64,44/,44"] {
        let at_once = gateway.get(&path(tile)).await;
        let stack = long_way(&path(tile)).await;
        assert_eq!((at_once.status(), at_once.body()), (StatusCode::OK, stack.body()), "{tile}");
        let (mut one, mut other) = (at_once.headers().clone(), stack.headers().clone());
        assert_ne!(one.remove("x-request-id"), other.remove("x-request-id"));
        assert_eq!(one, other, "{tile}");
    }
    assert_eq!((counts.of(TILES) - before, counts.of(RENDERS)), (8, 0));
    // What is wrong is told by the stack, and what has to be drawn is drawn there.
    for (tile, status) in [("64,64,64,64/0,", 400), ("900,0,64,64/64,", 400), ("3,3,50,50/50,", 200)] {
        assert_eq!(gateway.get(&path(tile)).await.status(), status, "{tile}");
    }
    let known = long_way(&path("128,0,64,64/64,")).await.headers()["etag"].clone();
    let req = Request::builder().uri(path("128,0,64,64/64,")).header("if-none-match", known);
    assert_eq!(gateway.send(req).await.status(), StatusCode::NOT_MODIFIED);
    // The decision is not outlived.
    masters.put("info.toml", "access = \"restricted\"");
    gateway.a_moment();
    gateway.advance(std::time::Duration::from_secs(3600));
    assert_eq!(gateway.get(&path("192,0,64,64/64,")).await.status(), StatusCode::UNAUTHORIZED);
}

/// A pyramid has no transparency: where the master is too large besides, the answer is that, and no second pyramid.
#[tokio::test]
async fn a_pyramid_that_cannot_serve_is_not_made_again() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", transparent(5000, 5000))]);
    let limits = "[limits]\nmemory = '100MiB'\n";
    let gateway = TestGateway::start(&format!("{limits}{}", masters.source("maps", ""))).await;
    for width in [300, 310, 320] {
        let status = gateway.get(&format!("{MAP}/full/{width},/0/default.png")).await.status();
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    }
    assert_eq!(counts.of(PYRAMIDS), 1);
    assert_eq!(counts.of(PYRAMIDS_WAITING), 0);
    assert_eq!(gateway.image(&tile("full", "300,")).await.width, 300);
}

#[tokio::test]
async fn what_is_transparent_is_drawn_from_the_master() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", fixture("alpha.png"))]);
    let small = "[image]\ntile = 64\n";
    let gateway = TestGateway::start(&format!("{small}{}", masters.source("maps", ""))).await;
    let before = gateway.image(&format!("{MAP}/full/max/0/default.png")).await;
    made(&counts, 1).await;
    let after = gateway.image(&format!("{MAP}/full/90,/0/default.png")).await;
    let alpha = |picture: &crate::support::gateway::Picture| MIDDLES.map(|place| picture.at(place)[3]);
    assert_eq!(alpha(&before), alpha(&after));
    assert!(alpha(&after).iter().any(|alpha| *alpha < 255));
}

/// Bytes of drafts, and how many pyramids are finished.
fn on_disk(cache: &Path) -> (u64, usize) {
    let (drafts, finished): (Vec<_>, Vec<_>) = files_below(&cache.join("pyramids"))
        .into_iter()
        .partition(|path| path.to_string_lossy().contains("drafts"));
    let bytes = |path: &PathBuf| fs::metadata(path).map_or(0, |draft| draft.len());
    (drafts.iter().map(bytes).sum(), finished.len())
}

/// Whatever the moment: what was half done is gone, and made again.
#[test]
fn a_gateway_killed_while_it_makes_a_pyramid_starts_again_and_makes_it() {
    let masters = Masters::with([("a.png", quarters(9000, 7000))]);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let settings = format!("[cache]\ndir = 'cache'\n{}", masters.source("maps", ""));
    fs::write(folder.path().join("loggia.toml"), settings).unwrap();
    let mut first = Process::serve(folder.path());
    let size = |bytes: Vec<u8>| {
        let picture = Picture::read(HeaderMap::new(), bytes.into()).unwrap();
        (picture.width, picture.height)
    };
    let at = |column: u32| tile(&format!("{},0,512,512", column * 512), "512,512");
    let before = first.get(&at(0));
    assert_eq!((before.status, size(before.body.clone())), (200, (512, 512)));
    while on_disk(&cache).0 == 0 {
        assert!(first.lives() && on_disk(&cache).1 == 0, "it was done too soon");
        std::thread::yield_now();
    }
    first.kill();
    assert!(on_disk(&cache).0 > 0 && on_disk(&cache).1 == 0, "{:?}", on_disk(&cache));

    let second = Process::serve(folder.path());
    second.ready();
    assert_eq!(on_disk(&cache), (0, 0), "what was half done is gone");
    assert!(second.get(&at(0)).body == before.body, "a finished answer has outlived it");
    assert_eq!(second.get(&at(1)).status, 200);
    while second.metric(PYRAMIDS) < 1.0 {
        std::thread::yield_now();
    }
    assert_eq!(on_disk(&cache), (0, 1));
    let renders = second.metric(RENDERS);
    let picture = second.get(&at(2));
    assert_eq!((picture.status, size(picture.body), second.metric(RENDERS)), (200, (512, 512), renders));
}

/// Room for a few of many pyramids, and readers of all of them: each answer is right, wherever it came from, and what was
/// not used for long has gone.
#[tokio::test]
async fn pyramids_come_and_go_under_their_readers() {
    let counts = Counts::start();
    const MASTERS: u32 = 12;
    const ROUNDS: u32 = 12;
    let masters = Masters::new();
    (0..MASTERS).for_each(|n| masters.put(&format!("{n}.png"), quarters(1500, 1100)));
    let dir = tempfile::tempdir().unwrap();
    let budget = 512 << 10;
    let cache = format!("[cache]\ndir = '{}'\nmemory = '1MiB'\ndisk = '{budget}'\n", dir.path().display());
    let gateway = TestGateway::start(&format!("{cache}{}", masters.source("maps", ""))).await;
    let reader = async |reader: u32| {
        for round in 0..ROUNDS {
            let (n, width) = ((reader * 5 + round) % MASTERS, 300 + reader * ROUNDS + round);
            let picture =
                gateway.image(&format!("/iiif/3/image/maps/{n}.png/full/{width},/0/default.jpg")).await;
            for (place, colour) in MIDDLES.into_iter().zip(COLOURS) {
                let found = picture.at(place);
                assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6), "{n}: {found:?}");
            }
            let tile = format!("/iiif/3/image/maps/{n}.png/512,0,512,512/512,/0/default.jpg");
            assert_eq!(gateway.image(&tile).await.width, 512);
        }
    };
    futures_util::future::join_all((0..4).map(reader)).await;
    made(&counts, MASTERS.into()).await;
    drop(gateway);
    let files = files_below(&dir.path().join("pyramids"));
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(files.len() < MASTERS as usize && !files.is_empty(), "{} files", files.len());
    assert!(bytes <= budget / 2, "{bytes} bytes");
}
