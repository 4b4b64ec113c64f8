//! Masters that are pyramids already and stay with their source: of them only what a picture takes is fetched.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, error_span};

use super::ServeError;
use super::flight::Flights;
use super::gate::Grant;
use super::metrics;
use super::ranges::{Head, Part, Seen, State, Told, ask, joined};
use super::remembered::Name;
use super::source::Source;
use crate::adapter::AdapterError;
use crate::adapter::record::MediaId;
use crate::imaging::{self, Header, ImagingError, Job, Lift, Limits, Parts, Pool, Sniff, Sparse, Tiled};
use crate::store::{Key, Scope};
use crate::weighed;

const KIB: u64 = 1024;
/// Requests for the directories of a file: there are no more than 32 levels, some far from their tables.
const PIECES: usize = 64;
/// Bytes of the tables of a file: those of a million tiles.
const TABLES: u64 = 16 << 20;
/// Bytes of a file that are fetched for one picture, those between its tiles among them.
const MOST: u64 = 16 << 20;
/// Requests for one picture: who needs more fetches the whole file.
const REQUESTS: usize = 64;
/// Requests for one picture at the same time. How many there are of all pictures, the source's own limit tells.
const AT_ONCE: usize = 4;
/// Bytes of all tables in memory: those of 80 megapixels in tiles of 256 are 50 KB.
const ROOM: u64 = 32 << 20;
/// Bytes of all beginnings of files that are kept for the first look at their tiles.
const HEADS: u64 = 8 << 20;
/// How many files that may be, about.
const FILES: usize = 1000;
/// What is kept of a file takes no less than this.
const LEAST: u64 = 512;
/// Items of which it is known that files changed.
const ITEMS: usize = 10_000;
/// An item whose files changed so often has none that are read in parts any more.
const CHANGES: u32 = 2;

/// What is known of such masters. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Remotes {
    heads: Arc<Cache<Key, Head, ByWeight>>,
    known: Arc<Cache<Key, Way, ByWeight>>,
    /// How often files of an item were found to be others than before. A purge leaves it: there is one after each time.
    changes: Arc<Cache<Name, u32>>,
    opening: Flights<Key, Option<Arc<Remote>>>,
    /// Kibibytes of parts that may be held at any one time, all pictures together.
    room: Arc<Semaphore>,
    most: u64,
}

/// How a master is to be had.
#[derive(Clone, Debug)]
enum Way {
    Parts(Arc<Remote>),
    Whole,
}

/// A master of which is known where its tiles lie.
#[derive(Debug)]
pub(super) struct Remote {
    place: Place,
    state: State,
    header: Header,
    tiled: Tiled,
    tables: Parts,
}

/// One file of a source.
#[derive(Clone, Debug)]
struct Place {
    source: Arc<Source>,
    media: MediaId,
    key: Key,
}

/// Parts in memory, as long as this lives.
#[derive(Debug)]
pub(super) struct Fetched {
    parts: Parts,
    _room: OwnedSemaphorePermit,
}

/// Why parts cannot be had.
#[derive(Debug)]
enum Obstacle {
    /// They are too many, or too large.
    TooMuch,
    /// The source does not give parts, or does not say what they are parts of.
    Whole,
    /// They are parts of another file than before.
    Changed,
    /// They may be had later.
    Failed(ServeError),
    /// They are wrong, or will never be had.
    Wrong(ServeError),
}

#[derive(Clone, Debug)]
struct ByWeight;

impl Weighter<Key, Head> for ByWeight {
    fn weight(&self, _: &Key, head: &Head) -> u64 {
        head.parts.weight().max(LEAST)
    }
}

impl Weighter<Key, Way> for ByWeight {
    fn weight(&self, _: &Key, way: &Way) -> u64 {
        match way {
            Way::Parts(remote) => remote.tiled.weight() + remote.tables.weight() + LEAST,
            Way::Whole => LEAST,
        }
    }
}

impl Remotes {
    /// Parts of masters are held in `room`, which has so many bytes.
    pub(super) fn new(room: Arc<Semaphore>, bytes: u64) -> Self {
        Self {
            heads: Arc::new(weighed::cache(HEADS, HEADS / FILES as u64, HEADS / 2, ByWeight)),
            known: Arc::new(weighed::cache(ROOM, ROOM / FILES as u64, TABLES, ByWeight)),
            changes: Arc::new(Cache::new(ITEMS)),
            opening: Flights::default(),
            room,
            most: MOST.min(bytes / 2),
        }
    }

    /// Forgets what belongs to a source or an item.
    pub(super) fn close(&self, scope: &Scope) {
        self.heads.retain(|key, _| !scope.holds(key.as_str()));
        self.known.retain(|key, _| !scope.holds(key.as_str()));
    }

