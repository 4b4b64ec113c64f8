//! What a request gets that does not follow the grammar.

/// A part of a request that does not follow the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} `{found}` {problem}")]
pub struct SyntaxError {
    part: &'static str,
    found: String,
    problem: &'static str,
}

impl SyntaxError {
    /// `problem` ends the sentence: what is wrong and what was expected.
    pub(super) fn new(part: &'static str, found: &str, problem: &'static str) -> Self {
        const SHOWN: usize = 40;
        let mut shown: String = found.chars().take(SHOWN).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self { part, found: shown, problem }
    }
}
