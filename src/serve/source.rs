//! One configured source, ready to be asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::ServeError;
use super::offer::ImageSettings;
use super::present::Defaults;
use crate::adapter::Adapter;

/// A system behind the gateway, with what its settings say of it.
#[derive(Debug)]
pub struct Source {
    /// Its name in addresses.
    pub name: String,
    /// How it is asked.
    pub adapter: Arc<dyn Adapter>,
    /// What its records say where they say nothing.
    pub defaults: Defaults,
    /// How images are offered.
    pub image: ImageSettings,
    /// How long a record is good.
    pub record_ttl: Duration,
    /// How much longer it serves while the source does not answer.
    pub stale: Duration,
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