    /// Says that a file of an item is another one than before.
    pub(super) fn changed(&self, item: Name) {
        let changes = self.changes.get(&item).unwrap_or_default();
        self.changes.insert(item, changes + 1);
    }

    /// Keeps what was read of a file to learn that it has tiles, so that nothing is asked for twice.
    pub(super) fn keep(&self, key: Key, head: Head) {
        match head.seen {
            Seen::Same(_) => self.heads.insert(key, head),
            Seen::Untold => self.known.insert(key, Way::Whole),
            Seen::Nothing | Seen::Changed => {}
        }
    }

    /// The master of a grant, if it can be read in parts. Of many who ask, one reads its tables.
    pub(super) async fn open(
        &self,
        grant: &Grant,
        key: Key,
        pool: &Arc<Pool>,
        limits: &Limits,
    ) -> Result<Option<Arc<Remote>>, ServeError> {
        match self.known.get(&key) {
            Some(Way::Parts(remote)) => return Ok(Some(remote)),
            Some(Way::Whole) => return Ok(None),
            None => {}
        }
        let (source, media) = (Arc::clone(&grant.view.source), grant.view.media.clone());
        // Its state differs from answer to answer, as that of many servers behind one name may.
        if self.changes.get(grant.view.item()).is_some_and(|changes| changes >= CHANGES) {
            return Ok(None);
        }
        let span = error_span!("file", source = %source.name, id = %media);
        let place = Place { source, media, key: key.clone() };
        let (this, tile, pool, limits) = (self.clone(), grant.tile(), Arc::clone(pool), *limits);
        let work = async move {
            match this.look(place.clone(), tile, &pool, &limits).await {
                Ok(remote) => {
                    let remote = Arc::new(remote);
                    this.known.insert(place.key, Way::Parts(Arc::clone(&remote)));
                    Ok(Some(remote))
                }
                Err(Obstacle::TooMuch) => this.gone(&place, Obstacle::Whole).map(|()| None),
                Err(obstacle) => this.gone(&place, obstacle).map(|()| None),
            }
        };
        self.opening.join(key, move || work.instrument(span)).await
    }

    /// Parts of a master; `None` where all of it has to be fetched.
    pub(super) async fn read(
        &self,
        remote: &Remote,
        ranges: impl IntoIterator<Item = Range<u64>>,
    ) -> Result<Option<Fetched>, ServeError> {
        // Others may have found out since it was opened.
        if matches!(self.known.get(&remote.place.key), Some(Way::Whole)) {
            return Ok(None);
        }
        match self.fetch(&remote.place, &remote.state, ranges).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(obstacle) => self.gone(&remote.place, obstacle).map(|()| None),
        }
    }

    /// What is remembered of an obstacle, and told. Nothing of what was known of another file is kept.
    fn gone(&self, place: &Place, obstacle: Obstacle) -> Result<(), ServeError> {
        match obstacle {
            Obstacle::TooMuch => Ok(()),
            Obstacle::Whole => {
                tracing::debug!(source = %place.source.name, media = %place.media, "a master cannot be read in parts");
                self.known.insert(place.key.clone(), Way::Whole);
                Ok(())
            }
            Obstacle::Changed => {
                self.known.remove(&place.key);
                Err(ServeError::Changed { name: place.source.name.clone(), media: place.media.to_string() })
            }
            Obstacle::Failed(error) => Err(error),
            Obstacle::Wrong(error) => {
                self.known.remove(&place.key);
                Err(error)
            }
        }
    }

    /// Reads directories and tables.
    async fn look(&self, place: Place, tile: u32, pool: &Pool, limits: &Limits) -> Result<Remote, Obstacle> {
        let broken = |error| place.broken(error);
        let mut head = self.heads.remove(&place.key).map(|(_, head)| head).unwrap_or_default();
        let levels = |parts: &Parts| imaging::sniff_levels(parts, None);
        let told = head.tell(&place.source, &place.media, PIECES, levels).await;
        let state = match (told.map_err(Obstacle::Failed)?, head.seen) {
            (_, Seen::Changed) => return Err(Obstacle::Changed),
            (Told::Header(_), Seen::Same(state)) => state,
            _ => return Err(Obstacle::Whole),
        };
        let mut parts = head.parts;
        let Sniff::Known(header) = imaging::sniff_levels(&parts, Some(state.total)).map_err(broken)? else {
            return Err(Obstacle::Whole);
        };
        limits.pixels(header.width, header.height).map_err(broken)?;
        if header.tile() != Some(tile) {
            return Err(Obstacle::Whole);
        }
        let ranges = imaging::tables(&header).map_err(broken)?;
        if ranges.iter().map(|range| range.end - range.start).sum::<u64>() > TABLES {
            return Err(Obstacle::Whole);
        }
        let missing = ranges.iter().filter(|range| parts.bytes((*range).clone()).is_none()).cloned();
        let fetched = self.fetch(&place, &state, missing.collect::<Vec<_>>()).await?;
        parts.join(fetched.parts);
        let mut tables = Parts::default();
        for range in ranges {
            let bytes = parts.bytes(range.clone()).ok_or(Obstacle::Whole)?;
            // Copied, or a few bytes would hold all that they came with.
            tables.add(range, Bytes::copy_from_slice(&bytes));
        }
        let mut master = Sparse::new(tables.clone(), state.total);
        let cost = Tiled::cost(&header);
        let read = move || Ok((Tiled::of(&mut master, &header, tile)?, header));
        let (tiled, header) = pool.run(cost, read).await.map_err(broken)?;
        let tiled = tiled.filter(Tiled::is_pyramid).ok_or(Obstacle::Whole)?;
        Ok(Remote { place, state, header, tiled, tables })
    }

    /// Fetches parts, neighbours together.
    async fn fetch(
        &self,
        place: &Place,
        state: &State,
        ranges: impl IntoIterator<Item = Range<u64>>,
    ) -> Result<Fetched, Obstacle> {
        let spans = joined(ranges);
        if spans.last().is_some_and(|span| span.end > state.total) {
            return Err(place.broken(ImagingError::Broken("the file ends early".into())));
        }
        let bytes: u64 = spans.iter().map(|span| span.end - span.start).sum();
        if spans.len() > REQUESTS || bytes > self.most {
            return Err(Obstacle::TooMuch);
        }
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib);
        let room = room.map_err(|_| Obstacle::Failed(ServeError::Busy))?;
        // Made before the stream: a closure inside of it could not be sent between threads.
        let asked: Vec<_> = spans.iter().map(|span| place.fetch(state, span.clone())).collect();
        let fetched: Vec<Bytes> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let mut parts = Parts::default();
        spans.into_iter().zip(fetched).for_each(|(span, bytes)| parts.add(span, bytes));
        Ok(Fetched { parts, _room: room })
    }
}

