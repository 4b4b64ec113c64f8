//! The bytes of masters: read in place where they lie on this machine, else fetched once and kept on disk.

mod pieces;
mod transfer;

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{Instrument, error_span};

use self::pieces::Pieces;
use self::transfer::Fetch;
use super::ServeError;
use super::flight::Flights;
use super::gate::Grant;
use super::hints::Learnt;
use super::ranges::Head;
use super::remembered::Name;
use super::remote::{Fetched, Remote, Remotes};
use super::source::Source;
use crate::adapter::record::MediaId;
use crate::adapter::{Abilities, Content};
use crate::imaging::{Header, Hints, ImagingError, Limits, Master, Pool};
use crate::store::{self, File, Files, Key, Scope, StoreError};

const KIB: u64 = 1024;
/// How long a disk that failed is left alone: each try costs a transfer.
const REST: Duration = Duration::from_secs(60);

/// Masters within reach.
#[derive(Clone, Debug)]
pub struct Originals {
    files: Files,
    flights: Flights<Key, Original>,
    /// Kibibytes of masters that may be held in memory while the disk takes none, all together.
    in_memory: Arc<Semaphore>,
    /// Bytes of the largest master that fits on the disk or into memory.
    most: u64,
    /// The disk takes none until then.
    rests: Arc<Mutex<Option<Instant>>>,
    learnt: Learnt,
    remotes: Remotes,
}

/// A master within reach; it stays where it is as long as this lives.
#[derive(Clone, Debug)]
pub(super) enum Original {
    /// On disk; open, so that it stays there for those who waited.
    Kept(File),
    /// On this machine already, not ours to keep.
    Local(Local),
    /// In memory, because the disk would not take it; the permit gives its room back.
    Held { pieces: Arc<Pieces>, _room: Arc<OwnedSemaphorePermit> },
}

/// A file of somebody else, and what would be different if somebody wrote into it.
#[derive(Clone, Debug)]
pub(super) struct Local {
    file: Arc<std::fs::File>,
    state: (u64, SystemTime),
}

impl Local {
    fn open(file: std::fs::File) -> io::Result<Self> {
        let state = state(&file)?;
        Ok(Self { file: Arc::new(file), state })
    }
}

fn state(file: &std::fs::File) -> io::Result<(u64, SystemTime)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified()?))
}

impl Originals {
    /// Masters kept in `files`; while there is no room, up to `in_memory` bytes of them in memory.
    pub fn new(files: Files, in_memory: u64) -> Self {
        let room = usize::try_from(in_memory / KIB).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let (in_memory, room) = (Arc::new(Semaphore::new(room)), room as u64 * KIB);
        let (rests, learnt, most) = (Arc::default(), Learnt::default(), room.max(files.room().1));
        let remotes = Remotes::new(Arc::clone(&in_memory), room);
        Self { files, flights: Flights::default(), in_memory, most, rests, learnt, remotes }
    }

    /// Forgets what is in memory of the masters of a source or an item.
    pub(super) fn close(&self, scope: &Scope) {
        self.remotes.close(scope);
    }

    /// Whether the master of a grant can be opened without being fetched.
    pub(super) fn has(&self, grant: &Grant) -> bool {
        let view = &grant.view;
        let key = || key(&view.source, &view.media.file(), &view.version);
        view.source.adapter.abilities().local || self.files.holds(&key())
    }

    /// Bytes that masters may take on the disk.
    pub(super) fn room(&self) -> u64 {
        self.files.room().1
    }

    /// Whether the disk is worth a try.
    fn has_disk(&self) -> bool {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.is_none_or(|until| until <= Instant::now())
    }

    fn rest(&self, error: &StoreError) {
        tracing::warn!(%error, "masters cannot be kept on disk, they are held in memory for a minute");
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }

    /// Opens a master, fetching it first if need be. Of many who ask, one fetches, for all pages of a file.
    pub(super) async fn open(
        &self,
        source: &Arc<Source>,
        media: &MediaId,
        version: &str,
    ) -> Result<Original, ServeError> {
        let media = media.file();
        if source.adapter.abilities().local {
            return near(source, &media).await;
        }
        let key = key(source, &media, version);
        match self.files.open(&key).await {
            Ok(Some(file)) => return Ok(Original::Kept(file)),
            Ok(None) => {}
            // Fetched for this once: what lies there may be whole.
            Err(error) => self.rest(&error),
        }
        let span = error_span!("file", source = %source.name, id = %media);
        let fetch = Fetch { originals: self.clone(), source: Arc::clone(source), media, key: key.clone() };
        self.flights.join(key, move || fetch.run().instrument(span)).await
    }

