//! Closed unless open: from what the source says of a record to what a visitor may do.

use crate::adapter::record::{Access, Canvas, Record};

/// What somebody wants to do with a record or one of its canvases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Find it in a list.
    Discover,
    /// Read its manifest or info.json.
    Describe,
    /// Look at its pixels.
    View,
}

/// The answer to that wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// There is something, and somebody with more rights could have it.
    NeedsLogin,
    /// There is nothing, as far as anybody may learn.
    Missing,
}

/// What a visitor who has not signed in may do.
pub fn decide(access: Access, action: Action) -> Verdict {
    match (access, action) {
        (Access::Open, _) => Verdict::Allowed,
        (Access::Login | Access::Restricted, Action::Discover | Action::Describe) => Verdict::Allowed,
        (Access::Login | Access::Restricted, Action::View) => Verdict::NeedsLogin,
        (Access::Hidden | Access::Unknown, _) => Verdict::Missing,
    }
}

/// The access of one canvas: its own or its record's, whichever is stricter. An open page cannot
/// open a closed book, since nobody said that the book may be shown at all.
pub fn of_canvas(record: &Record, canvas: &Canvas) -> Access {
    canvas.access.map_or(record.access, |own| own.max(record.access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_unless_open() {
        use {Access::*, Action::*, Verdict::*};
        for (access, discover, describe, view) in [
            (Open, Allowed, Allowed, Allowed),
            (Login, Allowed, Allowed, NeedsLogin),
            (Restricted, Allowed, Allowed, NeedsLogin),
            (Hidden, Missing, Missing, Missing),
            (Unknown, Missing, Missing, Missing),
        ] {
            assert_eq!(decide(access, Discover), discover, "{access:?}");
            assert_eq!(decide(access, Describe), describe, "{access:?}");
            assert_eq!(decide(access, View), view, "{access:?}");
        }
    }
}
