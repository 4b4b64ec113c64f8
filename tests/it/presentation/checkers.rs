//! The checkers themselves: against public documents with known verdicts, and against spoiled ones of ours.

use std::path::{Path, PathBuf};

use loggia::iiif::presentation::Version;
use serde_json::{Value, json};

use super::manifest;
use super::records::rich;
use crate::support::wellformed::{check_v2, check_v3};

/// Where public 3.0 documents do not follow the text to the letter: file, complaint, why.
const COOKBOOK: [(&str, &str, &str); 13] = [
    ("0008-rights/", "of `a` is not allowed", "a `title` in markup, which readers remove"),
    ("0464-reuse-manifest/", "of `a` is not allowed", "the same text"),
    ("0022-linking-with-a-hotspot/", "needs an id", "SpecificResource without id"),
    ("0025-newspaper-article-index/", "needs an id", "SpecificResource without id"),
    ("0045-css/", "needs an id", "SpecificResource without id"),
    ("0068-newspaper/", "needs an id", "SpecificResource without id"),
    ("0135-annotating-point-in-canvas/", "needs an id", "SpecificResource without id"),
    ("0258-tagging-external-resource/", "needs an id", "SpecificResource without id"),
    ("0261-non-rectangular-commenting/", "needs an id", "SpecificResource without id"),
    ("0306-linking-annotations-to-manifests/", "needs an id", "SpecificResource without id"),
    ("0309-annotation-collection/", "needs an id", "SpecificResource without id"),
    ("0326-annotating-image-layer/", "needs an id", "SpecificResource without id"),
    ("0229-behavior-ranges/", "needs an http(s) id", "a space at the end of the id"),
];

#[test]
fn the_cookbook_is_well_formed_3() {
    let Some(folder) = public_documents("cookbook") else { return };
    let mut unused: Vec<_> = COOKBOOK.iter().collect();
    let mut unexpected = Vec::new();
    for (name, document) in documents(&folder).into_iter().filter(|(_, document)| is_3(document)) {
        for complaint in check_v3(&document) {
            let known =
                |(file, about, _): &(&str, &str, &str)| name.starts_with(file) && complaint.contains(about);
            match COOKBOOK.iter().any(known) {
                true => unused.retain(|row| !known(row)),
                false => unexpected.push(format!("{name}: {complaint}")),
            }
        }
    }
    assert_eq!(unexpected, Vec::<String>::new());
    assert_eq!(unused, Vec::<&(&str, &str, &str)>::new(), "these deviations are gone");
}

#[test]
fn the_valid_documents_of_2_are_well_formed() {
    let Some(folder) = public_documents("presentation2/fixtures") else { return };
    let complaints = documents(&folder).into_iter().flat_map(|(name, document)| {
        check_v2(&document).into_iter().map(move |complaint| format!("{name}: {complaint}"))
    });
    // The start canvas is named under `presentation/2.0/`, its canvas under `presentation/2.1/`.
    let known = ["65/manifest.json: $.sequences[0]: `startCanvas` is none of its canvases"];
    assert_eq!(complaints.collect::<Vec<_>>(), known);
}

