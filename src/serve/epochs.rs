//! When sources and items were purged. A purge begins a new epoch, and the epoch is part of every version: what was
//! made before is under other keys than what is made from then on, and work that began before writes where nobody looks.

use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::join;
use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::store::{Key, LISTS, Store, StoreError};

/// Longer than anything is kept that was made before.
const KEPT: Duration = Duration::from_secs(800 * 24 * 3600);
/// Purges that are known while the store cannot tell them.
const KNOWN: usize = 100_000;
/// Clocks of gateways that differ by more are wrong.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// Counters of purges; what shares one with a purged item is asked for once more.
const MARKS: usize = 4096;

/// All purges of all sources. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Epochs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    known: Cache<Name, u64>,
    marks: RwLock<Vec<u64>>,
    /// How many purges there were while this process runs, and moments after which nobody knows.
    count: AtomicU64,
    /// How many such moments; they end no work that is under way.
    gaps: AtomicU64,
}

/// A source, or one of its items; [`LISTS`] are an item too.
pub(super) type Name = (String, Option<String>);

/// The last purges of a source and of an item, in milliseconds since 1970; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    source: u64,
    item: u64,
}

/// What was purged in this process until some moment, as far as it touches one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    source: u64,
    item: u64,
}

/// As a part of keys; nothing for who was never purged.
impl Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { source: 0, item: 0 } => Ok(()),
            Self { source, item } => write!(f, "{source:x}.{item:x}"),
        }
    }
}

impl Epoch {
    /// A version of this epoch.
    pub(super) fn stamp(&self, version: &mut String) {
        if *self != Self::default() {
            *version += &format!("~{self}");
        }
    }

    /// Whether a purge has ended it by now.
    pub(super) fn is_over(self, now: Self) -> bool {
        now.source > self.source || now.item > self.item
    }
}

