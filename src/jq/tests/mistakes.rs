//! Mistakes are told in sentences, with their place.

use super::*;

#[test]
fn are_told_with_their_place() {
    let told = |text| match Program::compile(text, &["root"]) {
        Err(JqError::Compile { line, column, message, excerpt }) => {
            format!("{line}:{column} {message}\n{excerpt}\n{:>column$}", "^")
        }
        other => format!("{other:?}"),
    };
    assert_snapshot!(told(".a\n| tostr"), @r#"
    2:3 undefined filter `tostr`
    | tostr
      ^
    "#);
    assert_snapshot!(told("{label: (.title }"), @r#"
    1:17 expected closing parenthesis
    {label: (.title }
                    ^
    "#);
    assert_snapshot!(told(".a | | .b"), @r#"
    1:6 expected an expression, found `|`
    .a | | .b
         ^
    "#);
    assert_snapshot!(told(".a .b c"), @r#"
    1:7 expected an operator or the end of the expression, found `c`
    .a .b c
          ^
    "#);
    assert_snapshot!(told("if .a then 1"), @r#"
    1:13 expected `else` or `end`, found the end of the expression
    if .a then 1
                ^
    "#);
    assert_snapshot!(told("\"ä\\(.x | nope(1; 2))\""), @r#"
    1:10 undefined filter `nope` with 2 arguments
    "ä\(.x | nope(1; 2))"
             ^
    "#);
    assert_snapshot!(told("$rot.a"), @r#"
    1:1 undefined variable `$rot`
    $rot.a
    ^
    "#);
    assert_snapshot!(told("\"never ends"), @r#"
    1:12 expected closing quote
    "never ends
               ^
    "#);
    assert_snapshot!(told("[1, 2"), @r#"
    1:6 expected closing bracket
    [1, 2
         ^
    "#);
    assert_snapshot!(told("a::b"), @r#"
    1:1 undefined module `a`
    a::b
    ^
    "#);
    assert_snapshot!(told(".[\"a\" | foo]"), @r#"
    1:9 undefined filter `foo`
    .["a" | foo]
            ^
    "#);
    assert_snapshot!(told("reduce .[] as $x (0; 1; 2; 3)"), @r#"
    1:1 undefined filter `reduce` with 4 arguments
    reduce .[] as $x (0; 1; 2; 3)
    ^
    "#);
    assert_snapshot!(told(""), @r#"
    1:1 expected an expression, found the end of the expression

    ^
    "#);
    assert_snapshot!(told("&"), @r#"
    1:1 unexpected `&`
    &
    ^
    "#);
    assert_snapshot!(told("break $x"), @r#"
    1:7 undefined label `$x`
    break $x
          ^
    "#);
}

#[test]
fn at_run_time_are_sentences() {
    let told = |text, input| Program::compile(text, &[]).unwrap().run(&input, &[]).unwrap_err().to_string();
    assert_snapshot!(told(".x", json!("jpg")), @r#"cannot index "jpg" with "x""#);
    assert_snapshot!(told("error(\"no title\")", json!(1)), @"no title");
    assert_snapshot!(told("error({a: 1})", json!(1)), @r#"{"a":1}"#);
    assert_snapshot!(told(".[]", json!(1)), @"cannot use 1 as iterable (array or object)");
    assert_snapshot!(told("fromjson", json!("{")), @"cannot parse the text as JSON: EOF while parsing an object at line 1 column 1");
    assert_snapshot!(told("tonumber", json!("12px")), @r#"cannot parse "12px" as a number"#);
    assert_snapshot!(told("pages(.)", json!(100_001)), @"100001 pages: at most 100000");
    assert!(told(".x", json!("y".repeat(10_000))).len() < 400);
}
