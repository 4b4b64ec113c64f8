//! Pyramids in a bucket: what one replica has made, the others need not.
//!
//! It stands behind the disk, and in nobody's way: whatever it cannot do is done as if there were none.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::ServeError;
use super::flight::Flights;
use super::gate::Grant;
use super::replicas::{Replicas, Stint};
use crate::store::bucket::Inventory;
use crate::store::{Bucket, Dropped, File, Files, Key, StoreError};

/// Pyramids that are fetched at once.
const FETCHED: usize = 4;
/// Pyramids that are sent at once, each a piece at a time.
const SENT: usize = 2;
/// Pyramids that wait to be sent. One for which there is no place is not: whoever wants it makes another.
const QUEUE: usize = 1000;

/// What one replica has made, where the others find it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Depot {
    bucket: Bucket,
    replicas: Replicas,
    pauses: &'static [Duration],
    fetching: Arc<Semaphore>,
    sending: Arc<Semaphore>,
    sent: Flights<Key, ()>,
}

/// How long a pyramid is kept in mind that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nobody waits for it.
    Long,
    /// A run waits for it that will tell how it went.
    Short,
}

impl Depot {
    /// In this bucket; replicas make one thing once.
    pub fn new(bucket: Bucket, replicas: Replicas, patience: Patience) -> Self {
        const LONG: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
        let pauses = match patience {
            Patience::Long => LONG,
            Patience::Short => &LONG[..1],
        };
        let (fetching, sending) = (Semaphore::new(FETCHED), Semaphore::new(SENT));
        let (fetching, sending) = (Arc::new(fetching), Arc::new(sending));
        Self { bucket, replicas, pauses, fetching, sending, sent: Flights::default() }
    }

    /// Whether a pyramid is there, as far as can be told.
    pub(super) async fn has(&self, key: &Key) -> bool {
        self.bucket.has(key).await.unwrap_or(false)
    }

    /// Copies a pyramid onto the disk, if it is there. Whether it is whole has to be seen.
    pub(super) async fn fetch(&self, key: &Key, files: &Files) -> Option<File> {
        let _turn = self.fetching.acquire().await;
        let fetched = self.bucket.fetch(key, files).await;
        fetched.inspect_err(|error| tracing::debug!(%error, "no pyramid is fetched")).ok()?
    }

    /// The turn to make a pyramid, once no other replica makes it; or what one of them has made, if `look` finds it.
    pub(super) async fn turn<V, F>(&self, key: &Key, look: impl FnOnce() -> F) -> Result<V, Stint>
    where
        F: Future<Output = Option<V>>,
    {
        self.replicas.stint(key, look).await
    }

    /// Sends the pyramid of a grant in the background, and lets the other replicas wait for that.
    pub(super) fn send(&self, grant: &Grant, key: &Key, files: &Files, stint: Stint) {
        let (depot, files, named) = (self.clone(), files.clone(), key.clone());
        let view = Arc::clone(&grant.view);
        self.sent.begin(key.clone(), QUEUE, || async move {
            depot.deliver(&named, &files, Some(stint)).await?;
            // The purge may have gone through the bucket before it was there.
            if view.is_purged() {
                depot.bucket.remove(&named).await.map_err(ServeError::internal)?;
            }
            Ok(())
        });
    }

    /// Sees to it that a pyramid is there which is on the disk.
    pub(super) async fn ensure(&self, key: &Key, files: &Files) -> Result<(), ServeError> {
        let (depot, files, named) = (self.clone(), files.clone(), key.clone());
        let work = || async move {
            if depot.has(&named).await { Ok(()) } else { depot.deliver(&named, &files, None).await }
        };
        self.sent.join(key.clone(), work).await
    }

    /// Removes a pyramid that is damaged.
    pub(super) async fn discard(&self, key: &Key) {
        if let Err(error) = self.bucket.discard(key).await {
            tracing::debug!(%error, "a damaged pyramid stays in the bucket");
        }
    }

    /// All pyramids of a source that are there.
    pub(super) async fn inventory(&self, source: &str) -> Result<Inventory, StoreError> {
        self.bucket.inventory("pyramid", source).await
    }

    /// Removes all pyramids of a source, or of one of its items.
    pub(super) async fn purge(&self, source: &str, item: Option<&str>) -> Result<Dropped, StoreError> {
        let entries = self.bucket.remove_all("pyramid", source, item).await?;
        Ok(Dropped { entries, bytes: 0 })
    }

    /// Tries several times. In between, others have the turn, and no other replica waits for it.
    async fn deliver(&self, key: &Key, files: &Files, mut stint: Option<Stint>) -> Result<(), ServeError> {
        let mut pauses = self.pauses.iter();
        loop {
            let turn = self.sending.acquire().await;
            // What was dropped meanwhile to make room was not wanted.
            let Some(file) = files.open(key).await.map_err(ServeError::internal)? else { return Ok(()) };
            let Err(error) = self.bucket.send(key, &file).await else { return Ok(()) };
            drop((turn, file, stint.take()));
            tracing::debug!(%error, "a pyramid is not sent");
            let Some(pause) = pauses.next() else { return Err(ServeError::internal(error)) };
            sleep(*pause).await;
        }
    }
}
