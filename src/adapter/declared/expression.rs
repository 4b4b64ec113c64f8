//! jq expressions of a definition: compiled when the file is read, typed by the variables they may use.

use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer};
use serde_json::Value;

use super::field::{Field, Mismatch, cut};
use crate::jq::{Input, JqError, Program};

/// The variables that an expression in one place of a definition may use.
pub(super) trait Scope {
    /// Their names, without `$`.
    const NAMES: &'static [&'static str];
    /// Their values, in the order of the names.
    fn values(&self) -> &[Input];
}

macro_rules! scope {
    ($(#[$doc:meta])* $name:ident: $($variable:literal),+; $count:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(super) struct $name(pub(super) [Input; $count]);

        impl Scope for $name {
            const NAMES: &'static [&'static str] = &[$($variable),+];

            fn values(&self) -> &[Input] {
                &self.0
            }
        }
    };
}

scope! {
    /// A listing or a page of one: the settings alone.
    OfSource: "source"; 1
}
scope! {
    /// An answer about one item.
    OfItem: "source", "id"; 2
}
scope! {
    /// All answers about one item; `$root` is the object of them by the name of their fetch, `$access` the word
    /// for who may see it.
    OfRecord: "source", "id", "root", "access"; 4
}
scope! {
    /// One canvas of an item, `$i` counts from 1.
    OfCanvas: "source", "id", "root", "access", "i"; 5
}

/// A compiled expression whose variables are those of the scope.
#[derive(Clone, Debug)]
pub(super) struct Expression<S> {
    program: Program,
    scope: PhantomData<fn(&S)>,
}

impl<S: Scope> Expression<S> {
    /// Compiles a text; what it may not use is an error here, not later.
    pub(super) fn compile(text: &str) -> Result<Self, JqError> {
        Ok(Self { program: Program::compile(text, S::NAMES)?, scope: PhantomData })
    }

    /// The first value that it makes of `input`, or null.
    pub(super) fn run(&self, input: &Input, scope: &S) -> Result<Value, JqError> {
        self.program.run_one_on(input, scope.values())
    }
}

impl<'de, S: Scope> Deserialize<'de> for Expression<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::compile(&text).map_err(de::Error::custom)
    }
}

/// Runs one expression; what goes wrong inside it is told with the key under which it stands.
pub(super) fn field<S: Scope>(
    section: &str,
    key: &str,
    rule: &Expression<S>,
    input: &Input,
    scope: &S,
) -> Result<Field, Mismatch> {
    let name = format!("{section}.{key}");
    match rule.run(input, scope) {
        Ok(value) => Ok(Field::new(name, value)),
        Err(error) => {
            let found = format!("the error `{}`", cut(&error.to_string()));
            Err(Mismatch { field: name, expected: "a value", found })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn runs_with_the_variables_of_its_scope() {
        let expression = Expression::<OfItem>::compile(r#".a + $source.b + $id"#).unwrap();
        let scope = OfItem([json!({"b": "s"}).into(), json!("i").into()]);
        assert_eq!(expression.run(&json!({"a": "x"}).into(), &scope).unwrap(), json!("xsi"));
        assert_eq!(expression.run(&json!({"a": "x"}).into(), &scope).unwrap(), json!("xsi"));
    }

    #[test]
    fn refuses_a_variable_of_another_scope_when_compiled() {
        let error = Expression::<OfItem>::compile("$i").unwrap_err().to_string();
        assert!(error.contains("$i"), "{error}");
    }
}
