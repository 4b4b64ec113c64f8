//! Several gateways on one Redis, and one gateway whose Redis is away. Runs where `LOGGIA_TEST_REDIS` names a server,
//! as `scripts/test` does.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use http::StatusCode;
use loggia::serve::metrics::{ASKED, ELSEWHERE, PROBES, RENDERS};
use tokio::net::TcpListener;
use tokio::task::yield_now;

use crate::support::archive::{Archive, Page};
use crate::support::counts::Counts;
use crate::support::fake_dam::Fault;
use crate::support::gateway::TestGateway;
use crate::support::logs::Logs;
use crate::support::masters::{Masters, quarters};
use crate::support::redis::Server;
use crate::support::wait::until;

const PICTURE: &str = "/iiif/3/image/dam/7%2F1/full/150,/0/default.jpg";
const FILE: &str = "/files/1.png";

fn section(url: &str) -> String {
    format!("[redis]\nurl = '{url}'\n")
}

/// A gateway that has found its Redis, or has found that there is none.
async fn gateway(settings: &str) -> TestGateway {
    let gateway = TestGateway::start(settings).await;
    while gateway.get("/ready").await.status() != StatusCode::OK {
        yield_now().await;
    }
    gateway
}

/// What `/ready` says.
async fn ready(gateway: &TestGateway) -> String {
    String::from_utf8(gateway.get("/ready").await.body().to_vec()).unwrap()
}

#[tokio::test]
async fn two_gateways_do_one_thing_once() {
    let Some(server) = Server::start(&[]) else { return };
    let counts = Counts::start();
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let settings = section(&server.url()) + &archive.source("");
    let (one, other) = (gateway(&settings).await, gateway(&settings).await);

    // What one is learning, the other waits for.
    const INFO: &str = "/iiif/3/image/dam/7%2F1/info.json";
    archive.dam.hold(FILE);
    let mut first = Box::pin(one.document(INFO));
    while archive.dam.asked(FILE) < 1 {
        assert!((&mut first).now_or_never().is_none());
        yield_now().await;
    }
    let mut second = Box::pin(other.document(INFO));
    assert!((&mut second).now_or_never().is_none());
    archive.dam.release();
    futures_util::join!(first, second);
    assert_eq!((counts.of(ASKED), counts.of(PROBES)), (1, 1));
    let waited = counts.of(ELSEWHERE);

    // What one is making, the other waits for.
    archive.dam.hold(FILE);
    let mut first = Box::pin(one.image(PICTURE));
    while archive.dam.asked(FILE) < 2 {
        assert!((&mut first).now_or_never().is_none());
        yield_now().await;
    }
    let mut second = Box::pin(other.image(PICTURE));
    assert!((&mut second).now_or_never().is_none());
    archive.dam.release();
    let (first, second) = futures_util::join!(first, second);
    assert_eq!(first.bytes, second.bytes);
    assert_eq!((counts.of(RENDERS), counts.of(ELSEWHERE) - waited), (1, 1));

    // A third one has it at once.
    let third = gateway(&settings).await;
    assert_eq!(third.image(PICTURE).await.bytes, first.bytes);
    assert_eq!((counts.of(RENDERS), counts.of(ASKED), counts.of(PROBES)), (1, 1, 1));
}

/// Who is told that there is nothing lets go of the lock at once.
#[tokio::test]
async fn what_one_gateway_cannot_do_the_other_tries() {
    let Some(server) = Server::start(&[]) else { return };
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let settings = section(&server.url()) + &archive.source("");
    let (one, other) = (gateway(&settings).await, gateway(&settings).await);
    for gateway in [&one, &other] {
        assert_eq!(gateway.get("/iiif/3/manifest/dam/8").await.status(), StatusCode::NOT_FOUND);
    }
    let mut operator = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let stats: String = redis::cmd("INFO").arg("stats").query(&mut operator).unwrap();
    assert!(stats.lines().any(|line| line == "expired_keys:0"), "no lock had to end by itself: {stats}");
}

#[tokio::test]
async fn a_redis_that_stops_and_starts_under_load_fails_no_request() {
    let Some(mut server) = Server::start(&[]) else { return };
    let counts = Counts::start();
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = gateway(&(section(&server.url()) + &masters.source("maps", ""))).await;
    assert_eq!(ready(&gateway).await, "ready\n");
    let mut width = 10;
    let mut load = async |gateway: &TestGateway| {
        width += 8;
        let pictures = (width..width + 8).map(|width| {
            let address = format!("/iiif/3/image/maps/a.png/full/{width},/0/default.jpg");
            async move { gateway.image(&address).await }
        });
        join_all(pictures).await;
    };
    load(&gateway).await;
    assert_eq!(counts.of("loggia_store_up"), 1);
    server.stop();
    for _ in 0..3 {
        load(&gateway).await;
    }
    assert_eq!(counts.of("loggia_store_up"), 0);
    assert!(ready(&gateway).await.starts_with("ready, but without Redis: "));
    server.run();
    while ready(&gateway).await != "ready\n" {
        load(&gateway).await;
    }
    load(&gateway).await;
}

