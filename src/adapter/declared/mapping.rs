//! Answers of a source become neutral values, by the expressions of its definition.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::definition::{Definition, Form, ListRules, Resolve};
use super::expression::{Expression, OfCanvas, OfItem, OfRecord, OfSource, field};
use super::field::{Field, Mismatch, size};
use super::judge::access_of;
use super::media_id;
use crate::adapter::record::{Access, Canvas, Image, ItemId, Leaf, Listed, MediaId, Record};
use crate::iiif::presentation::text::LanguageMap;
use crate::jq::Input;

/// Where the files of one item are, by the `file` of their images.
pub(super) type Addresses = IndexMap<String, Url>;

/// All about one item.
#[derive(Debug)]
pub(super) struct Mapping<'d> {
    pub(super) definition: &'d Definition,
    pub(super) id: &'d ItemId,
    pub(super) source: Input,
    pub(super) access: Access,
    root: Input,
}

impl<'d> Mapping<'d> {
    /// Of the answers by the name of their fetch, and what they say of who may see the item.
    pub(super) fn new(
        definition: &'d Definition,
        id: &'d ItemId,
        source: Input,
        access: Access,
        answers: &Value,
    ) -> Self {
        Self { definition, id, source, access, root: answers.into() }
    }

    /// The record that the answers describe, if they are about this item. A system may take `01` or `1x` for item 1;
    /// but one item has one id: rules, caches and harvesters go by it.
    pub(super) fn record(&self) -> Result<Option<Record>, Mismatch> {
        let rules = &self.definition.record;
        let [source, id, root, access] = self.variables();
        let scope = OfRecord([source, id, root, access]);
        let one = |key: &str, rule: &Expression<OfRecord>| field("record", key, rule, &self.root, &scope);
        let some = |key, rule: &Option<Expression<OfRecord>>| match rule {
            Some(rule) => one(key, rule),
            None => Ok(Field::new(key, Value::Null)),
        };
        if one("id", &rules.id)?.string()? != self.id.as_str() {
            return Ok(None);
        }
        let label = or_id(one("label", &rules.label)?.text()?, self.id);
        let mut record = Record {
            version: String::new(),
            access: self.access,
            label,
            summary: some("summary", &rules.summary)?.text()?,
            metadata: some("metadata", &rules.metadata)?.entries()?,
            rights: some("rights", &rules.rights)?.optional_string()?,
            required_statement: some("required_statement", &rules.required_statement)?.entry()?,
            provider: some("provider", &rules.provider)?
                .objects("an object of `id`, `label`, `homepage` and `logo`")?,
            homepage: some("homepage", &rules.homepage)?.links()?,
            see_also: some("see_also", &rules.see_also)?.links()?,
            rendering: some("rendering", &rules.rendering)?.links()?,
            nav_date: some("nav_date", &rules.nav_date)?.time()?,
            behavior: some("behavior", &rules.behavior)?.strings()?,
            viewing_direction: some("viewing_direction", &rules.viewing_direction)?.optional_string()?,
            modified: some("modified", &rules.modified)?.time()?,
            parents: some("parents", &rules.parents)?.strings()?.into_iter().map(Leaf::from).collect(),
            thumbnail: self.image(some("thumbnail", &rules.thumbnail)?)?,
            canvases: self.canvases(&scope)?,
            id: self.id.clone(),
        };
        let version = some("version", &rules.version)?.version()?;
        record.version = version.unwrap_or_else(|| digest(&record));
        Ok(Some(record))
    }

    fn canvases(&self, scope: &OfRecord) -> Result<Vec<Canvas>, Mismatch> {
        let each = field("canvas", "each", &self.definition.canvas.each, &self.root, scope)?.list()?;
        let mut canvases: Vec<Canvas> = Vec::with_capacity(each.len());
        let mut seen = std::collections::HashSet::new();
        for (n, element) in each.into_iter().enumerate() {
            let canvas = self.canvas(n, &element.into())?;
            if !seen.insert(canvas.id.clone()) {
                let twice = Field::new(format!("canvas[{n}].id"), json!(canvas.id));
                return Err(twice.mismatch("a text that no other canvas has"));
            }
            canvases.push(canvas);
        }
        Ok(canvases)
    }

    fn canvas(&self, n: usize, element: &Input) -> Result<Canvas, Mismatch> {
        let rules = &self.definition.canvas;
        let [source, id, root, access] = self.variables();
        let scope = OfCanvas([source, id, root, access, json!(n + 1).into()]);
        let place = format!("canvas[{n}]");
        let one = |key: &str, rule: &Expression<OfCanvas>| field(&place, key, rule, element, &scope);
        let some = |key, rule: &Option<Expression<OfCanvas>>| match rule {
            Some(rule) => one(key, rule),
            None => Ok(Field::new(key, Value::Null)),
        };
        Ok(Canvas {
            id: one("id", &rules.id)?.string()?,
            label: some("label", &rules.label)?.text()?,
            size: size(some("width", &rules.width)?, some("height", &rules.height)?)?,
            image: self.image(some("image", &rules.image)?)?,
            access: rules.access.as_ref().map(|rule| access_of(one("access", rule))),
            metadata: some("metadata", &rules.metadata)?.entries()?,
        })
    }

