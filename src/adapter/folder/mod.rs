//! The folder driver: a directory tree of masters becomes items, canvases and collections.
//!
//! A file directly in the folder is an item with one canvas. A sub-folder that directly holds
//! images is an item whose canvases are its images in natural order. A folder with items below
//! it is a collection; it may be both. Ids are relative paths with `/`.

mod description;
mod tree;
mod walk;

use std::fmt::Debug;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::input::{Input, Kind as InputKind, Need};
use super::record::{Access, Canvas, Collection, Cursor, Image, ItemId, Leaf, Listed, MediaId, Page, Record};
use super::{Abilities, Adapter, AdapterError, Content, Media};
use crate::iiif::presentation::text::LanguageMap;
use description::Description;
use tree::{Entry, Kind, Tree};

/// How many items one page of a listing holds.
const PAGE: usize = 1000;

/// What a source of this kind has to say.
pub const INPUTS: &[Input<'static>] =
    &[Input { name: "path", kind: InputKind::Folder, need: Need::Required }];

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
        Abilities { listing: true, collections: true, ranges: true }
    }

    async fn record(&self, id: &ItemId) -> Result<Record, AdapterError> {
        let id = id.clone();
        self.read(move |tree| record(tree, &id)).await
    }

    fn item_of(&self, id: &MediaId) -> Option<ItemId> {
        let path = id.as_str();
        Some(ItemId::from(path.rsplit_once('/').map_or(path, |(folder, _)| folder)))
    }

    async fn media(&self, id: &MediaId, _range: Option<Range<u64>>) -> Result<Media, AdapterError> {
        let id = id.clone();
        self.read(move |tree| {
            let entry = master(tree, &id)?;
            let file = tree.read(&entry.path).map_err(|source| unreadable(id.as_str(), source))?;
            Ok(Media {
                total: Some(entry.len),
                version: Some(version(&entry)),
                format: None,
                start: 0,
                content: Content::Local(file),
            })
        })
        .await
    }

    async fn list(&self, after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
        let after = after.cloned();
        self.read(move |tree| walk::list(tree, after.as_ref(), PAGE)).await
    }

    async fn collection(&self, leaf: &Leaf, _after: Option<&Cursor>) -> Result<Collection, AdapterError> {
        let leaf = leaf.clone();
        self.read(move |tree| walk::collection(tree, &leaf)).await
    }
}

/// What stands under an item's id: one file, or a folder with images.
enum Item {
    File(Entry),
    Folder { folder: PathBuf, images: Vec<Entry> },
}

/// Finds an item. A file inside an item's folder is a canvas of that item and no item itself.
fn item(tree: &Tree, id: &ItemId) -> Result<Item, AdapterError> {
    let missing = || AdapterError::NotFound(id.to_string());
    let entry = tree.locate(id.as_str()).ok_or_else(missing)?;
    match entry.kind {
        Kind::File if !id.as_str().contains('/') && tree.is_image(&entry) => Ok(Item::File(entry)),
        Kind::File => Err(missing()),
        Kind::Folder => {
            let images = images(tree, &entry.path)?;
            if images.is_empty() { Err(missing()) } else { Ok(Item::Folder { folder: entry.path, images }) }
        }
    }
}

/// The images directly in a folder, in natural order.
fn images(tree: &Tree, folder: &Path) -> Result<Vec<Entry>, AdapterError> {
    let entries = tree.entries(folder).map_err(|source| unreadable(&folder.to_string_lossy(), source))?;
    Ok(entries.into_iter().filter(|entry| entry.kind == Kind::File && tree.is_image(entry)).collect())
}

/// Finds the file of a media id: one that is an item or a canvas of one.
fn master(tree: &Tree, id: &MediaId) -> Result<Entry, AdapterError> {
    tree.locate(id.as_str())
        .filter(|entry| entry.kind == Kind::File && tree.is_image(entry))
        .ok_or_else(|| AdapterError::NotFound(id.to_string()))
}

fn record(tree: &Tree, id: &ItemId) -> Result<Record, AdapterError> {
    let (description, files) = match item(tree, id)? {
        Item::File(file) => (Description::of_file(tree, &file)?, vec![file]),
        Item::Folder { folder, images } => (Description::of_folder(tree, &folder)?, images),
    };
    let single = tree.locate(id.as_str()).is_some_and(|entry| entry.kind == Kind::File);
    let mut digest = Sha256::new();
    digest.update(description.text());
    let canvases = files.iter().map(|file| {
        let version = version(file);
        digest.update(format!("{}\0{version}\0", file.name));
        let media = if single { id.as_str().to_owned() } else { format!("{id}/{}", file.name) };
        Canvas {
            id: file.name.clone(),
            label: description
                .canvas_label(&file.name)
                .unwrap_or_else(|| LanguageMap::none(stem(&file.name))),
            size: None,
            image: Some(Image {
                media: MediaId::from(media),
                size: None,
                format: None,
                bytes: Some(file.len),
                version: Some(version),
            }),
            access: description.canvas_access(&file.name),
            metadata: Vec::new(),
        }
    });
    let canvases = canvases.collect();
    let name = id.as_str().rsplit('/').next().unwrap_or_default();
    let fallback = if single { stem(name) } else { name };
    let parent = id.as_str().rsplit_once('/').map_or_else(Leaf::root, |(folder, _)| Leaf::from(folder));
    let record = Record {
        id: id.clone(),
        version: hex::encode(&digest.finalize()[..16]),
        access: Access::Open,
        label: LanguageMap::none(fallback),
        summary: LanguageMap::default(),
        metadata: Vec::new(),
        rights: None,
        required_statement: None,
        provider: Vec::new(),
        homepage: Vec::new(),
        see_also: Vec::new(),
        rendering: Vec::new(),
        nav_date: None,
        behavior: Vec::new(),
        viewing_direction: None,
        modified: None,
        parents: vec![parent],
        thumbnail: None,
        canvases,
    };
    Ok(description.describe(record))
}

/// The file name without its last ending: `map of Paris.tif` is called *map of Paris*.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Length and time of change stand for the bytes: reading gigabytes to hash them would cost more than it tells.
fn version(entry: &Entry) -> String {
    let changed = entry.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{:x}-{:x}", entry.len, changed.as_nanos())
}

fn unreadable(path: &str, source: std::io::Error) -> AdapterError {
    match source.kind() {
        std::io::ErrorKind::NotFound => AdapterError::NotFound(path.to_owned()),
        _ => AdapterError::Io { path: path.to_owned(), source },
    }
}
