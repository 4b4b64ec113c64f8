//! Masters that tests make for themselves, and a folder to put them in.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of masters that goes away with the test.
pub(crate) struct Masters(TempDir);

impl Masters {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One that holds these files.
    pub(crate) fn with<const N: usize>(files: [(&str, Vec<u8>); N]) -> Self {
        let masters = Self::new();
        files.into_iter().for_each(|(name, bytes)| masters.put(name, bytes));
        masters
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes other bytes of the same length into a file, which looks as if nobody had.
    pub(crate) fn swap(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        let before = fs::metadata(&path).unwrap();
        assert_eq!(before.len(), bytes.len() as u64);
        fs::write(&path, bytes).unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The section of a source with these masters; `more` follows below it.
    pub(crate) fn source(&self, name: &str, more: &str) -> String {
        format!("[sources.{name}]\nadapter = 'folder'\npath = '{}'\n{more}\n", self.path().display())
    }
}

/// The middles of the four quarters, in hundredths.
pub(crate) const MIDDLES: [(u32, u32); 4] = [(25, 25), (75, 25), (25, 75), (75, 75)];
/// What is seen there: red, green, blue and yellow.
pub(crate) const COLOURS: [[u8; 3]; 4] = [[220, 40, 40], [40, 180, 60], [50, 70, 200], [240, 220, 60]];

/// A PNG of four quarters in [`COLOURS`]. Two bits a pixel: even a large one takes kilobytes only.
pub(crate) fn quarters(width: u32, height: u32) -> Vec<u8> {
    quarters_in(COLOURS, width, height)
}

/// The same in other colours: a file of the same length.
pub(crate) fn quarters_in(colours: [[u8; 3]; 4], width: u32, height: u32) -> Vec<u8> {
    let row = |left: u8, right: u8| -> Vec<u8> {
        let index = |x: u32| if x < width / 2 { left } else { right };
        let byte = |at: u32| (0..4).fold(0, |byte, n| byte << 2 | index((at * 4 + n).min(width - 1)));
        (0..width.div_ceil(4)).map(byte).collect()
    };
    let (upper, lower) = (row(0, 1), row(2, 3));
    let mut rows = Vec::with_capacity(upper.len() * height as usize);
    (0..height).for_each(|y| rows.extend_from_slice(if y < height / 2 { &upper } else { &lower }));
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(colours.concat());
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header().unwrap().write_image_data(&rows).unwrap();
    file
}

/// A PNG of one colour, half transparent.
pub(crate) fn transparent(width: u32, height: u32) -> Vec<u8> {
    let row = [200, 100, 50, 128].repeat(width as usize);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut rows = writer.stream_writer().unwrap();
    (0..height).for_each(|_| std::io::Write::write_all(&mut rows, &row).unwrap());
    rows.finish().unwrap();
    writer.finish().unwrap();
    file
}

/// The same as small as it gets, for tests that look at no pixels.
pub(crate) fn tiny() -> Vec<u8> {
    quarters(8, 6)
}

/// A file of `tests/fixtures/images`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = fixtures().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `tests/fixtures/images`.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}