    fn variables(&self) -> [Input; 4] {
        let (id, access) = (json!(self.id.as_str()), json!(self.access));
        [self.source.clone(), id.into(), self.root.clone(), access.into()]
    }

    /// An object of `file`, `page`, `width`, `height`, `format`, `bytes` and `version`.
    fn image(&self, field: Field) -> Result<Option<Image>, Mismatch> {
        const EXPECTED: &str =
            "an object of `file`, `page`, `width`, `height`, `format`, `bytes` and `version`";
        let mut map = match field.value {
            Value::Null => return Ok(None),
            Value::Object(map) => map,
            _ => return Err(field.mismatch(EXPECTED)),
        };
        let mut part =
            |key: &str| Field::new(format!("{}.{key}", field.name), map.remove(key).unwrap_or_default());
        let file = part("file");
        if self.definition.file.id == Form::Item && file.value != self.id.as_str() {
            return Err(file.mismatch("the id of the item, as `[file] id` says"));
        }
        let media = media_id::join(self.definition.file.id, self.id, &file.string()?);
        let media = match part("page").page()? {
            Some(page) => MediaId::of_page(media.as_str(), page),
            None => media,
        };
        let image = Image {
            media,
            size: size(part("width"), part("height"))?,
            format: part("format").optional_string()?,
            bytes: part("bytes").whole()?,
            version: part("version").version()?,
        };
        if map.is_empty() {
            Ok(Some(image))
        } else {
            Err(Field::new(field.name, map.into()).mismatch(EXPECTED))
        }
    }
}

/// The addresses in the answer that `[file] resolve` names.
pub(super) fn addresses(
    rule: &Resolve,
    base: &Url,
    answer: &Input,
    scope: &OfItem,
) -> Result<Addresses, Mismatch> {
    let field = field("file", "resolve.urls", &rule.urls, answer, scope)?;
    let texts: Map<String, Value> = field.typed("an object of addresses by file")?;
    let present = texts.into_iter().filter(|(_, address)| !address.is_null());
    present
        .map(|(file, address)| {
            let field = Field::new(format!("file.resolve.urls.{file}"), address);
            let url = field.value.as_str().and_then(|address| base.join(address).ok());
            match url.filter(|url| matches!(url.scheme(), "http" | "https")) {
                Some(url) => Ok((file, url)),
                None => Err(field.mismatch("an http or https address")),
            }
        })
        .collect()
}

/// A record of which no more is told than that not everybody may see it.
pub(super) fn closed(id: &ItemId, access: Access) -> Record {
    let label = LanguageMap::none(id.as_str());
    let mut record = Record { access, ..Record::new(id.clone(), String::new(), label) };
    record.version = digest(&record);
    record
}

/// One row of a listing; `None`: the definition leaves it out. Only a row without an id is an error: what is odd
/// about one of many must not take all of them away.
pub(super) fn listed(
    definition: &Definition,
    rules: &ListRules,
    row: Value,
    scope: &OfSource,
) -> Result<Option<Listed>, Mismatch> {
    let row = row.into();
    let one = |key: &str, rule: &Expression<OfSource>| field("list", key, rule, &row, scope);
    let id = one("id", &rules.id)?;
    if id.value == Value::Bool(false) {
        return Ok(None);
    }
    let id = ItemId::from(id.string()?);
    let some = |key, rule: &Option<Expression<OfSource>>| rule.as_ref().map(|rule| one(key, rule));
    let label = some("label", &rules.label).map(|told| told.and_then(Field::text));
    let label = label.map(|label| or_id(without(&id, label).unwrap_or_default(), &id));
    let version =
        some("version", &rules.version).and_then(|told| without(&id, told.and_then(Field::version)));
    let access = match some("access", &rules.access) {
        Some(told) => Some(access_of(told)),
        // As the records will be: no need to ask for every one of them.
        None if !definition.tells_access() => Some(Access::Open),
        None => None,
    };
    let thumbnail = some("thumbnail", &rules.thumbnail)
        .and_then(|told| without(&id, told.and_then(Field::optional_string)).flatten())
        .map(|file| media_id::join(definition.file.id, &id, &file));
    Ok(Some(Listed { label, version: version.flatten(), access, thumbnail, id }))
}

/// A property of a row, or nothing where it is not as promised.
fn without<T>(id: &ItemId, told: Result<T, Mismatch>) -> Option<T> {
    let warn = |Mismatch { field, expected, found }: Mismatch| {
        tracing::debug!(item = %id, field, expected, found, "a row of the listing goes without it");
    };
    told.map_err(warn).ok()
}

fn or_id(label: LanguageMap, id: &ItemId) -> LanguageMap {
    if label.is_empty() { LanguageMap::none(id.as_str()) } else { label }
}

/// A version for records whose source tells none: the same content, the same text.
fn digest(record: &Record) -> String {
    let content = serde_json::to_vec(record).expect("a record is plain data with text keys");
    hex::encode(&Sha256::digest(content)[..16])
}
