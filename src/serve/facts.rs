//! What the header of a master tells: its size, its kind. Read once per version of a file, from its first bytes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tracing::{Instrument, error_span};

use super::ServeError;
use super::flight::Flights;
use super::metrics;
use super::originals::Originals;
use super::source::Source;
use crate::adapter::record::{Image, ItemId, MediaId, Size};
use crate::adapter::{Content, Media};
use crate::clock::Clock;
use crate::iiif::image::quality::Tone;
use crate::imaging::{self, Header, ImagingError, Kind, Limits, Master, Parts, Pool, Sniff};
use crate::store::{Key, Store};

/// One request of a header, in bytes: enough for nearly all, little for the source.
const PIECE: u64 = 64 << 10;
/// Requests after which the whole file is fetched instead.
const PIECES: usize = 8;
/// How far an answer that ignores ranges is read for a header, in bytes.
const FORWARD: u64 = 1 << 20;
/// Facts belong to one version of a file and never become wrong; unused ones go some day.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Facts in memory: some hundred bytes each.
const IN_MEMORY: usize = 100_000;
/// Files that are no images, in memory.
const REFUSED: usize = 10_000;
/// How long a file is believed to be no image: its version may stay while it is mended.
const BELIEVED: Duration = Duration::from_secs(30);

/// Sizes and kinds of masters, remembered under source, file and version.
#[derive(Clone, Debug)]
pub struct Facts {
    memory: Arc<Cache<Name, ImageFacts>>,
    refused: Arc<Cache<FileName, Refusal>>,
    learned: Arc<AtomicU64>,
    flights: Flights<Name, ImageFacts>,
    store: Arc<dyn Store>,
    originals: Originals,
    pool: Arc<Pool>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

/// What matters of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// In pixels, upright.
    pub size: Size,
    /// Whether it has colours.
    pub tone: Tone,
    /// The side of its own tiles, if they can be handed out as they are.
    #[serde(default)]
    pub tile: Option<u32>,
    /// Pixels to an inch of a page, if it is one: set otherwise, it has another size.
    #[serde(default)]
    pub dpi: Option<u32>,
}

impl From<&imaging::Header> for ImageFacts {
    fn from(header: &imaging::Header) -> Self {
        let size = Size { width: header.width, height: header.height };
        Self { size, tone: header.tone, tile: header.tile(), dpi: header.dpi() }
    }
}

impl ImageFacts {
    /// Whether they hold for a source as it is set.
    fn hold(&self, source: &Source) -> bool {
        self.dpi.is_none_or(|dpi| dpi == source.image.pdf_dpi)
    }
}

/// One file of one source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FileName {
    source: String,
    identity: String,
    media: MediaId,
}

/// One version of one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    file: FileName,
    version: String,
}

/// Why a file is no image, as far as it was looked at.
#[derive(Clone, Debug)]
struct Refusal {
    version: String,
    error: ServeError,
    /// When it is looked at again.
    until: SystemTime,
}

