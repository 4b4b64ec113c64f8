//! Everything about an item that takes long, done before anybody asks for it.

use std::collections::HashSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::ServeError;
use super::facts::Facts;
use super::gate::{Gate, PIPELINE};
use super::lending::Lending;
use super::originals::Originals;
use super::pyramids::Pyramids;
use super::records::{Known, Records};
use super::source::Source;
use crate::access::{Action, Verdict, decide};
use crate::adapter::AdapterError;
use crate::adapter::record::{Access, Cursor, Image, ItemId, Listed, MediaId};
use crate::iiif::image::Version;
use crate::iiif::image::quality::{Format, Quality};
use crate::iiif::image::region::Region;
use crate::iiif::image::request::ImageRequest;
use crate::iiif::image::rotation::Rotation;
use crate::iiif::image::size::{Form, Size};
use crate::store::bucket::Inventory;
use crate::store::{Claim, Key, StoreError};

/// How often a source is asked once more that said when to come again.
const AGAIN: usize = 3;
/// The longest of such waits; the breaker's pauses are no longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Warms one source. Whatever it makes is made by what [`Means`] are shared with the gateway, under the same keys.
#[derive(Debug)]
pub struct Warming {
    source: Arc<Source>,
    means: Means,
    /// Images in work, all items together.
    turns: Semaphore,
    at_once: usize,
    images: AtomicU64,
    is_full: AtomicBool,
}

/// What the gateway works with.
#[derive(Debug)]
pub struct Means {
    /// Decides.
    pub gate: Gate,
    /// Descriptions.
    pub records: Records,
    /// Headers.
    pub facts: Facts,
    /// Masters; what is fetched here is given back at once.
    pub originals: Originals,
    /// Masters that need none.
    pub lending: Lending,
    /// Pyramids.
    pub pyramids: Pyramids,
    /// Keeps those away who want to change the cache alone.
    pub claim: Claim,
}

/// What became of an item.
#[derive(Debug)]
pub enum Warmed {
    /// Its pixels are shown to nobody.
    Closed,
    /// Of each of its images.
    Images(Vec<(MediaId, Outcome)>),
}

/// What became of an image.
#[derive(Debug)]
pub enum Outcome {
    /// There is a pyramid now; with its length in bytes, if there was none before.
    Pyramid(Key, Option<u64>),
    /// The same, but the bucket that all replicas share has none.
    Unshared(Key, Option<u64>),
    /// It is no larger than a tile, or a pyramid itself.
    NotNeeded,
    /// Its pixels are shown to nobody.
    Closed,
    /// The room for pyramids is used up.
    NoRoom,
    /// It cannot be had, or not be read.
    Failed(ServeError),
}

impl Warming {
    /// Warms this source, so many images at a time.
    pub fn new(source: Arc<Source>, means: Means, at_once: usize) -> Self {
        let (turns, images, is_full) = (Semaphore::new(at_once), AtomicU64::new(0), AtomicBool::new(false));
        Self { source, means, turns, at_once, images, is_full }
    }

    /// Whether the source can name its items.
    pub fn can_list(&self) -> bool {
        self.source.adapter.abilities().listing
    }

    /// All items of the source, page by page as they are wanted.
    pub fn listed(&self) -> impl Stream<Item = Result<Listed, AdapterError>> + use<> {
        listed(Arc::clone(&self.source))
    }

    /// What decides how pyramids look: one of another setting is another one.
    pub fn setting(&self) -> String {
        let Source { identity, image, .. } = &*self.source;
        format!("{identity}/{PIPELINE}-{}-{}-{}", image.tile, image.quality, image.pdf_dpi)
    }

    /// Images that were looked at so far, those of unfinished items among them.
    pub fn images(&self) -> u64 {
        self.images.load(Ordering::Relaxed)
    }

    /// Whether a pyramid is here.
    pub fn holds(&self, pyramid: &Key) -> bool {
        self.means.pyramids.holds(pyramid)
    }

