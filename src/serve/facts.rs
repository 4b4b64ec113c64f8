//! What the header of a master tells: its size, its kind. Read once per version of a file, from its first bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tracing::{Instrument, error_span};

use super::ServeError;
use super::flight::Flights;
use super::metrics;
use super::originals::Originals;
use super::ranges::{Head, Told};
use super::replicas::{Replicas, Turn};
use super::source::Source;
use crate::adapter::record::{Image, MediaId, Size};
use crate::clock::Clock;
use crate::iiif::image::quality::Tone;
use crate::imaging::{self, Header, ImagingError, Kind, Limits, Master, Pool};
use crate::store::{Key, Scope, Store};

/// Requests after which the whole file is fetched instead.
const PIECES: usize = 8;
/// The same for a TIFF whose levels have to be known: they lie wherever they like.
const LEVELS: usize = 64;
/// Facts belong to one version of a file and never become wrong; unused ones go some day.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Facts in memory: some hundred bytes each.
const IN_MEMORY: usize = 100_000;
/// Files that are no images, in memory.
const REFUSED: usize = 10_000;
/// Counters of what was learned; items that share one are described once more.
const LEARNED: usize = 4096;
/// How long a file is believed to be no image: its version may stay while it is mended.
const BELIEVED: Duration = Duration::from_secs(30);

/// Sizes and kinds of masters, remembered under source, file and version.
#[derive(Clone, Debug)]
pub struct Facts {
    memory: Arc<Cache<Name, ImageFacts>>,
    refused: Arc<Cache<FileName, Refusal>>,
    learned: Arc<[AtomicU64]>,
    flights: Flights<Name, ImageFacts>,
    store: Arc<dyn Store>,
    replicas: Replicas,
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
    /// Facts that outlive a restart in `store`, which is where the others of `replicas` look for them; headers of open
    /// files are read on the workers of `pool`.
    pub fn new(
        (store, replicas): (Arc<dyn Store>, Replicas),
        originals: Originals,
        pool: Arc<Pool>,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            memory: Arc::new(Cache::new(IN_MEMORY)),
            refused: Arc::new(Cache::new(REFUSED)),
            learned: (0..LEARNED).map(|_| AtomicU64::new(0)).collect(),
            flights: Flights::default(),
            store,
            replicas,
            originals,
            pool,
            limits,
            clock,
        }
    }

    /// How many files of the item that a file belongs to have told what they are, or that they are no image: while it
    /// stays the same, nothing new is known of them.
    pub fn learned(&self, source: &Source, media: &MediaId) -> u64 {
        self.counter(source, media).load(Ordering::Acquire)
    }

    fn counter(&self, source: &Source, media: &MediaId) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        (&source.name, source.adapter.item_of(media)).hash(&mut hasher);
        &self.learned[(hasher.finish() % LEARNED as u64) as usize]
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

    /// Forgets what is known in memory of the files of a source that a scope holds.
    pub(super) fn drop_known(&self, source: &Source, scope: &Scope) {
        let stays = |file: &FileName| {
            file.source != source.name || !scope.holds(source.key("facts", &file.media, "").as_str())
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
        let _stint = match self.replicas.turn(&key, || self.stored(source, &key)).await {
            Turn::Done(facts) => {
                self.memory.insert(name, facts);
                return Ok(facts);
            }
            Turn::Ours(stint) => stint,
        };
        match self.probe(source, &name).await {
            Ok(facts) => {
                self.keep(&key, facts).await;
                self.memory.insert(name.clone(), facts);
                self.counter(source, &name.file.media).fetch_add(1, Ordering::Release);
                Ok(facts)
            }
            Err(error) => {
                if matches!(
                    error,
                    ServeError::BadAnswer { .. } | ServeError::NotFound { .. } | ServeError::NotOffered(_)
                ) {
                    tracing::warn!(source = %source.name, media = %name.file.media, %error, "a file is no image");
                    self.refuse(source, name, error.clone());
                }
                Err(error)
            }
        }
    }

    fn refuse(&self, source: &Source, name: Name, error: ServeError) {
        let is_news = self.refusal(&name).is_none();
        let until = self.clock.now() + BELIEVED;
        self.refused.insert(name.file.clone(), Refusal { version: name.version, error, until });
        if is_news {
            self.counter(source, &name.file.media).fetch_add(1, Ordering::Release);
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
        let mut head = Head::default();
        let mut told = head.tell(source, media, PIECES, imaging::sniff).await?;
        if matches!(&told, Told::Header(header) if self.wants_levels(source, header)) {
            told = head.tell(source, media, LEVELS, |parts| imaging::sniff_levels(parts, None)).await?;
        }
        match told {
            Told::Local(file) => return self.read(source, media, Box::new(file)).await,
            // Whoever asks for a page of what is no PDF hears it from the whole file.
            Told::Header(_) if media.page().is_some() => {}
            Told::Header(header) => {
                let broken = |error| ServeError::from_imaging(&source.name, media.as_str(), error);
                self.check(source, &header).map_err(broken)?;
                if header.tile().is_some() {
                    self.originals.keep_head(source, media, &name.version, head);
                }
                return Ok(ImageFacts::from(&header));
            }
            Told::TooMuch => {}
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
    fn wants_levels(&self, source: &Source, header: &Header) -> bool {
        let checked = self.check(source, header);
        header.kind == Kind::Tiff
            && self.limits.pixels(header.width, header.height).is_ok()
            && matches!(checked, Err(ImagingError::TooLarge { .. }))
    }
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
