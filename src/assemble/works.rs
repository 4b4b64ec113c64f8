//! What makes and keeps things, opened in one place and one order, whatever is done with it then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::http::health::{Readiness, Ready};
use crate::imaging::Pool;
use crate::serve::depot::{Depot, Patience};
use crate::serve::epochs::Epochs;
use crate::serve::facts::Facts;
use crate::serve::lending::Lending;
use crate::serve::originals::Originals;
use crate::serve::pyramids::Pyramids;
use crate::serve::records::Records;
use crate::serve::replicas::Replicas;
use crate::serve::source::Sources;
use crate::settings::Settings;
use crate::store::{Bucket, Disk, Files, Redis, Standing, Store, Tenure};

use super::sources::sources;

/// Bytes for when things were purged: four KiB each on the disk, so of sixteen thousand. What is never asked for goes first.
const EPOCHS: u64 = 64 << 20;
/// Why it is not ready yet.
const SCANNING: &str = "what is kept on disk is still being looked through";

/// All of it.
pub(super) struct Works {
    pub(super) redis: Option<Arc<Redis>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) replicas: Replicas,
    /// The files of originals.
    pub(super) masters: Files,
    /// The files of pyramids.
    pub(super) tiles: Files,
    pub(super) pool: Arc<Pool>,
    pub(super) originals: Originals,
    pub(super) facts: Facts,
    pub(super) records: Records,
    pub(super) depot: Option<Depot>,
    pub(super) lending: Lending,
    pub(super) pyramids: Pyramids,
    pub(super) sources: Sources,
    /// Whether all that it is opened from has been looked at.
    pub(super) ready: Readiness,
}

/// How they are worked with.
pub(super) struct Manner<'a> {
    /// In the cache.
    pub(super) tenure: Tenure,
    /// Where masters lie while they are needed.
    pub(super) masters: &'a Path,
    pub(super) pool: Pool,
    /// With the bucket.
    pub(super) patience: Patience,
}

impl Works {
    pub(super) fn open(
        settings: &Settings,
        manner: Manner<'_>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (dir, tenure, limits) = (&settings.cache.dir, manner.tenure, settings.limits.limits());
        let redis = Redis::open("redis", &settings.redis)?.map(Arc::new);
        let bucket = settings.cache.bucket.as_ref();
        let bucket = bucket.map(|settings| Bucket::open("bucket", settings)).transpose()?;
        let shares = Shares::of(settings, redis.is_some());
        let masters = Files::open_dir("originals", manner.masters, shares.originals)?;
        let tiles = Files::open_as(tenure, "pyramids", &dir.join("pyramids"), shares.pyramids)?;
        let Answers { store, epochs, replicas, ready } = match &redis {
            Some(redis) => Answers::in_redis(Arc::clone(redis), *settings.server.request_timeout / 4),
            None => {
                let open = |name, folder, bytes| {
                    Disk::open_as(tenure, name, &dir.join(folder), bytes, Arc::clone(&clock))
                };
                Answers::on_disk(open("disk", "answers", shares.answers)?, open("epochs", "epochs", EPOCHS)?)
            }
        };
        let ready = Readiness::new({
            let (masters, tiles, bucket) = (masters.clone(), tiles.clone(), bucket.clone());
            move || match masters.is_scanned() && tiles.is_scanned() {
                true => Ok(ready()?.and(of_bucket(bucket.as_ref())?)),
                false => Err(SCANNING.to_owned()),
            }
        });

        let pool = Arc::new(manner.pool);
        let originals = Originals::new(masters.clone(), limits.memory / 4);
        let kept = (store.clone(), replicas.clone());
        let facts = Facts::new(kept, originals.clone(), Arc::clone(&pool), limits, Arc::clone(&clock));
        let kept = (store.clone(), Epochs::new(epochs, Arc::clone(&clock)));
        let records = Records::new(kept, replicas.clone(), facts.clone(), clock);
        let depot = bucket.map(|bucket| Depot::new(bucket, replicas.clone(), manner.patience));
        let kept = (tiles.clone(), shares.pyramids);
        let pyramids = Pyramids::new(kept, depot.clone(), originals.clone(), Arc::clone(&pool), limits);
        let lending = Lending::new(originals.clone(), Arc::clone(&pool), limits);
        let sources = sources(settings)?;
        Ok(Self {
            redis,
            store,
            replicas,
            masters,
            tiles,
            pool,
            originals,
            facts,
            records,
            depot,
            lending,
            pyramids,
            sources,
            ready,
        })
    }
}

/// How the disk is shared out. Masters and pyramids are large and few, answers small and many: none may push the others
/// out. Masters go first: who has a pyramid seldom needs its master.
struct Shares {
    originals: u64,
    answers: u64,
    pyramids: u64,
}

impl Shares {
    fn of(settings: &Settings, has_redis: bool) -> Self {
        let disk = *settings.cache.disk;
        let originals = disk * 3 / 10;
        let answers = if has_redis { 0 } else { disk / 5 };
        Self { originals, answers, pyramids: disk - originals - answers }
    }
}

/// Where answers are kept behind memory. Redis takes the place of the disk: what all replicas share has one truth, so
/// that what one of them forgets is forgotten, and nothing is written twice.
struct Answers {
    store: Arc<dyn Store>,
    /// Where it lies when something was purged.
    epochs: Arc<dyn Store>,
    replicas: Replicas,
    ready: Box<dyn Fn() -> Result<Ready, String> + Send + Sync>,
}

impl Answers {
    /// No answer pushes out when something was purged: what it keeps away would be told again.
    fn on_disk(disk: Disk, epochs: Disk) -> Self {
        let seen = (disk.clone(), epochs.clone());
        let ready = move || match seen.0.is_scanned() && seen.1.is_scanned() {
            true => Ok(Ready::Fully),
            false => Err(SCANNING.to_owned()),
        };
        let (store, epochs) = (Arc::new(disk), Arc::new(epochs));
        Self { store, epochs, replicas: Replicas::none(), ready: Box::new(ready) }
    }

    /// Nobody waits for what another replica makes for so long that no time is left to make it.
    fn in_redis(redis: Arc<Redis>, patience: Duration) -> Self {
        let seen = Arc::clone(&redis);
        let ready = move || match seen.standing() {
            Standing::Up => Ok(Ready::Fully),
            Standing::Trying => Err("Redis has not answered yet".to_owned()),
            Standing::Down(reason) => Ok(Ready::Without(format!("without Redis: {reason}"))),
        };
        let replicas = Replicas::sharing(redis.clone(), patience);
        Self { store: redis.clone(), epochs: redis, replicas, ready: Box::new(ready) }
    }
}

/// The bucket is needed by nobody: all that is in it can be made.
fn of_bucket(bucket: Option<&Bucket>) -> Result<Ready, String> {
    match bucket.map(Bucket::standing) {
        None | Some(Standing::Up) => Ok(Ready::Fully),
        Some(Standing::Trying) => Err("the bucket has not answered yet".to_owned()),
        Some(Standing::Down(reason)) => Ok(Ready::Without(format!("without the bucket: {reason}"))),
    }
}
