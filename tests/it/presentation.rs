//! Presentation documents made from records: well-formed, complete, and nothing told that is hidden.

use loggia::adapter::record::{Access, Leaf, Listed, Member, Record};
use loggia::iiif::address::{Address, Place};
use loggia::iiif::image::geometry::Limits;
use loggia::iiif::presentation::Version;
use loggia::iiif::presentation::text::LanguageMap;
use loggia::serve::collections::Collected;
use loggia::serve::present::{self, Defaults, PART, Presenter, Uris};
use serde_json::{Value, json};

use self::records::{image, minimal, records, rich};
use crate::support::gateway::hand_over;
use crate::support::wellformed::{check_v2, check_v3};

mod checkers;
mod records;

const BASE: &str = "https://iiif.example.org";

fn defaults() -> Defaults {
    Defaults {
        label: LanguageMap::none("Rare books"),
        language: Some("en".to_owned()),
        rights: Some("http://rightsstatements.org/vocab/InC/1.0/".to_owned()),
        required_statement: serde_json::from_value(json!({ "label": "", "value": "© The source" })).unwrap(),
        provider: serde_json::from_value(
            json!([{ "id": "https://source.example.org", "label": "The source" }]),
        )
        .unwrap(),
    }
}

/// Runs a test with a presenter of each version.
fn in_each_version(test: impl Fn(&Presenter<'_>)) {
    let (uris, defaults) = (Uris::new(&format!("{BASE}/")), defaults());
    for version in [Version::V2, Version::V3] {
        test(&Presenter {
            version,
            uris: &uris,
            source: "books",
            defaults: &defaults,
            limits: Limits::default(),
        });
    }
}

fn manifest(version: Version, record: &Record) -> Value {
    let (uris, defaults) = (Uris::new(BASE), Defaults::default());
    Presenter { version, uris: &uris, source: "books", defaults: &defaults, limits: Limits::default() }
        .manifest(record)
}

fn check(version: Version, document: &Value) -> Vec<String> {
    let id = document["id"].as_str().or(document["@id"].as_str()).unwrap_or_default();
    hand_over(id.trim_start_matches(BASE), document);
    match version {
        Version::V2 => check_v2(document),
        Version::V3 => check_v3(document),
    }
}

/// All addresses of ours that a document prints as ids of documents or images.
fn own_addresses(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Array(items) => items.iter().for_each(|item| own_addresses(item, found)),
        Value::Object(properties) => properties.values().for_each(|value| own_addresses(value, found)),
        Value::String(text) => found.extend(text.strip_prefix(BASE).map(str::to_owned)),
        _ => {}
    }
}

/// What stands at an address; `None`: an image or a collection, or nothing.
fn fetch(presenter: &Presenter<'_>, record: &Record, address: &Address) -> Option<Value> {
    match address {
        Address::Manifest { .. } => Some(presenter.manifest(record)),
        Address::Sequence { .. } => Some(presenter.sequence(record)),
        Address::Canvas { canvas, .. } => presenter.canvas(record, canvas),
        Address::AnnotationPage { canvas, page, .. } => presenter.annotation_page(record, canvas, page),
        Address::Annotation { canvas, page, number, .. } => {
            presenter.annotation(record, canvas, page, *number)
        }
        _ => None,
    }
}

#[test]
fn every_printed_address_answers_with_a_well_formed_document_of_that_id() {
    in_each_version(|presenter| {
        for (case, record) in records() {
            let document = presenter.manifest(&record);
            let mut addresses = Vec::new();
            own_addresses(&document, &mut addresses);
            assert!(addresses.len() > 2, "{case}: {addresses:?}");
            for path in addresses {
                let address = Address::parse(&path).unwrap();
                if matches!(
                    address,
                    Address::Image { .. } | Address::ImageBase { .. } | Address::Collection { .. }
                ) {
                    continue;
                }
                let document = fetch(presenter, &record, &address)
                    .unwrap_or_else(|| panic!("{case}: `{path}` is empty"));
                let id = document.get("id").or(document.get("@id")).and_then(Value::as_str);
                assert_eq!(id, Some(&*format!("{BASE}{path}")), "{case}");
                let complaints = check(presenter.version, &document);
                assert_eq!(complaints, Vec::<String>::new(), "{case}, `{path}`: {document:#}");
            }
        }
    });
}

