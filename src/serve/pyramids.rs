//! Which masters have a pyramid; those that were touched and have none get one in the background.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::{Instant, timeout};

use super::ServeError;
use super::depot::Depot;
use super::flight::Flights;
use super::gate::Grant;
use super::metrics;
use super::originals::Originals;
use super::replicas::Stint;
use super::tiles::Tiles;
use crate::imaging::pyramid::{self, Pyramid};
use crate::imaging::{ImagingError, Limits, Pool};
use crate::store::bucket::Inventory;
use crate::store::{Files, Key, Scope, StoreError};
use crate::weighed;

/// Masters that wait for their turn; the next one is left to a later touch.
const QUEUE: usize = 1000;
/// How long a master is left alone that could not be made into a pyramid.
const REST: Duration = Duration::from_secs(600);
/// Masters that failed, in memory.
const FAILED: usize = 10_000;
/// Masters whose pyramid was looked for on the disk, in memory.
const LOOKED: usize = 10_000;
/// How long a request waits for a pyramid that is on its way from the bucket, before the master has to do.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// Pyramids that are kept open: each is a file.
const OPEN: u64 = 256;
/// What is kept open stays on the disk, whatever else needs its room: no more than this part of it, and of that
/// no more than the same part for any one.
const SHARE: u64 = 4;

/// Pyramids on disk, and those that are being made. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pyramids {
    shared: Arc<Shared>,
    building: Flights<Key, Arc<Tiles>>,
}

#[derive(Debug)]
struct Shared {
    files: Files,
    open: Cache<Key, Arc<Tiles>, ByFile>,
    /// Until when a master is not tried again.
    failed: Cache<Key, Instant>,
    /// Those whose pyramid nobody else has left on the disk or in the bucket, or has and we know it.
    looked: Cache<Key, ()>,
    looking: Flights<Key, Option<Arc<Tiles>>>,
    /// What the other replicas have made.
    depot: Option<Depot>,
    originals: Originals,
    pool: Arc<Pool>,
    limits: Limits,
}

/// Open files count by the room that they keep others from.
#[derive(Clone, Copy, Debug)]
struct ByFile {
    least: u64,
}

impl Weighter<Key, Arc<Tiles>> for ByFile {
    fn weight(&self, _: &Key, tiles: &Arc<Tiles>) -> u64 {
        tiles.bytes().max(tiles.weight()).max(self.least)
    }
}

impl Pyramids {
    /// Pyramids kept in `files`, which may take so many bytes, and in a bucket behind them.
    pub fn new(
        (files, bytes): (Files, u64),
        depot: Option<Depot>,
        originals: Originals,
        pool: Arc<Pool>,
        limits: Limits,
    ) -> Self {
        let room = (bytes / SHARE).max(1);
        let weighter = ByFile { least: room.div_ceil(OPEN) };
        let shared = Shared {
            files,
            open: weighed::cache(room, weighter.least, room / SHARE, weighter),
            failed: Cache::new(FAILED),
            looked: Cache::new(LOOKED),
            looking: Flights::default(),
            depot,
            originals,
            pool,
            limits,
        };
        Self { shared: Arc::new(shared), building: Flights::default() }
    }

    /// The pyramid that serves a grant, if there is one. Formats that lose nothing are of the master, as they were before
    /// there were tiles, which have lost something.
    pub async fn get(&self, grant: &Grant) -> Option<Arc<Tiles>> {
        if grant.job.format.is_lossless() {
            return None;
        }
        let (shared, key) = (&self.shared, grant.pyramid()?);
        let tiles = match shared.find(grant, &key).await {
            None if shared.is_news(&key) => shared.wait_for(grant, &key).await?,
            found => found?,
        };
        tiles.serves(&grant.job).then_some(tiles)
    }

    /// Whether the pyramid of a grant is there and whole.
    pub(super) async fn has(&self, grant: &Grant, key: &Key) -> bool {
        self.shared.find(grant, key).await.is_some()
            || matches!(self.shared.adopt(grant, key).await, Ok(Some(_)))
    }

    /// Whether the bucket has a pyramid of this name, found out without fetching it.
    pub(super) async fn is_shared(&self, key: &Key) -> bool {
        match &self.shared.depot {
            Some(depot) => depot.has(key).await,
            None => false,
        }
    }

