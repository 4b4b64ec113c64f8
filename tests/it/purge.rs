//! Purges: what was kept of an item or a source is gone everywhere, and what is asked for next is made anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::FutureExt;
use http::header::ETAG;
use http::{Request, StatusCode};
use loggia::http::Body;
use loggia::serve::metrics::{ASKED, ORIGINALS, PURGES, PYRAMIDS, RENDERS, STALE};
use serde_json::{Value, json};

use crate::support::archive::{Archive, Page};
use crate::support::counts::Counts;
use crate::support::fake_dam::Fault;
use crate::support::gateway::{PUBLIC, Picture, TestGateway, files_below};
use crate::support::masters::{COLOURS, MIDDLES, Masters, quarters, quarters_in};
use crate::support::port::free_port;
use crate::support::process::{Answer, Process, ended, loggia};
use crate::support::redis::Server;
use crate::support::wait::{until, until_now};

const SMALL: &str = "/iiif/3/image/maps/a.png/full/150,/0/default.jpg";

/// The other way round.
fn turned(width: u32, height: u32) -> Vec<u8> {
    let [one, two, three, four] = COLOURS;
    quarters_in([four, three, two, one], width, height)
}

async fn purge(gateway: &TestGateway, what: &str) -> Value {
    let res = gateway.operate(Request::post(format!("/admin/purge/{what}")), Body::empty()).await;
    assert_eq!(res.status(), StatusCode::OK, "{what}: {}", String::from_utf8_lossy(res.body()));
    let mut purged: Value = serde_json::from_slice(res.body()).unwrap();
    assert!(purged["took_ms"].take().is_u64());
    purged
}

/// Whether a picture is of what [`turned`] makes.
fn is_turned(picture: &Picture) -> bool {
    let found = MIDDLES.map(|place| picture.at(place));
    let shows = |colours: &mut dyn Iterator<Item = [u8; 3]>| {
        found.iter().zip(colours).all(|(a, b)| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 6))
    };
    let (before, after) = (shows(&mut COLOURS.into_iter()), shows(&mut COLOURS.into_iter().rev()));
    assert_ne!(before, after, "{found:?}");
    after
}

async fn pyramids(counts: &Counts, made: u64) {
    until("pyramids are made", async || counts.of(PYRAMIDS) >= made).await;
}

async fn scanned(gateway: &TestGateway) {
    until("the cache is read", async || gateway.get("/ready").await.status() == StatusCode::OK).await;
}

#[tokio::test]
async fn after_a_purge_new_pixels_are_shown_though_nothing_else_tells_them_apart() {
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(1900, 1300))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let manifest = "/iiif/3/manifest/maps/a.png";
    let thumbnail =
        gateway.document(manifest).await["thumbnail"][0]["id"].as_str().unwrap().replace(PUBLIC, "");
    let tile = "/iiif/3/image/maps/a.png/0,0,1024,1024/512,/0/default.jpg".to_owned();
    let pictures =
        [SMALL.to_owned(), thumbnail, "/iiif/2/image/maps/a.png/full/475,325/0/default.jpg".to_owned()];
    let mut before = Vec::new();
    gateway.image(SMALL).await;
    pyramids(&counts, 1).await;
    for address in pictures.iter().chain([&tile]) {
        before.push(gateway.image(address).await);
        // Now it is warm.
        before.push(gateway.image(address).await);
    }
    masters.swap("a.png", &turned(1900, 1300));
    gateway.a_moment();
    for address in &pictures {
        assert!(!is_turned(&gateway.image(address).await), "{address}: nobody can know");
    }
    let purged = purge(&gateway, "maps/a.png").await;
    assert_eq!(purged["dropped"]["pyramids"]["entries"], 1);
    assert_eq!((purged["heard_by"].clone(), purged["failed"].clone()), (Value::Null, json!([])));
    assert_eq!(counts.of(PURGES), 1);
    assert_eq!(files_below(&gateway.cache().join("pyramids")).len(), 0);

    let tags: BTreeSet<_> = before.iter().map(|picture| picture.headers[ETAG].clone()).collect();
    for address in &pictures {
        let first = gateway.image(address).await;
        assert!(is_turned(&first) && !tags.contains(&first.headers[ETAG]), "{address}");
    }
    pyramids(&counts, 2).await;
    for address in &pictures {
        let again = gateway.image(address).await;
        assert!(is_turned(&again) && !tags.contains(&again.headers[ETAG]), "{address}");
    }
    // A tile of the new pyramid, in the corner that is yellow now.
    let found = gateway.image(&tile).await;
    assert!(!tags.contains(&found.headers[ETAG]));
    assert!(found.at((10, 10)).iter().zip(COLOURS[3]).all(|(a, b)| a.abs_diff(b) <= 6));
    assert_eq!(counts.of(PYRAMIDS), 2);

    // It is remembered which epoch this is.
    let gateway = gateway.restart().await;
    scanned(&gateway).await;
    assert_eq!(gateway.image(&tile).await.headers[ETAG], found.headers[ETAG]);
    assert_eq!(counts.of(PYRAMIDS), 2);
}

