//! `+ - * / %` on values, as in jq.

use std::collections::BTreeSet;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::ops::Math;

use super::{Array, Error, Fallible, Object, Value, own};
use crate::jq::budget;

/// How long a text may get by repeating it. jq sets no bound: `"x" * 1000000000` makes a gigabyte in one step.
pub(super) const MAX_REPEATED: usize = 1 << 20;

impl Value {
    /// The number as a float, which may lose digits.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Calculates with integers where that is exact, with floats otherwise.
    fn calculate(
        self,
        op: Math,
        other: Self,
        exact: impl FnOnce(i128, i128) -> Option<i128>,
        float: impl FnOnce(f64, f64) -> f64,
    ) -> Fallible {
        if let (Self::Int(a), Self::Int(b)) = (&self, &other)
            && let Some(number) = exact(*a, *b)
        {
            return Ok(Self::Int(number));
        }
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => Ok(Self::float(float(a, b))),
            _ => Err(Error::math(self, op, other)),
        }
    }
}

impl Add for Value {
    type Output = Fallible;

    fn add(self, other: Self) -> Fallible {
        budget::step();
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Text(mut a), Self::Text(b)) => {
                let copied = a.len();
                budget::charge(b.len());
                own(&mut a, copied).push_str(&b);
                Ok(Self::Text(a))
            }
            (Self::Array(mut a), Self::Array(b)) => {
                let copied = a.size.weight;
                own(&mut a, copied).append(&b);
                Ok(Self::Array(a))
            }
            (Self::Object(mut a), Self::Object(b)) => {
                let copied = a.size.weight;
                let sum = own(&mut a, copied);
                b.entries.iter().for_each(|(key, value)| sum.insert(Arc::clone(key), value.clone()));
                Ok(Self::Object(a))
            }
            (a, b) => a.calculate(Math::Add, b, i128::checked_add, f64::add),
        }
    }
}

impl Sub for Value {
    type Output = Fallible;

    fn sub(self, other: Self) -> Fallible {
        budget::step();
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => {
                let gone: BTreeSet<&Self> = b.items.iter().collect();
                Ok(a.items.iter().filter(|item| !gone.contains(item)).cloned().collect())
            }
            (a, b) => a.calculate(Math::Sub, b, i128::checked_sub, f64::sub),
        }
    }
}

impl Mul for Value {
    type Output = Fallible;

    fn mul(self, other: Self) -> Fallible {
        budget::step();
        match (self, other) {
            (Self::Text(text), Self::Int(times)) | (Self::Int(times), Self::Text(text)) => {
                Ok(repeat(&text, times))
            }
            (Self::Object(mut a), Self::Object(b)) => {
                let copied = a.size.weight;
                merge(own(&mut a, copied), &b);
                Ok(Self::Object(a))
            }
            (a, b) => a.calculate(Math::Mul, b, i128::checked_mul, f64::mul),
        }
    }
}

fn repeat(text: &str, times: i128) -> Value {
    if times <= 0 {
        return Value::Null;
    }
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    if text.len().saturating_mul(times) > MAX_REPEATED {
        budget::exceed("text by repeating", format!("{} MiB", MAX_REPEATED >> 20));
        return Value::Null;
    }
    Value::text(text.repeat(times))
}

fn merge(into: &mut Object, from: &Object) {
    for (key, value) in &from.entries {
        let merged = match (into.get(key), value) {
            (Some(Value::Object(a)), Value::Object(b)) => {
                let mut a = Arc::clone(a);
                let copied = a.size.weight;
                merge(own(&mut a, copied), b);
                Value::Object(a)
            }
            _ => value.clone(),
        };
        into.insert(Arc::clone(key), merged);
    }
}

impl Div for Value {
    type Output = Fallible;

    fn div(self, other: Self) -> Fallible {
        budget::step();
        match (self, other) {
            (Self::Text(text), Self::Text(at)) => Ok(split(&text, &at)),
            (a, b) => {
                let exact = |a: i128, b| if a.checked_rem(b)? == 0 { a.checked_div(b) } else { None };
                a.calculate(Math::Div, b, exact, f64::div)
            }
        }
    }
}

