//! Several gateways on one bucket, and one gateway whose bucket is away, hangs, or has something else than it should.

use std::fs;
use std::path::Path;
use std::process::Command;

use http::{Method, Request, StatusCode};
use loggia::http::Body;
use loggia::serve::metrics::{ORIGINALS, PYRAMIDS, RENDERS};
use loggia::store::Standing;
use loggia::store::metrics::REQUESTS;
use loggia::store::{Bucket, File, Files, Key};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::support::archive::{Archive, Page};
use crate::support::bucket::{Server, section_at};
use crate::support::counts::Counts;
use crate::support::gateway::{TestGateway, files_below};
use crate::support::logs::Logs;
use crate::support::masters::{Masters, quarters};
use crate::support::process::{ended, loggia};
use crate::support::{redis, wait};

const PAGE: &str = "/iiif/3/image/dam/7%2F1";
const MAP: &str = "/iiif/3/image/maps/a.png";

fn tile(image: &str, region: &str) -> String {
    format!("{image}/{region}/512,512/0/default.jpg")
}

/// What `/ready` says.
async fn ready(gateway: &TestGateway) -> String {
    String::from_utf8(gateway.get("/ready").await.body().to_vec()).unwrap()
}

/// A gateway, once `/ready` begins like this.
async fn gateway(settings: &str, said: &str) -> TestGateway {
    let gateway = TestGateway::start(settings).await;
    until(async || ready(&gateway).await.starts_with(said)).await;
    gateway
}

const WELL: &str = "ready\n";

async fn until(is_so: impl AsyncFnMut() -> bool) {
    wait::until("how things stand with the bucket", is_so).await;
}

/// A large remote master, as both gateways know it.
async fn archive() -> Archive {
    Archive::start(&[Page::of(quarters(1900, 1300))]).await
}

#[tokio::test]
async fn what_one_gateway_builds_the_other_serves() {
    let (server, archive, counts) = (Server::start().await, archive().await, Counts::start());
    let settings = server.section() + &archive.source("");
    let one = gateway(&settings, WELL).await;
    one.image(&tile(PAGE, "0,0,512,512")).await;
    until(async || server.objects().len() == 1).await;
    assert_eq!((counts.of(ORIGINALS), counts.of(PYRAMIDS), counts.of(RENDERS)), (1, 1, 1));
    let built = one.image(&tile(PAGE, "512,512,512,512")).await;

    let other = gateway(&settings, WELL).await;
    let many = ["512,512,512,512", "0,0,512,512", "512,0,512,512", "1024,0,512,512"];
    let many = many.map(|region| tile(PAGE, region));
    let tiles = futures_util::future::join_all(many.iter().map(|address| other.image(address))).await;
    assert_eq!((&tiles[0].bytes, &tiles[0].headers["etag"]), (&built.bytes, &built.headers["etag"]));
    // Fetched once, of no master more than the header, and nothing was drawn.
    assert_eq!((counts.of(ORIGINALS), counts.of(PYRAMIDS), counts.of(RENDERS)), (1, 2, 1));
    assert!(files_below(&other.cache().join("originals")).is_empty());
    // What came from there is not sent back.
    assert_eq!((server.asked(&Method::PUT), server.objects().len()), (1, 1));
}

/// The index at the end is checked, as that of every pyramid.
#[tokio::test]
async fn a_damaged_object_is_removed_and_built_anew() {
    let (server, masters, counts) = (Server::start().await, masters(), Counts::start());
    let settings = server.section() + &masters.source("maps", "");
    let one = gateway(&settings, WELL).await;
    one.image(&tile(MAP, "0,0,512,512")).await;
    until(async || server.objects().len() == 1).await;
    let object = &server.objects()[0];
    let whole = fs::read(object).unwrap();
    for damaged in [[&whole[..whole.len() - 100], &[0; 100]].concat(), whole[..1000].to_vec(), Vec::new()] {
        fs::write(object, &damaged).unwrap();
        let other = gateway(&settings, WELL).await;
        other.image(&tile(MAP, "0,0,512,512")).await;
        until(async || fs::read(object).is_ok_and(|now| now == whole)).await;
        other.image(&tile(MAP, "512,0,512,512")).await;
    }
    assert_eq!((counts.of(PYRAMIDS), counts.of(RENDERS)), (4, 4), "once by the first, then by each");
}

fn masters() -> Masters {
    Masters::with([("a.png", quarters(1900, 1300))])
}

