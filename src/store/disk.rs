//! A store on disk: one file per entry, safe against being killed at any moment.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use tracing::warn;

use super::entry::{self, Entry};
use super::index::Name;
use super::metrics::{self, Outcome};
use super::seldom::Seldom;
use super::shelf::{Flush, Shelf, Tenure};
use super::{Dropped, Found, Key, Scope, Store, StoreError, blocking};
use crate::clock::Clock;

/// A value larger than one in so many parts of the store would push out too much else.
const SHARE: u64 = 16;
/// Entries that change at the same time share no lock with each other, mostly.
const LOCKS: usize = 64;

/// A store on disk. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    shelf: Shelf,
    clock: Arc<dyn Clock>,
    /// Held while an entry is changed, by its hash: `take`, `put_new` and `touch` read before they write.
    locks: [Mutex<()>; LOCKS],
    complaints: Seldom,
}

impl Disk {
    /// Opens a folder, which is made if it is missing, for this many bytes; `name` labels metrics.
    ///
    /// Entries that are there already are found again in the background.
    pub fn open(
        name: &'static str,
        dir: &Path,
        bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Self::open_as(Tenure::Owner, name, dir, bytes, clock)
    }

    /// The same for a folder that may belong to another process.
    pub fn open_as(
        tenure: Tenure,
        name: &'static str,
        dir: &Path,
        bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let inner = Inner {
            name,
            shelf: Shelf::open(name, dir, bytes, tenure)?,
            clock,
            locks: [const { Mutex::new(()) }; LOCKS],
            complaints: Seldom::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether all entries are found again that were there at the start.
    pub fn is_scanned(&self) -> bool {
        self.inner.shelf.is_scanned()
    }

    async fn change<T: Send + 'static>(
        &self,
        key: &Key,
        work: impl FnOnce(&Inner, &Key) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        let outcome = blocking(move || {
            let _lock = inner.lock(Name::of(&key));
            work(&inner, &key)
        })
        .await;
        if let Err(error) = &outcome {
            self.inner.warn(error);
        }
        outcome
    }
}

#[async_trait]
impl Store for Disk {
    async fn look(&self, key: &Key) -> Result<Option<Found>, StoreError> {
        // What is not there is told without a thread.
        if self.inner.shelf.find(Name::of(key)).is_none() {
            metrics::request(self.inner.name, Outcome::Miss);
            return Ok(None);
        }
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || inner.look(&key)).await
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.change(key, move |inner, key| inner.put(key, &value, ttl)).await
    }

    async fn take(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.change(key, |inner, key| {
            let found = inner.look(key)?;
            inner.shelf.remove(Name::of(key));
            Ok(found.map(|found| found.value))
        })
        .await
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.change(key, |inner, key| {
            inner.shelf.remove(Name::of(key));
            Ok(())
        })
        .await
    }

    async fn touch(&self, key: &Key, ttl: Duration) -> Result<(), StoreError> {
        self.change(key, move |inner, key| match inner.look(key)? {
            Some(found) => inner.put(key, &found.value, ttl),
            None => Ok(()),
        })
        .await
    }

    async fn put_new(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, StoreError> {
        self.change(key, move |inner, key| {
            if inner.look(key)?.is_some() {
                return Ok(false);
            }
            inner.put(key, &value, ttl)?;
            Ok(inner.shelf.find(Name::of(key)).is_some())
        })
        .await
    }

    async fn purge(&self, scope: &Scope) -> Result<Dropped, StoreError> {
        let (inner, scope) = (Arc::clone(&self.inner), scope.clone());
        blocking(move || Ok(inner.shelf.purge(&scope))).await
    }
}

impl Inner {
    fn lock(&self, name: Name) -> MutexGuard<'_, ()> {
        self.locks[name.spread(LOCKS)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: &Key) -> Result<Option<Found>, StoreError> {
        let entry = self.read(key)?;
        let left =
            |entry: &Entry| entry.end.duration_since(self.clock.now()).ok().filter(|left| !left.is_zero());
        let found = entry.and_then(|entry| left(&entry).map(|left| Found { value: entry.value, left }));
        metrics::request(self.name, if found.is_some() { Outcome::Hit } else { Outcome::Miss });
        Ok(found)
    }

