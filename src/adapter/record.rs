//! The neutral values that every adapter maps its system to.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::iiif::presentation::text::LanguageMap;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as the source writes it, percent-decoded.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<String>> From<T> for $name {
            fn from(id: T) -> Self {
                Self(id.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// An item (a described object) within its source.
    ItemId
}
text_id! {
    /// A file of an item within its source, or a page of a PDF: `plan.pdf#page=3`, as RFC 8118 has it.
    MediaId
}
text_id! {
    /// A collection within its source; the empty one is the source itself.
    Leaf
}
text_id! {
    /// Where a listing goes on; opaque to everybody but the adapter that made it.
    Cursor
}

impl MediaId {
    /// What stands between a file and the number of a page.
    const PAGE: &str = "#page=";

    /// A page of a file, counted from 1.
    pub fn of_page(file: &str, number: u32) -> Self {
        Self(format!("{file}{}{number}", Self::PAGE))
    }

    /// The file that is asked for at the source.
    pub fn file(&self) -> Self {
        Self(self.split().0.to_owned())
    }

    /// The page of that file, if one is named.
    pub fn page(&self) -> Option<u32> {
        self.split().1
    }

    /// Numbers have one plain form: no sign, no zeros in front.
    fn split(&self) -> (&str, Option<u32>) {
        let page =
            |digits: &str| digits.parse().ok().filter(|page: &u32| *page > 0 && page.to_string() == digits);
        let parts = self.0.rsplit_once(Self::PAGE).filter(|(file, _)| !file.is_empty());
        match parts.and_then(|(file, digits)| Some((file, page(digits)?))) {
            Some((file, page)) => (file, Some(page)),
            None => (&self.0, None),
        }
    }
}

impl Leaf {
    /// The collection that stands for the whole source.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Whether this is the whole source.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// Who may see an item, as far as the source says. Closed unless open; ordered from open to closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    Open,
    /// People who signed in.
    Login,
    /// Some of them.
    Restricted,
    /// Not even its existence is told.
    Hidden,
    /// The source did not say what its definition promises to say: treated like hidden.
    Unknown,
}

/// A described object, in nobody's dialect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id within the source.
    pub id: ItemId,
    /// Changes whenever anything in this record changes.
    pub version: String,
    /// Who may see it.
    pub access: Access,
    /// What it is called; never empty, the id at worst.
    pub label: LanguageMap,
    /// A short description; may be HTML of the allowed kind.
    #[serde(default)]
    pub summary: LanguageMap,
    /// Label and value pairs to show, in order.
    #[serde(default)]
    pub metadata: Vec<Entry>,
    /// Licence or rights statement: a Creative Commons or RightsStatements URI, `http`.
    #[serde(default)]
    pub rights: Option<String>,
    /// A text that has to be shown.
    #[serde(default)]
    pub required_statement: Option<Entry>,
    /// Who provides the object.
    #[serde(default)]
    pub provider: Vec<Agent>,
    /// Pages about the object.
    #[serde(default)]
    pub homepage: Vec<Link>,
    /// Machine-readable descriptions.
    #[serde(default)]
    pub see_also: Vec<Link>,
    /// Other forms of the object, e.g. a PDF.
    #[serde(default)]
    pub rendering: Vec<Link>,
    /// A date for timelines.
    #[serde(default)]
    pub nav_date: Option<Timestamp>,
    /// IIIF behaviors, e.g. `paged`.
    #[serde(default)]
    pub behavior: Vec<String>,
    /// E.g. `right-to-left`.
    #[serde(default)]
    pub viewing_direction: Option<String>,
    /// When the source last changed it.
    #[serde(default)]
    pub modified: Option<Timestamp>,
    /// Collections that it belongs to.
    #[serde(default)]
    pub parents: Vec<Leaf>,
    /// A file that stands for the whole; the first open canvas otherwise.
    #[serde(default)]
    pub thumbnail: Option<Image>,
    /// Pages or views, in order.
    pub canvases: Vec<Canvas>,
}

impl Record {
    /// A record of which nothing else is known yet, not even who may see it.
    pub fn new(id: ItemId, version: String, label: LanguageMap) -> Self {
        Self {
            id,
            version,
            access: Access::Unknown,
            label,
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
            parents: Vec::new(),
            thumbnail: None,
            canvases: Vec::new(),
        }
    }
}

