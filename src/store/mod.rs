//! Bytes under a key, for a while: in memory, on disk, in Redis, and one in front of the other.
//!
//! A [`Store`] holds finished answers and small records, [`Files`] holds large files that are read
//! in place. All are bounded in bytes and forget what was used least recently. What they hold can
//! always be made again: an entry may be gone at any time, but it is never wrong.

use std::fmt::{self, Debug, Display};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::units;

pub mod bucket;
mod claim;
mod disk;
mod entry;
mod files;
mod index;
mod memory;
pub mod metrics;
pub mod redis;
mod scope;
mod seldom;
mod shelf;
#[cfg(test)]
mod suite;
mod tiered;
mod watch;

pub use bucket::Bucket;
pub use claim::Claim;
pub use disk::Disk;
pub use files::{Draft, File, Files, Writer, glance, read};
pub use memory::Memory;
pub use redis::Redis;
pub use scope::{Dropped, LISTS, Scope};
pub use shelf::Tenure;
pub use tiered::Tiered;
pub use watch::Standing;

/// A place for bytes under a key.
#[async_trait]
pub trait Store: Send + Sync + Debug + 'static {
    /// The value and how long it is still good for.
    async fn look(&self, key: &Key) -> Result<Option<Found>, StoreError>;

    /// Keeps a value for a while; one that was there before is replaced. A value that is too large
    /// for the store is not kept, which is no error.
    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError>;

    /// Reads and removes in one step: of two callers exactly one gets the value.
    async fn take(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;

    /// Forgets a value.
    async fn remove(&self, key: &Key) -> Result<(), StoreError>;

    /// Makes a value good for so long from now on; does nothing where there is none.
    async fn touch(&self, key: &Key, ttl: Duration) -> Result<(), StoreError>;

    /// Keeps a value only if there is none: of two callers exactly one is told `true`.
    async fn put_new(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, StoreError>;

    /// Drops all that belongs to a scope, as far as it is there when this begins.
    async fn purge(&self, scope: &Scope) -> Result<Dropped, StoreError>;

    /// The value.
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.look(key).await?.map(|found| found.value))
    }
}

/// A value that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Bytes,
    /// How long it is still good for; never zero.
    pub left: Duration,
}

/// The name of an entry, made of parts: `{kind}/{source}/{identity}/{item}/…`. Cloning it is cheap.
///
/// A slash within a part is written `%2F`, so that other parts never make the same key. Whatever belongs to an item has
/// it in this place, and one more part at least, so that all of it is found again: see [`Scope`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Arc<str>);

impl Key {
    /// A key of these parts.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut key = String::with_capacity(256);
        let mut parts = parts.into_iter();
        push(&mut key, parts.next().unwrap_or_default());
        for part in parts {
            key.push('/');
            push(&mut key, part);
        }
        Self(key.into())
    }

    /// This key with one part more.
    pub fn with(&self, part: &str) -> Self {
        let mut key = format!("{self}/");
        push(&mut key, part);
        Self(key.into())
    }

    /// The whole key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes a part so that its slashes are none.
fn push(key: &mut String, part: &str) {
    let mut rest = part;
    while let Some(at) = rest.find(['%', '/']) {
        key.push_str(&rest[..at]);
        key.push_str(if rest[at..].starts_with('%') { "%25" } else { "%2F" });
        rest = &rest[at + 1..];
    }
    key.push_str(rest);
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a store gave no answer. A cache goes on without it; a session cannot.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, read-only or gone.
    #[error("cannot {doing} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried: `read`, `write`, …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What is being written would take more than there is; or a guest found no room, and may not make any.
    #[error("no room is left in `{path}`: {budget} may be taken there", path = path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// How much it may hold.
        budget: units::Bytes,
    },
    /// Redis does not answer in time, cannot be reached, or refuses.
    #[error("Redis at `{at}`: {reason}")]
    Redis {
        /// Where it is.
        at: String,
        /// What it said, or what came instead of an answer.
        reason: String,
    },
    /// A bucket does not answer in time, cannot be reached, or refuses.
    #[error("the bucket `{at}`: {reason}")]
    Bucket {
        /// Which one.
        at: String,
        /// What it said, or what came instead of an answer.
        reason: String,
    },
    /// The process is ending, or the work on a blocking thread failed in a way that nobody expected.
    #[error("the store was interrupted")]
    Interrupted,
}

impl StoreError {
    /// Whether more room would have helped: budget or disk is used up.
    pub fn is_for_room(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Redis { .. } | Self::Bucket { .. } | Self::Interrupted => false,
        }
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// `[cache]`: where finished work is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The folder for derivatives, originals and pyramids; created if missing.
    pub dir: PathBuf,
    /// How many bytes of finished answers are kept in memory.
    pub memory: units::Bytes,
    /// How many bytes are kept on disk.
    pub disk: units::Bytes,
    /// Where several gateways keep their pyramids together.
    pub bucket: Option<bucket::Settings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("var/cache"),
            memory: units::Bytes::mib(256),
            disk: units::Bytes::gib(20),
            bucket: None,
        }
    }
}

/// Does work that waits for the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Interrupted)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parts_make_other_keys() {
        assert_eq!(Key::new(["tile", "maps", "a/b.tif"]).as_str(), "tile/maps/a%2Fb.tif");
        let keys = [
            Key::new(["a", "b/c"]),
            Key::new(["a/b", "c"]),
            Key::new(["a", "b", "c"]),
            Key::new(["a", "b%2Fc"]),
            Key::new(["a", "b%252Fc"]),
            Key::new(["a", "", "b"]),
            Key::new(["a", "b", ""]),
            Key::new(["a", "b"]).with("d"),
        ];
        assert_eq!(Key::new(["a", "b"]).with("c/d"), Key::new(["a", "b", "c/d"]));
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(key), "{key}");
        }
    }

    #[test]
    fn settings_have_defaults_and_refuse_what_they_do_not_know() {
        let settings: Settings = toml::from_str("memory = \"1MiB\"").unwrap();
        assert_eq!(settings, Settings { memory: units::Bytes::mib(1), ..Settings::default() });
        assert!(toml::from_str::<Settings>("memroy = \"1MiB\"").is_err());
    }

    #[test]
    fn errors_name_the_file() {
        let error = StoreError::io("write", Path::new("var/cache/a"))(io::ErrorKind::StorageFull.into());
        assert_eq!(error.to_string(), "cannot write `var/cache/a`: no storage space");
    }
}
