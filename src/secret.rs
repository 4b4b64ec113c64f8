//! Passwords, tokens and keys: read once, never shown.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// A text that nobody gets to see: `Debug` and `Display` print `***`.
///
/// Settings give it as a text, or say where it is: `{ env = "NAME" }`, `{ file = "path" }`.
/// The settings loader follows such a [`Reference`]; it knows that one is allowed by the name under which
/// a secret asks for its value, [`Secret::NAME`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The newtype name that a secret announces to its deserializer.
    pub const NAME: &'static str = "Secret";

    /// What may stand for a secret in settings, for messages.
    pub const EXPECTED: &'static str = "a text in quotes, `{ env = \"NAME\" }` or `{ file = \"path\" }`";

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Reference {
    /// In an environment variable.
    Env(String),
    /// In a file; a relative path starts at the folder of the settings file.
    File(PathBuf),
}

/// Why a reference leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("environment variable `{0}` is not set")]
    NotSet(String),
    /// The file cannot be read as text.
    #[error("cannot read the file `{}`: {error}", .path.display())]
    Unreadable {
        /// The path that was tried.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: std::io::Error,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(String),
}

impl Reference {
    /// Reads the secret; a line end that closes the file is not part of it.
    pub fn resolve(
        &self,
        folder: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Secret, SecretError> {
        let (text, place) = match self {
            Self::Env(name) => {
                let value = environment.get(name).ok_or_else(|| SecretError::NotSet(name.clone()))?;
                (value.clone(), format!("environment variable `{name}`"))
            }
            Self::File(path) => {
                let path = folder.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| SecretError::Unreadable { path: path.clone(), error })?;
                (text, format!("the file `{}`", path.display()))
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(SecretError::Empty(place)) } else { Ok(Secret(text.to_owned())) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Secret::EXPECTED)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Secret, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(text.to_owned()))
            }
        }
        deserializer.deserialize_newtype_struct(Self::NAME, Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(reference: &Reference, folder: &Path) -> Result<Secret, String> {
        let environment = BTreeMap::from([("TOKEN", "s3cret"), ("NOTHING", "")]);
        let environment = environment.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        reference.resolve(folder, &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn never_shows_itself() {
        let secret = Secret::from("s3cret");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.reveal(), "s3cret");
    }

    #[test]
    fn comes_from_the_environment() {
        let folder = Path::new(".");
        let env = |name: &str| resolve(&Reference::Env(name.to_owned()), folder);
        assert_eq!(env("TOKEN"), Ok("s3cret".into()));
        assert_eq!(env("OTHER"), Err("environment variable `OTHER` is not set".to_owned()));
        assert_eq!(env("NOTHING"), Err("environment variable `NOTHING` is empty".to_owned()));
    }

    #[test]
    fn comes_from_a_file_beside_the_settings_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| resolve(&Reference::File(name.into()), folder.path());
        for (name, content) in [("unix", "s3cret\n"), ("windows", "s3cret\r\n"), ("bare", "s3cret")] {
            std::fs::write(folder.path().join(name), content).unwrap();
            assert_eq!(file(name), Ok("s3cret".into()), "{name}");
        }
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        assert!(file("empty").unwrap_err().ends_with("empty` is empty"));
        assert!(file("missing").unwrap_err().starts_with("cannot read the file `"));
    }

    #[test]
    fn a_literal_is_a_text_and_a_wrong_value_is_named_by_kind_only() {
        #[derive(Debug, Deserialize)]
        struct Sample {
            token: Secret,
        }
        assert_eq!(toml::from_str::<Sample>("token = 's3cret'").unwrap().token.reveal(), "s3cret");
        let error = toml::from_str::<Sample>("token = ['s3cret']").unwrap_err().message().to_owned();
        insta::assert_snapshot!(error, @r#"invalid type: sequence, expected a text in quotes, `{ env = "NAME" }` or `{ file = "path" }`"#);
    }

    #[test]
    fn a_reference_is_one_of_two() {
        let parse =
            |text: &str| toml::from_str::<BTreeMap<String, Reference>>(text).map(|mut map| map.remove("a"));
        assert_eq!(parse("a = { env = 'X' }").unwrap(), Some(Reference::Env("X".to_owned())));
        assert_eq!(parse("a = { file = 'x' }").unwrap(), Some(Reference::File("x".into())));
        assert!(parse("a = { vault = 'x' }").is_err());
    }
}