    fn read(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let name = Name::of(key);
        let Some(mut path) = self.shelf.find(name) else { return Ok(None) };
        let file = loop {
            match std::fs::read(&path) {
                Ok(file) => break file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => match self.shelf.find(name) {
                    // A value of another length took its place while we came here.
                    Some(other) if other != path => path = other,
                    // Dropped to make room, or somebody else removed it.
                    _ => return Ok(None),
                },
                Err(error) => {
                    metrics::request(self.name, Outcome::Failed);
                    return Err(StoreError::io("read", &path)(error));
                }
            }
        };
        entry::parse(key, file.into()).map(Some).or_else(|damage| {
            warn!(store = self.name, path = %path.display(), "dropping a cached entry: {damage}");
            metrics::request(self.name, Outcome::Broken);
            self.shelf.remove(name);
            Ok(None)
        })
    }

    fn put(&self, key: &Key, value: &Bytes, ttl: Duration) -> Result<(), StoreError> {
        let name = Name::of(key);
        let size = entry::size(key, value);
        if ttl.is_zero() || size > self.shelf.budget() / SHARE || !self.shelf.has_room(size) {
            // The old value must not stay in place of the new one.
            self.shelf.remove(name);
            metrics::request(self.name, Outcome::Refused);
            return Ok(());
        }
        let written = self.write(name, key, value, ttl);
        if written.is_err() {
            self.shelf.remove(name);
        }
        metrics::request(self.name, if written.is_ok() { Outcome::Stored } else { Outcome::Failed });
        written
    }

    fn write(&self, name: Name, key: &Key, value: &Bytes, ttl: Duration) -> Result<(), StoreError> {
        let end = self.clock.now().checked_add(ttl).unwrap_or_else(end_of_time);
        let mut draft = self.shelf.draft(name)?;
        draft.write(&entry::head(key, value, end))?;
        draft.write(value)?;
        draft.shelve(Flush::None).map(drop)
    }

    /// Once a minute: whoever asked goes on without the store, and hears nothing.
    fn warn(&self, error: &StoreError) {
        if self.complaints.is_due() {
            let dir = self.shelf.dir().display();
            warn!(store = self.name, %error, "store `{}` in `{dir}` is unavailable, going on without", self.name);
        }
    }
}

/// A time that no process lives to see, which the clock can still hold.
fn end_of_time() -> SystemTime {
    const YEARS: Duration = Duration::from_secs(1000 * 365 * 86_400);
    UNIX_EPOCH + YEARS
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::clock::FixedClock;
    use crate::store::suite;

    const HOUR: Duration = Duration::from_secs(3600);
    /// Where the process that is going to be killed writes.
    const DIR: &str = "STORE_TEST_DIR";

    fn key(n: usize) -> Key {
        Key::new(["tile", &n.to_string()])
    }

    fn value(n: usize) -> Bytes {
        Bytes::from(vec![n as u8; 1000 + n * 37])
    }

    fn open(dir: &Path, bytes: u64) -> Disk {
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let disk = Disk::open("test", dir, bytes, clock).unwrap();
        disk.inner.shelf.scanned();
        disk
    }

    fn path_of(disk: &Disk, key: &Key) -> PathBuf {
        disk.inner.shelf.find(Name::of(key)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn passes_the_suite() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let disk = Disk::open("test", dir.path(), 1 << 20, clock.clone()).unwrap();
        suite::run(Arc::new(disk), async |time| clock.advance(time)).await;
    }

    #[tokio::test]
    async fn entries_are_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 1 << 20);
        disk.put(&key(1), value(1), HOUR).await.unwrap();
        drop(disk);
        let disk = open(dir.path(), 1 << 20);
        assert_eq!(disk.get(&key(1)).await.unwrap(), Some(value(1)));
    }

