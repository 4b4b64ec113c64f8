//! The order of the layers, shown by what a client sees.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Mutex, Once, PoisonError};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::http::conditional::{Validator, not_modified};
use crate::http::health::{Exposure, Readiness};
use crate::http::{Peer, Problem, RouteClass, SourceName};
use crate::telemetry;

/// An app that misbehaves on request.
async fn app(req: Request<Body>) -> Result<Response<Body>, Infallible> {
    let json = "{\"label\": \"loggia\"}".repeat(100);
    Ok(match req.uri().path() {
        "/json" => answer(&req, "application/ld+json", &Validator::weak("j"), json),
        "/image" => answer(&req, "image/jpeg", &Validator::strong("i"), json),
        "/small" => answer(&req, "application/json", &Validator::weak("s"), "{}".into()),
        "/stream" => streamed(stream::iter([Ok(Bytes::from_static(b"abc"))])),
        "/broken" => streamed(stream::iter([Err(io::Error::other("cut"))])),
        "/stalled" => streamed(stream::pending()),
        "/post" => method::reads(req.method()).map_or_else(Into::into, |()| Response::new(Body::empty())),
        "/panic" => panic!("a bug"),
        "/stuck" => pending().await,
        _ => Problem::new(problem::Kind::NotFound, "no such address").into(),
    })
}

fn streamed(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Response<Body> {
    Response::new(Body::new(StreamBody::new(pieces.map_ok(Frame::data))))
}

fn answer(req: &Request<Body>, kind: &'static str, validator: &Validator, body: String) -> Response<Body> {
    let mut res = validator.stamp(Response::new(body.into()));
    res.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    res.headers_mut().insert("cache-control", HeaderValue::from_static("public, max-age=60"));
    res.extensions_mut().insert(RouteClass("test"));
    res.extensions_mut().insert(SourceName("maps".into()));
    if validator.known_to(req.headers()) { not_modified(res) } else { res }
}

fn outer() -> Outer {
    let health = Health {
        ready: Readiness::new(|| Err("source `maps` is still being read".into())),
        metrics: telemetry::recorder().handle(),
        exposure: Exposure::ThisMachine,
    };
    let settings = toml::from_str::<Settings>("trusted_proxies = ['10.0.0.0/8']").unwrap();
    Outer { concurrency: 1, ..Outer::new(&settings, settings.public_url(settings.listen), health) }
}

fn gateway() -> Stack {
    register_lines();
    stack(service_fn(app), outer())
}

/// Meets every log line once before any test goes on. One that is first met by a test without a
/// log, while another test has one, would stay silent for both.
fn register_lines() {
    static MET: Once = Once::new();
    MET.call_once(|| {
        let nowhere = tracing_subscriber::fmt().with_writer(io::sink).finish();
        tracing::subscriber::with_default(nowhere, || {
            let gateway = stack(service_fn(app), outer());
            for path in ["/panic", "/json"] {
                ask(&gateway, get(path)).now_or_never().unwrap();
            }
            let broken = gateway.oneshot(get("/broken")).now_or_never().unwrap().unwrap();
            assert!(broken.into_body().collect().now_or_never().unwrap().is_err());
        });
    });
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "loggia").body(Body::empty()).unwrap()
}

fn with(mut req: Request<Body>, name: &'static str, value: &'static str) -> Request<Body> {
    req.headers_mut().insert(name, HeaderValue::from_static(value));
    req
}

/// An answer with its whole body.
struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A problem that a viewer on another site can read, and that names its request.
    fn assert_readable_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("access-control-allow-origin"), "*");
        assert_eq!(self.header("x-request-id").len(), 32);
        let problem = self.json();
        assert_eq!(problem["instance"], self.header("x-request-id"));
        assert_eq!(problem["type"], format!("http://127.0.0.1:8080/docs/problems#{kind}"));
    }
}

async fn ask(gateway: &Stack, req: Request<Body>) -> Told {
    let (head, body) = gateway.clone().oneshot(req).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Told { status: head.status, headers: head.headers, body }
}

