//! A purge: all that is kept of a source, or of one item, is dropped everywhere and made anew when it is asked for.
//!
//! First an epoch begins, from which on nothing is told that was made before; then the others hear of it; then the bytes
//! go. What fails on the way is told and stops nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::collections::Collections;
use super::depot::Depot;
use super::facts::Facts;
use super::lending::Lending;
use super::pyramids::Pyramids;
use super::records::Records;
use super::replicas::{Gone, Replicas};
use super::source::{Source, Sources};
use super::{ServeError, metrics};
use crate::adapter::record::ItemId;
use crate::store::redis::{Listener, News};
use crate::store::{Dropped, Files, Memory, Redis, Scope, Store, StoreError};

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

/// The pause between two words to others that can wait: they are few, unless a whole source is closed at once.
const PAUSE: Duration = Duration::from_millis(5);

/// Purges. Cheap to clone.
#[derive(Clone)]
pub struct Purge {
    shared: Arc<Shared>,
    /// Ends with the last clone.
    _listening: Option<Arc<Listening>>,
}

struct Shared {
    sources: Sources,
    kept: Kept,
    /// What others are told through.
    redis: Option<Arc<Redis>>,
    /// Who this is, among those who hear each other.
    own: u64,
    /// Whether this one hears itself.
    hears: AtomicBool,
    /// One purge at a time goes through all there is.
    turn: Mutex<()>,
}

struct Listening([JoinHandle<()>; 2]);

/// What became of a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The source.
    pub source: String,
    /// The item; all of them where there is none.
    pub item: Option<String>,
    /// What was dropped here, by where it was.
    pub dropped: BTreeMap<String, Dropped>,
    /// How many other gateways heard of it; `None` where there is no way to tell them.
    pub heard_by: Option<u64>,
    /// What went wrong.
    pub failed: Vec<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// What gateways tell each other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "lowercase", deny_unknown_fields)]
enum Word {
    /// Something was purged.
    Purged { from: u64, source: String, item: Option<String>, at: u64 },
    /// What was told of an item or a list is void: its source says so.
    Gone { from: u64, kind: String, source: String, id: String },
}

impl Purge {
    /// Of these sources, out of all this. Other gateways, if there are any, hear of it through `redis`, and of what
    /// `replicas` have to say.
    pub fn new(sources: Sources, kept: Kept, redis: Option<Arc<Redis>>, replicas: &Replicas) -> Self {
        let (own, hears, turn) = (rand::random(), AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { sources, kept, redis, own, hears, turn });
        let listening = shared.redis.as_ref().zip(replicas.said()).map(|(redis, said)| {
            let ears = tokio::spawn(Arc::clone(&shared).listen(redis.listen()));
            Arc::new(Listening([ears, tokio::spawn(Arc::clone(&shared).pass_on(said))]))
        });
        Self { shared, _listening: listening }
    }

    /// Purges one item, or all of a source. It goes on to its end, whether or not anybody waits for it.
    pub async fn run(&self, source: &str, item: Option<&str>) -> Result<Purged, ServeError> {
        let (shared, source) = (Arc::clone(&self.shared), Arc::clone(self.shared.sources.get(source)?));
        let item = item.map(ToOwned::to_owned);
        let work = tokio::spawn(async move { shared.run(&source, item.as_deref()).await });
        work.await.map_err(ServeError::internal)
    }
}

impl Shared {
    async fn run(&self, source: &Source, item: Option<&str>) -> Purged {
        let (begun, mut failed) = (Instant::now(), Vec::new());
        let epochs = self.kept.records.epochs();
        let (at, written) = epochs.begin(&source.name, item).await;
        let told = self.turn(source, item);
        let mut heard_by = None;
        if let Err(error) = written {
            failed.push(format!("what is asked for next may come from before: {error}"));
        }
        match self.say(source, item, at).await {
            Some(Ok(heard)) => heard_by = Some(heard),
            Some(Err(error)) => failed.push(format!("other gateways did not hear of it: {error}")),
            None => {}
        }
        let scope = Scope::new(&source.name, item);
        let _turn = self.turn.lock().await;
        let mut dropped = self.drop_own(source, item, &scope, &mut failed).await;
        dropped.entry("memory".to_owned()).or_default().entries += told;
        self.note(self.kept.store_name, self.kept.store.purge(&scope).await, &mut dropped, &mut failed);
        if let Some(depot) = &self.kept.depot {
            self.note("bucket", depot.purge(&source.name, item).await, &mut dropped, &mut failed);
        }
        let all: u64 = dropped.values().map(|dropped| dropped.bytes).sum();
        tracing::info!(source = %source.name, item, size_bytes = all, "purged");
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (source, item) = (source.name.clone(), item.map(ToOwned::to_owned));
        Purged { source, item, dropped, heard_by, failed, took_ms }
    }