#[test]
fn a_rich_record_becomes_a_manifest_of_3() {
    insta::assert_json_snapshot!(manifest(Version::V3, &rich()));
}

#[test]
fn a_rich_record_becomes_a_manifest_of_2() {
    insta::assert_json_snapshot!(manifest(Version::V2, &rich()));
}

#[test]
fn the_source_speaks_where_the_record_is_silent() {
    in_each_version(|presenter| {
        let document = presenter.manifest(&minimal(json!({})));
        let expected = match presenter.version {
            Version::V2 => json!([
                { "@value": "One", "@language": "en" },
                "http://rightsstatements.org/vocab/InC/1.0/",
                [{ "@value": "© The source", "@language": "en" }, { "@value": "The source", "@language": "en" }],
            ]),
            Version::V3 => json!([
                { "en": ["One"] },
                "http://rightsstatements.org/vocab/InC/1.0/",
                { "label": { "en": ["Attribution"] }, "value": { "en": ["© The source"] } },
            ]),
        };
        let [rights, statement] = match presenter.version {
            Version::V2 => ["license", "attribution"],
            Version::V3 => ["rights", "requiredStatement"],
        };
        assert_eq!(json!([document["label"], document[rights], document[statement]]), expected);
    });
}

#[test]
fn hidden_canvases_leave_no_trace() {
    let records = records();
    let of = |name| records.iter().find(|(case, _)| *case == name).map(|(_, record)| record).unwrap();
    in_each_version(|presenter| {
        let document = presenter.manifest(of("one hidden")).to_string();
        assert!(document.contains("1.jpg"));
        assert!(!["p0", "p2", "0.jpg", "2.jpg"].iter().any(|hidden| document.contains(hidden)), "{document}");
        assert_eq!(presenter.canvas(of("one hidden"), "p0"), None);
        assert_eq!(presenter.annotation(of("one hidden"), "p2", "painting", 1), None);
        assert_eq!(presenter.manifest(of("all hidden")), presenter.manifest(of("no canvases")));
    });
}

#[test]
fn documents_that_nobody_printed_do_not_exist() {
    in_each_version(|presenter| {
        let (record, empty) = (minimal(json!({})), minimal(json!({ "canvases": [{ "id": "1" }] })));
        assert_eq!(presenter.canvas(&record, "2"), None);
        assert_eq!(presenter.canvas(&record, "placeholder"), None);
        assert_eq!(presenter.annotation_page(&record, "1", "text"), None);
        assert_eq!(presenter.annotation_page(&empty, "1", "painting"), None);
        assert_eq!(presenter.annotation(&record, "1", "painting", 0), None);
        assert_eq!(presenter.annotation(&record, "1", "painting", 2), None);
    });
}

#[test]
fn the_thumbnail_is_an_image_that_everybody_may_see() {
    let canvases = json!([
        { "id": "1", "access": "login", "image": image("closed.jpg", 800, 600) },
        { "id": "2", "image": { "media": "unmeasured.jpg" } },
        { "id": "3", "image": image("open.jpg", 800, 600) },
    ]);
    let cases = [
        ("the first open canvas", json!({}), "open.jpg/full/400,300"),
        ("the chosen one", json!({ "thumbnail": image("small.jpg", 90, 60) }), "small.jpg/full/90,60"),
        (
            "a chosen one without a size",
            json!({ "thumbnail": { "media": "small.jpg" } }),
            "open.jpg/full/400,300",
        ),
        (
            "nothing of a closed record",
            json!({ "access": "login", "thumbnail": image("small.jpg", 90, 60) }),
            "",
        ),
    ];
    for (case, mut more, expected) in cases {
        more["canvases"] = canvases.clone();
        let document = manifest(Version::V3, &minimal(more));
        let expected = match expected {
            "" => Value::Null,
            part => json!(format!("{BASE}/iiif/3/image/books/{part}/0/default.jpg")),
        };
        assert_eq!(document["thumbnail"][0]["id"], expected, "{case}");
    }
}

#[test]
fn rights_in_words_are_shown_among_the_metadata() {
    let document = manifest(Version::V3, &minimal(json!({ "rights": "All rights reserved" })));
    assert_eq!(document.get("rights"), None);
    assert_eq!(
        document["metadata"],
        json!([{ "label": { "en": ["Rights"] }, "value": { "none": ["All rights reserved"] } }])
    );
}

