//! Reads a settings file and the environment over it, and tells everything that is wrong in one go.
//!
//! A struct stops at its first mistake. So a mistake is noted, its key is struck out, and the struct is read
//! again, until it passes: every mistake is told once, and what remains can be checked further.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use config::{Config, File, FileFormat, Map, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::document::{Document, Span};
use super::fault::Cause;
use super::problem::{Key, Mark, Problem, Segment};
use super::value::{Reader, Surroundings};

/// The variables of the process, or those that a test wants it to have.
pub type Environment = BTreeMap<String, String>;

/// What variables that override settings begin with.
const PREFIX: &str = "LOGGIA";

/// Between the parts of such a variable's name.
const SEPARATOR: &str = "__";

/// Settings that may still have mistakes: what is wrong has its default.
#[derive(Debug)]
pub struct Draft<S> {
    settings: S,
    problems: Vec<Problem>,
    origin: Origin,
}

/// All mistakes, each with its place, in the order of the file.
#[derive(Debug)]
pub struct Report {
    name: String,
    paragraphs: Vec<String>,
}

/// Where values came from.
#[derive(Debug)]
pub(super) struct Origin {
    document: Document,
    /// Dotted keys with the variables that set them.
    variables: BTreeMap<String, String>,
}

/// Reads settings. Fails at once only when there is no TOML to read.
pub fn read<S: DeserializeOwned + Default>(
    file: &Path,
    environment: &Environment,
) -> Result<Draft<S>, Report> {
    let document = open(file)?;
    let (overrides, variables) = overrides(environment);
    let origin = Origin { document, variables };
    let layers = Config::builder()
        .add_source(File::from_str(origin.document.text(), FileFormat::Toml))
        .add_source(config::Environment::with_prefix(PREFIX).separator(SEPARATOR).source(Some(overrides)))
        .build();
    let mut root = match layers {
        Ok(layers) => layers.cache,
        Err(error) => return Err(Report::without_place(origin.document.name(), &error)),
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let (settings, problems) = settle(&mut root, Surroundings { folder, environment });
    Ok(Draft { settings, problems, origin })
}

impl<S> Draft<S> {
    /// Goes on reading where one part of the settings says how another is to be understood.
    #[must_use]
    pub(super) fn complete(mut self, read: impl FnOnce(&mut S, &Origin) -> Vec<Problem>) -> Self {
        let more = read(&mut self.settings, &self.origin);
        self.add(more);
        self
    }

    /// Adds what rules across sections find.
    pub fn check(mut self, rules: impl FnOnce(&S) -> Vec<Problem>) -> Result<S, Report> {
        let more = rules(&self.settings);
        self.add(more);
        if self.problems.is_empty() { Ok(self.settings) } else { Err(self.origin.report(&self.problems)) }
    }

    /// What is found later sees defaults in place of what was struck out, so whatever it says of a key
    /// that is known to be wrong is left out.
    fn add(&mut self, mut more: Vec<Problem>) {
        more.retain(|problem| !self.problems.iter().any(|known| problem.follows_from(known)));
        self.problems.append(&mut more);
    }
}

fn open(file: &Path) -> Result<Document, Report> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let name = file.display().to_string();
        let mut told = format!("cannot read the settings file `{name}`: {error}");
        if error.kind() == ErrorKind::NotFound {
            told += "\n  = name another with `--config FILE` or the variable `LOGGIA_CONFIG`";
        }
        Report { name, paragraphs: vec![told] }
    })?;
    let document = Document::new(file, text);
    let errors = document.syntax_errors();
    if errors.is_empty() {
        return Ok(document);
    }
    let paragraphs = errors.iter().map(|(span, message)| {
        let (quote, _) = document.quote(span);
        format!("{}: {message}\n{quote}", document.position(span))
    });
    Err(Report { name: document.name().to_owned(), paragraphs: paragraphs.collect() })
}

/// The variables that override settings, as `config` wants them, and which variable sets which key.
///
/// Source names have no underscore and variables no hyphen: `LOGGIA__SOURCES__OLD_MAPS` is `sources.old-maps`.
fn overrides(environment: &Environment) -> (Map<String, String>, BTreeMap<String, String>) {
    let mut overrides = Map::new();
    let mut variables = BTreeMap::new();
    for (variable, value) in environment {
        let rest = variable.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(SEPARATOR));
        let Some(rest) = rest else { continue };
        let mut parts: Vec<String> = rest.to_lowercase().split(SEPARATOR).map(str::to_owned).collect();
        if let [sources, name, ..] = parts.as_mut_slice()
            && sources == "sources"
        {
            *name = name.replace('_', "-");
        }
        overrides.insert(format!("{PREFIX}{SEPARATOR}{}", parts.join(SEPARATOR)), value.clone());
        variables.insert(parts.join("."), variable.clone());
    }
    (overrides, variables)
}

