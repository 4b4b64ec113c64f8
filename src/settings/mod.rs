//! All settings in one struct: composed of the modules' own, read by [`load`], held to rules by `check`.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

mod bounds;
mod bucket;
mod cache;
mod check;
mod document;
mod fault;
mod inputs;
pub mod load;
pub mod problem;
mod redis;
pub mod source;
mod value;

use inputs::Written;
use load::{Environment, Origin, Report};
use problem::{Key, Problem};
use source::Source;
use value::Surroundings;

use crate::adapter::catalogue::{Catalogue, Unusable};
use crate::http::PublicUrl;
use crate::serve::offer::ImageSettings;
use crate::{http, imaging, store, telemetry};

/// A path that would lead to wherever it begins.
const NO_PATH: &str = "expected the path of a folder, found nothing";

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
    /// Where several gateways keep together what each would keep for itself.
    pub redis: store::redis::Settings,
    /// What it may use.
    pub limits: imaging::Settings,
    /// How images are offered.
    pub image: ImageSettings,
    /// A folder of definitions beside those that come along; starts at the folder of the settings file.
    pub adapters: Option<PathBuf>,
    /// The systems behind it, in the order of the file.
    pub sources: IndexMap<String, Source>,
    /// The adapters that there are, those of the folder included.
    #[serde(skip)]
    pub catalogue: Catalogue,
}

impl Settings {
    /// Reads a file and the environment over it, and holds both to every rule. Opens no socket.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, Report> {
        let around = Surroundings { folder: file.parent().unwrap_or(Path::new("")), environment };
        load::read::<Self>(file, environment)?
            .complete(|settings, origin| settings.settle_in(around, origin))
            .check(check::check)
    }

    /// What is no mistake and yet worth knowing, of a gateway that clients reach at this address.
    pub fn remarks(&self, public: &PublicUrl) -> Vec<Problem> {
        check::remarks(self, public)
    }

    /// Relative paths begin at the folder of the file, wherever the gateway was started, and the
    /// inputs of each source become what its adapter declares.
    fn settle_in(&mut self, around: Surroundings<'_>, origin: &Origin) -> Vec<Problem> {
        let (unusable, mut problems) = self.read_adapters(around.folder);
        self.redis.password_file = self.redis.password_file.take().map(|file| around.folder.join(file));
        for (name, source) in &mut self.sources {
            source.ca_file = source.ca_file.take().map(|file| around.folder.join(file));
            let table = Key::of(["sources", name]);
            // Of a definition that has to be mended first, nobody knows what it will declare.
            if unusable.iter().any(|file| file.name() == source.adapter) {
                continue;
            }
            let found = match self.catalogue.get(&source.adapter) {
                Some(driver) => inputs::read(&driver.inputs(), &mut source.inputs, around, |input| {
                    let variable = origin.is_variable(&table.clone().join(&Key::of([input])));
                    if variable { Written::Variable } else { Written::File }
                }),
                None => {
                    let names = self.catalogue.names();
                    vec![Problem::unlisted(Key::of(["adapter"]), "adapter", &source.adapter, &names)]
                }
            };
            problems.extend(found.into_iter().map(|problem| problem.within(&table)));
        }
        problems
    }

    /// Adds the adapters of the operator's own folder.
    fn read_adapters(&mut self, beside: &Path) -> (Vec<Unusable>, Vec<Problem>) {
        let Some(folder) = &mut self.adapters else { return Default::default() };
        let key = Key::of(["adapters"]);
        if folder.as_os_str().is_empty() {
            return (Vec::new(), vec![Problem::new(key, NO_PATH)]);
        }
        *folder = beside.join(&*folder);
        match Catalogue::with_folder(folder) {
            Ok((catalogue, unusable)) => {
                self.catalogue = catalogue;
                let problem = |file: &Unusable| {
                    Problem::new(key.clone(), format!("`{}` cannot be used", file.file.display()))
                        .hint(file.to_string())
                };
                let problems = unusable.iter().map(problem).collect();
                (unusable, problems)
            }
            Err(error) => {
                let sentence = format!("cannot read the folder `{}`: {error}", folder.display());
                (Vec::new(), vec![Problem::new(key, sentence)])
            }
        }
    }
}
