//! The tree as collections, and as one flat listing.

use std::{iter, slice};

use super::description::Description;
use super::item::Item;
use super::place::{Below, Place};
use super::tree::{Entry, Name, Tree, natural, one_of_many};
use super::walk::Walk;
use super::{AdapterError, Collection, Cursor, ItemId, Leaf, Listed, Page, Record, unreadable};
use crate::adapter::record::{Access, Member, Parent};
use crate::iiif::presentation::text::LanguageMap;

/// A collection: its own manifest first, then what is below it. A hidden one is none.
pub(super) fn collection(tree: &Tree, leaf: &Leaf) -> Result<Collection, AdapterError> {
    let missing = || AdapterError::NotFound(leaf.to_string());
    let failed = |source| unreadable(leaf.as_str(), source);
    let find = || {
        let (above, entry) = Place::find(tree, leaf.as_str()).map_err(failed)?.ok_or_else(missing)?;
        let place = above.enter(&entry).ok_or_else(missing)?;
        Ok::<_, AdapterError>((Some(above), place))
    };
    let (above, place) = if leaf.is_root() { (None, Place::root()) } else { find()? };
    let mut walk = Walk::new(tree);
    let access = walk.access(&place)?;
    if access >= Access::Hidden {
        return Err(missing());
    }
    let names = walk.names(&place)?;
    let mut below = Vec::new();
    for found in place.below(tree, &names) {
        below.extend(member(&mut walk, &place, found.map_err(failed)?)?);
    }
    if below.is_empty() && !place.is_root() {
        return Err(missing());
    }
    let own = folder_item(&mut walk, &place, &names)?.map(Member::Item);
    let name = Record::new(ItemId::from(leaf.as_str()), String::new(), named(&place));
    let mut about = Description::of_folder(tree, &place.folder)?.describe(Record { access, ..name });
    if own.is_some() {
        // That is said of the pages of the item that the folder is, too.
        about.behavior.clear();
        about.viewing_direction = None;
    }
    let items = own.into_iter().chain(below).collect();
    let parent = above.map(|above| parent(tree, above)).transpose()?;
    Ok(Collection { about, parent, members: Page { items, next: None } })
}

fn parent(tree: &Tree, place: Place) -> Result<Parent, AdapterError> {
    let label = Description::of_folder(tree, &place.folder)?.label().unwrap_or_else(|| named(&place));
    Ok(Parent { leaf: Leaf::from(place.id), label })
}

/// A part of a collection: a folder is a collection if items are below it, else an item if it holds images.
fn member(walk: &mut Walk<'_>, place: &Place, below: Below) -> Result<Option<Member>, AdapterError> {
    let inner = match below {
        Below::File(file) => return Ok(Some(Member::Item(file_item(walk, place, &file)?))),
        Below::Folder(inner) => inner,
    };
    let names = walk.names(&inner)?;
    if !walk.is_collection(&inner, &names)? {
        return Ok(folder_item(walk, &inner, &names)?.map(Member::Item));
    }
    // Nothing tells access of a collection, so what is hidden, or may be, is not told at all.
    if walk.access(&inner).is_ok_and(|access| access < Access::Hidden)
        && let Ok(description) = Description::of_folder(walk.tree, &inner.folder)
    {
        let label = description.label().unwrap_or_else(|| named(&inner));
        return Ok(Some(Member::Collection { leaf: Leaf::from(inner.id), label }));
    }
    Ok(None)
}

/// One page of all items, depth first in natural order; the cursor is the last id of the page before.
pub(super) fn list(tree: &Tree, after: Option<&Cursor>, page: usize) -> Result<Page<Listed>, AdapterError> {
    let after: Option<Vec<&str>> = after.map(|cursor| cursor.as_str().split('/').collect());
    let mut listing = Listing { walk: Walk::new(tree), items: Vec::new(), page };
    listing.collect(&Place::root(), after.as_deref())?;
    let items = listing.items;
    let next = items.last().filter(|_| items.len() >= page).map(|item| Cursor::from(item.id.as_str()));
    Ok(Page { items, next })
}

/// A page that fills.
struct Listing<'a> {
    walk: Walk<'a>,
    items: Vec<Listed>,
    page: usize,
}

impl Listing<'_> {
    /// Adds a folder and what is below it. `after` is the rest of the way to the last item of the
    /// page before: the folders on it were told then, and what stands before it. `None`: nothing of this folder was.
    fn collect(&mut self, place: &Place, after: Option<&[&str]>) -> Result<(), AdapterError> {
        let tree = self.walk.tree;
        let mut names = self.walk.names(place)?;
        if after.is_none() {
            self.items.extend(folder_item(&mut self.walk, place, &names)?);
        }
        let last = after.and_then(<[_]>::split_first);
        if let Some((last, _)) = last {
            names.retain(|name| natural(&name.text, last).is_ge());
        }
        for below in place.below(tree, &names) {
            if self.items.len() >= self.page {
                break;
            }
            let told = |name: &str| last.filter(|(last, _)| **last == name).map(|(_, rest)| rest);
            match below.map_err(|source| unreadable(&place.id, source))? {
                Below::File(file) if told(&file.name).is_some() => {}
                Below::File(file) => self.items.push(file_item(&mut self.walk, place, &file)?),
                Below::Folder(inner) => self.collect(&inner, told(inner.name()))?,
            }
        }
        Ok(())
    }
}

/// A file that is an item, as a list shows it.
fn file_item(walk: &mut Walk<'_>, place: &Place, file: &Entry) -> Result<Listed, AdapterError> {
    let item = Item::file(walk, place, file);
    let is_book = walk.tree.is_book(file).map_err(|source| unreadable(&place.id, source))?;
    Ok(match is_book {
        true => item.listed_as_book(file),
        false => item.listed(walk, slice::from_ref(file).iter().cloned()),
    })
}

/// A folder as a list shows it, if it directly holds images. The root is no item: each of its files is one.
fn folder_item(walk: &mut Walk<'_>, place: &Place, names: &[Name]) -> Result<Option<Listed>, AdapterError> {
    if place.is_root() {
        return Ok(None);
    }
    let mut images = place.images(walk.tree, names);
    let first = one_of_many(images.next().transpose()).map_err(|source| unreadable(&place.id, source))?;
    // A page that cannot be looked at now is no thumbnail.
    let listed = |first| Item::folder(walk, place).listed(walk, iter::once(first).chain(images.flatten()));
    Ok(first.map(listed))
}

/// What a folder is called where nobody gave it a name; nothing for the root.
fn named(place: &Place) -> LanguageMap {
    if place.is_root() { LanguageMap::default() } else { LanguageMap::name(place.name()) }
}