impl Place {
    /// One request, and exactly what was asked for.
    async fn fetch(&self, expected: &State, span: Range<u64>) -> Result<Bytes, Obstacle> {
        let length = span.end - span.start;
        let part = ask(&self.source, &self.media, span.clone(), length).await;
        let (range, bytes, state) = match part.map_err(|error| self.failed(error))? {
            Part::Remote { range, bytes, state } => (range, bytes, state),
            Part::Local(_) | Part::TooFar => return Err(Obstacle::Whole),
        };
        let labels = [("source", self.source.name.clone())];
        ::metrics::counter!(metrics::RANGES, &labels).increment(1);
        ::metrics::counter!(metrics::RANGE_BYTES, &labels).increment(bytes.len() as u64);
        if state.as_ref().is_some_and(|state| state != expected) {
            return Err(Obstacle::Changed);
        }
        let told = state.is_some() && range == span && bytes.len() as u64 >= length;
        if told { Ok(bytes.slice(..length as usize)) } else { Err(Obstacle::Whole) }
    }

    fn failed(&self, error: AdapterError) -> Obstacle {
        // No more is asked for than the file was said to have.
        if error.is_beyond_end() {
            return Obstacle::Changed;
        }
        let is_temporary = error.is_temporary();
        let error = ServeError::from_adapter(&self.source.name, "image", error);
        if is_temporary { Obstacle::Failed(error) } else { Obstacle::Wrong(error) }
    }

    fn broken(&self, error: ImagingError) -> Obstacle {
        let is_busy = matches!(error, ImagingError::Busy);
        let error = ServeError::from_imaging(&self.source.name, self.media.as_str(), error);
        if is_busy { Obstacle::Failed(error) } else { Obstacle::Wrong(error) }
    }
}

impl Remote {
    /// The tiles that answer for a job as they are.
    pub(super) fn find(&self, job: &Job) -> Option<Lift> {
        self.tiled.find(job)
    }

    /// What its directories tell.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Which parts of it a job is drawn from; `None` if that is no fair part of it.
    pub(super) fn needs(&self, job: &Job) -> Result<Option<Vec<Range<u64>>>, ImagingError> {
        match imaging::needs(&mut self.with(Parts::default()), &self.header, job) {
            // A level that is written otherwise, whose table was not fetched.
            Err(ImagingError::Read(_)) => Ok(None),
            needs => needs,
        }
    }

    /// The master, as far as it was fetched.
    pub(super) fn with(&self, parts: Parts) -> Sparse {
        let mut all = self.tables.clone();
        all.join(parts);
        Sparse::new(all, self.state.total)
    }
}

impl Fetched {
    /// All of it. Cheap: nothing is copied.
    pub(super) fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Each of the ranges that were asked for.
    pub(super) fn each(&self, ranges: impl Iterator<Item = Range<u64>>) -> Vec<Bytes> {
        ranges.map(|range| self.parts.bytes(range).unwrap_or_default()).collect()
    }
}
