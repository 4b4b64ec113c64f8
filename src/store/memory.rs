//! A store in memory, bounded in bytes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};
use tokio::time::Instant;

use super::metrics::{self, Outcome};
use super::{Dropped, Found, Key, Scope, Store, StoreError};
use crate::weighed;

/// What an entry costs beside its key and value: the cache's own tables, roughly.
const OVERHEAD: usize = 128;
/// How large most entries are, a tile.
const USUAL: u64 = 16 << 10;
/// A value larger than one in so many parts of the store would push out too much else.
const SHARE: u64 = 16;

/// A store in memory. What was not used for long goes first.
pub struct Memory {
    name: &'static str,
    largest: u64,
    cache: Cache<Key, Held, Weights, DefaultHashBuilder, Evictions>,
}

#[derive(Clone)]
struct Held {
    value: Bytes,
    until: Instant,
}

impl Held {
    fn found(self) -> Option<Found> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(Found { value: self.value, left })
    }
}

impl Memory {
    /// A store of this many bytes; `name` labels its metrics.
    pub fn new(name: &'static str, bytes: u64) -> Self {
        let largest = bytes / SHARE;
        let options = weighed::options(bytes, USUAL, largest);
        let cache = Cache::with_options(options, Weights, DefaultHashBuilder::default(), Evictions { name });
        Self { name, largest, cache }
    }

    /// The value, at once: a hit needs no task and no lock that anybody holds for long.
    pub fn get_now(&self, key: &Key) -> Option<Bytes> {
        self.look_now(key).map(|found| found.value)
    }

    /// The value and how long it is still good for, at once.
    pub fn look_now(&self, key: &Key) -> Option<Found> {
        let found = self.cache.get(key).and_then(Held::found);
        metrics::request(self.name, if found.is_some() { Outcome::Hit } else { Outcome::Miss });
        found
    }

    /// Keeps a value, at once.
    pub fn put_now(&self, key: &Key, value: Bytes, ttl: Duration) {
        match self.held(key, value, ttl) {
            Some(held) => self.cache.insert(key.clone(), held),
            // The old value must not stay in place of the new one.
            None => drop(self.cache.remove(key)),
        }
        self.tell_bytes();
    }

    /// Drops all that belongs to a scope, at once.
    pub fn purge_now(&self, scope: &Scope) -> Dropped {
        let (entries, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        self.cache.retain(|key, held| {
            let goes = scope.holds(key.as_str());
            if goes {
                entries.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(held.value.len() as u64, Ordering::Relaxed);
            }
            !goes
        });
        self.tell_bytes();
        Dropped { entries: entries.into_inner(), bytes: bytes.into_inner() }
    }

    /// The entry, unless it is too large or already over.
    fn held(&self, key: &Key, value: Bytes, ttl: Duration) -> Option<Held> {
        let fits = weight(key, &value) <= self.largest;
        metrics::request(self.name, if fits { Outcome::Stored } else { Outcome::Refused });
        let until = Instant::now().checked_add(ttl).unwrap_or_else(far_away);
        (fits && !ttl.is_zero()).then_some(Held { value, until })
    }

    fn tell_bytes(&self) {
        metrics::bytes(self.name, self.cache.weight());
    }
}

/// A time that no process lives to see, which the clock can still hold.
fn far_away() -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    Instant::now() + YEARS
}

#[async_trait]
impl Store for Memory {
    async fn look(&self, key: &Key) -> Result<Option<Found>, StoreError> {
        Ok(self.look_now(key))
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.put_now(key, value, ttl);
        Ok(())
    }

    async fn take(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let taken = self.cache.remove(key).and_then(|(_, held)| held.found());
        self.tell_bytes();
        metrics::request(self.name, if taken.is_some() { Outcome::Hit } else { Outcome::Miss });
        Ok(taken.map(|found| found.value))
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.cache.remove(key);
        self.tell_bytes();
        Ok(())
    }

    async fn touch(&self, key: &Key, ttl: Duration) -> Result<(), StoreError> {
        let until = Instant::now().checked_add(ttl).unwrap_or_else(far_away);
        // An answer that is no entry carries a placeholder, which goes away with it.
        let _ = self.cache.entry(key, None, |_, held| {
            if held.until <= Instant::now() || ttl.is_zero() {
                return EntryAction::Remove;
            }
            held.until = until;
            EntryAction::Retain(())
        });
        Ok(())
    }

