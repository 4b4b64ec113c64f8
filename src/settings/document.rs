//! The settings file as its author sees it: lines, columns and carets.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Key, Mark, Segment};

/// The text of a settings file under the name by which it was asked for.
#[derive(Debug)]
pub(super) struct Document {
    name: String,
    text: String,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    bytes: Range<usize>,
    mark: Mark,
}

impl Document {
    pub(super) fn new(file: &Path, text: String) -> Self {
        Self { name: file.display().to_string(), text }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Everything that keeps the text from being TOML, with the places.
    pub(super) fn syntax_errors(&self) -> Vec<(Span, String)> {
        let (_, errors) = DeTable::parse_recoverable(&self.text);
        let grammar = errors.iter().map(|error| {
            let message = error.message().replace('\n', ", ");
            (Span::syntax(error.span()), format!("this is not TOML: {message}"))
        });
        let grammar: Vec<_> = grammar.collect();
        if !grammar.is_empty() {
            return grammar;
        }
        // Whether numbers fit is looked at only when the grammar is right.
        let number = toml::from_str::<toml::Table>(&self.text).err();
        let number = number.map(|error| (Span::syntax(error.span()), "this number is too large".to_owned()));
        number.into_iter().collect()
    }

    /// Where a key stands; `None` if it is not in this document.
    pub(super) fn find(&self, key: &Key, mark: Mark) -> Option<Span> {
        let root = DeTable::parse(&self.text).ok()?;
        let (last, above) = key.segments().split_last()?;
        let mut table = DeValue::Table(root.into_inner());
        for segment in above {
            table = step(table, segment)?.1.into_inner();
        }
        let (name, value) = step(table, last)?;
        Some(match (mark, name) {
            (Mark::Name, Some(name)) => Span { bytes: name, mark },
            // The span of a table reaches from its header to its end: its name says more.
            (_, Some(name)) if value.get_ref().is_table() => Span { bytes: name, mark: Mark::Name },
            _ => Span { bytes: value.span(), mark: Mark::Value },
        })
    }

    /// *file:line:column*.
    pub(super) fn position(&self, span: &Span) -> String {
        let (line, column, _) = self.line(span);
        format!("{}:{}:{}", self.name, line, column)
    }

    /// The line with carets below, and the gutter's width for what follows.
    ///
    /// What else stands in the line may be a password: of a line with several values only the marked one is shown.
    pub(super) fn quote(&self, span: &Span) -> (String, usize) {
        let (number, column, line) = self.line(span);
        let marked = self
            .text
            .get(span.bytes.clone())
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        let (before, rest) = split(line, column - 1);
        let (marked, after) = split(rest, marked);
        let crowded = line.matches('=').count() > 1;
        let before = match span.mark {
            Mark::Name | Mark::Value if crowded && !before.trim().is_empty() => "… ",
            _ => before,
        };
        let after = match span.mark {
            Mark::Name if after.trim_start().starts_with('=') => " = …",
            Mark::Value if crowded => "",
            _ => after,
        };
        let gutter = number.to_string().len();
        let bar = " ".repeat(gutter);
        let shown = format!("{before}{marked}{after}").replace('\t', " ");
        let (indent, carets) =
            (" ".repeat(before.chars().count()), "^".repeat(marked.chars().count().max(1)));
        (format!("{bar} |\n{number} | {}\n{bar} | {indent}{carets}", shown.trim_end()), gutter)
    }

    /// Line number and column, from 1, and the line's text.
    fn line(&self, span: &Span) -> (usize, usize, &str) {
        let before = self.text.get(..span.bytes.start).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let column = before[start..].chars().count().min(line.chars().count());
        (before.matches('\n').count() + 1, column + 1, line)
    }
}

impl Span {
    /// For sorting: where it begins.
    pub(super) fn start(&self) -> usize {
        self.bytes.start
    }

    fn syntax(bytes: Option<Range<usize>>) -> Self {
        Self { bytes: bytes.unwrap_or(0..0), mark: Mark::Line }
    }
}

/// A text before and after so many characters.
fn split(text: &str, characters: usize) -> (&str, &str) {
    let at = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

/// One step down: the place of the name, where the step has one, and the value.
fn step<'i>(value: DeValue<'i>, segment: &Segment) -> Option<(Option<Range<usize>>, Spanned<DeValue<'i>>)> {
    match (value, segment) {
        (DeValue::Table(table), Segment::Name(name)) => {
            let entry = table.into_iter().find(|(key, _)| key.get_ref() == name);
            entry.map(|(key, value)| (Some(key.span()), value))
        }
        (DeValue::Array(array), Segment::Index(index)) => {
            array.into_iter().nth(*index).map(|value| (None, value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::new(Path::new("loggia.toml"), text.to_owned())
    }

    fn show(text: &str, key: &Key, mark: Mark) -> String {
        let document = document(text);
        let span = document.find(key, mark).unwrap();
        format!("{}\n{}", document.position(&span), document.quote(&span).0)
    }

    #[test]
    fn values_are_found_and_underlined() {
        let text = "[server]\nlisten = \"here\" # or there\n";
        insta::assert_snapshot!(show(text, &Key::of(["server", "listen"]), Mark::Value), @r#"
        loggia.toml:2:10
          |
        2 | listen = "here" # or there
          |          ^^^^^^
        "#);
    }

    #[test]
    fn names_are_underlined_without_their_values() {
        let text = "\n\n[sources.dam]\n\tpasword = \"hunter2\"\n";
        insta::assert_snapshot!(show(text, &Key::of(["sources", "dam", "pasword"]), Mark::Name), @r"
        loggia.toml:4:2
          |
        4 |  pasword = …
          |  ^^^^^^^
        ");
    }

    #[test]
    fn a_crowded_line_shows_only_what_is_marked() {
        let text = "dam = { api_key = \"hunter2\", rate = -1 }";
        insta::assert_snapshot!(show(text, &Key::of(["dam", "rate"]), Mark::Value), @r"
        loggia.toml:1:37
          |
        1 | … -1
          |   ^^
        ");
    }

    #[test]
    fn tables_are_shown_by_their_name() {
        insta::assert_snapshot!(show("[sources.top]\npath = 'x'", &Key::of(["sources", "top"]), Mark::Value), @r"
        loggia.toml:1:10
          |
        1 | [sources.top]
          |          ^^^
        ");
    }

    #[test]
    fn elements_of_lists_are_found() {
        let document = document("hosts = [\n  'ä.example',\n  'b c',\n]");
        let key = Key::of(["hosts"]).element(1);
        assert_eq!(document.position(&document.find(&key, Mark::Value).unwrap()), "loggia.toml:3:3");
        assert_eq!(document.find(&Key::of(["hosts", "x"]), Mark::Value), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[a-z\[\]{}=.,"'ä#_\-0-9\n\r\t ]{0,40}"#) {
            let document = document(&text);
            for (span, _) in document.syntax_errors() {
                document.position(&span);
                document.quote(&span);
            }
        }
    }
}
