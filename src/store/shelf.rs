//! A folder of files with a budget of bytes: what [`super::Disk`] and [`super::Files`] have in common.
//!
//! A file lies at `ab/cdef….LENGTH`: its name, which is made of hashes of its key, in folders by its first two digits, and its
//! length. A new file is written under `drafts/` and gets its name when it is complete, so that a
//! process that is killed leaves either a whole file or a draft, and such drafts are removed at start. A
//! file whose length is not the one in its name is not what was written, and goes too.
//!
//! The index of what is there is in memory. It is rebuilt at start on a thread of its own; until that
//! is done, files that were not seen yet are missing to those who ask. Nobody who looks into it waits for the disk: its
//! lock is held for memory only. Who gives a file its name, or takes one away, has a turn beside that, from the first look
//! to the last, so that index and folder agree when it ends. What goes leaves the index first and is put aside then, among
//! the drafts; it is deleted when the turn is over, and others may give its name to another file meanwhile.
//!
//! A folder has one owner, which drops what was not used for long. Another process may come as a guest: it drops
//! nothing to make room, and the owner learns of what it leaves there by looking.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{mem, thread};

use tracing::warn;

use super::index::{Index, Name, Owners, Slot};
use super::{Dropped, Scope, StoreError, metrics};

mod draft;
mod search;

pub(super) use draft::{Draft, Flush};
use search::{clear, subfolders};

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
}

struct Room {
    name: &'static str,
    dir: PathBuf,
    budget: u64,
    tenure: Tenure,
    index: Mutex<Index>,
    /// Held while names are given and taken away, which may wait for the disk; taken before the index.
    turn: Mutex<()>,
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
        let room = Arc::new(Room::new(name, dir, budget, tenure));
        let searched = Arc::clone(&room);
        thread::Builder::new()
            .name(format!("scan {name}"))
            .spawn(move || searched.search())
            .map_err(StoreError::io("scan", dir))?;
        Ok(Self { room })
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
        self.room.lock().taken()
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
        self.room.drop_file(|index| index.remove(name).map(|slot| (name, slot.bytes)));
    }

    /// Drops all that belongs to a scope, what is still to be found at the start too, and what another process left of
    /// which nobody here knows: so the folder is looked through, not the index. A draft of it gets no name any more.
    pub(super) fn purge(&self, scope: &Scope) -> Dropped {
        let owners = Arc::new(Owners::of(scope));
        {
            // Whoever is about to give one its name is done with it, and it will be found.
            let _turn = self.room.turn();
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
                self.room.drop_file(|index| {
                    if index.slots.get(&name).is_some_and(|slot| slot.bytes == bytes) {
                        index.remove(name);
                    }
                    Some((name, bytes))
                });
                dropped += Dropped { entries: 1, bytes };
            }
        }
        dropped
    }

    /// Begins the file that shall have this name.
    pub(super) fn draft(&self, name: Name) -> Result<Draft, StoreError> {
        Draft::begin(&self.room, name)
    }

    /// Whether the index knows all files that were there at the start.
    pub(super) fn is_scanned(&self) -> bool {
        self.room.lock().unwelcome.is_none()
    }

    /// Waits until the index knows all files and the budget is kept.
    #[cfg(test)]
    pub(super) fn scanned(&self) {
        while self.room.lock().makes_room {
            thread::yield_now();
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("dir", &self.room.dir).field("scanned", &self.is_scanned()).finish()
    }
}

impl Room {
    fn new(name: &'static str, dir: &Path, budget: u64, tenure: Tenure) -> Self {
        let (index, turn) = (Mutex::new(Index::new()), Mutex::new(()));
        Self { name, dir: dir.to_owned(), budget, tenure, index, turn }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // No change of the index stops half way: its parts are plain collections.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many more bytes find a place. An owner makes room by dropping files; drafts stay.
    fn has_room(&self, index: &Index, bytes: u64) -> bool {
        let stays = match self.tenure {
            Tenure::Owner => index.drafted,
            Tenure::Guest => index.taken(),
        };
        stays.saturating_add(bytes) <= self.budget
    }

    /// Counts bytes that are being written, if they find a place.
    fn take_room(&self, bytes: u64) -> Result<(), StoreError> {
        let mut index = self.lock();
        if !self.has_room(&index, bytes) {
            return Err(StoreError::Full { path: self.dir.clone(), budget: self.budget.into() });
        }
        index.drafted += bytes;
        metrics::bytes(self.name, index.taken());
        Ok(())
    }

    /// Drops files that nobody has open until the budget is kept. However long that takes, one does it for all.
    fn make_room(&self) {
        let is_due = {
            let mut index = self.lock();
            self.is_full(&index) && !mem::replace(&mut index.makes_room, true)
        };
        if is_due {
            self.drop_surplus();
        }
    }

    fn is_full(&self, index: &Index) -> bool {
        index.taken() > self.budget
    }

    fn drop_surplus(&self) {
        while self.drop_file(|index| self.least_wanted(index)) {
            metrics::evicted(self.name);
        }
    }

    /// The next file to go. If there is none, whoever needs room from now on has to see to it again.
    fn least_wanted(&self, index: &mut Index) -> Option<(Name, u64)> {
        let idle = |name: &&Name| index.slots.get(*name).is_some_and(|slot| !slot.in_use());
        let name = match self.tenure == Tenure::Owner && self.is_full(index) {
            true => index.order.values().find(idle).copied(),
            false => None,
        };
        let slot = name.and_then(|name| index.remove(name));
        index.makes_room = slot.is_some();
        Some((name?, slot?.bytes))
    }

    /// Drops a file that `choose` takes out of the index, or knows to lie in the folder; whether there is one.
    fn drop_file(&self, choose: impl FnOnce(&mut Index) -> Option<(Name, u64)>) -> bool {
        let turn = self.turn();
        let chosen = {
            let mut index = self.lock();
            let chosen = choose(&mut index);
            metrics::bytes(self.name, index.taken());
            chosen
        };
        let gone = chosen.map(|(name, bytes)| self.put_aside(name, bytes));
        drop(turn);
        gone.iter().flatten().for_each(|path| self.delete(path));
        gone.is_some()
    }

    /// Takes a file's name away, which costs little however large it is; where it lies then, if it was there: another may
    /// get the name as soon as the turn is over. To be called in one's turn.
    fn put_aside(&self, name: Name, bytes: u64) -> Option<PathBuf> {
        let path = name.path(&self.dir, bytes);
        let aside = self.dir.join(DRAFTS).join(format!("gone-{}", self.lock().next()));
        match fs::rename(&path, &aside) {
            Ok(()) => Some(aside),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // Where nothing can be put aside, no other file can get the name either: those come from the same place.
            Err(_) => Some(path),
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

/// Keeps a file in its place. Once it is let go, it may be dropped by whoever needs room next.
pub(super) struct Pin {
    room: Arc<Room>,
    name: Name,
    token: Option<Arc<()>>,
}

impl Pin {
    /// Drops the file, unless another has taken its place.
    pub(super) fn discard(self) {
        let same = |slot: &Slot| self.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, &slot.token));
        self.room.drop_file(|index| {
            let bytes = index.slots.get(&self.name).filter(|slot| same(slot))?.bytes;
            index.remove(self.name);
            Some((self.name, bytes))
        });
    }
}

#[cfg(test)]
mod tests;