#[tokio::test]
async fn wrong_keys_are_told_and_public_work_goes_on() {
    let (server, masters, logs) = (Server::start().await, masters(), Logs::start());
    let settings = server.section_with("wr0ng") + &masters.source("maps", "");
    let gateway =
        gateway(&settings, "ready, but without the bucket: it wants another access key or secret key\n")
            .await;
    gateway.image(&tile(MAP, "0,0,512,512")).await;
    // The server of the test writes into the same log, and has no secrets.
    let said: String = logs.text().lines().filter(|line| !line.contains(" s3s")).collect();
    assert!(said.contains("it wants another access key or secret key"), "{said}");
    assert!(!said.contains("wr0ng") && !said.contains("AKIA"), "{said}");
    assert!(server.objects().is_empty());
}

/// Somebody listens at its address, and says nothing at all.
#[tokio::test]
async fn a_bucket_that_says_nothing_costs_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (masters, counts) = (masters(), Counts::start());
    let settings = section_at(silent.local_addr().unwrap()) + &masters.source("maps", "");
    let gateway = gateway(&settings, "ready, but without the bucket: no answer within 500 ms\n").await;
    gateway.image(&tile(MAP, "0,0,512,512")).await;
    until(async || counts.of(PYRAMIDS) == 1).await;
    gateway.image(&tile(MAP, "512,0,512,512")).await;
    assert!(counts.of(REQUESTS) > 0 && counts.of(RENDERS) == 1);
}

/// It was well, and answers no more: one timeout, and nobody after that waits at all.
#[tokio::test]
async fn a_bucket_that_hangs_costs_one_timeout() {
    let server = Server::start().await;
    let masters = Masters::with([("a.png", quarters(1900, 1300)), ("b.png", quarters(1900, 1300))]);
    let gateway = gateway(&(server.section() + &masters.source("maps", "")), WELL).await;
    gateway.document(&format!("{MAP}/info.json")).await;
    server.answer(0);
    let asked = server.asked(&Method::GET);
    gateway.image(&tile(MAP, "0,0,512,512")).await;
    assert!(server.asked(&Method::GET) <= asked + 2, "one question, and one whether it is back");
    assert_eq!(ready(&gateway).await, "ready, but without the bucket: no answer within 500 ms\n");
    let asked = server.asked(&Method::GET);
    gateway.image(&tile("/iiif/3/image/maps/b.png", "0,0,512,512")).await;
    assert!(server.asked(&Method::GET) <= asked + 1, "nobody but the one who looks whether it is back");
}

/// A pyramid that was built while it was away is sent when it is back.
#[tokio::test]
async fn a_bucket_that_comes_back_is_used_again() {
    let (mut server, masters, counts) = (Server::start().await, masters(), Counts::start());
    let gateway = gateway(&(server.section() + &masters.source("maps", "")), WELL).await;
    server.stop();
    gateway.image(&tile(MAP, "0,0,512,512")).await;
    until(async || counts.of(PYRAMIDS) == 1).await;
    until(async || ready(&gateway).await.starts_with("ready, but without the bucket: ")).await;
    assert_eq!(counts.of("loggia_store_up"), 0);
    server.run().await;
    until(async || server.objects().len() == 1).await;
    assert_eq!((ready(&gateway).await.as_str(), counts.of("loggia_store_up")), (WELL, 1));
}

/// Where replicas have a Redis, too, one builds and the other waits for it.
#[tokio::test]
async fn of_two_gateways_one_builds() {
    let Some(shared) = redis::Server::start(&[]) else { return };
    let (server, masters, counts) = (Server::start().await, masters(), Counts::start());
    let settings =
        format!("[redis]\nurl = '{}'\n{}{}", shared.url(), server.section(), masters.source("maps", ""));
    let (one, other) = (gateway(&settings, WELL).await, gateway(&settings, WELL).await);
    let (here, there) = (tile(MAP, "0,0,512,512"), tile(MAP, "512,0,512,512"));
    futures_util::join!(one.image(&here), other.image(&there));
    until(async || counts.of(PYRAMIDS) == 2).await;
    for gateway in [&one, &other] {
        gateway.image(&tile(MAP, "1024,0,512,512")).await;
        assert_eq!(files_below(&gateway.cache().join("pyramids")).len(), 1);
    }
    // The second one was fetched.
    assert_eq!((server.asked(&Method::PUT), server.objects().len()), (1, 1));
}

