//! Wishes and memories of clients: `Accept` and `If-None-Match` of any bytes.
#![no_main]

use http::header::{ACCEPT, HeaderMap, HeaderValue, IF_NONE_MATCH};
use libfuzzer_sys::fuzz_target;
use loggia::http::conditional::Validator;
use loggia::http::negotiate;
use loggia::iiif::{image, presentation};

const TAG: &str = "0123abcd";

fuzz_target!(|lines: &[u8]| {
    let mut headers = HeaderMap::new();
    let names = [ACCEPT, IF_NONE_MATCH].into_iter().cycle();
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
    let known = [Validator::strong(TAG), Validator::weak(TAG)].map(|state| state.known_to(headers));
    let named =
        |value: &HeaderValue| value.to_str().is_ok_and(|line| line.contains(TAG) || line.contains('*'));
    assert_eq!(known[0], known[1], "tags are compared weakly");
    assert!(
        !known[0] || headers.get_all(IF_NONE_MATCH).iter().any(named),
        "{headers:?} does not name the tag"
    );
}
