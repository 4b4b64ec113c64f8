//! The whole stack against a host on this machine that misbehaves as hosts do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use super::doubles::url;
use super::*;

/// A host that follows a script, one connection per request.
struct FakeHost {
    address: SocketAddr,
    /// What it was asked, head and body.
    asked: Arc<Mutex<Vec<String>>>,
}

/// Long enough to wait for what never comes.
const SOON: Duration = Duration::from_millis(100);

/// What it does when it is asked.
enum Act {
    /// Sends this and closes the connection.
    Say(Vec<u8>),
    /// Sends this and then nothing more, the connection open.
    Stall(Vec<u8>),
    /// Sends this, and then a byte now and then.
    Drip(Vec<u8>),
}

impl FakeHost {
    /// Follows `script`, which is given the number of the request, from 0.
    async fn start(script: impl Fn(usize) -> Act + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0", script).await
    }

    async fn start_at(address: &str, script: impl Fn(usize) -> Act + Send + 'static) -> Self {
        Self::behind(None, address, script).await
    }

    /// The same over TLS, trusted by those who trust the authority among the fixtures.
    async fn start_tls(script: impl Fn(usize) -> Act + Send + 'static) -> Self {
        let chain = vec![CertificateDer::from_pem_file(fixture("host.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(fixture("host.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::behind(Some(TlsAcceptor::from(Arc::new(config))), "127.0.0.1:0", script).await
    }

    async fn behind(
        tls: Option<TlsAcceptor>,
        address: &str,
        script: impl Fn(usize) -> Act + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream: Box<dyn Duplex> = match &tls {
                    None => Box::new(stream),
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => continue,
                    },
                };
                let request = hear(&mut stream).await;
                let n = heard.lock().unwrap().len();
                heard.lock().unwrap().push(request);
                tokio::spawn(act(stream, script(n)));
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> Url {
        url(&format!("http://{}{path}", self.address))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The way to this host, as its own source.
    fn upstream(&self, settings: Settings) -> Upstream {
        Upstream::new("maps", Settings { base: Some(self.url("/")), ..settings }).unwrap()
    }
}

/// A connection, plain or not.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

async fn act(mut stream: Box<dyn Duplex>, act: Act) {
    let (Act::Say(bytes) | Act::Stall(bytes) | Act::Drip(bytes)) = &act;
    let _ = stream.write_all(bytes).await;
    if let Act::Stall(_) = act {
        std::future::pending::<()>().await;
    }
    while let Act::Drip(_) = act {
        tokio::time::sleep(SOON / 10).await;
        if stream.write_all(b" ").await.is_err() {
            break;
        }
    }
    let _ = stream.shutdown().await;
}

/// One request, head and body, or the beginning of what is none.
async fn hear(stream: &mut Box<dyn Duplex>) -> String {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => heard.extend_from_slice(&piece[..n]),
            _ => break,
        }
        let text = String::from_utf8_lossy(&heard);
        if !text.starts_with(|first: char| first.is_ascii_uppercase()) {
            break;
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if body.len() >= length.parse().unwrap() {
            break;
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// An answer with a status line, headers and a body.
fn say(status: &str, headers: &[&str], body: &str) -> Act {
    Act::Say(wire(status, headers, body))
}

fn wire(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    format!("{text}\r\n{body}").into_bytes()
}

fn fine() -> Act {
    say("200 OK", &[], "fine")
}

/// Tries once.
fn once() -> Settings {
    Settings { retries: 0, ..Settings::default() }
}

/// The text of what went wrong, its port left out.
fn told(error: &UpstreamError, host: &FakeHost) -> String {
    error.to_string().replace(&host.address.to_string(), "HOST")
}

async fn read(upstream: &Upstream, request: Request) -> Result<String, UpstreamError> {
    let bytes = upstream.send(request).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_question_arrives_as_asked() {
    let host = FakeHost::start(|_| say("200 OK", &["x-made-by: dam"], "fine")).await;
    let upstream = host.upstream(Settings::default());
    let request =
        Request::post(host.url("/x?a=b"), "body").header(AUTHORIZATION, HeaderValue::from_static("Basic x"));
    let answer = upstream.send(request).await.unwrap();
    assert_eq!((answer.status, &answer.url), (StatusCode::OK, &host.url("/x?a=b")));
    assert_eq!(answer.headers["x-made-by"], "dam");
    assert_eq!(answer.bytes().await.unwrap(), "fine");
    let [asked] = &host.asked()[..] else { panic!("one request") };
    assert!(asked.starts_with("POST /x?a=b HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nauthorization: Basic x\r\n"), "{asked}");
    assert!(asked.contains("\r\nuser-agent: loggia/"), "{asked}");
    assert!(asked.ends_with("\r\n\r\nbody"), "{asked}");
}

#[tokio::test]
async fn a_description_is_whole_within_the_deadline_and_a_file_may_take_longer() {
    let host =
        FakeHost::start(|_| Act::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n".to_vec())).await;
    let upstream = host.upstream(Settings { deadline: SOON, ..once() });
    let asked = || Request::get(host.url("/"));
    insta::assert_snapshot!(
        told(&read(&upstream, asked()).await.unwrap_err(), &host),
        @"`HOST` (source `maps`) did not finish its answer within 100ms"
    );
    assert_eq!(read(&upstream, asked().wanted(Wanted::File)).await.unwrap().len(), 30);
}

#[tokio::test]
async fn a_host_that_is_busy_for_a_moment_is_asked_again() {
    let host = FakeHost::start(|n| match n {
        0 => say("429 Too Many Requests", &["retry-after: 0"], ""),
        1 => Act::Say(Vec::new()),
        _ => fine(),
    });
    let host = host.await;
    assert_eq!(read(&host.upstream(Settings::default()), Request::get(host.url("/"))).await.unwrap(), "fine");
    assert_eq!(host.asked().len(), 3);
}

#[tokio::test]
async fn a_host_that_is_busy_for_long_is_left_alone() {
    let host =
        FakeHost::start(|_| say("503 Service Unavailable", &["retry-after: 3600"], "back at noon")).await;
    let answer = host.upstream(Settings::default()).send(Request::get(host.url("/"))).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[RETRY_AFTER], "3600");
    assert_eq!(answer.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(answer.bytes().await.unwrap(), "back at noon");
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn what_may_change_something_is_not_repeated() {
    for (replay, expected) in [(Replay::Once, 1), (Replay::Safe, 3)] {
        let host = FakeHost::start(|_| say("502 Bad Gateway", &["retry-after: 0"], "")).await;
        let request = Request::post(host.url("/"), "a=b").replay(replay);
        let answer = host.upstream(Settings::default()).send(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(host.asked().len(), expected, "{replay:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let whole = |encoding: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{encoding}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let zipped = &TEN_THOUSAND_ZEROS[..30];
    let cases = [
        ("shorter than announced", whole("content-length: 10", b"abc")),
        ("within a chunk", whole("transfer-encoding: chunked", b"a\r\nabc")),
        ("without the last chunk", whole("transfer-encoding: chunked", b"3\r\nabc\r\n")),
        ("within gzip", whole("content-encoding: gzip\r\ncontent-length: 30", zipped)),
    ];
    for (name, bytes) in cases {
        let host = FakeHost::start(move |_| Act::Say(bytes.clone())).await;
        let upstream = host.upstream(Settings::default());
        let error = read(&upstream, Request::get(host.url("/?key=secret"))).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Cut { .. }), "{name}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{name}: {error:?}");
        let mut pieces = upstream.send(Request::get(host.url("/"))).await.unwrap().stream();
        while let Some(Ok(_)) = pieces.next().await {}
        assert!(pieces.next().await.is_none(), "{name}: the error ends the stream");
    }
}

#[tokio::test]
async fn a_host_that_falls_silent_is_given_up() {
    let host = FakeHost::start(|_| {
        let mut bytes = wire("200 OK", &[], "abcdef");
        bytes.truncate(bytes.len() - 3);
        Act::Stall(bytes)
    });
    let host = host.await;
    let settings = Settings { idle_timeout: SOON, ..once() };
    let error = read(&host.upstream(settings), Request::get(host.url("/"))).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout { phase: Phase::Piece, .. }), "{error}");
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up() {
    let host = FakeHost::start(|_| Act::Stall(Vec::new())).await;
    let upstream = host.upstream(Settings { attempt_timeout: SOON, ..once() });
    let error = upstream.send(Request::get(host.url("/"))).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &host), @"`HOST` (source `maps`) did not answer within 100ms");
}

#[tokio::test]
async fn a_long_answer_is_not_read() {
    let host = FakeHost::start(|_| say("200 OK", &[], &"x".repeat(1001))).await;
    let upstream = host.upstream(Settings::default());
    let error = read(&upstream, Request::get(host.url("/")).max_body(1000)).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &host), @"the answer of `HOST` (source `maps`) is longer than 1000 bytes");
    assert!(read(&upstream, Request::get(host.url("/")).max_body(1001)).await.is_ok());
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_long_one_is_not_read() {
    let host = FakeHost::start(|_| {
        let length = TEN_THOUSAND_ZEROS.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
        Act::Say([head.as_bytes(), &TEN_THOUSAND_ZEROS].concat())
    });
    let host = host.await;
    let upstream = host.upstream(Settings::default());
    let error = read(&upstream, Request::get(host.url("/")).max_body(9_999)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::BodyTooLarge { limit: 9_999, .. }), "{error}");
    let whole = read(&upstream, Request::get(host.url("/")).max_body(10_000)).await.unwrap();
    assert_eq!(whole.len(), 10_000);
}

#[tokio::test]
async fn the_announced_length_of_a_head_request_is_no_body() {
    let host =
        FakeHost::start(|_| Act::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec())).await;
    let request = Request::head(host.url("/")).max_body(10);
    let answer = host.upstream(Settings::default()).send(request).await.unwrap();
    assert_eq!(answer.headers["content-length"], "5000");
    assert_eq!(answer.bytes().await.unwrap(), "");
}

#[tokio::test]
async fn a_host_that_is_down_or_speaks_another_language_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let down = FakeHost { address: port, asked: Arc::default() };
    let error = read(&down.upstream(once()), Request::get(down.url("/?key=secret"))).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &down), @"`HOST` (source `maps`) cannot be reached: Connection refused (os error 111)");
    let error = format!("{error:?}");
    assert!(!error.contains("secret"), "{error}");

    let other = FakeHost::start(|_| Act::Say(b"220 mail.example.org ESMTP\r\n".to_vec())).await;
    let error = read(&other.upstream(once()), Request::get(other.url("/"))).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &other), @"`HOST` (source `maps`) cannot be reached: invalid HTTP version parsed");
}

