//! Values from JSON and as JSON.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use serde_json::Number;

use super::Value;
use crate::jq::budget;

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(truth) => Self::Bool(*truth),
            serde_json::Value::Number(number) => Self::from(number),
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(items) => items.iter().map(Self::from).collect(),
            serde_json::Value::Object(entries) => {
                entries.iter().map(|(key, value)| (Arc::from(key.as_str()), Self::from(value))).collect()
            }
        }
    }
}

impl From<&Number> for Value {
    fn from(number: &Number) -> Self {
        match (number.as_i128(), number.as_f64()) {
            (Some(number), _) => Self::Int(number),
            (None, Some(number)) => Self::float(number),
            (None, None) => Self::Null,
        }
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => {
                Number::from_i128(*number).map_or_else(|| Self::from(*number as f64), Self::Number)
            }
            // JSON has no word for "not a number" and "infinite": null, as in jq.
            Value::Float(number) => Self::from(*number),
            Value::Text(text) => Self::String(text.as_ref().clone()),
            Value::Array(array) => array.items.iter().map(Self::from).collect(),
            Value::Object(object) => {
                object.entries.iter().map(|(key, value)| (key.to_string(), Self::from(value))).collect()
            }
        }
    }
}

/// Compact JSON.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) if number.is_finite() => write!(f, "{number}"),
            Self::Float(_) => f.write_str("null"),
            Self::Text(text) => quoted(f, text),
            Self::Array(array) => {
                f.write_char('[')?;
                for (at, item) in array.items.iter().enumerate() {
                    write!(f, "{}{item}", if at == 0 { "" } else { "," })?;
                }
                f.write_char(']')
            }
            Self::Object(object) => {
                f.write_char('{')?;
                for (at, (key, value)) in object.entries.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { "," })?;
                    quoted(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

/// Printing costs as much as keeping what is printed: a large value must not be printed without end.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    budget::charge(text.len());
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::jq::tests::any_json;

    #[test]
    fn numbers_keep_their_digits() {
        for text in ["18446744073709551615", "-9223372036854775808", "0.1", "1e300", "[1,2.5,\"3\"]"] {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::Value::from(&Value::from(&value)), value, "{text}");
        }
        assert_eq!(Value::from(&json!(4000.0)).to_string(), "4000");
    }

    proptest! {
        #[test]
        fn json_there_and_back_is_the_same(value in any_json()) {
            let ours = Value::from(&value);
            prop_assert_eq!(&serde_json::Value::from(&ours), &value);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours.to_string()).unwrap(), value);
        }
    }
}
