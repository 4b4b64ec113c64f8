//! A folder and the way that led to it: what an id means.

use std::io;
use std::path::{Path, PathBuf};

use super::tree::{Entry, Kind, Name, Tree, one_of_many};

/// Ways longer than this are left out: an id would not fit into an address any more.
const LONGEST: usize = 32;

/// A folder, reached by the names in its id.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// As clients write it; empty for the root.
    pub(super) id: String,
    /// Where it really is, links resolved.
    pub(super) folder: PathBuf,
    /// Every folder on the way to it, itself and the root included, and what is above those that
    /// a link led to. Their descriptions decide who may see what is here.
    pub(super) way: Vec<PathBuf>,
}

/// What is told of on its own in a folder.
#[derive(Debug)]
pub(super) enum Below {
    /// A PDF, or an image directly in the root; elsewhere images are pages of their folder.
    File(Entry),
    Folder(Place),
}

impl Place {
    pub(super) fn root() -> Self {
        Self { id: String::new(), folder: PathBuf::new(), way: vec![PathBuf::new()] }
    }

    pub(super) fn is_root(&self) -> bool {
        self.id.is_empty()
    }

    /// The folder where an id lies, and what stands there under its last name. `None` for what
    /// does not exist, or is not written in its one plain form.
    pub(super) fn find(tree: &Tree, id: &str) -> io::Result<Option<(Self, Entry)>> {
        let (folders, last) = id.rsplit_once('/').map_or((None, id), |(folders, last)| (Some(folders), last));
        let mut place = Self::root();
        for name in folders.into_iter().flat_map(|folders| folders.split('/')) {
            let entry = tree.entry(&place.folder, name)?;
            let Some(inner) = entry.and_then(|entry| place.enter(&entry)) else { return Ok(None) };
            place = inner;
        }
        let entry = tree.entry(&place.folder, last)?;
        Ok(entry.map(|entry| (place, entry)))
    }

    /// Goes into a folder found here. No way comes twice through one folder or leads up again:
    /// links between folders would make the tree endless.
    pub(super) fn enter(&self, entry: &Entry) -> Option<Self> {
        if entry.kind != Kind::Folder || self.way.len() > LONGEST || self.way.contains(&entry.path) {
            return None;
        }
        let new = entry.path.ancestors().filter(|folder| !self.way.iter().any(|known| known == folder));
        let way = self.way.iter().cloned().chain(new.map(Path::to_path_buf)).collect();
        Some(Self { id: self.id_of(&entry.name), folder: entry.path.clone(), way })
    }

    /// The id of something in this folder.
    pub(super) fn id_of(&self, name: &str) -> String {
        if self.is_root() { name.to_owned() } else { format!("{}/{name}", self.id) }
    }

    /// The last name in the id.
    pub(super) fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }

    /// The id of the folder where this one was found; `None` for the root.
    pub(super) fn parent(&self) -> Option<&str> {
        let parent = self.id.rsplit_once('/').map_or("", |(parent, _)| parent);
        (!self.is_root()).then_some(parent)
    }

    /// The images among these names of the folder, looked for one by one.
    pub(super) fn images(&self, tree: &Tree, names: &[Name]) -> impl Iterator<Item = io::Result<Entry>> {
        let image = |name: &Name| {
            let entry = tree.entry(&self.folder, &name.text)?.filter(|entry| entry.kind == Kind::File);
            let Some(entry) = entry else { return Ok(None) };
            Ok(tree.is_image(&entry)?.then_some(entry))
        };
        let names = names.iter().filter(|name| name.kind != Some(Kind::Folder));
        names.filter_map(move |name| image(name).transpose())
    }

    /// What stands on its own under these names of the folder, looked for one by one.
    pub(super) fn below(&self, tree: &Tree, names: &[Name]) -> impl Iterator<Item = io::Result<Below>> {
        let may_stand = |name: &Name| self.is_root() || name.kind != Some(Kind::File) || name.may_be_book();
        let below = |name: &Name| {
            let Some(entry) = tree.entry(&self.folder, &name.text)? else { return Ok(None) };
            Ok(match entry.kind {
                Kind::Folder => self.enter(&entry).map(Below::Folder),
                Kind::File => self.is_item(tree, &entry)?.then_some(Below::File(entry)),
            })
        };
        let names = names.iter().filter(move |name| may_stand(name));
        names.filter_map(move |name| one_of_many(below(name)).transpose())
    }

    /// Whether a file of this folder is an item of its own, as far as its first bytes tell.
    pub(super) fn is_item(&self, tree: &Tree, file: &Entry) -> io::Result<bool> {
        let is_book = tree.is_book(file)? && !tree.is_lost(file);
        Ok(is_book || self.is_root() && tree.is_image(file)?)
    }
}
