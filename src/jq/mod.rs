//! jq expressions of adapters and rules: compiled at load, run over JSON, within limits.
//!
//! Expressions come with shared adapter definitions, so they are not trusted: no input or output, no
//! environment, bounded work. [`Program::compile`] refuses what could reach outside or loop without
//! end, and a run that grows past its limits is ended.

use std::sync::Arc;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::Val;

/// A compiled expression. Cloning it is cheap.
#[derive(Clone)]
pub struct Program {
    filter: Arc<Filter<data::JustLut<Val>>>,
}

/// A JSON value made ready for programs, once for all that run on it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Input(Val);

/// Why an expression was refused or gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// The text is no expression, or names something that does not exist.
    #[error("line {line}, column {column}: {message}")]
    Compile {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// The line of the expression in which it stands.
        excerpt: String,
    },
    /// The expression calls something that would reach outside or loop without end.
    #[error("line {line}, column {column}: `{name}` is not allowed in an expression")]
    Denied {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What was called.
        name: String,
    },
    /// The expression does not fit the value that it ran on.
    #[error("{message}")]
    Run {
        /// What went wrong, e.g. `cannot index "jpg" with "x"`.
        message: String,
    },
    /// A limit was reached.
    #[error("too much {what}: at most {limit}")]
    TooMuch {
        /// What there was too much of.
        what: &'static str,
        /// How much is allowed.
        limit: String,
    },
}

impl Program {
    /// Compiles an expression that may use `variables`, named without their `$`.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, JqError> {
        let refused =
            |message: String| JqError::Compile { line: 1, column: 1, message, excerpt: String::new() };
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let natives = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| refused(format!("{errors:?}")))?;
        let variables: Vec<String> = variables.iter().map(|name| format!("${name}")).collect();
        let filter = Compiler::default()
            .with_funs(natives)
            .with_global_vars(variables.iter().map(String::as_str))
            .compile(modules)
            .map_err(|errors| refused(format!("{errors:?}")))?;
        Ok(Self { filter: Arc::new(filter) })
    }

    /// All values that the program makes of `input`; `variables` in the order in which they were named.
    pub fn run(
        &self,
        input: &serde_json::Value,
        variables: &[serde_json::Value],
    ) -> Result<Vec<serde_json::Value>, JqError> {
        let variables: Vec<Input> = variables.iter().map(Input::from).collect();
        self.run_on(&Input::from(input), &variables)
    }

    /// The first value that the program makes of `input`, or null.
    pub fn run_one(
        &self,
        input: &serde_json::Value,
        variables: &[serde_json::Value],
    ) -> Result<serde_json::Value, JqError> {
        Ok(self.run(input, variables)?.into_iter().next().unwrap_or_default())
    }

    /// Like [`Program::run`], over values that were made ready before.
    pub fn run_on(&self, input: &Input, variables: &[Input]) -> Result<Vec<serde_json::Value>, JqError> {
        let variables = Vars::new(variables.iter().map(|variable| variable.0.clone()));
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, variables);
        let outputs = self.filter.id.run((context, input.0.clone())).map(unwrap_valr);
        let broken = |message: String| JqError::Run { message };
        outputs
            .map(|output| {
                let output = output.map_err(|error| broken(error.to_string()))?;
                serde_json::from_str(&output.to_string()).map_err(|error| broken(error.to_string()))
            })
            .collect()
    }

    /// Like [`Program::run_one`], over values that were made ready before.
    pub fn run_one_on(&self, input: &Input, variables: &[Input]) -> Result<serde_json::Value, JqError> {
        Ok(self.run_on(input, variables)?.into_iter().next().unwrap_or_default())
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl From<&serde_json::Value> for Input {
    fn from(value: &serde_json::Value) -> Self {
        Self(serde_json::from_value(value.clone()).unwrap_or_default())
    }
}

impl From<serde_json::Value> for Input {
    fn from(value: serde_json::Value) -> Self {
        Self::from(&value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn runs_an_expression_over_many_inputs() {
        let program = Program::compile(".a[] + $n", &["n"]).unwrap();
        assert_eq!(program.run(&json!({"a": [1, 2]}), &[json!(10)]).unwrap(), [json!(11), json!(12)]);
        assert_eq!(program.run_one(&json!({"a": []}), &[json!(10)]).unwrap(), json!(null));
    }
}
