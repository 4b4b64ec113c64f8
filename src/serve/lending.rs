//! Masters that are pyramids themselves: kept open, and their tiles handed out as they lie.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::ServeError;
use super::flight::Flights;
use super::gate::Grant;
use super::originals::{Original, Originals};
use super::tiles::Tiles;
use crate::imaging::{ImagingError, Limits, Pool, Tiled};
use crate::store::{Key, Scope};
use crate::weighed;

/// Masters that are kept open: each is a file.
const OPEN: u64 = 256;
/// Masters of which it is known that they lend nothing.
const KNOWN: u64 = 1 << 16;
/// Bytes of their tables in memory: those of 80 megapixels in tiles of 256 are 20 KB.
const TABLES: u64 = 32 << 20;
/// Masters that were fetched stay on the disk while they are open: no more than this part of its room. One master may
/// take as large a part of everything.
const SHARE: u64 = 4;
/// What all of them may take together; each takes a part of memory, of the disk and of open files.
const ALL: u64 = 1 << 32;

/// Masters whose tiles are at hand. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lending {
    shared: Arc<Shared>,
    opening: Flights<Key, Option<Arc<Tiles>>>,
}

#[derive(Debug)]
struct Shared {
    /// None of those that lend nothing.
    open: Cache<Key, Option<Arc<Tiles>>, ByScarcest>,
    originals: Originals,
    pool: Arc<Pool>,
    limits: Limits,
}

/// A master weighs as much as it takes of what there is least of.
#[derive(Clone, Debug)]
struct ByScarcest {
    disk: u64,
}

impl Weighter<Key, Option<Arc<Tiles>>> for ByScarcest {
    fn weight(&self, _: &Key, tiles: &Option<Arc<Tiles>>) -> u64 {
        let Some(tiles) = tiles else { return ALL / KNOWN };
        let part =
            |taken: u64, room: u64| (u128::from(taken) * u128::from(ALL) / u128::from(room.max(1))) as u64;
        part(tiles.weight(), TABLES).max(part(tiles.bytes(), self.disk)).max(ALL / OPEN)
    }
}

impl Lending {
    /// Of these masters.
    pub fn new(originals: Originals, pool: Arc<Pool>, limits: Limits) -> Self {
        let weighter = ByScarcest { disk: originals.room() / SHARE };
        let open = weighed::cache(ALL, ALL / OPEN, ALL / SHARE, weighter);
        let shared = Shared { open, originals, pool, limits };
        Self { shared: Arc::new(shared), opening: Flights::default() }
    }

    /// The tiles of the master of a grant, if it lends them and lies on this machine. An error where that cannot be told:
    /// drawn instead, a tile would be other bytes under the same tag.
    pub async fn get(&self, grant: &Grant) -> Result<Option<Arc<Tiles>>, ServeError> {
        self.find(grant, || self.shared.originals.has(grant)).await
    }

    /// The same of a master that is fetched if need be.
    pub(super) async fn fetch(&self, grant: &Grant) -> Result<Option<Arc<Tiles>>, ServeError> {
        self.find(grant, || true).await
    }

    async fn find(
        &self,
        grant: &Grant,
        may_open: impl FnOnce() -> bool,
    ) -> Result<Option<Arc<Tiles>>, ServeError> {
        if !grant.lends() {
            return Ok(None);
        }
        let key = grant.master();
        if let Some(known) = self.shared.open.get(&key) {
            return Ok(known);
        }
        if !may_open() {
            return Ok(None);
        }
        let work = || Arc::clone(&self.shared).open(grant.clone(), key.clone());
        self.opening.join(key.clone(), work).await
    }

    /// Whether the master of a grant is at hand and is in tiles that it does not lend: one without smaller levels is no
    /// pyramid, and each view of the whole would be drawn from all of it.
    pub(super) async fn refuses(&self, grant: &Grant) -> Result<bool, ServeError> {
        Ok(self.shared.originals.has(grant) && self.get(grant).await?.is_none())
    }

    /// Lets go of what is kept open of a scope.
    pub(super) fn close(&self, scope: &Scope) {
        self.shared.open.retain(|key, _| !scope.holds(key.as_str()));
    }

    /// What it means that a tile could not be read. A file that was opened too long ago may be found when it is opened anew.
    pub(super) fn failed(&self, grant: &Grant, error: ImagingError) -> ServeError {
        if !matches!(error, ImagingError::Busy) {
            self.close_one(grant);
        }
        grant.view.failed(error)
    }

    /// Lets go of a master that is not what it was.
    pub(super) fn close_one(&self, grant: &Grant) {
        self.shared.open.remove(&grant.master());
    }
}

impl Shared {
    async fn open(self: Arc<Self>, grant: Grant, key: Key) -> Result<Option<Arc<Tiles>>, ServeError> {
        let view = &grant.view;
        let original = self.originals.open(&view.source, &view.media, &view.version).await?;
        // One in memory takes the room of others there.
        let stays = !original.is_held();
        match self.look(original, &grant).await {
            Ok(tiles) => {
                // What was purged in the meantime lives as long as somebody reads it.
                view.unless_purged(|| {
                    if stays {
                        self.open.insert(key, tiles.clone());
                    }
                });
                Ok(tiles)
            }
            Err(error @ (ImagingError::Busy | ImagingError::Read(_) | ImagingError::Decoder(_))) => {
                Err(view.failed(error))
            }
            // What is wrong with the file itself is told by who draws from it.
            Err(_) => Ok(None),
        }
    }

    async fn look(&self, original: Original, grant: &Grant) -> Result<Option<Arc<Tiles>>, ImagingError> {
        let header = self.pool.header(original.reader(), grant.view.page(), self.limits);
        let ((header, mut master), side) = (header.await?, grant.tile());
        let (cost, pool) = (Tiled::cost(&header), Arc::clone(&self.pool));
        let read = move || {
            let tiled = Tiled::of(&mut *master, &header, side)?;
            original.check()?;
            Ok(tiled.filter(Tiled::is_pyramid).map(|tiled| Tiles::lent(header, tiled, original, pool)))
        };
        Ok(self.pool.run(cost, read).await?.map(Arc::new))
    }
}
