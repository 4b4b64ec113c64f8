//! Placeholders in addresses and texts of a definition: `{name}`, and `{+name}` with reserved characters left alone.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

/// Everything but the unreserved characters of RFC 3986: such a value can neither leave its segment
/// of a path nor its parameter of a query.
pub(super) const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What no address may hold raw, not even where reserved characters are wanted.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'#')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b'%');

/// A text with placeholders, taken apart when the definition is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Placeholder { name: String, coding: Coding },
}

/// How a value enters an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `{name}`: percent-encoded.
    Encoded,
    /// `{+name}`: reserved characters keep their meaning.
    Reserved,
}

/// Why a template was refused or an address could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("`{{` without its `}}` in `{0}`")]
    Open(String),
    #[error("`}}` without its `{{` in `{0}`")]
    Close(String),
    #[error("`{{{0}}}` is no placeholder: expected a name of letters, digits, `_` and `.`")]
    Name(String),
    #[error("the path of `{0}` holds a segment that leads elsewhere")]
    Dots(String),
}

impl Template {
    /// Its placeholders, in order.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = (&str, Coding)> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Placeholder { name, coding } => Some((name.as_str(), *coding)),
            Piece::Literal(_) => None,
        })
    }

    /// Whether it is a path below the base address of the system, or that address itself.
    pub(super) fn is_relative(&self) -> bool {
        match self.0.first() {
            None => true,
            Some(Piece::Literal(text)) => text.starts_with('/'),
            Some(Piece::Placeholder { .. }) => false,
        }
    }

    /// The address that it makes. A value never changes the path around it: one that would become
    /// the segment `.` or `..` is refused, because every client would resolve it.
    pub(super) fn address<'v>(&self, value: impl Fn(&str) -> Cow<'v, str>) -> Result<String, TemplateError> {
        let mut address = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => address.push_str(text),
                Piece::Placeholder { name, coding: Coding::Encoded } => {
                    address.extend(utf8_percent_encode(&value(name), VALUE));
                }
                Piece::Placeholder { name, coding: Coding::Reserved } => {
                    address.extend(utf8_percent_encode(&value(name), RESERVED));
                }
            }
        }
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let dots = |segment: &str| matches!(&*percent_decode_str(segment).decode_utf8_lossy(), "." | "..");
        if path.split('/').any(dots) { Err(TemplateError::Dots(address)) } else { Ok(address) }
    }

    /// The text that it makes, nothing encoded: for header values, secrets, and query values, which are
    /// encoded as a whole.
    pub(super) fn text<'v>(&self, value: impl Fn(&str) -> Cow<'v, str>) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Literal(text) => Cow::Borrowed(text.as_str()),
            Piece::Placeholder { name, .. } => value(name),
        });
        pieces.collect()
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(at);
            let inner = tail.strip_prefix('{').ok_or_else(|| TemplateError::Close(text.clone()))?;
            let (name, after) = inner.split_once('}').ok_or_else(|| TemplateError::Open(text.clone()))?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(placeholder(name)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

fn placeholder(text: &str) -> Result<Piece, TemplateError> {
    let (name, coding) = match text.strip_prefix('+') {
        Some(name) => (name, Coding::Reserved),
        None => (text, Coding::Encoded),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(TemplateError::Name(text.to_owned()));
    }
    Ok(Piece::Placeholder { name: name.to_owned(), coding })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Template {
        Template::try_from(text.to_owned()).unwrap()
    }

    fn with<'v>(value: &'v str) -> impl Fn(&str) -> Cow<'v, str> {
        move |_| Cow::Borrowed(value)
    }

    #[test]
    fn a_value_is_encoded_unless_reserved_characters_are_wanted() {
        let cases = [
            ("plain", "/items/{id}", "42", "/items/42"),
            ("slash, question and hash", "/items/{id}", "a/b?c#d", "/items/a%2Fb%3Fc%23d"),
            ("percent", "/items/{id}", "100%", "/items/100%25"),
            ("space and letters", "/items/{id}", "é x", "/items/%C3%A9%20x"),
            ("in a query", "/?q={id}", "a&b=c", "/?q=a%26b%3Dc"),
            ("reserved", "{+base}/api", "https://dam.example.org/x y", "https://dam.example.org/x%20y/api"),
            ("dots inside", "/items/{id}.json", "..", "/items/...json"),
            ("no placeholder", "/items", "x", "/items"),
        ];
        for (name, text, value, expected) in cases {
            assert_eq!(template(text).address(with(value)).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_value_never_climbs() {
        for value in [".", ".."] {
            assert!(
                matches!(template("/items/{id}").address(with(value)), Err(TemplateError::Dots(_))),
                "{value}"
            );
        }
        assert!(template("/items/{+id}").address(with("%2e%2E/users")).is_err());
        assert!(template("/items?id={id}").address(with("..")).is_ok(), "a query has no segments");
    }

    #[test]
    fn a_text_takes_values_as_they_are() {
        assert_eq!(template("File:{id}").text(with("a b/c")), "File:a b/c");
    }

    #[test]
    fn what_is_no_template_says_so() {
        let refused = |text: &str| Template::try_from(text.to_owned()).unwrap_err().to_string();
        insta::assert_snapshot!(refused("/a/{id"), @"`{` without its `}` in `/a/{id`");
        insta::assert_snapshot!(refused("/a/id}"), @"`}` without its `{` in `/a/id}`");
        insta::assert_snapshot!(refused("/a/{the id}"), @"`{the id}` is no placeholder: expected a name of letters, digits, `_` and `.`");
    }

    proptest! {
        #[test]
        fn a_value_stays_one_segment(value in ".*") {
            if let Ok(address) = template("https://dam.example.org/items/{id}/files").address(with(&value)) {
                let url = url::Url::parse(&address).unwrap();
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!(percent_decode_str(segments[1]).decode_utf8_lossy(), value.as_str());
                prop_assert_eq!((url.query(), url.fragment()), (None, None));
            }
        }
    }
}
