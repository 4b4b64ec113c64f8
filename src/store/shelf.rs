//! A folder of files with a budget of bytes: what [`super::Disk`] and [`super::Files`] have in common.
//!
//! A file lies at `ab/cdef….LENGTH`: its name, which is made of hashes of its key, in folders by its first two digits, and its
//! length. A new file is written under `drafts/` and gets its name when it is complete, so that a
//! process that is killed leaves either a whole file or a draft, and such drafts are removed at start. A
//! file whose length is not the one in its name is not what was written, and goes too.
//!
//! The index of what is there is in memory. It is rebuilt at start on a thread of its own; until that
//! is done, files that were not seen yet are missing to those who ask. Names are given and taken away
//! under the lock of the index, so that index and folder agree.
//!
//! A folder has one owner, which drops what was not used for long. Another process may come as a guest: it drops
//! nothing to make room, and the owner learns of what it leaves there by looking.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use tempfile::NamedTempFile;
use tracing::{info, warn};

use super::index::{Index, Name, Owners, Slot};
use super::{Dropped, Scope, StoreError, metrics};

const DRAFTS: &str = "drafts";

/// Whose a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// Ours: what was not used for long goes when the budget is used up.
    Owner,
    /// Another process may be at home there: nothing goes, and what finds no room is not kept.
    Guest,
}

/// A folder of files with a budget.
pub(super) struct Shelf {
    room: Arc<Room>,
    scan: Mutex<Option<JoinHandle<()>>>,
}

struct Room {
    name: &'static str,
    dir: PathBuf,
    budget: u64,
    tenure: Tenure,
    index: Mutex<Index>,
}

impl Shelf {
    /// Opens a folder, which is made if it is missing. `name` labels metrics and messages.
    pub(super) fn open(
        name: &'static str,
        dir: &Path,
        budget: u64,
        tenure: Tenure,
    ) -> Result<Self, StoreError> {
        let drafts = dir.join(DRAFTS);
        fs::create_dir_all(&drafts).map_err(StoreError::io("create", &drafts))?;
        clear(&drafts).map_err(StoreError::io("clear", &drafts))?;
        let index = Mutex::new(Index::new());
        let room = Arc::new(Room { name, dir: dir.to_owned(), budget, tenure, index });
        let scanned = Arc::clone(&room);
        let scan = thread::Builder::new()
            .name(format!("scan {name}"))
            .spawn(move || scanned.scan())
            .map_err(StoreError::io("scan", dir))?;
        Ok(Self { room, scan: Mutex::new(Some(scan)) })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.room.dir
    }

    pub(super) fn budget(&self) -> u64 {
        self.room.budget
    }