    /// What the bucket, if there is one, has of a source.
    pub(super) async fn in_bucket(&self, source: &str) -> Result<Inventory, StoreError> {
        match &self.shared.depot {
            Some(depot) => depot.inventory(source).await,
            None => Ok(Inventory::default()),
        }
    }

    /// Sees to it that the bucket, if there is one, has a pyramid that is on the disk.
    pub(super) async fn share(&self, key: &Key) -> Result<(), ServeError> {
        match &self.shared.depot {
            Some(depot) => depot.ensure(key, &self.shared.files).await,
            None => Ok(()),
        }
    }

    /// Makes the pyramid of a grant; its length in bytes.
    pub(super) async fn make(&self, grant: &Grant, key: &Key) -> Result<u64, ServeError> {
        let work = || Arc::clone(&self.shared).make(grant.clone(), key.clone());
        self.building.join(key.clone(), work).await.map(|tiles| tiles.bytes())
    }

    /// Whether there is a pyramid of this name, as far as is known without looking.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.shared.files.holds(key)
    }

    /// Bytes that pyramids take, and that they may.
    pub(super) fn room(&self) -> (u64, u64) {
        self.shared.files.room()
    }

    /// Draws a picture from tiles of ours; a master that lends its own is drawn as any master.
    pub(super) async fn redraw(
        &self,
        grant: &Grant,
        tiles: &Arc<Tiles>,
    ) -> Option<Result<Vec<u8>, ServeError>> {
        let (pyramid, file) = tiles.ours()?;
        let (job, limits) = (grant.job, self.shared.limits);
        let drawn = match pyramid::admit_redrawing(&pyramid, &job, &limits) {
            Ok(cost) => {
                self.shared.pool.run(cost, move || pyramid::redraw(&pyramid, &file, &job, &limits)).await
            }
            Err(error) => Err(error),
        };
        Some(match drawn {
            Ok(drawn) => Ok(drawn),
            Err(error) => Err(self.failed(grant, tiles, error).await),
        })
    }

    /// Lets go of what is kept open of a scope, and tries again what failed.
    pub(super) fn close(&self, scope: &Scope) {
        self.shared.originals.close(scope);
        self.shared.open.retain(|key, _| !scope.holds(key.as_str()));
        self.shared.failed.retain(|key, _| !scope.holds(key.as_str()));
        self.shared.looked.retain(|key, ()| !scope.holds(key.as_str()));
    }

    /// What it means that something could not be had of a pyramid. One that is damaged is forgotten, so that another one
    /// will be made; of many who find out, the first one tells.
    pub(super) async fn failed(&self, grant: &Grant, tiles: &Arc<Tiles>, error: ImagingError) -> ServeError {
        // The imaging would speak of a master.
        let (problem, is_broken) = match error {
            ImagingError::Broken(problem) => (problem, true),
            ImagingError::Read(error) => (error.to_string(), false),
            error => return grant.view.failed(error),
        };
        let (source, media, shared) = (&grant.view.source.name, &grant.view.media, &self.shared);
        if let Some(key) = grant.pyramid().filter(|_| tiles.spoil()) {
            tracing::warn!(%source, %media, problem, "dropping a damaged pyramid");
            shared.open.remove_if(&key, |open| Arc::ptr_eq(open, tiles));
            shared.forget(&key).await;
            // Perhaps it came from there, or was sent there as it was. That a disk cannot be read is not its fault.
            if is_broken {
                shared.discard(&key).await;
            }
        }
        ServeError::Damaged(media.to_string())
    }

    /// Has a pyramid made of the master that is asked for, unless there is one, or one on its way.
    pub fn wish(&self, grant: &Grant) {
        let Some(key) = grant.pyramid() else { return };
        let shared = &self.shared;
        if grant.view.is_purged() {
            return;
        }
        if shared.files.is_scanned() && !shared.files.holds(&key) && !shared.rests(&key) {
            self.building.begin(key.clone(), QUEUE, || Arc::clone(shared).make(grant.clone(), key));
        }
    }

    /// The pyramid of the master that is asked for, made while the caller waits; `None` where there can be none, an error
    /// where there may be one later.
    pub async fn need(&self, grant: &Grant) -> Result<Option<Arc<Tiles>>, ServeError> {
        let Some(key) = grant.pyramid().filter(|key| !self.shared.rests(key)) else { return Ok(None) };
        let tiles = match self.shared.find(grant, &key).await {
            Some(tiles) => tiles,
            None => {
                let work = || Arc::clone(&self.shared).make(grant.clone(), key.clone());
                match self.building.join(key.clone(), work).await {
                    Ok(tiles) => tiles,
                    Err(error) if passes(&error) => return Err(error),
                    Err(_) => return Ok(None),
                }
            }
        };
        Ok(Some(tiles).filter(|tiles| tiles.serves(&grant.job)))
    }
}

