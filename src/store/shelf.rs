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

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use tempfile::NamedTempFile;
use tracing::{info, warn};

use super::index::{Index, Name, Owners, Slot};
use super::{Dropped, Scope, StoreError, metrics};

const DRAFTS: &str = "drafts";
/// Files that are dropped before others may use the index again.
const AT_ONCE: usize = 64;

/// A folder of files with a budget.
pub(super) struct Shelf {
    room: Arc<Room>,
    scan: Mutex<Option<JoinHandle<()>>>,
}

struct Room {
    name: &'static str,
    dir: PathBuf,
    budget: u64,
    index: Mutex<Index>,
}

impl Shelf {
    /// Opens a folder, which is made if it is missing. `name` labels metrics and messages.
    pub(super) fn open(name: &'static str, dir: &Path, budget: u64) -> Result<Self, StoreError> {
        let drafts = dir.join(DRAFTS);
        fs::create_dir_all(&drafts).map_err(StoreError::io("create", &drafts))?;
        clear(&drafts).map_err(StoreError::io("clear", &drafts))?;
        let index = Mutex::new(Index::new());
        let room = Arc::new(Room { name, dir: dir.to_owned(), budget, index });
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

    /// Drops all that belongs to a scope, what is still to be found at the start too. A draft of it gets no name any more.
    pub(super) fn purge(&self, scope: &Scope) -> Dropped {
        let owners = Owners::of(scope);
        let names: Vec<Name> = {
            let mut index = self.room.lock();
            index.drafts.retain(|_, name| !owners.own(name));
            let names = index.slots.keys().copied().filter(|name| owners.own(name)).collect();
            if let Some(unwelcome) = &mut index.unwelcome {
                unwelcome.push(owners);
            }
            names
        };
        let mut dropped = Dropped::default();
        for names in names.chunks(AT_ONCE) {
            let mut index = self.room.lock();
            for name in names {
                let bytes = index.slots.get(name).map(|slot| slot.bytes);
                dropped += bytes.map(|bytes| Dropped { entries: 1, bytes }).unwrap_or_default();
                self.room.drop_file(&mut index, *name);
            }
        }
        dropped
    }

    /// Begins the file that shall have this name.
    pub(super) fn draft(&self, name: Name) -> Result<Draft, StoreError> {
        let drafts = self.room.dir.join(DRAFTS);
        let file = NamedTempFile::new_in(&drafts).map_err(StoreError::io("write", &drafts))?;
        // Says that somebody is at work, see `clear`. Where files cannot be locked, a restart costs a transfer.
        let _ = file.as_file().try_lock();
        let mut index = self.room.lock();
        let number = index.next();
        index.drafts.insert(number, name);
        drop(index);
        Ok(Draft { room: Arc::clone(&self.room), file: Some(file), name, number, bytes: 0 })
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

    /// Bytes of all files and drafts.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        let index = self.room.lock();
        index.bytes + index.drafted
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
            match index.slots.get(&name) {
                None if unwelcome.iter().any(|owners| owners.own(&name)) => {
                    self.delete(&name.path(&self.dir, bytes));
                }
                None => index.insert(name, Slot::new(bytes, order)),
                // Written while we looked; under another length the old file is still there.
                Some(slot) if slot.bytes != bytes => self.delete(&name.path(&self.dir, bytes)),
                Some(_) => {}
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

    /// Drops files that nobody has open until the budget is kept.
    fn make_room(&self, index: &mut Index) {
        while index.bytes.saturating_add(index.drafted) > self.budget {
            let idle = |name: &&Name| index.slots.get(*name).is_some_and(|slot| !slot.in_use());
            let Some(name) = index.order.values().find(idle).copied() else { break };
            self.drop_file(index, name);
            metrics::evicted(self.name);
        }
        metrics::bytes(self.name, index.bytes);
    }

    fn drop_file(&self, index: &mut Index, name: Name) {
        if let Some(slot) = index.remove(name) {
            self.delete(&name.path(&self.dir, slot.bytes));
            metrics::bytes(self.name, index.bytes);
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
        if fs::File::open(&path).is_ok_and(|draft| draft.try_lock().is_ok()) {
            fs::remove_file(&path)?;
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
        let shelf = Shelf::open("test", dir, blocks(budget) as u64).unwrap();
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
        assert_eq!(again.purge(&Scope::new("maps", Some("b"))), Dropped { entries: 2, bytes: 200 });
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn what_is_purged_before_it_is_found_goes_when_it_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = open(dir.path(), 1000);
        ["a", "b"].iter().for_each(|item| drop(shelved(&shelf, of(item, 1)).shelve(Sync::None).unwrap()));
        drop(shelf);
        let index = Mutex::new(Index::new());
        let room = Room { name: "test", dir: dir.path().to_owned(), budget: 1 << 20, index };
        let shelf = Shelf { room: Arc::new(room), scan: Mutex::default() };
        assert_eq!(shelf.purge(&Scope::new("maps", Some("a"))), Dropped::default());
        shelf.room.scan();
        assert_eq!((files(dir.path()), shelf.room.lock().slots.contains_key(&of("b", 1))), (1, true));
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
