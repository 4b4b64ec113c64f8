//! Who works on a folder: gateways together, or a command that changes what lies there alone.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use tracing::{info, warn};

use super::{StoreError, blocking};

/// The file in the folder that is locked; there is nothing in it.
const FILE: &str = "lock";

/// Held as long as this lives, and no longer than the process does.
#[derive(Debug)]
pub struct Claim {
    _file: Option<File>,
}

impl Claim {
    /// Beside others; waits while somebody is alone there. Makes the folder if it is missing.
    pub async fn shared(dir: &Path) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        blocking(move || {
            fs::create_dir_all(&dir).map_err(StoreError::io("create", &dir))?;
            let locked = open(&dir).and_then(|file| wait_for(&file, &dir).map(|()| file));
            if let Err(error) = &locked {
                // Others only cannot know of us.
                warn!(dir = %dir.display(), %error, "the cache cannot be locked, going on without");
            }
            Ok(Self { _file: locked.ok() })
        })
        .await
    }

    /// Alone; `None` while somebody else is there.
    pub fn alone(dir: &Path) -> Result<Option<Self>, StoreError> {
        let file = open(dir).map_err(StoreError::io("lock", dir))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", dir)(error)),
        }
    }
}

fn wait_for(file: &File, dir: &Path) -> std::io::Result<()> {
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            info!(dir = %dir.display(), "the cache is being purged, waiting for that");
            file.lock_shared()
        }
        locked => Ok(locked?),
    }
}

fn open(dir: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(dir.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_are_there_together_and_one_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("cache");
        assert!(Claim::alone(&dir).is_err(), "nobody makes a folder to be alone in it");
        let (one, other) = (Claim::shared(&dir).await.unwrap(), Claim::shared(&dir).await.unwrap());
        assert!(Claim::alone(&dir).unwrap().is_none());
        drop(one);
        assert!(Claim::alone(&dir).unwrap().is_none());
        drop(other);
        let alone = Claim::alone(&dir).unwrap().unwrap();
        let waiting = tokio::spawn({
            let dir = dir.clone();
            async move { Claim::shared(&dir).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(alone);
        waiting.await.unwrap().unwrap();
    }
}
