//! Wishes and memories of clients: `Accept`, `If-None-Match` and `If-Modified-Since` of any bytes.
#![no_main]

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use libfuzzer_sys::fuzz_target;
use loggia::http::conditional::Validator;
use loggia::http::negotiate;
use loggia::iiif::{image, presentation};

const TAG: &str = "0123abcd";

fuzz_target!(|lines: &[u8]| {
    let mut headers = HeaderMap::new();
    let names = [ACCEPT, IF_NONE_MATCH, IF_MODIFIED_SINCE].into_iter().cycle();
    for (line, name) in lines.split(|byte| *byte == b'\n').zip(names) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    negotiate::presentation_json(&headers, negotiate::presentation(&headers));
    negotiate::presentation_json(&headers, presentation::Version::V2);
    negotiate::image_json(&headers, image::Version::V2);
    negotiate::image_json(&headers, image::Version::V3);
    known(&headers);
});

/// A client that did not send the tag does not have it.
fn known(headers: &HeaderMap) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let known =
        [Validator::strong(TAG), Validator::weak(TAG).modified(time)].map(|state| state.known_to(headers));
    let sent = headers.get_all(IF_NONE_MATCH);
    let named =
        |value: &HeaderValue| value.to_str().is_ok_and(|line| line.contains(TAG) || line.contains('*'));
    if headers.contains_key(IF_NONE_MATCH) {
        assert_eq!(known[0], known[1], "tags are compared weakly");
        assert!(!known[0] || sent.into_iter().any(named), "{headers:?} does not name the tag");
    }
}
