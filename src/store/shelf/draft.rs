//! A file on its way to its name.

use std::fs;
use std::io::Write;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::{DRAFTS, Pin, Room};
use crate::store::index::{Name, Slot};
use crate::store::{StoreError, metrics};

/// A file that is being written; dropped, it is gone.
pub(in crate::store) struct Draft {
    room: Arc<Room>,
    file: Option<NamedTempFile>,
    name: Name,
    number: i64,
    bytes: u64,
}

/// Whether the bytes must be on the disk itself before the file gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Flush {
    /// A power cut may leave a file of the right length with wrong bytes.
    Full,
    /// Whoever reads it checks a sum.
    None,
}

impl Draft {
    pub(super) fn begin(room: &Arc<Room>, name: Name) -> Result<Self, StoreError> {
        let drafts = room.dir.join(DRAFTS);
        loop {
            let file = NamedTempFile::new_in(&drafts).map_err(StoreError::io("write", &drafts))?;
            // Says that somebody is at work, see `clear`. Where files cannot be locked, a restart costs a transfer.
            let _ = file.as_file().lock();
            // A process that began just now may have taken it for left over.
            if file.as_file().metadata().is_ok_and(|draft| draft.nlink() == 0) {
                continue;
            }
            let mut index = room.lock();
            let number = index.next();
            index.drafts.insert(number, name);
            drop(index);
            return Ok(Self { room: Arc::clone(room), file: Some(file), name, number, bytes: 0 });
        }
    }

    /// How much was written.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds bytes at the end, if they find a place.
    pub(in crate::store) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.room.take_room(bytes.len() as u64)?;
        self.bytes += bytes.len() as u64;
        self.room.make_room();
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(StoreError::io("write", &self.room.dir))
    }

    /// Gives the file its name, in place of the one that had it; it is open and pinned then. One that was purged while
    /// it was written is open, for those who wait for it, and gone.
    pub(in crate::store) fn shelve(mut self, flush: Flush) -> Result<(fs::File, Pin), StoreError> {
        let name = self.name;
        let path = name.path(&self.room.dir, self.bytes);
        let failed = |source| StoreError::Io { doing: "write", path: path.clone(), source };
        let draft = self.file.take().ok_or(StoreError::Interrupted)?;
        let file = fs::File::open(draft.path()).map_err(failed)?;
        if flush == Flush::Full {
            draft.as_file().sync_all().map_err(failed)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let room = Arc::clone(&self.room);
        let turn = room.turn();
        if room.lock().drafts.remove(&self.number).is_none() {
            return Ok((file, Pin { room: Arc::clone(&room), name, token: None }));
        }
        draft.persist(&path).map_err(|error| failed(error.error))?;
        let (old, pin) = self.enter();
        // Who looked before has the old one, or finds the new one in its place.
        let old = old.and_then(|bytes| room.put_aside(name, bytes));
        drop(turn);
        old.iter().for_each(|path| room.delete(path));
        room.make_room();
        Ok((file, pin))
    }

    /// Enters the file into the index, in place of another one; how long that is, if it lies elsewhere.
    fn enter(&mut self) -> (Option<u64>, Pin) {
        let mut index = self.room.lock();
        let old = index.remove(self.name).map(|old| old.bytes).filter(|old| *old != self.bytes);
        let slot = Slot::new(self.bytes, index.next());
        let pin = Pin { room: Arc::clone(&self.room), name: self.name, token: Some(Arc::clone(&slot.token)) };
        index.insert(self.name, slot);
        index.drafted -= mem::take(&mut self.bytes);
        metrics::bytes(self.room.name, index.taken());
        (old, pin)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut index = self.room.lock();
        index.drafted -= self.bytes;
        index.drafts.remove(&self.number);
        metrics::bytes(self.room.name, index.taken());
    }
}