impl Facts {
    /// Facts that outlive a restart in `store`; headers of open files are read on the workers of `pool`.
    pub fn new(
        store: Arc<dyn Store>,
        originals: Originals,
        pool: Arc<Pool>,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            memory: Arc::new(Cache::new(IN_MEMORY)),
            refused: Arc::new(Cache::new(REFUSED)),
            learned: Arc::default(),
            flights: Flights::default(),
            store,
            originals,
            pool,
            limits,
            clock,
        }
    }

    /// How many files have told what they are, or that they are no image: while it stays the same,
    /// nothing new is known.
    pub fn learned(&self) -> u64 {
        self.learned.load(Ordering::Acquire)
    }

    /// What pictures may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is known of an image already; the source is not asked.
    pub async fn known(&self, source: &Source, image: &Image, version: &str) -> Option<ImageFacts> {
        let name = Name::of(source, image, version);
        if let Some(facts) = self.memory.get(&name) {
            return Some(facts);
        }
        let facts = self.stored(source, &name.key(source)).await?;
        self.memory.insert(name, facts);
        Some(facts)
    }

    /// What the header of an image tells, asked of the source only if nobody ever asked before.
    pub async fn get(
        &self,
        source: &Arc<Source>,
        image: &Image,
        version: &str,
    ) -> Result<ImageFacts, ServeError> {
        let name = Name::of(source, image, version);
        if let Some(facts) = self.memory.get(&name) {
            return Ok(facts);
        }
        let now = self.clock.now();
        if let Some(refusal) = self.refusal(&name).filter(|refusal| now < refusal.until) {
            return Err(refusal.error);
        }
        let (this, source) = (self.clone(), Arc::clone(source));
        let span = error_span!("file", source = %source.name, id = %image.media);
        let learn = |name| async move { this.learn(&source, name).await };
        self.flights.join(name.clone(), move || learn(name).instrument(span)).await
    }

    /// Whether an image was none when it was last looked at: its source's word for it is worth nothing.
    pub fn doubts(&self, source: &Source, image: &Image, version: &str) -> bool {
        self.refusal(&Name::of(source, image, version)).is_some()
    }

    /// Forgets what is known in memory of the files of a source, of one item or of all.
    pub(super) fn drop_known(&self, source: &Source, item: Option<&ItemId>) {
        let stays = |file: &FileName| {
            file.source != source.name
                || item.is_some_and(|item| source.adapter.item_of(&file.media).as_ref() != Some(item))
        };
        self.memory.retain(|name, _| stays(&name.file));
        self.refused.retain(|file, _| stays(file));
    }

    /// Whether a file is believed to be no image at this moment, whatever its version.
    pub fn refuses(&self, source: &Source, media: &MediaId) -> bool {
        let refusal = self.refused.get(&FileName::of(source, media));
        refusal.is_some_and(|refusal| self.clock.now() < refusal.until)
    }

    fn refusal(&self, name: &Name) -> Option<Refusal> {
        self.refused.get(&name.file).filter(|refusal| refusal.version == name.version)
    }

    async fn learn(&self, source: &Arc<Source>, name: Name) -> Result<ImageFacts, ServeError> {
        let key = name.key(source);
        if let Some(facts) = self.stored(source, &key).await {
            self.memory.insert(name, facts);
            return Ok(facts);
        }
        match self.probe(source, &name).await {
            Ok(facts) => {
                self.keep(&key, facts).await;
                self.memory.insert(name, facts);
                self.learned.fetch_add(1, Ordering::Release);
                Ok(facts)
            }
            Err(error) => {
                if matches!(
                    error,
                    ServeError::BadAnswer { .. } | ServeError::NotFound { .. } | ServeError::NotOffered(_)
                ) {
                    tracing::warn!(source = %source.name, media = %name.file.media, %error, "a file is no image");
                    self.refuse(name, error.clone());
                }
                Err(error)
            }
        }
    }

    fn refuse(&self, name: Name, error: ServeError) {
        let is_news = self.refusal(&name).is_none();
        let until = self.clock.now() + BELIEVED;
        self.refused.insert(name.file, Refusal { version: name.version, error, until });
        if is_news {
            self.learned.fetch_add(1, Ordering::Release);
        }
    }

    async fn stored(&self, source: &Source, key: &Key) -> Option<ImageFacts> {
        let bytes = self.store.get(key).await.ok().flatten()?;
        serde_json::from_slice(&bytes).ok().filter(|facts: &ImageFacts| facts.hold(source))
    }

    /// A store that fails costs one more probe some day, no more.
    async fn keep(&self, key: &Key, facts: ImageFacts) {
        if let Ok(json) = serde_json::to_vec(&facts)
            && let Err(error) = self.store.put(key, Bytes::from(json), KEPT).await
        {
            tracing::debug!(%error, "the header of `{key}` is not kept");
        }
    }

    /// Reads a header with as few small requests as its format allows.
    async fn probe(&self, source: &Arc<Source>, name: &Name) -> Result<ImageFacts, ServeError> {
        ::metrics::counter!(metrics::PROBES, "source" => source.name.clone()).increment(1);
        let media = &name.file.media;
        let broken = |error| ServeError::from_imaging(&source.name, media.as_str(), error);
        let mut parts = Parts::default();
        let mut wanted = 0..PIECE;
        for _ in 0..PIECES {
            match self.piece(source, media, wanted.clone()).await? {
                Piece::Local(file) => return self.read(source, media, Box::new(file)).await,
                Piece::Remote { asked, bytes } => parts.add(asked, bytes),
                Piece::TooFar => break,
            }
            match imaging::sniff(&parts).map_err(broken)? {
                // Whoever asks for a page of what is no PDF hears it from the whole file.
                Sniff::Known(_) if media.page().is_some() => break,
                Sniff::Known(header) => match self.check(source, &header) {
                    // Its levels may make the difference. They lie wherever they like: they are told by the whole file.
                    Err(ImagingError::TooLarge { .. }) if self.may_have_levels(&header) => break,
                    checked => return checked.map(|()| ImageFacts::from(&header)).map_err(broken),
                },
                Sniff::Need(range) => wanted = range.start..range.end.max(range.start + PIECE),
                Sniff::NeedAll => break,
            }
        }
        let original = self.originals.open(source, media, &name.version).await?;
        self.read(source, media, original.reader()).await
    }

    /// Reads the header of an open file where that may block.
    async fn read(
        &self,
        source: &Source,
        media: &MediaId,
        master: Box<dyn Master>,
    ) -> Result<ImageFacts, ServeError> {
        let header = self.pool.header(master, source.page(media), self.limits).await;
        let header = header.and_then(|(header, _)| self.check(source, &header).map(|()| header));
        let header = header.map_err(|error| ServeError::from_imaging(&source.name, media.as_str(), error))?;
        Ok(ImageFacts::from(&header))
    }

    /// Whether what will be told of an image can be kept.
    fn check(&self, source: &Source, header: &Header) -> Result<(), ImagingError> {
        let tile = source.image.limits().tile(source.image.tile);
        imaging::check(header, tile, &self.limits)
    }

    /// Whether a header that was told from afar lacks what might still let it pass.
    fn may_have_levels(&self, header: &Header) -> bool {
        header.kind == Kind::Tiff && self.limits.pixels(header.width, header.height).is_ok()
    }

    async fn piece(&self, source: &Source, media: &MediaId, asked: Range<u64>) -> Result<Piece, ServeError> {
        let failed = |error| ServeError::from_adapter(&source.name, "image", error);
        let media = source.adapter.media(&media.file(), Some(asked.clone())).await.map_err(failed)?;
        let Media { start, content, .. } = media;
        let mut stream = match content {
            Content::Local(file) => return Ok(Piece::Local(file)),
            Content::Stream(stream) => stream,
        };
        // Read on from where the answer begins: at the wanted byte, or at the file's first one.
        if start > asked.start || asked.end - start > FORWARD {
            return Ok(Piece::TooFar);
        }
        let asked = start..asked.end;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < asked.end - asked.start
            && let Some(chunk) = stream.next().await
        {
            bytes.extend_from_slice(&chunk.map_err(failed)?);
        }
        Ok(Piece::Remote { asked, bytes })
    }
}

/// What came of asking for a part of a file.
enum Piece {
    Local(std::fs::File),
    Remote {
        asked: Range<u64>,
        bytes: Vec<u8>,
    },
    /// The source ignores ranges, and the wanted part lies deep in the file.
    TooFar,
}

impl FileName {
    fn of(source: &Source, media: &MediaId) -> Self {
        Self { source: source.name.clone(), identity: source.identity.clone(), media: media.clone() }
    }
}

impl Name {
    fn of(source: &Source, image: &Image, version: &str) -> Self {
        Self { file: FileName::of(source, &image.media), version: version.to_owned() }
    }

    fn key(&self, source: &Source) -> Key {
        source.key("facts", &self.file.media, &self.version)
    }
}
