//! What a shelf holds: which files, how large, and which was used last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::scope::owners;
use super::{Key, Scope};

/// The files of a shelf. All its parts agree at any time.
pub(super) struct Index {
    pub(super) slots: HashMap<Name, Slot>,
    /// Least recently used first. Numbers only grow; files found at start have those below zero.
    pub(super) order: BTreeMap<i64, Name>,
    last: i64,
    /// Bytes that files take on the disk.
    pub(super) bytes: u64,
    /// Bytes of drafts, which take room as well.
    pub(super) drafted: u64,
    /// Drafts that will get their name, by the number they began with.
    pub(super) drafts: HashMap<i64, Name>,
    /// Whether somebody is making room; at the start it is whoever looks for files.
    pub(super) makes_room: bool,
    /// What was purged before all files were found that were there at the start; `None` from then on.
    pub(super) unwelcome: Option<Vec<Arc<Owners>>>,
}

/// What file systems give out at least: a file of a few bytes takes as much of the disk.
pub(super) const BLOCK: u64 = 4096;

/// One file.
pub(super) struct Slot {
    pub(super) bytes: u64,
    pub(super) order: i64,
    /// Every pin holds one more of it. A file that takes this one's place has another.
    pub(super) token: Arc<()>,
}

impl Slot {
    pub(super) fn new(bytes: u64, order: i64) -> Self {
        Self { bytes, order, token: Arc::default() }
    }

    fn room(&self) -> u64 {
        self.bytes.saturating_add(BLOCK - 1) / BLOCK * BLOCK
    }

    pub(super) fn in_use(&self) -> bool {
        Arc::strong_count(&self.token) > 1
    }
}

impl Index {
    /// Of a folder that nobody has looked through yet.
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::new(),
            order: BTreeMap::new(),
            last: 0,
            bytes: 0,
            drafted: 0,
            drafts: HashMap::new(),
            makes_room: true,
            unwelcome: Some(Vec::new()),
        }
    }

    /// Bytes of files and drafts.
    pub(super) fn taken(&self) -> u64 {
        self.bytes.saturating_add(self.drafted)
    }

    pub(super) fn insert(&mut self, name: Name, slot: Slot) {
        self.bytes += slot.room();
        self.order.insert(slot.order, name);
        self.slots.insert(name, slot);
    }

    pub(super) fn remove(&mut self, name: Name) -> Option<Slot> {
        let slot = self.slots.remove(&name)?;
        self.order.remove(&slot.order);
        self.bytes -= slot.room();
        Some(slot)
    }

    pub(super) fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    pub(super) fn use_now(&mut self, name: Name) -> Option<()> {
        let order = self.next();
        let slot = self.slots.get_mut(&name)?;
        self.order.remove(&slot.order);
        slot.order = order;
        self.order.insert(order, name);
        Some(())
    }
}

/// Hashes of a key: of all of it, of the source and of the item that it belongs to. Who knows these two finds all that
/// belongs to them without a look into any file. Two sources or items of the same hash are dropped together, which costs
/// time; two keys of the same hash are told apart by who reads the file, or never come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; 32]);

/// How many bytes of a name are the hash of the whole key; of the source; the rest is of the item.
const WHOLE: usize = 20;
const SOURCE: usize = 4;
const ITEM: usize = 8;

/// A [`Scope`] as names know it.
pub(super) struct Owners {
    source: [u8; SOURCE],
    items: Option<HashSet<[u8; ITEM]>>,
}

fn hash<const N: usize>(text: &str) -> [u8; N] {
    let mut short = [0; N];
    short.copy_from_slice(&Sha256::digest(text)[..N]);
    short
}

impl Owners {
    pub(super) fn of(scope: &Scope) -> Self {
        let (source, items) = scope.parts();
        let items = items.map(|items| items.iter().map(|item| hash(item)).collect());
        Self { source: hash(source), items }
    }

    pub(super) fn own(&self, name: &Name) -> bool {
        let (source, item) = name.0[WHOLE..].split_at(SOURCE);
        source == self.source && self.items.as_ref().is_none_or(|items| items.contains(item))
    }
}

impl Name {
    pub(super) fn of(key: &Key) -> Self {
        let (source, item) = owners(key.as_str());
        let mut name = [0; WHOLE + SOURCE + ITEM];
        name[..WHOLE].copy_from_slice(&hash::<WHOLE>(key.as_str()));
        name[WHOLE..WHOLE + SOURCE].copy_from_slice(&hash::<SOURCE>(source));
        name[WHOLE + SOURCE..].copy_from_slice(&hash::<ITEM>(item));
        Self(name)
    }

    /// A number below `count` that is the same for the same key.
    pub(super) fn spread(self, count: usize) -> usize {
        usize::from(self.0[0]) % count
    }

    pub(super) fn path(&self, dir: &Path, bytes: u64) -> PathBuf {
        let hash = hex::encode(self.0);
        dir.join(&hash[..2]).join(format!("{}.{bytes}", &hash[2..]))
    }

    pub(super) fn parse(folder: &str, file: &str) -> Option<(Self, u64)> {
        let (rest, bytes) = file.split_once('.')?;
        let mut hash = [0; 32];
        hex::decode_to_slice(format!("{folder}{rest}"), &mut hash).ok()?;
        Some((Self(hash), bytes.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_each_others_inverse() {
        let name = Name::of(&Key::new(["a", "../../etc/passwd", "\0\n"]));
        let path = name.path(Path::new("dir"), 42);
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let (again, bytes) = Name::parse(folder, path.file_name().unwrap().to_str().unwrap()).unwrap();
        assert!(again == name && bytes == 42);
        assert_eq!(path.components().count(), 3);
    }
}
