//! Which adapters there are and what each wants to know of a source.

use crate::adapter::declared::{BUILTIN, Definition};
use crate::settings::check::Adapters;
use crate::settings::inputs::{self, Input, Kind, Need};
use crate::settings::problem::{Key, Problem};

/// What the folder driver wants to know.
const FOLDER: &[Input<'static>] = &[Input { name: "path", kind: Kind::Text, need: Need::Required }];
const NAMES: &[&str] = &["folder", "mediawiki", "omeka-classic", "omeka-s", "resourcespace"];

/// What settings are held to.
pub(super) fn known() -> Adapters<'static> {
    Adapters { names: NAMES, inputs: &problems }
}

fn problems(adapter: &str, given: &toml::Table) -> Vec<Problem> {
    match BUILTIN.iter().find(|(name, _)| *name == adapter) {
        Some((name, text)) => declared(name, text, given),
        None => inputs::check(FOLDER, given),
    }
}

fn declared(name: &str, text: &str, given: &toml::Table) -> Vec<Problem> {
    let problem = |key: &str, message| Problem::new(Key::of([key]), message);
    match Definition::parse(&format!("{name}.toml"), text) {
        Ok(definition) => {
            definition.check_settings(given).iter().map(|p| problem(&p.key, p.message.clone())).collect()
        }
        Err(error) => vec![problem("adapter", error.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_listed_by_name() {
        assert!(BUILTIN.iter().map(|(name, _)| name).eq(NAMES.iter().filter(|name| **name != "folder")));
    }
}
