//! What shall be dropped: all that is kept of one source, or of one item of it.

use std::collections::HashSet;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::push;

/// The item of keys that belong to a source as a whole: its lists.
pub const LISTS: &str = "";

/// All of a source, or all of one of its items with the lists that may name it.
///
/// A key tells where it belongs: `{kind}/{source}/{identity}/{item}/…`. The kind and the identity do not matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    source: String,
    items: Option<HashSet<String>>,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many.
    pub entries: u64,
    /// How large all together.
    pub bytes: u64,
}

impl Scope {
    /// All that is kept of a source, or of one item.
    pub fn new(source: &str, item: Option<&str>) -> Self {
        let items = item.map(|item| [item, LISTS].map(part).into());
        Self { source: part(source), items }
    }

    /// Takes in what another one of the same source holds.
    pub fn join(&mut self, other: Self) {
        self.items = self.items.take().zip(other.items).map(|(own, theirs)| &own | &theirs);
    }

    /// Whether a key belongs to it.
    pub fn holds(&self, key: &str) -> bool {
        let (source, item) = owners(key);
        source == self.source && self.items.as_ref().is_none_or(|items| items.contains(item))
    }

    /// The source as keys have it, and the items where not all are meant.
    pub(super) fn parts(&self) -> (&str, Option<&HashSet<String>>) {
        (&self.source, self.items.as_ref())
    }
}

/// The source and the item that a key belongs to, as the key has them.
pub(super) fn owners(key: &str) -> (&str, &str) {
    let mut parts = key.split('/').skip(1);
    let source = parts.next().unwrap_or_default();
    (source, parts.nth(1).unwrap_or_default())
}

/// A text as keys have it.
fn part(text: &str) -> String {
    let mut part = String::new();
    push(&mut part, text);
    part
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, more: Self) {
        self.entries += more.entries;
        self.bytes += more.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Key;

    #[test]
    fn a_key_belongs_to_its_source_and_its_item() {
        let (all, one) = (Scope::new("maps", None), Scope::new("maps", Some("a/b%.tif")));
        for (parts, in_all, in_one) in [
            (&["image", "maps", "x", "a/b%.tif", "a/b%.tif", "7"][..], true, true),
            (&["record", "maps", "", "a/b%.tif"], true, true),
            (&["collection", "maps", "x", LISTS, "a"], true, true),
            (&["image", "maps", "x", "a/b%.tif2", "a/b%.tif"], true, false),
            (&["image", "maps", "x", "a", "b%.tif"], true, false),
            (&["image", "maps2", "x", "a/b%.tif"], false, false),
            (&["maps", "image", "maps", "a/b%.tif"], false, false),
            (&["epoch", "", "maps", "a/b%.tif"], false, false),
            (&["maps"], false, false),
        ] {
            let key = Key::new(parts.iter().copied());
            assert_eq!((all.holds(key.as_str()), one.holds(key.as_str())), (in_all, in_one), "{key}");
        }
    }

    #[test]
    fn scopes_of_a_source_are_joined() {
        let (mut all, mut some) = (Scope::new("maps", None), Scope::new("maps", Some("a")));
        some.join(Scope::new("maps", Some("b")));
        let held = |scope: &Scope| {
            ["a", "b", "c", LISTS].map(|item| scope.holds(Key::new(["image", "maps", "", item, ""]).as_str()))
        };
        assert_eq!(held(&some), [true, true, false, true]);
        all.join(some.clone());
        some.join(all.clone());
        assert_eq!((held(&all), held(&some)), ([true; 4], [true; 4]));
    }
}
