//! One question to the tree: what it may look at is bounded, and what it learns of access is kept while it lasts.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::description::{Description, Unreadable};
use super::place::{Below, Place};
use super::tree::{Entry, Name, Tree, one_of_many};
use super::{AdapterError, unreadable};
use crate::adapter::record::Access;

/// Names that are read for one question. Ten thousand books of four hundred pages fit in; folders
/// that are linked to one another have more ways through them than anybody could wait for.
const MOST: usize = 5_000_000;
/// Going into a folder costs as much as reading so many names.
const DOOR: usize = 100;

/// A look around.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) tree: &'a Tree,
    left: usize,
    access: HashMap<PathBuf, Result<Access, Unreadable>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, left: MOST, access: HashMap::new() }
    }

    /// The names in a folder, in natural order.
    pub(super) fn names(&mut self, place: &Place) -> Result<Vec<Name>, AdapterError> {
        let names = match self.tree.names(&place.folder) {
            // Whoever closed a folder to us did not want it shown; `lost+found` is no reason to show nothing else.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !place.is_root() => {
                self.tree.report(&place.folder, Some(&error.to_string()));
                Vec::new()
            }
            names => names.map_err(|source| unreadable(&place.id, source))?,
        };
        self.left = self.left.checked_sub(names.len() + DOOR).ok_or_else(|| {
            let problem = "too many files and folders to look at; do links lead from folder to folder?";
            AdapterError::Io { path: place.id.clone(), source: io::Error::other(problem) }
        })?;
        Ok(names)
    }

    /// Whether items are below a folder, which makes it a collection.
    pub(super) fn is_collection(&mut self, place: &Place, names: &[Name]) -> Result<bool, AdapterError> {
        for below in place.below(self.tree, names) {
            let found = match below.map_err(|source| unreadable(&place.id, source))? {
                Below::File(_) => true,
                Below::Folder(place) => self.holds_items(&place)?,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds_items(&mut self, place: &Place) -> Result<bool, AdapterError> {
        let names = self.names(place)?;
        let image = one_of_many(place.images(self.tree, &names).next().transpose());
        let is_item = image.map_err(|source| unreadable(&place.id, source))?.is_some();
        Ok(is_item || self.is_collection(place, &names)?)
    }

    /// Who may see a folder: the strictest word of all folders on the way.
    pub(super) fn access(&mut self, place: &Place) -> Result<Access, Unreadable> {
        self.strictest(place.way.iter().map(PathBuf::as_path))
    }

    /// Who may see a file of a folder. Where it is a link, what is above its target counts too.
    pub(super) fn access_to(&mut self, place: &Place, file: &Entry) -> Result<Access, Unreadable> {
        self.strictest(place.way.iter().map(PathBuf::as_path).chain(file.path.ancestors().skip(1)))
    }

    fn strictest<'p>(&mut self, folders: impl Iterator<Item = &'p Path>) -> Result<Access, Unreadable> {
        let mut strictest = Access::Open;
        for folder in folders {
            strictest = strictest.max(self.word(folder)?);
        }
        Ok(strictest)
    }

    fn word(&mut self, folder: &Path) -> Result<Access, Unreadable> {
        if let Some(known) = self.access.get(folder) {
            return known.clone();
        }
        let word = Description::of_folder(self.tree, folder).map(|description| description.access());
        self.access.insert(folder.to_path_buf(), word.clone());
        word
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Nine folders, each with links to all others and nothing else: a million ways.
    #[test]
    fn a_maze_of_links_ends_the_walk() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..9 {
            fs::create_dir(folder.path().join(format!("d{n}"))).unwrap();
            for m in (0..9).filter(|m| *m != n) {
                symlink(format!("../d{m}"), folder.path().join(format!("d{n}/l{m}"))).unwrap();
            }
        }
        let tree = Tree::open(folder.path()).unwrap();
        let mut walk = Walk { left: 20_000, ..Walk::new(&tree) };
        let names = walk.names(&Place::root()).unwrap();
        let error = walk.is_collection(&Place::root(), &names).unwrap_err();
        assert!(error.to_string().ends_with("do links lead from folder to folder?"), "{error}");
    }

    #[test]
    fn one_image_is_enough_to_tell_an_item() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("book")).unwrap();
        for n in 1..=9 {
            fs::write(folder.path().join(format!("book/{n}.gif")), "GIF89a......").unwrap();
        }
        let tree = Tree::open(folder.path()).unwrap();
        let mut walk = Walk::new(&tree);
        let names = walk.names(&Place::root()).unwrap();
        assert!(walk.is_collection(&Place::root(), &names).unwrap());
        assert_eq!(tree.opened(), 1);
    }
}
