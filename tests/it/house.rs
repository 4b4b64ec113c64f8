//! The house rule: who may import whom, held against the table in `docs/ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only modules of a lower rank, and none of its own. What has no rank of its
/// own to fear (names of metrics, log set-up) is free.
const RANKS: [(&str, u8); 16] = [
    ("clock", 0),
    ("secret", 0),
    ("units", 0),
    ("iiif", 0),
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

#[test]
fn every_module_imports_only_what_lies_below_it() {
    let ranks: BTreeMap<_, _> = RANKS.into_iter().collect();
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        seen.insert(module.clone());
        let text = fs::read_to_string(&path).unwrap();
        for (line, imported) in imports(&text) {
            if imported == module || FREE.contains(&imported.as_str()) {
                continue;
            }
            let allowed = match (ranks.get(module.as_str()), ranks.get(imported.as_str())) {
                (Some(8), Some(_)) => true,
                (Some(own), Some(other)) => other < own,
                // Free modules stand on nothing.
                (None, _) => false,
                (_, None) => false,
            };
            if !allowed {
                broken.push(format!("{}:{line}: `{module}` imports `{imported}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "these imports go up or sideways:\n{}", broken.join("\n"));
    let known: BTreeSet<String> = ranks.keys().chain(FREE.iter()).map(ToString::to_string).collect();
    assert_eq!(seen, known, "modules of the source tree and of the table differ");
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

/// The top module that a file belongs to: `serve` for `src/serve/gate.rs`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Every `crate::name` outside of tests and comments, with its line.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // Tests may stand on anything.
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for (start, _) in code.match_indices("crate::") {
            if code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &code[start + "crate::".len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => group.split([',', '}']).collect(),
                None => vec![rest],
            };
            for name in names {
                let name: String =
                    name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() && name.starts_with(|c: char| c.is_lowercase()) {
                    found.push((number + 1, name));
                }
            }
        }
    }
    found
}