#[test]
fn collections_name_what_may_be_known() {
    let item = |id: &str, label: Option<&str>, access| {
        Member::Item(Listed {
            id: id.into(),
            version: None,
            label: label.map(LanguageMap::none),
            access,
            thumbnail: None,
        })
    };
    let members = [
        item("a/1", Some("One"), None),
        item("2", None, Some(Access::Login)),
        item("3", Some("Secret"), Some(Access::Hidden)),
        Member::Collection { leaf: "maps/old".into(), label: LanguageMap::none("Old maps") },
    ];
    in_each_version(|presenter| {
        let leaf = presenter
            .collection(&"maps".into(), &collected(LanguageMap::none("Maps"), &members), None)
            .unwrap();
        let root =
            presenter.collection(&Leaf::root(), &collected(LanguageMap::default(), &members), None).unwrap();
        for document in [&leaf, &root] {
            assert_eq!(check(presenter.version, document), Vec::<String>::new());
            assert!(!document.to_string().contains("Secret"));
        }
        let listed = match presenter.version {
            Version::V2 => &leaf["members"],
            Version::V3 => &leaf["items"],
        };
        assert_eq!(listed.as_array().map(Vec::len), Some(3));
        let mut addresses = Vec::new();
        own_addresses(&leaf, &mut addresses);
        assert!(addresses.iter().all(|path| Address::parse(path).is_ok()), "{addresses:?}");
        assert_eq!(
            presenter.collection(&"maps".into(), &collected(LanguageMap::default(), &members), Some(1)),
            None
        );
    });
}

#[test]
fn long_collections_have_parts_that_hold_every_member_once() {
    let item = |n| {
        Member::Item(Listed {
            id: format!("{n}").into(),
            version: None,
            label: None,
            access: None,
            thumbnail: None,
        })
    };
    let members: Vec<_> = (0..2 * PART + 1).map(item).collect();
    in_each_version(|presenter| {
        let get = |part| {
            presenter.collection(&Leaf::root(), &collected(LanguageMap::none("Books"), &members), part)
        };
        let whole = get(None).unwrap();
        assert_eq!(check(presenter.version, &whole), Vec::<String>::new());
        let list = if presenter.version == Version::V2 { "members" } else { "items" };
        assert_eq!(whole[list].as_array().map(Vec::len), Some(3));
        let parts: Vec<Value> = (1..=3).map(|part| get(Some(part)).unwrap()).collect();
        let sizes = parts.iter().map(|part| part[list].as_array().map_or(0, Vec::len));
        assert_eq!(sizes.collect::<Vec<_>>(), [PART, PART, 1]);
        for part in &parts {
            assert_eq!(check(presenter.version, part), Vec::<String>::new());
        }
        assert_eq!([get(Some(0)), get(Some(4))], [None, None]);
        if presenter.version == Version::V2 {
            let at = |part| json!(format!("{BASE}/iiif/2/collection/books/part-{part}"));
            assert_eq!(json!([whole["total"], whole["first"]]), json!([2 * PART + 1, at(1)]));
            assert_eq!(json!([parts[1]["startIndex"], parts[1]["next"]]), json!([PART, at(3)]));
            assert_eq!(parts[2].get("next"), None);
        }
    });
}

#[test]
fn the_top_collection_lists_the_sources() {
    let uris = Uris::new(BASE);
    for version in [Version::V2, Version::V3] {
        let sources = [("books", LanguageMap::tagged("en", "Books")), ("maps", LanguageMap::default())];
        let document = present::top(version, &uris, "Everything", &sources, None).unwrap();
        assert_eq!(check(version, &document), Vec::<String>::new());
        let place = Place::Source { source: "maps".to_owned() };
        let address = uris.print(&Address::Collection { version, place, part: None });
        let second = match version {
            Version::V2 => &document["members"][1]["@id"],
            Version::V3 => &document["items"][1]["id"],
        };
        assert_eq!(*second, json!(address));
    }
}

fn collected(label: LanguageMap, members: &[Member]) -> Collected {
    let about = Record::new("maps".into(), String::new(), label);
    Collected { about, parent: None, members: members.to_vec() }
}
