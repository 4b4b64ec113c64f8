//! What is wrong with settings, in words for the person who wrote them.

use std::fmt;

/// The way to a key: `sources.maps.hosts[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Vec<Segment>);

/// One step on the way to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Into a table.
    Name(String),
    /// Into a list; the first element has 0.
    Index(usize),
}

/// One mistake: where it is, what it is, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) key: Key,
    pub(super) kind: Kind,
    pub(super) hints: Vec<String>,
}

/// What a mistake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value is wrong; a sentence says how.
    Value(String),
    /// The value is wrong and must not be shown; a sentence says how.
    Concealed(String),
    /// The key is wrong; a sentence says how.
    Name(String),
    /// Nobody knows the key.
    Unknown,
    /// The table at the key lacks this one.
    Missing(String),
}

/// What the caret points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The key; its value is not quoted, since it may be a misspelled password's.
    Name,
    /// The value.
    Value,
    /// A character in the line.
    Line,
}

impl Key {
    /// The way through tables of these names.
    pub fn of<const N: usize>(names: [&str; N]) -> Self {
        Self(names.into_iter().map(|name| Segment::Name(name.to_owned())).collect())
    }

    /// The steps of the way.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// This key with another below it.
    #[must_use]
    pub fn join(mut self, below: &Key) -> Self {
        self.0.extend_from_slice(&below.0);
        self
    }

    /// An element of the list at this key.
    #[must_use]
    pub fn element(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// The key that holds this one; `None` above all tables.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, above)| Self(above.to_vec()))
    }

    /// Whether this key is the other or holds it.
    pub fn holds(&self, other: &Key) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Puts a step in front.
    pub(super) fn prepend(&mut self, segment: Segment) {
        self.0.insert(0, segment);
    }
}

impl Problem {
    /// Something about the value of a key; the sentence goes on after the key and a colon.
    pub fn new(key: Key, sentence: impl Into<String>) -> Self {
        Self { key, kind: Kind::Value(sentence.into()), hints: Vec::new() }
    }

    /// Something about the value of a secret: neither it nor its line is shown.
    pub fn concealed(key: Key, sentence: impl Into<String>) -> Self {
        Self { kind: Kind::Concealed(sentence.into()), ..Self::new(key, "") }
    }

    /// Something about a key; the sentence says which.
    pub fn named(key: Key, sentence: impl Into<String>) -> Self {
        Self { key, kind: Kind::Name(sentence.into()), hints: Vec::new() }
    }

    /// A key that nobody knows; `known` are those that could stand there.
    pub fn unknown(key: Key, known: &[&str]) -> Self {
        Self::unknown_among(key, &[("expected", known)])
    }

    /// The same where what could stand there falls into groups, each with words before its list.
    pub fn unknown_among(key: Key, groups: &[(&str, &[&str])]) -> Self {
        let hints = match key.0.last() {
            Some(Segment::Name(name)) => suggestions(name, groups),
            _ => Vec::new(),
        };
        Self { key, kind: Kind::Unknown, hints }
    }

    /// A table without a key that it needs.
    pub fn missing(table: Key, name: &str) -> Self {
        Self { key: table, kind: Kind::Missing(name.to_owned()), hints: Vec::new() }
    }

    /// A value that is none of those known.
    pub fn unlisted(key: Key, what: &str, found: &str, known: &[&str]) -> Self {
        Self {
            hints: suggestions(found, &[("expected", known)]),
            ..Self::new(key, format!("unknown {what} `{found}`"))
        }
    }

    /// The same with another sentence for the reader.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same, its key counted from a table instead of from the root.
    #[must_use]
    pub fn within(mut self, table: &Key) -> Self {
        self.key = table.clone().join(&self.key);
        self
    }

    /// The whole of it without a place, on lines of its own.
    pub fn paragraph(&self) -> String {
        format!("{self}{}", self.hints(2))
    }

    /// A line for each hint, so far in; the first begins with the end of the line above.
    pub(super) fn hints(&self, indent: usize) -> String {
        let mut lines = String::new();
        for hint in &self.hints {
            for (at, line) in hint.lines().enumerate() {
                let bullet = if at == 0 { '=' } else { ' ' };
                lines.push_str(&format!("\n{}{bullet} {line}", " ".repeat(indent)));
            }
        }
        lines
    }

    /// Whether there is nothing more to say once the other problem is told: it is about the same
    /// key or a table around it, or about what this one misses.
    pub(super) fn follows_from(&self, other: &Problem) -> bool {
        match &self.kind {
            Kind::Missing(name) => {
                let missing = self.key.clone().join(&Key::of([name]));
                other.key.holds(&missing) || missing.holds(&other.key)
            }
            _ => other.key.holds(&self.key),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        match self.kind {
            Kind::Value(_) => Mark::Value,
            Kind::Concealed(_) | Kind::Name(_) | Kind::Unknown | Kind::Missing(_) => Mark::Name,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, kind, .. } = self;
        match (kind, key.0.split_last()) {
            (Kind::Value(sentence) | Kind::Concealed(sentence), Some(_)) => write!(f, "`{key}`: {sentence}"),
            (Kind::Value(sentence) | Kind::Concealed(sentence), None) => f.write_str(sentence),
            (Kind::Name(sentence), _) => f.write_str(sentence),
            (Kind::Missing(name), None) => write!(f, "there is no section `{name}`"),
            (Kind::Missing(name), _) => write!(f, "`{key}` needs the key `{name}`"),
            (Kind::Unknown, Some((Segment::Name(name), above))) if !above.is_empty() => {
                write!(f, "unknown key `{name}` in `{}`", Key(above.to_vec()))
            }
            (Kind::Unknown, _) => write!(f, "unknown section `{key}`"),
        }
    }
}

/// The nearest of the known names if one is near, and all of them.
fn suggestions(found: &str, groups: &[(&str, &[&str])]) -> Vec<String> {
    let known = groups.iter().flat_map(|(_, names)| names.iter());
    let nearest = known
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance <= found.len().max(name.len()).div_ceil(3))
        .min();
    let nearest = nearest.map(|(_, name)| format!("did you mean `{name}`?"));
    let groups = groups.iter().filter(|(_, names)| !names.is_empty());
    nearest.into_iter().chain(groups.map(|(words, names)| format!("{words} {}", either(names)))).collect()
}

/// *`a`, `b` or `c`*.
pub(super) fn either(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Name(name) if at == 0 => f.write_str(name)?,
                Segment::Name(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_in_a_settings_file() {
        let key = Key::of(["sources", "maps"]).join(&Key::of(["hosts"]).element(1));
        assert_eq!(key.to_string(), "sources.maps.hosts[1]");
        assert!(Key::of(["sources"]).holds(&key) && !Key::of(["source"]).holds(&key));
        assert_eq!(key.parent(), Some(Key::of(["sources", "maps", "hosts"])));
        assert_eq!(Key::default().parent(), None);
    }

    #[test]
    fn a_slip_is_told_from_a_stranger() {
        let known = ["dir", "memory", "disk"];
        let slip = Problem::unknown(Key::of(["cache", "memry"]), &known);
        assert_eq!(slip.to_string(), "unknown key `memry` in `cache`");
        assert_eq!(slip.hints, ["did you mean `memory`?", "expected `dir`, `memory` or `disk`"]);
        let stranger = Problem::unknown(Key::of(["cache", "compression"]), &known);
        assert_eq!(stranger.hints, ["expected `dir`, `memory` or `disk`"]);
    }
}
