//! Items: one file in the root, a PDF with its pages, or a folder with its images as pages.

use std::slice;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::description::{Description, Unreadable};
use super::place::Place;
use super::tree::{Entry, Kind, Tree};
use super::walk::Walk;
use super::{AdapterError, unreadable};
use crate::adapter::record::{Access, Canvas, Image, ItemId, Leaf, Listed, MediaId, Record, Size};
use crate::iiif::presentation::text::LanguageMap;
use crate::imaging::Folio;

/// An item, before its pages are looked at.
#[derive(Debug)]
pub(super) struct Item<'a> {
    id: String,
    /// What it is called where nobody gave it a name.
    name: &'a str,
    /// The folder where its files are.
    place: &'a Place,
    /// What its description says, and who may see it after all the descriptions above.
    told: Result<(Description, Access), Unreadable>,
}

impl<'a> Item<'a> {
    pub(super) fn file(walk: &mut Walk<'_>, place: &'a Place, file: &'a Entry) -> Self {
        let mut told = || {
            let description = Description::of_file(walk.tree, &place.folder, file)?;
            let access = walk.access_to(place, file)?.max(description.access());
            Ok((description, access))
        };
        Self { id: place.id_of(&file.name), name: file.stem(), place, told: told() }
    }

    pub(super) fn folder(walk: &mut Walk<'_>, place: &'a Place) -> Self {
        let mut told = || Ok((Description::of_folder(walk.tree, &place.folder)?, walk.access(place)?));
        Self { id: place.id.clone(), name: place.name(), place, told: told() }
    }

    /// The item as a list shows it; of its images no more are looked at than it takes to find an
    /// open one of which there are pictures. Where a description cannot be read, access is left to the record, which will say why.
    pub(super) fn listed(self, walk: &mut Walk<'_>, mut images: impl Iterator<Item = Entry>) -> Listed {
        let name = LanguageMap::name(self.name);
        let (label, access, thumbnail) = match &self.told {
            Err(_) => (name, None, None),
            Ok((description, access)) => {
                let thumbnail = images.find(|image| {
                    let own = description.canvas_access(&image.name).unwrap_or(*access);
                    let above = walk.access_to(self.place, image);
                    own <= *access
                        && above.is_ok_and(|above| above <= *access)
                        && walk.tree.is_readable(image)
                });
                let media = thumbnail.map(|image| MediaId::from(self.place.id_of(&image.name)));
                (description.label().unwrap_or(name), Some(*access), media)
            }
        };
        Listed { id: ItemId::from(self.id), version: None, label: Some(label), access, thumbnail }
    }

    /// A PDF as a list shows it: that it has a first page, and that pictures can be made of it, is believed. It would have to be
    /// read as a whole.
    pub(super) fn listed_as_book(self, file: &Entry) -> Listed {
        let name = LanguageMap::name(self.name);
        let (label, access) = match &self.told {
            Err(_) => (name, None),
            Ok((description, access)) => (description.label().unwrap_or(name), Some(*access)),
        };
        let first = MediaId::of_page(&self.place.id_of(&file.name), 1);
        let thumbnail = access.map(|_| first);
        Listed { id: ItemId::from(self.id), version: None, label: Some(label), access, thumbnail }
    }

    /// The item with the pages of a PDF.
    fn book(self, file: &Entry, pages: &[Folio], parent: Leaf) -> Result<Record, AdapterError> {
        let (description, access) = self.told?;
        let mut digest = Sha256::new();
        digest.update(format!("{access:?}\0{}\0{}\0", description.text(), version(file)));
        let path = self.place.id_of(&file.name);
        let page = |(number, page): (u32, &Folio)| {
            let size = Size { width: page.width, height: page.height };
            let image = Image {
                media: MediaId::of_page(&path, number),
                size: Some(size),
                format: None,
                bytes: None,
                version: Some(version(file)),
            };
            let label = match &page.label {
                Some(label) => LanguageMap::none(label),
                None if pages.len() == 1 => LanguageMap::name(self.name),
                None => LanguageMap::none(format!("p. {number}")),
            };
            let name = number.to_string();
            Canvas {
                id: format!("{}~{number}", canvas_id(&file.name)),
                label: description.canvas_label(&name).unwrap_or(label),
                size: None,
                image: Some(image),
                access: description.canvas_access(&name),
                metadata: Vec::new(),
            }
        };
        for Folio { width, height, label } in pages {
            digest.update(format!("{width}x{height}\0{label:?}\0"));
        }
        let canvases = (1..).zip(pages).map(page).collect();
        let version = hex::encode(&digest.finalize()[..16]);
        let record = Record::new(ItemId::from(self.id), version, LanguageMap::name(self.name));
        Ok(description.describe(Record { access, parents: vec![parent], canvases, ..record }))
    }

    /// The item with these images as its pages.
    fn record(self, walk: &mut Walk<'_>, images: &[Entry], parent: Leaf) -> Result<Record, AdapterError> {
        let (description, access) = self.told?;
        let mut digest = Sha256::new();
        digest.update(format!("{access:?}\0{}\0", description.text()));
        let mut canvases = Vec::with_capacity(images.len());
        for file in images {
            let canvas = canvas(walk, self.place, &description, access, file)?;
            digest.update(format!("{}\0{}\0{:?}\0", file.name, version(file), canvas.access));
            canvases.push(canvas);
        }
        let version = hex::encode(&digest.finalize()[..16]);
        let record = Record::new(ItemId::from(self.id), version, LanguageMap::name(self.name));
        Ok(description.describe(Record { access, parents: vec![parent], canvases, ..record }))
    }
}

