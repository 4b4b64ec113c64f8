//! The settings that a definition declares, and what a site gave for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::json;
use toml::Value;

use super::definition::Definition;
use crate::jq;
use crate::secret::{Reference, Secret};

/// One declared setting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) default: Option<Value>,
    #[serde(default)]
    pub(super) required: bool,
    /// May be used in `[auth]` only, and is never shown.
    #[serde(default)]
    pub(super) secret: bool,
}

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Url,
    String,
    Number,
    List,
    Bool,
}

/// What is wrong with one setting of a source; the wording is that of the other settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsProblem {
    /// The setting, within its source.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

/// The settings of one source, checked and ready for templates and expressions.
#[derive(Clone, Debug)]
pub(super) struct Site {
    texts: BTreeMap<String, String>,
    secrets: BTreeMap<String, Secret>,
    /// `$source`: all but the secrets.
    pub(super) source: jq::Input,
}

impl Definition {
    /// Everything that is wrong with the settings of a source, `settings` being those that the
    /// definition declares.
    pub fn check_settings(&self, settings: &toml::Table) -> Vec<SettingsProblem> {
        let problem = |key: &str, message| SettingsProblem { key: key.to_owned(), message };
        let unknown = settings.keys().filter(|key| !self.settings.contains_key(*key));
        let unknown = unknown.map(|key| {
            let expected = one_of(self.settings.keys());
            problem(key, format!("unknown field `{key}`, {expected}"))
        });
        let declared = self.settings.iter().filter_map(|(key, input)| match settings.get(key) {
            Some(value) => input.refuse(value).map(|message| problem(key, message)),
            None if input.required => Some(problem(key, format!("missing field `{key}`"))),
            None => None,
        });
        unknown.chain(declared).collect()
    }

    /// The settings whose values may be given as `{ env = ".." }` or `{ file = ".." }`. Whoever loads settings
    /// replaces these by what they refer to.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().filter(|(_, input)| input.secret).map(|(name, _)| name.as_str())
    }

    /// The settings of one source with the defaults filled in.
    pub(super) fn site(&self, settings: &toml::Table) -> Result<Site, Vec<SettingsProblem>> {
        let problems = self.check_settings(settings);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut site = Site { texts: BTreeMap::new(), secrets: BTreeMap::new(), source: json!({}).into() };
        let mut source = serde_json::Map::new();
        for (name, input) in &self.settings {
            let Some(value) = settings.get(name).or(input.default.as_ref()) else { continue };
            if input.secret {
                let text = value.as_str().ok_or_else(|| vec![unread(name)])?;
                site.secrets.insert(name.clone(), Secret::from(text));
                continue;
            }
            let text = input.text(value);
            source.insert(name.clone(), if input.kind == Kind::Url { json!(text) } else { json!(value) });
            site.texts.extend(text.map(|text| (name.clone(), text)));
        }
        site.source = serde_json::Value::Object(source).into();
        Ok(site)
    }
}

impl Input {
    /// Why `value` cannot be its value.
    pub(super) fn refuse(&self, value: &Value) -> Option<String> {
        if self.secret && Reference::deserialize(value.clone()).is_ok() {
            return None;
        }
        let fits = match (self.kind, value) {
            (Kind::Url, Value::String(text)) => return refuse_url(text),
            (Kind::String, Value::String(_)) | (Kind::Bool, Value::Boolean(_)) => true,
            (Kind::Number, Value::Integer(_) | Value::Float(_)) => true,
            (Kind::List, Value::Array(list)) => list.iter().all(Value::is_str),
            _ => false,
        };
        let expected = if self.secret {
            "a text, `{ env = \"NAME\" }` or `{ file = \"path\" }`"
        } else {
            self.kind.name()
        };
        (!fits).then(|| format!("invalid type: {}, expected {expected}", self.found(value)))
    }

    /// The value as it enters a template.
    fn text(&self, value: &Value) -> Option<String> {
        match value {
            // So that `{+base}/api` has one slash, however the site writes its address.
            Value::String(text) if self.kind == Kind::Url => Some(text.trim_end_matches('/').to_owned()),
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(flag) => Some(flag.to_string()),
            Value::Array(_) | Value::Table(_) | Value::Datetime(_) => None,
        }
    }

