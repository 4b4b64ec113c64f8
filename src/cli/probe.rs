//! `loggia probe`: ask a source for one item and show what comes of it.

use std::io::Write;

use super::{Config, Failure};
use crate::assemble;
use crate::settings::Settings;
use crate::settings::load::Environment;

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
        let probed = super::runtime()?.block_on(assemble::probe(&settings, &self.source, &self.id));
        let probed = probed.map_err(|error| Failure::Source(format!("{error:#}")))?;
        writeln!(out, "record\n{:#}\n\nmanifest\n{:#}", probed.record, probed.manifest)?;
        Ok(())
    }
}
