//! Logs and metrics: their settings, their set-up, and the names of what `http` counts.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use metrics::{KeyName, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Counter: answered requests by `route` and `status`.
pub const HTTP_REQUESTS: &str = "loggia_http_requests_total";
/// Histogram: seconds from a request's head to its answer's head, by `route`.
pub const HTTP_SECONDS: &str = "loggia_http_request_duration_seconds";
/// Counter: bytes of answers' bodies by `route`, as they left (after compression).
pub const HTTP_BYTES: &str = "loggia_http_response_bytes_total";
/// Counter: answers that were given before and given again as they were.
pub const HTTP_WARM: &str = "loggia_http_warm_total";
/// Counter: requests refused because too many were running.
pub const HTTP_SHED: &str = "loggia_http_shed_total";
/// Counter: requests that ended in a panic.
pub const HTTP_PANICS: &str = "loggia_http_panics_total";
/// Gauge: open connections.
pub const CONNECTIONS: &str = "loggia_connections";

/// The page that explains every metric.
const PAGE: &str = include_str!("../docs/METRICS.md");

/// From a memory hit to a cold rendering that the request timeout ends.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How often histograms are folded; without it their samples pile up between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// `[log]`: how the process tells what it does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How a line looks.
    pub format: Format,
    /// What is told.
    pub level: Level,
}

impl Settings {
    /// For a command that soon ends: the life of its process is no news unless somebody asked for it.
    pub fn brief(&self) -> Self {
        let level = if self.level == Level::default() { Level("warn".into()) } else { self.level.clone() };
        Self { level, ..self.clone() }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// What is logged: a level, with exceptions by module, such as `info,loggia::upstream=debug`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Level(String);

impl Default for Level {
    fn default() -> Self {
        Self("info".into())
    }
}

impl TryFrom<String> for Level {
    type Error = TelemetryError;

    /// The filter's own parser takes any bare word for the name of a module, so that `inof` would
    /// quietly log nothing at all; here a bare word must be a level.
    fn try_from(text: String) -> Result<Self, TelemetryError> {
        let text = text.replace(' ', "");
        let known = |part: &str| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            !level.is_empty() && level.parse::<LevelFilter>().is_ok()
        };
        let wrong = text.split(',').find(|part| !known(part));
        match wrong {
            Some(part) => Err(TelemetryError::Level(part.into())),
            None if EnvFilter::try_new(&text).is_err() => Err(TelemetryError::Level(text)),
            None => Ok(Self(text)),
        }
    }
}

/// Logging or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A level that nobody knows.
    #[error(
        "log level `{0}` is unknown: expected off, error, warn, info, debug or trace, optionally followed by `module=level` pairs"
    )]
    Level(String),
    /// Logging was set up before.
    #[error("logging is already set up in this process")]
    LogTwice,
    /// Metrics were set up before.
    #[error("metrics are already set up in this process")]
    MetricsTwice,
}

/// Sends log lines to standard error from here on; standard output is left to the commands.
pub fn log(settings: &Settings) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(&settings.level.0).map_err(|_| TelemetryError::Level(settings.level.0.clone()))?;
    // Colours are for eyes: a file or a journal would keep them as noise.
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(colours);
    match settings.format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|_| TelemetryError::LogTwice)
}

/// Counts everything from here on. The handle renders the counts on demand; [`upkeep`] must run beside it.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    let recorder = recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsTwice)?;
    Ok(handle)
}

/// The recorder behind [`metrics()`], not yet installed: a test installs it for itself alone.
pub fn recorder() -> PrometheusRecorder {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
        .expect("the list of buckets is not empty")
        .build_recorder();
    PAGE.lines().for_each(|line| describe(&recorder, line));
    recorder
}

/// Tells what a metric means, from its row of the page: `| name | kind | labels | meaning |`.
fn describe(recorder: &impl Recorder, row: &'static str) {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [name, kind, _, meaning] = cells[..] else { return };
    let (name, meaning) = (KeyName::from(name.trim_matches('`')), meaning.into());
    match kind {
        "counter" => recorder.describe_counter(name, None, meaning),
        "gauge" => recorder.describe_gauge(name, None, meaning),
        "histogram" => recorder.describe_histogram(name, None, meaning),
        _ => {}
    }
}

/// Folds histograms for as long as it is polled.
pub async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_refuse_unknown_keys() {
        let settings: Settings = toml::from_str("").unwrap();
        assert_eq!((settings.format, settings.level), (Format::Text, Level("info".into())));
        let settings: Settings =
            toml::from_str("format = 'json'\nlevel = 'warn,loggia::http=debug'").unwrap();
        assert_eq!((settings.format, settings.level.0.as_str()), (Format::Json, "warn,loggia::http=debug"));
        insta::assert_snapshot!(toml::from_str::<Settings>("colour = true").unwrap_err().message(), @"unknown field `colour`, expected `format` or `level`");
        insta::assert_snapshot!(toml::from_str::<Settings>("format = 'xml'").unwrap_err().message(), @"unknown variant `xml`, expected `text` or `json`");
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        for (text, good) in [
            ("info", true),
            ("OFF", true),
            ("warn, loggia::upstream=trace", true),
            ("inof", false),
            ("", false),
            ("info,", false),
            ("loggia=loud", false),
            ("info,loggia[", false),
        ] {
            assert_eq!(Level::try_from(text.to_owned()).is_ok(), good, "{text}");
        }
        insta::assert_snapshot!(Level::try_from("inof".to_owned()).unwrap_err(), @"log level `inof` is unknown: expected off, error, warn, info, debug or trace, optionally followed by `module=level` pairs");
    }

    #[test]
    fn seconds_are_told_as_a_histogram() {
        let recorder = recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!(HTTP_SECONDS, "route" => "image").record(0.004);
        });
        let text = handle.render();
        let help = "# HELP loggia_http_request_duration_seconds Time from a request's head to the head of its answer.";
        assert!(text.contains(help), "{text}");
        assert!(
            text.contains(r#"loggia_http_request_duration_seconds_bucket{route="image",le="0.005"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"loggia_http_request_duration_seconds_bucket{route="image",le="0.0025"} 0"#),
            "{text}"
        );
    }
}
