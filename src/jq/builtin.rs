//! Filters that jaq leaves to the value type: `length`, `has`, `contains`, `tojson`, and their kin.

use jaq_core::RunPtr;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};

use super::budget;
use super::library::Values;
use super::value::{Error, Fallible, Value};

/// A pattern is no longer than this.
const MAX_PATTERN: usize = 1 << 10;
/// A text that a pattern is looked for in is no longer than this.
const MAX_SEARCHED: usize = 1 << 20;

pub(super) fn natives() -> impl Iterator<Item = Fun<Values>> {
    let filters: [Filter<RunPtr<Values>>; 10] = [
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("contains", v(1), |cv| unary(cv, |whole, part| Ok(contains(&whole, &part).into()))),
        ("has", v(1), |cv| unary(cv, |whole, key| Ok(whole.part(&key)?.is_some().into()))),
        ("indices", v(1), |cv| unary(cv, |whole, part| indices(&whole, &part))),
        ("isnan", v(0), |cv| bome(Ok(matches!(cv.1, Value::Float(number) if number.is_nan()).into()))),
        ("tojson", v(0), |cv| bome(Ok(Value::text(cv.1.to_string())))),
        ("fromjson", v(0), |cv| bome(from_json(cv.1))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
        ("toboolean", v(0), |cv| bome(to_boolean(cv.1))),
        ("bounded_by", v(1), |cv| unary(cv, bounded_by)),
    ];
    filters.into_iter().map(run::<Values>)
}

fn length(value: &Value) -> Fallible {
    Ok(match value {
        Value::Null => Value::Int(0),
        Value::Int(number) => number.checked_abs().map_or(Value::Float(f64::INFINITY), Value::Int),
        Value::Float(number) => Value::Float(number.abs()),
        Value::Text(text) => text.chars().count().into(),
        Value::Array(array) => array.items().len().into(),
        Value::Object(object) => object.len().into(),
        Value::Bool(_) => return Err(Error::str(format_args!("{value} has no length"))),
    })
}

/// A text that occurs in the other, a list whose every item is contained in some item of the other,
/// an object whose every value is contained in the other's under the same key; else the same value.
fn contains(whole: &Value, part: &Value) -> bool {
    budget::step();
    match (whole, part) {
        (Value::Text(whole), Value::Text(part)) => whole.contains(part.as_str()),
        (Value::Array(whole), Value::Array(part)) => {
            part.items().iter().all(|part| whole.items().iter().any(|item| contains(item, part)))
        }
        (Value::Object(whole), Value::Object(part)) => {
            part.entries().all(|(key, part)| whole.get(key).is_some_and(|value| contains(value, part)))
        }
        (whole, part) => whole == part,
    }
}

fn indices(whole: &Value, part: &Value) -> Fallible {
    Ok(match (whole, part) {
        (Value::Null, _) => Value::Null,
        (Value::Text(whole), Value::Text(part)) => {
            let starts = whole.char_indices().enumerate();
            let found =
                starts.filter(|(_, (at, _))| !part.is_empty() && whole[*at..].starts_with(part.as_str()));
            found.map(|(letter, _)| Value::from(letter)).collect()
        }
        (Value::Array(whole), Value::Array(part)) => whole.find_all(part.items()).map(Value::from).collect(),
        (Value::Array(whole), item) => {
            let items = whole.items().iter().enumerate();
            items.filter(|(_, found)| *found == item).map(|(at, _)| Value::from(at)).collect()
        }
        _ => return Err(Error::index(whole.clone(), part.clone())),
    })
}

/// serde_json bounds how deep it nests; the text comes from a foreign system.
fn from_json(value: Value) -> Fallible {
    let Value::Text(text) = &value else { return Err(Error::typ(value, "string")) };
    serde_json::from_str::<serde_json::Value>(text)
        .map(|value| Value::from(&value))
        .map_err(|error| Error::str(format_args!("cannot parse the text as JSON: {error}")))
}

fn to_number(value: Value) -> Fallible {
    match &value {
        Value::Int(_) | Value::Float(_) => Ok(value),
        Value::Text(text) => {
            parse_number(text).ok_or_else(|| Error::str(format_args!("cannot parse {value} as a number")))
        }
        _ => Err(Error::typ(value, "number")),
    }
}

/// A decimal number with nothing around it; leading zeros and `+` are fine, words like `inf` are not.
pub(super) fn parse_number(text: &str) -> Option<Value> {
    let decimal = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
    if !text.chars().all(decimal) {
        return None;
    }
    let whole = text.parse().map(Value::Int);
    whole.ok().or_else(|| text.parse().ok().map(Value::float))
}

fn to_boolean(value: Value) -> Fallible {
    match &value {
        Value::Bool(_) => Ok(value),
        Value::Text(text) if *text.as_str() == *"true" => Ok(Value::Bool(true)),
        Value::Text(text) if *text.as_str() == *"false" => Ok(Value::Bool(false)),
        _ => Err(Error::str(format_args!("cannot parse {value} as a boolean"))),
    }
}

/// The text itself, unless it or the pattern is too long to search.
fn bounded_by(text: Value, pattern: Value) -> Fallible {
    let longer = |value: &Value, limit| matches!(value, Value::Text(text) if text.len() > limit);
    if longer(&pattern, MAX_PATTERN) {
        budget::exceed("pattern", format!("{MAX_PATTERN} bytes"));
    }
    if longer(&text, MAX_SEARCHED) {
        budget::exceed("text to search with a pattern", format!("{} MiB", MAX_SEARCHED >> 20));
    }
    Ok(text)
}
