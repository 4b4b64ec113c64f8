//! What sources told, kept for a while: fresh answers at once, older ones while the source is away.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ServeError;
use super::flight::Flights;
use super::metrics;
use super::source::Source;
use crate::clock::Clock;
use crate::store::{Key, Store};

/// How long "there is nothing" and "that makes no sense" are believed, unless an answer is good for less.
const REFUSED: Duration = Duration::from_secs(30);
/// How long a source that failed is left alone while there is an older answer.
const PAUSE: Duration = Duration::from_secs(10);

/// Answers of one kind, of all sources, by their id there. In memory by weight, and in a store, so
/// that a restart while a source is away loses nothing.
pub(super) struct Remembered<V> {
    kind: &'static str,
    memory: Arc<Cache<Name, State<V>, ByWeight>>,
    flights: Flights<Name, Told<V>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// Something that is kept by what it weighs, in bytes, roughly.
pub(super) trait Weigh {
    fn weight(&self) -> u64;
}

type Name = (String, String);

/// An answer, and when it was given.
struct Told<V> {
    value: Arc<V>,
    at: SystemTime,
}

enum State<V> {
    Told(Told<V>),
    /// An older answer stands in, and the source is left alone until then.
    StandIn(Told<V>, SystemTime),
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
    V: Weigh + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Answers called `kind` in keys and logs, in memory up to `weight` bytes.
    pub(super) fn new(kind: &'static str, weight: u64, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        /// What an answer of the usual size weighs.
        const USUAL: u64 = 4096;
        let usual = usize::try_from(weight / USUAL).unwrap_or(usize::MAX);
        let memory = Arc::new(Cache::with_weighter(usual, weight, ByWeight));
        Self { kind, memory, flights: Flights::default(), store, clock }
    }

    /// The answer for `id`: remembered, or else what `ask` brings. Of many who want it, one asks.
    pub(super) async fn get<F>(
        &self,
        source: &Arc<Source>,
        id: &str,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<V>, ServeError>
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let name = (source.name.clone(), id.to_owned());
        let now = self.clock.now();
        match self.memory.get(&name) {
            Some(State::Told(told)) if told.age(now) < source.record_ttl => return Ok(told.value),
            Some(State::StandIn(told, until)) if now < until => return Ok(told.value),
            Some(State::Refused(error, until)) if now < until => return Err(error),
            _ => {}
        }
        let (this, source, flown, ask) = (self.clone(), Arc::clone(source), name.clone(), ask());
        let told = self.flights.join(name, move || async move { this.renew(&source, flown, ask).await });
        Ok(told.await?.value)
    }

    async fn renew(
        &self,
        source: &Source,
        name: Name,
        ask: impl Future<Output = Result<V, ServeError>>,
    ) -> Result<Told<V>, ServeError> {
        let earlier = match self.memory.get(&name) {
            Some(State::Told(told) | State::StandIn(told, _)) => Some(told),
            Some(State::Refused(..)) => None,
            None => self.written(source, &name.1).await,
        };
        let now = self.clock.now();
        if let Some(told) = earlier.clone().filter(|told| told.age(now) < source.record_ttl) {
            self.memory.insert(name, State::Told(told.clone()));
            return Ok(told);
        }
        let outcome = ask.await;
        let label = if outcome.is_ok() { "ok" } else { "error" };
        ::metrics::counter!(metrics::ASKED, "source" => source.name.clone(), "kind" => self.kind, "outcome" => label)
            .increment(1);
        match outcome {
            Ok(value) => {
                let told = Told { value: Arc::new(value), at: now };
                self.write(source, &name.1, &told).await;
                self.memory.insert(name, State::Told(told.clone()));
                Ok(told)
            }
            Err(error) => self.instead(source, name, earlier, error).await,
        }
    }

