//! A directory that nothing leads out of: look-up, listing and reading by relative path.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use alphanumeric_sort::compare_str;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::complaints::Complaints;
use crate::adapter::record::MediaId;
use crate::imaging::{self, Folio, ImagingError, Kind as Told, Page};
use crate::weighed;

/// Descriptions are written by hand: nobody writes more.
const LONGEST: u64 = 1 << 20;

/// Files of which it is remembered whether they are images: a few large records, some megabytes.
const REMEMBERED: usize = 1 << 15;

/// Pages of PDFs that are remembered, all together: some dozens of bytes each.
const PAGES: u64 = 1 << 18;

/// The folder. Paths are resolved by name first, then opened through a directory handle that
/// cannot leave it: a link that is swapped in between is refused by the handle.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    dir: Dir,
    /// A record is asked for every few seconds; its files are not opened again as long as none was changed.
    images: Cache<Version, bool>,
    readable: Cache<Version, bool>,
    books: Cache<Version, bool>,
    pages: Cache<Version, Pages, ByCount>,
    /// Held by whoever reads a PDF: each is read as a whole.
    reading: Mutex<()>,
    /// Pixels to an inch of a page.
    dpi: u32,
    complaints: Complaints,
}

/// The pages of a PDF; nothing of one that cannot be read.
pub(super) type Pages = Option<Arc<[Folio]>>;

#[derive(Clone, Debug)]
struct ByCount;

impl Weighter<Version, Pages> for ByCount {
    fn weight(&self, _: &Version, pages: &Pages) -> u64 {
        1 + pages.as_ref().map_or(0, |pages| pages.len() as u64)
    }
}

/// A file as it was when it was last changed.
type Version = (PathBuf, u64, Option<SystemTime>);

/// A name in a folder, before anything else is asked.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// `None`: a link, to be resolved by [`Tree::entry`].
    pub(super) kind: Option<Kind>,
}

/// A file or folder that may be shown.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name in the folder where it was found.
    pub(super) name: String,
    /// Where it really is, relative to the root, links resolved; empty for the root.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// Length in bytes.
    pub(super) len: u64,
    pub(super) modified: Option<SystemTime>,
}

impl Entry {
    /// Its name without the last ending: `map of Paris.tif` is called *map of Paris*.
    pub(super) fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(stem, _)| stem)
    }

    fn version(&self) -> Version {
        (self.path.clone(), self.len, self.modified)
    }
}

impl Name {
    /// Whether it may be a PDF, as far as can be told without opening it.
    pub(super) fn may_be_book(&self) -> bool {
        self.kind != Some(Kind::Folder) && is_named_pdf(&self.text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

impl Tree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority())?;
        let cache = || Cache::new(REMEMBERED);
        let (images, readable, books) = (cache(), cache(), cache());
        let pages = weighed::cache(PAGES, PAGES / REMEMBERED as u64, PAGES / 16, ByCount);
        let (reading, complaints) = (Mutex::default(), Complaints::default());
        Ok(Self { root, dir, images, readable, books, pages, reading, dpi: Page::DPI, complaints })
    }

    /// The same, with pages of PDFs at so many pixels to an inch.
    pub(super) fn with_dpi(self, dpi: u32) -> Self {
        Self { dpi, ..self }
    }

    /// Another folder has another one.
    pub(super) fn identity(&self) -> String {
        hex::encode(&Sha256::digest(self.root.as_os_str().as_encoded_bytes())[..8])
    }

