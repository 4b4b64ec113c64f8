//! Settings become a running gateway. The only file that knows everybody.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::adapter::Adapter;
use crate::adapter::declared::{Declared, Definition, SourceConfig, builtin};
use crate::adapter::folder::Folder;
use crate::adapter::record::ItemId;
use crate::clock::{Clock, SystemClock};
use crate::http::app::{App, Parts};
use crate::http::health::{Exposure, Health, Readiness};
use crate::http::stack::{Outer, stack};
use crate::http::{PublicUrl, Stack, listen};
use crate::iiif::presentation::Version;
use crate::imaging::Pool;
use crate::serve::collections::Collections;
use crate::serve::facts::Facts;
use crate::serve::gate::Gate;
use crate::serve::originals::Originals;
use crate::serve::present::{Defaults, Presenter, Uris};
use crate::serve::records::Records;
use crate::serve::render::{Render, derivatives};
use crate::serve::source::{Source, Sources};
use crate::settings::Settings;
use crate::settings::source::Source as SourceSettings;
use crate::store::{Disk, Files, Memory, Tiered};
use crate::telemetry;
use crate::upstream::{self, Upstream};

/// Listens and answers until `stop` ends, then lets running requests finish. `started` is told
/// the address once it is listened on.
pub async fn serve(
    settings: &Settings,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()>,
    started: impl FnOnce(SocketAddr, &PublicUrl),
) -> anyhow::Result<()> {
    let server = &settings.server;
    let listener = listen::bind(server.listen).await?;
    let address = listener.local_addr()?;
    let public = server.public_url(address);
    let app = App::new(parts(settings, &public, Arc::new(SystemClock))?);

    let (stopping, _) = watch::channel(());
    let stopped = |mut stopping: watch::Receiver<()>| async move {
        let _ = stopping.changed().await;
    };
    let exposure = if server.admin.is_some() { Exposure::Nobody } else { Exposure::ThisMachine };
    let front = outer(&app, settings, &public, &metrics, exposure);
    let front = listen::serve(listener, front, server.into(), stopped(stopping.subscribe()));
    let operators = async {
        let Some(admin) = server.admin else { return Ok(()) };
        let listener = listen::bind(admin).await?;
        let stack = outer(&app, settings, &public, &metrics, Exposure::Everybody);
        listen::serve(listener, stack, server.into(), stopped(stopping.subscribe())).await;
        anyhow::Ok(())
    };
    started(address, &public);
    let ended = async {
        stop.await;
        tracing::info!("stopping: no new connections, running requests may finish");
        stopping.send_replace(());
    };
    let ((), front, operators) = tokio::join!(ended, front, operators);
    tracing::info!(accepted = front.accepted, drained = front.drained, aborted = front.aborted, "stopped");
    operators
}