    /// A wrong value in the words of serde; that of a secret is not repeated.
    fn found(&self, value: &Value) -> String {
        match value {
            Value::String(_) if self.secret => "string".to_owned(),
            Value::String(text) => format!("string {text:?}"),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) if self.secret => {
                value.type_str().to_owned()
            }
            Value::Integer(number) => format!("integer `{number}`"),
            Value::Float(number) => format!("floating point `{number}`"),
            Value::Boolean(flag) => format!("boolean `{flag}`"),
            Value::Datetime(_) => "datetime".to_owned(),
            Value::Array(_) => "sequence".to_owned(),
            Value::Table(_) => "map".to_owned(),
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Url => "an http or https address",
            Self::String => "a string",
            Self::Number => "a number",
            Self::List => "a list of strings",
            Self::Bool => "a boolean",
        }
    }
}

impl Site {
    /// The value of a setting in a template; nothing if it was not given.
    pub(super) fn value(&self, name: &str) -> Cow<'_, str> {
        let text = self.texts.get(name).map(String::as_str);
        Cow::Borrowed(text.or_else(|| self.secrets.get(name).map(Secret::reveal)).unwrap_or_default())
    }
}

/// `expected `a`` or `expected one of `a`, `b``, as serde says it.
pub(super) fn one_of<'n>(names: impl ExactSizeIterator<Item = &'n String>) -> String {
    struct Names<'n>(Vec<&'n String>);
    impl fmt::Display for Names<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for (n, name) in self.0.iter().enumerate() {
                write!(f, "{}`{name}`", if n == 0 { "" } else { ", " })?;
            }
            Ok(())
        }
    }
    match names.len() {
        0 => "there are none".to_owned(),
        1 => format!("expected {}", Names(names.collect())),
        _ => format!("expected one of {}", Names(names.collect())),
    }
}

fn refuse_url(text: &str) -> Option<String> {
    let fits = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    });
    (!fits).then(|| format!("invalid value: string {text:?}, expected {}", Kind::Url.name()))
}

fn unread(name: &str) -> SettingsProblem {
    SettingsProblem { key: name.to_owned(), message: format!("the secret `{name}` was not read") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        let settings = r#"
            base = { type = "url", required = true }
            key = { type = "string", secret = true, default = "" }
            limit = { type = "number", default = 10 }
            hidden = { type = "list", default = ["a"] }
            strict = { type = "bool", default = false }"#;
        super::super::check::tests::sample(settings)
    }

    fn problems(settings: &str) -> Vec<String> {
        let problems = definition().check_settings(&toml::from_str(settings).unwrap());
        problems.into_iter().map(|problem| format!("{}: {problem}", problem.key)).collect()
    }

    #[test]
    fn what_fits_is_taken() {
        for settings in [
            "base = 'https://dam.example.org/x/'",
            "base = 'http://dam'\nkey = 's'\nlimit = 1.5\nhidden = []\nstrict = true",
            "base = 'http://dam'\nkey = { env = 'KEY' }",
            "base = 'http://dam'\nkey = { file = 'key.txt' }",
        ] {
            assert_eq!(problems(settings), [""; 0], "{settings}");
        }
    }

    #[test]
    fn all_that_does_not_fit_is_said_at_once() {
        let settings = "bse = 'x'\nkey = 5\nlimit = 'ten'\nhidden = ['a', 1]\nstrict = 'yes'";
        insta::assert_snapshot!(problems(settings).join("\n"), @r#"
        bse: unknown field `bse`, expected one of `base`, `key`, `limit`, `hidden`, `strict`
        base: missing field `base`
        key: invalid type: integer, expected a text, `{ env = "NAME" }` or `{ file = "path" }`
        limit: invalid type: string "ten", expected a number
        hidden: invalid type: sequence, expected a list of strings
        strict: invalid type: string "yes", expected a boolean
        "#);
        insta::assert_snapshot!(problems("base = 'dam.example.org'").join("\n"), @r#"base: invalid value: string "dam.example.org", expected an http or https address"#);
    }

    #[test]
    fn a_site_has_defaults_and_keeps_its_secrets() {
        let settings = toml::from_str("base = 'https://dam.example.org/'\nkey = 's3cret'").unwrap();
        let site = definition().site(&settings).unwrap();
        assert_eq!(site.value("base"), "https://dam.example.org");
        assert_eq!(site.value("key"), "s3cret");
        assert_eq!(site.value("limit"), "10");
        assert!(!format!("{site:?}").contains("s3cret"));
        let unread = toml::from_str("base = 'https://dam.example.org/'\nkey = { env = 'KEY' }").unwrap();
        assert_eq!(definition().site(&unread).unwrap_err()[0].to_string(), "the secret `key` was not read");
    }
}