#[test]
fn every_labelled_error_of_2_is_refused() {
    let Some(folder) = public_documents("presentation2/errors") else { return };
    let documents = documents(&folder);
    let faulty = documents.iter().filter(|(name, _)| name != "collection.json");
    let passed = faulty.clone().filter(|(_, document)| check_v2(document).is_empty());
    assert_eq!(passed.map(|(name, _)| name).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(faulty.count(), 52);
}

/// Each spoils one thing in a good manifest; a checker that stays silent checks nothing.
#[test]
fn the_checker_of_3_refuses_what_the_schema_lets_pass() {
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil, &str); 22] = [
        ("empty label", |m| m["label"] = json!({}), "language map"),
        ("empty text", |m| m["label"] = json!({ "en": [""] }), "a text must not be empty"),
        ("string label", |m| m["label"] = json!("One"), "language map"),
        ("markup in a label", |m| m["label"] = json!({ "en": ["<b>One</b>"] }), "must not be markup"),
        ("a script", |m| m["summary"] = json!({ "en": ["<p><script/></p>"] }), "tag `script`"),
        ("broken markup", |m| m["summary"] = json!({ "en": ["<p><br></p>"] }), "not well-formed"),
        ("no canvases", |m| m["items"] = json!([]), "needs a canvas"),
        ("no context", |m| drop(m.as_object_mut().unwrap().shift_remove("@context")), "first property"),
        (
            "context last",
            |m| {
                let context = m.as_object_mut().unwrap().shift_remove("@context").unwrap();
                m["@context"] = context;
            },
            "first property",
        ),
        ("context inside", |m| m["items"][0]["@context"] = json!("x"), "belongs to the top"),
        ("canvas with a fragment", |m| m["items"][0]["id"] = json!("https://x.org/#1"), "no fragment"),
        (
            "rendering without label",
            |m| drop(m["rendering"][0].as_object_mut().unwrap().remove("label")),
            "needs a label",
        ),
        (
            "homepage without label",
            |m| drop(m["homepage"][0].as_object_mut().unwrap().remove("label")),
            "needs a label",
        ),
        (
            "provider without label",
            |m| drop(m["provider"][0].as_object_mut().unwrap().remove("label")),
            "needs a label",
        ),
        ("a year", |m| m["navDate"] = json!("1901"), "with a zone"),
        ("no zone", |m| m["navDate"] = json!("1901-05-01T00:00:00"), "with a zone"),
        (
            "behaviors that exclude each other",
            |m| m["behavior"] = json!(["paged", "continuous"]),
            "at most one",
        ),
        (
            "https rights",
            |m| m["rights"] = json!("https://creativecommons.org/licenses/by/4.0/"),
            "with http",
        ),
        (
            "body is the service",
            |m| {
                let body = &mut m["items"][0]["items"][0]["items"][0]["body"];
                body["id"] = body["service"][0]["id"].clone();
            },
            "must not be its service",
        ),
        ("two with one id", |m| m["items"][1] = m["items"][0].clone(), "described twice"),
        (
            "target elsewhere",
            |m| m["items"][0]["items"][0]["items"][0]["target"] = m["items"][1]["id"].clone(),
            "its own canvas",
        ),
        (
            "target outside",
            |m| {
                let target = format!("{}#xywh=0,0,9999,1", m["items"][0]["id"].as_str().unwrap());
                m["items"][0]["items"][0]["items"][0]["target"] = json!(target);
            },
            "out of the canvas",
        ),
    ];
    for (case, spoil, expected) in cases {
        let mut document = manifest(Version::V3, &rich());
        assert_eq!(check_v3(&document), Vec::<String>::new(), "{case}");
        spoil(&mut document);
        let complaints = check_v3(&document);
        assert!(complaints.iter().any(|complaint| complaint.contains(expected)), "{case}: {complaints:?}");
    }
}

#[test]
fn the_checker_of_2_refuses_what_readers_trip_over() {
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil, &str); 8] = [
        ("no sequence", |m| m["sequences"] = json!([]), "needs a list of sequences"),
        ("no label", |m| m["sequences"][0]["canvases"][0]["label"] = json!(""), "needs a label"),
        ("a language map", |m| m["label"] = json!({ "en": ["One"] }), "must be a text"),
        ("no size", |m| m["sequences"][0]["canvases"][0]["width"] = json!("9"), "must be a positive integer"),
        ("a tag of 3.0", |m| m["description"] = json!("<small>x</small>"), "tag `small` is not allowed"),
        (
            "service without context",
            |m| {
                let resource = &mut m["sequences"][0]["canvases"][0]["images"][0]["resource"];
                resource["service"]["@context"] = Value::Null;
            },
            "its own `@context`",
        ),
        (
            "rendering without format",
            |m| drop(m["rendering"].as_object_mut().unwrap().remove("format")),
            "needs label and format",
        ),
        ("behavior of 3.0", |m| m["viewingHint"] = json!("unordered"), "unknown hint"),
    ];
    for (case, spoil, expected) in cases {
        let mut document = manifest(Version::V2, &rich());
        assert_eq!(check_v2(&document), Vec::<String>::new(), "{case}");
        spoil(&mut document);
        let complaints = check_v2(&document);
        assert!(complaints.iter().any(|complaint| complaint.contains(expected)), "{case}: {complaints:?}");
    }
}

/// The public documents, where they lie beside this clone.
fn public_documents(suite: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/iiif/fixtures").join(suite);
    if !folder.is_dir() {
        println!("not run: {suite}: the public fixtures are not beside this clone");
        return None;
    }
    Some(folder)
}

/// Every JSON file below a folder, with its path relative to it; `null` where it is no JSON.
fn documents(root: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                let document = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap_or_default();
                found.push((name, document));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// One recipe shows both versions.
fn is_3(document: &Value) -> bool {
    document["@context"] != "http://iiif.io/api/presentation/2/context.json"
}
