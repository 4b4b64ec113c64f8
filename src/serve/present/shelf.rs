//! Collections: the top one, those of a source, and the parts of long ones.

use serde_json::Value;

use crate::adapter::record::{Access, Leaf, Listed, Member, Parent};
use crate::iiif::address::{Address, Place};
use crate::iiif::presentation::text::LanguageMap;
use crate::iiif::presentation::{Version, html, model, v2, v3};
use crate::serve::collections::Collected;

use super::{Presenter, Uris, clean, is_secret};

/// How many members one document lists; longer collections have parts.
pub const PART: usize = 1000;

/// The collection of all sources, each with its name and label.
pub fn top(
    version: Version,
    uris: &Uris,
    label: &str,
    sources: &[(&str, LanguageMap)],
    part: Option<u32>,
) -> Option<Value> {
    let members = sources.iter().map(|(name, label)| {
        let place = Place::Source { source: (*name).to_owned() };
        let label = if label.is_empty() { LanguageMap::none(*name) } else { label.clone() };
        reference(version, uris, place, None, label)
    });
    let about = model::Description { label: LanguageMap::none(label), ..model::Description::default() };
    Shelf { version, uris, place: Place::Top, about, members: members.collect() }.document(part)
}

impl Presenter<'_> {
    /// A collection of the source with all its direct members; the root leaf is the source itself.
    /// `None`: it has no such part.
    pub fn collection(&self, leaf: &Leaf, collected: &Collected, part: Option<u32>) -> Option<Value> {
        let parent = match (leaf.is_root(), &collected.parent) {
            (true, _) => reference(self.version, self.uris, Place::Top, None, LanguageMap::default()),
            (false, None) => self.collection_reference(&Leaf::root(), self.source_label()),
            (false, Some(Parent { leaf, label })) => {
                self.collection_reference(leaf, self.collection_label(leaf, label))
            }
        };
        let about = model::Description {
            label: self.collection_label(leaf, &collected.about.label),
            behavior: clean::behaviors(model::Kind::Collection, &collected.about.behavior),
            part_of: vec![parent],
            ..self.about(&collected.about)
        };
        let members = collected.members.iter().filter_map(|member| self.member(member)).collect();
        Shelf { version: self.version, uris: self.uris, place: self.place(leaf), about, members }
            .document(part)
    }

    fn collection_label(&self, leaf: &Leaf, label: &LanguageMap) -> LanguageMap {
        let label = self.texts(label, html::plain);
        match (label.is_empty(), leaf.is_root()) {
            (false, _) => label,
            (true, true) => self.source_label(),
            (true, false) => LanguageMap::none(leaf.as_str()),
        }
    }

    /// `None`: not to be known of.
    fn member(&self, member: &Member) -> Option<model::Reference> {
        match member {
            Member::Item(item) if item.access.is_some_and(is_secret) => None,
            Member::Item(item) => {
                let (version, source) = (Some(self.version), self.source.to_owned());
                let address = Address::Manifest { version, source, item: item.id.to_string() };
                let label = self.member_label(item.label.as_ref(), item.id.as_str());
                Some(model::Reference {
                    id: self.uris.print(&address),
                    kind: model::Kind::Manifest,
                    label,
                    thumbnail: self.listed_thumbnail(item),
                })
            }
            Member::Collection { leaf, label } => {
                Some(self.collection_reference(leaf, self.member_label(Some(label), leaf.as_str())))
            }
        }
    }

    /// Only of what is open: whoever reads a list could not see any other.
    fn listed_thumbnail(&self, item: &Listed) -> Option<model::Thumbnail> {
        let media = item.thumbnail.as_ref().filter(|_| item.access == Some(Access::Open))?;
        Some(model::Thumbnail { service: self.service(media), size: None })
    }

    /// Members must have a label: at worst their id.
    fn member_label(&self, label: Option<&LanguageMap>, id: &str) -> LanguageMap {
        let label = label.map(|label| self.texts(label, html::plain)).filter(|label| !label.is_empty());
        label.unwrap_or_else(|| LanguageMap::none(id))
    }
}

/// A collection with all its members, before it is cut into parts.
struct Shelf<'a> {
    version: Version,
    uris: &'a Uris,
    place: Place,
    about: model::Description,
    members: Vec<model::Reference>,
}

impl Shelf<'_> {
    /// 3.0 has no paging, so the parts of a long collection are collections of their own; 2.1
    /// also says how they follow each other.
    fn document(self, part: Option<u32>) -> Option<Value> {
        let version = self.version;
        let collection = match part {
            None if self.members.len() <= PART => self.short(),
            None => self.long(),
            Some(part) => self.part(part)?,
        };
        Some(match version {
            Version::V2 => v2::collection(&collection),
            Version::V3 => v3::collection(&collection),
        })
    }

    fn short(self) -> model::Collection {
        let id = self.reference(None, LanguageMap::default()).id;
        model::Collection { id, about: self.about, members: self.members, paging: None }
    }

    fn long(self) -> model::Collection {
        let count = u32::try_from(self.members.len().div_ceil(PART)).unwrap_or(u32::MAX);
        let parts = (1..=count).map(|part| self.reference(Some(part), self.part_label(part))).collect();
        let first = self.reference(Some(1), LanguageMap::default()).id;
        let paging = Some(model::Paging::Whole { total: self.members.len(), first });
        model::Collection {
            id: self.reference(None, LanguageMap::default()).id,
            about: self.about,
            members: parts,
            paging,
        }
    }

    fn part(self, part: u32) -> Option<model::Collection> {
        let start = start_of(part)?;
        if self.members.len() <= PART {
            return None;
        }
        let members = self.members.chunks(PART).nth(start / PART)?.to_vec();
        let more = self.members.len() > start + PART;
        let next = more.then(|| self.reference(Some(part + 1), LanguageMap::default()).id);
        let whole = self.reference(None, self.about.label.clone());
        let about =
            model::Description { label: self.part_label(part), part_of: vec![whole], ..self.about.clone() };
        let id = self.reference(Some(part), LanguageMap::default()).id;
        Some(model::Collection { id, about, members, paging: Some(model::Paging::Part { start, next }) })
    }

    /// E.g. *Maps, 1001–1748*.
    fn part_label(&self, part: u32) -> LanguageMap {
        let start = start_of(part).unwrap_or_default();
        let end = self.members.len().min(start + PART);
        self.about.label.map(|label| format!("{label}, {}–{end}", start + 1))
    }

    fn reference(&self, part: Option<u32>, label: LanguageMap) -> model::Reference {
        reference(self.version, self.uris, self.place.clone(), part, label)
    }
}

fn reference(
    version: Version,
    uris: &Uris,
    place: Place,
    part: Option<u32>,
    label: LanguageMap,
) -> model::Reference {
    let id = uris.print(&Address::Collection { version, place, part });
    model::Reference { id, kind: model::Kind::Collection, label, thumbnail: None }
}

/// How many members stand before a part; parts are counted from 1.
fn start_of(part: u32) -> Option<usize> {
    usize::try_from(part.checked_sub(1)?).ok()?.checked_mul(PART)
}
