//! Which value comes first: null, booleans, numbers, texts, lists, objects, as in jq.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Object, Value};
use crate::jq::budget;

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        budget::step();
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Int(a), Self::Float(b)) => floats(*a as f64, *b),
            (Self::Float(a), Self::Int(b)) => floats(*a, *b as f64),
            (Self::Float(a), Self::Float(b)) => floats(*a, *b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Self::Array(a), Self::Array(b)) => a.items.cmp(&b.items),
            (Self::Object(a), Self::Object(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Self::Object(a), Self::Object(b)) => objects(a, b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) => 2,
        Value::Text(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// A total order, which sorting needs: no number comes before all numbers and equals itself.
fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// First by their keys in order, then by the values under them.
fn objects(a: &Object, b: &Object) -> Ordering {
    let sorted = |object: &Object| {
        let mut keys: Vec<Arc<str>> = object.entries.keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let (a_keys, b_keys) = (sorted(a), sorted(b));
    a_keys.cmp(&b_keys).then_with(|| {
        let values = a_keys.iter().map(|key| a.get(key).cmp(&b.get(key)));
        values.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::jq::tests::any_json;

    #[test]
    fn kinds_and_contents_are_ordered() {
        let ascending = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1),
            json!(0.5),
            json!(1),
            json!(""),
            json!("a"),
            json!("b"),
            json!([]),
            json!([1]),
            json!([1, 2]),
            json!([2]),
            json!({}),
            json!({"a": 2}),
            json!({"b": 1}),
            json!({"b": 2}),
        ];
        for pair in ascending.windows(2) {
            assert!(Value::from(&pair[0]) < Value::from(&pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn keys_in_another_order_make_no_other_object() {
        assert_eq!(Value::from(&json!({"a": 1, "b": 2})), Value::from(&json!({"b": 2, "a": 1})));
    }

    #[test]
    fn no_number_equals_itself_and_comes_first() {
        let nan = Value::Float(f64::NAN);
        assert_eq!(nan, nan.clone());
        assert!(nan < Value::Float(f64::NEG_INFINITY));
        assert!(Value::Int(0) > nan);
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in any_json(), b in any_json(), c in any_json()) {
            let (a, b, c) = (Value::from(&a), Value::from(&b), Value::from(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
