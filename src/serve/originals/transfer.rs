//! How a master is fetched: onto the disk, or into memory while that takes none.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pieces::Pieces;
use super::{KIB, Original, Originals, local};
use crate::adapter::record::MediaId;
use crate::adapter::{AdapterError, Content, Media};
use crate::imaging::ImagingError;
use crate::serve::source::Source;
use crate::serve::{ServeError, metrics};
use crate::store::{Draft, Key, StoreError};

/// How often a transfer that breaks off is taken up again where it broke off.
const RESUMES: usize = 3;

/// One transfer.
pub(super) struct Fetch {
    pub(super) originals: Originals,
    pub(super) source: Arc<Source>,
    pub(super) media: MediaId,
    pub(super) key: Key,
}

/// Why a transfer came to nothing.
enum Failed {
    Source(ServeError),
    Disk(StoreError),
    /// The memory for masters is full.
    Memory,
    /// It is larger than both will ever take.
    TooLarge(u64),
}

impl Fetch {
    /// Onto the disk; into memory while the disk takes nothing, or has no room for it.
    pub(super) async fn run(self) -> Result<Original, ServeError> {
        if self.originals.has_disk() {
            match self.fetch(Place::Disk).await {
                // Nothing is wrong with the disk.
                Err(Failed::Disk(StoreError::Full { .. })) => {}
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
        self.check(total.unwrap_or_default())?;
        // What the disk has no room for pushes nothing out first.
        if total.is_some_and(|total| total > self.originals.room()) {
            target = Target::memory(&self.originals.in_memory);
        }
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
                    self.check(received)?;
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

    /// Whether so many bytes find a place somewhere.
    fn check(&self, bytes: u64) -> Result<(), Failed> {
        if bytes <= self.originals.most { Ok(()) } else { Err(Failed::TooLarge(bytes)) }
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
            Failed::TooLarge(bytes) => {
                let error = ImagingError::TooLarge {
                    what: "the file",
                    found: format!("{bytes} bytes, if not more"),
                    limit: self.originals.most,
                    rule: "three tenths of `cache.disk`, or three sixteenths of `limits.memory`",
                };
                ServeError::from_imaging(&self.source.name, self.media.as_str(), error)
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
