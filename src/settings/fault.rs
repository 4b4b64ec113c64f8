//! Why a settings struct could not be read, in words that do not speak of Rust.

use std::fmt;

use serde::de::{self, Unexpected};

use super::problem::{Key, Problem, Segment};
use crate::secret::Secret;

/// Why a struct could not be read.
#[derive(Debug)]
pub(super) struct Fault {
    pub key: Key,
    pub cause: Cause,
}

/// What went wrong at the key of a [`Fault`].
#[derive(Debug)]
pub(super) enum Cause {
    /// Nobody knows the key.
    Unknown(&'static [&'static str]),
    /// The table at the key lacks this one.
    Missing(&'static str),
    /// The value is none of those in the list.
    Unlisted(String, &'static [&'static str]),
    /// The value is wrong; a sentence says how.
    Wrong(String),
    /// The text does not have the form that this sentence asks for.
    Malformed(&'static str),
    /// The value cannot be a secret and is not shown, since it may have been meant as one.
    Hidden,
}

impl Fault {
    pub(super) fn new(cause: Cause) -> Self {
        Self { key: Key::default(), cause }
    }

    /// The same, one step further from the root.
    pub(super) fn at(mut self, segment: Segment) -> Self {
        self.key.prepend(segment);
        self
    }

    /// Adds what was found to a sentence that only says what was expected.
    pub(super) fn found(self, text: &str) -> Self {
        match self.cause {
            Cause::Malformed(sentence) => Self::new(Cause::Wrong(format!("{sentence}, found `{text}`"))),
            _ => self,
        }
    }
}

impl From<Fault> for Problem {
    fn from(Fault { key, cause }: Fault) -> Self {
        match cause {
            Cause::Unknown(known) => Problem::unknown(key, known),
            Cause::Missing(name) => Problem::missing(key, name),
            Cause::Unlisted(found, known) => Problem::unlisted(key, "value", &found, known),
            Cause::Wrong(sentence) => Problem::new(key, sentence),
            Cause::Malformed(sentence) => Problem::new(key, sentence),
            Cause::Hidden => Problem::concealed(key, format!("expected {}", Secret::EXPECTED)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.key, self.cause)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let words = WORDS.iter().find(|(from, _)| *from == message);
        Self::new(words.map_or(Cause::Wrong(message), |(_, to)| Cause::Malformed(to)))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        Self::new(Cause::Wrong(format!("expected {}, found {}", plain(&expected), describe(found))))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Cause::Unlisted(found.to_owned(), expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Cause::Unknown(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Cause::Missing(field))
    }
}

/// What a value is, in words.
fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        // `1e300` is not to be told with its zeros.
        Unexpected::Float(value) => format!("the number `{value:?}`"),
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// Programmers' names of kinds, for everybody else.
fn plain(expected: &str) -> String {
    let (expected, least) = match expected.strip_prefix("a nonzero ") {
        Some(number) => (number, 1),
        None => (expected, 0),
    };
    let whole = |most: u64| format!("a whole number from {least} to {most}");
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => format!("a whole number, at least {least}"),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        "path string" => "a path in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "socket address" => "an address with a port such as `127.0.0.1:8080`".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// Sentences of the standard library and others that do not say what was expected.
const WORDS: &[(&str, &str)] = &[
    ("invalid socket address syntax", "expected an address with a port such as `127.0.0.1:8080`"),
    ("invalid IP address syntax", "expected an IP address such as `192.0.2.1`"),
];

#[cfg(test)]
mod tests {
    use serde::de::Error;

    use super::*;

    #[test]
    fn kinds_are_named_as_people_name_them() {
        let wrong = |found, expected: &str| Problem::from(Fault::invalid_type(found, &expected)).to_string();
        let sentences = [
            wrong(Unexpected::Str("yes"), "a boolean"),
            wrong(Unexpected::Signed(-1), "a nonzero u32"),
            wrong(Unexpected::Bool(true), "a string"),
            wrong(Unexpected::Seq, "struct Cache"),
            wrong(Unexpected::Float(0.5), "u64"),
        ];
        insta::assert_snapshot!(sentences.join("\n"), @r"
        expected `true` or `false`, found the text `yes`
        expected a whole number from 1 to 4294967295, found the number `-1`
        expected a text in quotes, found `true`
        expected a table, found a list
        expected a whole number, at least 0, found the number `0.5`
        ");
    }

    #[test]
    fn foreign_sentences_get_what_was_found() {
        let error = "here".parse::<std::net::SocketAddr>().unwrap_err();
        let fault = Fault::custom(error).found("here").at(Segment::Name("listen".to_owned()));
        assert_eq!(
            Problem::from(fault).to_string(),
            "`listen`: expected an address with a port such as `127.0.0.1:8080`, found `here`"
        );
    }
}
