//! Masters that are pyramids already and lie far away: what is fetched of them, and what is answered.

use std::time::Duration;

use futures_util::future::join_all;
use http::header::ETAG;
use http::{Request, StatusCode};
use loggia::serve::metrics::{ORIGINALS, RANGES, RENDERS, TILES};

use crate::support::archive::{Archive, Page};
use crate::support::counts::Counts;
use crate::support::fake_dam::Fault;
use crate::support::gateway::{TestGateway, files_below};
use crate::support::masters::{Masters, fixture};

const FILE: &str = "/files/1.png";
const IMAGE: &str = "/iiif/3/image/dam/7%2F1";
/// Bytes of nothing between directories and tiles.
const VOID: usize = 4 << 20;

const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;

/// A picture of 384 by 256 in tiles of 64, with its halves, which are exact.
fn pyramid() -> Vec<u8> {
    fixture("pyramid-jpeg-big.tif")
}

fn number(file: &[u8], at: usize) -> usize {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize
}

fn add(file: &mut [u8], at: usize, more: usize) {
    let sum = (number(file, at) + more) as u64;
    file[at..at + 8].copy_from_slice(&sum.to_le_bytes());
}

/// The entries of a tag in all directories of a BigTIFF: where each lies, and how many values it has.
fn entries(file: &[u8], tag: u16) -> Vec<(usize, usize)> {
    let (mut found, mut directory) = (Vec::new(), number(file, 8));
    while directory != 0 {
        let count = number(file, directory);
        let entries = (0..count).map(|index| directory + 8 + index * 20);
        let ours = |at: &usize| file[*at..*at + 2] == tag.to_le_bytes();
        found.extend(entries.filter(ours).map(|at| (at, number(file, at + 4))));
        directory = number(file, directory + 8 + count * 20);
    }
    found
}

/// The file, nothing for a long while, and the file once more: there the tiles are to be found.
fn far_tiles(file: &[u8]) -> Vec<u8> {
    let far = file.len() + VOID;
    let mut near = file.to_vec();
    for (entry, count) in entries(file, TILE_OFFSETS) {
        let table = if count == 1 { entry + 12 } else { number(file, entry + 12) };
        (0..count).for_each(|index| add(&mut near, table + 8 * index, far));
    }
    [&near[..], &vec![0; VOID], file].concat()
}

/// The same, but the tables of the tiles are what is far away.
fn far_tables(file: &[u8]) -> Vec<u8> {
    let far = file.len() + VOID;
    let mut near = file.to_vec();
    for (entry, count) in entries(file, TILE_OFFSETS) {
        (count > 1).then(|| add(&mut near, entry + 12, far));
    }
    [&near[..], &vec![0; VOID], file].concat()
}

/// A gateway before an archive of this one file.
async fn before(page: Page) -> (TestGateway, Archive) {
    let archive = Archive::start(&[page]).await;
    (TestGateway::start(&archive.source("")).await, archive)
}

/// What was asked for of the file since the last look, and how many bytes came.
struct Traffic<'a>(&'a Archive, usize);

impl<'a> Traffic<'a> {
    fn of(archive: &'a Archive) -> Self {
        Self(archive, archive.dam.sent())
    }

    fn since(&mut self) -> (usize, usize) {
        let asked = self.0.dam.asked(FILE);
        self.0.dam.requests();
        let before = std::mem::replace(&mut self.1, self.0.dam.sent());
        (asked, self.1 - before)
    }
}

fn path(request: &str) -> String {
    format!("{IMAGE}/{request}")
}

/// The same request, and its kind: as it lies, joined or drawn.
const REQUESTS: [&str; 12] = [
    "0,0,64,64/64,64/0/default.jpg",
    "320,192,64,64/64,64/0/default.jpg",
    "0,0,128,128/64,64/0/default.jpg",
    "64,64,128,128/128,128/0/default.jpg",
    "256,128,128,128/64,64/0/default.jpg",
    "128,64,250,100/250,100/0/default.jpg",
    "full/max/0/default.jpg",
    "full/96,64/0/default.jpg",
    "full/100,/0/default.jpg",
    "30,40,100,90/50,/0/default.png",
    "full/80,/90/gray.webp",
    "0,0,64,64/64,64/!0/default.jpg",
];

