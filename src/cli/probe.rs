//! `loggia probe`: ask a source for one item and show what comes of it.

use std::io::{Write, stderr};

use super::{Config, Failure};
use crate::adapter::AdapterError;
use crate::serve::ServeError;
use crate::settings::Settings;
use crate::settings::load::Environment;
use crate::{assemble, telemetry};

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
        super::find_source(&settings, &self.source)?;
        telemetry::log(&settings.log.brief()).map_err(Failure::other)?;
        let probed = super::runtime()?.block_on(assemble::probe(&settings, &self.source, &self.id));
        let probed = probed.map_err(|error| self.failure(error))?;
        writeln!(out, "record\n{:#}\n\nmanifest\n{:#}", probed.record, probed.manifest)?;
        if !settings.server.knows_its_address() {
            writeln!(
                stderr(),
                "note: `server.listen` leaves the port to the system, so addresses in this manifest have port 0"
            )?;
        }
        for (media, why) in &probed.unreadable {
            writeln!(stderr(), "not readable: `{media}`: {why}")?;
        }
        match probed.unreadable.is_empty() || probed.readable > 0 {
            true => Ok(()),
            false => Err(Failure::Source(format!("no image of `{}` can be read", self.id))),
        }
    }

    /// That there is no such item is an answer.
    fn failure(&self, error: anyhow::Error) -> Failure {
        let Self { source, id, .. } = self;
        match (error.downcast_ref(), error.downcast_ref()) {
            (Some(AdapterError::NotFound(_)), _) => {
                Failure::Other(format!("source `{source}`: there is no item `{id}`"))
            }
            (Some(AdapterError::Denied(_)), _) => Failure::Other(format!("source `{source}`: {error}")),
            // They name it themselves.
            (Some(AdapterError::Upstream(_)), _) => Failure::Source(error.to_string()),
            (Some(_), _) => Failure::Source(format!("source `{source}`: {error}")),
            (None, None | Some(ServeError::Internal(_))) => Failure::other(error),
            (None, Some(_)) => Failure::Source(error.to_string()),
        }
    }
}