    /// What is told when the source gave no answer: the earlier one, if it may still stand in.
    async fn instead(
        &self,
        source: &Source,
        name: Name,
        earlier: Option<Told<V>>,
        error: ServeError,
    ) -> Result<Told<V>, ServeError> {
        let now = self.clock.now();
        let (kind, id) = (self.kind, name.1.clone());
        if error.is_temporary() {
            let good = source.record_ttl.saturating_add(source.stale);
            let Some(told) = earlier.filter(|told| told.age(now) < good) else { return Err(error) };
            let age_s = told.age(now).as_secs();
            ::metrics::counter!(metrics::STALE, "source" => source.name.clone()).increment(1);
            tracing::warn!(source = %source.name, id, age_s, %error, "an older {kind} stands in");
            self.memory.insert(name, State::StandIn(told.clone(), now + PAUSE));
            return Ok(told);
        }
        let key = self.key(source, &id);
        if let Err(error) = self.store.remove(&key).await {
            tracing::debug!(%error, "`{key}` is gone but cannot be removed");
        }
        if matches!(
            error,
            ServeError::NotFound { .. } | ServeError::BadAnswer { .. } | ServeError::Unreadable { .. }
        ) {
            tracing::debug!(source = %source.name, id, %error, "no {kind}");
            self.memory.insert(name, State::Refused(error.clone(), now + REFUSED.min(source.record_ttl)));
        }
        Err(error)
    }

    async fn written(&self, source: &Source, id: &str) -> Option<Told<V>> {
        let bytes = self.store.get(&self.key(source, id)).await.ok().flatten()?;
        let Written { at, value } = serde_json::from_slice(&bytes).ok()?;
        Some(Told { value: Arc::new(value), at })
    }

    /// A store that fails costs one question more after the next restart.
    async fn write(&self, source: &Source, id: &str, told: &Told<V>) {
        let (key, good) = (self.key(source, id), source.record_ttl.saturating_add(source.stale));
        let written = Written { at: told.at, value: &*told.value };
        if let Ok(json) = serde_json::to_vec(&written)
            && let Err(error) = self.store.put(&key, Bytes::from(json), good).await
        {
            tracing::debug!(%error, "`{key}` is not kept");
        }
    }

    fn key(&self, source: &Source, id: &str) -> Key {
        Key::new([self.kind, &source.name, &source.identity, id])
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
        Self { value: Arc::clone(&self.value), at: self.at }
    }
}

impl<V> Clone for State<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Told(told) => Self::Told(told.clone()),
            Self::StandIn(told, until) => Self::StandIn(told.clone(), *until),
            Self::Refused(error, until) => Self::Refused(error.clone(), *until),
        }
    }
}

impl<V> Clone for Remembered<V> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            memory: Arc::clone(&self.memory),
            flights: self.flights.clone(),
            store: Arc::clone(&self.store),
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

impl<V: Weigh> Weighter<Name, State<V>> for ByWeight {
    fn weight(&self, name: &Name, state: &State<V>) -> u64 {
        /// A name, an error or a pointer with what the cache adds to it.
        const SMALL: u64 = 256;
        let value = match state {
            State::Told(told) | State::StandIn(told, _) => told.value.weight(),
            State::Refused(..) => 0,
        };
        SMALL + (name.0.len() + name.1.len()) as u64 + value
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::FixedClock;
    use crate::serve::source::tests::source;
    use crate::store::Memory;

    impl Weigh for String {
        fn weight(&self) -> u64 {
            self.len() as u64
        }
    }

    const TTL: Duration = Duration::from_secs(600);
    const STALE: Duration = Duration::from_secs(3600);

    /// A source that answers what it is told to, and counts how often it is asked.
    struct Script {
        remembered: Remembered<String>,
        source: Arc<Source>,
        clock: Arc<FixedClock>,
        answers: Arc<Mutex<VecDeque<Result<String, ServeError>>>>,
        asked: Arc<AtomicUsize>,
    }

    impl Script {
        fn new(store: Arc<dyn Store>) -> Self {
            let clock = Arc::new(FixedClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)));
            Self {
                remembered: Remembered::new("word", 1 << 20, store, clock.clone()),
                source: Arc::new(Source { record_ttl: TTL, stale: STALE, ..source("words") }),
                clock,
                answers: Arc::default(),
                asked: Arc::default(),
            }
        }

        fn will(&self, answer: Result<&str, ServeError>) {
            self.answers.lock().unwrap().push_back(answer.map(str::to_owned));
        }

        async fn get(&self) -> Result<String, ServeError> {
            let (answers, asked) = (Arc::clone(&self.answers), Arc::clone(&self.asked));
            let ask = || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                answers.lock().unwrap().pop_front().expect("asked more often than the test says")
            };
            self.remembered.get(&self.source, "id", ask).await.map(|value| (*value).clone())
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn store() -> Arc<Memory> {
        Arc::new(Memory::new("test", 1 << 20))
    }