fn split(text: &str, at: &str) -> Value {
    match (text, at) {
        ("", _) => Value::from_iter(std::iter::empty::<Value>()),
        // `split` would add an empty text at each end.
        (_, "") => text.chars().map(Value::text).collect(),
        _ => text.split(at).map(Value::text).collect(),
    }
}

impl Rem for Value {
    type Output = Fallible;

    fn rem(self, other: Self) -> Fallible {
        budget::step();
        if let (Self::Int(_), Self::Int(0)) = (&self, &other) {
            return Err(Error::math(self, Math::Rem, other));
        }
        self.calculate(Math::Rem, other, i128::checked_rem, f64::rem)
    }
}

impl Neg for Value {
    type Output = Fallible;

    fn neg(self) -> Fallible {
        budget::step();
        match self {
            Self::Int(number) => Ok(number.checked_neg().map_or(Self::Float(-(number as f64)), Self::Int)),
            Self::Float(number) => Ok(Self::Float(-number)),
            value => Err(Error::typ(value, "number")),
        }
    }
}

impl Array {
    /// Where `part` begins within the list.
    pub(in crate::jq) fn find_all<'a>(&'a self, part: &'a [Value]) -> impl Iterator<Item = usize> + 'a {
        let windows = self.items.windows(part.len().max(1)).enumerate();
        windows.filter(move |(_, window)| !part.is_empty() && *window == part).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calculates_as_jq_does() {
        type Case = (serde_json::Value, fn(Value, Value) -> Fallible, serde_json::Value, serde_json::Value);
        let cases: [Case; 22] = [
            (json!(1), Value::add, json!(2), json!(3)),
            (json!(1), Value::add, json!(0.5), json!(1.5)),
            (json!(null), Value::add, json!("a"), json!("a")),
            (json!("a"), Value::add, json!("b"), json!("ab")),
            (json!([1]), Value::add, json!([2]), json!([1, 2])),
            (json!({"a": 1}), Value::add, json!({"a": 2, "b": 3}), json!({"a": 2, "b": 3})),
            (json!(3), Value::sub, json!(5), json!(-2)),
            (json!([1, 2, 1]), Value::sub, json!([1]), json!([2])),
            (json!(4), Value::mul, json!(0.5), json!(2)),
            (json!("ab"), Value::mul, json!(2), json!("abab")),
            (json!("ab"), Value::mul, json!(0), json!(null)),
            (json!({"a": {"b": 1}}), Value::mul, json!({"a": {"c": 2}}), json!({"a": {"b": 1, "c": 2}})),
            (json!(6), Value::div, json!(3), json!(2)),
            (json!(1), Value::div, json!(2), json!(0.5)),
            (json!(1), Value::div, json!(0), json!(null)),
            (json!("a,b"), Value::div, json!(","), json!(["a", "b"])),
            (json!("äb"), Value::div, json!(""), json!(["ä", "b"])),
            (json!(""), Value::div, json!(","), json!([])),
            (json!(7), Value::rem, json!(3), json!(1)),
            (json!(-7), Value::rem, json!(3), json!(-1)),
            (json!(7.5), Value::rem, json!(2), json!(1.5)),
            (json!(u64::MAX), Value::add, json!(1), json!(18_446_744_073_709_551_616.0)),
        ];
        for (a, op, b, expected) in cases {
            let outcome = op(Value::from(&a), Value::from(&b)).unwrap();
            assert_eq!(serde_json::Value::from(&outcome), expected, "{a} {b}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_an_error() {
        let error = |outcome: Fallible| outcome.unwrap_err().to_string();
        assert_eq!(error(Value::Int(1) + Value::text("a")), "cannot calculate 1 + \"a\"");
        assert_eq!(error(Value::Int(1) % Value::Int(0)), "cannot calculate 1 % 0");
        assert_eq!(error(-Value::Null), "cannot use null as number");
    }

    #[test]
    fn the_edges_of_integers_do_not_overflow() {
        for (a, b) in [(i128::MAX, i128::MAX), (i128::MIN, -1), (i128::MIN, i128::MIN)] {
            for op in [Value::add, Value::sub, Value::mul, Value::div, Value::rem] {
                let _ = op(Value::Int(a), Value::Int(b));
            }
        }
        assert!(matches!(-Value::Int(i128::MIN), Ok(Value::Float(_))));
    }
}
