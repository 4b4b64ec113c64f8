//! What a definition file says: the typed form of `adapters/*.toml`, strict.

use std::fmt;
use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::auth::Auth;
use super::check;
use super::expression::{Expression, OfCanvas, OfItem, OfRecord, OfSource};
use super::inputs::Setting;
use super::paging::Paging;
use super::template::Template;
use crate::upstream::Redirects;

/// One kind of system, described in TOML: how it is asked, and how its answers become records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What it is.
    pub adapter: About,
    /// What a site has to say.
    #[serde(default)]
    pub(super) settings: IndexMap<String, Setting>,
    #[serde(default)]
    pub(super) auth: Auth,
    pub(super) http: Http,
    pub(super) fetch: Vec<Fetch>,
    #[serde(default)]
    pub(super) paging: IndexMap<String, Paging>,
    pub(super) record: RecordRules,
    pub(super) canvas: CanvasRules,
    pub(super) list: Option<ListRules>,
    pub(super) file: FileRules,
    /// The text that all this was read from, as a digest.
    #[serde(skip)]
    pub(super) digest: Vec<u8>,
}

/// `[adapter]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The name that settings use; that of the file.
    pub name: String,
    /// Of the definition.
    pub version: String,
    /// Product and versions that it was made for.
    pub system: String,
}

/// `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    /// Where relative addresses begin.
    pub(super) base: Template,
    /// Sent with every request to the base's own origin.
    #[serde(default)]
    pub(super) headers: IndexMap<String, Template>,
    /// How the gateway introduces itself.
    pub(super) user_agent: Option<Template>,
    #[serde(default)]
    pub(super) redirect: Redirect,
    /// Requests at a time, at most.
    pub(super) concurrency: Option<usize>,
    /// Requests a second, at most.
    pub(super) rate: Option<f64>,
    /// Other hosts from which files of this system come.
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    /// True over an answer that is none: the source asks to come back later.
    pub(super) busy: Option<Expression<OfSource>>,
}

/// What a redirect means.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Redirect {
    #[default]
    Follow,
    Deny,
    Login,
}

/// `[[fetch]]`: one of the answers that make a record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fetch {
    /// Under which the expressions of `[record]` and `[canvas]` find the answer.
    pub(super) name: String,
    #[serde(default)]
    pub(super) url: Template,
    #[serde(default)]
    pub(super) query: IndexMap<String, Values>,
    #[serde(default)]
    pub(super) method: Method,
    #[serde(default)]
    pub(super) format: Format,
    /// False: the source has no such item.
    pub(super) exists: Option<Expression<OfItem>>,
    /// True: the source refuses the item.
    pub(super) denied: Option<Expression<OfItem>>,
    /// Who may see the item, by this answer alone: it holds even when other answers do not come. Of several
    /// such words the strictest counts.
    pub(super) access: Option<Expression<OfItem>>,
    /// An absent answer is null rather than an absent item.
    #[serde(default)]
    pub(super) optional: bool,
    /// Addresses in the answer expire: a refused one is asked for again.
    #[serde(default)]
    pub(super) volatile: bool,
    /// One request per element of this list, made of the answers so far.
    pub(super) each: Option<Expression<OfItem>>,
    /// All pages are read, and their rows make one list.
    pub(super) paging: Option<String>,
}

/// How a fetch asks. It only reads, whatever the method.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    #[default]
    Get,
    Post,
}

/// What an answer is written in.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
}

/// `[record]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordRules {
    pub(super) id: Expression<OfRecord>,
    pub(super) label: Expression<OfRecord>,
    pub(super) version: Option<Expression<OfRecord>>,
    pub(super) summary: Option<Expression<OfRecord>>,
    pub(super) metadata: Option<Expression<OfRecord>>,
    pub(super) rights: Option<Expression<OfRecord>>,
    pub(super) required_statement: Option<Expression<OfRecord>>,
    pub(super) provider: Option<Expression<OfRecord>>,
    pub(super) homepage: Option<Expression<OfRecord>>,
    pub(super) see_also: Option<Expression<OfRecord>>,
    pub(super) rendering: Option<Expression<OfRecord>>,
    pub(super) nav_date: Option<Expression<OfRecord>>,
    pub(super) behavior: Option<Expression<OfRecord>>,
    pub(super) viewing_direction: Option<Expression<OfRecord>>,
    pub(super) modified: Option<Expression<OfRecord>>,
    pub(super) parents: Option<Expression<OfRecord>>,
    pub(super) thumbnail: Option<Expression<OfRecord>>,
}

