//! `loggia probe`: ask a source for one item and show what comes of it.

use std::io::Write;

use super::{Config, Failure};
use crate::assemble;
use crate::serve::ServeError;
use crate::settings::Settings;
use crate::settings::load::Environment;
use crate::settings::problem::{Key, Problem};

/// Arguments of `probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Probe {
    /// The source, as the settings name it
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The item, as the source names it: a path, a page title, a number
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    config: Config,
}

impl Probe {
    pub(super) fn run(&self, environment: &Environment, out: &mut impl Write) -> Result<(), Failure> {
        let settings = Settings::load(&self.config.file, environment)?;
        if !settings.sources.contains_key(&self.source) {
            let names: Vec<&str> = settings.sources.keys().map(String::as_str).collect();
            let unknown = Problem::unlisted(Key::default(), "source", &self.source, &names);
            return Err(Failure::Usage(unknown.paragraph()));
        }
        let probed = super::runtime()?.block_on(assemble::probe(&settings, &self.source, &self.id));
        let probed = probed.map_err(|error| self.failure(error))?;
        writeln!(out, "record\n{:#}\n\nmanifest\n{:#}", probed.record, probed.manifest)?;
        Ok(())
    }

    /// That there is no such item is an answer.
    fn failure(&self, error: anyhow::Error) -> Failure {
        match error.downcast_ref::<ServeError>() {
            Some(ServeError::NotFound { .. }) => Failure::Other(format!("source `{}`: {error}", self.source)),
            Some(ServeError::Internal(_)) | None => Failure::other(error),
            Some(answered) => Failure::Source(answered.to_string()),
        }
    }
}
