//! One value that an expression made, and what it is read as.

use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::adapter::record::{Access, Entry, Link, Size};
use crate::iiif::presentation::text::LanguageMap;

/// A value and the place in the definition that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: Value,
}

/// A value of another form than the definition promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) field: String,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

impl Field {
    /// Names a value.
    pub(super) fn new(name: impl Into<String>, value: Value) -> Self {
        Self { name: name.into(), value }
    }

    /// The error that it is no `expected`.
    pub(super) fn mismatch(&self, expected: &'static str) -> Mismatch {
        Mismatch { field: self.name.clone(), expected, found: Found(&self.value).to_string() }
    }

    /// A text that has to be there.
    pub(super) fn string(self) -> Result<String, Mismatch> {
        match self.value {
            Value::String(text) if !text.is_empty() => Ok(text),
            _ => Err(self.mismatch("a text")),
        }
    }

    /// A text or null; an empty one counts as null.
    pub(super) fn optional_string(self) -> Result<Option<String>, Mismatch> {
        match self.value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            _ => Err(self.mismatch("a text or null")),
        }
    }

    /// Something that changes: a text or a number.
    pub(super) fn version(self) -> Result<Option<String>, Mismatch> {
        match self.value {
            Value::Number(number) => Ok(Some(number.to_string())),
            value => Self { value, ..self }.optional_string(),
        }
    }

    /// Texts for people, in any of their three forms; nulls and empty texts inside are left out.
    pub(super) fn text(self) -> Result<LanguageMap, Mismatch> {
        let value = without_nulls(self.value.clone());
        if value.is_null() {
            return Ok(LanguageMap::default());
        }
        let map: LanguageMap = serde_json::from_value(value)
            .map_err(|_| self.mismatch("a text, a list of texts, or texts by language"))?;
        Ok(map.map(|text| text.trim().to_owned()))
    }

    /// A whole number or null.
    pub(super) fn whole(self) -> Result<Option<u64>, Mismatch> {
        match &self.value {
            Value::Null => Ok(None),
            Value::Number(number) => {
                let float = number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n));
                let number = number.as_u64().or(float.map(|n| n as u64));
                number.map(Some).ok_or_else(|| self.mismatch("a whole number"))
            }
            _ => Err(self.mismatch("a whole number or null")),
        }
    }

    /// The number of a page, or null.
    pub(super) fn page(self) -> Result<Option<u32>, Mismatch> {
        let told = Self { name: self.name.clone(), value: self.value.clone() }.whole()?;
        let page = |number| u32::try_from(number).ok().filter(|page| *page > 0);
        told.map(|number| page(number).ok_or_else(|| self.mismatch("a whole number from 1, or null")))
            .transpose()
    }

    /// A list; null is an empty one.
    pub(super) fn list(self) -> Result<Vec<Value>, Mismatch> {
        match self.value {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => Ok(list),
            _ => Err(self.mismatch("a list")),
        }
    }

    /// A list of texts; a single text and null are taken as one.
    pub(super) fn strings(self) -> Result<Vec<String>, Mismatch> {
        self.each(|field| match field.value {
            Value::String(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            _ => Err(field.mismatch("a text")),
        })
    }

    /// True or false, nothing else: a yes or no that hangs on an accident would open doors.
    pub(super) fn truth(self) -> Result<bool, Mismatch> {
        self.value.as_bool().ok_or_else(|| self.mismatch("true or false"))
    }

    /// Closed unless the value says otherwise in so many words.
    pub(super) fn access(&self) -> Access {
        match self.value.as_str() {
            Some("open") => Access::Open,
            Some("login") => Access::Login,
            Some("restricted") => Access::Restricted,
            Some("hidden") => Access::Hidden,
            _ => Access::Unknown,
        }
    }

    /// A time with its zone, or null.
    pub(super) fn time(self) -> Result<Option<Timestamp>, Mismatch> {
        match &self.value {
            Value::Null => Ok(None),
            value => match value.as_str().and_then(|text| text.parse().ok()) {
                Some(time) => Ok(Some(time)),
                None => Err(self.mismatch("a time as `2024-05-01T12:00:00Z`, or null")),
            },
        }
    }

    /// Label and value pairs; those without a value are left out.
    pub(super) fn entries(self) -> Result<Vec<Entry>, Mismatch> {
        let entries = self.each(Self::entry)?;
        Ok(entries)
    }

    /// One label and value pair, if it has a value.
    pub(super) fn entry(self) -> Result<Option<Entry>, Mismatch> {
        match &self.value {
            Value::Null => Ok(None),
            Value::Object(map) if map.keys().all(|key| key == "label" || key == "value") => {
                let part = |key: &str| {
                    let value = map.get(key).cloned().unwrap_or_default();
                    Self::new(format!("{}.{key}", self.name), value).text()
                };
                let entry = Entry { label: part("label")?, value: part("value")? };
                Ok(Some(entry).filter(|entry| !entry.value.is_empty()))
            }
            _ => Err(self.mismatch("an object of `label` and `value`")),
        }
    }

    /// Addresses elsewhere; a text stands for its address. What is no http(s) address is left out: it
    /// comes from the source's descriptions, and a viewer would follow it.
    pub(super) fn links(self) -> Result<Vec<Link>, Mismatch> {
        let links = self.each(|field| {
            let value = match &field.value {
                Value::String(id) => serde_json::json!({ "id": id }),
                other => other.clone(),
            };
            field
                .typed_as::<Link>(value, "an object of `id`, `label`, `format`, `type` and `profile`")
                .map(Some)
        })?;
        Ok(links.into_iter().filter(|link| is_web(&link.id)).collect())
    }

    /// A list of objects of one form; a single one and null are taken as a list.
    pub(super) fn objects<T: DeserializeOwned>(self, expected: &'static str) -> Result<Vec<T>, Mismatch> {
        self.each(|field| field.typed_as(field.value.clone(), expected).map(Some))
    }

    /// The value as `T`.
    pub(super) fn typed<T: DeserializeOwned>(self, expected: &'static str) -> Result<T, Mismatch> {
        self.typed_as(self.value.clone(), expected)
    }

    fn typed_as<T: DeserializeOwned>(&self, value: Value, expected: &'static str) -> Result<T, Mismatch> {
        serde_json::from_value(value).map_err(|error| {
            let found = format!("{} ({error})", Found(&self.value));
            Mismatch { field: self.name.clone(), expected, found }
        })
    }

    fn each<T>(self, read: impl Fn(Self) -> Result<Option<T>, Mismatch>) -> Result<Vec<T>, Mismatch> {
        let (name, list) = match self.value {
            Value::Null => return Ok(Vec::new()),
            Value::Array(list) => (self.name, list),
            one => return Ok(read(Self::new(self.name, one))?.into_iter().collect()),
        };
        let fields = list.into_iter().enumerate().filter(|(_, value)| !value.is_null());
        let read = fields.map(|(n, value)| read(Self::new(format!("{name}[{n}]"), value)).transpose());
        read.flatten().collect()
    }
}