    async fn put_new(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, StoreError> {
        let Some(new) = self.held(key, value, ttl) else { return Ok(false) };
        let entry = self.cache.entry(key, None, |_, held| {
            let over = held.until <= Instant::now();
            if over { EntryAction::ReplaceWithGuard } else { EntryAction::Retain(()) }
        });
        let placed = match entry {
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => place.insert(new).is_ok(),
            _ => false,
        };
        self.tell_bytes();
        Ok(placed)
    }

    async fn purge(&self, scope: &Scope) -> Result<Dropped, StoreError> {
        Ok(self.purge_now(scope))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("name", &self.name).field("bytes", &self.cache.weight()).finish()
    }
}

fn weight(key: &Key, value: &Bytes) -> u64 {
    (key.as_str().len() + value.len() + OVERHEAD) as u64
}

#[derive(Clone)]
struct Weights;

impl Weighter<Key, Held> for Weights {
    fn weight(&self, key: &Key, held: &Held) -> u64 {
        weight(key, &held.value)
    }
}

#[derive(Clone)]
struct Evictions {
    name: &'static str,
}

impl Lifecycle<Key, Held> for Evictions {
    type RequestState = ();

    /// Not called for a value that is replaced.
    fn before_evict(&self, (): &mut (), _: &Key, _: &mut Held) {
        metrics::evicted(self.name);
    }

    fn on_evict(&self, (): &mut (), _: Key, _: Held) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::suite;
    use crate::telemetry;

    const HOUR: Duration = Duration::from_secs(3600);

    fn key(n: usize) -> Key {
        Key::new(["tile", &n.to_string()])
    }

    #[tokio::test(start_paused = true)]
    async fn passes_the_suite() {
        let store = Arc::new(Memory::new("test", 1 << 20));
        suite::run(store, async |time| tokio::time::advance(time).await).await;
    }

    #[tokio::test]
    async fn never_holds_more_than_its_bytes() {
        let store = Memory::new("test", 100_000);
        for n in 0..1000 {
            store.put_now(&key(n), Bytes::from(vec![0; 1000]), HOUR);
            assert!(store.cache.weight() <= 100_000);
        }
        let kept = (0..1000).filter(|n| store.get_now(&key(*n)).is_some()).count();
        assert!((50..=90).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn what_is_replaced_is_not_evicted() {
        let recorder = telemetry::recorder();
        let _recording = ::metrics::set_default_local_recorder(&recorder);
        let store = Memory::new("test", 100_000);
        let evicted = || recorder.handle().render().contains("loggia_store_evictions_total{");
        for _ in 0..1000 {
            store.put_now(&key(1), Bytes::from(vec![0; 1000]), HOUR);
        }
        assert!(!evicted());
        for n in 0..1000 {
            store.put_now(&key(n), Bytes::from(vec![0; 1000]), HOUR);
        }
        assert!(evicted());
    }

    #[tokio::test]
    async fn long_keys_count_too() {
        let store = Memory::new("test", 100_000);
        for n in 0..1000 {
            store.put_now(&Key::new(["k".repeat(2000).as_str(), &n.to_string()]), Bytes::new(), HOUR);
        }
        assert!(store.cache.len() < 50);
    }

    #[tokio::test]
    async fn what_is_used_stays() {
        let store = Memory::new("test", 100_000);
        store.put_now(&key(0), Bytes::from_static(b"often"), HOUR);
        for n in 1..1000 {
            store.put_now(&key(n), Bytes::from(vec![0; 1000]), HOUR);
            assert!(store.get_now(&key(0)).is_some(), "{n}");
        }
    }

    #[tokio::test]
    async fn a_value_too_large_is_not_kept_and_replaces_none() {
        let store = Memory::new("test", 16_000);
        store.put_now(&key(1), Bytes::from_static(b"old"), HOUR);
        store.put_now(&key(2), Bytes::from_static(b"other"), HOUR);
        store.put_now(&key(1), Bytes::from(vec![0; 2000]), HOUR);
        assert_eq!(store.get_now(&key(1)), None);
        assert!(store.get_now(&key(2)).is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn readers_and_writers_at_once_see_whole_values() {
        let store = Arc::new(Memory::new("test", 200_000));
        let tasks = (0..8_u8).map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for round in 0..2000_usize {
                    let n = round % 300;
                    if round % 3 == 0 {
                        store.put_now(&key(n), Bytes::from(vec![task; 1000 + n]), HOUR);
                    } else if let Some(value) = store.get_now(&key(n)) {
                        assert_eq!(value.len(), 1000 + n);
                        assert!(value.iter().all(|byte| *byte == value[0]));
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(store.cache.weight() <= 200_000);
    }
}
