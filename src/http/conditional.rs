//! Conditional requests: a validator, what clients remember of it, and the 304 that saves the body.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Body;

/// The entity tag of one state of an answer. There is no `Last-Modified`: what an answer is made of, settings
/// included, changes at times that nobody writes down.
///
/// Images and files have strong tags: same tag, same bytes. JSON, XML and HTML have weak ones,
/// because compression gives the same content other bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    tag: String,
}

impl Validator {
    /// For bytes that are always the same.
    pub fn strong(opaque: &str) -> Self {
        Self { tag: format!("\"{}\"", quotable(opaque)) }
    }

    /// For content that is the same, maybe in other bytes.
    pub fn weak(opaque: &str) -> Self {
        Self { tag: format!("W/\"{}\"", quotable(opaque)) }
    }

    /// The one that is stamped on an answer.
    pub fn on(res: &Response<Body>) -> Option<Self> {
        let tag = res.headers().get(ETAG)?.to_str().ok()?;
        Some(Self { tag: tag.to_owned() })
    }

    /// The tag as it stands in `ETag`.
    pub fn etag(&self) -> &str {
        &self.tag
    }

    /// Whether the client that sends these headers has this state already (RFC 9110, 13.2.2).
    ///
    /// Tags are compared weakly, as for every GET.
    pub fn known_to(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(IF_NONE_MATCH).into_iter();
        lines.filter_map(|line| line.to_str().ok()).any(|line| lists(line, opaque(&self.tag)))
    }

    /// The answer with its `ETag`.
    pub fn stamp(&self, mut res: Response<Body>) -> Response<Body> {
        self.write(res.headers_mut());
        res
    }

    /// Sets the `ETag` among headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Ok(tag) = HeaderValue::try_from(&self.tag) {
            headers.insert(ETAG, tag);
        }
    }
}

/// The 304 in place of `res`, the 200 to a GET or HEAD, with the headers of `res` that a cache needs to renew what it has:
/// `ETag`, `Cache-Control`, `Content-Location`, `Vary` and the like (RFC 9110, 15.4.5).
pub fn not_modified(mut res: Response<Body>) -> Response<Body> {
    *res.status_mut() = StatusCode::NOT_MODIFIED;
    *res.body_mut() = Body::empty();
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
        res.headers_mut().remove(name);
    }
    res
}

/// The opaque part of a tag, quotes included.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Whether a line of `If-None-Match` holds a tag with this opaque part, or is `*`. A comma may stand
/// inside a tag, so tags are read quote by quote; what is no tag ends the reading.
fn lists(line: &str, wanted: &str) -> bool {
    let mut rest = line.trim_matches([' ', '\t', ',']);
    if rest == "*" {
        return true;
    }
    while let Some(tag) = opaque(rest).strip_prefix('"') {
        let Some((inside, after)) = tag.split_once('"') else { return false };
        if wanted.len() == inside.len() + 2 && wanted[1..].starts_with(inside) {
            return true;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    false
}

/// Characters that a tag may hold (RFC 9110, 8.8.3), others as their code.
fn quotable(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!' | b'#'..=b'~' => quoted.push(char::from(byte)),
            other => quoted.push_str(&format!("%{other:02X}")),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn tags_are_compared_weakly_and_anywhere_in_the_list() {
        let (strong, weak) = (Validator::strong("a,b"), Validator::weak("a,b"));
        for (name, lines, known) in [
            ("the same", vec!["\"a,b\""], true),
            ("weak", vec!["W/\"a,b\""], true),
            ("in a list", vec!["\"x\", W/\"a,b\" , \"y\""], true),
            ("in a list without spaces", vec!["\"x\",\"a,b\""], true),
            ("on a second line", vec!["\"x\"", "\"a,b\""], true),
            ("anything", vec!["*"], true),
            ("another", vec!["\"a\""], false),
            ("parts of it", vec!["\"a\", \"b\""], false),
            ("longer", vec!["\"a,b,c\""], false),
            ("unquoted", vec!["a,b"], false),
            ("unclosed", vec!["\"a,b"], false),
            ("empty", vec![""], false),
            ("after rubbish", vec!["rubbish, \"a,b\""], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IF_NONE_MATCH, line.parse().unwrap());
            }
            assert_eq!(strong.known_to(&headers), known, "{name}, strong");
            assert_eq!(weak.known_to(&headers), known, "{name}, weak");
        }
    }

    #[test]
    fn stamps_are_valid_headers_whatever_the_version_is() {
        let stamp = |validator: Validator| {
            let res = validator.stamp(Response::new(Body::empty()));
            res.headers()[ETAG].to_str().unwrap().to_owned()
        };
        assert_eq!(stamp(Validator::strong("3f9a")), "\"3f9a\"");
        assert_eq!(stamp(Validator::weak("a\"b ü")), "W/\"a%22b%20%C3%BC\"");
    }

    #[test]
    fn a_304_keeps_what_a_cache_needs() {
        let mut res = Response::new(Body::from("{}"));
        for (name, value) in [
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("cache-control", "public, max-age=60"),
            ("content-location", "/iiif/3/manifest/maps/1"),
            ("vary", "accept"),
        ] {
            res.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let res = not_modified(Validator::weak("1").stamp(res));
        assert_eq!(res.status(), StatusCode::NOT_MODIFIED);
        let kept: Vec<_> = res.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(kept.len(), 4, "{kept:?}");
        for name in ["cache-control", "content-location", "vary", "etag"] {
            assert!(kept.contains(&name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[ -~äé]{0,60}", opaque in "[ -~äé]{0,10}") {
            lists(&line, Validator::weak(&opaque).etag());
        }

        #[test]
        fn a_validator_knows_its_own_tag(opaque in "\\PC{0,20}", before in proptest::collection::vec("[a-z,]{0,5}", 0..4)) {
            let validator = Validator::weak(&opaque);
            let others: String = before.iter().map(|tag| format!("\"{tag}\", ")).collect();
            let line = format!("{others}{}", validator.etag());
            prop_assert!(validator.known_to(&headers(&[("if-none-match", &line)])));
        }
    }
}
