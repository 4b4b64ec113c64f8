//! What would go on for ever, or grow without end, is ended.

use super::*;

#[test]
fn are_ended() {
    let hundred: Json = (0..100).collect();
    let doubling = |start: &str, step: &str| format!("reduce .[] as $x ({start}; {step})");
    let cases = [
        ("product of loops", ".[] as $a | .[] as $b | .[] as $c | .[] as $d | .[] | empty".to_owned()),
        ("powers of two", format!("[{}]", ["(., .)"; 60].join(" | "))),
        ("powers of two, not kept", format!("last({})", ["(., .)"; 60].join(" | "))),
        ("caught by nobody", format!("try last({}) catch 1", ["(., .)"; 60].join(" | "))),
        ("sums of many", ["(1, 1, 1, 1)"; 30].join(" + ")),
        ("text doubled", doubling("\"x\"", ". + .")),
        ("text doubled in place", doubling("\"x\"", "\"\\(.)\\(.)\"")),
        ("list doubled", doubling("[1]", ". + .")),
        ("shared parts doubled", doubling("[1]", "[., .]")),
        ("shared parts compared", format!("{} == {}", doubling("[1]", "[., .]"), doubling("[1]", "[., .]"))),
        ("object doubled", doubling("{}", "{a: ., b: .}")),
        ("tower", doubling("1", "[[.]]")),
        ("tower by update", doubling("1", "{a: .} | .a |= [.]")),
        ("quotes of quotes", ["tojson"; 60].join(" | ").replacen("tojson", "\"\\\"\" | tojson", 1)),
        ("substitution", format!("\"aaaaaaaa\" | {}", ["gsub(\"a\"; \"aaaaaaaa\")"; 12].join(" | "))),
        ("repeated text", "\"x\" * 1000000000".to_owned()),
        ("repeated text, the other way", "1000000000 * \"x\"".to_owned()),
        ("repeated by update", "\"x\" | . *= 1000000000".to_owned()),
        ("repeated by a huge number", "\"x\" * 1000000000000000000000000000000".to_owned()),
        ("pattern too long", "\"x\" | test(\"a\" * 2000)".to_owned()),
        ("text too long to search", "(\"x\" * 1000000) as $x | $x + $x | test(\"a\")".to_owned()),
    ];
    for (name, text) in &cases {
        let begin = Instant::now();
        let outcome = outcome(text, &hundred);
        assert!(matches!(outcome, Err(JqError::TooMuch { .. })), "{name}: {outcome:?}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
}

#[test]
fn brackets_in_foreign_text_are_an_error_not_a_crash() {
    let text = json!("[".repeat(1 << 20));
    assert!(matches!(outcome("fromjson", &text), Err(JqError::Run { .. })));
    assert_eq!(outcome("fromjson? // \"none\"", &text).unwrap(), [json!("none")]);
}

#[test]
fn inputs_too_deep_or_too_large_are_refused() {
    let deep = (0..500).fold(json!(1), |value, _| json!([value]));
    assert_eq!(
        outcome(".", &deep).unwrap_err().to_string(),
        "too much nesting in the input: at most 128 levels"
    );
}

#[test]
fn output_is_bounded() {
    let many = Json::from(vec![0; 1000]);
    let program = Program::compile(".[] as $x | .[]", &[]).unwrap();
    assert_eq!(program.run(&many, &[]).unwrap_err().to_string(), "too much output: at most 100000 values");
    assert_eq!(program.run_one(&many, &[]).unwrap(), json!(0));
    let large = Program::compile("(\"x\" * 1000000) as $x | .[] | $x", &[]).unwrap();
    assert_eq!(large.run(&many, &[]).unwrap_err().to_string(), "too much output: at most 64 MiB");
}