    /// The names in a folder that may be shown, in natural order.
    pub(super) fn names(&self, folder: &Path) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for found in self.dir.read_dir(plain(folder))? {
            let found = found?;
            // Names that are not UTF-8 have no id: an identifier is text. A file may be gone by now.
            let (Ok(text), Ok(kind)) = (found.file_name().into_string(), found.file_type()) else { continue };
            if showable(&text) && (kind.is_symlink() || known(kind).is_some()) {
                names.push(Name { text, kind: known(kind) });
            }
        }
        names.sort_by(|a, b| natural(&a.text, &b.text));
        Ok(names)
    }

    /// What a name in a folder stands for. `None` for what does not exist, is hidden by a dot,
    /// leads out, or is neither file nor folder.
    pub(super) fn entry(&self, folder: &Path, name: &str) -> io::Result<Option<Entry>> {
        if !showable(name) {
            return Ok(None);
        }
        let path = folder.join(name);
        let Some(metadata) = there(self.dir.symlink_metadata(&path))? else { return Ok(None) };
        let entry = self.follow(path, metadata)?;
        Ok(entry.map(|entry| Entry { name: name.to_owned(), ..entry }))
    }

    /// Opens a file that was found before.
    pub(super) fn read(&self, file: &Entry) -> io::Result<File> {
        Ok(self.dir.open(&file.path)?.into_std())
    }

    /// The text of a small file beside the masters; `None` if nothing has its name. What is there
    /// and cannot be read is never taken for nothing.
    pub(super) fn text(&self, path: &Path) -> io::Result<Option<String>> {
        let metadata = match self.dir.symlink_metadata(path) {
            // Beside a very long name the description's would be too long for any file.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => {
                return Ok(None);
            }
            found => found?,
        };
        let file = self.follow(path.to_path_buf(), metadata)?.filter(|entry| entry.kind == Kind::File);
        let file = file.ok_or_else(|| {
            io::Error::other("expected a regular file, or a link to one inside of the source's folder")
        })?;
        let mut bytes = Vec::new();
        self.read(&file)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            let problem = format!("it has more than {LONGEST} bytes, the most that is read of a description");
            return Err(io::Error::other(problem));
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| io::Error::other(format!("it is not UTF-8: {error}")))?;
        Ok(Some(text))
    }

    /// Tells the operator why a description or a folder cannot be read, if that is news.
    pub(super) fn report(&self, path: &Path, problem: Option<&str>) {
        match problem {
            Some(problem) if self.complaints.is_news(path, problem) => {
                let path = self.root.join(path);
                tracing::warn!(path = %path.display(), problem, "this cannot be read: nobody is told of what it holds or describes");
            }
            Some(_) => {}
            None => self.complaints.settle(path),
        }
    }

    /// Whether a file is an image, told by its first bytes and not by its name.
    pub(super) fn is_image(&self, file: &Entry) -> io::Result<bool> {
        self.told(&self.images, file, |content| {
            let mut head = Vec::with_capacity(imaging::MAGIC);
            content.take(imaging::MAGIC as u64).read_to_end(&mut head)?;
            Ok(imaging::kind(&head).is_some_and(|kind| kind != Told::Pdf))
        })
    }

    /// Whether a file is a PDF, told by its first bytes, if its name says so too: looking into every file of every folder
    /// for books among the pictures would take too long.
    pub(super) fn is_book(&self, file: &Entry) -> io::Result<bool> {
        if !is_named_pdf(&file.name) {
            return Ok(false);
        }
        self.told(&self.books, file, |content| {
            let mut head = Vec::new();
            content.take(imaging::MARK_WITHIN).read_to_end(&mut head)?;
            Ok(imaging::is_pdf(&head))
        })
    }

    /// The pages of a PDF. Why there are none is told to the operator.
    pub(super) fn pages(&self, book: &Entry) -> io::Result<Pages> {
        let version = book.version();
        if let Some(known) = self.pages.get(&version) {
            return Ok(known);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.pages.get(&version) {
            return Ok(known);
        }
        let pages = match imaging::folios(&mut self.read(book)?, self.dpi) {
            Ok(pages) => Some(pages.into()),
            // What could not be read today may be readable tomorrow.
            Err(ImagingError::Read(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(path = %self.root.join(&book.path).display(), %error, "a PDF is left out");
                None
            }
        };
        self.pages.insert(version, Pages::clone(&pages));
        Ok(pages)
    }

    /// Whether it is known that a PDF cannot be read. Nobody reads all of them to tell what is in a folder.
    pub(super) fn is_lost(&self, book: &Entry) -> bool {
        matches!(self.pages.get(&book.version()), Some(None))
    }

    /// Whether the header of an image can be read, so that pictures can be made of it.
    pub(super) fn is_readable(&self, image: &Entry) -> bool {
        let told = self.told(&self.readable, image, |mut content| {
            match imaging::header(&mut content, &imaging::Limits::default()) {
                Err(ImagingError::Read(error)) => Err(error),
                header => Ok(header.is_ok()),
            }
        });
        told.unwrap_or(false)
    }

    /// What a look into a file tells, remembered until the file is changed. One that cannot be read is nothing that we
    /// know; that none can be opened is no word about this one.
    fn told(
        &self,
        known: &Cache<Version, bool>,
        file: &Entry,
        look: impl FnOnce(File) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let version = file.version();
        if let Some(known) = known.get(&version) {
            return Ok(known);
        }
        match self.read(file).and_then(look) {
            Ok(told) => {
                known.insert(version, told);
                Ok(told)
            }
            Err(error) if is_exhausted(&error) => Err(error),
            // What could not be read today may be readable tomorrow.
            Err(_) => Ok(false),
        }
    }

    /// How many files were opened to tell what they are.
    #[cfg(test)]
    pub(super) fn opened(&self) -> usize {
        self.images.len()
    }

    /// What stands at a path, behind its link if it is one. Nothing is opened to tell: opening a pipe blocks for ever.
    fn follow(&self, path: PathBuf, metadata: Metadata) -> io::Result<Option<Entry>> {
        let (path, metadata) = if metadata.is_symlink() {
            let Some(target) = self.resolve(&path)? else { return Ok(None) };
            let Some(metadata) = there(self.dir.symlink_metadata(plain(&target)))? else { return Ok(None) };
            (target, metadata)
        } else {
            (path, metadata)
        };
        let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
        let entry = |kind| Entry { name: String::new(), path, kind, len: metadata.len(), modified };
        Ok(known(metadata.file_type()).map(entry))
    }

    /// Where a link leads. `None` if nowhere, out, or to what a dot hides.
    fn resolve(&self, link: &Path) -> io::Result<Option<PathBuf>> {
        let Some(target) = there(self.root.join(link).canonicalize())? else { return Ok(None) };
        let inside = target.strip_prefix(&self.root).ok();
        let shown = inside.filter(|target| target.iter().all(|name| name.to_str().is_some_and(showable)));
        Ok(shown.map(Path::to_path_buf))
    }
}

/// `None` for what is not there, is kept from us, or has a name that nothing can have. That the system cannot tell, because
/// too many files are open or a disk is away, says nothing of the kind.
fn there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    use ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    match outcome {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => Ok(None),
        Err(error) => match error.kind() {
            NotFound | NotADirectory | PermissionDenied | InvalidFilename | InvalidInput => Ok(None),
            _ => Err(error),
        },
        Ok(found) => Ok(Some(found)),
    }
}

