//! `loggia check`: everything that is wrong with the settings, or what they add up to.

use std::io::Write;

use super::{Config, Failure, open_files};
use crate::adapter::input::Kind;
use crate::settings::Settings;
use crate::settings::load::Environment;
use crate::settings::source::Source;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: Config,
}

impl Check {
    pub(super) fn run(&self, environment: &Environment, out: &mut impl Write) -> Result<(), Failure> {
        let settings = Settings::load(&self.config.file, environment)?;
        writeln!(out, "`{}` is fine", self.config.file.display())?;
        summary(&settings, out)?;
        for remark in settings.remarks(&settings.server.public_url(settings.server.listen)) {
            writeln!(out, "\nnote: {}", remark.paragraph())?;
        }
        if let Some(shortage) = open_files::shortage(&settings.server) {
            writeln!(out, "\nnote: {shortage}")?;
        }
        Ok(())
    }
}

fn summary(settings: &Settings, out: &mut impl Write) -> std::io::Result<()> {
    let Settings { server, cache, sources, .. } = settings;
    let known = match server.knows_its_address() {
        true => format!("known as {}", server.public_url(server.listen)),
        false => "known as soon as it has a port".to_owned(),
    };
    writeln!(out, "  listens at  {}, {known}", server.listen)?;
    writeln!(out, "  keeps       {} in memory, {} in {}", cache.memory, cache.disk, cache.dir.display())?;
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let names = widest(&mut sources.keys().map(String::len));
    let adapters = widest(&mut sources.values().map(|source| source.adapter.len()));
    for (at, (name, source)) in sources.iter().enumerate() {
        let title = if at == 0 { "serves" } else { "" };
        let place = place(settings, source).unwrap_or_default();
        writeln!(out, "  {title:<10}  {name:<names$}  {:<adapters$}  {place}", source.adapter)?;
    }
    Ok(())
}

/// Where a system is: the folder or the address that its source gives.
fn place<'s>(settings: &'s Settings, source: &'s Source) -> Option<&'s str> {
    let inputs = settings.catalogue.get(&source.adapter)?.inputs();
    let place = inputs.iter().find(|input| matches!(input.kind, Kind::Folder | Kind::Url))?;
    source.inputs.get(place.name)?.as_str()
}
