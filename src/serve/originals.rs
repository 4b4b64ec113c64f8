//! The bytes of masters: read in place where they lie on this machine, else fetched once and kept on disk.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{Instrument, error_span};

use super::ServeError;
use super::flight::Flights;
use super::gate::Grant;
use super::hints::Learnt;
use super::metrics;
use super::ranges::Head;
use super::remote::{Fetched, Remote, Remotes};
use super::source::Source;
use crate::adapter::record::MediaId;
use crate::adapter::{Abilities, AdapterError, Content, Media};
use crate::imaging::{Header, Hints, ImagingError, Limits, Master, Pool};
use crate::store::{self, Draft, File, Files, Key, Scope, StoreError};

const KIB: u64 = 1024;
/// Bytes of a piece of a master in memory.
const PIECE: usize = 64 << 10;
/// How long a disk that failed is left alone: each try costs a transfer.
const REST: Duration = Duration::from_secs(60);
/// How often a transfer that breaks off is taken up again where it broke off.
const RESUMES: usize = 3;

/// Masters within reach.
#[derive(Clone, Debug)]
pub struct Originals {
    files: Files,
    flights: Flights<Key, Original>,
    /// Kibibytes of masters that may be held in memory while the disk takes none, all together.
    in_memory: Arc<Semaphore>,
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
        let in_memory = Arc::new(Semaphore::new(room));
        let (rests, learnt) = (Arc::default(), Learnt::default());
        let remotes = Remotes::new(Arc::clone(&in_memory), room as u64 * KIB);
        Self { files, flights: Flights::default(), in_memory, rests, learnt, remotes }
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

/// One transfer.
struct Fetch {
    originals: Originals,
    source: Arc<Source>,
    media: MediaId,
    key: Key,
}

/// Why a transfer came to nothing.
enum Failed {
    Source(ServeError),
    Disk(StoreError),
    /// The memory for masters is full.
    Memory,
}

impl Fetch {
    /// Onto the disk; into memory while the disk takes nothing.
    async fn run(self) -> Result<Original, ServeError> {
        if self.originals.has_disk() {
            match self.fetch(Place::Disk).await {
                Err(Failed::Disk(error)) => self.originals.rest(&error),
                other => return other.map_err(|failed| self.told(failed)),
            }
        }
        self.fetch(Place::Memory).await.map_err(|failed| self.told(failed))
    }

    async fn fetch(&self, place: Place) -> Result<Original, Failed> {
        let mut target = match place {
            Place::Disk => Target::Disk(self.originals.files.create(&self.key).await.map_err(Failed::Disk)?),
            Place::Memory => Target::memory(&self.originals.in_memory),
        };
        let media = self.ask(0).await.map_err(|error| self.failed(error))?;
        let (total, version) = (media.total, media.version.clone());
        let stream = match media.content {
            Content::Local(file) => return local(file).await.map_err(Failed::Source),
            Content::Stream(stream) => stream,
        };
        ::metrics::counter!(metrics::ORIGINALS, "source" => self.source.name.clone()).increment(1);
        self.transfer(stream, &mut target, total, version.as_deref()).await?;
        target.finish().await
    }

    /// Copies all bytes. A transfer that breaks off goes on where it was, if the source can do
    /// that and still has the same file; a master of gigabytes does not start again for a hiccup.
    async fn transfer(
        &self,
        mut stream: BoxStream<'static, Result<Bytes, AdapterError>>,
        target: &mut Target,
        total: Option<u64>,
        version: Option<&str>,
    ) -> Result<(), Failed> {
        let (mut received, mut resumes) = (0, 0);
        loop {
            let broken = match stream.next().await {
                Some(Ok(chunk)) => {
                    received += chunk.len() as u64;
                    target.append(chunk).await?;
                    continue;
                }
                None if total.is_none_or(|total| received >= total) => return Ok(()),
                None => return Err(self.short(received)),
                Some(Err(error)) => error,
            };
            resumes += 1;
            let able = self.source.adapter.abilities().ranges && resumes <= RESUMES && version.is_some();
            if !able || !broken.is_temporary() {
                return Err(self.failed(broken));
            }
            tracing::debug!(source = %self.source.name, media = %self.media, received, %broken, "a transfer is taken up again");
            let rest = self.ask(received).await.map_err(|error| self.failed(error))?;
            stream = match rest.content {
                Content::Stream(stream) if rest.start == received && rest.version.as_deref() == version => {
                    stream
                }
                _ => return Err(self.failed(broken)),
            };
        }
    }