#[tokio::test]
async fn a_tile_costs_one_request_and_its_bytes() {
    let counts = Counts::start();
    let (gateway, archive) = before(Page::of(far_tiles(&pyramid()))).await;
    let mut traffic = Traffic::of(&archive);
    let info = gateway.document(&path("info.json")).await;
    assert_eq!((&info["width"], &info["tiles"][0]["width"]), (&384.into(), &64.into()));
    let (asked, sent) = traffic.since();
    assert_eq!((asked, sent), (1, 64 << 10), "the header");
    for request in REQUESTS {
        gateway.image(&path(request)).await;
        let (asked, sent) = traffic.since();
        assert_eq!(asked, 1, "{request}: of what it needs all lies together");
        assert!(sent < 6 << 10, "{request}: {sent} bytes");
        gateway.image(&path(request)).await;
        assert_eq!(traffic.since(), (0, 0), "{request}, again");
    }
    assert_eq!((counts.of(ORIGINALS), counts.of(RANGES)), (0, REQUESTS.len() as u64));
    assert_eq!((counts.of(TILES), counts.of(RENDERS)), (8, 4));
    assert!(files_below(&gateway.cache().join("originals")).is_empty());
}

#[tokio::test]
async fn the_answers_are_those_of_a_file_at_hand() {
    for name in ["pyramid-jpeg-big.tif", "pyramid-jpeg-edges.tif"] {
        let (far, _archive) = before(Page::of(fixture(name))).await;
        let masters = Masters::with([("a.tif", fixture(name))]);
        let near = TestGateway::start(&masters.source("maps", "")).await;
        let edges = ["384,256,5,44/5,44/0/default.jpg", "64,256,64,44/64,44/0/default.jpg"];
        let edges = edges.iter().filter(|_| name.contains("edges"));
        // Twice: what is drawn first may be found the second time.
        for request in REQUESTS.iter().chain(edges).chain(&REQUESTS) {
            let near = near.image(&format!("/iiif/3/image/maps/a.tif/{request}")).await;
            let far = far.image(&path(request)).await;
            assert_eq!((near.width, near.height), (far.width, far.height), "{name} {request}");
            assert!(near.bytes == far.bytes, "{name} {request}");
        }
    }
}

/// One name for one picture, however it was come by.
#[tokio::test]
async fn a_tag_stays_and_a_tile_is_fetched_once_for_good() {
    let (gateway, archive) = before(Page::of(far_tiles(&pyramid()))).await;
    let mut tags = Vec::new();
    for request in REQUESTS {
        tags.push(gateway.image(&path(request)).await.headers[ETAG].clone());
    }
    let gateway = gateway.restart().await;
    let mut traffic = Traffic::of(&archive);
    traffic.since();
    for (request, tag) in REQUESTS.iter().zip(&tags) {
        let known = Request::builder().uri(path(request)).header("if-none-match", tag);
        assert_eq!(gateway.send(known).await.status(), StatusCode::NOT_MODIFIED, "{request}");
        assert_eq!(gateway.image(&path(request)).await.headers[ETAG], tag, "{request}");
    }
    assert_eq!(traffic.since(), (0, 0));
    let masters = Masters::with([("a.tif", pyramid())]);
    let near = TestGateway::start(&masters.source("maps", "")).await;
    let tag = async || {
        near.image("/iiif/3/image/maps/a.tif/0,0,64,64/64,64/0/default.jpg").await.headers[ETAG].clone()
    };
    assert_eq!(tag().await, tag().await);
}

#[tokio::test]
async fn many_who_want_a_tile_cost_one_request() {
    let (gateway, archive) = before(Page::of(far_tables(&pyramid()))).await;
    gateway.document(&path("info.json")).await;
    let mut traffic = Traffic::of(&archive);
    traffic.since();
    let tile = path(REQUESTS[0]);
    let answers = join_all((0..16).map(|_| gateway.get(&tile))).await;
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    let (asked, sent) = traffic.since();
    assert_eq!(asked, 2, "its tables, which are far away, and it");
    assert!(sent < 16 << 10, "{sent}");
    // Tables are read once for all tiles.
    let others: Vec<_> = (1..6).map(|n| path(&format!("{},0,64,64/64,64/0/default.jpg", 64 * n))).collect();
    let answers = join_all(others.iter().map(|tile| gateway.get(tile))).await;
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(traffic.since().0, 5);
}

