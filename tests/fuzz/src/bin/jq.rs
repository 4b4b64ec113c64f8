//! Expressions: arbitrary text compiles or is refused, and comes back from its run within its budget.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use loggia::jq::Program;
use serde_json::{Value, json};

/// The budget of a run is two seconds; a busy machine and the sensors of the fuzzer add to it.
const PATIENCE: Duration = Duration::from_secs(6);

static RECORD: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "id": 7, "title": "Ein <i>Blatt</i>", "size": [6144, 4096.5, -1, null], "date": "1901-05-01T12:00:00Z",
        "fields": [{ "name": "creator", "value": { "de": ["Jane Roe"] } }, { "name": "empty", "value": "" }],
    })
});

fuzz_target!(|text: &str| {
    let Ok(program) = Program::compile(text, &["source"]) else { return };
    let begun = Instant::now();
    let _ = program.run(&RECORD, &[json!({ "base": "https://dam.example.org" })]);
    assert!(begun.elapsed() < PATIENCE, "the run took {:?}", begun.elapsed());
});
