//! The whole gateway in this process: settings in, answers out, no port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use loggia::clock::FixedClock;
use loggia::http::{Body, Stack};
use loggia::imaging;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use super::wellformed::{check_v2, check_v3};

/// What every address in the documents begins with.
pub(crate) const PUBLIC: &str = "http://iiif.example.org";

/// A gateway with a cache of its own and a clock that moves only when told to.
pub(crate) struct TestGateway {
    stack: Stack,
    clock: Arc<FixedClock>,
    dir: TempDir,
}

/// A picture that came back, decoded.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl TestGateway {
    /// Starts with these settings; where they say nothing, the cache lies in a folder of its own.
    pub(crate) async fn start(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = match settings.contains("[cache]") {
            true => String::new(),
            false => format!("[cache]\ndir = '{}'\n", dir.path().join("cache").display()),
        };
        let file = dir.path().join("loggia.toml");
        std::fs::write(&file, format!("{cache}[server]\npublic_url = '{PUBLIC}'\n{settings}")).unwrap();
        let settings = loggia::cli::load(&file).unwrap_or_else(|report| panic!("{report}"));
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let stack = loggia::assemble::in_process(&settings, clock.clone()).unwrap();
        Self { stack, clock, dir }
    }

    /// A folder that goes away with the gateway.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Lets time pass for everything that has an age.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// A GET of a path or of an address from a document.
    pub(crate) async fn get(&self, address: &str) -> Response<Bytes> {
        self.send(Request::get(path(address))).await
    }

    /// Any request without a body.
    pub(crate) async fn send(&self, request: http::request::Builder) -> Response<Bytes> {
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = self.stack.clone().oneshot(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// A JSON document that has to be there, held against the rules of its standard.
    pub(crate) async fn document(&self, address: &str) -> Value {
        let res = self.get(address).await;
        assert_eq!(res.status(), StatusCode::OK, "{address}: {}", String::from_utf8_lossy(res.body()));
        let document: Value = serde_json::from_slice(res.body()).unwrap();
        let faults = faults(&document);
        assert!(faults.is_empty(), "{address}: {faults:#?}\n{document:#}");
        hand_over(address, &document);
        document
    }

    /// A picture that has to be there and has to decode, to its last row.
    pub(crate) async fn image(&self, address: &str) -> Picture {
        let res = self.get(address).await;
        assert_eq!(res.status(), StatusCode::OK, "{address}: {}", String::from_utf8_lossy(res.body()));
        let (parts, bytes) = res.into_parts();
        let header = decode(&bytes).unwrap_or_else(|error| panic!("{address}: {error}"));
        Picture { width: header.width, height: header.height, headers: parts.headers, bytes }
    }
}

/// Decodes the whole picture, with our own decoders: a broken one fails.
fn decode(bytes: &Bytes) -> Result<imaging::Header, imaging::ImagingError> {
    use loggia::iiif::image::{geometry::Rect, quality, rotation::Rotation};
    let limits = imaging::Limits::default();
    let header = imaging::header(&mut std::io::Cursor::new(bytes.clone()), &limits)?;
    let (width, height) = (header.width, header.height);
    let job = imaging::Job {
        crop: Rect { x: 0, y: 0, width, height },
        width,
        height,
        rotation: Rotation { mirror: false, degrees: 0.0 },
        quality: quality::Quality::Default,
        format: quality::Format::Png,
        jpeg_quality: 80,
    };
    imaging::render(Box::new(std::io::Cursor::new(bytes.clone())), &job, &limits)?;
    Ok(header)
}

/// Leaves a document where other readers of its standard will find it, if anybody asked for that.
fn hand_over(address: &str, document: &Value) {
    let Some(folder) = std::env::var_os("LOGGIA_TEST_DOCUMENTS").map(PathBuf::from) else { return };
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect()
    };
    let digest = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        format!("{test}{address}{document}"),
    ));
    let name = format!("{}-{}.json", plain(path(address).trim_start_matches('/')), hex::encode(&digest[..4]));
    std::fs::write(folder.join(name), document.to_string()).unwrap();
}

fn path(address: &str) -> &str {
    address.strip_prefix(PUBLIC).unwrap_or(address)
}

/// What the standard that a document names would object to.
fn faults(document: &Value) -> Vec<String> {
    match document["@context"].to_string() {
        context if context.contains("presentation/3") => check_v3(document),
        context if context.contains("presentation/2") => check_v2(document),
        _ => Vec::new(),
    }
}
