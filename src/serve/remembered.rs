//! What sources told, kept for a while: fresh answers at once, older ones while the source is away.

mod renew;

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::ServeError;
use super::epochs::{Epoch, Epochs, Mark};
use super::flight::Flights;
use super::replicas::{Gone, Replicas};
use super::source::Source;
use crate::adapter::Heard;
use crate::clock::Clock;
use crate::store::{Key, LISTS, Store, StoreError};
use crate::weighed;

/// Answers of one kind, of all sources, by their id there. In memory by weight, and in a store, so
/// that a restart while a source is away loses nothing.
pub(super) struct Remembered<V> {
    kind: &'static str,
    of: Of,
    memory: Arc<Cache<Name, State<V>, ByWeight>>,
    flights: Flights<(Name, Mark, u64), Told<V>>,
    /// Calls those who wait: something is told before the source has ended.
    news: Arc<Notify>,
    store: Arc<dyn Store>,
    epochs: Epochs,
    replicas: Replicas,
    clock: Arc<dyn Clock>,
}

/// What an answer tells of, and with what it is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// One item, whose id was asked for.
    Item,
    /// Many.
    Lists,
}

/// Whether an answer would be given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It would.
    Still,
    /// It is older than it may be: it would, if the source says the same again.
    Perhaps,
    /// Another one would, or none.
    NoLonger,
}

/// Something that is kept.
pub(super) trait Kept {
    /// What it weighs, in bytes, roughly.
    fn weight(&self) -> u64;

    /// Gives it the versions of an epoch, where it has any.
    fn begin(&mut self, _: Epoch) {}

    /// The same was told again: what is older than that, and was made of it, has to be looked at again.
    fn told_again(&self) {}
}

/// A source, and an id there.
pub(super) type Name = (String, String);

/// What was asked, and what had been purged by then.
#[derive(Clone, Debug)]
struct Question {
    name: Name,
    mark: Mark,
    gap: u64,
    epoch: Epoch,
}

/// An answer, and when it was given.
struct Told<V> {
    value: Arc<V>,
    at: SystemTime,
    /// In which it was given.
    epoch: Epoch,
    /// As of which nobody has taken it back: after a later one that has to be looked at again.
    gap: u64,
}

enum State<V> {
    Told(Told<V>),
    /// An older answer stands in, and the source is left alone until then, or until the next gap.
    StandIn(Told<V>, SystemTime, u64),
    Refused(ServeError, SystemTime),
}

/// What is written into the store.
#[derive(Serialize, Deserialize)]
struct Written<V> {
    at: SystemTime,
    value: V,
}

