//! The folder driver: a directory tree of masters becomes items, canvases and collections.
//!
//! A file directly in the folder is an item with one canvas. A sub-folder that directly holds
//! images is an item whose canvases are its images in natural order. A PDF is an item of its own wherever
//! it lies, and its pages are the canvases: it is as much of a book as a folder is. A folder with items below
//! it is a collection; it may be both. Ids are relative paths with `/`; a page is `plan.pdf#page=3`, and
//! what really has such a name is left out.
//!
//! Who may see an item is decided by the strictest of its own description and the `info.toml` of
//! every folder above it, the root's included. A link opens no way around that: the folders above
//! its target count as well. A hidden folder is no collection; one for people who signed in is
//! listed, and what is in it is closed like itself. A description that is there and cannot be
//! read might have said anything, so it closes its item and all that is below it, and what is wrong
//! with it goes to the log.

mod complaints;
mod description;
mod item;
mod listing;
mod place;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::input::{Input, Kind, Need};
use super::record::{Collection, Cursor, ItemId, Leaf, Listed, MediaId, Page, Record};
use super::{Abilities, Adapter, AdapterError, Content, Heard, Media};
use tree::Tree;

/// What a source of this kind has to say.
pub const INPUTS: &[Input<'static>] = &[Input { name: "path", kind: Kind::Folder, need: Need::Required }];

/// How many items one page of a listing holds.
const PAGE: usize = 1000;

/// Asking costs little here, and who changes a file wants to see it.
const FRESHNESS: Duration = Duration::from_secs(2);

/// A directory tree, read when it is asked for.
#[derive(Debug)]
pub struct Folder {
    tree: Arc<Tree>,
}

impl Folder {
    /// Opens the folder; everything outside of it stays out of reach for good.
    pub fn open(path: &Path) -> Result<Self, AdapterError> {
        let tree = Tree::open(path)
            .map_err(|source| AdapterError::Io { path: path.display().to_string(), source })?;
        Ok(Self { tree: Arc::new(tree) })
    }

    /// The same folder, with pages of PDFs at so many pixels to an inch.
    pub fn with_dpi(self, dpi: u32) -> Self {
        let tree = Arc::try_unwrap(self.tree).expect("nobody else has it yet");
        Self { tree: Arc::new(tree.with_dpi(dpi)) }
    }

    /// Runs file-system work where it may block.
    async fn read<T, F>(&self, work: F) -> Result<T, AdapterError>
    where
        T: Send + 'static,
        F: FnOnce(&Tree) -> Result<T, AdapterError> + Send + 'static,
    {
        let tree = Arc::clone(&self.tree);
        tokio::task::spawn_blocking(move || work(&tree)).await.unwrap_or_else(|error| {
            Err(AdapterError::Io { path: String::new(), source: std::io::Error::other(error) })
        })
    }
}

#[async_trait]
impl Adapter for Folder {
    fn abilities(&self) -> Abilities {
        Abilities { listing: true, collections: true, ranges: true, local: true }
    }

    fn identity(&self) -> String {
        self.tree.identity()
    }

    fn freshness(&self) -> Option<Duration> {
        Some(FRESHNESS)
    }

    async fn record(&self, id: &ItemId, _: &Heard) -> Result<Record, AdapterError> {
        let id = id.clone();
        self.read(move |tree| item::record(tree, &id)).await
    }

    fn item_of(&self, id: &MediaId) -> Option<ItemId> {
        if id.page().is_some() {
            return Some(ItemId::from(id.file().as_str()));
        }
        let path = id.as_str();
        Some(ItemId::from(path.rsplit_once('/').map_or(path, |(folder, _)| folder)))
    }

    async fn media(&self, id: &MediaId, _range: Option<Range<u64>>) -> Result<Media, AdapterError> {
        let id = id.clone();
        self.read(move |tree| {
            let master = item::master(tree, &id)?;
            let file = tree.read(&master).map_err(|source| unreadable(id.as_str(), source))?;
            Ok(Media {
                total: Some(master.len),
                version: Some(item::version(&master)),
                format: None,
                start: 0,
                content: Content::Local(file),
            })
        })
        .await
    }

    async fn list(&self, after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
        let after = after.cloned();
        self.read(move |tree| listing::list(tree, after.as_ref(), PAGE)).await
    }

    async fn collection(&self, leaf: &Leaf, _after: Option<&Cursor>) -> Result<Collection, AdapterError> {
        let leaf = leaf.clone();
        self.read(move |tree| listing::collection(tree, &leaf)).await
    }
}

fn unreadable(path: &str, source: std::io::Error) -> AdapterError {
    match source.kind() {
        std::io::ErrorKind::NotFound => AdapterError::NotFound(path.to_owned()),
        _ => AdapterError::Io { path: path.to_owned(), source },
    }
}