    /// The pyramids that are in the bucket. Where it does not tell, they are asked for one by one.
    pub async fn in_bucket(&self) -> Inventory {
        let inventory = self.means.pyramids.in_bucket(&self.source.name).await;
        inventory.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is in the bucket cannot be listed");
            Inventory::default()
        })
    }

    /// Bytes that pyramids take, and that they may.
    pub fn room(&self) -> (u64, u64) {
        self.means.pyramids.room()
    }

    /// Reads the description and the headers of an item, and makes its pyramids.
    pub async fn item(&self, id: &str) -> Result<Warmed, ServeError> {
        let id = ItemId::from(id);
        let known = patiently(|| self.means.records.get(&self.source, &id), retry_after).await?;
        if !is_shown(known.record().access) {
            return Ok(Warmed::Closed);
        }
        let mut seen = HashSet::new();
        let images = known.record().canvases.iter().filter_map(|canvas| canvas.image.as_ref());
        let images = images.filter(|image| seen.insert(&image.media));
        // Made before the stream: a closure inside of it could not be sent between threads.
        let asked: Vec<_> = images.map(|image| self.image(&known, image)).collect();
        let warmed = stream::iter(asked).buffered(self.at_once).collect().await;
        // Pages share their file until all of them are done.
        let images = known.record().canvases.iter().filter_map(|canvas| canvas.image.as_ref());
        let pages = images.filter(|image| image.media.page().is_some());
        let files: HashSet<_> = pages.map(|image| (image.media.file(), known.version_of(image))).collect();
        for (file, version) in &files {
            self.means.originals.forget(&self.source, file, version).await;
        }
        Ok(Warmed::Images(warmed))
    }

    async fn image(&self, known: &Known, image: &Image) -> (MediaId, Outcome) {
        let _turn = self.turns.acquire().await;
        let outcome = patiently(|| self.warm(known, image), retry_after).await;
        if image.media.page().is_none() {
            self.means.originals.forget(&self.source, &image.media, known.version_of(image)).await;
        }
        self.images.fetch_add(1, Ordering::Relaxed);
        (image.media.clone(), outcome.unwrap_or_else(Outcome::Failed))
    }

    async fn warm(&self, known: &Known, image: &Image) -> Result<Outcome, ServeError> {
        let Means { gate, facts, lending, pyramids, .. } = &self.means;
        if !known.image(&image.media).is_some_and(|(_, access)| is_shown(access)) {
            return Ok(Outcome::Closed);
        }
        let grant = gate.image(Version::V3, &self.source.name, image.media.as_str(), &WHOLE).await?;
        let facts = facts.get(&self.source, image, known.version_of(image)).await?;
        if facts.tile.is_some() && !lending.refuses(&grant).await? {
            return Ok(Outcome::NotNeeded);
        }
        let Some(key) = grant.pyramid() else { return Ok(Outcome::NotNeeded) };
        if pyramids.has(&grant, &key).await {
            return Ok(self.shared(key, None).await);
        }
        // Whoever wants it finds it there: it need not lie here as well.
        if pyramids.is_shared(&key).await {
            return Ok(Outcome::Pyramid(key, None));
        }
        if self.is_full.load(Ordering::Relaxed) {
            return Ok(Outcome::NoRoom);
        }
        match pyramids.make(&grant, &key).await {
            Ok(bytes) => Ok(self.shared(key, Some(bytes)).await),
            Err(error) if is_for_room(&error) => {
                self.is_full.store(true, Ordering::Relaxed);
                Ok(Outcome::NoRoom)
            }
            Err(error) => Err(error),
        }
    }
}

impl Warming {
    /// A pyramid that is here, once it is in the bucket as well.
    async fn shared(&self, key: Key, made: Option<u64>) -> Outcome {
        match self.means.pyramids.share(&key).await {
            Ok(()) => Outcome::Pyramid(key, made),
            Err(error) => {
                tracing::debug!(%error, "a pyramid is not in the bucket");
                Outcome::Unshared(key, made)
            }
        }
    }
}

/// Any request that is granted of every image that is shown.
const WHOLE: ImageRequest = ImageRequest {
    region: Region::Full,
    size: Size { caret: false, form: Form::Max },
    rotation: Rotation { mirror: false, degrees: 0.0 },
    quality: Quality::Default,
    format: Format::Jpg,
};

/// Whether anybody gets to see pixels.
fn is_shown(access: Access) -> bool {
    decide(access, Action::View) == Verdict::Allowed
}

fn is_for_room(error: &ServeError) -> bool {
    let ServeError::Internal(cause) = error else { return false };
    cause.downcast_ref().is_some_and(StoreError::is_for_room)
}

/// When a source, or the gateway itself, may be asked again.
fn retry_after(error: &ServeError) -> Option<Duration> {
    match error {
        ServeError::Unreachable { retry_after, .. } => *retry_after,
        ServeError::Busy => Some(Duration::from_secs(1)),
        _ => None,
    }
}

/// Asks again as long as the answer is that one should. Nobody waits for the outcome but a report.
async fn patiently<T, E, F>(ask: impl Fn() -> F, retry_after: impl Fn(&E) -> Option<Duration>) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    for _ in 0..AGAIN {
        let outcome = ask().await;
        let Some(wait) = outcome.as_ref().err().and_then(&retry_after) else { return outcome };
        sleep(wait.min(LONGEST)).await;
    }
    ask().await
}