#[tokio::test]
async fn a_server_that_is_deaf_for_ranges_is_asked_for_the_file_once() {
    for fault in [Fault::Deaf, Fault::Shorter] {
        let counts = Counts::start();
        let (gateway, archive) = before(Page::of(far_tiles(&pyramid()))).await;
        gateway.document(&path("info.json")).await;
        archive.dam.fault_at(FILE, fault);
        let mut traffic = Traffic::of(&archive);
        traffic.since();
        gateway.image(&path(REQUESTS[0])).await;
        assert_eq!(traffic.since().0, 2, "{fault:?}: one part, then all of it");
        for request in REQUESTS {
            gateway.image(&path(request)).await;
        }
        assert_eq!((traffic.since(), counts.of(ORIGINALS)), ((0, 0), 1), "{fault:?}");
    }
}

/// One tag, one picture: also where parts cannot be had, for once or for good, after others were had.
#[tokio::test]
async fn a_tag_names_the_same_bytes_however_the_file_was_read() {
    let without_halves = fixture("jpeg-rgb-tiles-64.tif");
    let tile = [REQUESTS[0]];
    for (file, requests) in [(far_tiles(&pyramid()), &REQUESTS[..]), (without_halves, &tile)] {
        let archive = Archive::start(&[Page::of(file)]).await;
        let asked = async |gateway: &TestGateway| {
            let mut found = Vec::new();
            for request in requests {
                let picture = gateway.image(&path(request)).await;
                found.push((picture.headers[ETAG].clone(), picture.bytes));
            }
            found
        };
        let gateway = TestGateway::start(&archive.source("")).await;
        let in_parts = asked(&gateway).await;
        // The last disk has no room for such a file: it is held in memory for each answer.
        let dir = tempfile::tempdir().unwrap();
        let full = format!("[cache]\ndir = '{}'\ndisk = '1MiB'\n", dir.path().display());
        for (fault, disk) in [(Fault::Deaf, ""), (Fault::Shorter, ""), (Fault::Deaf, &*full)] {
            let gateway = TestGateway::start(&format!("{disk}{}", archive.source(""))).await;
            gateway.document(&path("info.json")).await;
            archive.dam.fault_at(FILE, fault);
            assert!(asked(&gateway).await == in_parts, "{fault:?} {disk}");
            archive.dam.fault(None);
            assert!(asked(&gateway).await == in_parts, "{fault:?} {disk}, again");
        }
    }
}

/// Nobody could tell whether two parts are of one file.
#[tokio::test]
async fn a_file_without_a_version_is_fetched_as_a_whole() {
    let counts = Counts::start();
    let (gateway, archive) = before(Page { tag: None, ..Page::of(far_tiles(&pyramid())) }).await;
    for request in REQUESTS {
        gateway.image(&path(request)).await;
    }
    assert_eq!((counts.of(ORIGINALS), counts.of(RANGES)), (1, 0));
    assert_eq!(archive.dam.asked(FILE), 2, "a look at its header, and the whole");
}

#[tokio::test]
async fn a_file_that_changes_between_two_requests_is_a_problem_and_nothing_of_it_is_kept() {
    let page = || Page { tag: Some("\"EPOCH\""), ..Page::of(far_tiles(&pyramid())) };
    // It is another one: longer, or of another version, or gone but for its beginning.
    type Change = fn(&Archive);
    let changes: [(&str, Change); 4] = [
        ("longer", |archive| archive.swap(1, &[&far_tiles(&pyramid())[..], b"more"].concat())),
        ("another", |archive| archive.dam.expire()),
        ("said to be longer", |archive| archive.dam.fault_at(FILE, Fault::Longer)),
        ("short", |archive| archive.swap(1, &far_tiles(&pyramid())[..100_000])),
    ];
    for (case, change) in changes {
        let (gateway, archive) = before(page()).await;
        let before = gateway.image(&path(REQUESTS[0])).await;
        change(&archive);
        let res = gateway.get(&path(REQUESTS[1])).await;
        assert_eq!(res.status(), StatusCode::BAD_GATEWAY, "{case}");
        if case == "short" {
            assert_eq!(gateway.get(&path(REQUESTS[0])).await.status(), StatusCode::BAD_GATEWAY, "{case}");
            continue;
        }
        // The tables are read anew, and then it is one file again: nothing is told that was made of another.
        gateway.image(&path(REQUESTS[1])).await;
        let req = Request::get(path(REQUESTS[0])).header("if-none-match", &before.headers[ETAG]);
        let after = gateway.send(req).await;
        assert_eq!(after.status(), StatusCode::OK, "{case}");
        assert_ne!(after.headers()[ETAG], before.headers[ETAG], "{case}");
        assert!(files_below(&gateway.cache().join("originals")).is_empty(), "{case}");
    }
}

