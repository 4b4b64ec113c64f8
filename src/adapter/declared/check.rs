//! Rules across the parts of a definition: every name that is used exists, and secrets stay in `[auth]`.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::definition::{Definition, Values};
use super::inputs::Setting;
use super::template::{Coding, Template};
use crate::adapter::input::Kind;

/// Names with a meaning of their own, in templates or in every `[sources.NAME]`.
const TAKEN: [&str; 23] = [
    "adapter",
    "allow_private",
    "ca_file",
    "concurrency",
    "each",
    "file",
    "harvest",
    "hook_secret",
    "hosts",
    "id",
    "image",
    "label",
    "language",
    "offset",
    "path",
    "provider",
    "rate",
    "record_ttl",
    "required_statement",
    "rights",
    "size",
    "source",
    "stale",
];

/// A rule that is broken, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) path: Vec<String>,
    pub(super) message: String,
}

/// What a template may name beside settings.
#[derive(Clone, Copy)]
enum Place {
    /// An address, where `{+name}` has a meaning.
    Address(&'static [&'static str]),
    /// A text.
    Text(&'static [&'static str]),
    /// A text that is sent as a credential.
    Credential,
}

impl Definition {
    /// Whether all parts fit each other. `file` is where it was read from.
    pub(super) fn check(&self, file: &Path) -> Result<(), Problem> {
        if file.file_stem().is_some_and(|stem| stem != self.adapter.name.as_str()) {
            return problem(["adapter", "name"], "expected the name of the file".to_owned());
        }
        self.settings.iter().try_for_each(|(name, setting)| check_setting(name, setting))?;
        self.check_http()?;
        for (name, paging) in &self.paging {
            if let Some((key, message)) = paging.refuse() {
                return problem(["paging", name, key], message);
            }
        }
        self.check_fetches()?;
        if let Some(list) = &self.list {
            self.template(["list", "url"], &list.url, Place::Address(&[]))?;
            self.queries(&["list"], &list.query, &[])?;
            self.known_paging(["list", "paging"], &list.paging)?;
        }
        self.check_file()
    }

    fn check_http(&self) -> Result<(), Problem> {
        self.template(["http", "base"], &self.http.base, Place::Address(&[]))?;
        if let Some(agent) = &self.http.user_agent {
            self.template(["http", "user_agent"], agent, Place::Text(&[]))?;
        }
        for (name, value) in &self.http.headers {
            self.template(["http", "headers", name], value, Place::Text(&[]))?;
        }
        for (key, template) in self.auth.templates() {
            let path = std::iter::once("auth").chain(key.split('.'));
            self.template(path, template, Place::Credential)?;
        }
        Ok(())
    }

    fn check_fetches(&self) -> Result<(), Problem> {
        if self.fetch.is_empty() {
            return problem(["fetch"], "a record needs at least one `[[fetch]]`".to_owned());
        }
        for (n, fetch) in self.fetch.iter().enumerate() {
            let at = n.to_string();
            if self.fetch[..n].iter().any(|earlier| earlier.name == fetch.name) {
                return problem(["fetch", &at, "name"], format!("`{}` is there twice", fetch.name));
            }
            let names: &[&str] = if fetch.each.is_some() { &["id", "each"] } else { &["id"] };
            self.template(["fetch", &at, "url"], &fetch.url, Place::Address(names))?;
            self.queries(&["fetch", &at], &fetch.query, names)?;
            if let Some(paging) = &fetch.paging {
                self.known_paging(["fetch", &at, "paging"], paging)?;
            }
        }
        Ok(())
    }

    fn check_file(&self) -> Result<(), Problem> {
        match (&self.file.url, &self.file.resolve) {
            (Some(url), None) => self.template(["file", "url"], url, Place::Address(&["id", "file"])),
            (None, Some(resolve)) => match self.fetch_named(&resolve.fetch) {
                Some(fetch) if fetch.each.is_none() => Ok(()),
                Some(_) => {
                    problem(["file", "resolve", "fetch"], "expected a fetch without `each`".to_owned())
                }
                None => {
                    let expected = one_of(self.fetch.iter().map(|fetch| &fetch.name));
                    let message = format!("unknown fetch `{}`, {expected}", resolve.fetch);
                    problem(["file", "resolve", "fetch"], message)
                }
            },
            _ => problem(["file"], "expected either `url` or `resolve`".to_owned()),
        }
    }