#[tokio::test]
async fn a_panic_is_a_readable_500_of_one_request() {
    let gateway = gateway();
    let told = ask(&gateway, get("/panic")).await;
    told.assert_readable_problem(500, "internal");
    assert!(!told.json()["detail"].as_str().unwrap().contains("a bug"));
    assert_eq!(ask(&gateway, get("/json")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_app_is_a_readable_504_and_gives_its_permit_back() {
    let gateway = gateway();
    let told = ask(&gateway, get("/stuck")).await;
    told.assert_readable_problem(504, "slow");
    assert_eq!(told.header("retry-after"), "5");
    assert_eq!(ask(&gateway, get("/json")).await.status, 200);
}

#[tokio::test]
async fn a_full_gateway_sheds_readably_and_stays_healthy() {
    let gateway = gateway();
    let mut stuck = Box::pin(gateway.clone().oneshot(get("/stuck")));
    assert!(futures_util::poll!(&mut stuck).is_pending());

    let told = ask(&gateway, get("/json")).await;
    told.assert_readable_problem(503, "busy");
    assert_eq!(told.header("retry-after"), "2");
    assert!(told.header("access-control-expose-headers").contains("retry-after"));

    assert_eq!(ask(&gateway, get("/health")).await.body, "alive\n");
    drop(stuck);
    assert_eq!(ask(&gateway, get("/json")).await.status, 200);
}

#[tokio::test]
async fn operators_get_short_answers() {
    let gateway = gateway();
    let not_ready = ask(&gateway, get("/ready")).await;
    assert_eq!(not_ready.status, 503);
    assert_eq!(not_ready.json()["detail"], "source `maps` is still being read");
    let head =
        ask(&gateway, Request::head("/health").header("host", "loggia").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "6", 0));
    let posted =
        ask(&gateway, Request::post("/health").header("host", "loggia").body(Body::empty()).unwrap()).await;
    assert_eq!((posted.status.as_u16(), posted.header("allow")), (405, "GET, HEAD, OPTIONS"));

    let metrics = async |peer: &str| {
        let mut req = get("/metrics");
        req.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 4711)));
        ask(&gateway, req).await.status.as_u16()
    };
    assert_eq!((metrics("127.0.0.1").await, metrics("192.0.2.1").await), (200, 404));
}

#[tokio::test]
async fn a_large_request_body_is_refused() {
    let gateway = gateway();
    let form = |length| {
        with(
            Request::post("/post").header("host", "loggia").body(Body::empty()).unwrap(),
            "content-length",
            length,
        )
    };
    ask(&gateway, form("65537")).await.assert_readable_problem(413, "body-too-large");
    ask(&gateway, form("65536")).await.assert_readable_problem(405, "method");
}

#[tokio::test]
async fn a_long_address_is_refused() {
    let told = ask(&gateway(), get(&format!("/{}", "a".repeat(8 * 1024)))).await;
    told.assert_readable_problem(414, "target-too-long");
}

#[tokio::test]
async fn json_is_compressed_and_keeps_its_tag_and_images_are_not() {
    let gateway = gateway();
    for (path, accept, encoding, vary, etag) in [
        ("/json", "br", "br", "accept-encoding", "W/\"j\""),
        ("/json", "gzip", "gzip", "accept-encoding", "W/\"j\""),
        ("/json", "identity", "", "accept-encoding", "W/\"j\""),
        ("/small", "br", "", "accept-encoding", "W/\"s\""),
        ("/image", "br", "", "", "\"i\""),
    ] {
        let told = ask(&gateway, with(get(path), "accept-encoding", accept)).await;
        let found = (told.header("content-encoding"), told.header("vary"), told.header("etag"));
        assert_eq!(found, (encoding, vary, etag), "{path} {accept}");
        assert_eq!(told.body.len() < 200, !encoding.is_empty() || path == "/small", "{path} {accept}");
    }
}

