//! Reads a source file as far as the house rules need it: which paths its code names, tests left out.

/// A source file without its comments, texts and tests; what is left stands on its own line.
pub(crate) struct Source {
    code: Vec<char>,
    /// Modules in files of their own that are there for tests only.
    pub(crate) test_files: Vec<String>,
}

/// A path in code, `crate::a::{b, c}` being two of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let mut code = plain(&text.chars().collect::<Vec<_>>());
        let test_files = blank_tests(&mut code);
        Self { code, test_files }
    }

    /// Every path of at least two names, in the order of the file.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.code.len() {
            if !is_name(self.code[at]) {
                at += 1;
                continue;
            }
            let line = 1 + self.code[..at].iter().filter(|c| **c == '\n').count();
            // `$crate` is a name for others, not a path of this file.
            let foreign = at > 0 && self.code[at - 1] == '$';
            let mut paths = Vec::new();
            at = self.tree(at, &[], &mut paths);
            let several = paths.into_iter().filter(|path| path.len() > 1 && !foreign);
            found.extend(several.map(|path| Named { line, path }));
        }
        found
    }

    /// Reads `a::b::{c, d::e as f}` from a name on; returns where it ends.
    fn tree(&self, mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
        let mut path = before.to_vec();
        loop {
            let end = self.skip(at, is_name);
            path.push(self.code[at..end].iter().collect());
            at = self.skip(end, char::is_whitespace);
            if !self.code[at..].starts_with(&[':', ':']) {
                found.push(path);
                return end;
            }
            at = self.skip(at + 2, char::is_whitespace);
            match self.code.get(at) {
                Some('{') => return self.group(at + 1, &path, found),
                Some(c) if is_name(*c) => {}
                // `*`, or the types of a function.
                _ => {
                    found.push(path);
                    return at;
                }
            }
        }
    }

    fn group(&self, mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
        while let Some(c) = self.code.get(at) {
            match c {
                '}' => return at + 1,
                c if is_name(*c) => {
                    at = self.tree(at, before, found);
                    // Another name for it does not matter.
                    at = self.skip(at, |c| !matches!(c, ',' | '}'));
                }
                _ => at += 1,
            }
        }
        at
    }

    fn skip(&self, at: usize, one: impl Fn(char) -> bool) -> usize {
        at + self.code[at..].iter().take_while(|c| one(**c)).count()
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks comments, texts and characters.
fn plain(text: &[char]) -> Vec<char> {
    let mut code = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
            ['/', '*', ..] => until(rest, &['*', '/']),
            ['"', ..] => quoted(rest, '"'),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted(rest, '\''),
            ['r', '"' | '#', ..] if at == 0 || !is_name(text[at - 1]) || text[at - 1] == 'b' => raw(rest),
            _ => 0,
        };
        blank(&mut code[at..at + length]);
        at += length.max(1);
    }
    code
}

fn blank(code: &mut [char]) {
    code.iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
}

/// Up to and with `end`.
fn until(text: &[char], end: &[char]) -> usize {
    text.windows(end.len()).position(|found| found == end).map_or(text.len(), |at| at + end.len())
}

fn quoted(text: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// `r#"..."#`; nothing if it is only a name like `r#type`.
fn raw(text: &[char]) -> usize {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    let start = 1 + hashes;
    if text.get(start) != Some(&'"') {
        return 0;
    }
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    start + 1 + until(&text[start + 1..], &end)
}

/// Blanks every item under `#[cfg(test)]`, and names those that are files.
fn blank_tests(code: &mut [char]) -> Vec<String> {
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut files = Vec::new();
    while let Some(start) = code.windows(mark.len()).position(|found| found == mark) {
        let length = item(&code[start..]);
        let text: String = code[start + mark.len()..start + length].iter().collect();
        let words: Vec<&str> = text.trim_end_matches(';').split_whitespace().collect();
        if let [.., "mod", name] = words[..] {
            files.push(name.to_owned());
        }
        blank(&mut code[start..start + length]);
    }
    files
}

/// The length of an item with its attributes: to its `;` or the brace that closes it.
fn item(code: &[char]) -> usize {
    let mut depth = 0_usize;
    // The braces of a `use` do not end it.
    let head: String = code.iter().take_while(|c| !matches!(c, '{' | ';')).collect();
    let is_use = head.split_whitespace().any(|word| word == "use");
    for (at, c) in code.iter().enumerate() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if *c == '}' && depth == 0 && !is_use {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let named = Source::read(text).paths();
        named.iter().map(|named| format!("{} {}", named.line, named.path.join("::"))).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let text = r##"
use std::fmt;
use crate::{
    access::decide,
    serve::{self, gate::Gate as Door, records::*},
};
/* crate::comment */ // crate::another
const TEXT: &str = "crate::text \" crate::text";
const RAW: &str = r#"crate::" raw"#;
fn f<'a>(x: &'a str) -> crate::http::Answer { ('"', '\'', super::x::<crate::jq::Input>()) }
macro_rules! m { () => { $crate::cli::main() } }
"##;
        insta::assert_snapshot!(paths(text).join("\n"), @r"
        2 std::fmt
        3 crate::access::decide
        3 crate::serve::self
        3 crate::serve::gate::Gate
        3 crate::serve::records
        10 crate::http::Answer
        10 super::x
        10 crate::jq::Input
        ");
    }

    #[test]
    fn tests_are_left_out_and_what_follows_them_is_not() {
        let text = "
#[cfg(test)]
mod doubles;
#[cfg(test)]
use crate::{http::A, cli::B};
#[cfg(test)]
#[allow(dead_code)]
const N: [u8; 2] = [crate::cli::ONE, 2];
pub use crate::first::A;
#[cfg(test)]
mod tests { fn f() { crate::cli::run(); } }
use crate::second::B;
";
        assert_eq!(paths(text), ["9 crate::first::A", "12 crate::second::B"]);
        assert_eq!(Source::read(text).test_files, ["doubles"]);
    }
}
