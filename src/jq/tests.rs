//! What adapters and rules may rely on, and what they may not do.

use std::time::Instant;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// Any JSON value; also used by the tests of the value type.
pub(crate) fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        // Halves: a whole float would become an integer, and serde_json reads long fractions inexactly.
        any::<i32>().prop_map(|number| Json::from(f64::from(number) + 0.5)),
        "[a-z<>&0-9 /:-]{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..6)
                .prop_map(|entries| entries.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn refusal(text: &str) -> String {
    match Program::compile(text, &["root"]) {
        Err(error) => error.to_string(),
        Ok(_) => "accepted".to_owned(),
    }
}

/// What an expression makes of null, within a small budget.
fn outcome(text: &str, input: &Json) -> Result<Vec<Json>, JqError> {
    let budget = Budget { time: Duration::from_millis(200), memory: 8 << 20 };
    let program = Program::compile(text, &[]).unwrap();
    program.evaluate(budget, &Input::from(input), &[], |outputs| {
        outputs.map(|output| Ok(Json::from(&output?))).collect()
    })
}

fn one(text: &str, input: Json) -> Json {
    match Program::compile(text, &[]).and_then(|program| program.run_one(&input, &[])) {
        Ok(value) => value,
        Err(error) => panic!("`{text}` over {input}: {error}"),
    }
}

#[test]
fn runs_an_expression_over_many_inputs() {
    let program = Program::compile(".a[] + $n * $m", &["n", "m"]).unwrap();
    assert_eq!(program.run(&json!({"a": [1, 2]}), &[json!(10), json!(2)]).unwrap(), [json!(21), json!(22)]);
    assert_eq!(program.run_one(&json!({"a": []}), &[json!(10), json!(2)]).unwrap(), json!(null));
    assert_eq!(program.run(&json!(1), &[json!(1)]).unwrap_err().to_string(), "2 variables expected, found 1",);
}

#[test]
fn programs_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync>(_: T) {}
    shared(Program::compile(".", &[]).unwrap());
    shared(Input::from(json!(1)));
}

#[test]
fn every_definition_compiles_and_every_standard_filter_is_there() {
    // One expression after another, each of which pulls its own part of the library.
    let expressions = [
        "map(.+1)",
        "to_entries",
        "from_entries",
        "with_entries(.)",
        "[paths]",
        "walk(.)",
        "join(\",\")",
        "flatten",
        "flatten(1)",
        "add",
        "any",
        "all",
        "unique_by(.a)",
        "group_by(.a)",
        "min_by(.a)",
        "max_by(.a)",
        "sort_by(.a)",
        "first(.[])",
        "last(.[])",
        "nth(1; .[])",
        "isempty(.[])",
        "sub(\"a\"; \"b\")",
        "gsub(\"a\"; \"b\")",
        "test(\"a\")",
        "capture(\"(?<x>a)\")",
        "[scan(\"a\")]",
        "[match(\"a\")]",
        "splits(\"a\")",
        "split(\",\")",
        "ascii_downcase",
        "ltrimstr(\"a\")",
        "startswith(\"a\")",
        "todate",
        "fromdate",
        "strptime(\"%Y\")",
        "mktime",
        "@html",
        "@uri",
        "@base64",
        "@base64d",
        "@json",
        "@text",
        "@sh",
        "tojson",
        "fromjson",
        "tonumber",
        "tostring",
        "type",
        "length",
        "keys",
        "has(\"a\")",
        "in({})",
        "contains(1)",
        "inside(1)",
        "indices(1)",
        "index(\"a\")",
        "rindex(\"a\")",
        "transpose",
        "getpath([])",
        "setpath([]; 1)",
        "delpaths([])",
        "del(.a)",
        "to_entries[]",
        "pick(.a)",
        "env_",
        "abs",
        "floor",
        "sqrt",
        "pow(2; 3)",
        "log10",
        "isnan",
        "isinfinite",
        "infinite",
        "nan",
        "explode",
        "implode",
        "trim",
        "error",
        "error(1)",
        "label $out | break $out",
        "reduce .[] as $x (0; .)",
        "foreach .[] as $x (0; .)",
        "..",
        "try error catch .",
        ".a?",
        "limit_",
        "IN(1, 2)",
        "as_list",
        "langmap(.a; .b)",
        "mime",
        "isodate",
        "num",
        "rights_uri",
        "pages(1)",
        "first_of(1; 2)",
        "first_of(1; 2; 3; 4; 5)",
        "toboolean",
        "min",
        "max",
        "unique",
        "reverse",
        "sort",
        "values",
        "nulls",
        "strings",
        "arrays",
        "objects",
        "scalars",
        "iterables",
        "booleans",
        "not",
        "select(.)",
        "empty",
        "map_values(.)",
        "ascii_upcase",
        "utf8bytelength",
        "splits(\"a\"; \"g\")",
        "skip(1; .[])",
    ];
    let missing: Vec<_> = expressions.iter().filter(|text| Program::compile(text, &[]).is_err()).collect();
    assert_eq!(missing, [&"env_", &"limit_"]);
}

