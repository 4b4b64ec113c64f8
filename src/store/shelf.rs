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
mod tests {
    use super::*;
    use crate::store::Key;
    use crate::store::index::BLOCK;

    fn name(n: u8) -> Name {
        Name::of(&Key::new([n.to_string().as_str()]))
    }

    fn blocks(count: usize) -> usize {
        count * BLOCK as usize
    }

    fn open(dir: &Path, budget: usize) -> Shelf {
        open_as(Tenure::Owner, dir, budget)
    }

    fn open_as(tenure: Tenure, dir: &Path, budget: usize) -> Shelf {
        let shelf = Shelf::open("test", dir, blocks(budget) as u64, tenure).unwrap();
        shelf.scanned();
        shelf
    }

    fn shelve(shelf: &Shelf, n: u8, bytes: usize) {
        let mut draft = shelf.draft(name(n)).unwrap();
        draft.write(&vec![n; bytes]).unwrap();
        draft.shelve(Sync::None).unwrap();
    }

    fn held(shelf: &Shelf) -> usize {
        shelf.bytes() as usize
    }

    #[test]
    fn a_small_file_takes_a_block() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 3);
        (1..=5).for_each(|n| shelve(&shelf, n, 250));
        assert_eq!((present(&shelf), held(&shelf)), (vec![3, 4, 5], blocks(3)));
        shelf.remove(name(4));
        assert_eq!(held(&shelf), blocks(2));
    }

    fn present(shelf: &Shelf) -> Vec<u8> {
        (0..20).filter(|n| shelf.room.lock().slots.contains_key(&name(*n))).collect()
    }

    fn files(dir: &Path) -> usize {
        subfolders(dir).iter().map(|folder| fs::read_dir(dir.join(folder)).unwrap().count()).sum()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 300);
        (1..=3).for_each(|n| shelve(&shelf, n, blocks(100)));
        shelf.find(name(1)).unwrap();
        shelve(&shelf, 4, blocks(150));
        assert_eq!(present(&shelf), [1, 4]);
        assert_eq!((held(&shelf), files(dir.path())), (blocks(250), 2));
    }

    #[test]
    fn a_pinned_file_stays_and_the_budget_is_kept_as_soon_as_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 250);
        shelve(&shelf, 1, blocks(100));
        let (path, bytes, pin) = shelf.pin(name(1)).unwrap();
        assert_eq!(bytes, blocks(100) as u64);
        (2..=4).for_each(|n| shelve(&shelf, n, blocks(200)));
        assert_eq!(present(&shelf), [1]);
        shelve(&shelf, 5, blocks(100));
        let (.., other) = shelf.pin(name(5)).unwrap();
        shelve(&shelf, 6, blocks(240));
        assert_eq!(present(&shelf), [1, 5]);
        assert_eq!(fs::read(path).unwrap(), vec![1; blocks(100)]);
        drop((pin, other));
        assert_eq!(present(&shelf), [1, 5]);
        shelve(&shelf, 6, blocks(240));
        assert_eq!(present(&shelf), [6]);
    }

    #[test]
    fn letting_go_of_a_replaced_file_does_not_let_go_of_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 250);
        shelve(&shelf, 1, blocks(100));
        let (.., old) = shelf.pin(name(1)).unwrap();
        shelve(&shelf, 1, blocks(120));
        let (.., _new) = shelf.pin(name(1)).unwrap();
        drop(old);
        shelve(&shelf, 2, blocks(200));
        assert_eq!(present(&shelf), [1]);
    }

    #[test]
    fn a_file_in_place_of_another_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 1000);
        shelve(&shelf, 1, blocks(100));
        shelve(&shelf, 1, blocks(70));
        assert_eq!((held(&shelf), files(dir.path())), (blocks(70), 1));
        shelf.remove(name(1));
        shelf.remove(name(1));
        assert_eq!((held(&shelf), files(dir.path())), (blocks(0), 0));
    }

    #[test]
    fn drafts_take_room_and_leave_none_behind() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 300);
        (1..=2).for_each(|n| shelve(&shelf, n, blocks(100)));
        let mut draft = shelf.draft(name(3)).unwrap();
        draft.write(&vec![0; blocks(150)]).unwrap();
        assert_eq!((present(&shelf), held(&shelf)), (vec![2], blocks(250)));
        drop(draft);
        assert_eq!(held(&shelf), blocks(100));
        assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
    }

    #[test]
    fn a_draft_that_is_being_written_survives_the_start_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let old = open(dir.path(), 1000);
        let mut draft = old.draft(name(1)).unwrap();
        draft.write(&[1; 100]).unwrap();
        let _new = open(dir.path(), 1000);
        draft.shelve(Sync::None).unwrap();
        assert_eq!(files(dir.path()), 1);
    }

    fn of(item: &str, n: u8) -> Name {
        Name::of(&Key::new(["image", "maps", "", item, &n.to_string()]))
    }

    fn shelved(shelf: &Shelf, name: Name) -> Draft {
        let mut draft = shelf.draft(name).unwrap();
        draft.write(&[1; 100]).unwrap();
        draft
    }

    #[test]
    fn a_purge_finds_all_of_an_item_also_after_a_restart_and_what_is_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 1000);
        let put = |item, n| drop(shelved(&shelf, of(item, n)).shelve(Sync::None).unwrap());
        (1..=3).for_each(|n| put("a", n));
        put("b", 1);
        let (late, other) = (shelved(&shelf, of("a", 4)), shelved(&shelf, of("b", 2)));
        let purged = shelf.purge(&Scope::new("maps", Some("a")));
        assert_eq!(purged, Dropped { entries: 3, bytes: 300 });
        let (mut file, _pin) = late.shelve(Sync::None).unwrap();
        let mut read = Vec::new();
        io::Read::read_to_end(&mut file, &mut read).unwrap();
        assert_eq!(read, [1; 100], "who waits for it can read it");
        drop(other.shelve(Sync::None).unwrap());
        assert_eq!((files(dir.path()), held(&shelf)), (2, blocks(2)));
        assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);

        let again = open(dir.path(), 1000);
        // Left there by another process, which came later.
        drop(shelved(&open_as(Tenure::Guest, dir.path(), 1000), of("b", 3)).shelve(Sync::None).unwrap());
        assert_eq!(again.purge(&Scope::new("maps", Some("b"))), Dropped { entries: 3, bytes: 300 });
        assert_eq!((files(dir.path()), held(&again)), (0, 0));
    }

    #[test]
    fn what_is_purged_before_it_is_found_goes_when_it_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 1000);
        ["a", "b"].iter().for_each(|item| drop(shelved(&shelf, of(item, 1)).shelve(Sync::None).unwrap()));
        drop(shelf);
        let (index, tenure) = (Mutex::new(Index::new()), Tenure::Owner);
        let room = Room { name: "test", dir: dir.path().to_owned(), budget: 1 << 20, tenure, index };
        let shelf = Shelf { room: Arc::new(room), scan: Mutex::default() };
        assert_eq!(shelf.purge(&Scope::new("maps", Some("a"))), Dropped { entries: 1, bytes: 100 });
        // What the search came upon just before.
        let path = of("a", 1).path(dir.path(), 100);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [1; 100]).unwrap();
        shelf.room.scan();
        assert_eq!((files(dir.path()), shelf.room.lock().slots.contains_key(&of("b", 1))), (1, true));
    }

    #[test]
    fn a_draft_that_is_cleared_away_as_it_begins_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 1000);
        let stop = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    clear(&dir.path().join(DRAFTS)).unwrap();
                }
            });
            (0..200).for_each(|_| shelve(&shelf, 1, 10));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(files(dir.path()), 1);
    }

    #[test]
    fn a_guest_drops_nothing_and_takes_only_room_that_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let owner = open(dir.path(), 300);
        (1..=2).for_each(|n| shelve(&owner, n, blocks(100)));
        let guest = open_as(Tenure::Guest, dir.path(), 300);
        assert_eq!(present(&guest), [1, 2]);
        shelve(&guest, 3, blocks(100));
        assert!(!guest.has_room(1));
        let mut draft = guest.draft(name(4)).unwrap();
        let error = draft.write(&[0]).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        drop(draft);
        assert_eq!((present(&guest), held(&guest), files(dir.path())), (vec![1, 2, 3], blocks(300), 3));
        // With a smaller budget than what is there, too, and beside what is no file of ours.
        fs::write(name(1).path(dir.path(), 0).with_file_name("foreign"), "x").unwrap();
        let guest = open_as(Tenure::Guest, dir.path(), 100);
        assert_eq!((present(&guest), files(dir.path())), (vec![1, 2, 3], 4));
    }

    #[test]
    fn what_another_left_there_is_found_by_looking() {
        let dir = tempfile::tempdir().unwrap();
        let owner = open(dir.path(), 250);
        shelve(&owner, 1, blocks(100));
        let guest = open_as(Tenure::Guest, dir.path(), 250);
        shelve(&guest, 2, blocks(100));
        assert!(owner.find(name(2)).is_none() && !owner.adopt(name(3)));
        assert!(owner.adopt(name(2)) && owner.find(name(2)).is_some());
        assert_eq!(held(&owner), blocks(200));
        // From then on it is like any other.
        shelve(&owner, 4, blocks(100));
        assert_eq!((present(&owner), held(&owner)), (vec![2, 4], blocks(200)));
        assert!(!owner.adopt(name(1)));
    }

    #[test]
    fn of_two_lengths_of_a_file_the_later_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (open(dir.path(), 1000), open(dir.path(), 1000));
        shelve(&one, 1, blocks(100));
        shelve(&other, 1, blocks(120));
        let past = SystemTime::now() - std::time::Duration::from_secs(10);
        let earlier = fs::File::options().append(true).open(name(1).path(dir.path(), blocks(100) as u64));
        earlier.unwrap().set_modified(past).unwrap();
        assert_eq!(held(&open_as(Tenure::Guest, dir.path(), 1000)), blocks(120));
        assert_eq!(files(dir.path()), 2);
        assert_eq!((held(&open(dir.path(), 1000)), files(dir.path())), (blocks(120), 1));
    }

    #[test]
    fn at_start_it_knows_its_files_again_and_drops_all_others() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 1000);
        (1..=4).for_each(|n| shelve(&shelf, n, blocks(100)));
        drop(shelf);
        let path = |n: u8| name(n).path(dir.path(), blocks(100) as u64);
        fs::write(dir.path().join(DRAFTS).join("left over"), "x").unwrap();
        fs::write(path(1), "cut short").unwrap();
        fs::write(path(2).with_file_name("foreign"), "x").unwrap();
        fs::write(dir.path().join("notes.txt"), "x").unwrap();
        for (n, age) in [(2, 10), (3, 30), (4, 20)] {
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            fs::File::options().append(true).open(path(n)).unwrap().set_modified(time).unwrap();
        }

        let shelf = open(dir.path(), 250);
        assert_eq!(present(&shelf), [2, 4]);
        assert_eq!((held(&shelf), files(dir.path())), (blocks(200), 2));
        assert!(dir.path().join("notes.txt").exists(), "what lies beside the folders is not ours to remove");
        assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
    }
}
