//! Which adapters there are: the drivers in code, the definitions that come along, and those of a folder.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use super::declared::{BUILTIN, Definition, DefinitionError};
use super::folder;
use super::input::Input;

/// The name of the driver that serves a folder.
const FOLDER: &str = "folder";

/// The adapters, by the name that settings use.
#[derive(Clone)]
pub struct Catalogue(BTreeMap<String, Driver>);

/// What brings a source to life.
#[derive(Clone, Debug)]
pub enum Driver {
    /// A directory tree of masters.
    Folder,
    /// A remote system that a definition describes.
    Declared(Arc<Definition>),
}

/// A file in a folder of definitions that is none.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unusable {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    #[source]
    pub error: UnusableError,
}

/// Why a file is no definition.
#[derive(Debug, thiserror::Error)]
pub enum UnusableError {
    /// It cannot be read as text.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It breaks a rule of the language.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// Its name belongs to a driver that is code.
    #[error("`{0}` is a driver in code that no definition can replace, expected another name")]
    Taken(String),
}

impl Unusable {
    /// The adapter that the file would have been.
    pub fn name(&self) -> &str {
        stem(&self.file)
    }
}

impl Default for Catalogue {
    /// What comes with the gateway.
    fn default() -> Self {
        static DEFINITIONS: LazyLock<Vec<Arc<Definition>>> = LazyLock::new(|| {
            let parse = |(name, text): &(&str, &str)| Definition::parse(&format!("{name}.toml"), text);
            let definition = |built_in| parse(built_in).expect("a test reads each of them");
            BUILTIN.iter().map(|built_in| Arc::new(definition(built_in))).collect()
        });
        let folder = (FOLDER.to_owned(), Driver::Folder);
        let declared = DEFINITIONS
            .iter()
            .map(|definition| (definition.adapter.name.clone(), Driver::Declared(Arc::clone(definition))));
        Self(std::iter::once(folder).chain(declared).collect())
    }
}

impl Catalogue {
    /// What comes with the gateway, and every `*.toml` in a folder: each adds an adapter, or replaces
    /// the one of its name. Files that are no definitions are handed back; they replace nothing.
    pub fn with_folder(folder: &Path) -> io::Result<(Self, Vec<Unusable>)> {
        let mut catalogue = Self::default();
        let mut unusable = Vec::new();
        for file in definitions(folder)? {
            match read(&file) {
                Ok(definition) => {
                    let name = definition.adapter.name.clone();
                    catalogue.0.insert(name, Driver::Declared(Arc::new(definition)));
                }
                Err(error) => unusable.push(Unusable { file, error }),
            }
        }
        Ok((catalogue, unusable))
    }

    /// Every name that `adapter = …` may give.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The adapter of that name.
    pub fn get(&self, name: &str) -> Option<&Driver> {
        self.0.get(name)
    }
}

impl Driver {
    /// What a source of this kind has to say, and may.
    pub fn inputs(&self) -> Vec<Input<'_>> {
        match self {
            Self::Folder => folder::INPUTS.to_vec(),
            Self::Declared(definition) => definition.inputs().collect(),
        }
    }
}

impl fmt::Debug for Catalogue {
    /// The names only: a definition fills pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Every `*.toml` of a folder, by name. Editors leave dot-files behind.
fn definitions(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<PathBuf>> = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect();
    let is_definition = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "toml") && !stem(path).starts_with('.')
    };
    let mut files: Vec<PathBuf> = paths?.into_iter().filter(is_definition).collect();
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Definition, UnusableError> {
    if stem(file) == FOLDER {
        return Err(UnusableError::Taken(FOLDER.to_owned()));
    }
    let text = std::fs::read_to_string(file)?;
    Ok(Definition::parse(&file.display().to_string(), &text)?)
}

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::declared::builtin;

    #[test]
    fn what_comes_along_is_there_by_name() {
        let catalogue = Catalogue::default();
        assert_eq!(catalogue.names(), ["folder", "mediawiki", "omeka-classic", "omeka-s", "resourcespace"]);
        for name in catalogue.names() {
            assert!(!catalogue.get(name).unwrap().inputs().is_empty(), "{name}");
        }
        assert!(catalogue.get("unheard-of").is_none());
    }

    #[test]
    fn a_folder_adds_and_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let own = builtin("omeka-s").unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "omeka-s.toml",
            &own.replace("[settings]", "[settings]\ntenant = { type = \"string\", required = true }"),
        );
        write("archive.toml", &own.replace("name = \"omeka-s\"", "name = \"archive\""));
        write("notes.txt", "no definition");
        write(".#archive.toml", "left behind by an editor");
        let (catalogue, unusable) = Catalogue::with_folder(folder.path()).unwrap();
        assert!(unusable.is_empty(), "{unusable:?}");
        assert!(catalogue.get("archive").is_some());
        let tenant = |catalogue: &Catalogue| {
            catalogue.get("omeka-s").unwrap().inputs().iter().any(|input| input.name == "tenant")
        };
        assert!(tenant(&catalogue) && !tenant(&Catalogue::default()));
    }

    #[test]
    fn files_that_are_no_definitions_are_handed_back() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a.toml", "[adapter]"), ("b.toml", builtin("omeka-s").unwrap()), ("folder.toml", "")]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let (catalogue, unusable) = Catalogue::with_folder(folder.path()).unwrap();
        assert_eq!(catalogue.names(), Catalogue::default().names());
        let names: Vec<&str> = unusable.iter().map(Unusable::name).collect();
        assert_eq!(names, ["a", "b", "folder"]);
        assert!(unusable[1].to_string().ends_with("`adapter.name`: expected the name of the file"));
    }
}
