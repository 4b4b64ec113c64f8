//! The inputs that an adapter declares, and whether a source gives them.

use toml::Value;

use super::problem::{Key, Problem};
use super::source::Source;
use crate::secret::Secret;

/// One input that an adapter declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Its key in `[sources.NAME]`.
    pub name: &'a str,
    /// What it has to be.
    pub kind: Kind,
    /// Whether a source can do without.
    pub need: Need,
}

/// What an input has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that nobody gets to see.
    Secret,
    /// An http(s) address without query and fragment.
    Url,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A list of texts.
    List,
}

/// Whether a source can do without an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot.
    Required,
    /// There is a default.
    Optional,
}

/// What is wrong with the inputs of one source; keys are counted from the source.
pub fn check(declared: &[Input<'_>], given: &toml::Table) -> Vec<Problem> {
    let names: Vec<&str> = declared.iter().map(|input| input.name).collect();
    let known: [(&str, &[&str]); 2] = [("expected", &names), ("or, as for every source,", &Source::KEYS)];
    let unknown = given.keys().filter(|name| !declared.iter().any(|input| input.name == **name));
    let missing =
        declared.iter().filter(|input| input.need == Need::Required && !given.contains_key(input.name));
    let wrong = declared.iter().filter_map(|input| wrong(input, given.get(input.name)?));
    unknown
        .map(|name| Problem::unknown_among(Key::of([name.as_str()]), &known))
        .chain(missing.map(|input| Problem::missing(Key::default(), input.name)))
        .chain(wrong)
        .collect()
}

fn wrong(input: &Input<'_>, value: &Value) -> Option<Problem> {
    let expected = match (input.kind, value) {
        (Kind::Text | Kind::Secret, Value::String(_)) => return None,
        (Kind::Number, Value::Integer(_)) | (Kind::Switch, Value::Boolean(_)) => return None,
        (Kind::List, Value::Array(list)) if list.iter().all(Value::is_str) => return None,
        (Kind::Url, Value::String(address)) if is_address(address) => return None,
        (Kind::Text, _) => "a text in quotes",
        (Kind::Secret, _) => Secret::EXPECTED,
        (Kind::Url, _) => "an address such as `https://dam.example.org/api`, without `?` and `#`",
        (Kind::Number, _) => "a whole number",
        (Kind::Switch, _) => "`true` or `false`",
        (Kind::List, _) => "a list of texts",
    };
    let key = Key::of([input.name]);
    Some(match input.kind {
        Kind::Secret => Problem::concealed(key, format!("expected {expected}")),
        _ => Problem::new(key, format!("expected {expected}, found `{value}`")),
    })
}

fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &[Input<'static>] = &[
        Input { name: "base", kind: Kind::Url, need: Need::Required },
        Input { name: "api_key", kind: Kind::Secret, need: Need::Required },
        Input { name: "hidden", kind: Kind::List, need: Need::Optional },
    ];

    fn problems(toml: &str) -> Vec<String> {
        let source = Key::of(["sources", "dam"]);
        let problems = check(DECLARED, &toml.parse().unwrap());
        problems.into_iter().map(|problem| problem.within(&source).to_string()).collect()
    }

    #[test]
    fn what_is_declared_passes() {
        assert_eq!(problems("base = 'https://dam.example.org'\napi_key = 'k'\nhidden = ['a']"), [""; 0]);
    }

    #[test]
    fn what_is_not_declared_missing_or_wrong_is_named() {
        insta::assert_snapshot!(problems("base = 'dam.example.org'\nhiden = []\nhidden = [1]").join("\n"), @r#"
        unknown key `hiden` in `sources.dam`
        `sources.dam` needs the key `api_key`
        `sources.dam.base`: expected an address such as `https://dam.example.org/api`, without `?` and `#`, found `"dam.example.org"`
        `sources.dam.hidden`: expected a list of texts, found `[1]`
        "#);
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let messages = problems("base = 'https://dam.example.org'\napi_key = 12345").join("\n");
        assert!(messages.contains("api_key") && !messages.contains("12345"), "{messages}");
    }
}
