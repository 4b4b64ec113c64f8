//! Conditional requests: a validator, what clients remember of it, and the 304 that saves the body.

use std::time::SystemTime;

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Body;

/// What identifies one state of an answer: an entity tag, and the time it last changed if known.
///
/// Images and files have strong tags: same tag, same bytes. JSON, XML and HTML have weak ones,
/// because compression gives the same content other bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    tag: String,
    modified: Option<SystemTime>,
}

impl Validator {
    /// For bytes that are always the same.
    pub fn strong(opaque: &str) -> Self {
        Self { tag: format!("\"{}\"", quotable(opaque)), modified: None }
    }

    /// For content that is the same, maybe in other bytes.
    pub fn weak(opaque: &str) -> Self {
        Self { tag: format!("W/\"{}\"", quotable(opaque)), modified: None }
    }

    /// With the time of the last change.
    pub fn modified(self, time: SystemTime) -> Self {
        Self { modified: Some(time), ..self }
    }

    /// The tag as it stands in `ETag`.
    pub fn etag(&self) -> &str {
        &self.tag
    }

    /// Whether the client that sends these headers has this state already (RFC 9110, 13.2.2).
    ///
    /// Tags are compared weakly, as for every GET. The time counts only where no tag was sent.
    pub fn known_to(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_NONE_MATCH) {
            let lines = headers.get_all(IF_NONE_MATCH).into_iter();
            return lines.filter_map(|line| line.to_str().ok()).any(|line| lists(line, opaque(&self.tag)));
        }
        let since = headers.get(IF_MODIFIED_SINCE).and_then(|line| line.to_str().ok());
        let since = since.and_then(|text| httpdate::parse_http_date(text).ok());
        self.modified.zip(since).is_some_and(|(modified, since)| whole_seconds(modified) <= since)
    }

    /// The answer with `ETag` and `Last-Modified`.
    pub fn stamp(&self, mut res: Response<Body>) -> Response<Body> {
        if let Ok(tag) = HeaderValue::try_from(&self.tag) {
            res.headers_mut().insert(ETAG, tag);
        }
        if let Some(time) = self.modified.and_then(printable) {
            res.headers_mut().insert(LAST_MODIFIED, time);
        }
        res
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

/// HTTP dates have no fractions; without cutting ours, a file would always be newer than its date.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs())
}

/// A time as HTTP writes it; nothing where it cannot: before 1970, after 9999.
fn printable(time: SystemTime) -> Option<HeaderValue> {
    const YEAR_10000: u64 = 253_402_300_800;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since.as_secs() < YEAR_10000).then(|| HeaderValue::try_from(httpdate::fmt_http_date(time)).ok())?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn time_counts_only_without_a_tag() {
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let changed = httpdate::parse_http_date(date).unwrap();
        let since = "if-modified-since";
        for (name, modified, sent, known) in [
            ("same second", Some(changed + Duration::from_millis(700)), vec![(since, date)], true),
            ("older", Some(changed - Duration::from_secs(5)), vec![(since, date)], true),
            ("newer", Some(changed + Duration::from_secs(1)), vec![(since, date)], false),
            ("tag differs", Some(changed), vec![(since, date), ("if-none-match", "\"x\"")], false),
            (
                "tag agrees",
                Some(changed + Duration::from_secs(9)),
                vec![(since, date), ("if-none-match", "\"v\"")],
                true,
            ),
            ("unknown", None, vec![(since, date)], false),
            ("no date", Some(changed), vec![(since, "yesterday")], false),
            ("nothing sent", Some(changed), vec![], false),
        ] {
            let validator = Validator { modified, ..Validator::strong("v") };
            assert_eq!(validator.known_to(&headers(&sent)), known, "{name}");
        }
    }

    #[test]
    fn stamps_are_valid_headers_whatever_the_version_is() {
        let stamp = |validator: Validator| {
            let res = validator.stamp(Response::new(Body::empty()));
            let text = |name| res.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (text(ETAG).unwrap(), text(LAST_MODIFIED))
        };
        assert_eq!(stamp(Validator::strong("3f9a")), ("\"3f9a\"".into(), None));
        assert_eq!(stamp(Validator::weak("a\"b ü")).0, "W/\"a%22b%20%C3%BC\"");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        let modified = |time| stamp(Validator::weak("1").modified(time)).1;
        assert_eq!(modified(time).as_deref(), Some("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(modified(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)), None);
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