/// A full Redis takes no news; what it had is not told in their place, by nobody.
#[tokio::test]
async fn a_full_redis_brings_back_no_page_that_was_closed() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let settings = section(&server.url()) + &archive.source("record_ttl = '1h'");
    let (one, other) = (gateway(&settings).await, gateway(&settings).await);
    let mut operator = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    until("both gateways listen", async || {
        let (_, ears): (String, u64) =
            redis::cmd("PUBSUB").arg("NUMSUB").arg("loggia:news").query(&mut operator).unwrap();
        ears == 2
    })
    .await;
    for gateway in [&one, &other] {
        gateway.image(PICTURE).await;
    }
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).query(&mut operator).unwrap();
    archive.close_pages();
    one.advance(Duration::from_secs(2 * 3600));
    assert_eq!(one.get(PICTURE).await.status(), StatusCode::NOT_FOUND);
    archive.dam.fault(Some(Fault::Away));
    let status = async |gateway: &TestGateway| gateway.get(PICTURE).await.status();
    until("the other forgets it", async || status(&other).await == StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(status(&one).await, StatusCode::NOT_FOUND);
    for gateway in [one, other] {
        let gateway = gateway.restart().await;
        assert_eq!(status(&gateway).await, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn everything_in_redis_has_an_end() {
    let Some(server) = Server::start(&[]) else { return };
    let archive = Archive::start(&[Page::of(quarters(300, 200))]).await;
    let gateway = gateway(&(section(&server.url()) + &archive.source(""))).await;
    let mut operator = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut keys = || -> Vec<String> { redis::cmd("KEYS").arg("*").query(&mut operator).unwrap() };
    // What is made while the gateway begins to listen for purges may be from before one, and is not kept.
    let mut widths = 100..150;
    while !keys().iter().any(|key| key.starts_with("loggia:image/")) {
        let width = widths.next().expect("a picture is kept");
        gateway.image(&format!("/iiif/3/image/dam/7%2F1/full/{width},/0/default.jpg")).await;
    }
    gateway.document("/iiif/3/manifest/dam/7").await;
    gateway.document("/iiif/3/collection/dam").await;
    let keys = keys();
    for kind in ["collection", "facts", "record"] {
        assert!(
            keys.iter().any(|key| key.starts_with(&format!("loggia:{kind}/dam/"))),
            "no {kind} among {keys:?}"
        );
    }
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut operator).unwrap();
        // One that was there a moment ago and is not now has had an end, too.
        assert!(key.starts_with("loggia:") && left != -1, "`{key}`: {left}");
    }
}

/// Somebody listens at the address of Redis, and says nothing at all.
#[tokio::test]
async fn a_redis_that_says_nothing_costs_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let section = section(&format!("redis://{}", silent.local_addr().unwrap()));
    let source = masters.source("maps", "");
    for (timeout, told) in [
        ("500ms", "ready, but without Redis: no answer within 500 ms"),
        // Nobody waits for the first try either: it is not over when they have their answers.
        ("10s", "Redis has not answered yet"),
    ] {
        let settings = format!("{section}timeout = '{timeout}'\n{source}");
        let gateway = TestGateway::start(&settings).await;
        let is_so = async || ready(&gateway).await.contains(told);
        until("it is known, or not yet", is_so).await;
        gateway.image("/iiif/3/image/maps/a.png/full/100,/0/default.jpg").await;
        gateway.document("/iiif/3/manifest/maps/a.png").await;
        assert!(is_so().await, "{timeout}");
    }
}

/// It was well, and answers no more: the first who ask wait for one timeout, nobody after them waits at all.
#[tokio::test]
async fn a_redis_that_hangs_costs_one_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let Some(server) = Server::start(&[]) else { return };
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let gateway = gateway(&(section(&server.url()) + &masters.source("maps", ""))).await;
    let picture = |width: u32| format!("/iiif/3/image/maps/a.png/full/{width},/0/default.jpg");
    gateway.image(&picture(10)).await;
    server.freeze();
    let begun = Instant::now();
    gateway.image(&picture(11)).await;
    assert!(begun.elapsed() >= TIMEOUT);
    for width in 12..20 {
        gateway.image(&picture(width)).await;
    }
    assert!(begun.elapsed() < 9 * TIMEOUT, "each of them waited: {:?}", begun.elapsed());
    assert_eq!(ready(&gateway).await, "ready, but without Redis: no answer within 500 ms\n");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_public_work_goes_on() {
    let Some(server) = Server::start(&["--requirepass", "s3cret"]) else { return };
    let logs = Logs::start();
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    let url = server.url().replace("://", "://:wr0ng@");
    let wrong = gateway(&(section(&url) + &masters.source("maps", ""))).await;
    assert_eq!(ready(&wrong).await, "ready, but without Redis: it wants another user name or password\n");
    wrong.image("/iiif/3/image/maps/a.png/full/100,/0/default.jpg").await;
    let said = logs.text();
    assert!(said.contains("it wants another user name or password") && !said.contains("wr0ng"), "{said}");
    masters.put("password", "s3cret\n");
    let file = masters.path().join("password");
    let settings = format!("{}password_file = '{}'\n", section(&server.url()), file.display());
    let right = gateway(&(settings + &masters.source("maps", ""))).await;
    assert_eq!(ready(&right).await, "ready\n");
}