#[tokio::test]
async fn a_host_without_tls_is_not_trusted() {
    let host = FakeHost::start(|_| fine()).await;
    let base = url(&format!("https://{}/", host.address));
    let upstream =
        Upstream::new("maps", Settings { base: Some(base.clone()), ..Settings::default() }).unwrap();
    let error = read(&upstream, Request::get(base)).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &host), @"`HOST` (source `maps`) offers no trusted connection: received corrupt message of type InvalidContentType (a certificate authority of your own goes into `ca_file`)");
    assert_eq!(host.asked().len(), 1, "not repeated");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_once_it_is_named() {
    let host = FakeHost::start_tls(|_| fine()).await;
    let base = url(&format!("https://{}/", host.address));
    let settings = |ca_file| Settings { base: Some(base.clone()), ca_file, ..Settings::default() };

    let stranger = Upstream::new("maps", settings(None)).unwrap();
    let error = read(&stranger, Request::get(base.clone())).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &host), @"`HOST` (source `maps`) offers no trusted connection: invalid peer certificate: UnknownIssuer (a certificate authority of your own goes into `ca_file`)");

    let friend = Upstream::new("maps", settings(Some(fixture("ca.pem")))).unwrap();
    assert_eq!(read(&friend, Request::get(base.clone())).await.unwrap(), "fine");
}

