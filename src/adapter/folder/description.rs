//! Descriptions written by hand: `info.toml` in a folder, `FILE.toml` beside a file.

use std::io;
use std::path::Path;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Deserialize;

use super::AdapterError;
use super::tree::{Entry, Tree, is_exhausted};
use crate::adapter::record::{Access, Agent, Entry as Pair, Link, Record};
use crate::iiif::presentation::text::LanguageMap;

/// The description of the folder where it is.
const FOLDER: &str = "info.toml";

/// What a person wrote about an item, with the text it was read from.
#[derive(Debug, Default)]
pub(super) struct Description {
    text: String,
    form: Form,
}

/// A description that is there and cannot be read. It may have said that nobody is to see the
/// item, so it closes the item and what is below.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    path: String,
    problem: String,
    /// Nothing can be read at present: what it said before holds as long as that of a source that is away.
    is_passing: bool,
}

impl From<Unreadable> for AdapterError {
    fn from(Unreadable { path, problem, is_passing }: Unreadable) -> Self {
        match is_passing {
            true => Self::Io { path, source: io::Error::other(problem) },
            false => Self::Description { path, problem },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    label: Option<LanguageMap>,
    summary: LanguageMap,
    metadata: Metadata,
    rights: Option<String>,
    required_statement: Option<Pair>,
    provider: Vec<Agent>,
    homepage: Vec<Link>,
    see_also: Vec<Link>,
    rendering: Vec<Link>,
    nav_date: Option<Timestamp>,
    behavior: Vec<String>,
    viewing_direction: Option<String>,
    /// Language of the texts that name none.
    language: Option<String>,
    access: Option<Access>,
    /// By file name; by number, where they are pages of a PDF.
    canvas: IndexMap<String, CanvasForm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table with `label` or `access`")]
struct CanvasForm {
    label: Option<LanguageMap>,
    access: Option<Access>,
}

/// `Creator = "Jane Roe"` for the usual case, `{ label, value }` where the label has languages too.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a table of label = value, or a list of { label, value }")]
enum Metadata {
    ByLabel(IndexMap<String, LanguageMap>),
    Pairs(Vec<Pair>),
}

impl Default for Metadata {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

impl Description {
    /// `map.tif.toml` beside `map.tif`, else `map.toml`.
    pub(super) fn of_file(tree: &Tree, folder: &Path, file: &Entry) -> Result<Self, Unreadable> {
        let names = [format!("{}.toml", file.name), format!("{}.toml", file.stem())];
        for name in names.iter().filter(|name| *name != FOLDER) {
            if let Some(description) = Self::read(tree, &folder.join(name))? {
                return Ok(description);
            }
        }
        Ok(Self::default())
    }

    /// `info.toml` in the folder.
    pub(super) fn of_folder(tree: &Tree, folder: &Path) -> Result<Self, Unreadable> {
        Ok(Self::read(tree, &folder.join(FOLDER))?.unwrap_or_default())
    }

    fn read(tree: &Tree, path: &Path) -> Result<Option<Self>, Unreadable> {
        let read = Self::parse(tree, path);
        tree.report(path, read.as_ref().err().map(|unreadable| unreadable.problem.as_str()));
        read
    }

    fn parse(tree: &Tree, path: &Path) -> Result<Option<Self>, Unreadable> {
        let unreadable = |problem, is_passing| {
            let path = path.to_string_lossy().into_owned();
            Unreadable { path, problem, is_passing }
        };
        let text = tree.text(path).map_err(|error| unreadable(error.to_string(), is_exhausted(&error)))?;
        let Some(text) = text else { return Ok(None) };
        let form = toml::from_str(&text).map_err(|error| unreadable(told(&text, &error), false))?;
        Ok(Some(Self { text, form }))
    }

    /// The text as it was written: a change in it is a change of the record.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn label(&self) -> Option<LanguageMap> {
        self.form.label.as_ref().filter(|label| !label.is_empty()).map(|label| self.speak(label))
    }

    /// Who may see it, as far as this description says.
    pub(super) fn access(&self) -> Access {
        self.form.access.unwrap_or(Access::Open)
    }

    pub(super) fn canvas_label(&self, file: &str) -> Option<LanguageMap> {
        self.form.canvas.get(file)?.label.as_ref().map(|label| self.speak(label))
    }

    pub(super) fn canvas_access(&self, file: &str) -> Option<Access> {
        self.form.canvas.get(file)?.access
    }

    /// The record with everything that the description tells, save access, which is not its word alone.
    pub(super) fn describe(self, mut record: Record) -> Record {
        record.label = self.label().unwrap_or(record.label);
        record.summary = self.speak(&self.form.summary);
        record.metadata = match &self.form.metadata {
            Metadata::Pairs(pairs) => pairs.iter().map(|pair| self.pair(&pair.label, &pair.value)).collect(),
            Metadata::ByLabel(pairs) => {
                pairs.iter().map(|(label, value)| self.pair(&LanguageMap::none(label), value)).collect()
            }
        };
        record.required_statement =
            self.form.required_statement.as_ref().map(|pair| self.pair(&pair.label, &pair.value));
        let Form {
            rights,
            provider,
            homepage,
            see_also,
            rendering,
            nav_date,
            behavior,
            viewing_direction,
            ..
        } = self.form;
        Record {
            rights,
            provider,
            homepage,
            see_also,
            rendering,
            nav_date,
            behavior,
            viewing_direction,
            ..record
        }
    }

    fn pair(&self, label: &LanguageMap, value: &LanguageMap) -> Pair {
        Pair { label: self.speak(label), value: self.speak(value) }
    }

    fn speak(&self, text: &LanguageMap) -> LanguageMap {
        match &self.form.language {
            Some(language) => text.clone().or_language(language),
            None => text.clone(),
        }
    }
}

/// Where and what, without the line itself or a text of it: who reads the message may not be meant to
/// read the description.
fn told(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    let message = error.message();
    let quoted = message.split_once(" \"").zip(message.rsplit_once("\", expected "));
    let message = match quoted {
        Some(((found, _), (_, expected))) => format!("{found}, expected {expected}"),
        None => message.to_owned(),
    };
    format!("{}{message}", line.unwrap_or_default())
}
