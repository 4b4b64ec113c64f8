//! A directory that nothing leads out of: look-up, listing and reading by relative path.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use alphanumeric_sort::compare_str;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};

use crate::imaging;

/// The folder. Paths are resolved by name first, then opened through a directory handle that
/// cannot leave it: a link that is swapped in between is refused by the handle.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    dir: Dir,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

impl Tree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority())?;
        Ok(Self { root, dir })
    }

    /// The entry with this relative path, as a client wrote it. `None` for what does not exist,
    /// is hidden by a dot, leads out of the folder or is not written in its one plain form.
    pub(super) fn locate(&self, id: &str) -> Option<Entry> {
        let name = id.rsplit('/').next()?;
        if id.is_empty() || id.contains('\0') || !id.split('/').all(showable) {
            return None;
        }
        // An absolute path would replace the root when joined; `showable` has refused the empty first part.
        let path = self.resolve(Path::new(id))?;
        self.entry(name, path)
    }

    /// What may be shown of a folder, in natural order (`p2` before `p10`).
    pub(super) fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in self.dir.read_dir(plain(folder))? {
            let found = found?;
            // Names that are not UTF-8 have no id: an identifier is text.
            let Ok(name) = found.file_name().into_string() else { continue };
            if !showable(&name) {
                continue;
            }
            let path = folder.join(&name);
            let path = if found.file_type()?.is_symlink() {
                match self.resolve(&path) {
                    // A link to a folder above would make the tree endless.
                    Some(target) if !folder.starts_with(&target) => target,
                    _ => continue,
                }
            } else {
                path
            };
            entries.extend(self.entry(&name, path));
        }
        entries.sort_by(|a, b| compare_str(&a.name, &b.name).then_with(|| a.name.cmp(&b.name)));
        Ok(entries)
    }

    /// Opens a file that was found before.
    pub(super) fn read(&self, path: &Path) -> io::Result<File> {
        Ok(self.dir.open(path)?.into_std())
    }

    /// The text of a small file beside the masters, if it is there.
    pub(super) fn text(&self, path: &Path) -> io::Result<Option<String>> {
        /// Descriptions are written by hand.
        const LONGEST: u64 = 1 << 20;
        let Some(path) = self.resolve(path) else { return Ok(None) };
        let mut text = String::new();
        self.read(&path)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Whether a file is an image, told by its first bytes and not by its name.
    pub(super) fn is_image(&self, entry: &Entry) -> bool {
        let mut head = Vec::with_capacity(imaging::MAGIC);
        let read =
            self.read(&entry.path).and_then(|file| file.take(imaging::MAGIC as u64).read_to_end(&mut head));
        read.is_ok() && imaging::kind(&head).is_some()
    }

    /// Follows links. `None` where nothing is, or where they lead out.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let target = self.root.join(path).canonicalize().ok()?;
        target.strip_prefix(&self.root).ok().map(Path::to_path_buf)
    }

    fn entry(&self, name: &str, path: PathBuf) -> Option<Entry> {
        let metadata = self.dir.metadata(plain(&path)).ok()?;
        let kind = kind(&metadata)?;
        let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
        Some(Entry { name: name.to_owned(), path, kind, len: metadata.len(), modified })
    }
}

/// Pipes, sockets and devices are neither: opening one could block for ever.
fn kind(metadata: &Metadata) -> Option<Kind> {
    if metadata.is_file() {
        Some(Kind::File)
    } else if metadata.is_dir() {
        Some(Kind::Folder)
    } else {
        None
    }
}

/// A plain name: not empty, not hidden, one component on every system.
fn showable(name: &str) -> bool {
    !name.starts_with('.')
        && matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(part)] if part == name)
}

/// The directory handle knows itself as `.`, not as the empty path.
fn plain(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