/// A cache of answers that is full many times over.
#[tokio::test]
async fn no_answer_pushes_out_that_something_was_purged() {
    let masters = Masters::with([("a.png", quarters(300, 200)), ("b.png", quarters(300, 200))]);
    let dir = tempfile::tempdir().unwrap();
    let cache =
        format!("[cache]\ndir = '{}'\ndisk = '1MiB'\nmemory = '4KiB'\n", dir.path().join("cache").display());
    let gateway = TestGateway::start(&format!("{cache}{}", masters.source("maps", ""))).await;
    let before = gateway.image(SMALL).await.headers[ETAG].clone();
    purge(&gateway, "maps/a.png").await;
    let after = gateway.image(SMALL).await.headers[ETAG].clone();
    assert_ne!(before, after);
    for width in 100..200 {
        gateway.image(&format!("/iiif/3/image/maps/b.png/full/{width},/0/default.jpg")).await;
    }
    let gateway = gateway.restart().await;
    scanned(&gateway).await;
    assert_eq!(gateway.image(SMALL).await.headers[ETAG], after);
}

#[tokio::test]
async fn a_purge_of_one_item_leaves_the_others_and_one_of_a_source_none() {
    let counts = Counts::start();
    let (maps, views) = (Masters::new(), Masters::with([("a.png", quarters(300, 200))]));
    let names = ["a.png", "b*.png", "b.png", "c/d.png"];
    names.iter().for_each(|name| maps.put(name, quarters(300, 200)));
    let gateway = TestGateway::start(&(maps.source("maps", "") + &views.source("views", ""))).await;
    let all = async || {
        let encoded = ["maps/a.png", "maps/b%2A.png", "maps/b.png", "maps/c%2Fd.png", "views/a.png"];
        for media in encoded {
            gateway.image(&format!("/iiif/3/image/{media}/full/150,/0/default.jpg")).await;
        }
        counts.of(RENDERS)
    };
    assert_eq!((all().await, all().await), (5, 5));
    let kept = files_below(&gateway.cache()).len();
    for (what, more) in [("maps/b%2A.png", 1), ("maps/c", 1), ("maps/nobody", 0), ("maps", 4), ("views", 1)] {
        let (drawn, warm) = (counts.of(RENDERS), counts.of("loggia_http_warm_total"));
        purge(&gateway, what).await;
        assert_eq!(all().await - drawn, more, "{what}");
        assert_eq!(
            counts.of("loggia_http_warm_total") - warm,
            5 - more,
            "what was not purged is warm: {what}"
        );
    }
    // The epochs themselves: of two sources, four items and the lists.
    assert!(files_below(&gateway.cache()).len() <= kept + 6);
}

