//! The tree as collections, and as one flat listing.

use std::path::Path;
use std::slice;

use alphanumeric_sort::compare_str;

use super::description::Description;
use super::tree::{Entry, Kind, Tree};
use super::{AdapterError, Collection, Cursor, Leaf, Listed, Page, images, stem, unreadable};
use crate::adapter::record::{Access, ItemId, MediaId, Member};
use crate::iiif::presentation::text::LanguageMap;

/// Folders deeper than this are left out: an id would not fit into an address any more.
const DEEPEST: usize = 32;

/// A collection: its own manifest first, then what is below it.
pub(super) fn collection(tree: &Tree, leaf: &Leaf) -> Result<Collection, AdapterError> {
    let missing = || AdapterError::NotFound(leaf.to_string());
    let folder = match leaf.is_root() {
        true => Path::new("").to_path_buf(),
        false => tree.locate(leaf.as_str()).filter(|e| e.kind == Kind::Folder).ok_or_else(missing)?.path,
    };
    let mut members = Vec::new();
    if !leaf.is_root() {
        let name = leaf.as_str().rsplit('/').next().unwrap_or_default();
        members.extend(folder_item(tree, &folder, leaf.as_str(), name)?.map(Member::Item));
    }
    let below = members.len();
    for entry in entries(tree, &folder)? {
        let id = join(leaf.as_str(), &entry.name);
        match entry.kind {
            Kind::File if leaf.is_root() && tree.is_image(&entry) => {
                members.push(Member::Item(file_item(tree, &entry)));
            }
            Kind::Folder => members.extend(sub_folder(tree, &entry, &id)?),
            Kind::File => {}
        }
    }
    if members.len() == below && !leaf.is_root() {
        return Err(missing());
    }
    let label = Description::of_folder(tree, &folder).ok().and_then(|description| description.label());
    let name = leaf.as_str().rsplit('/').next().filter(|name| !name.is_empty()).map(LanguageMap::none);
    let label = label.or(name).unwrap_or_default();
    Ok(Collection { label, parent: None, members: Page { items: members, next: None } })
}

/// A sub-folder as its parent shows it: a collection if items are below it, else an item if it holds images.
fn sub_folder(tree: &Tree, entry: &Entry, id: &str) -> Result<Option<Member>, AdapterError> {
    if has_items_below(tree, &entry.path, DEEPEST)? {
        let label = Description::of_folder(tree, &entry.path).ok().and_then(|d| d.label());
        let label = label.unwrap_or_else(|| LanguageMap::none(&entry.name));
        return Ok(Some(Member::Collection { leaf: Leaf::from(id), label }));
    }
    Ok(folder_item(tree, &entry.path, id, &entry.name)?.map(Member::Item))
}

fn has_items_below(tree: &Tree, folder: &Path, depth: usize) -> Result<bool, AdapterError> {
    if depth == 0 {
        return Ok(false);
    }
    for entry in entries(tree, folder)?.iter().filter(|entry| entry.kind == Kind::Folder) {
        if !images(tree, &entry.path)?.is_empty() || has_items_below(tree, &entry.path, depth - 1)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One page of all items, depth first in natural order; the cursor is the last id of the page before.
pub(super) fn list(tree: &Tree, after: Option<&Cursor>, page: usize) -> Result<Page<Listed>, AdapterError> {
    let after: Vec<&str> = after.map(|cursor| cursor.as_str().split('/').collect()).unwrap_or_default();
    let mut items = Vec::new();
    collect(tree, Path::new(""), "", &after, page, DEEPEST, &mut items)?;
    let next =
        (items.len() >= page).then(|| items.last().map(|item| Cursor::from(item.id.as_str()))).flatten();
    Ok(Page { items, next })
}

fn collect(
    tree: &Tree,
    folder: &Path,
    id: &str,
    after: &[&str],
    page: usize,
    depth: usize,
    items: &mut Vec<Listed>,
) -> Result<(), AdapterError> {
    if depth == 0 {
        return Ok(());
    }
    for entry in entries(tree, folder)? {
        if items.len() >= page {
            break;
        }
        let order = after
            .first()
            .map(|last| compare_str(&entry.name, last).then_with(|| entry.name.as_str().cmp(last)));
        if order.is_some_and(|order| order.is_lt()) {
            continue;
        }
        // On the path to the last item of the page before: it and what stands before it are told already.
        let told = order.is_some_and(|order| order.is_eq());
        let below = if told { after.get(1..).unwrap_or_default() } else { &[] };
        let child = join(id, &entry.name);
        match entry.kind {
            Kind::File if id.is_empty() && !told && tree.is_image(&entry) => {
                items.push(file_item(tree, &entry));
            }
            Kind::File => {}
            Kind::Folder => {
                if !told {
                    items.extend(folder_item(tree, &entry.path, &child, &entry.name)?);
                }
                collect(tree, &entry.path, &child, below, page, depth - 1, items)?;
            }
        }
    }
    Ok(())
}

/// A file directly in the root, as a list shows it.
fn file_item(tree: &Tree, file: &Entry) -> Listed {
    listed(&file.name, stem(&file.name), Description::of_file(tree, file), slice::from_ref(file), |_| {
        file.name.clone()
    })
}

/// A folder as a list shows it, if it directly holds images.
fn folder_item(tree: &Tree, folder: &Path, id: &str, name: &str) -> Result<Option<Listed>, AdapterError> {
    let images = images(tree, folder)?;
    let item =
        || listed(id, name, Description::of_folder(tree, folder), &images, |image| join(id, &image.name));
    Ok((!images.is_empty()).then(item))
}

/// Where a description cannot be read, access is left to the record, which will say why.
fn listed(
    id: &str,
    name: &str,
    description: Result<Description, AdapterError>,
    images: &[Entry],
    media: impl Fn(&Entry) -> String,
) -> Listed {
    let description = description.ok();
    let open = |image: &&Entry| {
        let access = description.as_ref().and_then(|description| description.canvas_access(&image.name));
        access.is_none_or(|access| access == Access::Open)
    };
    Listed {
        id: ItemId::from(id),
        version: None,
        label: description.as_ref().and_then(Description::label).or_else(|| Some(LanguageMap::none(name))),
        access: description.as_ref().map(Description::access),
        thumbnail: images.iter().find(open).map(|image| MediaId::from(media(image))),
    }
}

fn entries(tree: &Tree, folder: &Path) -> Result<Vec<Entry>, AdapterError> {
    tree.entries(folder).map_err(|source| unreadable(&folder.to_string_lossy(), source))
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}