    /// Ends what was told until now; how much that was.
    fn turn(&self, source: &Source, item: Option<&str>) -> u64 {
        let (records, collections, mut told) = (&self.kept.records, &self.kept.collections, 0);
        records.epochs().turn(&source.name, item, || {
            told = records.told().drop_told(&source.name, item);
            told += collections.told().drop_told(&source.name, item);
        });
        ::metrics::counter!(metrics::PURGES, "source" => source.name.clone()).increment(1);
        told
    }

    /// Drops what no other gateway has.
    async fn drop_own(
        &self,
        source: &Source,
        item: Option<&str>,
        scope: &Scope,
        failed: &mut Vec<String>,
    ) -> BTreeMap<String, Dropped> {
        let Kept { finished, originals, tiles, pyramids, lending, facts, .. } = &self.kept;
        let mut dropped = BTreeMap::from([("memory".to_owned(), finished.purge_now(scope))]);
        facts.drop_known(source, item.map(ItemId::from).as_ref());
        pyramids.close(scope);
        lending.close(scope);
        self.note("pyramids", tiles.purge(scope).await, &mut dropped, failed);
        self.note("originals", originals.purge(scope).await, &mut dropped, failed);
        dropped
    }

    fn note(
        &self,
        place: &str,
        outcome: Result<Dropped, StoreError>,
        dropped: &mut BTreeMap<String, Dropped>,
        failed: &mut Vec<String>,
    ) {
        match outcome {
            Ok(gone) => *dropped.entry(place.to_owned()).or_default() += gone,
            Err(error) => failed.push(format!("what was kept before may still lie in `{place}`: {error}")),
        }
    }

    /// How many others heard of a purge, if there is a way to tell them.
    async fn say(&self, source: &Source, item: Option<&str>, at: u64) -> Option<Result<u64, StoreError>> {
        let (source, item) = (source.name.clone(), item.map(ToOwned::to_owned));
        let heard = self.tell(&Word::Purged { from: self.own, source, item, at }).await?;
        let ours = u64::from(self.hears.load(Ordering::Relaxed));
        Some(heard.map(|heard| heard.saturating_sub(ours)))
    }

    async fn tell(&self, word: &Word) -> Option<Result<u64, StoreError>> {
        let word = serde_json::to_vec(word).expect("texts and numbers are always JSON");
        Some(self.redis.as_ref()?.say(&word).await)
    }

    /// Passes on what is void now.
    async fn pass_on(self: Arc<Self>, mut said: mpsc::Receiver<Gone>) {
        while let Some(Gone { kind, source, id }) = said.recv().await {
            let word = Word::Gone { from: self.own, kind: kind.to_owned(), source, id };
            if let Some(Err(error)) = self.tell(&word).await {
                tracing::debug!(%error, "other gateways did not hear what is void");
            }
            sleep(PAUSE).await;
        }
    }

    async fn listen(self: Arc<Self>, mut ears: Listener) {
        while let Some(news) = ears.next().await {
            match news {
                News::Said(word) => self.hear(&word),
                News::Gap => {
                    self.hears.store(true, Ordering::Relaxed);
                    let Kept { records, collections, .. } = &self.kept;
                    records.epochs().turn_all(|| {
                        records.told().drop_all_told();
                        collections.told().drop_all_told();
                    });
                }
            }
        }
    }

    /// What cannot be meant for us is passed over: whoever can write to Redis may have said it.
    fn hear(self: &Arc<Self>, word: &[u8]) {
        let Kept { records, collections, .. } = &self.kept;
        match serde_json::from_slice(word) {
            Ok(Word::Purged { from, source, item, at }) if from != self.own => {
                let Ok(source) = self.sources.get(&source) else { return };
                if records.epochs().is_credible(at) {
                    records.epochs().learn(&source.name, item.as_deref(), at);
                    self.turn(source, item.as_deref());
                    // The next word does not wait for the disk.
                    tokio::spawn(Arc::clone(self).drop_heard(Arc::clone(source), item));
                }
            }
            Ok(Word::Gone { from, kind, source, id }) if from != self.own => {
                if kind == records.told().kind() {
                    records.told().drop_one(&source, &id);
                } else if kind == collections.told().kind() {
                    collections.told().drop_one(&source, &id);
                }
            }
            // One's own.
            Ok(_) => {}
            Err(_) => tracing::debug!("news through Redis that nobody here understands"),
        }
    }

    async fn drop_heard(self: Arc<Self>, source: Arc<Source>, item: Option<String>) {
        let (scope, mut failed) = (Scope::new(&source.name, item.as_deref()), Vec::new());
        let _turn = self.turn.lock().await;
        let dropped = self.drop_own(&source, item.as_deref(), &scope, &mut failed).await;
        let size_bytes: u64 = dropped.values().map(|dropped| dropped.bytes).sum();
        tracing::info!(source = %source.name, item, size_bytes, "purged, as another gateway says");
        for error in failed {
            tracing::warn!(source = %source.name, error, "a purge left something");
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge").field("kept", &self.shared.kept).finish_non_exhaustive()
    }
}
