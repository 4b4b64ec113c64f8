//! What the benchmarks measure: a gateway over a folder of pictures that are drawn here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Builder;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use loggia::clock::FixedClock;
use loggia::http::Body;
use loggia::http::warm::Front;
use loggia::{assemble, cli, telemetry};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// The size of the large master: 25 million pixels.
pub(crate) const MASTER: (u32, u32) = (6144, 4096);
/// How many pages the book has.
pub(crate) const PAGES: u32 = 400;

/// The whole gateway without its listener, over `master.jpg` and `book/`. Its clock stands still: what is warm stays warm.
pub(crate) struct Gateway {
    pub(crate) runtime: Runtime,
    stack: Front,
    _dir: TempDir,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        // A gateway that runs has a recorder; without one, counting would cost nothing.
        telemetry::metrics().expect("nobody else installs a recorder");
        let dir = tempfile::tempdir().expect("there is room for a folder");
        let settings = folder(dir.path());
        let settings = cli::load(&settings).unwrap_or_else(|report| panic!("{report}"));
        let runtime = Runtime::new().expect("a runtime starts");
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let stack = runtime.block_on(async { assemble::in_process(&settings, clock) });
        Self { runtime, stack: stack.expect("the settings are right"), _dir: dir }
    }

    /// Asks and takes the whole answer; a benchmark of an error page would be worth nothing.
    pub(crate) async fn get(&self, request: Builder) -> Response<Bytes> {
        let request = request.header(HOST, "loggia").body(Body::empty()).expect("the request is well-formed");
        let (parts, body) =
            self.stack.clone().oneshot(request).await.expect("it always answers").into_parts();
        let bytes = body.collect().await.expect("the body is whole").to_bytes();
        assert_eq!(parts.status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
        Response::from_parts(parts, bytes)
    }

    /// Looks at an answer once before it is measured, and warms what keeps it.
    pub(crate) fn check(&self, request: Builder, content_type: &str) -> Bytes {
        let res = self.runtime.block_on(self.get(request));
        let found = res.headers()[CONTENT_TYPE].to_str().expect("a content type is ASCII");
        assert!(found.starts_with(content_type), "{found}");
        res.into_body()
    }
}

/// Draws the pictures and writes the settings beside them.
fn folder(dir: &Path) -> PathBuf {
    let book = dir.join("masters/book");
    std::fs::create_dir_all(&book).expect("there is room for a folder");
    let write = |path: PathBuf, bytes: &[u8]| std::fs::write(path, bytes).expect("there is room for a file");
    write(dir.join("masters/master.jpg"), &picture(MASTER));
    let page = picture((48, 64));
    for number in 1..=PAGES {
        write(book.join(format!("page-{number}.jpg")), &page);
    }
    let settings = dir.join("loggia.toml");
    let text = format!(
        "[cache]\ndir = '{0}/cache'\nmemory = '64MiB'\n[sources.bench]\nadapter = 'folder'\npath = '{0}/masters'\n",
        dir.display()
    );
    write(settings.clone(), text.as_bytes());
    settings
}

/// Gradients under noise, the same every time: a JPEG that is as hard to read as a scan.
fn picture((width, height): (u32, u32)) -> Vec<u8> {
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let [a, b, c, ..] = noise.to_le_bytes().map(|byte| byte % 24);
            let (across, down) = ((x * 200 / width) as u8, (y * 200 / height) as u8);
            pixels.extend([across + a, down + b, 100 + across / 4 + down / 4 + c]);
        }
    }
    compress(&pixels, width as usize, height as usize, PixelFormat::Rgb, 85, Subsampling::S420)
        .expect("the picture is as large as it says")
}
