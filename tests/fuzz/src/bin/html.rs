//! Texts of sources: whatever they hold, what comes out is plain or well-formed, harmless, and final.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loggia::iiif::presentation::html::html;
use roxmltree::Document;

const ALLOWED: [&str; 10] = ["a", "b", "br", "i", "img", "p", "small", "span", "sub", "sup"];

fuzz_target!(|text: &str| {
    let clean = html(text);
    assert_eq!(html(&clean), clean, "cleaning twice changes the text");
    if !(clean.starts_with('<') && clean.ends_with('>')) {
        return;
    }
    let document = Document::parse(&clean).unwrap_or_else(|error| panic!("`{clean}`: {error}"));
    for element in document.descendants().filter(|node| node.is_element()) {
        assert!(ALLOWED.contains(&element.tag_name().name()), "`{clean}` has an element that is not allowed");
        for attribute in element.attributes() {
            assert!(!attribute.name().starts_with("on"), "`{clean}` has a handler");
            let address = attribute.value().trim_start().to_ascii_lowercase();
            assert!(!address.starts_with("javascript:"), "`{clean}` has a script for an address");
        }
    }
});