/// The items of all pages. One that leads back to where it was would go on like that.
fn listed(source: Arc<Source>) -> impl Stream<Item = Result<Listed, AdapterError>> {
    let first = Some((None, HashSet::new()));
    let pages = stream::try_unfold(first, move |place: Option<(Option<Cursor>, HashSet<u64>)>| {
        let source = Arc::clone(&source);
        async move {
            let Some((after, mut seen)) = place else { return Ok(None) };
            let ask = || source.adapter.list(after.as_ref());
            let page = patiently(ask, AdapterError::retry_after).await?;
            let next = match page.next {
                Some(next) if !seen.insert(digest(&next)) => return Err(circle(&source, &next)),
                Some(next) => Some((Some(next), seen)),
                None => None,
            };
            Ok(Some((stream::iter(page.items.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten()
}

/// Cursors may be long, and there is one for each page of millions of items.
fn digest(cursor: &Cursor) -> u64 {
    let mut hasher = DefaultHasher::new();
    cursor.hash(&mut hasher);
    hasher.finish()
}

fn circle(source: &Source, cursor: &Cursor) -> AdapterError {
    AdapterError::Field {
        adapter: source.name.clone(),
        item: "list".to_owned(),
        field: "paging".to_owned(),
        expected: "a page that was not there before",
        found: format!("`{cursor}` once more"),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::atomic::AtomicUsize;

    use async_trait::async_trait;
    use tokio::time::Instant;

    use super::*;
    use crate::adapter::record::{Page, Record};
    use crate::adapter::{Abilities, Adapter, Heard, Media};
    use crate::serve::source::tests::source;

    fn away(wait: Option<u64>) -> ServeError {
        let retry_after = wait.map(Duration::from_secs);
        ServeError::Unreachable { name: "dam".to_owned(), message: "it is away".to_owned(), retry_after }
    }

    /// What comes of a source that answers in this way, after how many seconds, and how often it was asked.
    async fn asked(answer: impl Fn(usize) -> Result<(), ServeError>) -> (bool, u64, usize) {
        let (begun, times) = (Instant::now(), AtomicUsize::new(0));
        let ask = || {
            let outcome = answer(times.fetch_add(1, Ordering::Relaxed));
            async { outcome }
        };
        let outcome = patiently(ask, retry_after).await;
        (outcome.is_ok(), begun.elapsed().as_secs(), times.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_when_to_come_again_is_asked_again_then() {
        assert_eq!(asked(|_| Ok(())).await, (true, 0, 1));
        assert_eq!(asked(|n| if n == 0 { Err(away(Some(7))) } else { Ok(()) }).await, (true, 7, 2));
        assert_eq!(asked(|n| if n < 2 { Err(ServeError::Busy) } else { Ok(()) }).await, (true, 2, 3));
        assert_eq!(asked(|_| Err(away(Some(7)))).await, (false, 21, 4));
        assert_eq!(asked(|_| Err(away(Some(86_400)))).await, (false, 180, 4));
        assert_eq!(asked(|_| Err(away(None))).await, (false, 0, 1));
    }

    /// Pages of one item, the last of which leads to the page of this number.
    #[derive(Debug)]
    struct Pages(Option<usize>);

    #[async_trait]
    impl Adapter for Pages {
        fn abilities(&self) -> Abilities {
            Abilities { listing: true, ..Abilities::default() }
        }

        async fn record(&self, id: &ItemId, _: &Heard) -> Result<Record, AdapterError> {
            Err(AdapterError::NotFound(id.to_string()))
        }

        fn item_of(&self, _: &MediaId) -> Option<ItemId> {
            None
        }

        async fn media(&self, id: &MediaId, _: Option<Range<u64>>) -> Result<Media, AdapterError> {
            Err(AdapterError::NotFound(id.to_string()))
        }

        async fn list(&self, after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
            let page = after.map_or(0, |cursor| cursor.as_str().parse().unwrap());
            let id = ItemId::from(page.to_string());
            let items = vec![Listed { id, version: None, label: None, access: None, thumbnail: None }];
            let next = if page < 3 { Some(page + 1) } else { self.0 };
            Ok(Page { items, next: next.map(|next| Cursor::from(next.to_string())) })
        }
    }

    async fn told(last: Option<usize>) -> Vec<Result<String, String>> {
        let source = Source { adapter: Arc::new(Pages(last)), ..source("dam") };
        let told = listed(Arc::new(source));
        told.map(|item| item.map(|item| item.id.to_string()).map_err(|error| error.to_string()))
            .collect()
            .await
    }

    #[tokio::test]
    async fn a_listing_is_read_to_its_end_unless_it_has_none() {
        assert_eq!(told(None).await, ["0", "1", "2", "3"].map(|id| Ok(id.to_owned())));
        let told = told(Some(2)).await;
        insta::assert_snapshot!(told.last().unwrap().as_ref().unwrap_err(), @"field `paging` of `list`: expected a page that was not there before, found `2` once more (adapter `dam`)");
        assert!(told.len() <= 4);
    }
}
