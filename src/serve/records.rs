//! Descriptions of items, and what becomes of them when the headers of their images are known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use tracing::{Instrument, error_span};

use super::ServeError;
use super::epochs::{Epoch, Epochs, Mark};
use super::facts::Facts;
use super::remembered::{Kept, Name, Of, Remembered, Stands};
use super::replicas::Replicas;
use super::source::Source;
use crate::access::{Action, Verdict, decide, of_canvas};
use crate::adapter::record::{Access, Image, ItemId, MediaId, Record, Size};
use crate::clock::Clock;
use crate::store::Store;

/// Records in memory, in bytes of their JSON.
const IN_MEMORY: u64 = 64 << 20;
/// Headers that are read at the same time for one record.
const PROBES: usize = 16;

/// Records of all sources.
#[derive(Clone, Debug)]
pub struct Records {
    remembered: Remembered<Known>,
    epochs: Epochs,
    facts: Facts,
}

/// A record as its source told it.
#[derive(Debug)]
pub struct Known {
    record: Record,
    by_media: HashMap<MediaId, Shown>,
    weight: u64,
    described: Mutex<Option<Arc<Described>>>,
}

/// Where a record shows an image.
#[derive(Clone, Copy, Debug)]
struct Shown {
    place: Place,
    access: Access,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Canvas(usize),
    Thumbnail,
}

/// A record whose images have their true sizes.
#[derive(Debug)]
pub struct Described {
    /// With sizes from the files' headers where those are known.
    pub record: Record,
    /// Of all that, sizes included.
    pub version: String,
    /// How many of its headers had been read before this was put together.
    learned: u64,
}

impl Known {
    /// What the source said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// An image of this record, and who may see it.
    pub fn image(&self, media: &MediaId) -> Option<(&Image, Access)> {
        let shown = self.by_media.get(media)?;
        let image = match shown.place {
            Place::Canvas(position) => self.record.canvases.get(position)?.image.as_ref()?,
            Place::Thumbnail => self.record.thumbnail.as_ref()?,
        };
        Some((image, shown.access))
    }

    /// What stands for the version of an image's bytes: the source's word for it, else the record's.
    pub fn version_of<'a>(&'a self, image: &'a Image) -> &'a str {
        image.version.as_deref().unwrap_or(&self.record.version)
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl From<Record> for Known {
    fn from(record: Record) -> Self {
        let mut by_media = HashMap::new();
        let mut show = |image: &Image, place, access: Access| {
            let shown = by_media.entry(image.media.clone()).or_insert(Shown { place, access });
            // A file that is shown twice is as closed as the stricter of its places.
            shown.access = shown.access.max(access);
        };
        for (position, canvas) in record.canvases.iter().enumerate() {
            if let Some(image) = &canvas.image {
                show(image, Place::Canvas(position), of_canvas(&record, canvas));
            }
        }
        if let Some(image) = &record.thumbnail {
            show(image, Place::Thumbnail, record.access);
        }
        let weight = serde_json::to_vec(&record).map_or(0, |json| json.len() as u64);
        Self { record, by_media, weight, described: Mutex::default() }
    }
}

/// Written down as its record alone; the rest is made anew.
impl Serialize for Known {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Record::deserialize(deserializer).map(Self::from)
    }
}

impl Kept for Known {
    /// The record, its index, and the description that is made of it.
    fn weight(&self) -> u64 {
        3 * self.weight
    }

    fn told_again(&self) {
        *self.described.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whatever is made of the record and its images has a version in its key.
    fn begin(&mut self, epoch: Epoch) {
        let Record { version, canvases, thumbnail, .. } = &mut self.record;
        let pages = canvases.iter_mut().filter_map(|canvas| canvas.image.as_mut());
        let versions = pages.chain(thumbnail).filter_map(|image| image.version.as_mut());
        versions.chain([version]).for_each(|version| epoch.stamp(version));
    }
}

impl Records {
    /// Records that outlive a restart in `store`.
    pub fn new(
        (store, epochs): (Arc<dyn Store>, Epochs),
        replicas: Replicas,
        facts: Facts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let kept = (store, epochs.clone());
        let remembered = Remembered::new(("record", Of::Item), IN_MEMORY, kept, replicas, clock);
        Self { remembered, epochs, facts }
    }

    /// What was purged until now of what an item depends on.
    pub(super) fn mark(&self, source: &Source, item: &ItemId) -> Mark {
        self.epochs.mark(&source.name, item.as_str())
    }

