//! `docs/SETTINGS.md` against the code: every key has its row, in the order of the structs, and documented defaults hold.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use loggia::adapter::catalogue::Catalogue;
use loggia::adapter::declared::{BUILTIN, builtin};
use loggia::adapter::input::{Kind, Need};
use loggia::iiif::address::Address;
use loggia::serve::offer::{ImageOverride, ImageSettings};
use loggia::settings::Settings;
use loggia::settings::load::Environment;
use loggia::settings::source::Source;
use loggia::units::{Bytes, Duration};
use loggia::{http, imaging, store, telemetry, upstream};
use serde::de::DeserializeOwned;

/// The cells of a row.
type Row = Vec<String>;

/// The rows below a heading, without the table's head.
fn rows(heading: &str) -> Vec<Row> {
    let page = fs::read_to_string("docs/SETTINGS.md").unwrap();
    let section = page.split("\n## ").find_map(|section| section.strip_prefix(&format!("{heading}\n")));
    let section = section.unwrap_or_else(|| panic!("docs/SETTINGS.md has no `## {heading}`"));
    let table = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Row> = table.map(cells).collect();
    for row in &rows {
        assert!(row.iter().all(|cell| !cell.is_empty()), "{heading}: {row:?}");
    }
    rows
}

/// What stands in backticks: a name, or a default as TOML.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

fn keys(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| code(&row[0]).unwrap()).collect()
}

/// The names of a struct's fields, as serde tells them to who misspells one.
fn fields<S: DeserializeOwned + Debug>() -> Vec<String> {
    let error = toml::from_str::<S>("no_such_key = 1").unwrap_err();
    let quoted = error.message().split('`').skip(1).step_by(2);
    quoted.filter(|name| *name != "no_such_key").map(str::to_owned).collect()
}

/// Every field has its row; writing a documented default changes nothing, and where none is documented there is none.
fn holds<S: DeserializeOwned + Debug + Default>(heading: &str) {
    let rows = rows(heading);
    assert_eq!(keys(&rows), fields::<S>(), "{heading}");
    let default = format!("{:?}", S::default());
    for (key, cell) in keys(&rows).into_iter().zip(rows.iter().map(|row| &row[2])) {
        match code(cell) {
            Some(documented) => {
                let written: S = toml::from_str(&format!("{key} = {documented}")).unwrap();
                assert_eq!(format!("{written:?}"), default, "{heading}: `{key}`");
            }
            None => {
                assert_eq!(cell, "none", "{heading}: `{key}`");
                assert!(default.contains(&format!("{key}: None")), "{heading}: `{key}` has a default");
            }
        }
    }
}

#[test]
fn sections_are_documented_as_they_are() {
    holds::<http::Settings>("`[server]`");
    holds::<telemetry::Settings>("`[log]`");
    holds::<store::Settings>("`[cache]`");
    holds::<store::bucket::Settings>("`[cache.bucket]`");
    holds::<store::redis::Settings>("`[redis]`");
    holds::<imaging::Settings>("`[limits]`");
    holds::<ImageSettings>("`[image]`");
    assert_eq!(fields::<ImageOverride>(), fields::<ImageSettings>());
}

#[test]
fn the_top_has_no_other_keys() {
    let top = rows("Top");
    let page = fs::read_to_string("docs/SETTINGS.md").unwrap();
    for field in fields::<Settings>() {
        let heading = [format!("\n## `[{field}]`\n"), format!("\n## `[{field}.NAME]`\n")];
        let has_section = heading.iter().any(|heading| page.contains(heading));
        assert!(has_section != keys(&top).contains(&field.as_str()), "`{field}`");
    }
    assert!(keys(&top).iter().all(|key| fields::<Settings>().iter().any(|field| field == key)));
}

#[test]
fn sources_are_documented_as_they_are() {
    let rows = rows("`[sources.NAME]`");
    assert_eq!(keys(&rows), Source::KEYS);
    let bare = Source::new("x", toml::Table::new());
    for (key, cell) in keys(&rows).into_iter().zip(rows.iter().map(|row| row[2].as_str())) {
        match (key, code(cell)) {
            ("concurrency", default) => {
                assert_eq!(default, Some(upstream::Settings::default().concurrency.to_string().as_str()));
                assert_eq!(bare.concurrency, None);
            }
            ("record_ttl", None) => {
                assert!(cell.starts_with("10 minutes"));
                assert_eq!((bare.record_ttl, Source::RECORD_TTL), (None, Duration::mins(10)));
            }
            (_, Some(default)) => {
                let written: Source = toml::from_str(&format!("adapter = 'x'\n{key} = {default}")).unwrap();
                assert_eq!(written, bare, "`{key}`");
            }
            (_, None) => assert!(["required", "its name", "none"].contains(&cell), "`{key}`: {cell}"),
        }
    }
}

/// What the definition of an adapter says of its settings.
fn written(adapter: &str) -> toml::Table {
    let definition: toml::Table = builtin(adapter).unwrap().parse().unwrap();
    definition["settings"].as_table().unwrap().clone()
}

