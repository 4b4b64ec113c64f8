//! One configured source, ready to be asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::ServeError;
use super::offer::ImageSettings;
use super::present::Defaults;
use crate::adapter::Adapter;
use crate::adapter::record::MediaId;
use crate::imaging::Page;
use crate::store::Key;

/// A system behind the gateway, with what its settings say of it.
#[derive(Debug)]
pub struct Source {
    /// Its name in addresses.
    pub name: String,
    /// How it is asked.
    pub adapter: Arc<dyn Adapter>,
    /// Which system it is and how it is read: what is kept of another one is not taken for its own.
    pub identity: String,
    /// What its records say where they say nothing.
    pub defaults: Defaults,
    /// How images are offered.
    pub image: ImageSettings,
    /// How long a record is good.
    pub record_ttl: Duration,
    /// How long caches on the way may use an answer without asking.
    pub max_age: Duration,
    /// How much longer it serves while the source does not answer.
    pub stale: Duration,
}

impl Source {
    /// What is drawn of a file, should it be a PDF.
    pub(super) fn page(&self, media: &MediaId) -> Page {
        Page { number: media.page(), dpi: self.image.pdf_dpi }
    }

    /// Where something is kept that was made of a file: with the item that the file belongs to.
    pub(super) fn key(&self, kind: &str, media: &MediaId, version: &str) -> Key {
        let item = self.adapter.item_of(media);
        let item = item.as_ref().map_or(media.as_str(), |item| item.as_str());
        Key::new([kind, &self.name, &self.identity, item, media.as_str(), version])
    }
}

/// All sources by name.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<BTreeMap<String, Arc<Source>>>);

impl Sources {
    /// The source of this name.
    pub fn get(&self, name: &str) -> Result<&Arc<Source>, ServeError> {
        self.0.get(name).ok_or_else(|| ServeError::NotFound { kind: "source", id: name.to_owned() })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.0.values()
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        Self(Arc::new(sources.into_iter().map(|source| (source.name.clone(), Arc::new(source))).collect()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::adapter::record::{ItemId, MediaId, Record};
    use crate::adapter::{Abilities, AdapterError, Heard, Media};

    /// A source that is there and knows nothing.
    pub(crate) fn source(name: &str) -> Source {
        Source {
            name: name.to_owned(),
            adapter: Arc::new(Empty),
            identity: String::new(),
            defaults: Defaults::default(),
            image: ImageSettings::default(),
            record_ttl: Duration::from_secs(600),
            max_age: Duration::from_secs(600),
            stale: Duration::from_secs(3600),
        }
    }

    #[derive(Debug)]
    struct Empty;

    #[async_trait::async_trait]
    impl Adapter for Empty {
        fn abilities(&self) -> Abilities {
            Abilities::default()
        }

        async fn record(&self, id: &ItemId, _: &Heard) -> Result<Record, AdapterError> {
            Err(AdapterError::NotFound(id.to_string()))
        }

        fn item_of(&self, _: &MediaId) -> Option<ItemId> {
            None
        }

        async fn media(&self, id: &MediaId, _: Option<std::ops::Range<u64>>) -> Result<Media, AdapterError> {
            Err(AdapterError::NotFound(id.to_string()))
        }
    }
}