/// A bucket, once it answers, and a place on the disk beside it.
async fn opened(server: &Server, dir: &Path) -> (Bucket, Files) {
    let bucket = Bucket::open("bucket", &server.settings()).unwrap();
    until(async || bucket.standing() == Standing::Up).await;
    let files = Files::open_dir("files", dir, 100 << 20).unwrap();
    until(async || files.is_scanned()).await;
    (bucket, files)
}

fn key(source: &str, item: &str, version: &str) -> Key {
    Key::new(["pyramid", source, "", item, version])
}

/// A file of several pieces.
async fn large(files: &Files, key: &Key) -> (File, Vec<u8>) {
    let bytes: Vec<u8> = (0..20 << 20).map(|at: u32| (at ^ at >> 9) as u8).collect();
    let mut draft = files.create(key).await.unwrap();
    draft.append(bytes.clone().into()).await.unwrap();
    (draft.commit().await.unwrap(), bytes)
}

#[tokio::test]
async fn a_large_file_goes_there_and_back_in_pieces() {
    let (server, dir, other) =
        (Server::start().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (bucket, files) = opened(&server, dir.path()).await;
    let key = key("maps", "a/b", "1");
    let (file, bytes) = large(&files, &key).await;
    bucket.send(&key, &file).await.unwrap();
    assert_eq!(server.asked(&Method::PUT), 3);
    let files = Files::open_dir("files", other.path(), 100 << 20).unwrap();
    let fetched = bucket.fetch(&key, &files).await.unwrap().unwrap();
    assert!(fetched.read(0..fetched.bytes()).await.unwrap() == bytes);
    // What could never be kept is not begun.
    let small = Files::open_dir("files", &other.path().join("small"), 1 << 20).unwrap();
    assert!(bucket.fetch(&key, &small).await.unwrap().is_none());
}

#[tokio::test]
async fn an_upload_that_is_killed_leaves_nothing_to_be_seen() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (bucket, files) = opened(&server, dir.path()).await;
    let key = key("maps", "a", "1");
    let (file, _) = large(&files, &key).await;
    // It is begun, and the first piece arrives.
    server.answer(2);
    let upload = tokio::spawn({
        let (bucket, key) = (bucket.clone(), key.clone());
        async move { bucket.send(&key, &file).await }
    });
    until(async || server.asked(&Method::PUT) == 2).await;
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    server.answer(usize::MAX);
    assert!(server.objects().is_empty() && !bucket.has(&key).await.unwrap());
    assert!(bucket.fetch(&key, &files).await.unwrap().is_none());
}

#[tokio::test]
async fn what_belongs_to_a_source_or_an_item_is_removed() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (bucket, files) = opened(&server, dir.path()).await;
    let all = [
        ("maps", "a/b", "1"),
        ("maps", "a/b", "2"),
        ("maps", "a", "1"),
        ("map", "a", "1"),
        ("dam", "a", "1"),
    ];
    let all = all.map(|(source, item, version)| key(source, item, version));
    for key in &all {
        let mut draft = files.create(key).await.unwrap();
        draft.append(key.as_str().to_owned().into()).await.unwrap();
        bucket.send(key, &draft.commit().await.unwrap()).await.unwrap();
    }
    let left = async || {
        let mut left = Vec::new();
        for (at, key) in all.iter().enumerate() {
            left.extend(bucket.has(key).await.unwrap().then_some(at));
        }
        left
    };
    assert_eq!(left().await, [0, 1, 2, 3, 4]);
    assert_eq!(bucket.remove_all("pyramid", "maps", Some("a/b")).await.unwrap(), 2);
    assert_eq!(left().await, [2, 3, 4]);
    assert_eq!(bucket.remove_all("pyramid", "maps", None).await.unwrap(), 1);
    assert_eq!(left().await, [3, 4]);
    assert_eq!(bucket.remove_all("pyramid", "maps", None).await.unwrap(), 0);
}

/// One request takes up to a thousand away.
#[tokio::test]
async fn many_objects_are_removed_at_once() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (bucket, files) = opened(&server, dir.path()).await;
    let key = key("maps", "a", "1");
    let mut draft = files.create(&key).await.unwrap();
    draft.append("pyramid".into()).await.unwrap();
    bucket.send(&key, &draft.commit().await.unwrap()).await.unwrap();
    let first = server.objects().remove(0);
    (0..300).for_each(|n| fs::write(first.with_file_name(format!("{n:032x}")), "pyramid").unwrap());
    assert!(bucket.inventory("pyramid", "maps").await.unwrap().holds(&key));
    let asked = server.asked(&Method::POST);
    assert_eq!(bucket.remove_all("pyramid", "maps", None).await.unwrap(), 301);
    assert_eq!(server.asked(&Method::POST) - asked, 1);
    assert!(server.objects().is_empty());
    assert!(!bucket.inventory("pyramid", "maps").await.unwrap().holds(&key));
}