    async fn ask(&self, from: u64) -> Result<Media, AdapterError> {
        self.source.adapter.media(&self.media, (from > 0).then_some(from..u64::MAX)).await
    }

    fn failed(&self, error: AdapterError) -> Failed {
        Failed::Source(ServeError::from_adapter(&self.source.name, "image", error))
    }

    fn short(&self, received: u64) -> Failed {
        let message =
            format!("file `{}` ended after {received} bytes, fewer than were announced", self.media);
        Failed::Source(ServeError::BadAnswer { name: self.source.name.clone(), message, found: None })
    }

    fn told(&self, failed: Failed) -> ServeError {
        match failed {
            Failed::Source(error) => error,
            Failed::Disk(error) => ServeError::internal(error),
            Failed::Memory => {
                tracing::debug!(source = %self.source.name, media = %self.media, "no memory is left to hold a master");
                ServeError::Busy
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Place {
    Disk,
    Memory,
}

/// Where the bytes of a transfer go.
enum Target {
    Disk(Draft),
    Memory { pieces: Pieces, room: Arc<Semaphore>, held: OwnedSemaphorePermit },
}

impl Target {
    fn memory(room: &Arc<Semaphore>) -> Self {
        let held = Arc::clone(room).try_acquire_many_owned(0).expect("none of it is always there");
        Self::Memory { pieces: Pieces::default(), room: Arc::clone(room), held }
    }

    async fn append(&mut self, chunk: Bytes) -> Result<(), Failed> {
        match self {
            Self::Disk(draft) => draft.append(chunk).await.map_err(Failed::Disk),
            Self::Memory { pieces, room, held } => {
                let more = u32::try_from(pieces.growth(chunk.len()) / KIB).unwrap_or(u32::MAX);
                let more = Arc::clone(room).try_acquire_many_owned(more);
                held.merge(more.map_err(|_| Failed::Memory)?);
                pieces.append(&chunk);
                Ok(())
            }
        }
    }

    async fn finish(self) -> Result<Original, Failed> {
        match self {
            Self::Disk(draft) => draft.commit().await.map(Original::Kept).map_err(Failed::Disk),
            Self::Memory { pieces, held, .. } => {
                Ok(Original::Held { pieces: Arc::new(pieces), _room: Arc::new(held) })
            }
        }
    }
}

/// Bytes in pieces of one size: a single vector that grows would hold up to three times as much as was counted.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Vec<u8>>,
    length: u64,
}

impl Pieces {
    /// Bytes of memory that so many more will take.
    fn growth(&self, more: usize) -> u64 {
        let count = (self.length + more as u64).div_ceil(PIECE as u64) - self.pieces.len() as u64;
        count * PIECE as u64
    }

    fn append(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
                self.pieces.push(Vec::with_capacity(PIECE));
            }
            let Some(piece) = self.pieces.last_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - piece.len()));
            piece.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Some of the bytes from a place on; none are behind the end.
    fn from(&self, position: u64) -> &[u8] {
        let (number, at) = (position / PIECE as u64, (position % PIECE as u64) as usize);
        let piece = usize::try_from(number).ok().and_then(|number| self.pieces.get(number));
        piece.and_then(|piece| piece.get(at..)).unwrap_or_default()
    }
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
            Original::Held { pieces, .. } => Ok(pieces.length),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_what_was_counted_and_read_as_one() {
        let bytes: Vec<u8> = (0..3 * PIECE + 7).map(|at| (at % 251) as u8).collect();
        let (mut pieces, mut counted) = (Pieces::default(), 0);
        for chunk in [1, PIECE - 1, 0, 5, 2 * PIECE, 2].iter().scan(0, |at, length| {
            *at += length;
            Some(&bytes[*at - length..*at])
        }) {
            counted += pieces.growth(chunk.len());
            pieces.append(chunk);
        }
        let held: usize = pieces.pieces.iter().map(Vec::capacity).sum();
        assert_eq!((pieces.length, held as u64), (bytes.len() as u64, counted));
        let mut found = Vec::new();
        while !pieces.from(found.len() as u64).is_empty() {
            found.extend_from_slice(pieces.from(found.len() as u64));
        }
        assert_eq!(found, bytes);
        assert!(pieces.from(u64::MAX).is_empty());
    }
}
