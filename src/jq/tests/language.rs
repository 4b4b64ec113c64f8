//! The rest is jq.

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
        ("[.[] | tostring]", json!(["a", 1, [1.5], {"a": null}]), json!(["a", "1", "[1.5]", "{\"a\":null}"])),
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
        ("{(.a): 1, \"x\\(.a)\": 2, @base64 \"y\": 3}", json!({"a": "k"}), json!({"k": 1, "xk": 2, "y": 3})),
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
        for text in EXPRESSIONS.split(['~', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
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

/// Filters over arbitrary input with an arbitrary `$v`.
const EXPRESSIONS: &str = r#"
    .[$v] ~ .[$v:] ~ .[:$v] ~ .[$v]? ~ .[$v] = 1 ~ .[$v] |= empty ~ .[$v:] = $v ~ . + $v ~ . - $v
    . * $v ~ . / $v ~ . % $v ~ -. ~ . < $v ~ . == $v ~ [.[]] ~ [..] ~ [paths] ~ walk(.) ~ to_entries
    tojson ~ contains($v) ~ indices($v) ~ has($v) ~ split($v) ~ test($v) ~ sort ~ group_by(.) ~ flatten
    add ~ langmap(.a; .b) ~ as_list ~ num ~ isodate ~ mime ~ rights_uri ~ pages(.) ~ implode
    strftime($v) ~ tonumber ~ html ~ text ~ fromjson ~ tojson | fromjson ~ to_entries | from_entries
    unique ~ min_by(.a) ~ join($v) ~ @uri ~ @base64d ~ ltrimstr($v) ~ transpose ~ getpath($v)
    setpath($v; 1) ~ delpaths($v) ~ explode ~ utf8bytelength ~ sub($v; "x") ~ gsub($v; "x")
    first_of(.a; $v) ~ IN($v) ~ inside($v) ~ capture($v) ~ todate ~ mktime ~ gmtime ~ strptime($v) ~ abs
    floor ~ ascii_downcase ~ pick(.a) ~ del(.[$v]) ~ add(.[])
"#;
