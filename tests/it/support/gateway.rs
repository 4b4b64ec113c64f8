//! The whole gateway in this process: settings in, answers out, no port.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use loggia::clock::FixedClock;
use loggia::http::warm::Front;
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
    stack: Front,
    operators: Stack,
    clock: Arc<FixedClock>,
    dir: TempDir,
}

/// A picture that came back, decoded.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pixels: Vec<[u8; 4]>,
}

impl Picture {
    /// Decodes the body of an answer, to its last row.
    pub(crate) fn read(headers: HeaderMap, bytes: Bytes) -> Result<Self, imaging::ImagingError> {
        let (header, pixels) = decode(&bytes)?;
        Ok(Self { width: header.width, height: header.height, headers, bytes, pixels })
    }

    /// Red, green, blue and opacity at a place given in hundredths of width and height.
    pub(crate) fn at(&self, (x, y): (u32, u32)) -> [u8; 4] {
        let (x, y) = (self.width * x / 100, self.height * y / 100);
        self.pixels[(y * self.width + x) as usize]
    }
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
        std::fs::write(&file, with_address(&cache, settings)).unwrap();
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let (stack, operators) = stacks(&file, &clock);
        Self { stack, operators, clock, dir }
    }

    /// Ends, and starts again on the same cache with other settings.
    pub(crate) async fn restart_with(self, settings: &str) -> Self {
        let cache = format!("[cache]\ndir = '{}'\n", self.cache().display());
        let file = self.dir.path().join("loggia.toml");
        std::fs::write(&file, with_address(&cache, settings)).unwrap();
        self.restart().await
    }

    /// Ends, and starts again on the same cache.
    pub(crate) async fn restart(self) -> Self {
        let Self { stack: old, operators: old_desk, clock, dir } = self;
        drop((old, old_desk));
        let before = threads();
        let (stack, operators) = stacks(&dir.path().join("loggia.toml"), &clock);
        caches_read(&before).await;
        Self { stack, operators, clock, dir }
    }

    /// The cache, where the settings named no other.
    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// Lets time pass for everything that has an age.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Lets the time pass for which a record of a folder is good.
    pub(crate) fn a_moment(&self) {
        self.advance(Duration::from_secs(3));
    }

    /// A GET of a path or of an address from a document.
    pub(crate) async fn get(&self, address: &str) -> Response<Bytes> {
        self.send(Request::get(path(address))).await
    }

    /// Any request without a body.
    pub(crate) async fn send(&self, request: http::request::Builder) -> Response<Bytes> {
        let mut request = request.body(Body::empty()).unwrap();
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("loggia"));
        let (parts, body) = self.stack.clone().oneshot(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// Any request to the listener of operators.
    pub(crate) async fn operate(&self, request: http::request::Builder, body: Body) -> Response<Bytes> {
        let mut request = request.body(body).unwrap();
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("127.0.0.1:9090"));
        let (parts, body) = self.operators.clone().oneshot(request).await.unwrap().into_parts();
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
        Picture::read(parts.headers, bytes).unwrap_or_else(|error| panic!("{address}: {error}"))
    }
}

/// Every file in a folder and the folders below it; none where there is no folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(files_below(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

/// Decodes the whole picture, with our own decoders: a broken one fails.
fn decode(bytes: &Bytes) -> Result<(imaging::Header, Vec<[u8; 4]>), imaging::ImagingError> {
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
    let hints = imaging::Hints::new(&header);
    let png = imaging::render(Box::new(std::io::Cursor::new(bytes.clone())), &header, &job, &limits, &hints)?;
    Ok((header, pixels(&png)))
}

/// The pixels of a PNG, whatever its colour type.
fn pixels(png: &[u8]) -> Vec<[u8; 4]> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut data).unwrap();
    let pixels = data[..frame.buffer_size()].chunks_exact(frame.color_type.samples());
    let rgba = pixels.map(|pixel| match *pixel {
        [grey] => [grey, grey, grey, 255],
        [grey, alpha] => [grey, grey, grey, alpha],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, alpha] => [r, g, b, alpha],
        _ => unreachable!("a PNG has one to four samples"),
    });
    rgba.collect()
}

/// Settings of a gateway at our address. What stands above all sections stays there.
fn with_address(cache: &str, settings: &str) -> String {
    let adapters = settings.lines().next().filter(|line| line.starts_with("adapters ="));
    let rest = adapters.map_or(settings, |line| &settings[line.len()..]);
    let adapters = adapters.unwrap_or_default();
    format!("{adapters}\n{cache}[server]\npublic_url = '{PUBLIC}'\n{rest}")
}

fn stacks(file: &Path, clock: &Arc<FixedClock>) -> (Front, Stack) {
    let settings = loggia::cli::load(file).unwrap_or_else(|report| panic!("{report}"));
    loggia::assemble::with_operators_in_process(&settings, clock.clone()).unwrap()
}

/// Waits for threads that were started since `before` and read a cache. Elsewhere than on Linux
/// nobody tells, and a test may find a cache that does not know all it has.
async fn caches_read(before: &BTreeMap<OsString, String>) {
    let own = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    // Until it runs, a thread has the name of the one that started it.
    let reads = |name: &str| name.starts_with("scan ") || name == own;
    while threads().iter().any(|(id, name)| !before.contains_key(id) && reads(name)) {
        tokio::task::yield_now().await;
    }
}

/// The names of all threads of this process.
fn threads() -> BTreeMap<OsString, String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let named = tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        Some((task.file_name(), name))
    });
    named.collect()
}

/// Leaves a document where other readers of its standard will find it, if anybody asked for that.
pub(crate) fn hand_over(address: &str, document: &Value) {
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