impl Epochs {
    /// Purges that outlive a restart in `store`, which is where other replicas look for them.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (known, marks) = (Cache::new(KNOWN), RwLock::new(vec![0; MARKS]));
        let (count, gaps) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Shared { store, clock, known, marks, count, gaps }))
    }

    /// The epoch of an item, whoever began it. While the store does not answer, as far as it is known here.
    pub(super) async fn of(&self, source: &str, item: &str) -> Epoch {
        let (source, item) = ((source.to_owned(), None), (source.to_owned(), Some(item.to_owned())));
        let (source, item) = join(self.last(&source), self.last(&item)).await;
        Epoch { source, item }
    }

    async fn last(&self, name: &Name) -> u64 {
        let written = self.written(name).await.ok().flatten();
        written.max(self.0.known.get(name)).unwrap_or_default()
    }

    async fn written(&self, name: &Name) -> Result<Option<u64>, StoreError> {
        let at = self.0.store.get(&key(name)).await?;
        let at = at.and_then(|at| std::str::from_utf8(&at).ok()?.parse().ok());
        Ok(at.filter(|at| self.is_credible(*at)))
    }

    async fn write(&self, name: &Name, at: u64) -> Result<(), StoreError> {
        self.0.store.put(&key(name), Bytes::from(at.to_string()), KEPT).await
    }

    /// Begins a new epoch for a source, or for an item and the lists that may name it. It has begun here, whatever
    /// becomes of telling the store.
    pub(super) async fn begin(&self, source: &str, item: Option<&str>) -> (u64, Result<(), StoreError>) {
        let now = self.0.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut at = u64::try_from(now).unwrap_or(u64::MAX);
        let names = names(source, item);
        for name in &names {
            at = at.max(self.last(name).await.saturating_add(1));
        }
        self.learn(source, item, at);
        for name in &names {
            if let Err(error) = self.write(name, at).await {
                return (at, Err(error));
            }
        }
        (at, Ok(()))
    }

    /// All that this process began or heard of.
    pub(super) fn known(&self) -> Vec<(Name, u64)> {
        self.0.known.iter().collect()
    }

    /// Writes down an epoch again that the store has lost; whether it had.
    pub(super) async fn restore(&self, name: &Name, at: u64) -> Result<bool, StoreError> {
        let is_lost = self.written(name).await? < Some(at);
        if is_lost {
            self.write(name, at).await?;
        }
        Ok(is_lost)
    }

    /// Whether an epoch may have begun. One far in the future would never end.
    pub(super) fn is_credible(&self, at: u64) -> bool {
        let latest = self.0.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default() + AHEAD;
        u128::from(at) <= latest.as_millis()
    }

    /// Whether an epoch is one that was heard of before.
    pub(super) fn knows(&self, source: &str, item: Option<&str>, at: u64) -> bool {
        self.0.known.get(&(source.to_owned(), item.map(str::to_owned))) == Some(at)
    }

    /// An epoch that somebody began.
    pub(super) fn learn(&self, source: &str, item: Option<&str>, at: u64) {
        for name in names(source, item) {
            let at = at.max(self.0.known.get(&name).unwrap_or_default());
            self.0.known.insert(name, at);
        }
    }

    /// Says that from here on work which is under way is of an epoch that has ended, and has what it left forgotten,
    /// both at once.
    pub(super) fn turn(&self, source: &str, item: Option<&str>, forget: impl FnOnce()) {
        self.pass(&names(source, item), forget);
        self.0.count.fetch_add(1, Ordering::Release);
    }

    /// The same for what was told of one item, or of the lists, while its epoch goes on.
    pub(super) fn void(&self, source: &str, item: &str, forget: impl FnOnce()) {
        self.pass(&[(source.to_owned(), Some(item.to_owned()))], forget);
    }

    fn pass(&self, names: &[Name], forget: impl FnOnce()) {
        let mut marks = self.0.marks.write().unwrap_or_else(PoisonError::into_inner);
        names.iter().for_each(|name| marks[place(name)] += 1);
        forget();
    }

    /// Says that nobody here knows what was purged until now.
    pub(super) fn doubt(&self) {
        self.0.gaps.fetch_add(1, Ordering::Release);
        self.0.count.fetch_add(1, Ordering::Release);
    }

    /// How often nobody knew: what was looked at before the last time has to be looked at again.
    pub(super) fn gaps(&self) -> u64 {
        self.0.gaps.load(Ordering::Acquire)
    }

    /// What was purged until now of what an item depends on.
    pub(super) fn mark(&self, source: &str, item: &str) -> Mark {
        let marks = self.0.marks.read().unwrap_or_else(PoisonError::into_inner);
        Mark::read(&marks, source, item)
    }

    /// Does something unless there was a purge since the mark was read; none can begin while it is done.
    pub(super) fn unless_purged(&self, source: &str, item: &str, mark: Mark, work: impl FnOnce()) {
        let marks = self.0.marks.read().unwrap_or_else(PoisonError::into_inner);
        if Mark::read(&marks, source, item) == mark {
            work();
        }
    }

    /// How many purges there were: while it stays the same, nothing ended by one.
    pub(super) fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }
}

impl Mark {
    fn read(marks: &[u64], source: &str, item: &str) -> Self {
        Self { source: marks[spot(source, None)], item: marks[spot(source, Some(item))] }
    }
}

/// What a purge touches: an item takes the lists along that may name it.
fn names(source: &str, item: Option<&str>) -> Vec<Name> {
    let name = |item: Option<&str>| (source.to_owned(), item.map(str::to_owned));
    match item {
        None => vec![name(None)],
        Some(item) => vec![name(Some(item)), name(Some(LISTS))],
    }
}

/// In no source's place: a purge leaves it.
fn key((source, item): &Name) -> Key {
    Key::new(["epoch", "", source].into_iter().chain(item.as_deref()))
}

fn place((source, item): &Name) -> usize {
    spot(source, item.as_deref())
}

