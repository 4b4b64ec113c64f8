//! A purge: all that is kept of a source, or of one item, is dropped everywhere and made anew when it is asked for.
//!
//! First an epoch begins, from which on nothing is told that was made before; then the others hear of it; then the bytes
//! go. What fails on the way is told and stops nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::collections::Collections;
use super::depot::Depot;
use super::facts::Facts;
use super::lending::Lending;
use super::pyramids::Pyramids;
use super::records::Records;
use super::replicas::Replicas;
use super::source::{Source, Sources};
use super::{ServeError, metrics};
use crate::adapter::record::MediaId;
use crate::store::{Dropped, Files, Memory, Redis, Scope, Store, StoreError};

mod news;

use news::News;

/// Everything that something may be kept in.
#[derive(Debug)]
pub struct Kept {
    /// Finished answers in memory.
    pub finished: Arc<Memory>,
    /// Where answers, descriptions and facts lie behind memory.
    pub store: Arc<dyn Store>,
    /// What that is called.
    pub store_name: &'static str,
    /// Masters.
    pub originals: Files,
    /// Pyramids.
    pub tiles: Files,
    /// Those that are open.
    pub pyramids: Pyramids,
    /// Masters that are open.
    pub lending: Lending,
    /// Those that others have, too.
    pub depot: Option<Depot>,
    /// What is known of masters.
    pub facts: Facts,
    /// What was told of items.
    pub records: Records,
    /// What was told of lists.
    pub collections: Collections,
}

/// Purges. Cheap to clone.
#[derive(Clone)]
pub struct Purge {
    shared: Arc<Shared>,
    news: Option<News>,
}

struct Shared {
    sources: Sources,
    kept: Kept,
    /// One at a time goes through all files.
    turn: Mutex<()>,
}

/// What became of a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The source.
    pub source: String,
    /// The item, or the image; all of the source where there is none.
    pub item: Option<String>,
    /// The item that such an image is part of, which was purged as well.
    pub part_of: Option<String>,
    /// What was dropped here, by where it was.
    pub dropped: BTreeMap<String, Dropped>,
    /// How many other gateways heard of it; `None` where there is no way to tell them.
    pub heard_by: Option<u64>,
    /// What went wrong.
    pub failed: Vec<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// What was dropped, by where it was, and what went wrong.
#[derive(Debug, Default)]
struct Notes {
    dropped: BTreeMap<String, Dropped>,
    failed: Vec<String>,
}

impl Purge {
    /// Of these sources, out of all this. Other gateways, if there are any, hear of it through `redis`, and of what
    /// `replicas` have to say.
    pub fn new(sources: Sources, kept: Kept, redis: Option<Arc<Redis>>, replicas: &Replicas) -> Self {
        let shared = Arc::new(Shared { sources, kept, turn: Mutex::default() });
        let news = redis.zip(replicas.said()).map(|(redis, said)| News::open(redis, said, &shared));
        Self { shared, news }
    }

    /// Purges one item, or all of a source. The id of an image stands for the item that it is part of. It goes on to
    /// its end, whether or not anybody waits for it.
    pub async fn run(&self, source: &str, item: Option<&str>) -> Result<Purged, ServeError> {
        let (this, source) = (self.clone(), Arc::clone(self.shared.sources.get(source)?));
        let item = item.map(ToOwned::to_owned);
        let work = tokio::spawn(async move { this.purge(&source, item).await });
        work.await.map_err(ServeError::internal)
    }

    async fn purge(&self, source: &Source, item: Option<String>) -> Purged {
        let (begun, kept, mut notes) = (Instant::now(), &self.shared.kept, Notes::default());
        let part_of = item.as_deref().and_then(|item| source.adapter.item_of(&MediaId::from(item)));
        let part_of = part_of.map(|whole| whole.to_string()).filter(|whole| item.as_ref() != Some(whole));
        let mut items = vec![item.as_deref()];
        items.extend(part_of.as_deref().map(Some));

        let (mut scope, mut told, mut heard_by) = (Scope::new(&source.name, items[0]), 0, None);
        for item in &items {
            scope.join(Scope::new(&source.name, *item));
            let (at, written) = kept.records.epochs().begin(&source.name, *item).await;
            told += kept.turn(source, *item);
            if let Err(error) = written {
                notes.failed.push(format!("what is asked for next may come from before: {error}"));
            }
            match self.say(source, *item, at).await {
                Some(Ok(heard)) => heard_by = Some(heard_by.map_or(heard, |before| heard.min(before))),
                Some(Err(error)) => notes.failed.push(format!("other gateways did not hear of it: {error}")),
                None => {}
            }
        }
        {
            let _turn = self.shared.turn.lock().await;
            kept.drop_own(source, &scope, &mut notes).await;
            notes.take(kept.store_name, kept.store.purge(&scope).await);
        }
        notes.dropped.entry("memory".to_owned()).or_default().entries += told;
        if let Some(depot) = &kept.depot {
            for item in items {
                notes.take("bucket", depot.purge(&source.name, item).await);
            }
        }
        let Notes { dropped, failed } = notes;
        let all: u64 = dropped.values().map(|dropped| dropped.bytes).sum();
        tracing::info!(source = %source.name, item, part_of, size_bytes = all, "purged");
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Purged { source: source.name.clone(), item, part_of, dropped, heard_by, failed, took_ms }
    }

    /// How many others heard of a purge, if there is a way to tell them.
    async fn say(&self, source: &Source, item: Option<&str>, at: u64) -> Option<Result<u64, StoreError>> {
        Some(self.news.as_ref()?.purged(&source.name, item, at).await)
    }
}

impl Kept {
    /// Ends what was told until now; how much that was.
    fn turn(&self, source: &Source, item: Option<&str>) -> u64 {
        let (records, collections, mut told) = (&self.records, &self.collections, 0);
        records.epochs().turn(&source.name, item, || {
            told = records.told().drop_told(&source.name, item);
            told += collections.told().drop_told(&source.name, item);
        });
        ::metrics::counter!(metrics::PURGES, "source" => source.name.clone()).increment(1);
        told
    }

    /// Drops what no other gateway has.
    async fn drop_own(&self, source: &Source, scope: &Scope, notes: &mut Notes) {
        notes.take("memory", Ok(self.finished.purge_now(scope)));
        self.facts.drop_known(source, scope);
        self.pyramids.close(scope);
        self.lending.close(scope);
        notes.take("pyramids", self.tiles.purge(scope).await);
        notes.take("originals", self.originals.purge(scope).await);
    }
}

impl Notes {
    fn take(&mut self, place: &str, outcome: Result<Dropped, StoreError>) {
        match outcome {
            Ok(gone) => *self.dropped.entry(place.to_owned()).or_default() += gone,
            Err(error) => {
                self.failed.push(format!("what was kept before may still lie in `{place}`: {error}"))
            }
        }
    }
}

impl Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge").field("kept", &self.shared.kept).finish_non_exhaustive()
    }
}
