//! Settings become a running gateway. The only room that knows everybody.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::http::admin::Admin;
use crate::http::app::App;
use crate::http::health::{Exposure, Health, Readiness};
use crate::http::parts::Parts;
use crate::http::stack::{Outer, operators, stack};
use crate::http::warm::{Front, Warm};
use crate::http::{PublicUrl, Stack, listen};
use crate::imaging::Pool;
use crate::serve::collections::Collections;
use crate::serve::depot::Patience;
use crate::serve::gate::Gate;
use crate::serve::pictures::Pictures;
use crate::serve::present::Uris;
use crate::serve::purge::{Kept, Purge, Purged};
use crate::serve::render::{Render, derivatives};
use crate::settings::Settings;
use crate::store::{Claim, Memory, Tenure, Tiered};
use crate::telemetry;

mod probe;
mod sources;
mod warming;
mod works;

pub use probe::{Probed, probe};
pub use warming::warming;

use works::{Manner, Works};

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

/// What the handlers work with, and whether it is all there yet.
fn parts(
    settings: &Settings,
    public: &PublicUrl,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Parts, Readiness)> {
    let manner = Manner {
        tenure: Tenure::Owner,
        masters: &settings.cache.dir.join("originals"),
        pool: Pool::new(&settings.limits),
        patience: Patience::Long,
    };
    let works = Works::open(settings, manner, Arc::clone(&clock))?;
    let Works { store, replicas, originals, lending, pyramids, facts, records, sources, .. } = works;
    let finished = Arc::new(Memory::new("memory", for_finished(settings)));
    // Descriptions and facts have memory of their own.
    let pictures = Arc::new(Tiered::new(Arc::clone(&finished), Arc::clone(&store)));
    let limits = settings.limits.limits();
    let collections = Collections::new(Arc::clone(&store), replicas.clone(), records.clone(), clock);
    let kept = Kept {
        finished: Arc::clone(&finished),
        store,
        store_name: if works.redis.is_some() { "redis" } else { "disk" },
        originals: works.masters,
        tiles: works.tiles,
        pyramids: pyramids.clone(),
        lending: lending.clone(),
        depot: works.depot,
        facts: facts.clone(),
        records: records.clone(),
        collections: collections.clone(),
    };
    let purge = Purge::new(sources.clone(), kept, works.redis, &replicas);
    let masters = (originals, lending.clone());
    let render = Render::new(masters, pyramids.clone(), purge.clone(), works.pool, limits);
    let derivatives = derivatives(pictures, replicas, render);
    let parts = Parts {
        gate: Gate::new(sources, records, facts),
        collections,
        pictures: Pictures::new(Arc::clone(&finished), lending, pyramids, derivatives),
        finished,
        purge,
        uris: Uris::new(public.as_str()),
    };
    Ok((parts, works.ready))
}
