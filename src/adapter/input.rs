//! What an adapter wants to know of a source, as data; the settings say in words what does not fit.

use std::fmt;

use toml::Value;

use crate::secret::Secret;

/// One key of `[sources.NAME]` that an adapter declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// The key.
    pub name: &'a str,
    /// What it has to be.
    pub kind: Kind,
    /// Whether a source can do without.
    pub need: Need,
}

/// What an input has to be; prints as what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that nobody gets to see; settings may say where it is kept instead.
    Secret,
    /// An http(s) address without query and fragment.
    Url,
    /// A number, whole or not.
    Number,
    /// `true` or `false`.
    Switch,
    /// A list of texts.
    List,
    /// A folder on this machine; relative ones begin at the folder of the settings file.
    Folder,
}

/// Whether a source can do without an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot.
    Required,
    /// There is a default.
    Optional,
}

impl Kind {
    /// Whether a value has the form of this kind. Looks neither at the disk nor into the environment.
    pub fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Url, Value::String(text)) => is_address(text),
            (Self::Folder, Value::String(text)) => !text.is_empty(),
            (Self::Text | Self::Secret, Value::String(_)) => true,
            (Self::Number, Value::Integer(_) | Value::Float(_)) => true,
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::List, Value::Array(list)) => list.iter().all(Value::is_str),
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text in quotes",
            Self::Secret => Secret::EXPECTED,
            Self::Url => "an address such as `https://dam.example.org/api`, without `?` and `#`",
            Self::Number => "a number",
            Self::Switch => "`true` or `false`",
            Self::List => "a list of texts",
            Self::Folder => "an existing folder",
        })
    }
}

fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_form() {
        let values: toml::Table =
            "text = 'x'\nurl = 'https://dam.example.org/x/'\nquery = 'http://dam?x'\nftp = 'ftp://dam'\n\
             number = 1.5\nswitch = true\nlist = ['a']\nmixed = ['a', 1]\ntable = { env = 'X' }\nempty = ''"
                .parse()
                .unwrap();
        let admitted = |kind: Kind| {
            values.iter().filter(move |(_, value)| kind.admits(value)).map(|(name, _)| name.as_str())
        };
        let all = |kind| admitted(kind).collect::<Vec<_>>().join(" ");
        assert_eq!(all(Kind::Text), "text url query ftp empty");
        assert_eq!(all(Kind::Secret), "text url query ftp empty");
        assert_eq!(all(Kind::Folder), "text url query ftp");
        assert_eq!(all(Kind::Url), "url");
        assert_eq!(all(Kind::Number), "number");
        assert_eq!(all(Kind::Switch), "switch");
        assert_eq!(all(Kind::List), "list");
    }
}