    #[tokio::test]
    async fn the_budget_is_kept_and_what_is_used_stays() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 100_000);
        for n in 0..100 {
            disk.put(&key(n), value(n), HOUR).await.unwrap();
            assert!(disk.get(&key(0)).await.unwrap().is_some(), "{n}");
            assert!(disk.inner.shelf.bytes() <= 100_000);
        }
        assert!(disk.get(&key(1)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_value_too_large_is_not_kept_and_replaces_none() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 100_000);
        disk.put(&key(1), value(1), HOUR).await.unwrap();
        disk.put(&key(1), Bytes::from(vec![0; 50_000]), HOUR).await.unwrap();
        assert_eq!(disk.get(&key(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_damaged_entry_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 1 << 20);
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage); 5] = [
            ("cut short", |file| file.truncate(20)),
            ("emptied", Vec::clear),
            ("one bit in the value", |file| *file.last_mut().unwrap() ^= 1),
            ("one bit in the end time", |file| file[13] ^= 1),
            ("another file", |file| *file = b"<html>".to_vec()),
        ];
        for (name, damage) in damages {
            disk.put(&key(1), value(1), HOUR).await.unwrap();
            let path = path_of(&disk, &key(1));
            let mut file = fs::read(&path).unwrap();
            damage(&mut file);
            fs::write(&path, file).unwrap();
            assert_eq!(disk.get(&key(1)).await.unwrap(), None, "{name}");
            assert!(!path.exists(), "{name}");
        }
        assert_eq!(disk.inner.shelf.bytes(), 0);
    }

    #[tokio::test]
    async fn an_entry_of_another_key_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 1 << 20);
        for n in [11, 22] {
            disk.put(&key(n), value(1), HOUR).await.unwrap();
        }
        fs::copy(path_of(&disk, &key(22)), path_of(&disk, &key(11))).unwrap();
        assert_eq!(disk.get(&key(11)).await.unwrap(), None);
        assert_eq!(disk.get(&key(22)).await.unwrap(), Some(value(1)));
    }

    #[tokio::test]
    async fn a_file_taken_away_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 1 << 20);
        disk.put(&key(1), value(1), HOUR).await.unwrap();
        fs::remove_file(path_of(&disk, &key(1))).unwrap();
        assert_eq!(disk.get(&key(1)).await.unwrap(), None);
        disk.put(&key(1), value(1), HOUR).await.unwrap();
        assert_eq!(disk.get(&key(1)).await.unwrap(), Some(value(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_cannot_be_written_warns_once_a_minute_and_answers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 1 << 20);
        disk.put(&key(1), value(1), HOUR).await.unwrap();
        disk.put(&key(2), value(2), HOUR).await.unwrap();
        let drafts = dir.path().join("drafts");
        fs::remove_dir(&drafts).unwrap();
        fs::write(&drafts, "in the way").unwrap();

        assert!(disk.put(&key(2), value(3), HOUR).await.is_err());
        assert_eq!(disk.get(&key(1)).await.unwrap(), Some(value(1)));
        assert_eq!(disk.get(&key(2)).await.unwrap(), None, "the old value must not stay");
        assert!(!disk.inner.complaints.is_due(), "it was said just now");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(disk.put(&key(2), value(3), HOUR).await.is_err());
        assert!(!disk.inner.complaints.is_due(), "it was said again");

        fs::remove_file(&drafts).unwrap();
        fs::create_dir(&drafts).unwrap();
        disk.put(&key(2), value(2), HOUR).await.unwrap();
        assert_eq!(disk.get(&key(2)).await.unwrap(), Some(value(2)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_value_that_is_replaced_is_never_missing() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 1 << 20);
        disk.put(&key(1), value(1), HOUR).await.unwrap();
        let writer = disk.clone();
        let writing = tokio::spawn(async move {
            for n in 0..300 {
                writer.put(&key(1), value(n % 7), HOUR).await.unwrap();
            }
        });
        while !writing.is_finished() {
            assert!(disk.get(&key(1)).await.unwrap().is_some());
        }
        writing.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn readers_and_writers_at_once_see_whole_values() {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), 300_000);
        let tasks = (0..8_usize).map(|task| {
            let disk = disk.clone();
            tokio::spawn(async move {
                for round in 0..100 {
                    let n = (task * 13 + round) % 100;
                    match disk.get(&key(n)).await.unwrap() {
                        Some(found) => assert_eq!(found, value(n)),
                        None => disk.put(&key(n), value(n), HOUR).await.unwrap(),
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(disk.inner.shelf.bytes() <= 300_000);
    }

    #[tokio::test]
    async fn a_process_killed_while_it_writes_leaves_no_broken_entry() {
        let dir = tempfile::tempdir().unwrap();
        for lines in [30, 60, 90] {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "store::disk::tests::writes_until_it_is_killed",
                    "--ignored",
                    "--nocapture",
                ])
                .env(DIR, dir.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            assert_eq!(told.filter(|line| line.contains("wrote")).take(lines).count(), lines);
            child.kill().unwrap();
            child.wait().unwrap();

            let disk = open(dir.path(), 10 << 20);
            let mut kept = 0;
            for n in 0..200 {
                let found = disk.get(&key(n)).await.unwrap();
                assert!(found.is_none() || found == Some(value(n)), "{n}");
                kept += usize::from(found.is_some());
            }
            assert!(kept >= lines.min(30), "{kept}");
            assert_eq!(fs::read_dir(dir.path().join("drafts")).unwrap().count(), 0);
        }
    }

    #[tokio::test]
    #[ignore = "runs in a process of its own, which the test above kills"]
    async fn writes_until_it_is_killed() {
        let Some(dir) = std::env::var_os(DIR) else { return };
        let disk = open(Path::new(&dir), 10 << 20);
        for n in (0..200).cycle() {
            disk.put(&key(n), value(n), HOUR).await.unwrap();
            println!("wrote {n}");
        }
    }
}