/// One page or view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Canvas {
    /// Unique within the record.
    pub id: String,
    /// What it is called, e.g. `12r`; may be empty.
    #[serde(default)]
    pub label: LanguageMap,
    /// Size of the canvas where it differs from its image's.
    #[serde(default)]
    pub size: Option<Size>,
    /// The image painted on it.
    #[serde(default)]
    pub image: Option<Image>,
    /// Who may see it, where that differs from the record.
    #[serde(default)]
    pub access: Option<Access>,
    /// Label and value pairs of this page.
    #[serde(default)]
    pub metadata: Vec<Entry>,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// An image file, as far as the source tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where its bytes are asked for.
    pub media: MediaId,
    /// In pixels, upright (after EXIF orientation); `None` until the file's header was read.
    #[serde(default)]
    pub size: Option<Size>,
    /// Media type, e.g. `image/tiff`.
    #[serde(default)]
    pub format: Option<String>,
    /// Length in bytes.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Changes whenever the bytes change.
    #[serde(default)]
    pub version: Option<String>,
}

/// A label and a value to show beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `label` and `value`")]
pub struct Entry {
    /// E.g. *Creator*.
    pub label: LanguageMap,
    /// E.g. *Jane Roe*; may be HTML of the allowed kind.
    pub value: LanguageMap,
}

/// An institution or person that provides objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `id` and `label`")]
pub struct Agent {
    /// An http(s) URI.
    pub id: String,
    /// Its name.
    pub label: LanguageMap,
    /// Its pages.
    #[serde(default)]
    pub homepage: Vec<Link>,
    /// Address of its logo.
    #[serde(default)]
    pub logo: Option<String>,
}

/// An address elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `id` and `label`")]
pub struct Link {
    /// An http(s) URI.
    pub id: String,
    /// What a reader would click on.
    #[serde(default)]
    pub label: LanguageMap,
    /// Media type.
    #[serde(default)]
    pub format: Option<String>,
    /// IIIF type of the content, e.g. `Text`, `Dataset`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Address of the schema that it follows.
    #[serde(default)]
    pub profile: Option<String>,
}

/// One page of a longer list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// An item as a listing tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id within the source.
    pub id: ItemId,
    /// Changes whenever the item changes, where the listing says so.
    pub version: Option<String>,
    /// What it is called, where the listing says so.
    pub label: Option<LanguageMap>,
    /// Who may see it; `None`: the listing does not say, the record decides.
    pub access: Option<Access>,
    /// An image that stands for it, where the listing names one that is as open as the item.
    pub thumbnail: Option<MediaId>,
}

/// A collection as its source tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// What is told of it, in the words that items have; it has no canvases, and its label may be empty.
    pub about: Record,
    /// The collection that it is directly part of; `None` for the whole source.
    pub parent: Option<Parent>,
    /// One page of what is directly in it.
    pub members: Page<Member>,
}

impl Collection {
    /// A whole source of which nothing but its members is told.
    pub fn root(members: Page<Member>) -> Self {
        let about = Record::new(ItemId::from(""), String::new(), LanguageMap::default());
        Self { about, parent: None, members }
    }
}

/// A collection as what is in it tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// Its address within the source.
    pub leaf: Leaf,
    /// What it is called; may be empty.
    pub label: LanguageMap,
}

/// A direct member of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Member {
    /// An item.
    Item(Listed),
    /// A collection below this one.
    Collection {
        /// Its address within the source.
        leaf: Leaf,
        /// What it is called.
        label: LanguageMap,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_from_its_file() {
        for (id, file, page) in [
            ("plan.pdf#page=3", "plan.pdf", Some(3)),
            ("a/b c.pdf#page=4294967295", "a/b c.pdf", Some(u32::MAX)),
            ("plan.pdf", "plan.pdf", None),
            ("plan.pdf#page=0", "plan.pdf#page=0", None),
            ("plan.pdf#page=03", "plan.pdf#page=03", None),
            ("plan.pdf#page=+3", "plan.pdf#page=+3", None),
            ("plan.pdf#page=4294967296", "plan.pdf#page=4294967296", None),
            ("plan.pdf#page=", "plan.pdf#page=", None),
            ("#page=3", "#page=3", None),
            ("a#page=1#page=2", "a#page=1", Some(2)),
        ] {
            let media = MediaId::from(id);
            assert_eq!((media.file(), media.page()), (MediaId::from(file), page), "{id}");
        }
        assert_eq!(MediaId::of_page("plan.pdf", 3), MediaId::from("plan.pdf#page=3"));
    }
}
