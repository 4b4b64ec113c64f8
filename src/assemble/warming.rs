//! What `warm` works with.

use std::path::Path;
use std::sync::Arc;

use super::works::{Manner, Works};
use crate::clock::SystemClock;
use crate::http::health::Ready;
use crate::imaging::Pool;
use crate::serve::depot::Patience;
use crate::serve::gate::Gate;
use crate::serve::warming::{Means, Warming};
use crate::settings::Settings;
use crate::store::{Claim, Tenure};

/// One source with the machinery of the gateway around it, which may run on the same cache: of that nothing is dropped to
/// make room. Masters lie in a folder of their own while they are needed. The second is what it has to do
/// without, Redis or the bucket, and why.
pub async fn warming(
    settings: &Settings,
    name: &str,
    masters: &Path,
    at_once: usize,
) -> anyhow::Result<(Warming, Option<String>)> {
    let claim = Claim::shared(&settings.cache.dir).await?;
    let pool = Pool::new(&settings.limits).in_background(at_once);
    let manner = Manner { tenure: Tenure::Guest, masters, pool, patience: Patience::Short };
    let works = Works::open(settings, manner, Arc::new(SystemClock))?;
    let without = match works.ready.settled().await {
        Ready::Fully => None,
        Ready::Without(reason) => Some(reason),
    };
    let Works { originals, lending, pyramids, facts, records, sources, .. } = works;
    let source = Arc::clone(sources.get(name)?);
    let gate = Gate::new(sources, records.clone(), facts.clone());
    let means = Means { gate, records, facts, originals, lending, pyramids, claim };
    Ok((Warming::new(source, means, at_once), without))
}