/// Whether no file can be opened at present, whichever it is.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// Of many, one that cannot be looked at is left out, or a damaged file would take all folders above it along; that nothing
/// at all can be looked at fails.
pub(super) fn one_of_many<T>(outcome: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if !is_exhausted(&error) => {
            tracing::warn!(%error, "a file or folder cannot be looked at and is left out");
            Ok(None)
        }
        outcome => outcome,
    }
}

/// The order in which people count: `p2` before `p10`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    compare_str(a, b).then_with(|| a.cmp(b))
}

/// Pipes, sockets and devices are nothing that we know.
fn known(kind: FileType) -> Option<Kind> {
    if kind.is_file() {
        Some(Kind::File)
    } else if kind.is_dir() {
        Some(Kind::Folder)
    } else {
        None
    }
}

/// Whatever a link is called: what it leads to decides.
fn is_named_pdf(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("pdf"))
}

/// A plain name: not empty, not hidden, one component on every system, and not what a page of a PDF is called.
fn showable(name: &str) -> bool {
    !name.starts_with('.')
        && MediaId::from(name).page().is_none()
        && matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(part)] if part == name)
}

/// The directory handle knows itself as `.`, not as the empty path.
fn plain(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_opened_again_only_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let tree = Tree::open(folder.path()).unwrap();
        let write = |content: &str, time: SystemTime| {
            fs::write(&path, content).unwrap();
            File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        let is_image = || tree.is_image(&tree.entry(Path::new(""), "a.gif").unwrap().unwrap()).unwrap();
        let (first, later) = (SystemTime::UNIX_EPOCH, SystemTime::now());
        write("GIF89a......", first);
        assert!(is_image());
        write("GIF?9a......", first);
        assert!(is_image(), "remembered");
        write("GIF?9a......", later);
        assert!(!is_image(), "changed");
        write("GIF?9a.......", later);
        assert!(!is_image());
        write("GIF89a........", later);
        assert!(is_image(), "longer");
    }

    #[test]
    fn what_the_system_cannot_tell_is_not_missing() {
        for (errno, is_missing) in [
            (Errno::NOENT, true),
            (Errno::NOTDIR, true),
            (Errno::ACCESS, true),
            (Errno::NAMETOOLONG, true),
            (Errno::LOOP, true),
            (Errno::MFILE, false),
            (Errno::NFILE, false),
            (Errno::NOMEM, false),
            (Errno::IO, false),
            (Errno::STALE, false),
            (Errno::TIMEDOUT, false),
        ] {
            let told = there::<()>(Err(io::Error::from(errno)));
            assert_eq!(told.is_ok(), is_missing, "{errno:?}");
        }
    }

    #[test]
    fn names_are_in_natural_order() {
        let mut names = ["p10", "p2", "p1", "p02", "P3", "p1a", "p", "10", "9"];
        names.sort_by(|a, b| natural(a, b));
        insta::assert_snapshot!(names.join(" "), @"9 10 P3 p p1 p1a p2 p02 p10");
    }
}
