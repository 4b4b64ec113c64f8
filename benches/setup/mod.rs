//! What the benchmarks measure: a gateway over a folder of pictures that are drawn here.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Builder;
use http::{Request, Response, StatusCode};
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
    /// How many links to the large master there are: each is a master of its own.
    links: Cell<u32>,
    dir: TempDir,
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
        Self { runtime, stack: stack.expect("the settings are right"), links: Cell::new(0), dir }
    }

    /// How long the first question about a master takes. Returns when its pyramid is made.
    pub(crate) fn time_of_a_first(&self, parameters: &str) -> Duration {
        let master = self.link();
        let begun = Instant::now();
        let res = self.runtime.block_on(self.get(Request::get(format!("{master}/{parameters}"))));
        let taken = begun.elapsed();
        assert_eq!(res.headers()[CONTENT_TYPE], "image/jpeg");
        self.wait_for_pyramids();
        taken
    }

    /// The address of a master that has a pyramid.
    pub(crate) fn with_pyramid(&self) -> String {
        let master = self.link();
        self.runtime.block_on(self.get(Request::get(format!("{master}/full/100,/0/default.jpg"))));
        self.wait_for_pyramids();
        master
    }

    /// Another master, of a folder of its own: in one that was read already it would not be seen at once.
    fn link(&self) -> String {
        let number = self.links.replace(self.links.get() + 1);
        let masters = self.dir.path().join("masters");
        let folder = masters.join(format!("links-{number}"));
        std::fs::create_dir(&folder).expect("there is room for a folder");
        std::fs::hard_link(masters.join("master.jpg"), folder.join("a.jpg"))
            .expect("files can have two names");
        format!("/iiif/3/image/bench/links-{number}%2Fa.jpg")
    }

    /// One for each link that was asked for, and one for the master itself.
    fn wait_for_pyramids(&self) {
        let wanted = self.links.get() as usize + 1;
        while pyramids(&self.dir.path().join("cache/pyramids")) < wanted {
            std::thread::yield_now();
        }
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

/// How many files there are that are no drafts.
fn pyramids(dir: &Path) -> usize {
    let folders = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = folders.filter(|folder| folder.file_name() != "drafts");
    folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).map(Iterator::count).sum()
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
