//! `loggia purge`: have everything dropped that is kept of a source or of one item.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::{Config, Failure, find_source};
use crate::assemble;
use crate::http::PublicUrl;
use crate::iiif::address::Address;
use crate::serve::purge::Purged;
use crate::settings::Settings;
use crate::settings::load::Environment;
use crate::telemetry;
use crate::units::Bytes;

/// How long the gateway may take to let us in.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long it may take: longer than the steps that it bounds itself, several of which may wait for each other.
const LONGEST: Duration = Duration::from_secs(300);

/// Arguments of `purge`.
#[derive(Debug, clap::Args)]
pub(super) struct Purge {
    /// The source, as the settings name it
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The item or one of its images, as the source names it; all of the source where it is absent
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: Option<String>,
    #[command(flatten)]
    config: Config,
}

impl Purge {
    pub(super) fn run(&self, environment: &Environment, out: &mut impl Write) -> Result<(), Failure> {
        let settings = Settings::load(&self.config.file, environment)?;
        find_source(&settings, &self.source)?;
        telemetry::log(&settings.log.brief()).map_err(Failure::other)?;
        let purged = super::runtime()?.block_on(self.purge(&settings))?;
        report(&purged, out)?;
        match purged.failed.as_slice() {
            [] => Ok(()),
            failed => Err(Failure::Source(format!("not everything is purged:\n  {}", failed.join("\n  ")))),
        }
    }

    /// At the gateway, if one listens where the settings say; else where it would keep things.
    async fn purge(&self, settings: &Settings) -> Result<Purged, Failure> {
        if let Some(admin) = settings.server.admin
            && let Some(purged) = self.ask(admin).await?
        {
            return Ok(purged);
        }
        let purged = assemble::purge(settings, &self.source, self.id.as_deref()).await;
        purged.map_err(Failure::other)?.ok_or_else(|| {
            Failure::Source(format!(
                "a gateway (or `warm`) works with `{}` and cannot be told: set `server.admin` for it, or stop it while this runs",
                settings.cache.dir.display()
            ))
        })
    }

    /// What the gateway says that listens there; `None` where nobody does.
    async fn ask(&self, admin: SocketAddr) -> Result<Option<Purged>, Failure> {
        let address = Address::Purge { source: self.source.clone(), item: self.id.clone() };
        let client = reqwest::Client::builder().no_proxy().connect_timeout(CONNECTING).timeout(LONGEST);
        let client = client.build().map_err(Failure::other)?;
        let failed = |what: &str| Failure::Source(format!("the gateway at `{admin}` {what}"));
        let answer = match client.post(format!("{}{address}", PublicUrl::from(admin))).send().await {
            Ok(answer) => answer,
            Err(error) if is_refused(&error) => return Ok(None),
            Err(error) => return Err(failed(&format!("gives no answer: {}", super::chain(error)))),
        };
        let (is_fine, status) = (answer.status().is_success(), answer.status().to_string());
        let body = answer.bytes().await.map_err(|error| failed(&format!("breaks off: {error}")))?;
        let purged = serde_json::from_slice(&body).ok().filter(|_| is_fine);
        purged.map(Some).ok_or_else(|| {
            let told = serde_json::from_slice::<Told>(&body);
            let detail = told.map(|told| format!(": {}", told.detail)).unwrap_or_default();
            failed(&format!("does not purge: it answers `{status}`{detail}"))
        })
    }
}

/// Why it does not, in the words of its problem document.
#[derive(Deserialize)]
struct Told {
    detail: String,
}

/// Whether nobody listens there.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn report(purged: &Purged, out: &mut impl Write) -> std::io::Result<()> {
    let Purged { source, item, part_of, dropped, heard_by, took_ms, .. } = purged;
    match item {
        Some(item) => writeln!(out, "purged `{item}` of source `{source}` in {took_ms} ms")?,
        None => writeln!(out, "purged source `{source}` in {took_ms} ms")?,
    }
    if let Some(whole) = part_of {
        writeln!(out, "  and `{whole}`, the item that an image of this name is part of")?;
    }
    let dropped: Vec<_> = dropped.iter().filter(|(_, dropped)| dropped.entries > 0).collect();
    if dropped.is_empty() {
        writeln!(out, "  nothing was kept of it")?;
    }
    for (place, dropped) in dropped {
        writeln!(out, "  {place:<10}  {:>8}  {}", dropped.entries, Bytes::new(dropped.bytes))?;
    }
    match heard_by {
        Some(gateways) => writeln!(out, "  other gateways that heard of it: {gateways}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Dropped;

    use super::*;

    #[test]
    fn a_report_says_what_went_and_who_heard() {
        let report = |item: Option<&str>, heard_by| {
            let dropped = |entries, bytes| Dropped { entries, bytes };
            let dropped = [("memory", dropped(3, 4096)), ("pyramids", dropped(1, 7_340_032))];
            let purged = Purged {
                source: "maps".to_owned(),
                item: item.map(ToOwned::to_owned),
                part_of: item.and_then(|item| Some(item.rsplit_once('/')?.0.to_owned())),
                dropped: dropped.map(|(place, dropped)| (place.to_owned(), dropped)).into(),
                heard_by,
                failed: Vec::new(),
                took_ms: 12,
            };
            let mut out = Vec::new();
            report(&purged, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        insta::assert_snapshot!(report(Some("a/b.tif"), Some(2)), @r"
        purged `a/b.tif` of source `maps` in 12 ms
          and `a`, the item that an image of this name is part of
          memory             3  4KiB
          pyramids           1  7MiB
          other gateways that heard of it: 2
        ");
        insta::assert_snapshot!(report(None, None), @r"
        purged source `maps` in 12 ms
          memory             3  4KiB
          pyramids           1  7MiB
        ");
    }
}
