//! Large files on disk, read in place: fetched originals and pyramids.

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tracing::warn;

use super::index::Name;
use super::metrics::{self, Outcome};
use super::seldom::Seldom;
use super::shelf::{self, Flush, Pin, Shelf, Tenure};
use super::{Dropped, Key, Scope, StoreError, blocking};

/// Bytes that are worth a glance: each thread keeps so much memory for it.
const GLANCE: usize = 256 << 10;

/// Chunks from the network are small; they are written together.
const WRITE: usize = 256 << 10;

/// Files under keys, bounded in bytes. Cloning it is cheap.
///
/// What was not used for long goes first, but never a file that somebody has open: where files in
/// use alone are larger than the budget, it is exceeded until something is written after they are closed.
#[derive(Clone, Debug)]
pub struct Files {
    name: &'static str,
    shelf: Arc<Shelf>,
    complaints: Arc<Seldom>,
}

/// An open file, which stays where it is as long as any clone of this lives. Reads by position
/// (`read_at`) do not disturb each other.
#[derive(Clone)]
pub struct File {
    open: Arc<Open>,
}

struct Open {
    // Closed before the pin lets it go.
    file: fs::File,
    bytes: u64,
    _pin: Pin,
}

impl File {
    /// The length in bytes.
    pub fn bytes(&self) -> u64 {
        self.open.bytes
    }

    /// A part of the file, see [`read`].
    pub async fn read(&self, part: Range<u64>) -> io::Result<Bytes> {
        read(self, part).await
    }
}

/// Shows parts of a file to `see`, if they are not too long and the system has them in memory. They are not kept: the
/// memory that they are read into is that of the parts before.
pub fn glance<T>(file: &fs::File, parts: &[Range<u64>], see: impl FnOnce(&[&[u8]]) -> T) -> Option<T> {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let lengths: Vec<usize> = parts
        .iter()
        .map(|part| {
            usize::try_from(part.end.checked_sub(part.start)?).ok().filter(|length| *length <= GLANCE)
        })
        .collect::<Option<_>>()?;
    let total = lengths.iter().sum();
    if total > GLANCE {
        return None;
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < total {
            scratch.resize(total, 0);
        }
        let (mut seen, mut rest) = (Vec::with_capacity(parts.len()), &mut scratch[..]);
        for (part, length) in parts.iter().zip(lengths) {
            let (into, behind) = rest.split_at_mut(length);
            if !read_now(file, into, part.start) {
                return None;
            }
            seen.push(&*into);
            rest = behind;
        }
        Some(see(&seen))
    })
}

/// A part of a file: at once if the system has it in memory, else on a thread that may wait for the disk.
pub async fn read<F>(file: &F, part: Range<u64>) -> io::Result<Bytes>
where
    F: Deref<Target = fs::File> + Clone + Send + 'static,
{
    let length = part.end.checked_sub(part.start).and_then(|length| usize::try_from(length).ok());
    let mut into = vec![0; length.ok_or(io::ErrorKind::InvalidInput)?];
    if read_now(file, &mut into, part.start) {
        return Ok(into.into());
    }
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || file.read_exact_at(&mut into, part.start).map(|()| into));
    read.await.map_err(io::Error::other)?.map(Bytes::from)
}

/// Fills `into` without waiting for the disk; `false` where that cannot be done.
#[cfg(target_os = "linux")]
fn read_now(file: &fs::File, into: &mut [u8], at: u64) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let length = into.len();
    let mut parts = [io::IoSliceMut::new(into)];
    preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT).is_ok_and(|read| read == length)
}

#[cfg(not(target_os = "linux"))]
fn read_now(_: &fs::File, _: &mut [u8], _: u64) -> bool {
    false
}

impl Deref for File {
    type Target = fs::File;

    fn deref(&self) -> &fs::File {
        &self.open.file
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("bytes", &self.open.bytes).finish_non_exhaustive()
    }
}

impl Files {
    /// Opens a folder, which is made if it is missing, for this many bytes; `name` labels metrics.
    ///
    /// Files that are there already are found again in the background.
    pub fn open_dir(name: &'static str, dir: &Path, bytes: u64) -> Result<Self, StoreError> {
        Self::open_as(Tenure::Owner, name, dir, bytes)
    }

    /// The same for a folder that may belong to another process.
    pub fn open_as(tenure: Tenure, name: &'static str, dir: &Path, bytes: u64) -> Result<Self, StoreError> {
        let shelf = Arc::new(Shelf::open(name, dir, bytes, tenure)?);
        Ok(Self { name, shelf, complaints: Arc::default() })
    }

    /// Bytes that are taken, and that there are.
    pub fn room(&self) -> (u64, u64) {
        (self.shelf.bytes(), self.shelf.budget())
    }

    /// Looks on the disk for a file that another process may have left under a key.
    pub async fn adopt(&self, key: &Key) -> bool {
        let (shelf, name) = (Arc::clone(&self.shelf), Name::of(key));
        blocking(move || Ok(shelf.adopt(name))).await.unwrap_or(false)
    }

