//! Texts with languages: the language map of *Presentation API 3.0, 4.4*.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

/// BCP 47 for what is in no language, e.g. names of files; IIIF has `none` for it. It keeps apart what has no
/// language from what was not given one.
pub const NO_LANGUAGE: &str = "zxx";

/// Texts by language. Keys are BCP 47 tags or `none`; the order of the source is kept.
///
/// Wherever a person or an adapter gives a text, it may be a string, a list of strings or a
/// map from language to either: all three deserialize to this type. Untagged texts get `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LanguageMap(IndexMap<String, Vec<String>>);

impl LanguageMap {
    /// One untagged text.
    pub fn none(text: impl Into<String>) -> Self {
        Self::tagged("none", text)
    }

    /// A name that nobody gave in any language, e.g. that of a file.
    pub fn name(text: impl Into<String>) -> Self {
        Self::tagged(NO_LANGUAGE, text)
    }

    /// One text in one language.
    pub fn tagged(language: &str, text: impl Into<String>) -> Self {
        let mut map = Self::default();
        map.push(language, text);
        map
    }

    /// Adds a text under a language, after those that are there.
    pub fn push(&mut self, language: &str, text: impl Into<String>) {
        self.0.entry(language.to_owned()).or_default().push(text.into());
    }

    /// Nothing to show: no language, or languages without texts.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }

    /// Languages with their texts, in the order of the source.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(language, texts)| (language.as_str(), texts.as_slice()))
    }

    /// The first text of the first language.
    pub fn first(&self) -> Option<&str> {
        self.0.values().flatten().next().map(String::as_str)
    }

    /// The same texts, each passed through `f`; texts that become empty are dropped.
    pub fn map(&self, f: impl Fn(&str) -> String) -> Self {
        let mut map = Self::default();
        for (language, texts) in self.iter() {
            for text in texts.iter().map(|text| f(text)).filter(|text| !text.is_empty()) {
                map.push(language, text);
            }
        }
        map
    }

    /// The texts of both; one that both have under the same language stands there once.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        for (language, texts) in other.iter() {
            let known = self.0.entry(language.to_owned()).or_default();
            texts.iter().for_each(|text| {
                if !known.contains(text) {
                    known.push(text.clone());
                }
            });
        }
        self
    }

    /// Untagged texts get this language; those that have one keep it.
    #[must_use]
    pub fn or_language(self, language: &str) -> Self {
        let mut map = Self::default();
        for (key, texts) in self.0 {
            let key = if key == "none" { language } else { &key };
            texts.into_iter().for_each(|text| map.push(key, text));
        }
        map
    }
}

impl<'de> Deserialize<'de> for LanguageMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a text, a list of texts, or texts by language")]
        enum Form {
            Texts(OneOrMany),
            ByLanguage(IndexMap<String, OneOrMany>),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        impl From<OneOrMany> for Vec<String> {
            fn from(texts: OneOrMany) -> Self {
                match texts {
                    OneOrMany::One(text) => vec![text],
                    OneOrMany::Many(texts) => texts,
                }
            }
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Texts(texts) => IndexMap::from([("none".to_owned(), texts.into())]),
            Form::ByLanguage(map) => map.into_iter().map(|(key, texts)| (key, texts.into())).collect(),
        }))
    }
}
