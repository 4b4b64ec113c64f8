//! What `probe` shows.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::sources::sources;
use crate::adapter::Heard;
use crate::adapter::record::{Image, ItemId};
use crate::clock::SystemClock;
use crate::iiif::presentation::Version;
use crate::imaging::Pool;
use crate::serve::epochs::Epochs;
use crate::serve::facts::Facts;
use crate::serve::originals::Originals;
use crate::serve::present::{Presenter, Uris};
use crate::serve::records::{Known, Records};
use crate::serve::replicas::Replicas;
use crate::serve::source::Source;
use crate::settings::Settings;
use crate::store::{Files, Memory};

/// Headers that are read at the same time.
const PROBES: usize = 16;

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
    let facts = Facts::new((store.clone(), Replicas::none()), originals, pool, limits, clock.clone());
    let epochs = Epochs::new(store.clone(), clock.clone());
    let records = Records::new((store, epochs), Replicas::none(), facts.clone(), clock);
    let sources = sources(settings)?;
    let source = sources.get(name)?;

    let known = Known::from(source.adapter.record(&ItemId::from(item), &Heard::default()).await?);
    let images = known.record().canvases.iter().filter_map(|canvas| canvas.image.as_ref());
    let read: Vec<_> = images.map(|image| read(&facts, source, &known, image)).collect();
    let read: Vec<_> = stream::iter(read).buffered(PROBES).collect().await;
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