    /// All purges.
    pub(super) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// What was told of one item or of all of a source, and in which memory; see [`Remembered::drop_told`].
    pub(super) fn told(&self) -> &Remembered<Known> {
        &self.remembered
    }

    /// The description of an item. While its source does not answer, an older one is told.
    pub async fn get(&self, source: &Arc<Source>, id: &ItemId) -> Result<Arc<Known>, ServeError> {
        let (asked, item) = (Arc::clone(source), id.clone());
        let span = error_span!("item", source = %source.name, %id);
        let ask = |heard| {
            let ask = async move {
                let told = asked.adapter.record(&item, &heard).await;
                told.map(Known::from).map_err(|error| ServeError::from_adapter(&asked.name, "item", error))
            };
            ask.instrument(span)
        };
        self.remembered.get(source, id.as_str(), ask).await
    }

    /// Whether a record is still the one that would be told at this moment.
    pub(super) fn stands(&self, source: &Source, name: &Name, known: &Weak<Known>) -> Stands {
        self.remembered.stands(source, name, known)
    }

    /// Whether a file is known to be no image at this moment.
    pub fn refuses(&self, source: &Source, media: &MediaId) -> bool {
        self.facts.refuses(source, media)
    }

    /// A record with the size of every image: from its header where that is known, else from the
    /// source's word, else the header is read now. A file that is no image has no size, whatever the source says.
    pub async fn described(&self, source: &Arc<Source>, known: &Known) -> Result<Arc<Described>, ServeError> {
        // All images of a record belong to one item.
        let any = known.by_media.keys().next();
        let learned = any.map_or(0, |media| self.facts.learned(source, media));
        let before = known.described.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(described) = before.filter(|described| described.learned == learned) {
            return Ok(described);
        }
        let described = Arc::new(self.describe(source, known, learned).await?);
        *known.described.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&described));
        Ok(described)
    }

    async fn describe(
        &self,
        source: &Arc<Source>,
        known: &Known,
        learned: u64,
    ) -> Result<Described, ServeError> {
        let mut record = known.record.clone();
        let images = record.canvases.iter().map(|canvas| {
            let access = of_canvas(&record, canvas);
            canvas.image.as_ref().map(|image| (image, access))
        });
        // Made before the stream: a closure inside of it could not be sent between threads.
        let asked: Vec<_> = images.map(|image| self.size(source, known, image)).collect();
        let sizes: Vec<Option<Size>> = stream::iter(asked).buffered(PROBES).try_collect().await?;
        // One that is told without a size is not worth a question: a page can stand for the whole.
        let thumbnail = record.thumbnail.as_ref().filter(|image| image.size.is_some());
        let thumbnail = self.size(source, known, thumbnail.map(|image| (image, record.access))).await?;
        // A source that has no collections may still name some; their addresses would not answer.
        if !source.adapter.abilities().collections {
            record.parents.clear();
        }
        let mut digest = Sha256::new();
        digest.update(&record.version);
        for (canvas, size) in record.canvases.iter_mut().zip(sizes) {
            if let Some(image) = &mut canvas.image {
                // A page keeps its proportions when its image is lost.
                if size.is_none() {
                    canvas.size = canvas.size.or(image.size);
                }
                image.size = size;
                digest.update(format!("{size:?}"));
            }
        }
        if let Some(image) = &mut record.thumbnail {
            image.size = thumbnail;
            digest.update(format!("{thumbnail:?}"));
        }
        Ok(Described { record, version: hex::encode(&digest.finalize()[..16]), learned })
    }

    async fn size(
        &self,
        source: &Arc<Source>,
        known: &Known,
        image: Option<(&Image, Access)>,
    ) -> Result<Option<Size>, ServeError> {
        let told = |access| decide(access, Action::Describe) == Verdict::Allowed;
        let Some((image, _)) = image.filter(|(_, access)| told(*access)) else { return Ok(None) };
        let version = known.version_of(image);
        if let Some(facts) = self.facts.known(source, image, version).await {
            return Ok(Some(facts.size));
        }
        if image.size.is_some() && !self.facts.doubts(source, image, version) {
            return Ok(image.size);
        }
        match self.facts.get(source, image, version).await {
            Ok(facts) => Ok(Some(facts.size)),
            // The other pages can be shown all the same.
            Err(ServeError::BadAnswer { .. } | ServeError::NotFound { .. }) => Ok(None),
            // It was no image before.
            Err(_) if image.size.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
