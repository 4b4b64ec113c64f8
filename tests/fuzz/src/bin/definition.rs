//! Definitions of adapters: arbitrary text loads or is refused with a sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loggia::adapter::declared::Definition;

fuzz_target!(|text: &str| {
    if let Err(error) = Definition::parse("fuzzed.toml", text) {
        assert!(error.to_string().contains("fuzzed.toml"), "`{error}` does not name the file");
    }
});
