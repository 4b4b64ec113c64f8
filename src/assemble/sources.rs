//! Sources, each with the adapter that its settings name.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::adapter::Adapter;
use crate::adapter::catalogue::Driver;
use crate::adapter::declared::{Declared, Definition};
use crate::adapter::folder::Folder;
use crate::serve::present::Defaults;
use crate::serve::source::{Source, Sources};
use crate::settings::Settings;
use crate::settings::source::Source as SourceSettings;
use crate::upstream::Upstream;

/// All that the settings name.
pub(super) fn sources(settings: &Settings) -> anyhow::Result<Sources> {
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