async fn purge(gateway: &TestGateway, what: &str) -> Value {
    let res = gateway.operate(Request::post(format!("/admin/purge/{what}")), Body::empty()).await;
    assert_eq!(res.status(), StatusCode::OK);
    serde_json::from_slice(res.body()).unwrap()
}

/// It is on its way while a purge goes through the bucket.
#[tokio::test]
async fn an_upload_that_a_purge_overtakes_is_taken_back() {
    let (server, masters) = (Server::start().await, masters());
    let gateway = gateway(&(server.section() + &masters.source("maps", "")), WELL).await;
    server.hold(Some(Method::PUT));
    gateway.image(&tile(MAP, "0,0,512,512")).await;
    until(async || server.asked(&Method::PUT) == 1).await;
    let purged = purge(&gateway, "maps/a.png").await;
    assert_eq!(purged["failed"], json!([]));
    assert!(purged["dropped"].get("bucket").is_some_and(|bucket| bucket["entries"] == 0), "{purged:#}");
    server.hold(None);
    // Objects are deleted by a POST that names them.
    until(async || server.asked(&Method::POST) == 1).await;
    until(async || server.objects().is_empty()).await;
}

/// No gateway runs: the command has the cache and the bucket to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_purges_the_bucket_as_well() {
    let (server, masters, folder) = (Server::start().await, masters(), tempfile::tempdir().unwrap());
    let settings = format!("[cache]\ndir = 'cache'\n{}{}", server.section(), masters.source("maps", ""));
    fs::write(folder.path().join("loggia.toml"), settings).unwrap();
    let run = async |words: &[&str]| {
        let mut command = loggia(folder.path(), words);
        command.env("LOGGIA__LOG__LEVEL", "off");
        spawn_blocking(move || ended(command)).await.unwrap()
    };
    assert_eq!(run(&["warm", "maps"]).await.0, Some(0));
    assert_eq!(server.objects().len(), 1);
    let (code, out, err) = run(&["purge", "maps", "a.png"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("\n  bucket             1  "), "{out}");
    assert!(server.objects().is_empty());
}

/// The folder beside the settings is where a run of `warm` keeps what it makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_warm_makes_is_in_the_bucket_when_it_ends() {
    let (mut server, masters) = (Server::start().await, masters());
    let folder = tempfile::tempdir().unwrap();
    let section = server.section() + &masters.source("maps", "");
    let warm = async |cache: &str| {
        let dir = folder.path().join(cache);
        let settings = format!("[cache]\ndir = '{}'\n{section}", dir.display());
        fs::write(folder.path().join("loggia.toml"), settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loggia"));
        command
            .args(["warm", "maps"])
            .current_dir(folder.path())
            .env_clear()
            .env("LOGGIA__LOG__LEVEL", "off");
        let output = spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap(), files_below(&dir.join("pyramids")).len())
    };
    let (code, told, here) = warm("one").await;
    assert!(code == Some(0) && told.contains("pyramids   1 made") && here == 1, "{code:?} {told}");
    assert_eq!((server.objects().len(), server.asked(&Method::PUT)), (1, 1));
    // Elsewhere it is there already, and stays where it is.
    let (code, told, here) = warm("other").await;
    assert!(code == Some(0) && told.contains("0 made, 1 there already") && here == 0, "{code:?} {told}");
    // The next run there knows it without a question to anybody but the bucket.
    let (code, told, _) = warm("other").await;
    assert!(code == Some(0) && told.contains("0 done, 1 done before"), "{code:?} {told}");
    // What is here and not there is brought there.
    fs::remove_file(&server.objects()[0]).unwrap();
    fs::remove_dir_all(folder.path().join("one/warm")).unwrap();
    let (code, told, _) = warm("one").await;
    assert!(code == Some(0) && told.contains("0 made, 1 there already"), "{code:?} {told}");
    assert_eq!(server.objects().len(), 1);
    // And where nothing can be brought there, the run says so.
    server.stop();
    let (code, told, here) = warm("third").await;
    assert!(code == Some(1) && told.contains("pyramids   1 made") && here == 1, "{code:?} {told}");
    assert!(told.contains("note: without the bucket: ") && told.contains("1 not in the bucket"), "{told}");
}