impl<V> Remembered<V>
where
    V: Kept + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Answers called `kind` in keys and logs, in memory up to `weight` bytes.
    pub(super) fn new(
        (kind, of): (&'static str, Of),
        weight: u64,
        (store, epochs): (Arc<dyn Store>, Epochs),
        replicas: Replicas,
        clock: Arc<dyn Clock>,
    ) -> Self {
        /// What an answer of the usual size weighs.
        const USUAL: u64 = 4096;
        /// One that weighs more than one in so many parts of all would push out too much else.
        const SHARE: u64 = 8;
        let memory = Arc::new(weighed::cache(weight, USUAL, weight / SHARE, ByWeight));
        let (flights, news) = (Flights::default(), Arc::default());
        Self { kind, of, memory, flights, news, store, epochs, replicas, clock }
    }

    /// The answer for `id`: remembered, or else what `ask` brings. Of many who want it, one asks. What is heard on
    /// the way of who may see it holds at once, against everything that was remembered.
    pub(super) async fn get<F>(
        &self,
        source: &Arc<Source>,
        id: &str,
        ask: impl FnOnce(Heard) -> F,
    ) -> Result<Arc<V>, ServeError>
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let name = (source.name.clone(), id.to_owned());
        if let Some(State::Told(told)) = self.memory.get(&name)
            && self.is_fresh(source, &told)
        {
            return Ok(told.value);
        }
        let (this, asked, heard) = (self.clone(), Arc::clone(source), Heard::default());
        let ask = ask(heard.clone());
        // Who asks after a purge does not wait for what was asked before.
        let (gap, mark) = (self.epochs.gaps(), self.epochs.mark(&source.name, self.item(id)));
        let flown = name.clone();
        let work = move || async move {
            let epoch = this.epochs.of(&asked.name, this.item(&flown.1)).await;
            this.renew(&asked, &Question { name: flown, mark, gap, epoch }, heard, ask).await
        };
        let flight = self.flights.join((name.clone(), mark, gap), work);
        let mut flight = pin!(flight);
        loop {
            let mut news = pin!(self.news.notified());
            news.as_mut().enable();
            // The flight goes on without us, for those who come later.
            if let Some(told) = self.meanwhile(&name) {
                return told;
            }
            tokio::select! {
                told = &mut flight => return Ok(told?.value),
                () = news => {}
            }
        }
    }

    /// Whether this is what would be told at this moment, as far as is known without asking.
    pub(super) fn stands(&self, source: &Source, name: &Name, value: &Weak<V>) -> Stands {
        let (told, is_good) = match self.memory.get(name) {
            Some(State::Told(told)) => {
                let is_good = self.is_fresh(source, &told);
                (told, is_good)
            }
            Some(State::StandIn(told, until, gap)) => (told, self.lasts(until, gap)),
            Some(State::Refused(..)) | None => return Stands::NoLonger,
        };
        match ptr::eq(Arc::as_ptr(&told.value), value.as_ptr()) {
            true if is_good => Stands::Still,
            true => Stands::Perhaps,
            false => Stands::NoLonger,
        }
    }

    /// Whether nobody need be asked for it.
    fn is_fresh(&self, source: &Source, told: &Told<V>) -> bool {
        told.gap == self.epochs.gaps() && told.age(self.clock.now()) < source.record_ttl
    }

    fn lasts(&self, until: SystemTime, gap: u64) -> bool {
        gap == self.epochs.gaps() && self.clock.now() < until
    }

    /// What is told while the source is left alone or thinks.
    fn meanwhile(&self, name: &Name) -> Option<Result<Arc<V>, ServeError>> {
        match self.memory.get(name)? {
            State::StandIn(told, until, gap) if self.lasts(until, gap) => Some(Ok(told.value)),
            State::Refused(error, until) if self.clock.now() < until => Some(Err(error)),
            _ => None,
        }
    }

    /// Forgets what must not be told any more, and has the others forget it: after it is gone from where they look.
    async fn retract(&self, source: &Source, question: &Question) {
        self.forget(source, question).await;
        let (source, id) = question.name.clone();
        self.replicas.tell(Gone { kind: self.kind, source, id });
    }

    async fn forget(&self, source: &Source, question: &Question) {
        let key = self.key(source, question);
        if let Err(error) = self.store.remove(&key).await {
            tracing::debug!(%error, "`{key}` is gone but cannot be removed");
        }
    }

    /// Whether a purge, or a word of another replica, has ended since what was known when this was asked.
    fn is_void(&self, Question { name, mark, .. }: &Question) -> bool {
        self.epochs.mark(&name.0, self.item(&name.1)) != *mark
    }

    /// Keeps what will be told, unless it was purged since it was asked for.
    fn remember(&self, Question { name, mark, .. }: &Question, state: State<V>) {
        let (source, item) = (&name.0, self.item(&name.1));
        self.epochs.unless_purged(source, item, *mark, || self.memory.insert(name.clone(), state));
    }

    /// Forgets what was told by a source, of one item or of all, to be called while an epoch turns; how much that was.
    /// What is in the store belongs to the epoch that ends.
    pub(super) fn drop_told(&self, source: &str, item: Option<&str>) -> u64 {
        let before = self.memory.len();
        match (self.of, item) {
            (Of::Item, Some(item)) => _ = self.memory.remove(&(source.to_owned(), item.to_owned())),
            (Of::Item, None) | (Of::Lists, _) => self.memory.retain(|(name, _), _| name != source),
        }
        before.saturating_sub(self.memory.len()) as u64
    }

    /// Forgets one answer, as another replica says that heard it is void. What is under way does not bring it back.
    pub(super) fn drop_one(&self, source: &str, id: &str) {
        let forget = || _ = self.memory.remove(&(source.to_owned(), id.to_owned()));
        self.epochs.void(source, self.item(id), forget);
    }

    /// What its answers are called.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    async fn written(&self, source: &Source, question: &Question) -> Option<Told<V>> {
        let bytes = self.store.get(&self.key(source, question)).await.ok().flatten()?;
        let Written { at, value } = serde_json::from_slice(&bytes).ok()?;
        Some(question.told(Arc::new(value), at))
    }

    /// A store that fails costs one question more after the next restart. What is void by then is not left there.
    async fn write(&self, source: &Source, question: &Question, told: &Told<V>) -> Result<(), StoreError> {
        if self.is_void(question) {
            return Ok(());
        }
        let key = self.key(source, question);
        let written = Written { at: told.at, value: &*told.value };
        let mut kept = Ok(());
        if let Ok(json) = serde_json::to_vec(&written) {
            kept = self.store.put(&key, Bytes::from(json), good(source)).await;
        }
        if let Err(error) = &kept {
            tracing::debug!(%error, "`{key}` is not kept");
        }
        if self.is_void(question) {
            self.forget(source, question).await;
        }
        kept
    }

    /// The item that an answer belongs to.
    fn item<'a>(&self, id: &'a str) -> &'a str {
        match self.of {
            Of::Item => id,
            Of::Lists => LISTS,
        }
    }

    fn key(&self, source: &Source, Question { name, epoch, .. }: &Question) -> Key {
        let id = &name.1;
        Key::new([self.kind, &source.name, &source.identity, self.item(id), id, &epoch.to_string()])
    }
}