/// In a folder source the file is a page of the item that its folder is.
#[tokio::test]
async fn a_purge_of_an_image_is_one_of_its_item() {
    const PAGE: &str = "/iiif/3/image/maps/book%2F1.png/full/150,/0/default.jpg";
    let masters = Masters::with([("book/1.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let before = gateway.image(PAGE).await;
    masters.swap("book/1.png", &turned(300, 200));
    let purged = purge(&gateway, "maps/book%2F1.png").await;
    assert_eq!((&purged["item"], &purged["part_of"]), (&json!("book/1.png"), &json!("book")));
    assert!(purged["dropped"]["disk"]["entries"].as_u64().unwrap() > 0, "{purged:#}");
    let after = gateway.image(PAGE).await;
    assert!(is_turned(&after) && after.headers[ETAG] != before.headers[ETAG]);
}

#[tokio::test]
async fn a_purge_of_what_nobody_knows_drops_nothing() {
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let none = json!({ "entries": 0, "bytes": 0 });
    let dropped = json!({ "disk": none, "memory": none, "originals": none, "pyramids": none });
    let expected = |item: Value, part_of: Value| json!({ "source": "maps", "item": item, "part_of": part_of, "dropped": dropped, "heard_by": null, "failed": [], "took_ms": null });
    assert_eq!(
        purge(&gateway, "maps/nobody%2Fat%2Fall").await,
        expected(json!("nobody/at/all"), json!("nobody/at"))
    );
    assert_eq!(purge(&gateway, "maps").await, expected(Value::Null, Value::Null));
}

#[tokio::test]
async fn a_list_is_asked_for_again_after_a_purge_of_an_item() {
    let counts = Counts::start();
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let gateway = TestGateway::start(&archive.source("")).await;
    let ask = async || {
        gateway.document("/iiif/3/collection/dam").await;
        gateway.document("/iiif/3/manifest/dam/7").await;
        counts.of(ASKED)
    };
    assert_eq!((ask().await, ask().await), (2, 2));
    purge(&gateway, "dam/7").await;
    assert_eq!((ask().await, ask().await), (4, 4));
    purge(&gateway, "dam").await;
    assert_eq!((ask().await, ask().await), (6, 6));
    // A source that is away has nothing to stand in for it: what was purged is not told again.
    purge(&gateway, "dam/7").await;
    archive.dam.fault(Some(Fault::Away));
    assert_eq!(gateway.get("/iiif/3/manifest/dam/7").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Names of files that hold these bytes, or are kept for the item `7` at all.
fn masters_kept(cache: &Path, master: &[u8]) -> usize {
    files_below(&cache.join("originals")).iter().filter(|file| fs::read(file).unwrap() == master).count()
}

#[tokio::test]
async fn what_is_on_its_way_during_a_purge_leaves_nothing_behind() {
    const FILE: &str = "/files/1.png";
    const PICTURE: &str = "/iiif/3/image/dam/7%2F1/full/150,/0/default.jpg";
    let counts = Counts::start();
    let archive = Archive::start(&[Page::of(quarters(600, 400))]).await;
    let gateway = TestGateway::start(&archive.source("")).await;
    gateway.document("/iiif/3/image/dam/7%2F1/info.json").await;
    let asked = archive.dam.asked(FILE);
    archive.dam.hold(FILE);
    let mut waiting = Box::pin(gateway.image(PICTURE));
    until("the file is asked for", async || {
        assert!((&mut waiting).now_or_never().is_none());
        archive.dam.asked(FILE) > asked
    })
    .await;
    purge(&gateway, "dam/7").await;
    archive.dam.release();
    assert!(!is_turned(&waiting.await), "who asked before gets what was there before");
    assert_eq!(counts.of(ORIGINALS), 1);
    assert_eq!(masters_kept(&gateway.cache(), &quarters(600, 400)), 0);
    archive.swap(1, &turned(600, 400));
    for _ in 0..2 {
        assert!(is_turned(&gateway.image(PICTURE).await));
    }
    assert_eq!((counts.of(ORIGINALS), counts.of(RENDERS)), (2, 2));
    assert_eq!(masters_kept(&gateway.cache(), &turned(600, 400)), 1);
}

/// The record itself is on its way: who asks after the purge does not get the answer to an earlier question.
#[tokio::test]
async fn a_record_that_was_asked_for_before_a_purge_is_not_remembered() {
    const ITEM: &str = "/api/items/7";
    let counts = Counts::start();
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let gateway = TestGateway::start(&archive.source("")).await;
    archive.dam.hold(ITEM);
    let mut waiting = Box::pin(gateway.get("/iiif/3/manifest/dam/7"));
    until("the record is asked for", async || {
        assert!((&mut waiting).now_or_never().is_none());
        archive.dam.asked(ITEM) > 0
    })
    .await;
    purge(&gateway, "dam").await;
    let mut after = Box::pin(gateway.get("/iiif/3/manifest/dam/7"));
    until("the record is asked for again", async || {
        assert!((&mut after).now_or_never().is_none());
        archive.dam.asked(ITEM) > 1
    })
    .await;
    archive.dam.release();
    assert_eq!((waiting.await.status(), after.await.status()), (StatusCode::OK, StatusCode::OK));
    gateway.document("/iiif/3/manifest/dam/7").await;
    assert_eq!((counts.of(ASKED), archive.dam.asked(ITEM)), (2, 2));
}

#[tokio::test]
async fn only_operators_purge() {
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let (path, own) = ("/admin/purge/maps/a.png", "http://127.0.0.1:9090");
    for (case, request, body, status) in [
        ("as it should be", Request::post(path), "", 200),
        ("by name", Request::post(path).header("host", "localhost:9090"), "", 200),
        ("by another name", Request::post(path).header("host", "gateway.example.org"), "", 404),
        (
            "by two names",
            Request::post(path).header("host", "localhost").header("host", "evil.example"),
            "",
            400,
        ),
        ("our own page", Request::post(path).header("origin", own), "", 200),
        ("another page", Request::post(path).header("origin", "https://evil.example"), "", 403),
        ("a hidden page", Request::post(path).header("origin", "null"), "", 403),
        ("another site", Request::post(path).header("sec-fetch-site", "cross-site"), "", 403),
        ("with a cookie", Request::post(path).header("cookie", "a=b"), "", 403),
        ("with a body", Request::post(path), "everything", 413),
        ("with a query", Request::post("/admin/purge/maps?item=a.png"), "", 400),
        ("with an empty query", Request::post("/admin/purge/maps?"), "", 400),
        ("a link", Request::get(path), "", 405),
        ("a look", Request::head(path), "", 405),
        ("a question", Request::options(path), "", 405),
        ("the wrong way", Request::delete(path), "", 405),
        ("a source that is not there", Request::post("/admin/purge/mpas"), "", 404),
        ("no source", Request::post("/admin/purge/"), "", 404),
        ("no item, and not all of them", Request::post("/admin/purge/maps/"), "", 404),
        ("no text", Request::post("/admin/purge/maps/%ff"), "", 404),
        ("something else", Request::post("/admin"), "", 404),
        ("a picture", Request::get(SMALL), "", 404),
    ] {
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let res = gateway.operate(request, body).await;
        assert_eq!(res.status(), status, "{case}: {}", String::from_utf8_lossy(res.body()));
        let kind = if status == 200 { "application/json" } else { "application/problem+json" };
        if res.status() != 405 || !res.body().is_empty() {
            assert_eq!(res.headers()["content-type"], kind, "{case}");
        }
        assert_eq!(res.headers()["cache-control"], "no-store", "{case}");
        assert!(!res.headers().contains_key("access-control-allow-origin"), "{case}");
        if status == 405 {
            assert_eq!(res.headers()["allow"], "POST", "{case}");
        }
    }
    // The public listener knows of nothing.
    for method in ["GET", "POST", "DELETE"] {
        let res = gateway.send(Request::builder().method(method).uri(path).header("host", "127.0.0.1")).await;
        assert_eq!(res.status(), StatusCode::NOT_FOUND, "{method}");
    }
}

fn section(url: &str) -> String {
    format!("[redis]\nurl = '{url}'\n")
}

/// Purges, until another gateway has heard of it: it may not listen yet.
async fn purge_both(gateway: &TestGateway, what: &str) -> Value {
    let mut purged = Value::Null;
    until("the other gateway hears", async || {
        purged = purge(gateway, what).await;
        purged["heard_by"] == 1
    })
    .await;
    purged
}

#[tokio::test]
async fn a_purge_at_one_gateway_is_one_at_all() {
    let Some(server) = Server::start(&[]) else { return };
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(1900, 1300)), ("b.png", quarters(300, 200))]);
    // What is told is good for hours: nobody asks before it has to.
    let settings = section(&server.url()) + &masters.source("maps", "record_ttl = '5h'");
    let (one, other) = (TestGateway::start(&settings).await, TestGateway::start(&settings).await);
    scanned(&one).await;
    scanned(&other).await;
    let b = "/iiif/3/image/maps/b.png/full/150,/0/default.jpg";
    purge_both(&one, "maps/nobody").await;
    // What one has drawn the other would not draw again.
    for (gateway, region, made) in [(&one, "0,0,512,512", 1), (&other, "512,0,512,512", 2)] {
        gateway.image(b).await;
        gateway.image(&format!("/iiif/3/image/maps/a.png/{region}/512,/0/default.jpg")).await;
        gateway.image(SMALL).await;
        pyramids(&counts, made).await;
        gateway.image(SMALL).await;
    }
    masters.swap("a.png", &turned(1900, 1300));
    let purged = purge_both(&one, "maps/a.png").await;
    assert_eq!(purged["failed"], json!([]));
    assert!(purged["dropped"]["redis"]["entries"].as_u64().unwrap() >= 3, "{purged:#}");
    assert!(is_turned(&one.image(SMALL).await));
    // Its own files go as soon as it hears of it, and nothing older is told from then on.
    let pyramids = other.cache().join("pyramids");
    until("the other's files are gone", async || files_below(&pyramids).is_empty()).await;
    assert!(is_turned(&other.image(SMALL).await));
    let warm = counts.of("loggia_http_warm_total");
    one.image(b).await;
    other.image(b).await;
    assert_eq!(counts.of("loggia_http_warm_total"), warm + 2, "what was not purged is warm");
}

/// Whoever did not hear a word for a while cannot know what was purged.
#[tokio::test]
async fn a_gateway_that_could_not_hear_looks_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let settings = section(&server.url()) + &masters.source("maps", "record_ttl = '5h'");
    let gateway = TestGateway::start(&settings).await;
    scanned(&gateway).await;
    let counts = Counts::start();
    gateway.image(SMALL).await;
    server.stop();
    let purged = purge(&gateway, "maps/a.png").await;
    let failed = purged["failed"].to_string();
    for part in
        ["what is asked for next may come from before", "other gateways did not hear of it", "`redis`"]
    {
        assert!(failed.contains(part), "{failed}");
    }
    let asked = counts.of(ASKED);
    gateway.image(SMALL).await;
    gateway.image(SMALL).await;
    assert_eq!(counts.of(ASKED), asked + 1);
    server.run();
    // It listens again, and takes nothing for granted.
    until("the source is asked again", async || {
        gateway.image(SMALL).await;
        counts.of(ASKED) > asked + 1
    })
    .await;
}

/// Nobody else has what it knows: it stands in while the source is away, too.
#[tokio::test]
async fn a_redis_that_was_emptied_costs_no_answer() {
    let Some(mut server) = Server::start(&[]) else { return };
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let gateway = TestGateway::start(&(section(&server.url()) + &archive.source("record_ttl = '1h'"))).await;
    scanned(&gateway).await;
    let counts = Counts::start();
    let manifest = "/iiif/3/manifest/dam/7";
    gateway.document(manifest).await;
    archive.dam.fault(Some(Fault::Away));
    server.stop();
    server.run();
    // It knows of the gap, and asks.
    until("an answer that stands in", async || {
        gateway.document(manifest).await;
        counts.of(STALE) > 0
    })
    .await;
    gateway.document(manifest).await;
}

/// Redis forgets, gateways do not: who comes back finds what was purged.
#[tokio::test]
async fn a_redis_that_was_emptied_learns_of_purges_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let settings = section(&server.url()) + &masters.source("maps", "");
    let (one, other) = (TestGateway::start(&settings).await, TestGateway::start(&settings).await);
    scanned(&one).await;
    scanned(&other).await;
    purge_both(&one, "maps/a.png").await;
    let epoch = |server: &Server| -> Option<String> {
        let mut operator = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        redis::cmd("GET").arg("loggia:epoch//maps/a.png").query(&mut operator).unwrap()
    };
    let before = epoch(&server);
    assert!(before.is_some());
    server.stop();
    server.run();
    until("the epoch is in Redis again", async || epoch(&server) == before).await;
}

