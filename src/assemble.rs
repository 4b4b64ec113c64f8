//! Settings become a running gateway. The only file that knows everybody.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use futures_util::{StreamExt, stream};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::adapter::catalogue::Driver;
use crate::adapter::declared::{Declared, Definition};
use crate::adapter::folder::Folder;
use crate::adapter::record::{Image, ItemId};
use crate::adapter::{Adapter, Heard};
use crate::clock::{Clock, SystemClock};
use crate::http::admin::Admin;
use crate::http::app::App;
use crate::http::health::{Exposure, Health, Readiness, Ready};
use crate::http::parts::Parts;
use crate::http::stack::{Outer, operators, stack};
use crate::http::warm::{Front, Warm};
use crate::http::{PublicUrl, Stack, listen};
use crate::iiif::presentation::Version;
use crate::imaging::Pool;
use crate::serve::collections::Collections;
use crate::serve::depot::{Depot, Patience};
use crate::serve::epochs::Epochs;
use crate::serve::facts::Facts;
use crate::serve::gate::Gate;
use crate::serve::originals::Originals;
use crate::serve::pictures::Pictures;
use crate::serve::present::{Defaults, Presenter, Uris};
use crate::serve::purge::{Kept, Purge, Purged};
use crate::serve::pyramids::Pyramids;
use crate::serve::records::{Known, Records};
use crate::serve::render::{Render, derivatives};
use crate::serve::replicas::Replicas;
use crate::serve::source::{Source, Sources};
use crate::serve::warming::{Means, Warming};
use crate::settings::Settings;
use crate::settings::source::Source as SourceSettings;
use crate::store::{Bucket, Claim, Disk, Files, Memory, Redis, Standing, Store, Tenure, Tiered};
use crate::telemetry;
use crate::upstream::Upstream;

/// Why it is not ready yet.
const SCANNING: &str = "what is kept on disk is still being looked through";
/// Headers that a probe reads at the same time.
const PROBES: usize = 16;

/// Listens and answers until `stop` ends, then lets running requests finish. `started` is told
/// the address, and that of the operators' listener where there is one, once everything is in place.
pub async fn serve(
    settings: &Settings,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()>,
    started: impl FnOnce(SocketAddr, Option<SocketAddr>, &PublicUrl),
) -> anyhow::Result<()> {
    let server = &settings.server;
    let listener = listen::bind(server.listen).await?;
    let admin = match server.admin {
        Some(admin) => Some(listen::bind(admin).await?),
        None => None,
    };
    let address = listener.local_addr()?;
    let operators_at = admin.as_ref().map(TcpListener::local_addr).transpose()?;
    let public = server.public_url(address);
    // Before anything is read there: a purge without a gateway may be under way.
    let mut stop = pin!(stop);
    let _claim = tokio::select! {
        claim = Claim::shared(&settings.cache.dir) => claim?,
        () = &mut stop => return Ok(()),
    };
    let (parts, ready) = parts(settings, &public, Arc::new(SystemClock))?;
    let outer = |exposure| {
        let health = Health { ready: ready.clone(), metrics: metrics.clone(), exposure };
        Outer::new(server, public.clone(), health)
    };
    let exposure = if admin.is_some() { Exposure::Nobody } else { Exposure::ThisMachine };
    let desk = Admin::new(parts.purge.clone()).into_stack();
    let front = front(settings, parts, outer(exposure));
    let stopping = CancellationToken::new();
    let front = listen::serve(listener, front, server.into(), stopping.cancelled());
    let admin = async {
        if let Some(listener) = admin {
            let operators = operators(desk, outer(Exposure::Everybody));
            listen::serve(listener, operators, server.into(), stopping.cancelled()).await;
        }
    };
    started(address, operators_at, &public);
    let ended = async {
        stop.await;
        tracing::info!("stopping: no new connections, running requests may finish");
        stopping.cancel();
    };
    let ((), front, ()) = tokio::join!(ended, front, admin);
    tracing::info!(accepted = front.accepted, drained = front.drained, aborted = front.aborted, "stopped");
    Ok(())
}