/// Several servers behind one name, each with a word of its own for the same file.
#[tokio::test]
async fn a_file_that_changes_again_and_again_is_fetched_as_a_whole() {
    let (gateway, archive) = before(Page { tag: Some("\"EPOCH\""), ..Page::of(far_tiles(&pyramid())) }).await;
    let mut answers = Vec::new();
    for request in &REQUESTS[..6] {
        let res = gateway.get(&path(request)).await;
        answers.push(res.status().as_u16());
        archive.dam.expire();
    }
    assert_eq!(answers, [200, 502, 200, 502, 200, 200]);
}

/// What is away for a moment is not forgotten.
#[tokio::test]
async fn a_source_that_is_away_is_asked_again() {
    let (gateway, archive) = before(Page::of(far_tiles(&pyramid()))).await;
    gateway.image(&path(REQUESTS[0])).await;
    archive.dam.fault_at(FILE, Fault::Away);
    assert_eq!(gateway.get(&path(REQUESTS[1])).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    archive.dam.fault(None);
    gateway.advance(Duration::from_secs(30));
    let mut traffic = Traffic::of(&archive);
    traffic.since();
    gateway.image(&path(REQUESTS[1])).await;
    let (asked, sent) = traffic.since();
    assert!(asked == 1 && sent < 1 << 10, "{asked} requests, {sent} bytes");
}

/// Tables may say anything. One that claims to be longer than there are tiles is read as far as there are.
#[tokio::test]
async fn hostile_tables_are_a_problem_and_cost_little() {
    let far = u64::MAX as usize;
    type Spoil = fn(&mut Vec<u8>, usize);
    let spoils: [(&str, Spoil); 4] = [
        ("tiles beyond the end", |file, far| {
            let table = number(file, entries(file, TILE_OFFSETS)[0].0 + 12);
            (0..24).for_each(|index| {
                file[table + 8 * index..][..8].copy_from_slice(&(far as u64 - 9).to_le_bytes())
            });
        }),
        ("tiles of gigabytes", |file, far| {
            let table = number(file, entries(file, TILE_LENGTHS)[0].0 + 12);
            (0..24).for_each(|index| {
                file[table + 4 * index..][..4].copy_from_slice(&(far as u32).to_le_bytes())
            });
        }),
        ("a table beyond the end", |file, far| {
            let at = entries(file, TILE_OFFSETS)[0].0 + 12;
            file[at..at + 8].copy_from_slice(&(far as u64 - 200).to_le_bytes());
        }),
        ("an endless table", |file, far| {
            let at = entries(file, TILE_OFFSETS)[0].0 + 4;
            file[at..at + 8].copy_from_slice(&(far as u64 / 8).to_le_bytes());
        }),
    ];
    for (case, spoil) in spoils {
        let mut file = far_tiles(&pyramid());
        spoil(&mut file, far);
        let (gateway, archive) = before(Page::of(file)).await;
        let mut traffic = Traffic::of(&archive);
        for request in ["0,0,64,64/64,64/0/default.jpg", "0,0,64,64/50,/0/default.png"] {
            let res = gateway.get(&path(request)).await;
            let expected = if case == "an endless table" { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
            assert_eq!(res.status(), expected, "{case} {request}");
        }
        let (asked, sent) = traffic.since();
        assert!(asked <= 4 && sent <= 256 << 10, "{case}: {asked} requests, {sent} bytes");
    }
}

/// All tiles are the same one.
#[tokio::test]
async fn tiles_that_lie_one_upon_another_are_fetched_once() {
    let mut file = pyramid();
    for tag in [TILE_OFFSETS, TILE_LENGTHS] {
        let (table, width) =
            (number(&file, entries(&file, tag)[0].0 + 12), if tag == TILE_OFFSETS { 8 } else { 4 });
        let first = file[table..table + width].to_vec();
        (1..24).for_each(|index| file[table + width * index..][..width].copy_from_slice(&first));
    }
    let length = file.len();
    let (gateway, archive) = before(Page::of(far_tiles(&file))).await;
    gateway.document(&path("info.json")).await;
    let mut traffic = Traffic::of(&archive);
    traffic.since();
    gateway.image(&path("full/max/0/default.jpg")).await;
    let (asked, sent) = traffic.since();
    assert!(asked == 1 && sent < length / 4, "{asked} requests, {sent} bytes");
}
