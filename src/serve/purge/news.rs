//! What gateways tell each other through Redis: what was purged, and what is void.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Notes, Shared};
use crate::serve::replicas::Gone;
use crate::store::redis::{self, Listener};
use crate::store::{Redis, Scope, StoreError};

/// The pause between two words to others that can wait: they are few, unless a whole source is closed at once.
const PAUSE: Duration = Duration::from_millis(5);
/// The pause before a store is asked again that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Speaks and hears. Cheap to clone; it ends with the last clone.
#[derive(Clone)]
pub(super) struct News {
    wire: Arc<Wire>,
    _tasks: Arc<Tasks>,
}

struct Wire {
    redis: Arc<Redis>,
    shared: Arc<Shared>,
    /// Who this is, among those who hear each other.
    own: u64,
    /// Whether this one hears itself.
    hears: AtomicBool,
    /// There was a moment in which nothing was heard.
    missed: Notify,
    /// What others purged and still lies on our disk, by source.
    left: Mutex<BTreeMap<String, Scope>>,
    /// There is something of that.
    has_left: Notify,
}

struct Tasks([JoinHandle<()>; 3]);

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "lowercase", deny_unknown_fields)]
enum Word {
    /// Something was purged.
    Purged { from: u64, source: String, item: Option<String>, at: u64 },
    /// What was told of an item or a list is void: its source says so.
    Gone { from: u64, kind: String, source: String, id: String },
}

impl News {
    /// Has `shared` do what others say, and the others hear what is `said` here.
    pub(super) fn open(redis: Arc<Redis>, said: mpsc::Receiver<Gone>, shared: &Arc<Shared>) -> Self {
        let ears = redis.listen();
        let wire = Arc::new(Wire {
            redis,
            shared: Arc::clone(shared),
            own: rand::random(),
            hears: AtomicBool::new(false),
            missed: Notify::new(),
            left: Mutex::default(),
            has_left: Notify::new(),
        });
        let tasks = [
            tokio::spawn(Arc::clone(&wire).listen(ears)),
            tokio::spawn(Arc::clone(&wire).pass_on(said)),
            tokio::spawn(Arc::clone(&wire).clear()),
        ];
        Self { wire, _tasks: Arc::new(Tasks(tasks)) }
    }

    /// Tells of a purge; how many others heard of it.
    pub(super) async fn purged(&self, source: &str, item: Option<&str>, at: u64) -> Result<u64, StoreError> {
        let heard = self.wire.say_purged(source.to_owned(), item.map(ToOwned::to_owned), at).await?;
        Ok(heard.saturating_sub(u64::from(self.wire.hears.load(Ordering::Relaxed))))
    }
}

impl Wire {
    async fn say_purged(&self, source: String, item: Option<String>, at: u64) -> Result<u64, StoreError> {
        self.say(&Word::Purged { from: self.own, source, item, at }).await
    }

    async fn say(&self, word: &Word) -> Result<u64, StoreError> {
        let word = serde_json::to_vec(word).expect("texts and numbers are always JSON");
        self.redis.say(&word).await
    }

    /// Passes on what is void now, and what Redis has forgotten.
    async fn pass_on(self: Arc<Self>, mut said: mpsc::Receiver<Gone>) {
        loop {
            tokio::select! {
                Some(Gone { kind, source, id }) = said.recv() => {
                    let word = Word::Gone { from: self.own, kind: kind.to_owned(), source, id };
                    if let Err(error) = self.say(&word).await {
                        tracing::debug!(%error, "other gateways did not hear what is void");
                    }
                    sleep(PAUSE).await;
                }
                () = self.missed.notified() => self.remind().await,
            }
        }
    }

    /// A Redis that was started anew knows of no purge. Who does says it again, for those who were away then.
    async fn remind(&self) {
        let epochs = self.shared.kept.records.epochs();
        for (name, at) in epochs.known() {
            let is_lost = loop {
                match epochs.restore(&name, at).await {
                    Ok(is_lost) => break is_lost,
                    Err(_) => sleep(AGAIN).await,
                }
            };
            let (source, item) = name;
            if is_lost && let Err(error) = self.say_purged(source, item, at).await {
                tracing::debug!(%error, "other gateways did not hear again what was purged");
            }
        }
    }

    async fn listen(self: Arc<Self>, mut ears: Listener) {
        while let Some(news) = ears.next().await {
            match news {
                redis::News::Said(word) => self.hear(&word),
                redis::News::Lost => self.hears.store(false, Ordering::Relaxed),
                redis::News::Gap => {
                    self.hears.store(true, Ordering::Relaxed);
                    self.shared.kept.records.epochs().doubt();
                    self.missed.notify_one();
                }
            }
        }
    }

    /// What cannot be meant for us is passed over: whoever can write to Redis may have said it.
    fn hear(&self, word: &[u8]) {
        let (records, collections) = (&self.shared.kept.records, &self.shared.kept.collections);
        match serde_json::from_slice(word) {
            Ok(Word::Purged { from, source, item, at }) if from != self.own => {
                self.hear_purged(&source, item.as_deref(), at);
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

    fn hear_purged(&self, source: &str, item: Option<&str>, at: u64) {
        let (Ok(source), epochs) = (self.shared.sources.get(source), self.shared.kept.records.epochs())
        else {
            return;
        };
        // What is said again is no news.
        if !epochs.is_credible(at) || epochs.knows(&source.name, item, at) {
            return;
        }
        epochs.learn(&source.name, item, at);
        self.shared.kept.turn(source, item);
        // The next word does not wait for the disk.
        let scope = Scope::new(&source.name, item);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.entry(source.name.clone()).or_insert_with(|| scope.clone()).join(scope);
        self.has_left.notify_one();
    }

    /// Drops what others purged: all that was heard of while the last was dropped goes at once.
    async fn clear(self: Arc<Self>) {
        loop {
            self.has_left.notified().await;
            let left = mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
            for (source, scope) in left {
                let (Ok(source), mut notes) = (self.shared.sources.get(&source), Notes::default()) else {
                    continue;
                };
                let _turn = self.shared.turn.lock().await;
                self.shared.kept.drop_own(source, &scope, &mut notes).await;
                let size_bytes: u64 = notes.dropped.values().map(|dropped| dropped.bytes).sum();
                tracing::info!(source = %source.name, size_bytes, "purged, as another gateway says");
                for error in notes.failed {
                    tracing::warn!(source = %source.name, error, "a purge left something");
                }
            }
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
