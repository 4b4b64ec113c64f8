//! The house rules: who may import whom, held against the table in `docs/ARCHITECTURE.md`, and what is said there
//! of HTTP, of `access` and of metrics.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod reader;

use reader::Source;

/// A module imports only modules of a lower rank, and none of its own. What has no rank of its
/// own to fear (names of metrics, log set-up) is free.
const RANKS: [(&str, u8); 17] = [
    ("clock", 0),
    ("secret", 0),
    ("units", 0),
    ("iiif", 0),
    ("weighed", 0),
    ("store", 1),
    ("upstream", 1),
    ("imaging", 1),
    ("jq", 1),
    ("adapter", 2),
    ("access", 3),
    ("serve", 5),
    ("http", 6),
    ("settings", 7),
    ("assemble", 8),
    ("cli", 8),
    ("main", 8),
];
const FREE: [&str; 1] = ["telemetry"];

/// Where status codes and names of headers may be known.
const SPEAK_HTTP: [&str; 3] = ["http", "upstream", "adapter"];

/// A file of the source tree.
struct File {
    path: PathBuf,
    /// The top module: `serve` for `src/serve/gate.rs`.
    module: String,
    /// How many `super` lead to the root of the crate.
    depth: usize,
    text: String,
    source: Source,
}

/// Every file that is not there for tests only.
fn house() -> Vec<File> {
    let mut files: Vec<File> = sources(&root().join("src")).into_iter().map(File::read).collect();
    let of_tests = |file: &File| {
        let folder = match file.path.file_stem().unwrap().to_str() {
            Some("mod" | "lib" | "main") => file.path.parent().unwrap().to_owned(),
            _ => file.path.with_extension(""),
        };
        file.source.test_files.iter().map(|name| folder.join(name)).collect::<Vec<_>>()
    };
    let tests: Vec<PathBuf> = files.iter().flat_map(of_tests).collect();
    files.retain(|file| !tests.iter().any(|test| file.path.with_extension("").starts_with(test)));
    files
}

impl File {
    fn read(path: PathBuf) -> Self {
        let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
        let names: Vec<String> = inside.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        let depth = names.iter().filter(|name| !matches!(name.as_str(), "mod" | "lib" | "main")).count();
        let text = fs::read_to_string(&path).unwrap();
        let source = Source::read(&text);
        Self { module: names[0].clone(), depth, text, source, path }
    }

    /// What this file does that no file of its module may do.
    fn offences(&self) -> Vec<String> {
        let module = self.module.as_str();
        let rank = |module: &str| RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank);
        let mut offences = Vec::new();
        for named in self.source.paths() {
            let mut offence = |what: String| {
                let place = self.path.strip_prefix(root()).unwrap_or(&self.path).display();
                offences.push(format!("{place}:{}: `{module}` {what}", named.line));
            };
            let path: Vec<&str> = named.path.iter().map(String::as_str).collect();
            let of_http = path.iter().any(|name| matches!(*name, "StatusCode" | "HeaderName"))
                || matches!(path[..], ["http" | "hyper" | "reqwest", "header", ..]);
            if of_http && !SPEAK_HTTP.contains(&module) {
                offence(format!("speaks HTTP: `{}`", path.join("::")));
            }
            let Some(path) = self.in_the_crate(&path) else { continue };
            let imported = path[0];
            if imported == module || FREE.contains(&imported) || !imported.starts_with(char::is_lowercase) {
                continue;
            }
            // What is free stands on nothing.
            let allowed = match (rank(module), rank(imported)) {
                (Some(8), Some(_)) => true,
                (Some(own), Some(other)) => other < own,
                _ => false,
            };
            if !allowed {
                offence(format!("imports `{imported}`"));
            }
            if module == "access" && imported == "adapter" && path.get(1) != Some(&"record") {
                offence(format!("takes `{}`, of `adapter` only `record` is its business", path.join("::")));
            }
        }
        offences
    }

    /// The path without `crate` or as many `super`; `None` if it begins elsewhere.
    fn in_the_crate<'p>(&self, path: &'p [&'p str]) -> Option<&'p [&'p str]> {
        let up = path.iter().take_while(|name| **name == "super").count();
        let start = match path[0] {
            "crate" => 1,
            _ if up > 0 && up == self.depth => up,
            _ => return None,
        };
        Some(&path[start..]).filter(|path| !path.is_empty())
    }
}

