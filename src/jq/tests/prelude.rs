//! The filters of our own.

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
        ("langmap(.value; empty)", json!({"value": "a"}), json!({"none": ["a"]})),
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
        ("text", json!("<p>Smith &amp; <b>Sons</b></p><p>1901</p>"), json!("Smith & Sons 1901")),
        ("text", json!({"de": ["<i>rot</i>", 1], "none": null}), json!({"de": ["rot", 1], "none": null})),
        (
            "html",
            json!("a <i>red</i> line<script>alert(1)</script>"),
            json!("<span>a <i>red</i> line</span>"),
        ),
        ("html", json!(["Smith &amp; Sons", null]), json!(["Smith & Sons", null])),
        ("isodate < \"2025\"", json!("2024-05-01"), json!(true)),
    ];
    for (text, input, expected) in cases {
        assert_eq!(one(text, input.clone()), expected, "{text} over {input}");
    }
}
