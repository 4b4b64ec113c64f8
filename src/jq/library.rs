//! The filters that expressions may call, and which of them one expression needs.

use std::collections::HashSet;
use std::sync::LazyLock;

use jaq_core::load::parse::{Def, Term};
use jaq_core::native::Fun;
use jaq_core::{data, load};

use super::value::Value;
use super::{builtin, prelude, refuse};

/// What filters work on: our values, and nothing of the world outside.
pub(super) type Values = data::JustLut<Value>;

/// Native filters of the standard library that no expression can reach, not even through its definitions.
const REMOVED: [&str; 7] =
    ["debug_empty", "env", "halt", "localtime", "now", "stderr_empty", "strflocaltime"];

/// Regular expressions under names that only `regex.jq` says, after it looked at their size.
const REGEX: [(&str, &str); 3] = [
    ("matches", "matches_unbounded"),
    ("split_matches", "split_matches_unbounded"),
    ("split_", "split_unbounded"),
];

/// All definitions, each after those that it calls. Parsed once: that takes longer than all the rest of compiling.
static DEFINITIONS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    let ours =
        |text| load::parse(text, |parser| parser.defs()).expect("our definitions parse, a test reads them");
    let standard = jaq_std::defs().filter(|definition| definition.name != "isnan");
    let first = ours(include_str!("regex.jq"));
    let last = ours(include_str!("prelude.jq"));
    first.into_iter().chain(jaq_core::defs()).chain(standard).chain(last).collect()
});

/// The definitions that `term` needs, in their order.
///
/// Compiling all of them for every expression costs more than a hundred times as much.
pub(super) fn definitions(term: &Term<&str>) -> Vec<Def<&'static str>> {
    let mut wanted = HashSet::from(["empty", "!empty"]);
    collect(term, &mut |name| {
        wanted.insert(name);
    });
    let mut found: Vec<_> = DEFINITIONS
        .iter()
        .rev()
        .filter(|definition| {
            let needed = wanted.contains(definition.name);
            if needed {
                collect(&definition.body, &mut |name| {
                    wanted.insert(name);
                });
            }
            needed
        })
        .cloned()
        .collect();
    found.reverse();
    found
}

fn collect<'s>(term: &Term<&'s str>, see: &mut dyn FnMut(&'s str)) {
    refuse::names(term).for_each(&mut *see);
    refuse::parts(term, &mut |part| collect(part, see));
}

/// The native filters.
pub(super) fn natives() -> impl Iterator<Item = Fun<Values>> {
    let renamed = |(name, arguments, run): Fun<Values>| {
        let name = REGEX.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
        (name, arguments, run)
    };
    let standard = jaq_std::funs().filter(|(name, ..)| !REMOVED.contains(name)).map(renamed);
    prelude::natives().chain(builtin::natives()).chain(jaq_core::funs()).chain(standard)
}
