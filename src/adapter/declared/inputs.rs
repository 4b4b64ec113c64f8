//! The settings that a definition declares, and what a site gave for them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use toml::Value;

use super::definition::Definition;
use crate::adapter::input::{Input, Kind, Need};
use crate::jq;
use crate::secret::Secret;

/// One declared setting, as the file writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setting {
    #[serde(rename = "type")]
    form: Form,
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
enum Form {
    Url,
    String,
    Number,
    List,
    Bool,
}

/// Why a definition and the settings of a source do not make a site. Settings that were checked never get here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// A setting is missing, or is not what the definition declares.
    #[error("setting `{name}` is missing or of another kind, expected {expected}")]
    Setting {
        /// The setting.
        name: String,
        /// What the definition declares.
        expected: Kind,
    },
    /// The definition's address does not become one with these settings.
    #[error("`http.base` makes no address: {0}")]
    Base(String),
}

/// The settings of one source, checked and ready for templates and expressions.
#[derive(Clone, Debug)]
pub(super) struct Site {
    texts: BTreeMap<String, String>,
    secrets: BTreeMap<String, Secret>,
    /// `$source`: all but the secrets.
    pub(super) source: jq::Input,
    /// A digest of the definition and of all settings but the secrets: what every answer depends on.
    pub(super) identity: String,
}

impl Definition {
    /// What a source of this kind has to say, and may.
    pub fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        self.settings.iter().map(|(name, setting)| Input {
            name,
            kind: setting.kind(),
            need: if setting.required { Need::Required } else { Need::Optional },
        })
    }

    /// The settings of one source with the defaults filled in.
    pub(super) fn site(&self, settings: &toml::Table) -> Result<Site, SiteError> {
        let (mut texts, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        let mut source = serde_json::Map::new();
        for (name, setting) in &self.settings {
            let kind = setting.kind();
            let value = settings.get(name).or(setting.default.as_ref()).filter(|value| kind.admits(value));
            let value = value.ok_or_else(|| SiteError::Setting { name: name.clone(), expected: kind })?;
            match (kind, value) {
                (Kind::Secret, Value::String(text)) => {
                    secrets.insert(name.clone(), Secret::from(text.as_str()));
                    continue;
                }
                (Kind::Url, _) => source.insert(name.clone(), json!(text(kind, value))),
                _ => source.insert(name.clone(), json!(value)),
            };
            let told = text(kind, value);
            texts.extend(told.map(|text| (name.clone(), text)));
        }
        let source = serde_json::Value::Object(source);
        let digest = Sha256::new().chain_update(&self.digest).chain_update(source.to_string()).finalize();
        Ok(Site { texts, secrets, source: source.into(), identity: hex::encode(&digest[..8]) })
    }
}

impl Setting {
    /// What its value has to be.
    pub(super) fn kind(&self) -> Kind {
        match self.form {
            _ if self.secret => Kind::Secret,
            Form::String => Kind::Text,
            Form::Url => Kind::Url,
            Form::Number => Kind::Number,
            Form::List => Kind::List,
            Form::Bool => Kind::Switch,
        }
    }

    /// Why it cannot be declared like this.
    pub(super) fn refuse(&self) -> Option<String> {
        match (&self.default, self.required) {
            _ if self.secret && self.form != Form::String => {
                Some("a secret is a text, expected `type = \"string\"`".to_owned())
            }
            (Some(_), true) | (None, false) => {
                Some("expected either `default` or `required = true`".to_owned())
            }
            (Some(default), false) if !self.kind().admits(default) => {
                Some(format!("`default`: expected {}, found `{default}`", self.kind()))
            }
            _ => None,
        }
    }
}

/// A value as it enters a template.
fn text(kind: Kind, value: &Value) -> Option<String> {
    match value {
        // So that `{+base}/api` has one slash, however the site writes its address.
        Value::String(text) if kind == Kind::Url => Some(text.trim_end_matches('/').to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Array(_) | Value::Table(_) | Value::Datetime(_) => None,
    }
}

impl Site {
    /// The value of a setting in a template; nothing if it was not given.
    pub(super) fn value(&self, name: &str) -> Cow<'_, str> {
        let text = self.texts.get(name).map(String::as_str);
        Cow::Borrowed(text.or_else(|| self.secrets.get(name).map(Secret::reveal)).unwrap_or_default())
    }
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

    #[test]
    fn what_is_declared_is_offered_as_data() {
        let definition = definition();
        let input = |name, kind, need| Input { name, kind, need };
        let expected = [
            input("base", Kind::Url, Need::Required),
            input("key", Kind::Secret, Need::Optional),
            input("limit", Kind::Number, Need::Optional),
            input("hidden", Kind::List, Need::Optional),
            input("strict", Kind::Switch, Need::Optional),
        ];
        assert_eq!(definition.inputs().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_wrong_table_makes_no_site() {
        for (settings, name) in [
            ("", "base"),
            ("base = 'dam.example.org'", "base"),
            ("base = 'http://dam'\nkey = { env = 'KEY' }", "key"),
            ("base = 'http://dam'\nlimit = 'ten'", "limit"),
            ("base = 'http://dam'\nhidden = ['a', 1]", "hidden"),
            ("base = 'http://dam'\nstrict = 'yes'", "strict"),
        ] {
            let error = definition().site(&settings.parse().unwrap()).unwrap_err();
            assert!(
                matches!(&error, SiteError::Setting { name: wrong, .. } if wrong == name),
                "{settings}: {error}"
            );
        }
    }

    #[test]
    fn a_site_has_defaults_and_keeps_its_secrets() {
        let settings = toml::from_str("base = 'https://dam.example.org/'\nkey = 's3cret'").unwrap();
        let site = definition().site(&settings).unwrap();
        assert_eq!(site.value("base"), "https://dam.example.org");
        assert_eq!(site.value("key"), "s3cret");
        assert_eq!(site.value("limit"), "10");
        assert!(!format!("{site:?}").contains("s3cret"));
        let identity = |definition: &Definition, settings: &str| {
            definition.site(&toml::from_str(settings).unwrap()).unwrap().identity
        };
        assert_eq!(site.identity.len(), 16);
        let (here, base) = (definition(), "base = 'https://dam.example.org'");
        assert_eq!(identity(&here, base), site.identity, "neither secrets nor a last slash");
        assert_eq!(identity(&here, &format!("{base}\nlimit = 10")), site.identity, "what is so anyway");
        assert_ne!(identity(&here, &format!("{base}\nlimit = 11")), site.identity);
        assert_ne!(identity(&here, "base = 'https://other.example.org'"), site.identity);
        let other = super::super::check::tests::sample("base = { type = 'url', required = true }");
        assert_ne!(identity(&other, base), identity(&here, base), "another definition");
    }
}