/// Width and height, if both are told and neither is 0.
pub(super) fn size(width: Field, height: Field) -> Result<Option<Size>, Mismatch> {
    let side = |field: Field| {
        let too_large = field.mismatch("a number of pixels");
        let pixels = field.whole()?.filter(|n| *n > 0);
        pixels.map(|n| u32::try_from(n).map_err(|_| too_large)).transpose()
    };
    Ok(side(width)?.zip(side(height)?).map(|(width, height)| Size { width, height }))
}

/// A value as a person would name it; long ones are cut.
struct Found<'v>(&'v Value);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "the number {number}"),
            Value::String(text) if text.is_empty() => f.write_str("an empty text"),
            Value::String(text) => write!(f, "the text `{}`", cut(text)),
            Value::Array(list) => write!(f, "a list of {}", list.len()),
            Value::Object(map) if map.is_empty() => f.write_str("an empty object"),
            Value::Object(map) => {
                let keys: Vec<_> = map.keys().take(4).map(|key| format!("`{}`", cut(key))).collect();
                let more = if map.len() > 4 { ", .." } else { "" };
                write!(f, "an object of {}{more}", keys.join(", "))
            }
        }
    }
}

/// At most the first 60 characters.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text.to_owned(),
    }
}

fn is_web(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().filter(|value| !value.is_null()).collect(),
        Value::Object(map) => {
            let some = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(some.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(value: Value) -> Field {
        Field::new("record.x", value)
    }

    #[test]
    fn a_text_has_three_forms() {
        let text = |value| serde_json::to_value(field(value).text().unwrap()).unwrap();
        assert_eq!(text(json!("a")), json!({"none": ["a"]}));
        assert_eq!(text(json!(["a", null, " b "])), json!({"none": ["a", "b"]}));
        assert_eq!(text(json!({"en": "a", "fr": ["b", ""], "de": null})), json!({"en": ["a"], "fr": ["b"]}));
        assert_eq!(text(json!(null)), json!({}));
        assert!(field(json!(5)).text().is_err() && field(json!([["a"]])).text().is_err());
    }

    #[test]
    fn access_is_closed_unless_it_is_open() {
        for (value, expected) in [
            (json!("open"), Access::Open),
            (json!("login"), Access::Login),
            (json!("restricted"), Access::Restricted),
            (json!("hidden"), Access::Hidden),
            (json!("Open"), Access::Unknown),
            (json!(null), Access::Unknown),
            (json!(true), Access::Unknown),
            (json!(0), Access::Unknown),
        ] {
            assert_eq!(field(value.clone()).access(), expected, "{value}");
        }
    }

    #[test]
    fn numbers_are_whole_and_sizes_complete() {
        assert_eq!(field(json!(3000)).whole(), Ok(Some(3000)));
        assert_eq!(field(json!(3000.0)).whole(), Ok(Some(3000)));
        assert!(field(json!(1.5)).whole().is_err() && field(json!(-1)).whole().is_err());
        assert!(field(json!("3000")).whole().is_err());
        let size = |width, height| size(field(width), field(height));
        assert_eq!(size(json!(2), json!(3)), Ok(Some(Size { width: 2, height: 3 })));
        assert_eq!(size(json!(2), json!(null)), Ok(None));
        assert_eq!(size(json!(0), json!(0)), Ok(None));
        assert!(size(json!(5_000_000_000_u64), json!(3)).is_err());
    }

    #[test]
    fn pairs_without_a_value_are_left_out() {
        let value = json!([{"label": "A", "value": "a"}, {"label": "B", "value": null}, null]);
        assert_eq!(field(value).entries().unwrap().len(), 1);
        let error = field(json!([{"label": "A", "valeu": "a"}])).entries().unwrap_err();
        assert_eq!(
            (error.field.as_str(), error.found.as_str()),
            ("record.x[0]", "an object of `label`, `valeu`")
        );
    }

    #[test]
    fn links_lead_to_the_web_only() {
        let links =
            field(json!(["https://a.example.org", {"id": "javascript:alert(1)"}, null])).links().unwrap();
        assert_eq!(links.len(), 1);
        assert!(field(json!([{"href": "https://a.example.org"}])).links().is_err());
    }
}