#[tokio::test]
async fn redirects_stay_among_the_allowed_hosts() {
    let files = FakeHost::start_at("127.0.0.2:0", |_| fine()).await;
    let location = format!("location: {}", files.url("/file?sign=secret"));
    let host = FakeHost::start(move |_| say("302 Found", &[&location], "")).await;
    let request =
        || Request::get(host.url("/x")).header(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));

    let error = read(&host.upstream(Settings::default()), request()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::HostRefused { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(files.asked().len(), 0);

    let hosts = vec![files.address.to_string()];
    let listed = Settings { hosts: hosts.clone(), ..Settings::default() };
    let error = read(&host.upstream(listed), request()).await.unwrap_err();
    assert!(error.to_string().contains("`allow_private`"), "{error}");
    assert_eq!(files.asked().len(), 0);

    let upstream = host.upstream(Settings { hosts, allow_private: true, ..Settings::default() });
    let answer = upstream.send(request()).await.unwrap();
    assert_eq!(answer.url, files.url("/file?sign=secret"));
    assert_eq!(answer.bytes().await.unwrap(), "fine");
    let [asked] = &files.asked()[..] else { panic!("one request") };
    assert!(!asked.contains("authorization"), "{asked}");
}

/// Every name leads to this machine.
struct Home;

impl Resolve for Home {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Ok(Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0)))) as Addrs) })
    }
}

#[tokio::test]
async fn a_name_that_leads_home_is_refused() {
    let host = FakeHost::start(|_| fine()).await;
    let there = url(&format!("http://files.example.net:{}/x", host.address.port()));
    let hosts = vec![format!("files.example.net:{}", host.address.port())];
    let settings = |allow_private| Settings { hosts: hosts.clone(), allow_private, ..Settings::default() };

    let closed = Upstream::with_names("maps", settings(false), Home).unwrap();
    let error = read(&closed, Request::get(there.clone())).await.unwrap_err();
    assert!(matches!(error, UpstreamError::HostRefused { .. }), "{error:?}");
    assert_eq!(host.asked().len(), 0);

    let open = Upstream::with_names("maps", settings(true), Home).unwrap();
    assert_eq!(read(&open, Request::get(there)).await.unwrap(), "fine");
}

/// So many zeros, as gzip writes them.
const TEN_THOUSAND_ZEROS: [u8; 45] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00,
    0xc2, 0xa0, 0xf7, 0x4f, 0x6d, 0x0e, 0x37, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xe0, 0xdf, 0x00, 0x2e, 0xca, 0x3b, 0x4d, 0x10, 0x27, 0x00, 0x00,
];