/// `[canvas]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CanvasRules {
    /// The list of pages or views; the other expressions run on its elements.
    pub(super) each: Expression<OfRecord>,
    pub(super) id: Expression<OfCanvas>,
    pub(super) label: Option<Expression<OfCanvas>>,
    pub(super) width: Option<Expression<OfCanvas>>,
    pub(super) height: Option<Expression<OfCanvas>>,
    pub(super) image: Option<Expression<OfCanvas>>,
    pub(super) access: Option<Expression<OfCanvas>>,
    pub(super) metadata: Option<Expression<OfCanvas>>,
}

/// `[list]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRules {
    #[serde(default)]
    pub(super) url: Template,
    #[serde(default)]
    pub(super) query: IndexMap<String, Values>,
    pub(super) paging: String,
    /// False leaves the row out. So does what is no text, with a warning; but rows that have all lost their id
    /// must not look like deletions.
    pub(super) id: Expression<OfSource>,
    pub(super) label: Option<Expression<OfSource>>,
    pub(super) version: Option<Expression<OfSource>>,
    pub(super) access: Option<Expression<OfSource>>,
    /// The file of an image that stands for the item and is as open as it, or null.
    pub(super) thumbnail: Option<Expression<OfSource>>,
}

/// `[file]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRules {
    /// What media ids are made of.
    #[serde(default)]
    pub(super) id: Form,
    /// Where the bytes are, if that can be told from the id alone.
    pub(super) url: Option<Template>,
    /// Otherwise: the answer that tells.
    pub(super) resolve: Option<Resolve>,
    #[serde(default)]
    pub(super) auth: FileAuth,
    /// Whether byte ranges are honoured.
    #[serde(default)]
    pub(super) range: bool,
}

/// What a media id is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Form {
    /// Every item has one file at most: the item's id is the file's.
    #[serde(rename = "item")]
    Item,
    /// The id of the item, a slash, and the `file` of an image.
    #[default]
    #[serde(rename = "item/file")]
    ItemFile,
}

/// `[file] resolve`: addresses stand in an answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolve {
    /// One of `[[fetch]]`.
    pub(super) fetch: String,
    /// Its answer as an object: the `file` of every image, and its address. One run tells all
    /// addresses of an item, so that 400 pages do not cost 400 questions.
    pub(super) urls: Expression<OfItem>,
}

/// Which credentials go along when bytes are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FileAuth {
    /// None; the address is enough.
    #[default]
    None,
    /// Those of `[auth]`, towards the origin of the base only.
    Same,
}

/// A query parameter, or several of the same name.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(pub(super) Vec<Template>);

/// Why a definition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It is no TOML, has keys or values that it may not have, or an expression does not compile.
    #[error("{file}: {message}")]
    Text {
        /// Its file.
        file: String,
        /// What is wrong, with line and excerpt.
        message: String,
    },
    /// Two parts of it do not fit each other.
    #[error("{file}:{line}: `{key}`: {message}")]
    Rule {
        /// Its file.
        file: String,
        /// From 1.
        line: usize,
        /// The key, from the top.
        key: String,
        /// What was found and what was expected.
        message: String,
    },
}

impl Definition {
    /// Reads a definition; all expressions are compiled and all names looked up here, so that one
    /// that loads runs. `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, DefinitionError> {
        let mut definition: Self = toml::from_str(text).map_err(|error| DefinitionError::Text {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        definition.check(Path::new(file)).map_err(|problem| DefinitionError::Rule {
            file: file.to_owned(),
            line: check::line_of(text, &problem.path),
            key: problem.path.join("."),
            message: problem.message,
        })?;
        definition.digest = Sha256::digest(text).to_vec();
        Ok(definition)
    }

    /// Whether answers tell who may see an item; otherwise everybody may.
    pub(super) fn tells_access(&self) -> bool {
        self.fetch.iter().any(|fetch| fetch.access.is_some())
    }

    /// The fetch of that name; `parse` proved that there is one.
    pub(super) fn fetch_named(&self, name: &str) -> Option<&Fetch> {
        self.fetch.iter().find(|fetch| fetch.name == name)
    }
}

impl Fetch {
    /// Whether its answer says that there is no such item, or that it is refused.
    pub(super) fn tells_absence(&self) -> bool {
        self.exists.is_some() || self.denied.is_some()
    }
}

impl Format {
    /// An answer in this format as one value; otherwise what is wrong with it.
    pub(super) fn read(self, body: &[u8]) -> Result<serde_json::Value, String> {
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        }
    }
}

impl From<Redirect> for Redirects {
    fn from(redirect: Redirect) -> Self {
        match redirect {
            Redirect::Follow => Self::Follow,
            Redirect::Deny => Self::Deny,
            Redirect::Login => Self::Login,
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Values, E> {
                let template = Template::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Values(vec![template]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Values, A::Error> {
                let mut templates = Vec::new();
                while let Some(template) = texts.next_element()? {
                    templates.push(template);
                }
                Ok(Values(templates))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}
