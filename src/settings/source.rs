//! One configured source: the keys that all sources have, and those that only its adapter knows.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::adapter::record::{Agent, Entry};
use crate::iiif::presentation::text::LanguageMap;
use crate::serve::offer::ImageOverride;
use crate::units::Duration;
use crate::upstream;

/// `[sources.NAME]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(remote = "Self")]
pub struct Source {
    /// Which kind of system it is.
    pub adapter: String,
    /// What people call it; its name otherwise.
    #[serde(default)]
    pub label: LanguageMap,
    /// The language of texts that do not say theirs, as a BCP 47 tag.
    #[serde(default)]
    pub language: Option<String>,
    /// The rights of items that do not say theirs: an http(s) URI.
    #[serde(default)]
    pub rights: Option<String>,
    /// A text to show with items that do not bring one.
    #[serde(default)]
    pub required_statement: Option<Entry>,
    /// Who provides items that do not say so.
    #[serde(default)]
    pub provider: Option<Agent>,
    /// How long a record counts as fresh; [`Source::RECORD_TTL`] if absent, for folders a moment.
    #[serde(default)]
    pub record_ttl: Option<Duration>,
    /// How long after that it still answers while the system does not, or takes longer than two seconds.
    #[serde(default = "stale")]
    pub stale: Duration,
    /// The most requests per second towards each host of the system.
    #[serde(default)]
    pub rate: Option<f64>,
    /// The most requests at a time towards each host of the system.
    #[serde(default)]
    pub concurrency: Option<NonZeroUsize>,
    /// Other hosts from which its files may be fetched: `host`, `host:port`, `*.host`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Whether those hosts may lie at private addresses.
    #[serde(default)]
    pub allow_private: bool,
    /// Certificates (PEM) to trust beside the system's; starts at the folder of the settings file.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How its images differ from the others'.
    #[serde(default)]
    pub image: ImageOverride,
    /// Everything else: what the adapter asks for. In loaded settings they are as it declares them: references to
    /// secrets have been followed, paths begin where the gateway was started.
    #[serde(skip)]
    pub inputs: toml::Table,
}

fn stale() -> Duration {
    Duration::days(7)
}

impl Source {
    /// How long a record counts as fresh where the settings do not say.
    pub const RECORD_TTL: Duration = Duration::mins(10);

    /// The keys that every source takes; no adapter declares an input of such a name.
    pub const KEYS: [&'static str; 14] = [
        "adapter",
        "label",
        "language",
        "rights",
        "required_statement",
        "provider",
        "record_ttl",
        "stale",
        "rate",
        "concurrency",
        "hosts",
        "allow_private",
        "ca_file",
        "image",
    ];

    /// A source with nothing but its adapter and the adapter's inputs.
    pub fn new(adapter: impl Into<String>, inputs: toml::Table) -> Self {
        Self {
            adapter: adapter.into(),
            label: LanguageMap::default(),
            language: None,
            rights: None,
            required_statement: None,
            provider: None,
            record_ttl: None,
            stale: stale(),
            rate: None,
            concurrency: None,
            hosts: Vec::new(),
            allow_private: false,
            ca_file: None,
            image: ImageOverride::default(),
            inputs,
        }
    }

    /// How its operator wants the system to be asked.
    pub fn upstream(&self) -> upstream::Settings {
        let usual = upstream::Settings::default();
        upstream::Settings {
            hosts: self.hosts.clone(),
            allow_private: self.allow_private,
            ca_file: self.ca_file.clone(),
            rate: self.rate,
            concurrency: self.concurrency.map_or(usual.concurrency, NonZeroUsize::get),
            ..usual
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Source, A::Error> {
                let mut inputs = toml::Table::new();
                // The derived, inherent `deserialize`: it knows the fields.
                let source = Source::deserialize(Sieve { entries, inputs: &mut inputs })?;
                Ok(Source { inputs, ..source })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Lets a struct have the entries that are named like its fields and keeps the others apart.
///
/// `#[serde(flatten)]` would do that too, but forgets on the way which key a mistake belongs to.
struct Sieve<'i, A> {
    entries: A,
    inputs: &'i mut toml::Table,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Sieve<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.entries)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Sifted { sieve: self, fields })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A sieve that knows the fields.
struct Sifted<'i, A> {
    sieve: Sieve<'i, A>,
    fields: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Sifted<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.sieve.entries.next_key::<String>()? {
            if self.fields.contains(&name.as_str()) {
                return seed.deserialize(name.into_deserializer()).map(Some);
            }
            self.sieve.inputs.insert(name, self.sieve.entries.next_value()?);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.sieve.entries.next_value_seed(seed)
    }
}

impl fmt::Debug for Source {
    /// Of the inputs only the names: some of the values are secrets, and only the adapter knows which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<&String> = self.inputs.keys().collect();
        f.debug_struct("Source")
            .field("adapter", &self.adapter)
            .field("inputs", &inputs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = r#"
        adapter = "mediawiki"
        base = "https://wiki.example.org/w"
        label = { en = "Maps", de = "Karten" }
        language = "de"
        rights = "http://creativecommons.org/publicdomain/mark/1.0/"
        required_statement = { label = "Credit", value = "City library" }
        provider = { id = "https://example.org", label = "City library" }
        record_ttl = "1h"
        stale = "1d"
        rate = 5
        concurrency = 2
        hosts = ["files.example.org"]
        allow_private = true
        ca_file = "ca.pem"
        image = { quality = 90 }
        namespaces = [6]
    "#;

    #[test]
    fn own_keys_and_inputs_are_told_apart() {
        let source: Source = toml::from_str(EVERYTHING).unwrap();
        assert_eq!(source.inputs.keys().collect::<Vec<_>>(), ["base", "namespaces"]);
        assert_eq!(source.record_ttl, Some(Duration::hours(1)));
        assert_eq!(source.image.quality, Some(90));
        assert_eq!(source.label.first(), Some("Maps"));
    }

    #[test]
    fn the_list_of_keys_is_complete() {
        let written: toml::Table = EVERYTHING.parse().unwrap();
        let own: Vec<&str> =
            written.keys().map(String::as_str).filter(|key| Source::KEYS.contains(key)).collect();
        assert_eq!(own, Source::KEYS);
        let source: Source = toml::from_str(EVERYTHING).unwrap();
        assert!(Source::KEYS.iter().all(|key| !source.inputs.contains_key(*key)));
    }

    #[test]
    fn what_it_shows_of_itself_has_no_inputs() {
        let source: Source = toml::from_str(
            "adapter = 'dam'
api_key = 's3cret'",
        )
        .unwrap();
        insta::assert_snapshot!(format!("{source:?}"), @r#"Source { adapter: "dam", inputs: ["api_key"], .. }"#);
    }
}
