//! jq expressions of adapters and rules: compiled at load, run over JSON, within limits.
//!
//! Expressions come with shared adapter definitions, so they are not trusted: no input or output, no
//! environment, bounded work. [`Program::compile`] refuses what could reach outside or loop without
//! end, and a run that grows past its limits is ended.

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Exn, Filter, Vars};

mod budget;
mod builtin;
mod dates;
mod library;
mod mime;
mod place;
mod prelude;
mod refuse;
mod rights;
mod value;

use budget::Budget;
use library::Values;
use place::Place;
use value::Value;

/// How long an expression may be.
const MAX_TEXT: usize = 16 << 10;
/// jaq parses by recursion, as deep as the text says: 4 KiB of stack for each of its signs.
const PARSER_STACK: usize = MAX_TEXT * (4 << 10);
/// How many values one run may give.
const MAX_OUTPUTS: usize = 100_000;
/// How large all of them may be together, in bytes of memory.
const MAX_OUTPUT: usize = 64 << 20;
/// What one run may use. An ordinary record takes a thousandth of it.
const BUDGET: Budget = Budget { time: Duration::from_secs(2), memory: 512 << 20 };

/// A compiled expression. Cloning it is cheap.
#[derive(Clone)]
pub struct Program {
    filter: Arc<Filter<Values>>,
    variables: usize,
}

/// A JSON value made ready for programs, once for all that run on it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Input(Value);

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
        if text.len() > MAX_TEXT {
            return Err(JqError::TooMuch {
                what: "text in one expression",
                limit: format!("{} KiB", MAX_TEXT >> 10),
            });
        }
        let filter = thread::scope(|scope| {
            let parser = thread::Builder::new().stack_size(PARSER_STACK);
            let compiling = parser.spawn_scoped(scope, || compile(text, variables));
            compiling.ok().and_then(|thread| thread.join().ok())
        });
        let failed = || JqError::Run { message: "the expression could not be compiled".to_owned() };
        Ok(Self { filter: Arc::new(filter.ok_or_else(failed)??), variables: variables.len() })
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
        let variables: Vec<Input> = variables.iter().map(Input::from).collect();
        self.run_one_on(&Input::from(input), &variables)
    }

    /// Like [`Program::run`], over values that were made ready before.
    pub fn run_on(&self, input: &Input, variables: &[Input]) -> Result<Vec<serde_json::Value>, JqError> {
        self.evaluate(BUDGET, input, variables, |outputs| {
            let mut weight = 0;
            let mut values = Vec::new();
            for output in outputs {
                let output = output?;
                weight += output.weight();
                if values.len() == MAX_OUTPUTS {
                    return Err(JqError::TooMuch { what: "output", limit: format!("{MAX_OUTPUTS} values") });
                }
                if weight > MAX_OUTPUT {
                    return Err(JqError::TooMuch {
                        what: "output",
                        limit: format!("{} MiB", MAX_OUTPUT >> 20),
                    });
                }
                values.push(serde_json::Value::from(&output));
            }
            Ok(values)
        })
    }

    /// Like [`Program::run_one`], over values that were made ready before. What would come after the
    /// first value is not computed.
    pub fn run_one_on(&self, input: &Input, variables: &[Input]) -> Result<serde_json::Value, JqError> {
        self.evaluate(BUDGET, input, variables, |outputs| {
            Ok(outputs.next().transpose()?.map(|output| serde_json::Value::from(&output)).unwrap_or_default())
        })
    }

    fn evaluate<T>(
        &self,
        budget: Budget,
        input: &Input,
        variables: &[Input],
        take: impl FnOnce(&mut dyn Iterator<Item = Result<Value, JqError>>) -> Result<T, JqError>,
    ) -> Result<T, JqError> {
        if variables.len() != self.variables {
            let message = format!("{} variables expected, found {}", self.variables, variables.len());
            return Err(JqError::Run { message });
        }
        iter::once(input).chain(variables).try_for_each(Input::check)?;
        budget::spend(budget, || {
            let variables = Vars::new(variables.iter().map(|variable| variable.0.clone()));
            let context = Ctx::<Values>::new(&self.filter.lut, variables);
            take(&mut self.filter.id.run((context, input.0.clone())).map(|output| output.map_err(broken)))
        })
    }
}

fn compile(text: &str, variables: &[&str]) -> Result<Filter<Values>, JqError> {
    let place = Place(text);
    let term = refuse::parse(text)?;
    let arena = Arena::default();
    let modules = Loader::new(library::definitions(&term))
        .load(&arena, File { code: text, path: () })
        .map_err(|_| place.whole("cannot be read"))?;
    let variables: Vec<String> = variables.iter().map(|name| format!("${name}")).collect();
    Compiler::default()
        .with_funs(library::natives())
        .with_global_vars(variables.iter().map(String::as_str))
        .compile(modules)
        .map_err(|errors| match errors.first().and_then(|(_, errors)| errors.first()) {
            Some((name, what)) => place.undefined(name, what),
            None => place.whole("cannot be compiled"),
        })
}

/// How much of an error message is worth reading: it may quote the whole record.
const MAX_MESSAGE: usize = 300;

fn broken(exception: Exn<'_, Value>) -> JqError {
    let mut message = match exception.get_err().map(value::Error::into_val) {
        Ok(Value::Text(text)) => text.as_ref().clone(),
        Ok(value) => value.to_string(),
        Err(_) => "the expression broke off".to_owned(),
    };
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.replace_range(end.., " …");
    }
    JqError::Run { message }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl Input {
    fn check(&self) -> Result<(), JqError> {
        if self.0.depth() > value::MAX_DEPTH {
            let limit = format!("{} levels", value::MAX_DEPTH);
            return Err(JqError::TooMuch { what: "nesting in the input", limit });
        }
        if self.0.weight() > value::MAX_WEIGHT {
            let limit = format!("{} MiB", value::MAX_WEIGHT >> 20);
            return Err(JqError::TooMuch { what: "input", limit });
        }
        Ok(())
    }
}

impl From<&serde_json::Value> for Input {
    fn from(value: &serde_json::Value) -> Self {
        Self(Value::from(value))
    }
}

impl From<serde_json::Value> for Input {
    fn from(value: serde_json::Value) -> Self {
        Self(Value::from(&value))
    }
}

#[cfg(test)]
mod tests;
