//! The engine that runs a definition file: a remote system costs one TOML, not Rust.

mod ask;
mod auth;
mod check;
mod definition;
mod engine;
mod expression;
mod field;
mod file;
mod inputs;
mod judge;
mod mapping;
mod media_id;
mod paging;
mod request;
mod template;

pub use definition::{About, Definition, DefinitionError};
pub use engine::Declared;
pub use inputs::SiteError;

macro_rules! builtin {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../adapters/", $name, ".toml")))),+]
    };
}

/// The definitions that come with the gateway: name and text, by name.
pub const BUILTIN: &[(&str, &str)] = builtin!["mediawiki", "omeka-classic", "omeka-s", "resourcespace"];

/// The text of a definition that comes with the gateway.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_that_comes_along_loads() {
        for (name, text) in BUILTIN {
            if let Err(error) = Definition::parse(&format!("{name}.toml"), text) {
                panic!("{error}");
            }
        }
        assert!(builtin("mediawiki").is_some() && builtin("unheard-of").is_none());
    }
}
