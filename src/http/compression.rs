//! Compression of JSON and HTML; pictures, sound and film are compressed already.

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, Version};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

use super::Body;

/// Below this, headers and one packet outweigh what is saved.
const SMALLEST: u16 = 512;

type Text = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// brotli or gzip, as the client likes, for text.
///
/// It leaves `ETag` alone: JSON has weak ones, which stand for every encoding of the same content.
pub(super) fn layer() -> CompressionLayer<And<SizeAbove, Text>> {
    let text: Text = |_, _, headers, _| is_text(headers);
    CompressionLayer::new()
        .gzip(true)
        .br(true)
        .quality(CompressionLevel::Default)
        .compress_when(SizeAbove::new(SMALLEST).and(text))
}

/// Tells caches that text comes in several encodings, on small and unchanged answers too.
///
/// The layer says it only where it could compress. A 304 has no content type any more, but only
/// text has weak tags.
pub(super) fn vary(mut res: Response<Body>) -> Response<Body> {
    let headers = res.headers();
    let weak = headers.get(ETAG).is_some_and(|tag| tag.as_bytes().starts_with(b"W/"));
    let said = headers.get_all(VARY).iter().any(|value| {
        let names = value.to_str().unwrap_or_default();
        names.split(',').any(|name| name.trim().eq_ignore_ascii_case(ACCEPT_ENCODING.as_str()))
    });
    if (weak || is_text(headers)) && !said {
        res.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    res
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/html" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_and_html_are_text() {
        for (kind, text) in [
            ("application/json", true),
            ("application/ld+json;profile=\"http://iiif.io/api/image/3/context.json\"", true),
            ("application/problem+json", true),
            ("Text/HTML; charset=utf-8", true),
            ("image/jpeg", false),
            ("image/svg+xml", false),
            ("application/pdf", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_text(&headers), text, "{kind}");
        }
    }

    #[test]
    fn vary_is_said_once_and_where_it_is_true() {
        for (name, headers, expected) in [
            ("json", vec![("content-type", "application/json")], vec!["accept-encoding"]),
            ("304 of json", vec![("etag", "W/\"1\"")], vec!["accept-encoding"]),
            ("304 of an image", vec![("etag", "\"1\"")], vec![]),
            (
                "said already",
                vec![("etag", "W/\"1\""), ("vary", "Accept, Accept-Encoding")],
                vec!["Accept, Accept-Encoding"],
            ),
            ("added", vec![("etag", "W/\"1\""), ("vary", "Accept")], vec!["Accept", "accept-encoding"]),
        ] {
            let mut res = Response::new(Body::empty());
            for (name, value) in headers {
                res.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            let res = vary(res);
            assert_eq!(res.headers().get_all(VARY).iter().collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