    /// Whether all files are found again that were there at the start.
    pub fn is_scanned(&self) -> bool {
        self.shelf.is_scanned()
    }

    /// The file under a key. An error says nothing of the file, which may be there and whole.
    pub async fn open(&self, key: &Key) -> Result<Option<File>, StoreError> {
        let (files, name) = (self.clone(), Name::of(key));
        let opened = blocking(move || files.open_now(name)).await;
        let outcome = match &opened {
            Ok(Some(_)) => Outcome::Hit,
            Ok(None) => Outcome::Miss,
            Err(error) => {
                // Once a minute: whoever asked goes on without it.
                if self.complaints.is_due() {
                    warn!(store = self.name, %error, "a cached file is of no use at present");
                }
                Outcome::Failed
            }
        };
        metrics::request(self.name, outcome);
        opened
    }

    fn open_now(&self, name: Name) -> Result<Option<File>, StoreError> {
        let Some((path, bytes, pin)) = self.shelf.pin(name) else { return Ok(None) };
        let whole = fs::File::open(&path).and_then(|file| {
            let is_whole = file.metadata()?.len() == bytes;
            Ok(is_whole.then_some(file))
        });
        match whole {
            Ok(Some(file)) => Ok(Some(File { open: Arc::new(Open { file, bytes, _pin: pin }) })),
            // Too many files are open, perhaps, or the disk does not answer.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("open", &path)(error))
            }
            Ok(None) | Err(_) => {
                warn!(store = self.name, path = %path.display(), "dropping a cached file: it is gone or changed");
                metrics::request(self.name, Outcome::Broken);
                pin.discard();
                Ok(None)
            }
        }
    }

    /// Whether there is a file under a key. For those who ask often and mostly in vain: [`Self::open`] may wait.
    pub fn holds(&self, key: &Key) -> bool {
        self.shelf.find(Name::of(key)).is_some()
    }

    /// Begins the file that shall stand under a key; nobody sees it before [`Draft::commit`].
    pub async fn create(&self, key: &Key) -> Result<Draft, StoreError> {
        let (shelf, name) = (Arc::clone(&self.shelf), Name::of(key));
        let draft = blocking(move || shelf.draft(name)).await?;
        Ok(Draft { files: self.clone(), draft: Some(draft), waiting: BytesMut::new() })
    }

    /// Forgets the file under a key; who has it open can read on.
    pub async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let (shelf, name) = (Arc::clone(&self.shelf), Name::of(key));
        blocking(move || {
            shelf.remove(name);
            Ok(())
        })
        .await
    }

    /// Drops all that belongs to a scope; who has a file of it open can read on.
    pub async fn purge(&self, scope: &Scope) -> Result<Dropped, StoreError> {
        let (shelf, scope) = (Arc::clone(&self.shelf), scope.clone());
        blocking(move || Ok(shelf.purge(&scope))).await
    }
}

/// A file that is being written. Dropped before [`Draft::commit`], it is gone; so it is after an
/// error and after an [`Draft::append`] that was not awaited to its end.
pub struct Draft {
    files: Files,
    draft: Option<shelf::Draft>,
    waiting: BytesMut,
}

impl Draft {
    /// Adds bytes at the end.
    pub async fn append(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.waiting.extend_from_slice(&chunk);
        if self.waiting.len() < WRITE {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut draft = self.draft.take().ok_or(StoreError::Interrupted)?;
        let waiting = self.waiting.split();
        let written = blocking(move || {
            draft.write(&waiting)?;
            Ok(draft)
        });
        self.draft = Some(written.await?);
        Ok(())
    }

    /// Makes the file visible under its key, in place of an older one, and opens it. One that was purged in the
    /// meantime is open and not visible.
    pub async fn commit(mut self) -> Result<File, StoreError> {
        self.flush().await?;
        let draft = self.draft.take().ok_or(StoreError::Interrupted)?;
        let files = self.files.clone();
        blocking(move || {
            let bytes = draft.bytes();
            let (file, pin) = draft.shelve(Flush::Full)?;
            metrics::request(files.name, Outcome::Stored);
            Ok(File { open: Arc::new(Open { file, bytes, _pin: pin }) })
        })
        .await
    }
}

impl Draft {
    /// The same draft for those who may wait for the disk.
    pub fn into_writer(self) -> Writer {
        Writer { draft: self }
    }
}

/// A draft that is written by a thread that may wait for the disk. Dropped before [`Writer::commit`], it is gone; so
/// it is after an error.
#[derive(Debug)]
pub struct Writer {
    draft: Draft,
}

impl Writer {
    /// See [`Draft::commit`].
    pub async fn commit(self) -> Result<File, StoreError> {
        self.draft.commit().await
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.draft.waiting.extend_from_slice(bytes);
        if self.draft.waiting.len() >= WRITE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut draft = self.draft.draft.take().ok_or_else(|| io::Error::other(StoreError::Interrupted))?;
        draft.write(&self.draft.waiting.split()).map_err(io::Error::other)?;
        self.draft.draft = Some(draft);
        Ok(())
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::new(["original", &n.to_string()])
    }