#[test]
fn every_file_keeps_the_house_rules() {
    let house = house();
    let offences: Vec<String> =
        house.iter().filter(|file| file.module != "lib").flat_map(File::offences).collect();
    assert!(offences.is_empty(), "the house rules are broken:\n{}", offences.join("\n"));
    let seen: BTreeSet<&str> =
        house.iter().map(|file| file.module.as_str()).filter(|module| *module != "lib").collect();
    let known: BTreeSet<&str> = RANKS.iter().map(|(name, _)| *name).chain(FREE).collect();
    assert_eq!(seen, known, "modules of the source tree and of the table differ");
}

/// A test that cannot fail proves nothing.
#[test]
fn offences_are_found() {
    let bad = "
#[cfg(test)]
use crate::http::fine;
use crate::{
    adapter::record::Access,
    adapter::{Adapter, record},
    clock, serve,
    access::own,
};
use http::{StatusCode, header::{ACCEPT, HeaderName}};
fn f() { super::super::cli::main(); super::decide(); http::Method::GET }
";
    let file = File {
        path: root().join("src/access/decide.rs"),
        module: "access".to_owned(),
        depth: 2,
        text: bad.to_owned(),
        source: Source::read(bad),
    };
    insta::assert_snapshot!(file.offences().join("\n"), @r"
    src/access/decide.rs:4: `access` takes `adapter::Adapter`, of `adapter` only `record` is its business
    src/access/decide.rs:4: `access` imports `serve`
    src/access/decide.rs:10: `access` speaks HTTP: `http::StatusCode`
    src/access/decide.rs:10: `access` speaks HTTP: `http::header::ACCEPT`
    src/access/decide.rs:10: `access` speaks HTTP: `http::header::HeaderName`
    src/access/decide.rs:11: `access` imports `cli`
    ");
}

#[test]
fn the_table_in_the_book_is_the_table_here() {
    let book = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    for (module, rank) in RANKS {
        let row = book.lines().find(|line| line.starts_with(&format!("| {rank} |")));
        let row = row.unwrap_or_else(|| panic!("docs/ARCHITECTURE.md has no row for rank {rank}"));
        assert!(
            row.contains(&format!("`{module}`")),
            "rank {rank} in docs/ARCHITECTURE.md lacks `{module}`: {row}"
        );
    }
}

#[test]
fn the_list_of_metrics_is_complete() {
    let house = house();
    let constants: BTreeSet<String> = house.iter().flat_map(|file| names_of_metrics(&file.text)).collect();
    let book = fs::read_to_string(root().join("docs/METRICS.md")).unwrap();
    let rows = book.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut listed = BTreeSet::new();
    for (name, rest) in rows {
        assert!(rest.trim_end().ends_with(". |"), "`{name}` needs a sentence in docs/METRICS.md");
        assert!(listed.insert(name.to_owned()), "`{name}` is there twice in docs/METRICS.md");
    }
    assert_eq!(constants, listed, "names of metrics in the source and in docs/METRICS.md differ");
    for file in &house {
        let counts = ["counter!(", "gauge!(", "histogram!("];
        let literal = counts.iter().find(|call| file.text.contains(&format!("{call}\"")));
        assert!(literal.is_none(), "{}: a metric without a constant", file.path.display());
        let constants = file.path.ends_with("metrics.rs") || file.module == "telemetry";
        for line in file.text.lines().filter(|line| constants && line.starts_with("pub const")) {
            assert!(line.contains("= \"loggia_"), "{}: {line}", file.path.display());
        }
    }
}

/// The values of constants that are names of metrics.
fn names_of_metrics(text: &str) -> Vec<String> {
    let values = text.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = \""));
    let values = values.filter_map(|(_, value)| Some(value.split_once('"')?.0.to_owned()));
    values.filter(|value| value.starts_with("loggia_")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