    fn known_paging<'p>(&self, path: impl IntoIterator<Item = &'p str>, name: &str) -> Result<(), Problem> {
        if self.paging.contains_key(name) {
            return Ok(());
        }
        problem(path, format!("unknown paging `{name}`, {}", one_of(self.paging.keys())))
    }

    fn queries(
        &self,
        path: &[&str],
        query: &indexmap::IndexMap<String, Values>,
        names: &'static [&'static str],
    ) -> Result<(), Problem> {
        for (name, values) in query {
            let path = || path.iter().copied().chain(["query", name.as_str()]);
            values.0.iter().try_for_each(|value| self.template(path(), value, Place::Text(names)))?;
        }
        Ok(())
    }

    fn template<'p>(
        &self,
        path: impl IntoIterator<Item = &'p str>,
        template: &Template,
        place: Place,
    ) -> Result<(), Problem> {
        let refused = template.placeholders().find_map(|(name, coding)| self.refuse(name, coding, place));
        refused.map_or(Ok(()), |message| problem(path, message))
    }

    /// Why a placeholder may not stand in this place.
    fn refuse(&self, name: &str, coding: Coding, place: Place) -> Option<String> {
        let (Place::Address(others) | Place::Text(others)) = place else {
            return self.refuse_setting(name, &[], place);
        };
        if coding == Coding::Reserved && matches!(place, Place::Text(_)) {
            return Some(format!("`{{+{name}}}` has a meaning in addresses only, expected `{{{name}}}`"));
        }
        let root = name.split('.').next().unwrap_or(name);
        let other = others.contains(&name) || (root == "each" && others.contains(&root));
        if other { None } else { self.refuse_setting(name, others, place) }
    }

    fn refuse_setting(&self, name: &str, others: &[&str], place: Place) -> Option<String> {
        let Some(setting) = self.settings.get(name) else {
            let fits = |name: &&String| self.refuse_setting(name, &[], place).is_none();
            let settings = self.settings.keys().filter(fits).cloned();
            let names: Vec<String> = others.iter().map(|name| (*name).to_owned()).chain(settings).collect();
            return Some(format!("unknown placeholder `{{{name}}}`, {}", one_of(names.iter())));
        };
        if setting.kind() == Kind::Secret && !matches!(place, Place::Credential) {
            return Some(format!("the secret `{name}` may be used in `[auth]` only"));
        }
        (setting.kind() == Kind::List).then(|| format!("`{name}` is a list, expected a single value"))
    }
}

fn check_setting(name: &str, setting: &Setting) -> Result<(), Problem> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let message = if TAKEN.contains(&name) {
        Some(format!("`{name}` has a meaning of its own, expected another name"))
    } else if !name.chars().all(letters) {
        Some(format!("`{name}` is no name of a setting: expected lower case letters, digits and `_`"))
    } else {
        setting.refuse()
    };
    message.map_or(Ok(()), |message| problem(["settings", name], message))
}

/// `expected `a`` or `expected one of `a`, `b``, as serde says it.
fn one_of<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "there are none".to_owned(),
        [name] => format!("expected {name}"),
        names => format!("expected one of {}", names.join(", ")),
    }
}

fn problem<'p>(path: impl IntoIterator<Item = &'p str>, message: String) -> Result<(), Problem> {
    Err(Problem { path: path.into_iter().map(str::to_owned).collect(), message })
}

