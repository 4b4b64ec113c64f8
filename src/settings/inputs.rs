//! The inputs of a source: held to what its adapter declares, and read as that.

use serde::Deserialize;
use toml::Value;

use super::problem::{Key, Problem};
use super::source::Source;
use super::value::{Surroundings, spoken_list};
use crate::adapter::input::{Input, Kind, Need};
use crate::secret::Reference;

/// Where an input was written: variables have nothing but texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    File,
    Variable,
}

/// Puts what the adapter works with in place of what was written: references to secrets are followed,
/// folders begin at the settings file, texts of variables become what is declared. What is wrong is
/// returned; its keys are counted from the source.
pub(super) fn read(
    declared: &[Input<'_>],
    given: &mut toml::Table,
    around: Surroundings<'_>,
    written: impl Fn(&str) -> Written,
) -> Vec<Problem> {
    let mut problems = strangers(declared, given);
    for input in declared {
        match given.get_mut(input.name) {
            Some(value) => match understand(input, value, around, written(input.name)) {
                Ok(understood) => *value = understood,
                Err(problem) => problems.push(problem),
            },
            None if input.need == Need::Required => {
                problems.push(Problem::missing(Key::default(), input.name));
            }
            None => {}
        }
    }
    problems
}

/// What nobody declares.
fn strangers(declared: &[Input<'_>], given: &toml::Table) -> Vec<Problem> {
    let names: Vec<&str> = declared.iter().map(|input| input.name).collect();
    let known: [(&str, &[&str]); 2] = [("expected", &names), ("or, as for every source,", &Source::KEYS)];
    let unknown = given.keys().filter(|name| !names.contains(&name.as_str()));
    unknown.map(|name| Problem::unknown_among(Key::of([name.as_str()]), &known)).collect()
}

fn understand(
    input: &Input<'_>,
    value: &Value,
    around: Surroundings<'_>,
    written: Written,
) -> Result<Value, Problem> {
    if let (Kind::Secret, Value::Table(_)) = (input.kind, value) {
        return follow(input, value, around);
    }
    let value = match value {
        Value::String(text) if written == Written::Variable => spoken(input.kind, text),
        _ => value.clone(),
    };
    match (input.kind, value) {
        (Kind::Folder, Value::String(path)) if !path.is_empty() => {
            let path = around.folder.join(path);
            let found = path.display().to_string();
            if path.is_dir() { Ok(Value::String(found)) } else { Err(wrong(input, &found)) }
        }
        (kind, value) if kind.admits(&value) => Ok(value),
        (_, value) => Err(wrong(input, &value)),
    }
}

/// What a variable's text stands for; where it stands for nothing of the kind, it stays a text.
fn spoken(kind: Kind, text: &str) -> Value {
    let word = text.trim();
    let meant = match kind {
        Kind::Number => {
            let whole = word.parse().ok().map(Value::Integer);
            whole.or_else(|| word.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float))
        }
        Kind::Switch => word.parse().ok().map(Value::Boolean),
        Kind::List => Some(spoken_list(text).map(Value::from).collect::<Vec<_>>().into()),
        Kind::Text | Kind::Secret | Kind::Url | Kind::Folder => None,
    };
    meant.unwrap_or_else(|| text.into())
}

/// The secret that a reference leads to.
fn follow(input: &Input<'_>, reference: &Value, around: Surroundings<'_>) -> Result<Value, Problem> {
    let reference = Reference::deserialize(reference.clone()).map_err(|_| wrong(input, reference))?;
    let secret = reference.resolve(around.folder, around.environment);
    let secret = secret.map_err(|error| Problem::concealed(Key::of([input.name]), error.to_string()))?;
    Ok(secret.reveal().into())
}

/// What was expected and what was found, which of a secret is not repeated.
fn wrong(input: &Input<'_>, found: &dyn std::fmt::Display) -> Problem {
    let key = Key::of([input.name]);
    match input.kind {
        Kind::Secret => Problem::concealed(key, format!("expected {}", input.kind)),
        kind => Problem::new(key, format!("expected {kind}, found `{found}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::load::Environment;

    const DECLARED: &[Input<'static>] = &[
        Input { name: "base", kind: Kind::Url, need: Need::Required },
        Input { name: "api_key", kind: Kind::Secret, need: Need::Required },
        Input { name: "title", kind: Kind::Text, need: Need::Optional },
        Input { name: "hidden", kind: Kind::List, need: Need::Optional },
        Input { name: "limit", kind: Kind::Number, need: Need::Optional },
        Input { name: "strict", kind: Kind::Switch, need: Need::Optional },
        Input { name: "path", kind: Kind::Folder, need: Need::Optional },
    ];

    /// The inputs as the adapter gets them, or what is wrong with them.
    fn inputs(toml: &str, written: Written) -> Result<toml::Table, String> {
        let environment = Environment::from([("KEY".to_owned(), "s3cret".to_owned())]);
        let around =
            Surroundings { folder: Path::new(env!("CARGO_MANIFEST_DIR")), environment: &environment };
        let mut given = toml.parse().unwrap();
        let problems = read(DECLARED, &mut given, around, |_| written);
        let source = Key::of(["sources", "dam"]);
        let lines: Vec<_> = problems.into_iter().map(|problem| problem.within(&source).to_string()).collect();
        if lines.is_empty() { Ok(given) } else { Err(lines.join("\n")) }
    }

    const BOTH: &str = "base = 'https://dam.example.org'\napi_key = 'k'\n";

    #[test]
    fn what_is_declared_passes() {
        let given = format!("{BOTH}hidden = ['a']\nlimit = 1.5\nstrict = true\ntitle = ''");
        assert_eq!(inputs(&given, Written::File), Ok(given.parse().unwrap()));
    }

    #[test]
    fn what_is_not_declared_missing_or_wrong_is_named() {
        let given =
            "base = 'dam.example.org'\nhiden = []\nhidden = [1]\nlimit = 'ten'\nstrict = 'yes'\ntitle = 3";
        insta::assert_snapshot!(inputs(given, Written::File).unwrap_err(), @r#"
        unknown key `hiden` in `sources.dam`
        `sources.dam.base`: expected an address such as `https://dam.example.org/api`, without `?` and `#`, found `"dam.example.org"`
        `sources.dam` needs the key `api_key`
        `sources.dam.title`: expected a text in quotes, found `3`
        `sources.dam.hidden`: expected a list of texts, found `[1]`
        `sources.dam.limit`: expected a number, found `"ten"`
        `sources.dam.strict`: expected `true` or `false`, found `"yes"`
        "#);
    }

    #[test]
    fn a_secret_is_not_repeated() {
        for wrong in ["12345", "['12345']", "{ vault = '12345' }", "{ env = 'KEY', file = '12345' }"] {
            let given = format!("base = 'https://dam.example.org'\napi_key = {wrong}");
            let message = inputs(&given, Written::File).unwrap_err();
            assert!(message.contains("api_key") && !message.contains("12345"), "{message}");
        }
    }

    #[test]
    fn references_are_followed_for_secrets_only() {
        let given = "base = 'https://dam.example.org'\napi_key = { env = 'KEY' }";
        assert_eq!(inputs(given, Written::File).unwrap()["api_key"].as_str(), Some("s3cret"));
        let given = format!("{BOTH}title = {{ env = 'KEY' }}\nhidden = {{ file = 'KEY' }}");
        insta::assert_snapshot!(inputs(&given, Written::File).unwrap_err(), @r#"
        `sources.dam.title`: expected a text in quotes, found `{ env = "KEY" }`
        `sources.dam.hidden`: expected a list of texts, found `{ file = "KEY" }`
        "#);
    }

    #[test]
    fn texts_of_variables_become_what_is_declared() {
        let texts = format!("{BOTH}hidden = 'a, b,'\nlimit = ' 10 '\nstrict = 'true'\ntitle = '0123'");
        let meant = format!("{BOTH}hidden = ['a', 'b']\nlimit = 10\nstrict = true\ntitle = '0123'");
        assert_eq!(inputs(&texts, Written::Variable), Ok(meant.parse().unwrap()));
        assert!(inputs(&texts, Written::File).is_err());
        for (limit, meant) in [("2.5", Some(2.5)), ("ten", None), ("inf", None)] {
            let read = inputs(&format!("{BOTH}limit = '{limit}'"), Written::Variable);
            assert_eq!(read.ok().and_then(|table| table["limit"].as_float()), meant, "{limit}");
        }
    }

    #[test]
    fn folders_begin_beside_the_settings_and_exist() {
        let path = |path: &str| inputs(&format!("{BOTH}path = '{path}'"), Written::File);
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(path("src").unwrap()["path"].as_str(), src.to_str());
        for wrong in ["", "no-such-folder", "Cargo.toml"] {
            assert!(path(wrong).unwrap_err().contains("expected an existing folder, found `"), "{wrong}");
        }
    }
}