/// The gateway without a listener, for tests and benchmarks: requests in, answers out.
pub fn in_process(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Stack> {
    let public = settings.server.public_url(settings.server.listen);
    let app = App::new(parts(settings, &public, clock)?);
    let metrics = telemetry::recorder().handle();
    Ok(outer(&app, settings, &public, &metrics, Exposure::ThisMachine))
}

/// What a source says of one item, asked anew, past all caches.
pub struct Probed {
    /// The record as it was mapped.
    pub record: serde_json::Value,
    /// The manifest that viewers would get, 3.0.
    pub manifest: serde_json::Value,
}

/// Asks one source for one item.
pub async fn probe(settings: &Settings, name: &str, item: &str) -> anyhow::Result<Probed> {
    // A cache of its own: the one of the settings may belong to a gateway that runs.
    let scratch = tempfile::tempdir()?;
    let mut settings = settings.clone();
    settings.cache.dir = scratch.path().to_owned();
    let public = settings.server.public_url(settings.server.listen);
    let parts = parts(&settings, &public, Arc::new(SystemClock))?;
    let source = parts.gate.sources().get(name)?;
    let described = parts.gate.ask(source, &ItemId::from(item)).await?;
    let presenter = Presenter {
        version: Version::V3,
        uris: &parts.uris,
        source: name,
        defaults: &source.defaults,
        limits: source.image.limits(),
    };
    let manifest = presenter.manifest(&described.record);
    Ok(Probed { record: serde_json::to_value(&described.record)?, manifest })
}

fn outer(
    app: &App,
    settings: &Settings,
    public: &PublicUrl,
    metrics: &PrometheusHandle,
    exposure: Exposure,
) -> Stack {
    // Nothing that the gateway depends on can be missing once it runs: sources are allowed to be away.
    let health = Health { ready: Readiness::new(|| Ok(())), metrics: metrics.clone(), exposure };
    stack(app.clone(), Outer::new(&settings.server, public.clone(), health))
}

/// What the handlers work with.
fn parts(settings: &Settings, public: &PublicUrl, clock: Arc<dyn Clock>) -> anyhow::Result<Parts> {
    let dir = &settings.cache.dir;
    let disk = *settings.cache.disk;
    // Masters are large and few, answers small and many: neither may push the other out.
    let (for_originals, for_answers) = (disk / 2, disk - disk / 2);
    let originals = Files::open_dir("originals", &dir.join("originals"), for_originals)?;
    let finished = Arc::new(Memory::new("memory", *settings.cache.memory));
    let answers = Disk::open("disk", &dir.join("answers"), for_answers, Arc::clone(&clock))?;
    let store = Arc::new(Tiered::new(Arc::clone(&finished), Arc::new(answers)));

    let limits = settings.limits.limits();
    let originals = Originals::new(originals, limits.memory / 4);
    let facts = Facts::new(store.clone(), originals.clone(), limits);
    let records = Records::new(store.clone(), facts.clone(), Arc::clone(&clock));
    let pool = Arc::new(Pool::new(&settings.limits));
    Ok(Parts {
        gate: Gate::new(sources(settings)?, records.clone(), facts),
        collections: Collections::new(records, clock),
        derivatives: derivatives(store, Render::new(originals, pool, limits)),
        finished,
        uris: Uris::new(public.as_str()),
    })
}

fn sources(settings: &Settings) -> anyhow::Result<Sources> {
    let source = |(name, source): (&String, &SourceSettings)| {
        Ok(Source {
            name: name.clone(),
            adapter: adapter(settings, name, source).with_context(|| format!("source `{name}`"))?,
            defaults: Defaults {
                label: source.label.clone(),
                language: source.language.clone(),
                rights: source.rights.clone(),
                required_statement: source.required_statement.clone(),
                provider: source.provider.iter().cloned().collect(),
            },
            image: settings.image.with(&source.image),
            record_ttl: record_ttl(source),
            stale: *source.stale,
        })
    };
    settings.sources.iter().map(source).collect()
}

/// A folder is asked anew after seconds: that costs nothing, and who changes a file wants to see it.
fn record_ttl(source: &SourceSettings) -> Duration {
    const FOLDER: Duration = Duration::from_secs(2);
    match (source.adapter.as_str(), source.record_ttl) {
        (_, Some(ttl)) => *ttl,
        ("folder", None) => FOLDER,
        (_, None) => *SourceSettings::RECORD_TTL,
    }
}

fn adapter(settings: &Settings, name: &str, source: &SourceSettings) -> anyhow::Result<Arc<dyn Adapter>> {
    if source.adapter == "folder" {
        let path = source.inputs.get("path").and_then(|path| path.as_str()).unwrap_or_default();
        return Ok(Arc::new(Folder::open(&settings.folder.join(path))?));
    }
    let text =
        builtin(&source.adapter).with_context(|| format!("there is no adapter `{}`", source.adapter))?;
    let definition = Arc::new(Definition::parse(&format!("{}.toml", source.adapter), text)?);
    let operator = upstream::Settings {
        hosts: source.hosts.clone(),
        allow_private: source.allow_private,
        ca_file: source.ca_file.clone(),
        rate: source.rate,
        concurrency: source.concurrency.map_or(upstream::Settings::default().concurrency, |most| most.get()),
        ..upstream::Settings::default()
    };
    let refused = |problems: Vec<_>| {
        anyhow::anyhow!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let upstream = definition.upstream(&source.inputs, operator).map_err(refused)?;
    let upstream = Upstream::new(name, upstream)?;
    let config = SourceConfig { name: name.to_owned(), settings: source.inputs.clone() };
    Ok(Arc::new(Declared::new(definition, &config, upstream).map_err(refused)?))
}
