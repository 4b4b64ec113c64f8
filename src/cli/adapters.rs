//! Which adapters there are and what each wants to know of a source.

use crate::settings::check::Adapters;
use crate::settings::inputs::Kind::{List, Secret, Text, Url};
use crate::settings::inputs::Need::{Optional, Required};
use crate::settings::inputs::{self, Input, Kind, Need};
use crate::settings::problem::Problem;

/// Name and inputs of each adapter.
const ADAPTERS: &[(&str, &[Input<'static>])] = &[
    ("folder", &[input("path", Text, Required)]),
    ("mediawiki", &[input("base", Url, Required)]),
    (
        "resourcespace",
        &[
            input("base", Url, Required),
            input("user", Text, Required),
            input("api_key", Secret, Required),
            input("label_field", Text, Optional),
            input("summary_field", Text, Optional),
            input("rights_field", Text, Optional),
            input("hidden_fields", List, Optional),
        ],
    ),
    ("omeka-classic", &[input("base", Url, Required), input("key", Secret, Optional)]),
    (
        "omeka-s",
        &[
            input("base", Url, Required),
            input("key_identity", Secret, Optional),
            input("key_credential", Secret, Optional),
        ],
    ),
];
const NAMES: &[&str] = &["folder", "mediawiki", "resourcespace", "omeka-classic", "omeka-s"];

const fn input(name: &str, kind: Kind, need: Need) -> Input<'_> {
    Input { name, kind, need }
}

/// What settings are held to.
pub(super) fn known() -> Adapters<'static> {
    Adapters { names: NAMES, inputs: &problems }
}

fn problems(adapter: &str, given: &toml::Table) -> Vec<Problem> {
    let declared = ADAPTERS.iter().find(|(name, _)| *name == adapter);
    declared.map_or_else(Vec::new, |(_, declared)| inputs::check(declared, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adapter_is_listed_by_name() {
        assert!(ADAPTERS.iter().map(|(name, _)| name).eq(NAMES));
    }
}