/// One page. Where its file is a link to where fewer people may look, it is closed as it is there.
fn canvas(
    walk: &mut Walk<'_>,
    place: &Place,
    description: &Description,
    access: Access,
    file: &Entry,
) -> Result<Canvas, Unreadable> {
    let above = walk.access_to(place, file)?;
    let label = description.canvas_label(&file.name);
    let image = Image {
        media: MediaId::from(place.id_of(&file.name)),
        size: None,
        format: None,
        bytes: Some(file.len),
        version: Some(version(file)),
    };
    Ok(Canvas {
        id: canvas_id(&file.name),
        label: label.unwrap_or_else(|| LanguageMap::name(file.stem())),
        size: None,
        image: Some(image),
        access: description.canvas_access(&file.name).max((above > access).then_some(above)),
        metadata: Vec::new(),
    })
}

/// The description of an item. A file inside an item's folder is a page of that item and no item itself.
pub(super) fn record(tree: &Tree, id: &ItemId) -> Result<Record, AdapterError> {
    let missing = || AdapterError::NotFound(id.to_string());
    let failed = |source| unreadable(id.as_str(), source);
    let (place, entry) = Place::find(tree, id.as_str()).map_err(failed)?.ok_or_else(missing)?;
    let mut walk = Walk::new(tree);
    if entry.kind == Kind::File {
        if !place.is_item(tree, &entry).map_err(failed)? {
            return Err(missing());
        }
        if tree.is_book(&entry).map_err(failed)? {
            let pages = tree.pages(&entry).map_err(failed)?;
            let pages = pages.ok_or_else(missing)?;
            return Item::file(&mut walk, &place, &entry).book(&entry, &pages, Leaf::from(place.id.as_str()));
        }
        return Item::file(&mut walk, &place, &entry).record(
            &mut walk,
            slice::from_ref(&entry),
            Leaf::root(),
        );
    }
    let place = place.enter(&entry).ok_or_else(missing)?;
    let names = walk.names(&place)?;
    let images: Vec<_> = place.images(tree, &names).collect::<Result<_, _>>().map_err(failed)?;
    if images.is_empty() {
        return Err(missing());
    }
    // A folder below that cannot be read is no reason to refuse the item.
    let parent = match walk.is_collection(&place, &names) {
        Ok(true) => Some(place.id.as_str()),
        _ => place.parent(),
    };
    Item::folder(&mut walk, &place).record(&mut walk, &images, parent.map_or_else(Leaf::root, Leaf::from))
}

/// The file of a media id: one that is an item or a page of one.
pub(super) fn master(tree: &Tree, id: &MediaId) -> Result<Entry, AdapterError> {
    let find = || {
        let entry = Place::find(tree, id.as_str())?.map(|(_, entry)| entry);
        let Some(entry) = entry.filter(|entry| entry.kind == Kind::File) else { return Ok(None) };
        Ok((tree.is_image(&entry)? || tree.is_book(&entry)?).then_some(entry))
    };
    let found = find().map_err(|source| unreadable(id.as_str(), source))?;
    found.ok_or_else(|| AdapterError::NotFound(id.to_string()))
}

/// Length and time of change stand for the bytes: reading gigabytes to hash them would cost more than it tells.
pub(super) fn version(entry: &Entry) -> String {
    let changed = entry.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{:x}-{:x}", entry.len, changed.as_nanos())
}

/// The file's name without the dot of its ending, since some readers and proxies judge an id by what
/// follows its last dot: `p1.jpg` is `p1-jpg`. Where a name has no plain ending there is nothing to
/// replace, and a mark that no ending has keeps it apart: `p1-jpg` is `p1-jpg_`.
fn canvas_id(name: &str) -> String {
    let is_plain =
        |ending: &str| !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match name.rsplit_once('.').filter(|(_, ending)| is_plain(ending)) {
        Some((stem, ending)) => format!("{stem}-{ending}"),
        None => format!("{name}_"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What [`canvas_id`] was made from. That there is a way back means that no two names share an id.
    fn name_of(id: &str) -> String {
        match (id.strip_suffix('_'), id.rsplit_once('-')) {
            (Some(name), _) => name.to_owned(),
            (None, Some((stem, ending))) => format!("{stem}.{ending}"),
            (None, None) => panic!("`{id}` is no id of a canvas"),
        }
    }

    #[test]
    fn ids_of_canvases_read_like_their_files() {
        for (name, id) in [
            ("p1.jpg", "p1-jpg"),
            ("p-1.tif", "p-1-tif"),
            ("map of Paris.tar.gz", "map of Paris.tar-gz"),
            ("a-jpg", "a-jpg_"),
            ("p.1-tif", "p.1-tif_"),
            ("scan", "scan_"),
            ("placeholder", "placeholder_"),
            ("end.", "end._"),
            ("a.jpg~", "a.jpg~_"),
        ] {
            assert_eq!(canvas_id(name), id);
        }
    }

    proptest! {
        #[test]
        fn different_names_have_different_ids(name in r"([ab.\-_]|\PC){1,12}") {
            prop_assert_eq!(name_of(&canvas_id(&name)), name);
        }

        #[test]
        fn no_id_ends_like_a_file(name in r"[a.\-_~]{1,8}(\.[a-z]{1,4})?") {
            let id = canvas_id(&name);
            let ending = id.rsplit_once('.').map_or("_", |(_, ending)| ending);
            prop_assert!(!ending.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", id);
        }
    }
}
