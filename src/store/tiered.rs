//! Memory in front of a slower store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Dropped, Found, Key, Memory, Scope, Store, StoreError};

/// Memory in front of a slower store, which alone decides what is there: memory holds copies.
///
/// For things that can be made again. Where several replicas share the slower store, or while a
/// removal and a look-up run at the same time, a copy may outlive its original until it ends: a
/// session belongs into the slower store itself.
#[derive(Clone, Debug)]
pub struct Tiered {
    memory: Arc<Memory>,
    back: Arc<dyn Store>,
}

impl Tiered {
    /// `memory` in front of `back`.
    pub fn new(memory: Arc<Memory>, back: Arc<dyn Store>) -> Self {
        Self { memory, back }
    }
}

#[async_trait]
impl Store for Tiered {
    async fn look(&self, key: &Key) -> Result<Option<Found>, StoreError> {
        if let Some(found) = self.memory.look_now(key) {
            return Ok(Some(found));
        }
        let found = self.back.look(key).await?;
        if let Some(found) = &found {
            self.memory.put_now(key, found.value.clone(), found.left);
        }
        Ok(found)
    }

    /// Kept in memory even if the slower store fails: a full disk costs speed, not answers.
    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.memory.put_now(key, value.clone(), ttl);
        self.back.put(key, value, ttl).await
    }

    async fn take(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let taken = self.back.take(key).await;
        self.memory.remove(key).await?;
        taken
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let removed = self.back.remove(key).await;
        self.memory.remove(key).await?;
        removed
    }

    async fn touch(&self, key: &Key, ttl: Duration) -> Result<(), StoreError> {
        self.memory.touch(key, ttl).await?;
        self.back.touch(key, ttl).await
    }

    async fn put_new(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, StoreError> {
        let placed = self.back.put_new(key, value.clone(), ttl).await?;
        if placed {
            self.memory.put_now(key, value, ttl);
        }
        Ok(placed)
    }

    /// Counts what the slower store had; memory holds copies.
    async fn purge(&self, scope: &Scope) -> Result<Dropped, StoreError> {
        self.memory.purge_now(scope);
        self.back.purge(scope).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::clock::FixedClock;
    use crate::store::{Disk, suite};

    fn key(n: usize) -> Key {
        Key::new(["tile", &n.to_string()])
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn passes_the_suite() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let disk = Disk::open("test", dir.path(), 1 << 20, clock.clone()).unwrap();
        let store = Arc::new(Tiered::new(Arc::new(Memory::new("test", 1 << 20)), Arc::new(disk)));
        let pass = async |time| {
            clock.advance(time);
            tokio::time::advance(time).await;
        };
        suite::run(store, pass).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_lives_no_longer_than_its_original() {
        let back = Arc::new(Memory::new("test", 1 << 20));
        let store = Tiered::new(Arc::new(Memory::new("test", 1 << 20)), back.clone());
        back.put_now(&key(1), Bytes::from_static(b"v"), Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(store.memory.get_now(&key(1)), None);
        assert_eq!(store.look(&key(1)).await.unwrap().unwrap().left, Duration::from_secs(10));
        assert!(store.memory.get_now(&key(1)).is_some());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(store.memory.get_now(&key(1)), None);
    }

    #[tokio::test]
    async fn memory_answers_where_the_disk_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(SystemTime::now()));
        let disk = Disk::open("test", dir.path(), 1 << 20, clock).unwrap();
        let store = Tiered::new(Arc::new(Memory::new("test", 1 << 20)), Arc::new(disk));
        std::fs::remove_dir_all(dir.path()).unwrap();
        std::fs::write(dir.path(), "in the way").unwrap();
        assert!(store.put(&key(1), Bytes::from_static(b"v"), HOUR).await.is_err());
        assert!(store.memory.get_now(&key(1)).is_some());
        std::fs::remove_file(dir.path()).unwrap();
    }
}
