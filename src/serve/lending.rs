//! Masters that are pyramids themselves: kept open, and their tiles handed out as they lie.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::ServeError;
use super::flight::Flights;
use super::gate::Grant;
use super::originals::Originals;
use super::tiles::Tiles;
use crate::imaging::{HEADER_COST, Limits, Pool, Tiled, header};
use crate::store::{Key, Scope};
use crate::weighed;

/// Masters that are kept open: each is a file.
const OPEN: u64 = 256;
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
    open: Cache<Key, Arc<Tiles>, ByScarcest>,
    originals: Originals,
    pool: Arc<Pool>,
    limits: Limits,
}

/// A master weighs as much as it takes of what there is least of.
#[derive(Clone, Debug)]
struct ByScarcest {
    disk: u64,
}

impl Weighter<Key, Arc<Tiles>> for ByScarcest {
    fn weight(&self, _: &Key, tiles: &Arc<Tiles>) -> u64 {
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

    /// The tiles of the master of a grant, if it lends them and lies on this machine. Whatever is wrong with it is told by
    /// who draws from it.
    pub async fn get(&self, grant: &Grant) -> Option<Arc<Tiles>> {
        if !grant.lends() {
            return None;
        }
        let key = grant.master();
        if let Some(tiles) = self.shared.open.get(&key) {
            return Some(tiles);
        }
        if !self.shared.originals.has(grant) {
            return None;
        }
        let work = || Arc::clone(&self.shared).open(grant.clone(), key.clone());
        self.opening.join(key.clone(), work).await.ok()?
    }

    /// Lets go of what is kept open of a scope.
    pub(super) fn close(&self, scope: &Scope) {
        self.shared.open.retain(|key, _| !scope.holds(key.as_str()));
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
        let (limits, side) = (self.limits, grant.tile());
        let read = move || {
            let mut master = original.reader();
            let header = header(&mut *master, &limits)?;
            let tiled = Tiled::of(&mut *master, &header, side)?;
            original.check()?;
            Ok(tiled.map(|tiled| (header, tiled, original)))
        };
        let failed = |error| ServeError::from_imaging(&view.source.name, view.media.as_str(), error);
        let read = self.pool.run(HEADER_COST, read).await.map_err(failed)?;
        let Some((header, tiled, original)) = read else { return Ok(None) };
        let tiles = Arc::new(Tiles::lent(header, tiled, original, Arc::clone(&self.pool)));
        // What was purged in the meantime lives as long as somebody reads it.
        view.unless_purged(|| self.open.insert(key, Arc::clone(&tiles)));
        Ok(Some(tiles))
    }
}
