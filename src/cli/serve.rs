//! `loggia serve`: stand there and answer, until told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Config, Failure, chain, open_files};
use crate::http::PublicUrl;
use crate::http::listen::ListenError;
use crate::iiif::address::{Address, Place};
use crate::iiif::presentation::Version;
use crate::serve::present::Uris;
use crate::settings::Settings;
use crate::settings::load::Environment;
use crate::store::StoreError;
use crate::{assemble, telemetry};

/// How long work that nobody waits for any more may take to end.
pub(super) const LAST: Duration = Duration::from_secs(2);

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: Config,
}

impl Serve {
    pub(super) fn run(&self, environment: &Environment, out: &mut impl Write) -> Result<(), Failure> {
        let settings = Settings::load(&self.config.file, environment)?;
        telemetry::log(&settings.log).map_err(Failure::other)?;
        open_files::raise();
        if let Some(shortage) = open_files::shortage(&settings.server) {
            tracing::warn!("{shortage}");
        }
        let metrics = telemetry::metrics().map_err(Failure::other)?;
        let runtime = super::runtime()?;
        let served = runtime.block_on(async {
            let upkeep = tokio::spawn(telemetry::upkeep(metrics.clone()));
            let started =
                |address, operators, public: &PublicUrl| announce(&settings, address, operators, public, out);
            let served = assemble::serve(&settings, metrics, stop()?, started).await;
            upkeep.abort();
            served.map_err(failure)
        });
        // What still blocks now (a dead network mount) must not keep the process.
        runtime.shutdown_timeout(LAST);
        served
    }
}

/// The folder is the one thing that only `serve` makes; the store knows it, but not its key.
fn failure(error: anyhow::Error) -> Failure {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Failure::Other(format!("`cache.dir`: {error}"));
    }
    match error.is::<ListenError>() {
        true => Failure::Address(chain(error)),
        false => Failure::other(error),
    }
}

/// Ends when the process is told to: Ctrl-C, or a polite kill.
pub(super) fn stop() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// What to open now. A closed standard output is no reason not to serve.
fn announce(
    settings: &Settings,
    address: SocketAddr,
    operators: Option<SocketAddr>,
    public: &PublicUrl,
    out: &mut impl Write,
) {
    let uris = Uris::new(public.as_str());
    let collection = |place| uris.print(&Address::Collection { version: Version::V3, place, part: None });
    let mut lines = format!("Loggia listens at {address}, known as {public}\n");
    if let Some(operators) = operators {
        lines += &format!("For operators it listens at {operators}\n");
    }
    lines += "\n";
    lines += &format!("  everything      {}\n", collection(Place::Top));
    for name in settings.sources.keys() {
        lines += &format!("  {name:<14}  {}\n", collection(Place::Source { source: name.clone() }));
    }
    lines += "\nOpen one of these in a IIIF viewer, or follow a manifest in it. Ctrl-C stops.\n";
    for remark in settings.remarks(public) {
        lines += &format!("\nnote: {}\n", remark.paragraph());
    }
    let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_told_how_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loggia.toml");
        let text = format!(
            "[server]\nlisten = '0.0.0.0:80'\n[sources.maps]\nadapter = 'folder'\npath = '{}'\n",
            folder.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let settings = Settings::load(&file, &Environment::default()).unwrap();
        let (address, mut out) = (settings.server.listen, Vec::new());
        let operators = SocketAddr::from(([127, 0, 0, 1], 9090));
        announce(&settings, address, Some(operators), &settings.server.public_url(address), &mut out);
        let out = String::from_utf8(out).unwrap();
        let first = "Loggia listens at 0.0.0.0:80, known as http://127.0.0.1:80\nFor operators it listens at 127.0.0.1:9090\n\n";
        assert!(out.starts_with(first), "{out}");
        let note = out.split_once("\nnote: ").unwrap().1;
        assert!(note.contains("`server.public_url`") && note.contains("`http://127.0.0.1:80`"), "{note}");
    }
}