    /// Whether so many more bytes find a place.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.room.has_room(&self.room.lock(), bytes)
    }

    /// Bytes that files and drafts take.
    pub(super) fn bytes(&self) -> u64 {
        let index = self.room.lock();
        index.bytes + index.drafted
    }

    /// Looks on the disk for a file that another process may have left there.
    pub(super) fn adopt(&self, name: Name) -> bool {
        self.room.adopt(name)
    }

    /// Where a file lies, if it is there; it counts as used now.
    pub(super) fn find(&self, name: Name) -> Option<PathBuf> {
        let mut index = self.room.lock();
        index.use_now(name)?;
        Some(name.path(&self.room.dir, index.slots.get(&name)?.bytes))
    }

    /// The same, and the file stays as long as the pin lives.
    pub(super) fn pin(&self, name: Name) -> Option<(PathBuf, u64, Pin)> {
        let mut index = self.room.lock();
        index.use_now(name)?;
        let slot = index.slots.get(&name)?;
        let pin = Pin { room: Arc::clone(&self.room), name, token: Some(Arc::clone(&slot.token)) };
        Some((name.path(&self.room.dir, slot.bytes), slot.bytes, pin))
    }

    pub(super) fn remove(&self, name: Name) {
        self.room.drop_file(&mut self.room.lock(), name);
    }

    /// Drops all that belongs to a scope, what is still to be found at the start too, and what another process left of
    /// which nobody here knows: so the folder is looked through, not the index. A draft of it gets no name any more.
    pub(super) fn purge(&self, scope: &Scope) -> Dropped {
        let owners = Arc::new(Owners::of(scope));
        {
            let mut index = self.room.lock();
            index.drafts.retain(|_, name| !owners.own(name));
            if let Some(unwelcome) = &mut index.unwelcome {
                unwelcome.push(Arc::clone(&owners));
            }
        }
        let mut dropped = Dropped::default();
        for folder in subfolders(&self.room.dir) {
            let entries = fs::read_dir(self.room.dir.join(&folder)).into_iter().flatten().flatten();
            let files = entries.filter_map(|entry| Name::parse(&folder, entry.file_name().to_str()?));
            for (name, bytes) in files.filter(|(name, _)| owners.own(name)) {
                self.room.drop_found(name, bytes);
                dropped += Dropped { entries: 1, bytes };
            }
        }
        dropped
    }

    /// Begins the file that shall have this name.
    pub(super) fn draft(&self, name: Name) -> Result<Draft, StoreError> {
        let drafts = self.room.dir.join(DRAFTS);
        loop {
            let file = NamedTempFile::new_in(&drafts).map_err(StoreError::io("write", &drafts))?;
            // Says that somebody is at work, see `clear`. Where files cannot be locked, a restart costs a transfer.
            let _ = file.as_file().lock();
            // A process that began just now may have taken it for left over.
            if file.as_file().metadata().is_ok_and(|draft| draft.nlink() == 0) {
                continue;
            }
            let mut index = self.room.lock();
            let number = index.next();
            index.drafts.insert(number, name);
            drop(index);
            return Ok(Draft { room: Arc::clone(&self.room), file: Some(file), name, number, bytes: 0 });
        }
    }

    /// Whether the index knows all files that were there at the start.
    pub(super) fn is_scanned(&self) -> bool {
        self.scan.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the index knows all files.
    #[cfg(test)]
    pub(super) fn scanned(&self) {
        if let Some(scan) = self.scan.lock().unwrap().take() {
            scan.join().unwrap();
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("dir", &self.room.dir).field("scanned", &self.is_scanned()).finish()
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Index> {
        // No change of the index stops half way: its parts are plain collections.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all files into the index that are there already, oldest first.
    fn scan(&self) {
        let mut found: Vec<(SystemTime, Name, u64)> = Vec::new();
        for folder in subfolders(&self.dir) {
            let Ok(entries) = fs::read_dir(self.dir.join(&folder)) else { continue };
            for entry in entries.flatten() {
                match file_in(&folder, &entry) {
                    Some(file) => found.push(file),
                    // It may be on its way, or gone by now.
                    None if self.tenure == Tenure::Guest => {}
                    None => {
                        let path = entry.path();
                        warn!(store = self.name, path = %path.display(), "dropping a file: foreign or cut short");
                        self.delete(&path);
                    }
                }
            }
        }
        found.sort_unstable_by_key(|(time, ..)| *time);
        let (count, before) = (found.len(), -(found.len() as i64) - 1);
        let mut index = self.lock();
        let unwelcome = index.unwelcome.take().unwrap_or_default();
        for (order, (_, name, bytes)) in (before..).zip(found) {
            let known = index.slots.get(&name).map(|slot| (slot.bytes, slot.order));
            match known {
                None if unwelcome.iter().any(|owners| owners.own(&name)) => {
                    self.delete(&name.path(&self.dir, bytes));
                }
                None => index.insert(name, Slot::new(bytes, order)),
                Some((other, _)) if other == bytes => {}
                // Two processes wrote it: the later one counts.
                Some((other, found)) if found < 0 => {
                    index.remove(name);
                    index.insert(name, Slot::new(bytes, order));
                    self.clean(&name.path(&self.dir, other));
                }
                // Written while we looked; under another length the old file is still there.
                Some(_) => self.clean(&name.path(&self.dir, bytes)),
            }
        }
        self.make_room(&mut index);
        info!(
            store = self.name,
            files = count,
            size_bytes = index.bytes,
            "store `{}` knows its files",
            self.name
        );
    }

    fn adopt(&self, name: Name) -> bool {
        let path = name.path(&self.dir, 0);
        let Some(dir) = path.parent() else { return false };
        let Some(folder) = dir.file_name().and_then(|folder| folder.to_str()) else { return false };
        // The length is part of a file's name: to find one is to see them all.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let named = |entry: &fs::DirEntry| Name::parse(folder, entry.file_name().to_str()?);
            if named(&entry).is_none_or(|(name, _)| self.lock().slots.contains_key(&name)) {
                continue;
            }
            if let Some((_, name, bytes)) = file_in(folder, &entry) {
                let mut index = self.lock();
                let order = index.next();
                if !index.slots.contains_key(&name) {
                    index.insert(name, Slot::new(bytes, order));
                }
            }
        }
        let mut index = self.lock();
        self.make_room(&mut index);
        index.slots.contains_key(&name)
    }

    fn has_room(&self, index: &Index, bytes: u64) -> bool {
        let taken = index.bytes.saturating_add(index.drafted).saturating_add(bytes);
        self.tenure == Tenure::Owner || taken <= self.budget
    }

    /// Drops files that nobody has open until the budget is kept.
    fn make_room(&self, index: &mut Index) {
        while self.tenure == Tenure::Owner && index.bytes.saturating_add(index.drafted) > self.budget {
            let idle = |name: &&Name| index.slots.get(*name).is_some_and(|slot| !slot.in_use());
            let Some(name) = index.order.values().find(idle).copied() else { break };
            self.drop_file(index, name);
            metrics::evicted(self.name);
        }
        metrics::bytes(self.name, index.bytes);
    }

    /// Drops a file that lies in the folder, whether or not it is known.
    fn drop_found(&self, name: Name, bytes: u64) {
        let mut index = self.lock();
        match index.slots.get(&name) {
            Some(slot) if slot.bytes == bytes => self.drop_file(&mut index, name),
            _ => self.delete(&name.path(&self.dir, bytes)),
        }
    }

    fn drop_file(&self, index: &mut Index, name: Name) {
        if let Some(slot) = index.remove(name) {
            self.delete(&name.path(&self.dir, slot.bytes));
            metrics::bytes(self.name, index.bytes);
        }
    }

    /// Deletes what nobody will ask for, if the folder is ours.
    fn clean(&self, path: &Path) {
        if self.tenure == Tenure::Owner {
            self.delete(path);
        }
    }

    fn delete(&self, path: &Path) {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(store = self.name, path = %path.display(), %error, "cannot remove a file of store `{}`", self.name);
        }
    }
}

/// Removes what was left half written. What is locked is being written, by a process that we are about to replace.
fn clear(drafts: &Path) -> io::Result<()> {
    for entry in fs::read_dir(drafts)? {
        let path = entry?.path();
        // It is finished by now, or another process clears, too.
        let Ok(draft) = fs::File::open(&path) else { continue };
        // The lock is held until it is gone: who begins a draft waits for it, and looks whether it is still there.
        if draft.try_lock().is_ok()
            && let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

fn subfolders(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).collect()
}

fn file_in(folder: &str, entry: &fs::DirEntry) -> Option<(SystemTime, Name, u64)> {
    let (name, bytes) = Name::parse(folder, entry.file_name().to_str()?)?;
    let metadata = entry.metadata().ok()?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    (metadata.is_file() && metadata.len() == bytes).then_some((modified, name, bytes))
}

/// Keeps a file in its place.
pub(super) struct Pin {
    room: Arc<Room>,
    name: Name,
    token: Option<Arc<()>>,
}

impl Pin {
    /// Drops the file, unless another has taken its place.
    pub(super) fn discard(self) {
        let mut index = self.room.lock();
        let same = |slot: &Slot| self.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, &slot.token));
        if index.slots.get(&self.name).is_some_and(same) {
            self.room.drop_file(&mut index, self.name);
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut index = self.room.lock();
        self.token = None;
        self.room.make_room(&mut index);
    }
}

/// A file that is being written; dropped, it is gone.
pub(super) struct Draft {
    room: Arc<Room>,
    file: Option<NamedTempFile>,
    name: Name,
    number: i64,
    bytes: u64,
}

/// Whether the bytes must be on the disk itself before the file gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// A power cut may leave a file of the right length with wrong bytes.
    Full,
    /// Whoever reads it checks a sum.
    None,
}