mod mistakes {
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
        let told =
            |text, input| Program::compile(text, &[]).unwrap().run(&input, &[]).unwrap_err().to_string();
        assert_snapshot!(told(".x", json!("jpg")), @r#"cannot index "jpg" with "x""#);
        assert_snapshot!(told("error(\"no title\")", json!(1)), @"no title");
        assert_snapshot!(told("error({a: 1})", json!(1)), @r#"{"a":1}"#);
        assert_snapshot!(told(".[]", json!(1)), @"cannot use 1 as iterable (array or object)");
        assert_snapshot!(told("fromjson", json!("{")), @"cannot parse the text as JSON: EOF while parsing an object at line 1 column 1");
        assert_snapshot!(told("tonumber", json!("12px")), @r#"cannot parse "12px" as a number"#);
        assert_snapshot!(told("pages(.)", json!(100_001)), @"100001 pages: at most 100000");
        assert!(told(".x", json!("y".repeat(10_000))).len() < 400);
    }
}

mod denied {
    use super::*;

    #[test]
    fn every_name_in_every_disguise() {
        let names = [
            "env",
            "input",
            "inputs",
            "halt",
            "halt_error",
            "debug",
            "stderr",
            "repeat(.)",
            "until(.; .)",
            "while(.; .)",
            "recurse",
            "recurse(.)",
            "recurse(.; .)",
            "range(1)",
            "range(1; 2)",
            "range(1; 2; 3)",
            "limit(1; .)",
            "input_line_number",
            "$ENV",
            "now",
            "localtime",
            "strflocaltime(\"%Y\")",
            "halt_error(1)",
            "debug(1)",
            "combinations",
            "combinations(2)",
            "stderr_empty",
            "debug_empty",
            "halt(1)",
            "input_filename",
            "jn(1; 2)",
        ];
        for name in names {
            let disguises = [
                name.to_owned(),
                format!("\"\\({name})\""),
                format!("@html \"a\\(\"b\\({name})\")\""),
                format!(".[\"a\" | {name}]"),
                format!(".[1:{name}]"),
                format!(".a.b[{name}]?"),
                format!("[{name}]"),
                format!("{{a: {name}}}"),
                format!("{{({name}): 1}}"),
                format!("{{\"\\({name})\": 1}}"),
                format!("-{name}"),
                format!("1 + {name}"),
                format!(".a |= {name}"),
                format!(". as [$x, {{a: $y}}] | {name}"),
                format!(". as {{({name}): $y}} | 1"),
                format!("reduce {name} as $x (0; .)"),
                format!("reduce .[] as $x ({name}; .)"),
                format!("foreach .[] as $x (0; .; {name})"),
                format!("foreach .[] as {{({name}): $x}} (0; .)"),
                format!("try {name}"),
                format!("try 1 catch {name}"),
                format!("{name}?"),
                format!("if {name} then 1 end"),
                format!("if 1 then {name} else 2 end"),
                format!("if 1 then 2 elif 3 then 4 else {name} end"),
                format!("map({name})"),
                format!("first(path({name}))"),
                format!("label $out | {name}"),
                format!("# comment\n  {name}"),
            ];
            for text in disguises {
                let bare = name.split('(').next().unwrap();
                match Program::compile(&text, &[]) {
                    Err(JqError::Denied { name, .. }) => assert_eq!(name, bare, "{text}"),
                    other => panic!("`{text}`: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn definitions_and_modules() {
        assert_snapshot!(refusal("def f: f; f"), @"line 1, column 5: `def` is not allowed in an expression");
        assert_snapshot!(refusal(".a | (def f: 1; f)"), @"line 1, column 11: `def` is not allowed in an expression");
        assert_snapshot!(refusal("\n  import \"a\" as a; ."), @"line 2, column 3: `import` is not allowed in an expression");
        assert_snapshot!(refusal("include \"a\"; ."), @"line 1, column 1: `include` is not allowed in an expression");
        assert_snapshot!(refusal("module {}; ."), @"line 1, column 1: `module` is not allowed in an expression");
        assert_snapshot!(refusal(".a\n| $ENV.PATH"), @"line 2, column 3: `$ENV` is not allowed in an expression");
    }

    #[test]
    fn fields_and_keys_may_have_any_name() {
        assert_eq!(one(".env, .range", json!({"env": 1})), json!(1));
        assert_eq!(one("{env: 1, input: .limit}", json!({"limit": 2})), json!({"env": 1, "input": 2}));
        assert_eq!(one("{limit}", json!({"limit": 2})), json!({"limit": 2}));
    }

    #[test]
    fn texts_too_long_or_too_deep() {
        assert_snapshot!(refusal(&" ".repeat(20_000)), @"too much text in one expression: at most 16 KiB");
        assert_snapshot!(refusal(&"-".repeat(16_000)), @"line 1, column 16001: expected an expression, found the end of the expression");
        assert_snapshot!(refusal(&format!("{}1{}", "(".repeat(8_000), ")".repeat(8_000))), @"accepted");
        assert_snapshot!(refusal(&format!("{}1{}", "\"\\(".repeat(3_000), ")\"".repeat(3_000))), @"too much nesting in the expression: at most 200 levels");
        assert_snapshot!(refusal(&".|".repeat(8_000)), @"line 1, column 16001: expected an expression, found the end of the expression");
        assert_snapshot!(refusal(&"[".repeat(16_000)), @"line 1, column 16001: expected closing bracket");
        assert_snapshot!(refusal(&format!("[{}]", "1,".repeat(8_000).trim_end_matches(','))), @"too much nesting in the expression: at most 200 levels");
        assert_snapshot!(refusal(&format!("{{{}}}", "a:1,".repeat(4_000))), @"too much nesting in the expression: at most 200 levels");
    }

    #[test]
    fn the_deepest_expressions_run_on_an_ordinary_stack() {
        for (open, close) in
            [("-", ""), ("[", "]"), (".|", ""), ("\"\\(", ")\""), ("1+", ""), ("try ", ""), ("first(", ")")]
        {
            let fits = (1..=200).rev().map(|n| format!("{}1{}", open.repeat(n), close.repeat(n)));
            let program = fits.map(|text| Program::compile(&text, &[])).find_map(Result::ok).unwrap();
            let thread = thread::Builder::new().stack_size(2 << 20);
            let outcome = thread.spawn(move || program.run(&json!(1), &[])).unwrap().join();
            assert!(outcome.is_ok(), "{open}");
        }
    }
}

mod runaways {
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
            (
                "shared parts compared",
                format!("{} == {}", doubling("[1]", "[., .]"), doubling("[1]", "[., .]")),
            ),
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
        assert_eq!(
            program.run(&many, &[]).unwrap_err().to_string(),
            "too much output: at most 100000 values"
        );
        assert_eq!(program.run_one(&many, &[]).unwrap(), json!(0));
        let large = Program::compile("(\"x\" * 1000000) as $x | .[] | $x", &[]).unwrap();
        assert_eq!(large.run(&many, &[]).unwrap_err().to_string(), "too much output: at most 64 MiB");
    }
}

mod prelude_filters {
    use super::*;

    #[test]
    fn give_what_their_names_promise() {
        let texts = json!([
            {"value": "Buch", "language": "de"},
            {"value": "book", "language": "en_US"},
            {"value": "tome", "language": null},
            {"value": "", "language": "fr"},
            {"value": "livre", "language": ""},
            {"value": ["a", "b"]},
        ]);
        let cases = [
            ("as_list", json!(null), json!([])),
            ("as_list", json!("a"), json!(["a"])),
            ("as_list", json!({"a": 1}), json!([{"a": 1}])),
            ("as_list", json!([1]), json!([1])),
            ("as_list", json!(false), json!([false])),
            ("IN(1, 2)", json!(2), json!(true)),
            ("IN(1, 2)", json!(3), json!(false)),
            ("IN(empty)", json!(3), json!(false)),
            (".a as $a | .b | IN($a[])", json!({"a": [1], "b": 1}), json!(true)),
            (
                "langmap(.value; .language)",
                texts,
                json!({"de": ["Buch"], "en-US": ["book"], "none": ["tome", "livre", "a", "b"]}),
            ),
            ("langmap(.value; .language)", json!(null), json!({})),
            ("langmap(.v; \"en\")", json!({"v": 3}), json!({"en": ["3"]})),
            ("first_of(.a; .b)", json!({"b": 1}), json!(1)),
            ("first_of(.a; .b; .c)", json!({"a": false, "b": null, "c": 2}), json!(2)),
            ("[first_of(.a[]; .b)]", json!({"a": [null, 1, 2]}), json!([1])),
            ("first_of(.a; .b)", json!({}), json!(null)),
            ("num", json!(12), json!(12)),
            ("num", json!(" 0012 "), json!(12)),
            ("num", json!("12.0"), json!(12)),
            ("num", json!("12.5"), json!(null)),
            ("num", json!("12 px"), json!(null)),
            ("num", json!("inf"), json!(null)),
            ("num", json!(null), json!(null)),
            ("num", json!([1]), json!(null)),
            ("pages(.)", json!(3), json!([1, 2, 3])),
            ("pages(.n)", json!({"n": "2"}), json!([1, 2])),
            ("pages(.)", json!(0), json!([])),
            ("pages(.)", json!(-5), json!([])),
            ("pages(.)", json!(null), json!([])),
            ("pages(.) | length", json!(100_000), json!(100_000)),
            ("mime", json!("tif"), json!("image/tiff")),
            ("mime", json!("nonsense"), json!(null)),
            ("mime", json!(null), json!(null)),
            ("rights_uri", json!("CC BY 4.0"), json!("http://creativecommons.org/licenses/by/4.0/")),
            ("rights_uri", json!(["a"]), json!(null)),
            ("isodate", json!("2024-05-01 12:00:00"), json!("2024-05-01T12:00:00Z")),
            ("isodate", json!(1_714_564_800), json!("2024-05-01T12:00:00Z")),
            ("isodate", json!("soon"), json!(null)),
            ("isodate", json!(null), json!(null)),
            ("isodate < \"2025\"", json!("2024-05-01"), json!(true)),
        ];
        for (text, input, expected) in cases {
            assert_eq!(one(text, input.clone()), expected, "{text} over {input}");
        }
    }
}

mod language {
    use super::*;

    #[test]
    fn is_jq() {
        let cases = [
            (".a.b", json!({"a": {"b": 1}}), json!(1)),
            (".a.b", json!({}), json!(null)),
            (".[-1]", json!([1, 2]), json!(2)),
            (".[1:]", json!([1, 2, 3]), json!([2, 3])),
            (".[:-1]", json!("äöü"), json!("äö")),
            (".[5:]", json!("abc"), json!("")),
            (".[1:2] = [9, 9]", json!([1, 2, 3]), json!([1, 9, 9, 3])),
            (".a |= . + 1", json!({"a": 1}), json!({"a": 2})),
            (".a.b = 1", json!(null), json!({"a": {"b": 1}})),
            (".[0] = 5", json!([1]), json!([5])),
            ("del(.a, .b)", json!({"a": 1, "b": 2, "c": 3}), json!({"c": 3})),
            ("del(.[0])", json!([1, 2]), json!([2])),
            ("map(select(. > 1))", json!([1, 2, 3]), json!([2, 3])),
            ("to_entries", json!({"a": 1}), json!([{"key": "a", "value": 1}])),
            ("with_entries(.value += 1)", json!({"a": 1}), json!({"a": 2})),
            ("[..]", json!([[1]]), json!([[[1]], [1], 1])),
            ("[paths]", json!({"a": [1]}), json!([["a"], ["a", 0]])),
            ("walk(if type == \"number\" then . + 1 else . end)", json!([1, {"a": 2}]), json!([2, {"a": 3}])),
            ("group_by(.a) | map(length)", json!([{"a": 1}, {"a": 2}, {"a": 1}]), json!([2, 1])),
            ("sort_by(.a) | .[0].a", json!([{"a": 2}, {"a": 1}]), json!(1)),
            ("unique", json!([2, 1, 2]), json!([1, 2])),
            ("add", json!(["a", "b"]), json!("ab")),
            ("join(\", \")", json!(["a", 1, null]), json!("a, 1, null")),
            ("length", json!("äöü"), json!(3)),
            ("[.[] | length]", json!([null, -2, [1], {"a": 1}]), json!([0, 2, 1, 1])),
            ("contains({a: [\"o\"]})", json!({"a": ["foo", "bar"]}), json!(true)),
            ("has(\"a\"), has(\"b\")", json!({"a": null}), json!(true)),
            ("indices(\"ab\")", json!("äabab"), json!([1, 3])),
            ("index(\",\")", json!("a,b"), json!(1)),
            (
                "[.[] | tostring]",
                json!(["a", 1, [1.5], {"a": null}]),
                json!(["a", "1", "[1.5]", "{\"a\":null}"]),
            ),
            ("tojson | fromjson", json!({"a": [1, "\"\n"]}), json!({"a": [1, "\"\n"]})),
            ("map(tonumber)", json!(["12", "007", "+1", "1.5", 2]), json!([12, 7, 1, 1.5, 2])),
            (
                "[.[] | type]",
                json!([null, true, 1, "a", [], {}]),
                json!(["null", "boolean", "number", "string", "array", "object"]),
            ),
            ("sub(\"\\\\.[^.]+$\"; \".xml\")", json!("a.b.tif"), json!("a.b.xml")),
            ("gsub(\"(?<l>[aeiou])\"; \"<\\(.l)>\")", json!("loggia"), json!("l<o>gg<i><a>")),
            ("capture(\"(?<y>[0-9]{4})\").y", json!("in 1920"), json!("1920")),
            ("split(\", \")", json!("a, b"), json!(["a", "b"])),
            ("ascii_downcase | ltrimstr(\"ab\") | trim", json!("AB c "), json!("c")),
            ("first(.[] | select(. > 1)) // \"none\"", json!([1]), json!("none")),
            ("if . then 1 elif 2 then 3 else 4 end", json!(null), json!(3)),
            ("try error(\"x\") catch .", json!(1), json!("x")),
            ("[.[] | (.a? // \"no\")]", json!([{"a": 1}, 2]), json!([1, "no"])),
            (". as {a: $x, b: [$y]} | $x + $y", json!({"a": 1, "b": [2]}), json!(3)),
            ("reduce .[] as $x (null; .[$x] += 1)", json!(["a", "b", "a"]), json!({"a": 2, "b": 1})),
            ("[foreach .[] as $x (0; . + $x)]", json!([1, 2, 3]), json!([1, 3, 6])),
            ("label $out | .[] | if . > 1 then ., break $out else empty end", json!([1, 2, 3]), json!(2)),
            ("transpose", json!([[1, 2], [3]]), json!([[1, 3], [2, null]])),
            ("@html \"<\\(.)>\"", json!("<&"), json!("<&lt;&amp;>")),
            ("@uri", json!("a b/ü"), json!("a%20b%2F%C3%BC")),
            ("[nan] | sort | .[0] | isnan", json!(null), json!(true)),
            ("[1, nan, null] | map(isnormal)", json!(null), json!([true, false, false])),
            ("pick(.a)", json!({"a": 1, "b": 2}), json!({"a": 1})),
            ("getpath([\"a\", 0])", json!({"a": [5]}), json!(5)),
            ("18446744073709551615 | tostring", json!(null), json!("18446744073709551615")),
            ("[.[] as [$a] | $a]", json!([[1], [2]]), json!([1, 2])),
            ("flatten", json!([1, [2, [3]]]), json!([1, 2, 3])),
            (
                "{(.a): 1, \"x\\(.a)\": 2, @base64 \"y\": 3}",
                json!({"a": "k"}),
                json!({"k": 1, "xk": 2, "y": 3}),
            ),
            ("inside([1, 2])", json!([1]), json!(true)),
            ("[splits(\", *\")]", json!("a,  b"), json!(["a", "b"])),
            ("strptime(\"%Y-%m-%d\") | mktime | todate", json!("2024-05-01"), json!("2024-05-01T00:00:00Z")),
        ];
        for (text, input, expected) in cases {
            assert_eq!(one(text, input.clone()), expected, "{text} over {input}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_input_makes_a_program_panic(input in any_json(), other in any_json()) {
            for text in EXPRESSIONS {
                let program = Program::compile(text, &["v"]).unwrap();
                let outcome = program.run(&input, std::slice::from_ref(&other));
                let failed = matches!(&outcome, Err(JqError::Run { message }) if message.contains("interpreter"));
                prop_assert!(!failed, "{} over {} with {}: {:?}", text, input, other, outcome);
            }
        }

        #[test]
        fn no_text_makes_the_compiler_panic(text in "[a-z .|()\\[\\]{}\"$,:;?+*/0-9\\\\@-]{0,40}") {
            let _ = Program::compile(&text, &["v"]);
        }
    }

    const EXPRESSIONS: [&str; 40] = [
        ".[$v]",
        ".[$v:]",
        ".[:$v]",
        ".[$v]?",
        ".[$v] = 1",
        ".[$v] |= empty",
        ".[$v:] = $v",
        ". + $v",
        ". - $v",
        ". * $v",
        ". / $v",
        ". % $v",
        "-.",
        ". < $v",
        ". == $v",
        "[.[]]",
        "[..]",
        "[paths]",
        "walk(.)",
        "to_entries",
        "tojson",
        "contains($v)",
        "indices($v)",
        "has($v)",
        "split($v)",
        "test($v)",
        "sort",
        "group_by(.)",
        "flatten",
        "add",
        "langmap(.a; .b)",
        "as_list",
        "num",
        "isodate",
        "mime",
        "rights_uri",
        "pages(.)",
        "implode",
        "strftime($v)",
        "tonumber",
    ];
}
