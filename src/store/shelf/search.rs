//! What lies in the folder: all of it at the start, and later what another process left there.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use tracing::{info, warn};

use super::{Room, Tenure};
use crate::store::index::{Index, Name, Slot};

impl Room {
    /// Takes all files into the index that are there already, oldest first, and makes room if they are too many.
    pub(super) fn search(&self) {
        let mut found: Vec<(SystemTime, Name, u64)> = Vec::new();
        for folder in subfolders(&self.dir) {
            let Ok(entries) = fs::read_dir(self.dir.join(&folder)) else { continue };
            for entry in entries.flatten() {
                match file_in(&folder, &entry) {
                    Ok(Some(file)) => found.push(file),
                    // It may be on its way.
                    Ok(None) if self.tenure == Tenure::Guest => {}
                    Ok(None) => {
                        let path = entry.path();
                        warn!(store = self.name, path = %path.display(), "dropping a file: foreign or cut short");
                        self.delete(&path);
                    }
                    // It is gone by now, or the disk does not answer.
                    Err(_) => {}
                }
            }
        }
        found.sort_unstable_by_key(|(time, ..)| *time);
        let (count, before) = (found.len(), -(found.len() as i64) - 1);
        for (order, (_, name, bytes)) in (before..).zip(found) {
            self.drop_file(|index| self.take_in(index, name, Slot::new(bytes, order)));
        }
        let size_bytes = {
            let mut index = self.lock();
            index.unwelcome = None;
            index.bytes
        };
        info!(store = self.name, files = count, size_bytes, "store `{}` knows its files", self.name);
        self.drop_surplus();
    }

    /// Takes in a file that was found, unless nobody wants it. What has to go for that, or instead.
    fn take_in(&self, index: &mut Index, name: Name, slot: Slot) -> Option<(Name, u64)> {
        let bytes = slot.bytes;
        let is_owner = self.tenure == Tenure::Owner;
        match index.slots.get(&name).map(|known| (known.bytes, known.order)) {
            None if index.unwelcome.iter().flatten().any(|owners| owners.own(&name)) => Some((name, bytes)),
            None => {
                index.insert(name, slot);
                None
            }
            Some((known, _)) if known == bytes => None,
            // Two processes wrote it: the later one counts.
            Some((known, order)) if order < 0 => {
                index.remove(name);
                index.insert(name, slot);
                is_owner.then_some((name, known))
            }
            // Written while we looked; under another length the old file is still there.
            Some(_) => is_owner.then_some((name, bytes)),
        }
    }

    /// Looks for one file.
    pub(super) fn adopt(&self, name: Name) -> bool {
        let path = name.path(&self.dir, 0);
        let Some(dir) = path.parent() else { return false };
        let Some(folder) = dir.file_name().and_then(|folder| folder.to_str()) else { return false };
        // The length is part of a file's name: to find one is to see them all.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let named = |entry: &fs::DirEntry| Name::parse(folder, entry.file_name().to_str()?);
            if named(&entry).is_none_or(|(name, _)| self.lock().slots.contains_key(&name)) {
                continue;
            }
            if let Ok(Some((_, name, bytes))) = file_in(folder, &entry) {
                let mut index = self.lock();
                let order = index.next();
                if !index.slots.contains_key(&name) {
                    index.insert(name, Slot::new(bytes, order));
                }
            }
        }
        self.make_room();
        self.lock().slots.contains_key(&name)
    }
}

/// Removes what was left half written. What is locked is being written, by a process that we are about to replace.
pub(super) fn clear(drafts: &Path) -> io::Result<()> {
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

/// Those that files lie in.
pub(super) fn subfolders(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).collect()
}

/// When a file was written, its name and its length; `None` if it is no file of ours, or not all of it.
fn file_in(folder: &str, entry: &fs::DirEntry) -> io::Result<Option<(SystemTime, Name, u64)>> {
    let file = entry.file_name();
    let Some((name, bytes)) = file.to_str().and_then(|file| Name::parse(folder, file)) else {
        return Ok(None);
    };
    let metadata = entry.metadata()?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Ok((metadata.is_file() && metadata.len() == bytes).then_some((modified, name, bytes)))
}
