//! Where in an expression a mistake is, and the sentence about it.

use jaq_core::compile::Undefined;
use jaq_core::load::lex::{self, Token};
use jaq_core::load::{parse, span};

use super::JqError;

/// The text of an expression.
pub(super) struct Place<'s>(pub(super) &'s str);

impl<'s> Place<'s> {
    /// What does not even look like jq.
    pub(super) fn lexical(&self, errors: &[lex::Error<&'s str>]) -> JqError {
        let Some((expected, rest)) = errors.first() else {
            return self.whole("cannot be read");
        };
        let message = match (expected, rest.chars().next()) {
            (lex::Expect::Token, Some(sign)) => format!("unexpected `{sign}`"),
            _ => format!("expected {}", expected.as_str()),
        };
        self.compile(span(self.0, rest).start, message)
    }

    /// Words in an order that jq does not know.
    pub(super) fn grammatical(&self, errors: &[parse::TError<'_, &'s str>]) -> JqError {
        let Some((expected, found)) = errors.first() else {
            return self.whole("cannot be read");
        };
        let text = Token::opt_as_str(*found, self.0);
        // A block stands for all that it encloses: its first sign is what was met.
        let shown = match text.chars().next() {
            None => "the end of the expression".to_owned(),
            Some(open @ ('(' | '[' | '{')) => format!("`{open}`"),
            Some(_) => format!("`{text}`"),
        };
        let expected = match expected.as_str() {
            "nothing" => "an operator or the end of the expression".to_owned(),
            "term" => "an expression".to_owned(),
            "else or end" => "`else` or `end`".to_owned(),
            word if word.chars().all(|letter| letter.is_ascii_alphabetic() || letter == ' ') => {
                word.to_owned()
            }
            sign => format!("`{sign}`"),
        };
        self.compile(span(self.0, text).start, format!("expected {expected}, found {shown}"))
    }

    /// A name that stands for nothing.
    pub(super) fn undefined(&self, name: &'s str, what: &Undefined) -> JqError {
        let arguments = match what {
            Undefined::Filter(0) => String::new(),
            Undefined::Filter(1) => " with 1 argument".to_owned(),
            Undefined::Filter(count) => format!(" with {count} arguments"),
            _ => String::new(),
        };
        self.compile(span(self.0, name).start, format!("undefined {} `{name}`{arguments}", what.as_str()))
    }

    /// A name, part of the text, that may not be used.
    pub(super) fn denied(&self, name: &'s str) -> JqError {
        self.denied_at(name, name)
    }

    /// The same under another name.
    pub(super) fn denied_at(&self, part: &'s str, name: &str) -> JqError {
        let (line, column, _) = self.position(span(self.0, part).start);
        JqError::Denied { line, column, name: name.to_owned() }
    }

    /// The expression as a whole.
    pub(super) fn whole(&self, message: &str) -> JqError {
        self.compile(0, message.to_owned())
    }

    fn compile(&self, at: usize, message: String) -> JqError {
        let (line, column, excerpt) = self.position(at);
        JqError::Compile { line, column, message, excerpt: excerpt.to_owned() }
    }

    fn position(&self, at: usize) -> (usize, usize, &'s str) {
        let (before, after) = self.0.split_at(at);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(self.0.len(), |newline| at + newline);
        let line = before.matches('\n').count() + 1;
        (line, before[start..].chars().count() + 1, &self.0[start..end])
    }
}
