//! What is in a source: its collections, or where it knows none, its whole listing as one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt, stream};
use quick_cache::sync::Cache;

use super::ServeError;
use super::flight::Flights;
use super::records::Records;
use super::source::Source;
use crate::access::{Action, Verdict, decide};
use crate::adapter::AdapterError;
use crate::adapter::record::{Collection, Cursor, Leaf, Member, Page};
use crate::clock::Clock;
use crate::iiif::presentation::text::LanguageMap;

/// Collections in memory.
const IN_MEMORY: usize = 1000;
/// Members that are read of one collection: a viewer shows no more, and nobody scrolls further.
const MOST: usize = 10_000;
/// Records that are asked for at the same time where a listing does not tell access.
const ASKED: usize = 8;

/// Collections of all sources.
#[derive(Clone, Debug)]
pub struct Collections {
    memory: Arc<Cache<Name, Arc<Collected>>>,
    flights: Flights<Name, Arc<Collected>>,
    records: Records,
    clock: Arc<dyn Clock>,
}

type Name = (String, Leaf);

/// A collection as it was told at some time.
#[derive(Debug)]
pub struct Collected {
    /// What it is called; may be empty.
    pub label: LanguageMap,
    /// What is directly in it, as far as everybody may know of it.
    pub members: Vec<Member>,
    read: SystemTime,
}

impl Collections {
    /// Access that a listing does not tell is read from `records`.
    pub fn new(records: Records, clock: Arc<dyn Clock>) -> Self {
        Self { memory: Arc::new(Cache::new(IN_MEMORY)), flights: Flights::default(), records, clock }
    }

    /// A collection. While its source does not answer, an older state of it is told.
    pub async fn get(&self, source: &Arc<Source>, leaf: &Leaf) -> Result<Arc<Collected>, ServeError> {
        let name = (source.name.clone(), leaf.clone());
        let earlier = self.memory.get(&name);
        if let Some(collected) = earlier.as_ref().filter(|earlier| self.age(earlier) < source.record_ttl) {
            return Ok(Arc::clone(collected));
        }
        let (this, asked, flown) = (self.clone(), Arc::clone(source), name.clone());
        let outcome = self.flights.join(name, move || async move { this.read(&asked, flown).await }).await;
        match (outcome, earlier) {
            (Err(error), Some(earlier))
                if error.is_temporary() && self.age(&earlier) < source.record_ttl + source.stale =>
            {
                let age_s = self.age(&earlier).as_secs();
                tracing::warn!(source = %source.name, collection = %leaf, age_s, %error, "told from an older listing");
                Ok(earlier)
            }
            (outcome, _) => outcome,
        }
    }

    fn age(&self, collected: &Collected) -> Duration {
        self.clock.now().duration_since(collected.read).unwrap_or_default()
    }

    async fn read(&self, source: &Arc<Source>, name: Name) -> Result<Arc<Collected>, ServeError> {
        let read = self.clock.now();
        let (label, found) = all(source, &name.1)
            .await
            .map_err(|error| ServeError::from_adapter(&source.name, "collection", error))?;
        // Made before the stream: a closure inside of it could not be sent between threads.
        let asked: Vec<_> = found.into_iter().map(|member| self.visible(source, member)).collect();
        let visible: Vec<Option<Member>> = stream::iter(asked).buffered(ASKED).try_collect().await?;
        let collected = Arc::new(Collected { label, members: visible.into_iter().flatten().collect(), read });
        self.memory.insert(name, Arc::clone(&collected));
        Ok(collected)
    }

    async fn visible(&self, source: &Arc<Source>, member: Member) -> Result<Option<Member>, ServeError> {
        let Member::Item(listed) = &member else { return Ok(Some(member)) };
        let access = match listed.access {
            Some(access) => access,
            None => match self.records.get(source, &listed.id).await {
                Ok(known) => known.record.access,
                Err(error @ (ServeError::NotFound { .. } | ServeError::BadAnswer { .. })) => {
                    tracing::debug!(source = %source.name, item = %listed.id, %error, "an item is left out of its collection");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            },
        };
        Ok((decide(access, Action::Discover) == Verdict::Allowed).then_some(member))
    }
}

/// All pages of a collection, up to [`MOST`] members.
async fn all(source: &Source, leaf: &Leaf) -> Result<(LanguageMap, Vec<Member>), AdapterError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let Collection { label, members } = page(source, leaf, after.as_ref()).await?;
        found.extend(members.items);
        match members.next {
            None => return Ok((label, found)),
            Some(_) if found.len() >= MOST => {
                tracing::warn!(source = %source.name, collection = %leaf, "a collection is cut after {MOST} members");
                found.truncate(MOST);
                return Ok((label, found));
            }
            next => after = next,
        }
    }
}

/// One page of a collection; of a source without collections the root is its listing.
async fn page(source: &Source, leaf: &Leaf, after: Option<&Cursor>) -> Result<Collection, AdapterError> {
    let abilities = source.adapter.abilities();
    if abilities.collections {
        return source.adapter.collection(leaf, after).await;
    }
    if !leaf.is_root() {
        return Err(AdapterError::NotFound(leaf.to_string()));
    }
    let members = match abilities.listing {
        true => source.adapter.list(after).await?,
        false => Page { items: Vec::new(), next: None },
    };
    let members = Page { items: members.items.into_iter().map(Member::Item).collect(), next: members.next };
    Ok(Collection { label: LanguageMap::default(), members })
}
