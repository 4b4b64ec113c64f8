//! What adapters and rules may rely on, and what they may not do.

use std::time::Instant;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

mod denied;
mod language;
mod mistakes;
mod prelude;
mod runaways;

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
    let expressions = r#"
        map(.+1) ~ to_entries ~ from_entries ~ with_entries(.) ~ [paths] ~ walk(.) ~ join(",") ~ flatten
        flatten(1) ~ add ~ any ~ all ~ unique_by(.a) ~ group_by(.a) ~ min_by(.a) ~ max_by(.a)
        sort_by(.a) ~ first(.[]) ~ last(.[]) ~ nth(1; .[]) ~ isempty(.[]) ~ sub("a"; "b")
        gsub("a"; "b") ~ test("a") ~ capture("(?<x>a)") ~ [scan("a")] ~ [match("a")] ~ splits("a")
        split(",") ~ ascii_downcase ~ ltrimstr("a") ~ startswith("a") ~ todate ~ fromdate
        strptime("%Y") ~ mktime ~ @html ~ @uri ~ @base64 ~ @base64d ~ @json ~ @text ~ @sh ~ tojson
        fromjson ~ tonumber ~ tostring ~ type ~ length ~ keys ~ has("a") ~ in({}) ~ contains(1)
        inside(1) ~ indices(1) ~ index("a") ~ rindex("a") ~ transpose ~ getpath([]) ~ setpath([]; 1)
        delpaths([]) ~ del(.a) ~ to_entries[] ~ pick(.a) ~ abs ~ floor ~ sqrt ~ pow(2; 3) ~ log10
        isnan ~ isinfinite ~ infinite ~ nan ~ explode ~ implode ~ trim ~ error ~ error(1)
        label $out | break $out ~ reduce .[] as $x (0; .) ~ foreach .[] as $x (0; .) ~ ..
        try error catch . ~ .a? ~ IN(1, 2) ~ as_list ~ langmap(.a; .b) ~ mime ~ isodate ~ num
        rights_uri ~ pages(1) ~ first_of(1; 2) ~ first_of(1; 2; 3; 4; 5) ~ toboolean ~ min ~ max
        unique ~ reverse ~ sort ~ values ~ nulls ~ strings ~ arrays ~ objects ~ scalars ~ iterables
        booleans ~ not ~ select(.) ~ empty ~ map_values(.) ~ ascii_upcase ~ utf8bytelength
        splits("a"; "g") ~ skip(1; .[])
    "#;
    for text in expressions.split(['~', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
        assert!(Program::compile(text, &[]).is_ok(), "{text}: {}", refusal(text));
    }
}