    /// The master of a grant, if it lends its tiles and can be read in parts where it lies. `None`: it is to be opened,
    /// and fetched if need be.
    pub(super) async fn remote(
        &self,
        grant: &Grant,
        pool: &Arc<Pool>,
        limits: &Limits,
    ) -> Result<Option<Arc<Remote>>, ServeError> {
        let view = &grant.view;
        let key = key(&view.source, &view.media, &view.version);
        let Abilities { ranges, local, .. } = view.source.adapter.abilities();
        if !grant.lends() || !ranges || local || self.files.holds(&key) {
            return Ok(None);
        }
        self.remotes.open(grant, key, pool, limits).await
    }

    /// Parts of such a master; `None` where all of it has to be fetched.
    pub(super) async fn parts(
        &self,
        remote: &Remote,
        ranges: Vec<Range<u64>>,
    ) -> Result<Option<Fetched>, ServeError> {
        self.remotes.read(remote, ranges).await
    }

    /// Says that a master of an item is another one than before.
    pub(super) fn changed(&self, item: &Name) {
        self.remotes.changed(item.clone());
    }

    /// Keeps what was read of a master to learn that it has tiles.
    pub(super) fn keep_head(&self, source: &Source, media: &MediaId, version: &str, head: Head) {
        self.remotes.keep(key(source, media, version), head);
    }

    /// Gives back the room of a master that was fetched; who has it open can read on.
    pub(super) async fn forget(&self, source: &Source, media: &MediaId, version: &str) {
        if let Err(error) = self.files.remove(&key(source, media, version)).await {
            tracing::debug!(%error, "a master cannot be removed");
        }
    }

    /// What was learnt of a master by those who read it before, if it had the same header.
    pub fn hints(&self, source: &Source, media: &MediaId, version: &str, header: &Header) -> Hints {
        self.learnt.of(key(source, media, version), header)
    }
}

impl Original {
    /// To be read from its beginning, at a place of its own.
    pub(super) fn reader(&self) -> Box<dyn Master> {
        Box::new(Reader { master: self.clone(), position: 0 })
    }

    /// Shows parts of it, if that takes no waiting.
    pub(super) fn glance<T>(&self, parts: &[Range<u64>], see: impl FnOnce(&[&[u8]]) -> T) -> Option<T> {
        match self {
            Self::Kept(file) => store::glance(file, parts, see),
            Self::Local(local) => store::glance(&local.file, parts, see),
            Self::Held { .. } => None,
        }
    }

    /// A part of it.
    pub(super) async fn read(&self, part: Range<u64>) -> io::Result<Bytes> {
        match self {
            Self::Kept(file) => file.read(part).await,
            Self::Local(local) => store::read(&local.file, part).await,
            Self::Held { .. } => {
                let mut bytes = vec![0; (part.end - part.start) as usize];
                let mut reader = self.reader();
                reader.seek(SeekFrom::Start(part.start))?;
                reader.read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }

    /// Bytes of the cache that it keeps others from.
    pub(super) fn kept(&self) -> u64 {
        match self {
            Self::Kept(file) => file.bytes(),
            Self::Local(_) | Self::Held { .. } => 0,
        }
    }

    /// Whether it takes room in memory.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Whether somebody can write into it: it is not ours then.
    pub(super) fn can_change(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// An error if somebody has written into it since it was opened. To be called where waiting is allowed: the file may
    /// lie on another machine that is away.
    pub(super) fn check(&self) -> Result<(), ImagingError> {
        match self {
            Self::Local(local) if state(&local.file)? != local.state => {
                Err(ImagingError::Broken("it changed while it was read".into()))
            }
            _ => Ok(()),
        }
    }
}

/// A master that lies on this machine already.
async fn near(source: &Source, media: &MediaId) -> Result<Original, ServeError> {
    let media = source.adapter.media(media, None).await;
    match media.map_err(|error| ServeError::from_adapter(&source.name, "image", error))?.content {
        Content::Local(file) => local(file).await,
        Content::Stream(_) => Err(ServeError::internal("a source whose files are at hand streams one")),
    }
}

async fn local(file: std::fs::File) -> Result<Original, ServeError> {
    let opened = spawn_blocking(move || Local::open(file)).await.map_err(ServeError::internal)?;
    Ok(Original::Local(opened.map_err(ServeError::internal)?))
}

fn key(source: &Source, media: &MediaId, version: &str) -> Key {
    source.key("original", media, version)
}

/// A place in a master that others read too: it has a position of its own.
struct Reader {
    master: Original,
    position: u64,
}

impl Reader {
    fn length(&self) -> io::Result<u64> {
        match &self.master {
            Original::Kept(file) => Ok(file.bytes()),
            Original::Local(local) => Ok(local.file.metadata()?.len()),
            Original::Held { pieces, .. } => Ok(pieces.length()),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.master {
            Original::Kept(file) => file.read_at(buffer, self.position)?,
            Original::Local(local) => local.file.read_at(buffer, self.position)?,
            Original::Held { pieces, .. } => pieces.from(self.position).read(buffer)?,
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.length()?.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
