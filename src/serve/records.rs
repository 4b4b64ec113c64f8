//! Descriptions of items, asked of their source once in a while and kept for the time in between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ServeError;
use super::facts::Facts;
use super::flight::Flights;
use super::metrics;
use super::source::Source;
use crate::adapter::record::{Canvas, Image, ItemId, MediaId, Record, Size};
use crate::clock::Clock;
use crate::store::{Key, Store};

/// Canvases in memory, over all records; one takes about a kilobyte.
const IN_MEMORY: u64 = 100_000;
/// Headers that are read at the same time for one record.
const PROBES: usize = 16;

/// Records of all sources.
#[derive(Clone, Debug)]
pub struct Records {
    memory: Arc<Cache<(String, ItemId), Arc<Known>, ByCanvases>>,
    flights: Flights<(String, ItemId), Arc<Known>>,
    store: Arc<dyn Store>,
    facts: Facts,
    clock: Arc<dyn Clock>,
}

/// A record as it was told at some time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Known {
    /// What the source said.
    pub record: Record,
    fetched: SystemTime,
    #[serde(skip)]
    by_media: HashMap<MediaId, usize>,
}

/// A record whose images have their true sizes.
#[derive(Debug)]
pub struct Described {
    /// With sizes from the files' headers where those are known.
    pub record: Record,
    /// Of all that, sizes included.
    pub version: String,
}

impl Known {
    fn new(record: Record, fetched: SystemTime) -> Self {
        let mut known = Self { record, fetched, by_media: HashMap::new() };
        known.index();
        known
    }

    fn index(&mut self) {
        let canvases = self.record.canvases.iter().enumerate();
        self.by_media = canvases
            .filter_map(|(position, canvas)| Some((canvas.image.as_ref()?.media.clone(), position)))
            .collect();
    }

    /// The canvas that shows an image.
    pub fn canvas_of(&self, media: &MediaId) -> Option<(&Canvas, &Image)> {
        let canvas = self.record.canvases.get(*self.by_media.get(media)?)?;
        Some((canvas, canvas.image.as_ref()?))
    }

    /// What stands for the version of an image's bytes: the source's word for it, else the record's.
    pub fn version_of<'a>(&'a self, image: &'a Image) -> &'a str {
        image.version.as_deref().unwrap_or(&self.record.version)
    }

    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.fetched).unwrap_or_default()
    }
}

impl Records {
    /// Records that outlive a restart in `store`.
    pub fn new(store: Arc<dyn Store>, facts: Facts, clock: Arc<dyn Clock>) -> Self {
        let memory = Cache::with_weighter(IN_MEMORY as usize / 8, IN_MEMORY, ByCanvases);
        Self { memory: Arc::new(memory), flights: Flights::default(), store, facts, clock }
    }

    /// The description of an item. While its source does not answer, an older one is told.
    pub async fn get(&self, source: &Arc<Source>, id: &ItemId) -> Result<Arc<Known>, ServeError> {
        let name = (source.name.clone(), id.clone());
        if let Some(known) = self.memory.get(&name)
            && known.age(self.clock.now()) < source.record_ttl
        {
            return Ok(known);
        }
        let (this, source) = (self.clone(), Arc::clone(source));
        self.flights.join(name.clone(), move || async move { this.renew(&source, name).await }).await
    }

    async fn renew(&self, source: &Source, name: (String, ItemId)) -> Result<Arc<Known>, ServeError> {
        let key = Key::new(["record", &name.0, name.1.as_str()]);
        let earlier = match self.memory.get(&name) {
            Some(known) => Some(known),
            None => self.stored(&key).await,
        };
        let now = self.clock.now();
        if let Some(known) = earlier.as_ref().filter(|known| known.age(now) < source.record_ttl) {
            self.memory.insert(name, Arc::clone(known));
            return Ok(Arc::clone(known));
        }
        match source.adapter.record(&name.1).await {
            Ok(record) => {
                count(source, "ok");
                let known = Arc::new(Known::new(record, now));
                self.keep(&key, source, &known).await;
                self.memory.insert(name, Arc::clone(&known));
                Ok(known)
            }
            Err(error) => {
                count(source, "error");
                let error = ServeError::from_adapter(&source.name, "item", error);
                self.instead(source, name, &key, earlier, error).await
            }
        }
    }