/// The line, from 1, in which a key stands, or the part of it that is there.
pub(super) fn line_of(text: &str, path: &[String]) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 1 };
    let mut value = DeValue::Table(document.into_inner());
    let mut at = 0;
    for step in path {
        let next = match value {
            DeValue::Table(mut table) => table.remove(step.as_str()),
            DeValue::Array(list) => step.parse().ok().and_then(|n| list.into_iter().nth(n)),
            _ => None,
        };
        let Some(next) = next else { break };
        at = next.span().start;
        value = next.into_inner();
    }
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const REST: &str = r#"
[adapter]
name = "sample"
version = "1"
system = "Sample 1"
[http]
base = "{+base}/api"
[[fetch]]
name = "item"
url = "/items/{id}"
[record]
id = '.item.id'
label = '.item.title'
[canvas]
each = '.item.files'
id = '.id'
[file]
url = "{+base}/files/{file}"
"#;

    /// A small definition with these settings.
    pub(in super::super) fn sample(settings: &str) -> Definition {
        Definition::parse("sample.toml", &format!("{REST}[settings]\n{settings}")).unwrap()
    }

    /// The small definition with one line put in place of another.
    fn error(from: &str, to: &str) -> String {
        assert!(REST.contains(from), "{from}");
        let text = format!(
            "{}[settings]\nbase = {{ type = 'url', required = true }}\nkey = {{ type = 'string', secret = true, default = '' }}\ntags = {{ type = 'list', default = [] }}",
            REST.replacen(from, to, 1)
        );
        Definition::parse("sample.toml", &text).unwrap_err().to_string()
    }

    #[test]
    fn names_are_looked_up_when_the_file_is_read() {
        let base = "base = \"{+base}/api\"";
        insta::assert_snapshot!(error("/items/{id}", "/items/{ident}"), @"sample.toml:10: `fetch.0.url`: unknown placeholder `{ident}`, expected one of `id`, `base`");
        insta::assert_snapshot!(error("/items/{id}", "/items/{id}/{each.uuid}"), @"sample.toml:10: `fetch.0.url`: unknown placeholder `{each.uuid}`, expected one of `id`, `base`");
        insta::assert_snapshot!(error(base, "base = \"{+base}/{key}\""), @"sample.toml:7: `http.base`: the secret `key` may be used in `[auth]` only");
        insta::assert_snapshot!(error(base, "base = \"{+base}/{tags}\""), @"sample.toml:7: `http.base`: `tags` is a list, expected a single value");
        insta::assert_snapshot!(error("{+base}/files", "{id}/files/{q}"), @"sample.toml:18: `file.url`: unknown placeholder `{q}`, expected one of `id`, `file`, `base`");
        insta::assert_snapshot!(error("url = \"/items/{id}\"", "url = \"/items/{id}\"\npaging = \"all\""), @"sample.toml:11: `fetch.0.paging`: unknown paging `all`, there are none");
        insta::assert_snapshot!(error("url = \"/items/{id}\"", "query = { x = [\"{+id}\"] }"), @"sample.toml:10: `fetch.0.query.x`: `{+id}` has a meaning in addresses only, expected `{id}`");
        insta::assert_snapshot!(error("url = \"{+base}/files/{file}\"", "range = true"), @"sample.toml:17: `file`: expected either `url` or `resolve`");
        insta::assert_snapshot!(error("url = \"{+base}/files/{file}\"", "resolve = { fetch = \"x\", urls = '.' }"), @"sample.toml:18: `file.resolve.fetch`: unknown fetch `x`, expected `item`");
    }

    #[test]
    fn settings_and_pagings_make_sense() {
        let settings = "[settings]\nbase = ";
        let paging = "[paging.rows]\nkind = \"offset\"\nparam = \"p\"\nitems = '.'\nsize = ";
        let with = |start: &str, rest: &str| error("[record]", &format!("{start}{rest}\n[record]"));
        insta::assert_snapshot!(with(paging, "10\nformat = \"{start}\""), @"sample.toml:16: `paging.rows.format`: unknown placeholder `{start}`, expected `offset` or `size`");
        insta::assert_snapshot!(with(paging, "0"), @"sample.toml:15: `paging.rows.size`: expected at least 1");
        insta::assert_snapshot!(with(paging, "10\nend = \"empty\"\nnext = '.more'"), @"sample.toml:16: `paging.rows.end`: expected either `end` or `next`");
        let error = |rest: &str| {
            let text = format!("{REST}{settings}{rest}");
            Definition::parse("sample.toml", &text).unwrap_err().to_string()
        };
        insta::assert_snapshot!(error("{ type = 'url' }"), @"sample.toml:20: `settings.base`: expected either `default` or `required = true`");
        insta::assert_snapshot!(error("{ type = 'url', default = 'x' }"), @r#"sample.toml:20: `settings.base`: `default`: expected an address such as `https://dam.example.org/api`, without `?` and `#`, found `"x"`"#);
        insta::assert_snapshot!(error("{ type = 'url', required = true }\nlabel = { type = 'string', default = '' }"), @"sample.toml:21: `settings.label`: `label` has a meaning of its own, expected another name");
    }

    #[test]
    fn what_is_not_part_of_the_language_is_refused_with_its_line() {
        insta::assert_snapshot!(error("[record]", "[record]\ntitel = '.x'"), @r#"
        sample.toml: TOML parse error at line 12, column 1
           |
        12 | titel = '.x'
           | ^^^^^
        unknown field `titel`, expected one of `id`, `label`, `version`, `summary`, `metadata`, `rights`, `required_statement`, `provider`, `homepage`, `see_also`, `rendering`, `nav_date`, `behavior`, `viewing_direction`, `modified`, `parents`, `thumbnail`
        "#);
        insta::assert_snapshot!(error("id = '.item.id'", "id = '.item.'"), @r#"
        sample.toml: TOML parse error at line 12, column 6
           |
        12 | id = '.item.'
           |      ^^^^^^^^
        line 1, column 7: expected key, found the end of the expression
        "#);
        insta::assert_snapshot!(error("id = '.item.id'", "id = '$i'"), @r#"
        sample.toml: TOML parse error at line 12, column 6
           |
        12 | id = '$i'
           |      ^^^^
        line 1, column 1: undefined variable `$i`
        "#);
        insta::assert_snapshot!(error("label = '.item.title'\n", ""), @r#"
        sample.toml: TOML parse error at line 11, column 1
           |
        11 | [record]
           | ^^^^^^^^
        missing field `label`
        "#);
        insta::assert_snapshot!(error("[http]", "[changes]\nid = '.'\n[http]"), @r#"
        sample.toml: TOML parse error at line 6, column 2
          |
        6 | [changes]
          |  ^^^^^^^
        unknown field `changes`, expected one of `adapter`, `settings`, `auth`, `http`, `fetch`, `paging`, `record`, `canvas`, `list`, `file`
        "#);
        insta::assert_snapshot!(error("/items/{id}", "/items/{id"), @r#"
        sample.toml: TOML parse error at line 10, column 7
           |
        10 | url = "/items/{id"
           |       ^^^^^^^^^^^^
        `{` without its `}` in `/items/{id`
        "#);
    }
}
