//! Settings files: arbitrary text loads or is refused with every mistake in its place.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("there is room for a folder"));

fuzz_target!(|text: &str| {
    let file = FOLDER.path().join("loggia.toml");
    fs::write(&file, text).expect("there is room for a file");
    if let Err(report) = loggia::cli::load(&file) {
        assert!(!report.to_string().is_empty(), "refused without a word");
    }
});