#[test]
fn inputs_of_adapters_are_documented_as_they_are() {
    let catalogue = Catalogue::default();
    let mut expected = Vec::new();
    for name in catalogue.names() {
        for input in catalogue.get(name).unwrap().inputs() {
            let kind = match input.kind {
                Kind::Text => "text",
                Kind::Secret => "secret",
                Kind::Url => "address",
                Kind::Number => "number",
                Kind::Switch => "switch",
                Kind::List => "list",
                Kind::Folder => "folder",
            };
            let default = match input.need {
                Need::Required => "required".to_owned(),
                Need::Optional => format!("`{}`", written(name)[input.name]["default"]),
            };
            expected.push([format!("`{name}`"), format!("`{}`", input.name), kind.to_owned(), default]);
        }
    }
    assert!(BUILTIN.iter().all(|(name, _)| expected.iter().any(|row| row[0] == format!("`{name}`"))));
    let documented: Vec<Row> = rows("What adapters ask for");
    let documented: Vec<&[String]> = documented.iter().map(|row| &row[..4]).collect();
    assert_eq!(documented, expected);
}

/// What the settings of the museum are with these variables, each written `NAME=value`.
fn museum(variables: &[&str]) -> Result<Settings, String> {
    let variables = variables.iter().map(|variable| variable.split_once('=').unwrap());
    let environment: Environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Settings::load(Path::new("config/museum.toml"), &environment).map_err(|report| report.to_string())
}

#[test]
fn variables_in_examples_are_understood() {
    for file in ["docs/SETTINGS.md", "config/museum.toml"] {
        let text = fs::read_to_string(file).unwrap();
        let words = text.split(|c: char| c.is_whitespace() || c == '`');
        let words = words.map(|word| word.trim_end_matches([',', '.', ';']));
        let variables: Vec<&str> =
            words.filter(|word| word.starts_with("LOGGIA__") && word.contains('=')).collect();
        assert!(variables.len() >= 2, "{file}");
        for variable in &variables {
            museum(&[variable]).unwrap_or_else(|message| panic!("{file}: {message}"));
        }
    }
}

/// The last value that is too small, if there is one, the least, the most, and the first that is too large.
fn edges(kind: &str, least: &str, most: &str) -> [Option<String>; 4] {
    let (least, most) = (least.to_owned(), most.to_owned());
    let (below, above) = match kind {
        "whole number" => {
            let number = |text: &str| text.parse::<i64>().unwrap();
            (Some((number(&least) - 1).to_string()), (number(&most) + 1).to_string())
        }
        "number" => (Some("0.0009".to_owned()), format!("{most}.1")),
        "size" => {
            let bytes = |text: &str| *text.parse::<Bytes>().unwrap();
            (bytes(&least).checked_sub(1).map(|below| below.to_string()), (bytes(&most) + 1).to_string())
        }
        "time" => {
            let millis = |text: &str| text.parse::<Duration>().unwrap().as_millis();
            let below = millis(&least).checked_sub(1).map(|below| format!("{below}ms"));
            (below, format!("{}ms", millis(&most) + 1))
        }
        other => panic!("no edges of a {other}"),
    };
    [below, Some(least), Some(most), Some(above)]
}

#[test]
fn bounds_are_documented_as_they_are() {
    let mut bounded = Vec::new();
    for (heading, prefix) in [
        ("`[server]`", "SERVER"),
        ("`[cache]`", "CACHE"),
        ("`[limits]`", "LIMITS"),
        ("`[image]`", "IMAGE"),
        ("`[sources.NAME]`", "SOURCES__PHOTOGRAPHS"),
    ] {
        for row in rows(heading) {
            let Some((kind, range)) = row[1].split_once(", ") else { continue };
            let Some((least, most)) = range.split_once(" to ") else { continue };
            let key = code(&row[0]).unwrap().to_uppercase();
            // A limit on the height needs one on the width.
            let width = "LOGGIA__IMAGE__MAX_WIDTH=1000";
            let accepted =
                |value: &str| museum(&[width, &format!("LOGGIA__{prefix}__{key}={value}")]).is_ok();
            let told = edges(kind, least, most);
            let found = told.each_ref().map(|value| value.as_deref().is_some_and(accepted));
            assert_eq!(found, [false, true, true, false], "{heading} `{key}`: {told:?}");
            bounded.push(key);
        }
    }
    assert!(bounded.len() >= 18, "{bounded:?}");
}

#[test]
fn addresses_that_are_promised_are_answered() {
    for file in ["docs/SETTINGS.md", "config/museum.toml"] {
        let text = fs::read_to_string(file).unwrap();
        // In backticks, or at the start of a word in a comment; a quoted path is one of the disk.
        let words = text.split(|c: char| c.is_whitespace() || "`,;()".contains(c));
        let addresses: Vec<&str> = words.filter(|word| word.starts_with('/')).collect();
        assert!(addresses.contains(&"/metrics"), "{file}");
        for address in addresses {
            assert!(Address::parse(address).is_ok(), "{file} promises `{address}`");
        }
    }
}

#[test]
fn the_changelog_names_every_key() {
    let changelog = fs::read_to_string("CHANGELOG.md").unwrap();
    let sections = [
        fields::<http::Settings>(),
        fields::<telemetry::Settings>(),
        fields::<store::Settings>(),
        fields::<store::bucket::Settings>(),
        fields::<imaging::Settings>(),
        fields::<ImageSettings>(),
    ];
    let of_sources = Source::KEYS.map(str::to_owned).into_iter().filter(|key| key != "image");
    let missing: Vec<String> = sections
        .into_iter()
        .flatten()
        .chain(of_sources)
        .filter(|key| !changelog.contains(&format!("`{key}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