/// What was open is closed: the one gateway that hears it has the other forget what it remembers.
#[tokio::test]
async fn what_one_gateway_hears_is_closed_the_other_forgets() {
    let Some(server) = Server::start(&[]) else { return };
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let settings = section(&server.url()) + &archive.source("record_ttl = '1h'");
    let (one, other) = (TestGateway::start(&settings).await, TestGateway::start(&settings).await);
    scanned(&one).await;
    scanned(&other).await;
    purge_both(&one, "dam/8").await;
    purge_both(&other, "dam/8").await;
    let picture = "/iiif/3/image/dam/7%2F1/full/150,/0/default.jpg";
    for gateway in [&one, &other] {
        gateway.image(picture).await;
    }
    archive.close();
    one.advance(Duration::from_secs(2 * 3600));
    assert_eq!(one.get(picture).await.status(), StatusCode::NOT_FOUND);
    // For the other one no time has passed.
    let closed = async || other.get(picture).await.status() == StatusCode::NOT_FOUND;
    until("it is closed at the other", closed).await;
}

/// Redis is open to whoever reaches it: what is said there is not believed blindly.
#[tokio::test]
async fn nonsense_in_redis_is_passed_over() {
    let Some(server) = Server::start(&[]) else { return };
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let settings = section(&server.url()) + &masters.source("maps", "record_ttl = '5h'");
    let gateway = TestGateway::start(&settings).await;
    scanned(&gateway).await;
    let counts = Counts::start();
    let mut operator = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut say = |word: &[u8]| -> u64 {
        redis::cmd("PUBLISH").arg("loggia:news").arg(word).query(&mut operator).unwrap()
    };
    let good = |source: &str, at: &str| {
        format!(r#"{{"news":"purged","from":1,"source":"{source}","item":null,"at":{at}}}"#).into_bytes()
    };
    until("the gateway listens", async || say(b"") > 0).await;
    for word in [
        b"null".to_vec(),
        b"\xff\xfe".to_vec(),
        b"[".repeat(100_000),
        vec![b' '; 1 << 20],
        good("mpas", "1"),
        good("maps", "18446744073709551615"),
        good("maps", "-1"),
        good("maps", "1e3"),
        br#"{"news":"purged","from":1,"source":"maps","item":null,"at":1,"more":1}"#.to_vec(),
        br#"{"news":"stop","from":1}"#.to_vec(),
        br#"{"news":"gone","from":1,"kind":"secret","source":"maps","id":"a.png"}"#.to_vec(),
    ] {
        assert_eq!(say(&word), 1);
    }
    assert_eq!(counts.of(PURGES), 0);
    say(&good("maps", "1"));
    // The same once more is no news.
    say(&good("maps", "1"));
    say(&good("maps", "2"));
    until("it is purged", async || counts.of(PURGES) > 1).await;
    assert_eq!(counts.of(PURGES), 2);
    gateway.image(SMALL).await;
}

/// What came of `loggia purge`: exit code, standard output without what varies, standard error.
fn purged(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let (code, out, err) = ended(loggia(folder, &[&["purge"], words].concat()));
    let (first, rest) = out.split_once('\n').unwrap_or_default();
    let out = match first.rsplit_once(" in ") {
        Some((first, _)) => format!("{first}\n{rest}"),
        None => out,
    };
    (code, out, err)
}

fn settings(folder: &Path, server: &str, masters: &Masters) {
    let text = format!(
        "[server]\nlisten = '127.0.0.1:0'\n{server}\n[log]\nlevel = 'off'\n[cache]\ndir = 'cache'\n{}",
        masters.source("maps", "")
    );
    fs::write(folder.join("loggia.toml"), text).unwrap();
}

#[test]
fn the_command_asks_the_gateway_that_runs() {
    let (folder, masters) = (tempfile::tempdir().unwrap(), Masters::with([("a b.png", quarters(300, 200))]));
    let folder = folder.path();
    settings(folder, &format!("admin = '127.0.0.1:{}'", free_port()), &masters);
    let picture = "/iiif/3/image/maps/a%20b.png/full/150,/0/default.jpg";
    let tag = {
        let gateway = Process::serve(folder);
        let Answer { status, tag, .. } = gateway.get(picture);
        assert_eq!((status, gateway.get(picture).tag), (200, tag.clone()));
        let (code, out, err) = purged(folder, &["maps", "a b.png"]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(out.starts_with("purged `a b.png` of source `maps`\n"), "{out}");
        assert!(out.contains("\n  disk  "), "{out}");
        let new = gateway.get(picture);
        assert_eq!(new.status, 200);
        assert_ne!(new.tag, tag);
        new.tag
    };
    // Nobody listens there any more: the folder is purged.
    let (code, out, err) = purged(folder, &["maps"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("purged source `maps`\n"), "{out}");
    assert!(out.contains("\n  disk  "), "{out}");
    let gateway = Process::serve(folder);
    gateway.ready();
    assert_ne!(gateway.get(picture).tag, tag);
}

/// The id of a page, as a viewer shows it in its addresses.
#[test]
fn the_command_purges_the_item_of_an_image() {
    let (folder, masters) = (tempfile::tempdir().unwrap(), Masters::with([("a/b.png", quarters(300, 200))]));
    let folder = folder.path();
    settings(folder, "", &masters);
    let picture = "/iiif/3/image/maps/a%2Fb.png/full/150,/0/default.jpg";
    let tag = Process::serve(folder).get(picture).tag;
    let (code, out, err) = purged(folder, &["maps", "a/b.png"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let told =
        "purged `a/b.png` of source `maps`\n  and `a`, the item that an image of this name is part of\n";
    assert!(out.starts_with(told) && out.contains("\n  disk  "), "{out}");
    let gateway = Process::serve(folder);
    gateway.ready();
    assert_ne!(gateway.get(picture).tag, tag);
}

/// Whoever listens at the address of operators, it says why it does not purge.
#[test]
fn the_command_tells_why_a_gateway_refuses() {
    let (folder, masters) = (tempfile::tempdir().unwrap(), Masters::with([("a.png", quarters(300, 200))]));
    let folder = folder.path();
    settings(folder, &format!("admin = '127.0.0.1:{}'", free_port()), &masters);
    let _gateway = Process::serve(folder);
    let text = fs::read_to_string(folder.join("loggia.toml")).unwrap();
    fs::write(folder.join("loggia.toml"), text + &masters.source("views", "")).unwrap();
    let (code, _, err) = purged(folder, &["views"]);
    assert_eq!(code, Some(69));
    assert!(
        err.ends_with("does not purge: it answers `404 Not Found`: there is no source `views`\n"),
        "{err}"
    );
}

/// It waits while a purge has the cache to itself, and can be told to stop meanwhile.
#[test]
fn a_gateway_that_waits_for_a_purge_can_be_stopped() {
    let (folder, masters) = (tempfile::tempdir().unwrap(), Masters::with([("a.png", quarters(300, 200))]));
    let folder = folder.path();
    settings(folder, "", &masters);
    fs::create_dir(folder.join("cache")).unwrap();
    let alone = fs::File::create(folder.join("cache/lock")).unwrap();
    alone.lock().unwrap();
    let mut serve = loggia(folder, &["serve"]);
    serve.env("LOGGIA__LOG__LEVEL", "info").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut serve = serve.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(serve.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("the cache is being purged, waiting for that"), "{said}");
    assert!(Command::new("kill").arg(serve.id().to_string()).status().unwrap().success());
    assert_eq!(serve.wait().unwrap().code(), Some(0));
}

#[test]
fn a_gateway_that_cannot_be_told_is_not_gone_around() {
    let (folder, masters) = (tempfile::tempdir().unwrap(), Masters::with([("a.png", quarters(300, 200))]));
    let folder = folder.path();
    settings(folder, "", &masters);
    let (code, out, _) = purged(folder, &["maps", "a.png"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "purged `a.png` of source `maps`\n  nothing was kept of it\n")
    );
    assert!(!folder.join("cache").exists(), "and nothing is made for that");
    let gateway = Process::serve(folder);
    let (code, out, err) = purged(folder, &["maps", "a.png"]);
    assert_eq!((code, out.as_str()), (Some(69), ""));
    insta::assert_snapshot!(err, @"a gateway (or `warm`) works with `cache` and cannot be told: set `server.admin` for it, or stop it while this runs");
    drop(gateway);
    assert_eq!(purged(folder, &["maps", "a.png"]).0, Some(0));
    for (words, said) in [(&["mpas"][..], "unknown source `mpas`"), (&["maps", ""], "'[ID]'")] {
        let (code, _, err) = purged(folder, words);
        assert_eq!(code, Some(64), "{err}");
        assert!(err.contains(said), "{err}");
    }
}

/// It is reached through Redis, and has other files than those that the command could see.
#[test]
fn the_command_tells_gateways_through_redis() {
    let Some(mut server) = Server::start(&[]) else { return };
    let (folder, masters) = (tempfile::tempdir().unwrap(), Masters::with([("a.png", quarters(300, 200))]));
    let folder = folder.path();
    settings(folder, "", &masters);
    let text = fs::read_to_string(folder.join("loggia.toml")).unwrap();
    fs::write(folder.join("loggia.toml"), text + &section(&server.url())).unwrap();
    let gateway = Process::serve(folder);
    gateway.ready();
    let tag = gateway.get(SMALL).tag;
    let heard = "  other gateways that heard of it: 1\n";
    until_now("the gateway hears", || {
        let (code, out, err) = purged(folder, &["maps", "a.png"]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        out.ends_with(heard)
    });
    until_now("it makes another picture", || gateway.get(SMALL).tag != tag);
    server.stop();
    let (code, _, err) = purged(folder, &["maps", "a.png"]);
    assert_eq!(code, Some(69));
    assert!(err.starts_with("not everything is purged:\n"), "{err}");
}