impl Shared {
    /// Whether nobody has looked yet for what others have left.
    fn is_news(&self, key: &Key) -> bool {
        self.looked.get(key).is_none()
    }

    /// What others have left, if it is here soon. Then or later it is found like any other.
    async fn wait_for(self: &Arc<Self>, grant: &Grant, key: &Key) -> Option<Arc<Tiles>> {
        let found = timeout(ON_ITS_WAY, self.look(grant, key)).await;
        self.looked.insert(key.clone(), ());
        found.ok()?.ok()?
    }

    /// What others have left: another process on the disk, another replica in the bucket. Of many who ask, one looks.
    /// An error if there is something that cannot be opened just now, which is no reason to make another.
    async fn look(self: &Arc<Self>, grant: &Grant, key: &Key) -> Result<Option<Arc<Tiles>>, ServeError> {
        let (shared, grant, named) = (Arc::clone(self), grant.clone(), key.clone());
        let work = || async move {
            Ok(match shared.adopt(&grant, &named).await? {
                Some(tiles) => Some(tiles),
                None => shared.fetch(&grant, &named).await,
            })
        };
        self.looking.join(key.clone(), work).await
    }

    /// The pyramid that another process has made.
    async fn adopt(&self, grant: &Grant, key: &Key) -> Result<Option<Arc<Tiles>>, ServeError> {
        if self.files.adopt(key).await { self.reopen(grant, key).await } else { Ok(None) }
    }

    /// The pyramid that another replica has made.
    async fn fetch(&self, grant: &Grant, key: &Key) -> Option<Arc<Tiles>> {
        // Kept until it is open, so that it is not dropped to make room.
        let _file = self.depot.as_ref()?.fetch(key, &self.files).await?;
        let opened = self.reopen(grant, key).await.ok()?;
        match &opened {
            Some(_) => ::metrics::counter!(metrics::PYRAMIDS, "outcome" => "fetched").increment(1),
            None => self.discard(key).await,
        }
        opened
    }

    async fn discard(&self, key: &Key) {
        if let Some(depot) = &self.depot {
            depot.discard(key).await;
        }
    }

    /// The turn to make a pyramid, or the one that another replica has made meanwhile.
    async fn turn(&self, grant: &Grant, key: &Key) -> Result<Arc<Tiles>, Option<Stint>> {
        match &self.depot {
            Some(depot) => depot.turn(key, || self.fetch(grant, key)).await.map_err(Some),
            None => Err(None),
        }
    }

    fn rests(&self, key: &Key) -> bool {
        self.failed.get(key).is_some_and(|until| Instant::now() < until)
    }

    async fn forget(&self, key: &Key) {
        if let Err(error) = self.files.remove(key).await {
            tracing::debug!(%error, "a pyramid cannot be removed");
        }
    }

    /// What was purged in the meantime lives as long as somebody reads it.
    fn keep_open(&self, grant: &Grant, key: Key, tiles: &Arc<Tiles>) {
        grant.view.unless_purged(|| self.open.insert(key, Arc::clone(tiles)));
    }

    /// What is open, or lies on the disk.
    async fn find(&self, grant: &Grant, key: &Key) -> Option<Arc<Tiles>> {
        match self.open.get(key) {
            Some(tiles) => Some(tiles),
            None if self.files.holds(key) => self.reopen(grant, key).await.ok()?,
            None => None,
        }
    }

