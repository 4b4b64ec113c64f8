//! Filters of our own that jq text could not say well: values as collections tell them, as IIIF wants them.

use std::sync::Arc;

use jaq_core::RunPtr;
use jaq_core::native::{Filter, Fun, bome, run, v};

use super::builtin::parse_number;
use super::library::Values;
use super::value::{Error, Fallible, Value};
use super::{budget, dates, mime, rights};
use crate::iiif::presentation::html;

/// A page count becomes canvases; a lying one must not become a hundred million of them.
const MAX_PAGES: i128 = 100_000;
/// Sanitising cannot be interrupted; a description is no longer than this.
const MAX_MARKUP: usize = 1 << 20;

pub(super) fn natives() -> impl Iterator<Item = Fun<Values>> {
    let filters: [Filter<RunPtr<Values>>; 8] = [
        ("num", v(0), |cv| bome(Ok(num(&cv.1)))),
        ("page_numbers", v(0), |cv| bome(page_numbers(cv.1))),
        ("mime", v(0), |cv| bome(Ok(of_text(&cv.1, |text| mime::of(text).map(str::to_owned))))),
        ("rights_uri", v(0), |cv| bome(Ok(of_text(&cv.1, rights::uri)))),
        ("isodate", v(0), |cv| bome(Ok(isodate(&cv.1)))),
        ("language_tag", v(0), |cv| bome(Ok(language_tag(&cv.1)))),
        ("html", v(0), |cv| bome(Ok(each_text(&cv.1, html::html)))),
        ("text", v(0), |cv| bome(Ok(each_text(&cv.1, html::plain)))),
    ];
    filters.into_iter().map(run::<Values>)
}

/// What is no text, or stands for nothing, is null: a record without a licence is still a record.
fn of_text(value: &Value, rule: impl FnOnce(&str) -> Option<String>) -> Value {
    match value {
        Value::Text(text) => rule(text).map_or(Value::Null, Value::text),
        _ => Value::Null,
    }
}

/// `en_US` is `en-US`; what names no language is `none`, as IIIF writes it.
fn language_tag(value: &Value) -> Value {
    match value {
        Value::Text(tag) if !tag.trim().is_empty() => Value::text(tag.trim().replace('_', "-")),
        _ => Value::text("none"),
    }
}

/// A text is a string, a list or a language map: what is not markup stays as it is.
fn each_text(value: &Value, rule: fn(&str) -> String) -> Value {
    match value {
        Value::Text(text) => {
            if text.len() > MAX_MARKUP {
                budget::exceed("markup", format!("{} MiB", MAX_MARKUP >> 20));
            }
            Value::text(rule(text))
        }
        Value::Array(array) => array.items().iter().map(|item| each_text(item, rule)).collect(),
        Value::Object(object) => {
            object.entries().map(|(key, value)| (Arc::from(key), each_text(value, rule))).collect()
        }
        value => value.clone(),
    }
}

/// A whole number, also one written as text; anything else is null.
fn num(value: &Value) -> Value {
    let number = match value {
        Value::Text(text) => parse_number(text.trim()),
        value => Some(value.clone()),
    };
    number.filter(|number| matches!(number, Value::Int(_))).unwrap_or_default()
}

fn page_numbers(count: Value) -> Fallible {
    match num(&count) {
        Value::Null if !matches!(count, Value::Null) => Err(Error::typ(count, "page count")),
        Value::Int(count) if count > MAX_PAGES => {
            Err(Error::str(format_args!("{count} pages: at most {MAX_PAGES}")))
        }
        Value::Int(count) => Ok((1..=count).map(Value::Int).collect()),
        _ => Ok(Value::from_iter(std::iter::empty::<Value>())),
    }
}

/// Texts by their format; numbers as seconds or, if they are too large for those, milliseconds since 1970.
fn isodate(value: &Value) -> Value {
    match value {
        Value::Int(number) => dates::of_epoch(*number).map_or(Value::Null, Value::text),
        Value::Float(number) => dates::of_epoch(*number as i128).map_or(Value::Null, Value::text),
        value => of_text(value, dates::rfc3339),
    }
}
