//! Percent-coding of identifiers: decoded exactly once, encoded exactly once (*Image API 3.0, 9*).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest text of an address that is read, in bytes without escapes: however many of them are escaped, it is the same
/// address. The longest path that Linux opens has 4096 bytes.
pub const LONGEST: usize = 5 * 1024;

/// What an identifier keeps as it is: the unreserved characters of RFC 3986 and the colon, which
/// ARKs and URNs are full of.
const IN_IDENTIFIER: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Writes an identifier as one segment of a path.
///
/// ```
/// # use loggia::iiif::identifier::encode;
/// assert_eq!(encode("ark:/12025/654xz321"), "ark:%2F12025%2F654xz321");
/// assert_eq!(encode("50%"), "50%25");
/// ```
pub fn encode(identifier: &str) -> String {
    utf8_percent_encode(identifier, IN_IDENTIFIER).to_string()
}

/// Reads one segment of a path. A plus stays a plus, `%25` becomes `%` and is not looked at again.
pub fn decode(segment: &str) -> Result<String, DecodeError> {
    if let Some(escape) = broken_escape(segment) {
        return Err(DecodeError::BrokenEscape(escape));
    }
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| DecodeError::NotUtf8)?;
    match text {
        text if text.contains('\0') => Err(DecodeError::Nul),
        text if text.len() > LONGEST => Err(DecodeError::TooLong(text.len())),
        text => Ok(text.into_owned()),
    }
}

/// Why a segment of a path cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A percent sign that no two hexadecimal digits follow.
    #[error("escape `{0}` is broken: expected two hexadecimal digits after `%`")]
    BrokenEscape(String),
    /// The escaped bytes are no text.
    #[error("the escaped bytes of the address are not UTF-8")]
    NotUtf8,
    /// A zero byte, which no identifier has and which ends file names early.
    #[error("the address holds `%00`: no identifier has a zero byte")]
    Nul,
    /// More than [`LONGEST`] bytes.
    #[error("the address has {0} bytes without escapes: at most {LONGEST} are read")]
    TooLong(usize),
}

/// The first percent sign without its two digits, and what stands there instead.
fn broken_escape(segment: &str) -> Option<String> {
    segment.match_indices('%').map(|(at, _)| &segment[at..]).find_map(|rest| {
        let whole = rest.len() >= 3 && rest.bytes().skip(1).take(2).all(|byte| byte.is_ascii_hexdigit());
        (!whole).then(|| rest.chars().take(3).collect())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_forms() {
        for (sent, meant) in [
            ("ark:%2F12025%2F654xz321", "ark:/12025/654xz321"),
            ("urn:foo:a123,456", "urn:foo:a123,456"),
            ("a%2Db", "a-b"),
            ("%253C", "%3C"),
            ("a+b", "a+b"),
            ("%E6%98%8E", "明"),
            ("明", "明"),
            ("..%2F..", "../.."),
            ("a%40%33", "a@3"),
            ("", ""),
        ] {
            assert_eq!(decode(sent).as_deref(), Ok(meant), "{sent}");
        }
    }

    #[test]
    fn reserved_characters_and_foreign_letters_are_escaped() {
        assert_eq!(encode("/?#[]@% +明"), "%2F%3F%23%5B%5D%40%25%20%2B%E6%98%8E");
        assert_eq!(encode("a-b.c_d~e:f"), "a-b.c_d~e:f");
    }

    #[test]
    fn what_is_refused_and_why() {
        for (sent, sentence) in [
            ("%zz", "escape `%zz` is broken: expected two hexadecimal digits after `%`"),
            ("a%", "escape `%` is broken: expected two hexadecimal digits after `%`"),
            ("a%4", "escape `%4` is broken: expected two hexadecimal digits after `%`"),
            ("%明", "escape `%明` is broken: expected two hexadecimal digits after `%`"),
            ("%ff", "the escaped bytes of the address are not UTF-8"),
            ("a%00.tif", "the address holds `%00`: no identifier has a zero byte"),
        ] {
            assert_eq!(decode(sent).unwrap_err().to_string(), sentence, "{sent}");
        }
        assert_eq!(decode(&"a".repeat(LONGEST + 1)), Err(DecodeError::TooLong(LONGEST + 1)));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(identifier in "[^\0]{0,60}") {
            let encoded = encode(&identifier);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:%".contains(&byte);
            prop_assert!(encoded.bytes().all(plain), "{}", encoded);
            prop_assert_eq!(decode(&encoded), Ok(identifier));
        }

        #[test]
        fn any_segment_is_read_or_refused(segment in "(%|%[0-9a-f]{2}|.){0,20}") {
            let _ = decode(&segment);
        }
    }
}