    fn away() -> ServeError {
        ServeError::Unreachable { name: "words".into(), message: "away".into(), retry_after: None }
    }

    fn nothing() -> ServeError {
        ServeError::NotFound { kind: "item", id: "id".into() }
    }

    #[tokio::test]
    async fn an_answer_is_good_for_its_time_and_then_asked_for_again() {
        let script = Script::new(store());
        script.will(Ok("one"));
        assert_eq!((script.get().await.unwrap(), script.get().await.unwrap()), ("one".into(), "one".into()));
        assert_eq!(script.asked(), 1);
        script.clock.advance(TTL);
        script.will(Ok("two"));
        assert_eq!((script.get().await.unwrap(), script.asked()), ("two".into(), 2));
    }

    #[tokio::test]
    async fn an_older_answer_stands_in_while_the_source_is_left_alone() {
        let script = Script::new(store());
        script.will(Ok("one"));
        script.get().await.unwrap();
        script.clock.advance(TTL);
        script.will(Err(away()));
        for _ in 0..3 {
            assert_eq!(script.get().await.unwrap(), "one");
        }
        assert_eq!(script.asked(), 2, "one failure is enough for a while");
        script.clock.advance(PAUSE);
        script.will(Ok("two"));
        assert_eq!(script.get().await.unwrap(), "two");
    }

    #[tokio::test]
    async fn nothing_stands_in_for_ever() {
        let script = Script::new(store());
        script.will(Ok("one"));
        script.get().await.unwrap();
        script.clock.advance(TTL + STALE);
        script.will(Err(away()));
        assert!(matches!(script.get().await, Err(ServeError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn what_is_gone_is_gone_at_once_and_not_asked_for_by_everybody() {
        let script = Script::new(store());
        script.will(Ok("one"));
        script.get().await.unwrap();
        script.clock.advance(TTL);
        script.will(Err(nothing()));
        for _ in 0..3 {
            assert!(matches!(script.get().await, Err(ServeError::NotFound { .. })));
        }
        assert_eq!(script.asked(), 2);
        script.clock.advance(REFUSED);
        script.will(Err(away()));
        assert!(
            matches!(script.get().await, Err(ServeError::Unreachable { .. })),
            "the old answer is forgotten"
        );
    }

    #[tokio::test]
    async fn an_answer_that_may_close_an_item_is_never_bridged() {
        let script = Script::new(store());
        script.will(Ok("one"));
        script.get().await.unwrap();
        script.clock.advance(TTL);
        script.will(Err(ServeError::Unreadable { name: "words".into(), message: "line 1".into() }));
        assert!(matches!(script.get().await, Err(ServeError::Unreadable { .. })));
    }

    #[tokio::test]
    async fn a_restart_while_the_source_is_away_loses_nothing() {
        let store = store();
        let before = Script::new(store.clone());
        before.will(Ok("one"));
        before.get().await.unwrap();

        let after = Script::new(store.clone());
        assert_eq!((after.get().await.unwrap(), after.asked()), ("one".into(), 0), "still good");

        let later = Script::new(store);
        later.clock.advance(TTL);
        later.will(Err(away()));
        assert_eq!(later.get().await.unwrap(), "one");
    }

    #[tokio::test]
    async fn another_system_under_the_same_name_does_not_inherit() {
        let store = store();
        let before = Script::new(store.clone());
        before.will(Ok("one"));
        before.get().await.unwrap();
        let mut after = Script::new(store);
        after.source =
            Arc::new(Source { identity: "another".into(), record_ttl: TTL, stale: STALE, ..source("words") });
        after.will(Ok("two"));
        assert_eq!(after.get().await.unwrap(), "two");
    }

    #[tokio::test]
    async fn an_answer_from_the_future_is_not_believed() {
        let script = Script::new(store());
        script.clock.advance(TTL);
        script.will(Ok("one"));
        script.get().await.unwrap();
        let earlier = Script { clock: Arc::new(FixedClock::at(SystemTime::UNIX_EPOCH)), ..script };
        let remembered = Remembered { clock: earlier.clock.clone(), ..earlier.remembered.clone() };
        let earlier = Script { remembered, ..earlier };
        earlier.will(Ok("two"));
        assert_eq!(earlier.get().await.unwrap(), "two");
    }
}