    /// What is told when the source gave no record: the earlier one, if it may still stand in.
    async fn instead(
        &self,
        source: &Source,
        name: (String, ItemId),
        key: &Key,
        earlier: Option<Arc<Known>>,
        error: ServeError,
    ) -> Result<Arc<Known>, ServeError> {
        if !error.is_temporary() {
            self.memory.remove(&name);
            if let Err(error) = self.store.remove(key).await {
                tracing::debug!(%error, "`{key}` is gone but cannot be removed");
            }
            return Err(error);
        }
        match earlier {
            Some(known) if known.age(self.clock.now()) < source.record_ttl + source.stale => {
                let age_s = known.age(self.clock.now()).as_secs();
                ::metrics::counter!(metrics::STALE, "source" => source.name.clone()).increment(1);
                tracing::warn!(source = %source.name, item = %name.1, age_s, %error, "told from an older record");
                Ok(known)
            }
            _ => Err(error),
        }
    }

    async fn stored(&self, key: &Key) -> Option<Arc<Known>> {
        let bytes = self.store.get(key).await.ok().flatten()?;
        let mut known: Known = serde_json::from_slice(&bytes).ok()?;
        known.index();
        Some(Arc::new(known))
    }

    /// A store that fails costs a question more after the next restart.
    async fn keep(&self, key: &Key, source: &Source, known: &Known) {
        if let Ok(json) = serde_json::to_vec(known)
            && let Err(error) = self.store.put(key, Bytes::from(json), source.record_ttl + source.stale).await
        {
            tracing::debug!(%error, "`{key}` is not kept");
        }
    }

    /// A record with the size of every image: from the header where it is known, else from the
    /// source's word, else the header is read now. A file that is no image stays without a size.
    pub async fn described(&self, source: &Arc<Source>, known: &Known) -> Result<Described, ServeError> {
        let canvases = known.record.canvases.iter();
        // Made before the stream: a closure inside of it could not be sent between threads.
        let asked: Vec<_> = canvases.map(|canvas| self.size(source, known, canvas.image.as_ref())).collect();
        let sizes: Vec<Option<Size>> = stream::iter(asked).buffered(PROBES).try_collect().await?;
        let mut record = known.record.clone();
        let mut digest = Sha256::new();
        digest.update(&record.version);
        for (canvas, size) in record.canvases.iter_mut().zip(sizes) {
            if let Some(image) = &mut canvas.image {
                image.size = size;
                digest.update(format!("{size:?}"));
            }
        }
        Ok(Described { record, version: hex::encode(&digest.finalize()[..16]) })
    }

    async fn size(
        &self,
        source: &Arc<Source>,
        known: &Known,
        image: Option<&Image>,
    ) -> Result<Option<Size>, ServeError> {
        let Some(image) = image else { return Ok(None) };
        let version = known.version_of(image);
        if let Some(size) = self.facts.known(source, image, version).or(image.size) {
            return Ok(Some(size));
        }
        match self.facts.get(source, image, version).await {
            Ok(facts) => Ok(Some(facts.size)),
            Err(error @ (ServeError::BadAnswer { .. } | ServeError::NotFound { .. })) => {
                tracing::warn!(source = %source.name, media = %image.media, %error, "an image is left out of its manifest");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn count(source: &Source, outcome: &'static str) {
    ::metrics::counter!(metrics::RECORDS, "source" => source.name.clone(), "outcome" => outcome).increment(1);
}

/// A record weighs as much as it has canvases.
#[derive(Clone, Debug)]
struct ByCanvases;

impl Weighter<(String, ItemId), Arc<Known>> for ByCanvases {
    fn weight(&self, _: &(String, ItemId), known: &Arc<Known>) -> u64 {
        1 + known.record.canvases.len() as u64
    }
}