    fn files(dir: &Path, bytes: u64) -> Files {
        let files = Files::open_dir("test", dir, bytes).unwrap();
        files.shelf.scanned();
        files
    }

    async fn write(files: &Files, n: usize, bytes: usize) -> File {
        let mut draft = files.create(&key(n)).await.unwrap();
        for chunk in vec![n as u8; bytes].chunks(100_000) {
            draft.append(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        draft.commit().await.unwrap()
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.bytes() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[tokio::test]
    async fn a_file_is_seen_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 10 << 20);
        let mut draft = files.create(&key(1)).await.unwrap();
        draft.append(Bytes::from(vec![1; 300_000])).await.unwrap();
        assert!(files.open(&key(1)).await.unwrap().is_none());
        draft.append(Bytes::from(vec![2; 5])).await.unwrap();
        let file = draft.commit().await.unwrap();
        assert_eq!(file.bytes(), 300_005);
        let file = files.open(&key(1)).await.unwrap().unwrap();
        assert_eq!(content(&file), [vec![1; 300_000], vec![2; 5]].concat());
        assert!(files.open(&key(2)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_empty_file_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 1000);
        assert_eq!(files.create(&key(1)).await.unwrap().commit().await.unwrap().bytes(), 0);
        assert!(files.open(&key(1)).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_draft_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 10 << 20);
        let mut draft = files.create(&key(1)).await.unwrap();
        draft.append(Bytes::from(vec![1; 1 << 20])).await.unwrap();
        drop(draft);
        assert_eq!(files.shelf.bytes(), 0);
        assert!(files.open(&key(1)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_open_file_is_never_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 500_000);
        let first = write(&files, 1, 200_000).await;
        let again = first.clone();
        for n in 2..10 {
            drop(write(&files, n, 200_000).await);
        }
        assert!(files.open(&key(1)).await.unwrap().is_some());
        drop(first);
        drop(write(&files, 11, 400_000).await);
        assert!(files.open(&key(1)).await.unwrap().is_some());
        assert_eq!(content(&again), vec![1; 200_000]);
        drop(again);
        drop(write(&files, 12, 400_000).await);
        assert!(files.open(&key(1)).await.unwrap().is_none());
        assert!(files.shelf.bytes() <= 500_000);
    }

    #[tokio::test]
    async fn a_removed_file_can_be_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 500_000);
        let file = write(&files, 1, 1000).await;
        files.remove(&key(1)).await.unwrap();
        assert!(files.open(&key(1)).await.unwrap().is_none());
        assert_eq!(content(&file), vec![1; 1000]);
    }

    #[tokio::test]
    async fn files_are_there_after_a_restart_unless_they_changed() {
        let dir = tempfile::tempdir().unwrap();
        drop(write(&files(dir.path(), 500_000), 1, 1000).await);
        let again = files(dir.path(), 500_000);
        assert_eq!(content(&again.open(&key(1)).await.unwrap().unwrap()), vec![1; 1000]);

        let (path, ..) = again.shelf.pin(Name::of(&key(1))).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_len(10).unwrap();
        assert!(again.open(&key(1)).await.unwrap().is_none());
        assert_eq!(again.shelf.bytes(), 0);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_just_now_stays() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 500_000);
        drop(write(&files, 1, 1000).await);
        let (path, ..) = files.shelf.pin(Name::of(&key(1))).unwrap();
        let aside = dir.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        // A link that leads to itself; files that may not be read would be read by some who run tests.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let error = files.open(&key(1)).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot open `"), "{error}");
        assert!(files.holds(&key(1)));
        fs::rename(&aside, &path).unwrap();
        assert_eq!(content(&files.open(&key(1)).await.unwrap().unwrap()), vec![1; 1000]);

        fs::remove_file(&path).unwrap();
        assert!(files.open(&key(1)).await.unwrap().is_none());
        assert!(!files.holds(&key(1)));
    }

    #[tokio::test]
    async fn a_folder_that_is_none_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = Files::open_dir("test", &path, 1000).unwrap_err().to_string();
        assert!(error.starts_with("cannot create `"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn readers_and_writers_at_once_keep_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 2_000_000);
        let tasks = (0..8_usize).map(|task| {
            let files = files.clone();
            tokio::spawn(async move {
                for round in 0..40 {
                    let n = (task * 7 + round) % 30;
                    match files.open(&key(n)).await.unwrap() {
                        Some(file) => assert_eq!(content(&file), vec![n as u8; 100_000 + n]),
                        None => drop(write(&files, n, 100_000 + n).await),
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(files.shelf.bytes() <= 2_000_000);
    }
}
