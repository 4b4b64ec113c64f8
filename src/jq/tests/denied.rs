//! What an expression may not say, however it says it.

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