impl Draft {
    /// How much was written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        {
            let mut index = self.room.lock();
            if !self.room.has_room(&index, bytes.len() as u64) {
                return Err(StoreError::Full {
                    path: self.room.dir.clone(),
                    budget: self.room.budget.into(),
                });
            }
            index.drafted += bytes.len() as u64;
            self.room.make_room(&mut index);
        }
        self.bytes += bytes.len() as u64;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(StoreError::io("write", &self.room.dir))
    }

    /// Gives the file its name, in place of the one that had it; it is open and pinned then. One that was purged while
    /// it was written is open, for those who wait for it, and gone.
    pub(super) fn shelve(mut self, sync: Sync) -> Result<(fs::File, Pin), StoreError> {
        let name = self.name;
        let path = name.path(&self.room.dir, self.bytes);
        let failed = |source| StoreError::Io { doing: "write", path: path.clone(), source };
        let draft = self.file.take().ok_or(StoreError::Interrupted)?;
        let file = fs::File::open(draft.path()).map_err(failed)?;
        if sync == Sync::Full {
            draft.as_file().sync_all().map_err(failed)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut index = self.room.lock();
        if index.drafts.remove(&self.number).is_none() {
            return Ok((file, Pin { room: Arc::clone(&self.room), name, token: None }));
        }
        draft.persist(&path).map_err(|error| failed(error.error))?;
        if let Some(old) = index.remove(name)
            && old.bytes != self.bytes
        {
            self.room.delete(&name.path(&self.room.dir, old.bytes));
        }
        let slot = Slot::new(self.bytes, index.next());
        let pin = Pin { room: Arc::clone(&self.room), name, token: Some(Arc::clone(&slot.token)) };
        index.insert(name, slot);
        index.drafted -= self.bytes;
        self.bytes = 0;
        self.room.make_room(&mut index);
        Ok((file, pin))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut index = self.room.lock();
        index.drafted -= self.bytes;
        index.drafts.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
