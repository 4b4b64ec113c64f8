//! Which version and which flavour of JSON a client asks for with `Accept`.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::iiif::{image, presentation};

/// A document's content type.
pub type ContentType = &'static str;

const JSON: ContentType = "application/json";
const IMAGE_2: ContentType = r#"application/ld+json;profile="http://iiif.io/api/image/2/context.json""#;
const IMAGE_3: ContentType = r#"application/ld+json;profile="http://iiif.io/api/image/3/context.json""#;
const PRESENTATION_2: ContentType =
    r#"application/ld+json;profile="http://iiif.io/api/presentation/2/context.json""#;
const PRESENTATION_3: ContentType =
    r#"application/ld+json;profile="http://iiif.io/api/presentation/3/context.json""#;

/// The Presentation version for an address that serves both, 3.0 unless 2.1 is preferred.
///
/// A version that a range names in its profile has that range's quality; one that no range names
/// has the best of those without a profile, since these take any JSON. At equal quality the one
/// that was named wins.
pub fn presentation(headers: &HeaderMap) -> presentation::Version {
    let accept = Accept::of(headers);
    let wish = |context| {
        let named = accept.quality(|range| range.json() && range.names(context));
        let open = || accept.quality(|range| range.json() && range.profile.is_none());
        (named.or_else(open).unwrap_or(0), named.is_some_and(|quality| quality > 0))
    };
    match wish("iiif.io/api/presentation/2/") > wish("iiif.io/api/presentation/3/") {
        true => presentation::Version::V2,
        false => presentation::Version::V3,
    }
}

/// The content type of a Presentation document (*Presentation API 3.0, 6.3; 2.1, 7.2*).
pub fn presentation_json(headers: &HeaderMap, version: presentation::Version) -> ContentType {
    match version {
        presentation::Version::V2 => flavour(headers, PRESENTATION_2, Flavour::Plain),
        presentation::Version::V3 => flavour(headers, PRESENTATION_3, Flavour::Linked),
    }
}

/// The content type of info.json (*Image API 3.0, 5.1; 2.1, 5*).
pub fn image_json(headers: &HeaderMap, version: image::Version) -> ContentType {
    match version {
        image::Version::V2 => flavour(headers, IMAGE_2, Flavour::Plain),
        image::Version::V3 => flavour(headers, IMAGE_3, Flavour::Linked),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Plain,
    Linked,
}

/// The flavour that is asked for by name and liked best; wildcards are no wish.
fn flavour(headers: &HeaderMap, linked: ContentType, default: Flavour) -> ContentType {
    let accept = Accept::of(headers);
    let wish = |subtype| accept.quality(|range: &Range| range.is("application", subtype)).unwrap_or(0);
    let (plain_wish, linked_wish) = (wish("json"), wish("ld+json"));
    let flavour = match plain_wish.cmp(&linked_wish) {
        std::cmp::Ordering::Greater => Flavour::Plain,
        std::cmp::Ordering::Less => Flavour::Linked,
        std::cmp::Ordering::Equal => default,
    };
    if flavour == Flavour::Plain { JSON } else { linked }
}

/// What a client takes (RFC 9110, 12.5.1).
struct Accept(Vec<Range>);

/// One range of media types with its quality.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    kind: String,
    subtype: String,
    profile: Option<String>,
    /// In thousandths.
    quality: u16,
}

impl Accept {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
        Self(lines.flat_map(|line| split(line, ',')).filter_map(Range::parse).collect())
    }

    /// The best quality among the ranges that fit, if any does.
    fn quality(&self, fits: impl Fn(&Range) -> bool) -> Option<u16> {
        self.0.iter().filter(|range| fits(range)).map(|range| range.quality).max()
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let mut range = Self {
            kind: kind.trim().to_ascii_lowercase(),
            subtype: subtype.trim().to_ascii_lowercase(),
            profile: None,
            quality: 1000,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = quality(value.trim()),
                // Many clients leave the quotes out, although a slash needs them.
                "profile" => range.profile = Some(value.trim().trim_matches('"').to_owned()),
                _ => {}
            }
        }
        Some(range)
    }

    fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// Whether it covers JSON of either flavour.
    fn json(&self) -> bool {
        self.is("*", "*") || self.kind == "application" && ["*", "json", "ld+json"].contains(&&*self.subtype)
    }

    /// Whether one of its profiles begins with this, apart from the scheme.
    fn names(&self, context: &str) -> bool {
        let profiles = self.profile.iter().flat_map(|profile| profile.split_whitespace());
        let bare =
            |profile: &str| profile.split_once("://").is_some_and(|(_, rest)| rest.starts_with(context));
        profiles.into_iter().any(bare)
    }
}

/// `0`, `0.5`, `1.000` in thousandths; nonsense counts as no wish at all.
fn quality(text: &str) -> u16 {
    let value = text.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
    // A NaN becomes 0.
    (value * 1000.0).round() as u16
}