/// How old an answer may be and still stand in.
fn good(source: &Source) -> Duration {
    source.record_ttl.saturating_add(source.stale)
}

impl Question {
    /// An answer to it, or one that is found when it is asked.
    fn told<V>(&self, value: Arc<V>, at: SystemTime) -> Told<V> {
        Told { value, at, epoch: self.epoch, gap: self.gap }
    }
}

impl<V> Told<V> {
    /// An answer from the future was given by a clock that was wrong: it is as old as can be.
    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.at).unwrap_or(Duration::MAX)
    }
}

impl<V> Clone for Told<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), ..*self }
    }
}

impl<V> Clone for State<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Told(told) => Self::Told(told.clone()),
            Self::StandIn(told, until, gap) => Self::StandIn(told.clone(), *until, *gap),
            Self::Refused(error, until) => Self::Refused(error.clone(), *until),
        }
    }
}

impl<V> Clone for Remembered<V> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            of: self.of,
            memory: Arc::clone(&self.memory),
            flights: self.flights.clone(),
            news: Arc::clone(&self.news),
            store: Arc::clone(&self.store),
            epochs: self.epochs.clone(),
            replicas: self.replicas.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<V> Debug for Remembered<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remembered({})", self.kind)
    }
}

#[derive(Clone, Debug)]
struct ByWeight;

impl<V: Kept> Weighter<Name, State<V>> for ByWeight {
    fn weight(&self, name: &Name, state: &State<V>) -> u64 {
        /// A name, an error or a pointer with what the cache adds to it.
        const SMALL: u64 = 256;
        let value = match state {
            State::Told(told) | State::StandIn(told, ..) => told.value.weight(),
            State::Refused(..) => 0,
        };
        SMALL + (name.0.len() + name.1.len()) as u64 + value
    }
}

#[cfg(test)]
mod tests;
