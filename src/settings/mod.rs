//! All settings in one struct: composed of the modules' own, read by [`load`], held to rules by [`check`].

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

pub mod check;
mod document;
mod fault;
pub mod inputs;
pub mod load;
pub mod problem;
pub mod source;
mod value;

use check::Adapters;
use load::{Environment, Report};
use source::Source;

use crate::serve::offer::ImageSettings;
use crate::{http, imaging, store, telemetry};

/// A whole settings file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the gateway listens and under which address others reach it.
    pub server: http::Settings,
    /// What it tells about its work.
    pub log: telemetry::Settings,
    /// What it keeps.
    pub cache: store::Settings,
    /// What it may use.
    pub limits: imaging::Settings,
    /// How images are offered.
    pub image: ImageSettings,
    /// The systems behind it, in the order of the file.
    pub sources: IndexMap<String, Source>,
    /// The folder of the settings file: relative paths of sources begin here.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Settings {
    /// Reads a file and the environment over it, and holds both to every rule. Opens no socket.
    pub fn load(file: &Path, environment: &Environment, adapters: &Adapters<'_>) -> Result<Self, Report> {
        let folder = file.parent().unwrap_or(Path::new(""));
        load::read::<Self>(file, environment)?
            .map(|settings| settings.settle_in(folder))
            .check(|settings| check::check(settings, adapters))
    }

    /// Relative paths of sources begin at the folder of the file, wherever the gateway was started.
    fn settle_in(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        for source in self.sources.values_mut() {
            source.ca_file = source.ca_file.take().map(|file| folder.join(file));
        }
        self
    }
}