/// The gateway without a listener, for tests and benchmarks: requests in, answers out.
pub fn in_process(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Front> {
    with_operators_in_process(settings, clock).map(|(front, _)| front)
}

/// The same, and what operators have a listener of their own for.
pub fn with_operators_in_process(
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Front, Stack)> {
    let public = settings.server.public_url(settings.server.listen);
    let (parts, ready) = parts(settings, &public, clock)?;
    let metrics = telemetry::recorder().handle();
    let outer = |exposure| {
        let health = Health { ready: ready.clone(), metrics: metrics.clone(), exposure };
        Outer::new(&settings.server, public.clone(), health)
    };
    let operators = operators(Admin::new(parts.purge.clone()).into_stack(), outer(Exposure::Everybody));
    Ok((front(settings, parts, outer(Exposure::ThisMachine)), operators))
}

/// Warm answers in front of the stack.
fn front(settings: &Settings, parts: Parts, outer: Outer) -> Front {
    let room = *settings.cache.memory - for_finished(settings);
    let warm = Warm::new(room, parts.gate.clone(), &outer);
    Front::new(warm, stack(App::new(parts), outer))
}

/// Of the memory for answers, the part for those that may be wanted under another address. The rest is for answers as they
/// were given, which need no look-up but one.
fn for_finished(settings: &Settings) -> u64 {
    *settings.cache.memory / 4
}

/// Purges where no gateway runs, or where those that run hear of it through Redis. `None`: one runs with this cache that
/// nobody can tell.
pub async fn purge(settings: &Settings, source: &str, item: Option<&str>) -> anyhow::Result<Option<Purged>> {
    let (dir, scratch) = (&settings.cache.dir, tempfile::tempdir()?);
    let claim = if dir.is_dir() { Claim::alone(dir)? } else { None };
    if claim.is_none() && dir.is_dir() && settings.redis.url.is_none() {
        return Ok(None);
    }
    let mut settings = settings.clone();
    if claim.is_none() {
        settings.cache.dir = scratch.path().to_owned();
    }
    let public = settings.server.public_url(settings.server.listen);
    let (parts, ready) = parts(&settings, &public, Arc::new(SystemClock))?;
    ready.settled().await;
    Ok(Some(parts.purge.run(source, item).await?))
}

/// What a source says of one item, asked anew, past all caches.
pub struct Probed {
    /// The record as it was mapped.
    pub record: serde_json::Value,
    /// The manifest that viewers would get, 3.0.
    pub manifest: serde_json::Value,
    /// How many of its images can be read.
    pub readable: usize,
    /// The others, and why each cannot.
    pub unreadable: Vec<(String, String)>,
}

/// Asks one source for one item, and reads the header of each of its images, whatever sizes the source tells.
pub async fn probe(settings: &Settings, name: &str, item: &str) -> anyhow::Result<Probed> {
    // A cache of its own: the one of the settings may belong to a gateway that runs.
    let scratch = tempfile::tempdir()?;
    let (clock, limits) = (Arc::new(SystemClock), settings.limits.limits());
    let originals = Files::open_dir("originals", scratch.path(), *settings.cache.disk)?;
    let store = Arc::new(Memory::new("memory", *settings.cache.memory));
    let originals = Originals::new(originals, limits.memory / 4);
    let pool = Arc::new(Pool::new(&settings.limits));
    let facts = Facts::new(store.clone(), originals, pool, limits, clock.clone());
    let sources = sources(settings)?;
    let source = sources.get(name)?;

    let known = Known::from(source.adapter.record(&ItemId::from(item), &Heard::default()).await?);
    let images = known.record().canvases.iter().filter_map(|canvas| canvas.image.as_ref());
    let read: Vec<_> = images.map(|image| read(&facts, source, &known, image)).collect();
    let read: Vec<_> = stream::iter(read).buffered(PROBES).collect().await;
    let epochs = Epochs::new(store.clone(), clock.clone());
    let records = Records::new((store, epochs), Replicas::none(), facts, clock);
    let described = records.described(source, &known).await?;
    let public = settings.server.public_url(settings.server.listen);
    let presenter = Presenter {
        version: Version::V3,
        uris: &Uris::new(public.as_str()),
        source: name,
        defaults: &source.defaults,
        limits: source.image.limits(),
    };
    Ok(Probed {
        record: serde_json::to_value(&described.record)?,
        manifest: presenter.manifest(&described.record),
        readable: read.iter().filter(|read| read.is_ok()).count(),
        unreadable: read.into_iter().filter_map(Result::err).collect(),
    })
}

/// Reads the header of an image. What clients are told of a failure names no host; an operator hears the cause.
async fn read(
    facts: &Facts,
    source: &Arc<Source>,
    known: &Known,
    image: &Image,
) -> Result<(), (String, String)> {
    let Err(error) = facts.get(source, image, known.version_of(image)).await else { return Ok(()) };
    let cause = source.adapter.media(&image.media, Some(0..1)).await.err().map(|cause| cause.to_string());
    Err((image.media.to_string(), cause.unwrap_or_else(|| error.to_string())))
}

/// What the handlers work with, and whether it is all there yet.
fn parts(
    settings: &Settings,
    public: &PublicUrl,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Parts, Readiness)> {
    let dir = &settings.cache.dir;
    let redis = Redis::open("redis", &settings.redis)?.map(Arc::new);
    let bucket = settings.cache.bucket.as_ref();
    let bucket = bucket.map(|settings| Bucket::open("bucket", settings)).transpose()?;
    let shares = Shares::of(settings, redis.is_some());
    let originals = Files::open_dir("originals", &dir.join("originals"), shares.originals)?;
    let tiles = Files::open_dir("pyramids", &dir.join("pyramids"), shares.pyramids)?;
    let finished = Arc::new(Memory::new("memory", for_finished(settings)));
    let Answers { store, replicas, ready } = match &redis {
        Some(redis) => Answers::in_redis(Arc::clone(redis)),
        None => {
            Answers::on_disk(Disk::open("disk", &dir.join("answers"), shares.answers, Arc::clone(&clock))?)
        }
    };
    let ready = Readiness::new({
        let (originals, tiles, bucket) = (originals.clone(), tiles.clone(), bucket.clone());
        move || match originals.is_scanned() && tiles.is_scanned() {
            true => Ok(ready()?.and(of_bucket(bucket.as_ref())?)),
            false => Err(SCANNING.to_owned()),
        }
    });
    // Descriptions and facts have memory of their own.
    let pictures = Arc::new(Tiered::new(Arc::clone(&finished), Arc::clone(&store)));

    let limits = settings.limits.limits();
    let files = originals.clone();
    let originals = Originals::new(originals, limits.memory / 4);
    let pool = Arc::new(Pool::new(&settings.limits));
    let facts = Facts::new(store.clone(), originals.clone(), Arc::clone(&pool), limits, Arc::clone(&clock));
    let epochs = Epochs::new(store.clone(), Arc::clone(&clock));
    let kept = (store.clone(), epochs);
    let records = Records::new(kept, replicas.clone(), facts.clone(), Arc::clone(&clock));
    let depot = bucket.map(|bucket| Depot::new(bucket, replicas.clone(), Patience::Long));
    let kept = (tiles.clone(), shares.pyramids);
    let pyramids = Pyramids::new(kept, depot.clone(), originals.clone(), Arc::clone(&pool), limits);
    let render = Render::new(originals, pyramids.clone(), pool, limits);
    let derivatives = derivatives(pictures, replicas.clone(), render);
    let collections = Collections::new(store.clone(), replicas.clone(), records.clone(), clock);
    let sources = sources(settings)?;
    let kept = Kept {
        finished: Arc::clone(&finished),
        store,
        store_name: if redis.is_some() { "redis" } else { "disk" },
        originals: files,
        tiles,
        pyramids: pyramids.clone(),
        depot,
        facts: facts.clone(),
        records: records.clone(),
        collections: collections.clone(),
    };
    let parts = Parts {
        gate: Gate::new(sources.clone(), records, facts),
        collections,
        pictures: Pictures::new(Arc::clone(&finished), pyramids, derivatives),
        finished,
        purge: Purge::new(sources, kept, redis, &replicas),
        uris: Uris::new(public.as_str()),
    };
    Ok((parts, ready))
}

/// One source with the machinery of the gateway around it, which may run on the same cache: of that nothing is dropped to
/// make room. Masters lie in a folder of their own while they are needed. The second is what it has to do
/// without, Redis or the bucket, and why.
pub async fn warming(
    settings: &Settings,
    name: &str,
    masters: &Path,
    at_once: usize,
) -> anyhow::Result<(Warming, Option<String>)> {
    let (clock, limits, dir) = (Arc::new(SystemClock), settings.limits.limits(), &settings.cache.dir);
    let claim = Claim::shared(dir).await?;
    let redis = Redis::open("redis", &settings.redis)?.map(Arc::new);
    let bucket = settings.cache.bucket.as_ref();
    let bucket = bucket.map(|settings| Bucket::open("bucket", settings)).transpose()?;
    let shares = Shares::of(settings, redis.is_some());
    let tiles = Files::open_as(Tenure::Guest, "pyramids", &dir.join("pyramids"), shares.pyramids)?;
    let answers = dir.join("answers");
    let Answers { store, replicas, ready } = match redis {
        Some(redis) => Answers::in_redis(redis),
        None => Answers::on_disk(Disk::open_as(
            Tenure::Guest,
            "disk",
            &answers,
            shares.answers,
            Arc::clone(&clock) as Arc<dyn Clock>,
        )?),
    };
    let originals = Files::open_dir("originals", masters, shares.originals)?;
    let originals = Originals::new(originals, limits.memory / 4);
    let pool = Arc::new(Pool::new(&settings.limits).in_background(at_once));
    let facts = Facts::new(store.clone(), originals.clone(), Arc::clone(&pool), limits, clock.clone());
    let others = replicas.clone();
    let epochs = Epochs::new(store.clone(), clock.clone());
    let records = Records::new((store, epochs), replicas, facts.clone(), clock);
    let depot = bucket.clone().map(|bucket| Depot::new(bucket, others, Patience::Short));
    let kept = (tiles.clone(), shares.pyramids);
    let pyramids = Pyramids::new(kept, depot, originals.clone(), pool, limits);
    let sources = sources(settings)?;
    let source = Arc::clone(sources.get(name)?);
    let gate = Gate::new(sources, records.clone(), facts.clone());
    let ready = Readiness::new(move || match tiles.is_scanned() {
        true => Ok(ready()?.and(of_bucket(bucket.as_ref())?)),
        false => Err(SCANNING.to_owned()),
    });
    let without = match ready.settled().await {
        Ready::Fully => None,
        Ready::Without(reason) => Some(reason),
    };
    let means = Means { gate, records, facts, originals, pyramids, claim };
    Ok((Warming::new(source, means, at_once), without))
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
    replicas: Replicas,
    ready: Box<dyn Fn() -> Result<Ready, String> + Send + Sync>,
}

impl Answers {
    fn on_disk(disk: Disk) -> Self {
        let seen = disk.clone();
        let ready = move || if seen.is_scanned() { Ok(Ready::Fully) } else { Err(SCANNING.to_owned()) };
        Self { store: Arc::new(disk), replicas: Replicas::none(), ready: Box::new(ready) }
    }

    fn in_redis(redis: Arc<Redis>) -> Self {
        let seen = Arc::clone(&redis);
        let ready = move || match seen.standing() {
            Standing::Up => Ok(Ready::Fully),
            Standing::Trying => Err("Redis has not answered yet".to_owned()),
            Standing::Down(reason) => Ok(Ready::Without(format!("without Redis: {reason}"))),
        };
        Self { store: redis.clone(), replicas: Replicas::sharing(redis), ready: Box::new(ready) }
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

fn sources(settings: &Settings) -> anyhow::Result<Sources> {
    let source = |(name, source): (&String, &SourceSettings)| {
        let adapter = adapter(settings, name, source).with_context(|| format!("source `{name}`"))?;
        Ok(Source {
            name: name.clone(),
            identity: adapter.identity(),
            defaults: Defaults {
                label: source.label.clone(),
                language: source.language.clone(),
                rights: source.rights.clone(),
                required_statement: source.required_statement.clone(),
                provider: source.provider.iter().cloned().collect(),
            },
            image: settings.image.with(&source.image).within(&settings.limits.limits()),
            record_ttl: match source.record_ttl {
                Some(ttl) => *ttl,
                None => adapter.freshness().unwrap_or(*SourceSettings::RECORD_TTL),
            },
            max_age: *source.record_ttl.unwrap_or(SourceSettings::RECORD_TTL),
            adapter,
            stale: *source.stale,
        })
    };
    settings.sources.iter().map(source).collect()
}

fn adapter(settings: &Settings, name: &str, source: &SourceSettings) -> anyhow::Result<Arc<dyn Adapter>> {
    let driver = settings.catalogue.get(&source.adapter);
    match driver.with_context(|| format!("there is no adapter `{}`", source.adapter))? {
        Driver::Folder => {
            let path = source.inputs.get("path").and_then(|path| path.as_str()).unwrap_or_default();
            let image = settings.image.with(&source.image);
            Ok(Arc::new(Folder::open(Path::new(path))?.with_dpi(image.pdf_dpi)))
        }
        Driver::Declared(definition) => Ok(Arc::new(declared(definition, name, source)?)),
    }
}

/// Binds a definition to the system that a source names.
fn declared(definition: &Arc<Definition>, name: &str, source: &SourceSettings) -> anyhow::Result<Declared> {
    let upstream = Upstream::new(name, definition.upstream(&source.inputs, source.upstream())?)?;
    Ok(Declared::new(Arc::clone(definition), &source.inputs, upstream)?)
}
