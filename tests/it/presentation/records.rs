//! Records from the least to the most that can be said.

use loggia::adapter::record::Record;
use serde_json::{Value, json};

/// Everything that a record can say.
pub(super) fn rich() -> Record {
    record(json!({
        "id": "box 1/Ä.7", "version": "3", "access": "open",
        "label": { "en": ["A <i>red</i> book", "Second title"], "de_AT": "Ein rotes Buch" },
        "summary": "Bound &amp; printed<br>in <small>Graz</small> <script>alert(1)</script>",
        "metadata": [
            { "label": "Creator", "value": ["Jane Roe", "<a href=\"https://example.org/x?a=1&amp;b=2\" onclick=\"x()\">John</a>"] },
            { "label": { "en": "Formula" }, "value": "H<sub>2</sub>O" },
            { "label": "Empty", "value": "" },
        ],
        "rights": "https://creativecommons.org/licenses/by/4.0/deed.en",
        "required_statement": { "label": "Attribution", "value": "Courtesy of the <b>Museum</b>" },
        "provider": [{
            "id": "https://museum.example.org/", "label": { "en": "The Museum" },
            "homepage": [{ "id": "https://museum.example.org/en", "label": "Museum", "format": "text/html" }],
            "logo": "https://museum.example.org/logo.png",
        }],
        "homepage": [{ "id": "https://museum.example.org/7", "format": "text/html" }, { "id": "javascript:x()" }],
        "see_also": [{ "id": "https://museum.example.org/7.xml", "format": "text/xml", "profile": "http://www.loc.gov/mods/v3" }],
        "rendering": [
            { "id": "https://museum.example.org/7.pdf", "label": "PDF", "format": "application/pdf" },
            { "id": "https://museum.example.org/7/read", "label": "Reader" },
        ],
        "nav_date": "1901-05-01T12:00:00+02:00",
        "behavior": ["continuous", "paged", "auto-advance"],
        "parents": ["Rare books/Graz"],
        "canvases": [
            { "id": "1", "label": "Cover", "image": image("box 1/1.tif", 4000, 6000), "metadata": [{ "label": "Condition", "value": "Worn" }] },
            { "id": "fol. 1r", "image": image("box 1/2.tif", 3000, 2000), "size": { "width": 6000, "height": 4000 }, "access": "restricted" },
        ],
    }))
}

/// All of them, each with a name for its case.
pub(super) fn records() -> Vec<(&'static str, Record)> {
    let pages = |accesses: [Value; 3]| {
        let canvas = |(n, access): (usize, Value)| json!({ "id": format!("p{n}"), "image": image(&format!("{n}.jpg"), 800, 600), "access": access });
        accesses.into_iter().enumerate().map(canvas).collect::<Vec<_>>()
    };
    vec![
        ("minimal", minimal(json!({}))),
        ("rich", rich()),
        ("nothing but an id", minimal(json!({ "label": " ", "summary": "<p></p>" }))),
        ("no canvases", minimal(json!({ "canvases": [] }))),
        (
            "three canvases",
            minimal(json!({ "canvases": pages([json!(null), json!("login"), json!("open")]) })),
        ),
        (
            "one hidden",
            minimal(json!({ "canvases": pages([json!("hidden"), json!("open"), json!("unknown")]) })),
        ),
        (
            "all hidden",
            minimal(json!({ "canvases": pages([json!("hidden"), json!("hidden"), json!("hidden")]) })),
        ),
        (
            "no sizes",
            minimal(
                json!({ "canvases": [{ "id": "1", "image": { "media": "1" } }, { "id": "2", "image": image("2", 0, 9) }] }),
            ),
        ),
        ("no images", minimal(json!({ "canvases": [{ "id": "1", "size": { "width": 10, "height": 20 } }] }))),
        (
            "image size unknown",
            minimal(
                json!({ "canvases": [{ "id": "1", "size": { "width": 10, "height": 20 }, "image": { "media": "1" } }] }),
            ),
        ),
        ("a scroll", minimal(json!({ "behavior": ["continuous"], "viewing_direction": "sideways" }))),
        ("login", minimal(json!({ "access": "login" }))),
        ("rights in words", minimal(json!({ "rights": "Ask <us> & wait" }))),
        ("awkward dates", minimal(json!({ "nav_date": "-000043-03-15T00:00:00Z" }))),
        (
            "awkward ids",
            minimal(
                json!({ "id": "a/b%2F#ü?", "canvases": [{ "id": "c#1", "image": image("x/y#z@3", 9, 9) }] }),
            ),
        ),
    ]
}

pub(super) fn minimal(more: Value) -> Record {
    let mut all = json!({
        "id": "1", "version": "1", "access": "open", "label": "One",
        "canvases": [{ "id": "1", "image": image("1.jpg", 800, 600) }],
    });
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    record(all)
}

fn record(value: Value) -> Record {
    serde_json::from_value(value).unwrap()
}

pub(super) fn image(media: &str, width: u32, height: u32) -> Value {
    json!({ "media": media, "size": { "width": width, "height": height } })
}
