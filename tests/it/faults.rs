//! Sources that are away, slow or talk nonsense, masters made to hurt, paths that lead out, disks that are full.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode};
use loggia::serve::metrics::{ASKED, ORIGINALS, RENDERS};
use serde_json::{Value, json};

use crate::support::archive::{Archive, Page};
use crate::support::counts::Counts;
use crate::support::fake_dam::Fault;
use crate::support::gateway::{TestGateway, files_below};
use crate::support::logs::Logs;
use crate::support::masters::{Masters, fixture, fixtures, quarters, tiny};
use crate::support::port::free_port;
use crate::support::process::{Process, status_of};

const MANIFEST: &str = "/iiif/3/manifest/dam/7";
const LISTED: &str = "/iiif/3/collection/dam";
const INFO: &str = "/iiif/3/image/dam/7%2F1/info.json";
const PICTURE: &str = "/iiif/3/image/dam/7%2F1/full/150,/0/default.jpg";

async fn dam() -> (TestGateway, Archive) {
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    (TestGateway::start(&archive.source("")).await, archive)
}

/// The words of a problem, which hold nothing that the source said and nothing that is secret.
#[track_caller]
fn detail(res: &Response<Bytes>) -> String {
    assert_eq!(res.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_slice(res.body()).unwrap();
    let detail = problem["detail"].as_str().unwrap().to_owned();
    let all = format!("{problem} {:?}", res.headers());
    for secret in [
        "s3cret",
        "key_identity",
        "oh no",
        "slow down",
        "out for lunch",
        "Hello",
        "{\"begin",
        "elsewhere.example.net",
        "127.0.0.1",
    ] {
        assert!(!all.contains(secret), "`{secret}` in {all}");
    }
    detail
}

fn retry_after(res: &Response<Bytes>) -> Option<u64> {
    res.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

#[tokio::test]
async fn a_source_in_trouble_is_named_and_nothing_of_it_is_kept() {
    for (fault, status, retry, words) in [
        (Fault::Broken, 503, true, ["`dam`", "500"]),
        (Fault::Away, 503, true, ["`dam`", "503"]),
        (Fault::TooMany, 503, true, ["`dam`", "429"]),
        (Fault::Cut, 503, true, ["`dam`", "broke off"]),
        (Fault::Elsewhere, 502, false, ["`dam`", "may not be asked"]),
        (Fault::Html, 502, false, ["`dam`", "JSON"]),
    ] {
        for address in [MANIFEST, LISTED, INFO, PICTURE] {
            let (gateway, archive) = dam().await;
            archive.dam.fault(Some(fault));
            let res = gateway.get(address).await;
            let said = detail(&res);
            assert_eq!(res.status(), status, "{fault:?} {address}: {said}");
            assert!(words.iter().all(|word| said.contains(word)), "{fault:?} {address}: {said}");
            assert_eq!(retry_after(&res).is_some(), retry, "{fault:?} {address}");

            archive.dam.fault(None);
            gateway.advance(Duration::from_secs(30));
            assert_eq!(gateway.get(address).await.status(), StatusCode::OK, "{fault:?} {address}, mended");
        }
    }
}

/// Such a request names a host where others name a path: nothing else could be said of it.
#[tokio::test]
async fn nobody_is_connected_through_the_gateway() {
    let (gateway, _archive) = dam().await;
    let res = gateway.send(http::Request::connect("dam.example.org:443")).await;
    assert_eq!(
        (res.status(), detail(&res).as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "expected one of the methods GET, HEAD, OPTIONS")
    );
}

/// With it an operator finds the cause of what somebody complains about.
#[tokio::test]
async fn the_cause_of_a_failure_has_the_id_of_its_request() {
    for (address, about) in [(MANIFEST, "item{source=dam id=7}"), (PICTURE, "file{source=dam id=7/1}")] {
        let logs = Logs::start();
        let (gateway, archive) = dam().await;
        archive.dam.fault_at(if address == MANIFEST { "/api/" } else { "/files/" }, Fault::Cut);
        let res = gateway.get(address).await;
        assert_eq!(res.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", detail(&res));
        let id = res.headers()["x-request-id"].to_str().unwrap();
        let logged = logs.text();
        let mut causes = logged.lines().filter(|line| line.contains("a source gave no answer"));
        assert!(causes.all(|line| line.contains(id) && line.contains(about)), "{id}: {logged}");
        assert!(logged.contains("a source gave no answer") && logged.contains("broke off"), "{logged}");
    }
}

/// The time that the source names is passed on.
#[tokio::test]
async fn the_time_to_wait_is_the_one_that_the_source_tells() {
    for (fault, seconds) in [(Fault::TooMany, 7), (Fault::Away, 9)] {
        let (gateway, archive) = dam().await;
        archive.dam.fault(Some(fault));
        assert_eq!(retry_after(&gateway.get(MANIFEST).await), Some(seconds));
    }
}

#[tokio::test]
async fn a_source_that_is_not_there_is_away() {
    let port = free_port();
    let source = format!("[sources.dam]\nadapter = 'omeka-s'\nbase = 'http://127.0.0.1:{port}'\n");
    let gateway = TestGateway::start(&source).await;
    tokio::time::pause();
    let res = gateway.get(MANIFEST).await;
    assert_eq!(res.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", detail(&res));
    assert!(retry_after(&res).is_some() && detail(&res).contains("`dam`"), "{}", detail(&res));
    // The other sources, and those who ask for health, hear nothing of it.
    assert_eq!(gateway.get("/health").await.status(), StatusCode::OK);
    gateway.document("/iiif/3/collection/top").await;
}

#[tokio::test]
async fn a_source_that_never_answers_is_slow() {
    let (gateway, archive) = dam().await;
    archive.dam.fault(Some(Fault::Silent));
    // Time stands still but for those who wait.
    tokio::time::pause();
    for address in [MANIFEST, LISTED, INFO, PICTURE] {
        let res = gateway.get(address).await;
        let said = detail(&res);
        assert!(matches!(res.status().as_u16(), 503 | 504), "{address}: {} {said}", res.status());
        assert!(retry_after(&res).is_some(), "{address}: {said}");
        assert!(said.contains("`dam`"), "{address}: {said}");
    }
}

#[tokio::test]
async fn a_record_that_is_old_is_better_than_none() {
    let logs = Logs::start();
    let (gateway, archive) = dam().await;
    let fresh = gateway.document(MANIFEST).await;
    let listed = gateway.document(LISTED).await;
    gateway.image(PICTURE).await;
    for fault in [Fault::Broken, Fault::Away, Fault::Cut, Fault::Html] {
        archive.dam.fault(Some(fault));
        gateway.advance(Duration::from_secs(11 * 60));
        assert_eq!(gateway.document(MANIFEST).await, fresh, "{fault:?}");
        assert_eq!(gateway.document(LISTED).await, listed, "{fault:?}");
        gateway.image(PICTURE).await;
        // Drawn anew from the master that is kept.
        gateway.image(&PICTURE.replace("150,", &format!("{},", 20 + fault as usize))).await;
    }
    let line = logs.text().lines().find(|line| line.contains("an older record stands in")).map(str::to_owned);
    let line = line.expect("the operator hears of it");
    assert!(line.contains("WARN") && line.contains("dam") && line.contains("age_s=660"), "{line}");
    assert!(!logs.text().contains("s3cret"), "a secret is in the log");

    // Not for ever: a week by default.
    gateway.advance(Duration::from_secs(8 * 24 * 3600));
    assert!(gateway.get(MANIFEST).await.status().is_server_error());
    archive.dam.fault(None);
    gateway.advance(Duration::from_secs(60));
    assert_eq!(gateway.document(MANIFEST).await, fresh);
}

/// What does not say who may see it closes the item, whatever was known; a list of another shape says nothing.
#[tokio::test]
async fn an_answer_of_another_shape_opens_nothing() {
    let counts = Counts::start();
    let (gateway, archive) = dam().await;
    let listed = gateway.document(LISTED).await;
    gateway.image(PICTURE).await;
    archive.dam.fault(Some(Fault::Shape));
    gateway.advance(Duration::from_secs(11 * 60));
    for address in [MANIFEST, INFO, PICTURE] {
        assert_eq!(gateway.get(address).await.status(), StatusCode::NOT_FOUND, "{address}");
    }
    assert_eq!(gateway.document(LISTED).await, listed);
    // Who asks hears of it before the gateway has read all: item and list, twice.
    while counts.of(ASKED) < 4 {
        tokio::task::yield_now().await;
    }
    archive.dam.fault(None);
    gateway.advance(Duration::from_secs(11 * 60));
    gateway.document(MANIFEST).await;
    gateway.image(PICTURE).await;
}

/// Somebody waits a moment for it, the others not at all; what it says in the end is heard.
#[tokio::test]
async fn a_slow_source_is_no_reason_to_wait_for_what_is_known() {
    let (gateway, archive) = dam().await;
    let fresh = gateway.document(MANIFEST).await;
    gateway.image(PICTURE).await;
    gateway.advance(Duration::from_secs(11 * 60));
    archive.dam.requests();
    archive.dam.hold("/api/");
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(gateway.document(MANIFEST).await, fresh);
        gateway.image(PICTURE).await;
    }
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(archive.dam.asked("/api/items/7"), 1);
    archive.dam.release();
    gateway.document(LISTED).await;
}

#[tokio::test]
async fn a_record_outlives_a_restart_while_its_source_is_away() {
    let (gateway, archive) = dam().await;
    let fresh = gateway.document(MANIFEST).await;
    gateway.advance(Duration::from_secs(3600));
    archive.dam.fault(Some(Fault::Broken));
    let gateway = gateway.restart().await;
    assert_eq!(gateway.document(MANIFEST).await, fresh);
}

#[tokio::test]
async fn what_was_missing_may_come_and_what_was_there_may_go() {
    let masters = Masters::with([("a.png", tiny())]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    assert_eq!(gateway.get("/iiif/3/manifest/maps/b.png").await.status(), StatusCode::NOT_FOUND);
    masters.put("b.png", tiny());
    gateway.a_moment();
    gateway.document("/iiif/3/manifest/maps/b.png").await;

    let (gateway, _archive) = dam().await;
    let res = gateway.get("/iiif/3/manifest/dam/8").await;
    assert_eq!((res.status(), retry_after(&res)), (StatusCode::NOT_FOUND, None));
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_taken_up_where_it_was() {
    let counts = Counts::start();
    let (gateway, archive) = dam().await;
    gateway.document(INFO).await;
    archive.dam.requests();
    archive.dam.fault_at("/files/", Fault::Half);
    gateway.image(PICTURE).await;
    assert_eq!(archive.dam.asked("/files/"), 2, "the beginning, then the rest");
    assert_eq!((counts.of(ORIGINALS), counts.of(RENDERS)), (1, 1));
}

#[tokio::test]
async fn half_a_master_is_no_master_and_is_not_kept() {
    // Without a validator nobody knows whether the rest would be of the same file.
    let archive = Archive::start(&[Page { tag: None, ..Page::of(quarters(300, 200)) }]).await;
    let gateway = TestGateway::start(&archive.source("")).await;
    gateway.document(INFO).await;
    archive.dam.fault_at("/files/", Fault::Half);
    let res = gateway.get(PICTURE).await;
    assert!(matches!(res.status().as_u16(), 502 | 503), "{}", detail(&res));
    assert!(detail(&res).contains("`dam`"));
    assert_eq!(files_below(&gateway.cache().join("originals")), Vec::<std::path::PathBuf>::new());
    archive.dam.fault(None);
    gateway.image(PICTURE).await;
    assert_eq!(files_below(&gateway.cache().join("originals")).len(), 1);
}

/// Files that are cut short, lie about themselves or want all memory there is.
#[tokio::test]
async fn hostile_masters_get_a_sentence_and_leave_nothing_behind() {
    /// Odd, but the picture itself is fine.
    const FINE: [&str; 3] = ["tiff-loop.tif", "png-profile-bomb.png", "jpeg-1x1.jpg"];
    let masters = Masters::new();
    let mut names = Vec::new();
    for entry in fixtures().join("broken").read_dir().unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        masters.put(names.last().unwrap(), fs::read(entry.path()).unwrap());
    }
    for name in
        ["baseline.jpg", "rgb.png", "none.tif", "lossy.webp", "plain.gif", "lossy-tiles.jp2", "plain.j2k"]
    {
        let (file, short) = (fixture(name), format!("short-{name}"));
        masters.put(&short, &file[..file.len() * 2 / 3]);
        names.push(short);
    }
    names.retain(|name| !FINE.contains(&name.as_str()));
    masters.put("good.png", tiny());
    let settings = format!("[limits]\nmemory = '64MiB'\n{}", masters.source("maps", ""));
    let gateway = TestGateway::start(&settings).await;
    for name in &names {
        for parameters in ["full/max/0/default.jpg", "full/20,10/0/default.png", "full/!16,16/45/gray.webp"] {
            let res = gateway.get(&format!("/iiif/3/image/maps/{name}/{parameters}")).await;
            // A region or a size of a picture so large can be wrong by itself.
            let refused = matches!(res.status().as_u16(), 400 | 404 | 501 | 502);
            assert!(refused, "{name} {parameters}: {}", res.status());
            assert!(detail(&res).len() < 500, "{name}: {}", detail(&res));
        }
        for address in ["3/manifest", "2/manifest"] {
            let status = gateway.get(&format!("/iiif/{address}/maps/{name}")).await.status();
            assert!(matches!(status.as_u16(), 200 | 404 | 501 | 502), "{name}: {status}");
        }
    }
    for file in files_below(&gateway.cache()) {
        let bytes = fs::read(&file).unwrap();
        for signature in [b"\xff\xd8\xff".as_slice(), b"\x89PNG", b"RIFF"] {
            assert!(
                !bytes.windows(signature.len()).any(|part| part == signature),
                "a picture is in {}",
                file.display()
            );
        }
    }
    assert_eq!(gateway.get("/health").await.status(), StatusCode::OK);
    gateway.image("/iiif/3/image/maps/good.png/full/max/0/default.jpg").await;
    gateway.document("/iiif/3/collection/maps").await;
}

/// A JPEG 2000 in one tile: there is room for its halves.
#[tokio::test]
async fn of_a_master_that_is_too_large_the_coarse_is_given() {
    let masters = Masters::new();
    masters.put("map.jp2", fixture("large/one-tile.jp2"));
    let settings = format!("[limits]\nmemory = '64MiB'\n{}", masters.source("maps", ""));
    let gateway = TestGateway::start(&settings).await;
    let info = gateway.document("/iiif/3/image/maps/map.jp2/info.json").await;
    assert_eq!((&info["width"], &info["height"]), (&2200.into(), &1500.into()));
    gateway.image("/iiif/3/image/maps/map.jp2/full/1100,750/0/default.jpg").await;
    gateway.image("/iiif/3/image/maps/map.jp2/0,0,1024,1024/512,512/0/default.jpg").await;
    let res = gateway.get("/iiif/3/image/maps/map.jp2/0,0,512,512/512,512/0/default.jpg").await;
    assert_eq!(res.status(), StatusCode::NOT_IMPLEMENTED);
    assert!(detail(&res).contains("`limits.memory`"), "{}", detail(&res));
    gateway.image("/iiif/3/image/maps/map.jp2/full/275,188/0/default.jpg").await;
}

/// One page that cannot be read does not take the book with it.
#[tokio::test]
async fn a_broken_page_leaves_the_others_readable() {
    let masters = Masters::with([
        ("book/p1.png", tiny()),
        ("book/p2.png", fixture("rgb.png")[..40].to_vec()),
        ("book/p3.png", tiny()),
    ]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let manifest = gateway.document("/iiif/3/manifest/maps/book").await;
    let painted = manifest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|canvas| canvas["items"].as_array().map_or(0, Vec::len));
    assert_eq!(painted.collect::<Vec<_>>(), [1, 0, 1]);
    gateway.document("/iiif/2/manifest/maps/book").await;
    gateway.image("/iiif/3/image/maps/book%2Fp3.png/full/max/0/default.jpg").await;
    assert_eq!(
        gateway.get("/iiif/3/image/maps/book%2Fp2.png/info.json").await.status(),
        StatusCode::BAD_GATEWAY
    );
    // Mended, it is there.
    masters.put("book/p2.png", tiny());
    gateway.a_moment();
    gateway.image("/iiif/3/image/maps/book%2Fp2.png/full/max/0/default.jpg").await;
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = outer.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("secret.png", &quarters(77, 55));
    put("private/p1.png", &quarters(77, 55));
    put("private/info.toml", b"label = 'TOP SECRET'");
    put("masters/a.png", &tiny());
    put("masters/book/p1.png", &tiny());
    let root = outer.path().join("masters");
    std::os::unix::fs::symlink(outer.path().join("private"), root.join("link")).unwrap();
    let source = format!("[sources.maps]\nadapter = 'folder'\npath = '{}'\n", root.display());
    let gateway = TestGateway::start(&source).await;
    let absolute = outer.path().join("secret.png").display().to_string();
    let ids = [
        "../secret.png",
        "..%2fsecret.png",
        "..%2Fsecret.png",
        "%2e%2e/secret.png",
        "%2e%2e%2fsecret.png",
        "..%5csecret.png",
        "..%5Csecret.png",
        "%252e%252e%252fsecret.png",
        "..%252fsecret.png",
        "..%c0%afsecret.png",
        "..%ef%bc%8fsecret.png",
        ".%2e%2Fsecret.png",
        "book%2F..%2F..%2Fsecret.png",
        "book/../../secret.png",
        "a.png%2F..%2F..%2Fsecret.png",
        "..%2Fprivate",
        "..%2Fprivate%2Fp1.png",
        "../private",
        "link",
        "link%2Fp1.png",
        "link%2F..%2Fsecret.png",
        "..%2Fmasters%2Fa.png",
        ".%2Fa.png",
        "book%2F%2Fp1.png",
        "book%2F.%2Fp1.png",
        "..",
        "%2e%2e",
        ".",
        "secret.png%00.png",
        "a.png%00",
        "%00",
        "~%2Fsecret.png",
        "file:%2F%2F%2Fetc%2Fpasswd",
    ];
    let absolute = [
        absolute.replace('/', "%2F"),
        absolute.clone(),
        "%2Fetc%2Fpasswd".to_owned(),
        "/etc/passwd".to_owned(),
    ];
    for id in ids.iter().copied().chain(absolute.iter().map(String::as_str)) {
        for address in [
            format!("/iiif/3/manifest/maps/{id}"),
            format!("/iiif/2/manifest/maps/{id}"),
            format!("/iiif/manifest/maps/{id}"),
            format!("/item/maps/{id}"),
            format!("/iiif/3/collection/maps/{id}"),
            format!("/iiif/3/canvas/maps/{id}/p1-png"),
            format!("/iiif/3/canvas/maps/book/{id}"),
            format!("/iiif/3/image/maps/{id}/info.json"),
            format!("/iiif/3/image/maps/{id}/full/max/0/default.png"),
            format!("/iiif/2/image/maps/{id}/full/full/0/default.png"),
        ] {
            let res = gateway.get(&address).await;
            assert!(matches!(res.status().as_u16(), 400 | 404), "{address}: {}", res.status());
            let text = String::from_utf8_lossy(res.body()).into_owned();
            assert!(!text.contains("TOP SECRET") && !text.contains("root:"), "{address}: {text}");
            assert!(
                !text.contains(outer.path().to_str().unwrap())
                    || address.contains(outer.path().to_str().unwrap())
                    || address.contains("%2F"),
                "{text}"
            );
        }
    }
    let listed = gateway.document("/iiif/3/collection/maps").await.to_string();
    assert!(!listed.contains("SECRET") && !listed.contains("link"), "{listed}");
}

/// Pictures, and all that needs no disk, go on; the operator hears of it once a minute.
#[tokio::test]
async fn answers_go_on_without_a_disk() {
    let logs = Logs::start();
    let (gateway, archive) = dam().await;
    take_away(&gateway.cache());
    for width in 100..110 {
        let address = PICTURE.replace("150,", &format!("{width},"));
        assert_eq!(gateway.image(&address).await.width, width);
    }
    gateway.document(MANIFEST).await;
    gateway.document(INFO).await;
    assert!(archive.dam.asked("/files/") > 1, "the master is fetched anew");
    let text = logs.text();
    let warned = text
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("is unavailable, going on without"));
    assert_eq!(warned.count(), 1, "{text}");
}

/// Puts a file where a folder was: nothing below it can be read or written, for root neither.
fn take_away(folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::write(folder, "no folder").unwrap();
}

/// As on a disk that is full when most of a file is written.
#[tokio::test]
async fn masters_that_cannot_be_put_down_are_held_in_memory() {
    let logs = Logs::start();
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let gateway = TestGateway::start(&archive.source("")).await;
    for folder in 0..=255 {
        fs::write(gateway.cache().join(format!("originals/{folder:02x}")), "no folder").unwrap();
    }
    for width in 100..105 {
        assert_eq!(gateway.image(&PICTURE.replace("150,", &format!("{width},"))).await.width, width);
    }
    let warned = logs.text().matches("masters cannot be kept on disk").count();
    assert_eq!(warned, 1, "once a minute");
}

#[tokio::test]
async fn answers_go_on_with_hardly_any_disk() {
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let dir = tempfile::tempdir().unwrap();
    let cache =
        format!("[cache]\ndir = '{}'\ndisk = '4KiB'\nmemory = '4KiB'\n", dir.path().join("cache").display());
    let gateway = TestGateway::start(&format!("{cache}{}", archive.source(""))).await;
    for width in [150, 151, 150] {
        assert_eq!(gateway.image(&PICTURE.replace("150,", &format!("{width},"))).await.width, width);
    }
    gateway.document(MANIFEST).await;
    let kept: u64 = files_below(dir.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(kept <= 4096, "{kept} bytes are kept");
}

/// A folder of originals with room for 300 KiB, and memory for 12 MiB.
#[tokio::test]
async fn a_master_that_the_disk_has_no_room_for_pushes_nothing_out() {
    let logs = Logs::start();
    let of = |width, bytes: usize| {
        let mut image = quarters(width, 200);
        image.resize(bytes, 0);
        Page::of(image)
    };
    let archive = Archive::start(&[of(300, 100_000), of(301, 2 << 20), of(302, 20 << 20)]).await;
    let dir = tempfile::tempdir().unwrap();
    let cache = format!("[cache]\ndir = '{}'\ndisk = '1MiB'\n", dir.path().join("cache").display());
    let memory = "[limits]\nmemory = '64MiB'\n";
    let gateway = TestGateway::start(&format!("{cache}{memory}{}", archive.source(""))).await;
    let page = |page: usize, width: u32| {
        PICTURE.replace("7%2F1", &format!("7%2F{page}")).replace("150,", &format!("{width},"))
    };
    let originals = dir.path().join("cache/originals");
    gateway.image(&page(1, 150)).await;
    gateway.image(&page(2, 150)).await;
    assert_eq!(files_below(&originals).len(), 1, "it is there still, and nothing beside it");
    let res = gateway.get(&page(3, 150)).await;
    assert_eq!(res.status(), StatusCode::NOT_IMPLEMENTED, "{}", detail(&res));
    assert!(
        detail(&res).contains("20971520 bytes, if not more, at most 12582912 allowed"),
        "{}",
        detail(&res)
    );

    // Nobody says beforehand how large they are.
    archive.dam.fault_at("/files/", Fault::Endless);
    gateway.image(&page(2, 151)).await;
    let res = gateway.get(&page(3, 151)).await;
    assert_eq!(res.status(), StatusCode::NOT_IMPLEMENTED, "{}", detail(&res));
    let kept: u64 = files_below(&originals).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(kept <= (1 << 20) * 3 / 10, "{kept} bytes are kept");
    assert!(!logs.text().contains("cannot be kept on disk"), "nothing is wrong with it");
}

/// Limits hold before anything is drawn, in both versions.
#[tokio::test]
async fn more_than_is_given_out_is_refused_at_once() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway =
        TestGateway::start(&masters.source("maps", "[sources.maps.image]\nmax_area = 10_000\n")).await;
    for (address, status) in [
        ("3/image/maps/a.png/full/300,200/0/default.jpg", 400),
        ("3/image/maps/a.png/full/^4294967295,4294967295/0/default.jpg", 400),
        ("3/image/maps/a.png/full/^pct:100000000000000000000/0/default.jpg", 400),
        ("2/image/maps/a.png/full/full/0/default.jpg", 404),
        ("2/image/maps/a.png/full/4294967295,/0/default.jpg", 404),
    ] {
        let res = gateway.get(&format!("/iiif/{address}")).await;
        assert_eq!(res.status(), status, "{address}: {}", detail(&res));
    }
    assert_eq!(counts.of(RENDERS), 0);
    let info = gateway.document("/iiif/3/image/maps/a.png/info.json").await;
    assert_eq!(info["maxArea"], json!(10_000));
}

/// No file can be opened any more: that says nothing about this one.
#[cfg(target_os = "linux")]
#[test]
fn an_image_is_not_missing_because_too_many_files_are_open() {
    let masters = Masters::with([("a.png", quarters(64, 64)), ("book/1.png", quarters(64, 64))]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("loggia.toml"), masters.source("maps", "")).unwrap();
    let gateway = Process::serve(folder.path());
    gateway.ready();
    let mut connection = gateway.connect();
    assert_eq!(status_of("/health", &mut connection), 200);
    let asked = ["image/maps/a.png/info.json", "image/maps/book%2F1.png/info.json", "manifest/maps/book"];
    for (most, status) in [(0, 503), (1000, 200)] {
        gateway.limit_files(most);
        for path in asked {
            assert_eq!(status_of(&format!("/iiif/3/{path}"), &mut connection), status, "{path}");
        }
    }
}