fn spot(source: &str, item: Option<&str>) -> usize {
    let mut hasher = DefaultHasher::new();
    (source, item).hash(&mut hasher);
    (hasher.finish() % MARKS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::clock::FixedClock;
    use crate::store::{Memory, Scope};

    fn epochs(store: &Arc<Memory>) -> Epochs {
        let clock = FixedClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        Epochs::new(store.clone(), Arc::new(clock))
    }

    #[tokio::test]
    async fn a_purge_begins_an_epoch_for_what_it_touches_and_everybody_sees_it() {
        let store = Arc::new(Memory::new("test", 1 << 20));
        let (one, other) = (epochs(&store), epochs(&store));
        let all = [("maps", "a"), ("maps", "b"), ("maps", LISTS), ("views", "a")];
        let of = async |epochs: &Epochs| {
            let mut found = Vec::new();
            for (source, item) in all {
                found.push(epochs.of(source, item).await.to_string());
            }
            found
        };
        assert_eq!(of(&one).await, ["", "", "", ""]);
        assert_eq!(one.begin("maps", Some("a")).await.0, 1_000_000);
        assert_eq!(of(&other).await, ["0.f4240", "", "0.f4240", ""]);
        // Clocks may stand still, or differ.
        assert_eq!(other.begin("maps", Some("a")).await.0, 1_000_001);
        assert_eq!(other.begin("maps", None).await.0, 1_000_000);
        assert_eq!(of(&one).await, ["f4240.f4241", "f4240.0", "f4240.f4241", ""]);
        // What is dropped of a source does not bring back what its epoch keeps away.
        store.purge_now(&Scope::new("maps", None));
        assert_eq!(of(&one).await, of(&other).await);
        assert_eq!(of(&epochs(&store)).await[1], "f4240.0");
    }

    #[tokio::test]
    async fn what_is_known_holds_while_the_store_knows_nothing() {
        let (store, lost) = (Arc::new(Memory::new("test", 1 << 20)), Key::new(["epoch", "", "maps", "a"]));
        let epochs = epochs(&store);
        epochs.learn("maps", Some("a"), 7);
        assert_eq!(epochs.of("maps", "a").await, Epoch { source: 0, item: 7 });
        epochs.begin("maps", Some("a")).await.1.unwrap();
        store.remove(&lost).await.unwrap();
        assert_eq!(epochs.of("maps", "a").await, Epoch { source: 0, item: 1_000_000 });
        for nonsense in ["nonsense", "", "-1", "18446744073709551615", "99999999999999999999"] {
            store.put_now(&lost, Bytes::from(nonsense), KEPT);
            assert_eq!(epochs.of("maps", "a").await, Epoch { source: 0, item: 1_000_000 }, "{nonsense}");
        }
    }

    #[test]
    fn a_purge_stops_what_began_before_it() {
        let epochs = epochs(&Arc::new(Memory::new("test", 1 << 20)));
        for (source, item, stopped) in [
            ("maps", Some("a"), true),
            ("maps", None, true),
            ("maps", Some("b"), false),
            ("views", Some("a"), false),
            ("views", None, false),
        ] {
            let (mark, mut done, mut forgotten) = (epochs.mark("maps", "a"), false, false);
            epochs.turn(source, item, || forgotten = true);
            epochs.unless_purged("maps", "a", mark, || done = true);
            assert_eq!((done, forgotten), (!stopped, true), "{source} {item:?}");
        }
        let (mark, mut done) = (epochs.mark("maps", "a"), 0);
        epochs.doubt();
        epochs.unless_purged("maps", "a", mark, || done += 1);
        epochs.void("maps", "a", || ());
        epochs.unless_purged("maps", "a", mark, || done += 1);
        assert_eq!(done, 1, "who does not know ends nothing");
    }

    #[tokio::test]
    async fn what_the_store_has_lost_is_written_down_again() {
        let store = Arc::new(Memory::new("test", 1 << 20));
        let epochs = epochs(&store);
        epochs.begin("maps", Some("a")).await.1.unwrap();
        let lost = async || {
            let mut lost = Vec::new();
            for (name, at) in epochs.known() {
                lost.extend(epochs.restore(&name, at).await.unwrap().then_some((name.1.unwrap(), at)));
            }
            lost
        };
        assert_eq!(lost().await, []);
        let (gone, newer) = (Key::new(["epoch", "", "maps", "a"]), Key::new(["epoch", "", "maps", LISTS]));
        store.remove(&gone).await.unwrap();
        store.put_now(&newer, Bytes::from("1000001"), KEPT);
        assert_eq!(lost().await, [("a".to_owned(), 1_000_000)]);
        assert_eq!(store.get_now(&gone).unwrap(), "1000000");
        assert_eq!(store.get_now(&newer).unwrap(), "1000001");
        assert!(epochs.knows("maps", Some("a"), 1_000_000) && !epochs.knows("maps", Some("a"), 999_999));
    }

    #[test]
    fn a_version_is_stamped_once_there_was_a_purge() {
        let stamped = |epoch: Epoch| {
            let mut version = "7".to_owned();
            epoch.stamp(&mut version);
            version
        };
        assert_eq!(stamped(Epoch::default()), "7");
        assert_eq!(stamped(Epoch { source: 0, item: 255 }), "7~0.ff");
    }
}