/// Splits at `mark`, but not inside quotes.
fn split(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |char| {
        quoted ^= char == '"';
        char == mark && !quoted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P2: &str = "http://iiif.io/api/presentation/2/context.json";
    const P3: &str = "http://iiif.io/api/presentation/3/context.json";

    fn accept(line: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, line.parse().unwrap())])
    }

    #[test]
    fn version_follows_the_profile() {
        use presentation::Version::{V2, V3};
        for (name, line, version) in [
            ("anything", "*/*".to_owned(), V3),
            ("empty", String::new(), V3),
            ("a browser", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8".into(), V3),
            ("plain JSON", "application/json".into(), V3),
            ("3, quoted", format!("application/ld+json;profile=\"{P3}\""), V3),
            ("2, quoted", format!("application/ld+json;profile=\"{P2}\""), V2),
            ("2, unquoted", format!("application/ld+json;profile={P2}"), V2),
            ("2, by https", format!("application/ld+json; profile=\"{}\"", P2.replace("http", "https")), V2),
            ("2, as plain JSON", format!("application/json;profile=\"{P2}\""), V2),
            ("2, capitals", format!("Application/LD+JSON;Profile=\"{P2}\""), V2),
            (
                "2 among other profiles",
                format!("application/ld+json;profile=\"http://example.org/a {P2}\""),
                V2,
            ),
            ("2 before anything", format!("application/ld+json;profile=\"{P2}\", */*;q=0.5"), V2),
            (
                "2 as good as plain JSON",
                format!("application/json, application/ld+json;profile=\"{P2}\""),
                V2,
            ),
            (
                "2 worse than plain JSON",
                format!("application/json, application/ld+json;profile=\"{P2}\";q=0.5"),
                V3,
            ),
            (
                "3 over 2",
                format!("application/ld+json;profile={P2};q=0.5, application/ld+json;profile={P3}"),
                V3,
            ),
            (
                "2 over 3",
                format!("application/ld+json;profile={P3};q=0.8, application/ld+json;profile={P2};q=0.9"),
                V2,
            ),
            ("both alike", format!("application/ld+json;profile={P2}, application/ld+json;profile={P3}"), V3),
            ("anything but 3", format!("application/ld+json;profile=\"{P3}\";q=0, */*"), V2),
            (
                "a version nobody knows",
                "application/ld+json;profile=\"http://iiif.io/api/presentation/9/\"".into(),
                V3,
            ),
            ("2 refused", format!("application/ld+json;profile=\"{P2}\";q=0"), V3),
            ("2 with nonsense", format!("application/ld+json;profile=\"{P2}\";q=NaN"), V3),
            ("2 of another type", format!("text/html;profile=\"{P2}\""), V3),
            ("quality before profile", format!("application/ld+json;q=0.1;profile=\"{P2}\", */*;q=0.2"), V3),
        ] {
            assert_eq!(presentation(&accept(&line)), version, "{name}");
        }
        assert_eq!(presentation(&HeaderMap::new()), V3, "no header");
    }

    #[test]
    fn flavour_follows_the_wish_and_the_version() {
        for (name, line, two, three) in [
            ("anything", "*/*", JSON, IMAGE_3),
            ("any application", "application/*", JSON, IMAGE_3),
            ("plain", "application/json", JSON, JSON),
            ("linked", "application/ld+json", IMAGE_2, IMAGE_3),
            (
                "linked with a profile",
                "application/ld+json;profile=http://iiif.io/api/image/2/context.json",
                IMAGE_2,
                IMAGE_3,
            ),
            ("both alike", "application/json, application/ld+json", JSON, IMAGE_3),
            ("rather plain", "application/ld+json;q=0.5, application/json", JSON, JSON),
            ("rather linked", "application/json;q=0.5, application/ld+json;q=0.6", IMAGE_2, IMAGE_3),
            ("plain or anything", "application/json, */*;q=0.1", JSON, JSON),
            ("a browser", "text/html, */*;q=0.8", JSON, IMAGE_3),
            ("refused", "application/json;q=0", JSON, IMAGE_3),
            ("nonsense", ";;,=,\"", JSON, IMAGE_3),
        ] {
            assert_eq!(image_json(&accept(line), image::Version::V2), two, "{name}, 2.1");
            assert_eq!(image_json(&accept(line), image::Version::V3), three, "{name}, 3.0");
        }
        let headers = HeaderMap::new();
        assert_eq!(presentation_json(&headers, presentation::Version::V2), JSON);
        assert_eq!(presentation_json(&headers, presentation::Version::V3), PRESENTATION_3);
        assert_eq!(
            presentation_json(&accept("application/ld+json"), presentation::Version::V2),
            PRESENTATION_2
        );
    }

    #[test]
    fn a_comma_in_quotes_splits_nothing() {
        let headers = accept("application/ld+json;profile=\"a,b;c=d\";q=0.25, text/html");
        let ranges = Accept::of(&headers).0;
        assert_eq!(ranges.len(), 2);
        assert_eq!(ranges[0].profile.as_deref(), Some("a,b;c=d"));
        assert_eq!(ranges[0].quality, 250);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[ -~]{0,80}") {
            presentation(&accept(&line));
            image_json(&accept(&line), image::Version::V3);
        }

        #[test]
        fn quality_is_never_above_one(text in "[0-9.eE+-]{0,8}|NaN|inf") {
            prop_assert!(quality(&text) <= 1000);
        }
    }
}