#[tokio::test]
async fn a_304_goes_through_compression_and_keeps_its_headers() {
    let gateway = gateway();
    for (path, tag, vary) in [("/json", "W/\"j\"", "accept-encoding"), ("/image", "\"i\"", "")] {
        let req = with(with(get(path), "accept-encoding", "br"), "if-none-match", tag);
        let told = ask(&gateway, req).await;
        assert_eq!((told.status.as_u16(), told.body.len()), (304, 0), "{path}");
        let found = (told.header("etag"), told.header("vary"), told.header("cache-control"));
        assert_eq!(found, (tag, vary, "public, max-age=60"), "{path}");
        assert_eq!(told.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(told.header("content-encoding"), "", "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let gateway = gateway();
    for (path, accept) in
        [("/json", "br"), ("/json", "identity"), ("/image", "br"), ("/nothing", "br"), ("/stream", "br")]
    {
        let get = ask(&gateway, with(get(path), "accept-encoding", accept)).await;
        let req = Request::head(path).header("host", "loggia").body(Body::empty()).unwrap();
        let mut head = ask(&gateway, with(req, "accept-encoding", accept)).await;
        assert_eq!(head.status, get.status);
        assert!(head.body.is_empty(), "{path}");
        let length = head.headers.remove("content-length");
        let known = accept == "identity" || path == "/image" || path == "/nothing";
        assert_eq!(length.is_some(), known, "{path} {accept}");
        if let Some(length) = length {
            assert_eq!(length, get.body.len().to_string(), "{path} {accept}");
        }
        for (name, value) in &get.headers {
            assert!(name == "x-request-id" || head.headers.get(name) == Some(value), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn preflights_are_answered_without_the_app() {
    let req =
        Request::options("/panic").header("host", "loggia").header("origin", "https://viewer.example.org");
    let req = req
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    let told = ask(&gateway(), req.body(Body::empty()).unwrap()).await;
    assert_eq!(told.status, 204);
    let headers = told.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let lines: Vec<_> = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    access-control-allow-methods: GET,HEAD,OPTIONS
    access-control-allow-headers: authorization
    access-control-max-age: 7200
    access-control-allow-origin: *
    allow: GET, HEAD, OPTIONS
    ");
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let told =
        ask(&gateway(), Request::delete("/post").header("host", "loggia").body(Body::empty()).unwrap()).await;
    told.assert_readable_problem(405, "method");
    assert_eq!(told.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_request_id_is_taken_from_trusted_proxies_only() {
    let gateway = gateway();
    let id = async |peer: &str, sent: &'static str| {
        let mut req = with(get("/nothing"), "x-request-id", sent);
        req.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 4711)));
        let told = ask(&gateway, req).await;
        assert_eq!(told.json()["instance"], told.header("x-request-id"));
        told.header("x-request-id").to_owned()
    };
    assert_eq!(id("10.0.0.1", "from-the-proxy").await, "from-the-proxy");
    assert_eq!(id("10.0.0.1", "two words").await.len(), 32);
    assert_eq!(id("192.0.2.1", "invented").await.len(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_breaks_off() {
    let res = gateway().oneshot(get("/stalled")).await.unwrap();
    assert_eq!(res.status(), 200);
    assert!(res.into_body().collect().await.is_err());
}

/// Takes log lines in place of standard error.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged() -> (Lines, tracing::subscriber::DefaultGuard) {
    register_lines();
    let lines = Lines::default();
    let writer = lines.clone();
    let log =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    (lines, tracing::subscriber::set_default(log))
}

#[tokio::test]
async fn every_request_is_one_line_and_counted() {
    let (lines, _guard) = logged();
    let recorder = telemetry::recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let gateway = gateway();

    let mut req = with(get("/json?token=secret"), "x-forwarded-for", "192.0.2.7");
    req.extensions_mut().insert(Peer("10.0.0.1:4711".parse().unwrap()));
    let id = ask(&gateway, with(req, "x-request-id", "r-1")).await.header("x-request-id").to_owned();
    let [line] = &lines.take()[..] else { panic!("one line") };
    for (field, value) in [
        ("level", "INFO"),
        ("method", "GET"),
        ("path", "/json"),
        ("end", "whole"),
        ("route", "test"),
        ("source", "maps"),
        ("client", "192.0.2.7"),
        ("peer", "10.0.0.1"),
        ("request_id", id.as_str()),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &1900.into()));
    assert!(line["duration_ms"].as_f64().unwrap() >= line["head_ms"].as_f64().unwrap());

    let counts = recorder.handle().render();
    for count in [
        r#"loggia_http_requests_total{route="test",status="200"} 1"#,
        r#"loggia_http_response_bytes_total{route="test"} 1900"#,
        r#"loggia_http_request_duration_seconds_count{route="test"} 1"#,
    ] {
        assert!(counts.contains(count), "{count} in {counts}");
    }
}

#[tokio::test]
async fn the_line_tells_how_an_answer_ended() {
    let (lines, _guard) = logged();
    let recorder = telemetry::recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let gateway = gateway();
    let end = |lines: Vec<Value>| lines.last().unwrap()["end"].as_str().unwrap().to_owned();

    let mut stuck = Box::pin(gateway.clone().oneshot(get("/stuck")));
    assert!(futures_util::poll!(&mut stuck).is_pending());
    drop(stuck);
    let line = lines.take().pop().unwrap();
    assert_eq!(
        (&line["end"], &line["path"], &line["status"]),
        (&"cut".into(), &"/stuck".into(), &Value::Null)
    );
    let counts = recorder.handle().render();
    assert!(counts.contains(r#"loggia_http_requests_total{route="none",status="none"} 1"#), "{counts}");

    drop(gateway.clone().oneshot(get("/image")).await.unwrap());
    assert_eq!(end(lines.take()), "cut");
    ask(&gateway, Request::head("/image").header("host", "loggia").body(Body::empty()).unwrap()).await;
    assert_eq!(end(lines.take()), "whole");
    let res = gateway.clone().oneshot(get("/broken")).await.unwrap();
    assert!(res.into_body().collect().await.is_err());
    assert_eq!(end(lines.take()), "failed");
}

#[tokio::test]
async fn a_long_path_is_cut_in_the_log() {
    let (lines, _guard) = logged();
    ask(&gateway(), get(&format!("/{}", "é".repeat(3000)))).await;
    assert_eq!(lines.take().pop().unwrap()["path"].as_str().unwrap().len(), 2047);
}

#[tokio::test]
async fn a_request_names_one_host() {
    let gateway = gateway();
    for (hosts, status) in [(vec![], 400), (vec!["a"], 200), (vec!["a", "b"], 400)] {
        let mut req = Request::get("/json");
        for host in &hosts {
            req = req.header("host", *host);
        }
        assert_eq!(ask(&gateway, req.body(Body::empty()).unwrap()).await.status, status, "{hosts:?}");
    }
    let mut older = Request::get("/json").body(Body::empty()).unwrap();
    *older.version_mut() = http::Version::HTTP_10;
    assert_eq!(ask(&gateway, older).await.status, 200);
}

#[tokio::test]
async fn the_operators_listener_is_for_operators_who_come_by_address() {
    let mut outer = outer();
    outer.health.exposure = Exposure::Everybody;
    let gateway = operators(Stack::new(service_fn(app)), outer);
    for (path, host, status) in [
        ("/metrics", "127.0.0.1:9090", 200),
        ("/health", "localhost", 200),
        ("/metrics", "[::1]:9090", 200),
        ("/metrics", "evil.example", 404),
        ("/metrics", "evil.example:9090", 404),
        ("/json", "127.0.0.1:9090", 200),
        ("/json", "evil.example", 404),
        ("/panic", "127.0.0.1:9090", 500),
    ] {
        let told = ask(&gateway, Request::get(path).header("host", host).body(Body::empty()).unwrap()).await;
        assert_eq!(told.status, status, "{path} {host}");
        assert_eq!(told.header("x-request-id").len(), 32);
    }
}

#[tokio::test]
async fn a_panics_line_names_the_request() {
    let (lines, _guard) = logged();
    let told = ask(&gateway(), get("/panic")).await;
    let lines = lines.take();
    assert_eq!((&lines[0]["level"], &lines[0]["panic"]), (&"ERROR".into(), &"a bug".into()));
    assert_eq!(lines[0]["span"]["id"], told.header("x-request-id"));
    assert_eq!((&lines[1]["status"], &lines[1]["route"]), (&500.into(), &"none".into()));
}