/// Reads until nothing is wrong any more with what is left.
fn settle<S: DeserializeOwned + Default>(root: &mut Value, around: Surroundings<'_>) -> (S, Vec<Problem>) {
    let mut problems = Vec::new();
    loop {
        let fault = match S::deserialize(Reader { value: root, around }) {
            Ok(settings) => return (settings, problems),
            Err(fault) => fault,
        };
        // A key that is missing because it was struck out has been told already.
        let struck_out = match fault.cause {
            Cause::Missing(name) => is_struck_out(root, &fault.key, name),
            _ => false,
        };
        let known = !strike_out(root, &fault.key);
        if !struck_out {
            problems.push(fault.into());
        }
        if known {
            return (S::default(), problems);
        }
    }
}

fn find<'v>(root: &'v mut Value, key: &Key) -> Option<&'v mut Value> {
    key.segments().iter().try_fold(root, |value, segment| match (&mut value.kind, segment) {
        (ValueKind::Table(table), Segment::Name(name)) => table.get_mut(name),
        (ValueKind::Array(array), Segment::Index(index)) => array.get_mut(*index),
        _ => None,
    })
}

/// Whether there was anything to strike out.
fn strike_out(root: &mut Value, key: &Key) -> bool {
    match find(root, key) {
        Some(value) => std::mem::take(&mut value.kind) != ValueKind::Nil,
        None => false,
    }
}

fn is_struck_out(root: &mut Value, table: &Key, name: &str) -> bool {
    let key = table.clone().join(&Key::of([name]));
    find(root, &key).is_some_and(|value| value.kind == ValueKind::Nil)
}

/// Where a key was set.
#[derive(Debug)]
enum Place {
    File(Span),
    Variable(String),
    Nowhere,
}

impl Origin {
    /// Whether a variable set this very key.
    pub(super) fn is_variable(&self, key: &Key) -> bool {
        self.variables.contains_key(&key.to_string())
    }

    /// Where a key was set, or else the nearest table above it.
    fn place(&self, key: &Key, mark: Mark) -> Place {
        let dotted = key.to_string();
        let name = dotted.split('[').next().unwrap_or_default();
        if let Some(variable) = self.variables.get(name) {
            return Place::Variable(variable.clone());
        }
        if let Some(span) = self.document.find(key, mark) {
            return Place::File(span);
        }
        let below = format!("{name}.");
        if let Some((_, variable)) = self.variables.iter().find(|(set, _)| set.starts_with(&below)) {
            return Place::Variable(variable.clone());
        }
        key.parent().map_or(Place::Nowhere, |above| self.place(&above, Mark::Name))
    }

    fn report(&self, problems: &[Problem]) -> Report {
        let mut placed: Vec<(Place, &Problem)> =
            problems.iter().map(|problem| (self.place(&problem.key, problem.mark()), problem)).collect();
        placed.sort_by_key(|(place, _)| match place {
            Place::Nowhere => (0, 0, String::new()),
            Place::File(span) => (1, span.start(), String::new()),
            Place::Variable(variable) => (2, 0, variable.clone()),
        });
        let paragraphs = placed.iter().map(|(place, problem)| self.paragraph(place, problem)).collect();
        Report { name: self.document.name().to_owned(), paragraphs }
    }

    fn paragraph(&self, place: &Place, problem: &Problem) -> String {
        match place {
            Place::File(span) => {
                let (quote, gutter) = self.document.quote(span);
                let hints = problem.hints(gutter + 1);
                format!("{}: {problem}\n{quote}{hints}", self.document.position(span))
            }
            Place::Variable(variable) => format!("environment variable {variable}: {}", problem.paragraph()),
            Place::Nowhere => format!("{}: {}", self.document.name(), problem.paragraph()),
        }
    }
}

impl Report {
    fn without_place(name: &str, error: &dyn fmt::Display) -> Self {
        Self { name: name.to_owned(), paragraphs: vec![format!("{name}: {error}")] }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for paragraph in &self.paragraphs {
            write!(f, "{paragraph}\n\n")?;
        }
        match self.paragraphs.len() {
            1 => write!(f, "1 problem in the settings (`{}`)", self.name),
            count => write!(f, "{count} problems in the settings (`{}`)", self.name),
        }
    }
}

impl std::error::Error for Report {}