    /// What lies on the disk, unless it is gone or damaged; an error if that cannot be told.
    async fn reopen(&self, grant: &Grant, key: &Key) -> Result<Option<Arc<Tiles>>, ServeError> {
        let Some(file) = self.files.open(key).await.map_err(ServeError::internal)? else { return Ok(None) };
        let spec = grant.spec(key);
        let opened = tokio::task::spawn_blocking(move || {
            Pyramid::open(&file, &spec).map(|pyramid| pyramid.map(|pyramid| Tiles::own(pyramid, file)))
        });
        let opened = opened.await.map_err(ServeError::internal)?;
        let Ok(Some(tiles)) = opened else {
            tracing::warn!(source = %grant.view.source.name, media = %grant.view.media, "dropping a damaged pyramid");
            self.forget(key).await;
            return opened.map(|_| None).map_err(ServeError::internal);
        };
        let tiles = Arc::new(tiles);
        self.keep_open(grant, key.clone(), &tiles);
        Ok(Some(tiles))
    }

    async fn make(self: Arc<Self>, grant: Grant, key: Key) -> Result<Arc<Tiles>, ServeError> {
        let (begun, _waiting) = (Instant::now(), Waiting::begun());
        if let Some(tiles) = self.look(&grant, &key).await? {
            return Ok(tiles);
        }
        let stint = match self.turn(&grant, &key).await {
            Ok(tiles) => return Ok(tiles),
            Err(stint) => stint,
        };
        let built = self.build(&grant, &key).await.map(Arc::new);
        let outcome = if built.is_ok() { "made" } else { "failed" };
        ::metrics::counter!(metrics::PYRAMIDS, "outcome" => outcome).increment(1);
        match &built {
            Ok(tiles) => {
                ::metrics::histogram!(metrics::PYRAMID_SECONDS).record(begun.elapsed().as_secs_f64());
                self.keep_open(&grant, key.clone(), tiles);
                // Begun before a purge, of a master that may be older: who waits has it, and nobody else.
                if grant.view.is_purged() {
                    self.forget(&key).await;
                } else if let Some((depot, stint)) = self.depot.as_ref().zip(stint) {
                    depot.send(&grant, &key, &self.files, stint);
                }
            }
            Err(error) => {
                tracing::warn!(source = %grant.view.source.name, media = %grant.view.media, %error, "no pyramid could be made");
                if !passes(error) {
                    self.failed.insert(key, Instant::now() + REST);
                }
            }
        }
        built
    }

    async fn build(&self, grant: &Grant, key: &Key) -> Result<Tiles, ServeError> {
        let failed = |error| grant.view.failed(error);
        let turn = self.pool.background().await;
        let original =
            self.originals.open(&grant.view.source, &grant.view.media, &grant.view.version).await?;
        let (page, limits, spec) = (grant.view.page(), self.limits, grant.spec(key));
        let (header, master) =
            self.pool.patient().header(original.reader(), page, limits).await.map_err(failed)?;
        let cost = pyramid::admit(&header, &spec.shape, &limits).map_err(failed)?;
        let hints = self.originals.hints(&grant.view.source, &grant.view.media, &grant.view.version, &header);
        let mut draft = self.files.create(key).await.map_err(ServeError::internal)?.into_writer();
        let built = turn.run(cost, move |breathe| {
            let pyramid = pyramid::build(master, &header, spec, &limits, &hints, &mut draft, breathe)?;
            original.check()?;
            Ok((pyramid, draft))
        });
        let failed_so = |error| of_disk(error).map_or_else(failed, ServeError::internal);
        let (pyramid, draft) = built.await.map_err(failed_so)?;
        let file = draft.commit().await.map_err(ServeError::internal)?;
        Ok(Tiles::own(pyramid, file))
    }
}

/// Whether the next try may find it otherwise: nothing is wrong with the master itself.
fn passes(error: &ServeError) -> bool {
    use ServeError::{Busy, Internal, Timeout, Unreachable};
    match error {
        // It would take the room of all others.
        Internal(cause) => !matches!(cause.downcast_ref(), Some(StoreError::Full { .. })),
        error => matches!(error, Busy | Unreachable { .. } | Timeout { .. }),
    }
}

/// That nothing can be written is no fault of the master.
fn of_disk(error: ImagingError) -> Result<StoreError, ImagingError> {
    match error {
        ImagingError::Read(error) => error.downcast().map_err(ImagingError::Read),
        other => Err(other),
    }
}

/// A master that waits for its pyramid, as long as it does.
struct Waiting;

impl Waiting {
    fn begun() -> Self {
        ::metrics::gauge!(metrics::PYRAMIDS_WAITING).increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        ::metrics::gauge!(metrics::PYRAMIDS_WAITING).decrement(1.0);
    }
}
