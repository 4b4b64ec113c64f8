//! Everything that the gateway sends to remote systems: one [`Upstream`] per configured source,
//! one tower stack per remote host behind it.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use reqwest::dns::Resolve;
use serde::Deserialize;
use tokio::time::Instant;
use tower::ServiceExt;
use url::Url;

mod addresses;
mod body;
mod breaker;
#[cfg(test)]
mod doubles;
mod error;
#[cfg(test)]
mod faults;
mod follow;
mod guard;
mod message;
pub mod metrics;
mod pace;
mod retry;
mod stack;
mod wire;

use error::Cause;
use guard::{Pattern, SystemNames};
use stack::Call;

pub use error::{Halt, Phase, Place, UpstreamError};
pub use message::{Answer, Redirects, Replay, Request, Wanted};

/// One request in a quarter of an hour is slower than any source asks for; above, no rate is needed.
const RATES: RangeInclusive<f64> = 0.001..=10_000.0;
/// More at a time is an attack.
const CONCURRENCY: RangeInclusive<usize> = 1..=1024;
/// Keeps sums of moments and durations far from overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The way to one configured source. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Upstream {
    source: Arc<str>,
    deadline: Duration,
    route: stack::Route<Cause>,
}

impl Upstream {
    /// Prepares the way to the source called `source`; connects to nothing yet.
    pub fn new(source: &str, settings: Settings) -> Result<Self, UpstreamError> {
        Self::with_names(source, settings, SystemNames)
    }

    /// The same with a name resolution of one's own.
    fn with_names<R>(source: &str, settings: Settings, names: R) -> Result<Self, UpstreamError>
    where
        R: Resolve + 'static,
    {
        if let Some(unusable) = settings.check().first() {
            return Err(UpstreamError::Settings { name: source.to_owned(), problem: unusable.to_string() });
        }
        let (source, deadline) = (source.into(), settings.deadline);
        let route = stack::source(&source, names, settings)?;
        Ok(Self { source, deadline, route })
    }

    /// Asks and returns as soon as the head of the answer is there. Error statuses that are left
    /// after all retries are answers too: what a 404 means is the adapter's to say.
    pub async fn send(&self, request: Request) -> Result<Answer, UpstreamError> {
        let at = Place::new(&self.source, &request.url);
        let call = Call { request, deadline: Instant::now() + self.deadline };
        let elapsed = || UpstreamError::Timeout { at, phase: Phase::Whole, after: self.deadline };
        self.route.clone().oneshot(call).await.map_err(|error| stack::unboxed(error, elapsed))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({})", self.source)
    }
}

/// How one source may be asked. The durations, the agent and the base come from the adapter's
/// definition; an operator writes the rest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address that the operator gave this source. Its host and port may always be asked, at
    /// a private address too: the operator named it.
    #[serde(skip)]
    pub base: Option<Url>,
    /// Other hosts that may be asked: `host` (ports 80 and 443), `host:port`, `*.host` (any name below it).
    pub hosts: Vec<String>,
    /// Whether those other hosts may lie at private, loopback and link-local addresses.
    pub allow_private: bool,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Requests per second towards each host; unlimited if absent.
    pub rate: Option<f64>,
    /// Requests at a time towards each host, counted until the head of the answer.
    pub concurrency: usize,
    /// From asking to the end of a description, or to the head of a file: redirects, retries and waiting included.
    #[serde(skip)]
    pub deadline: Duration,
    /// One attempt, from sending to the head of the answer; always somewhat less than the deadline.
    #[serde(skip)]
    pub attempt_timeout: Duration,
    /// Establishing one connection, TLS included.
    #[serde(skip)]
    pub connect_timeout: Duration,
    /// The whole body of a file, from its first byte to its last.
    #[serde(skip)]
    pub body_timeout: Duration,
    /// Between two pieces of a body.
    #[serde(skip)]
    pub idle_timeout: Duration,
    /// How often a failed attempt is repeated.
    #[serde(skip)]
    pub retries: u32,
    /// How the gateway introduces itself.
    #[serde(skip)]
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: None,
            hosts: Vec::new(),
            allow_private: false,
            ca_file: None,
            rate: None,
            concurrency: 8,
            deadline: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            // A master of two gigabytes over a slow line.
            body_timeout: Duration::from_secs(15 * 60),
            idle_timeout: Duration::from_secs(10),
            retries: 2,
            user_agent: concat!("loggia/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A value that cannot be used, under the key where an operator or an adapter's author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {reason}")]
pub struct Unusable {
    /// The key.
    pub key: &'static str,
    /// The place in the list where that is one.
    pub element: Option<usize>,
    /// What was expected and what was found.
    pub reason: String,
}

impl Settings {
    /// Everything that keeps them from being used. Asks nobody.
    pub fn check(&self) -> Vec<Unusable> {
        let single = [
            ("base", self.base.as_ref().and_then(|base| Pattern::own(base).err())),
            ("ca_file", self.ca_file.as_deref().and_then(|file| wire::certificates(file).err())),
            ("rate", self.rate.and_then(|rate| outside(rate, &RATES, "requests per second"))),
            ("concurrency", outside(self.concurrency, &CONCURRENCY, "requests at a time")),
            ("user_agent", self.unprintable()),
            ("deadline", beyond(self.deadline)),
            ("attempt_timeout", beyond(self.attempt_timeout)),
            ("connect_timeout", beyond(self.connect_timeout)),
            ("body_timeout", beyond(self.body_timeout)),
            ("idle_timeout", beyond(self.idle_timeout)),
        ];
        let single = single.into_iter().map(|(key, reason)| (key, None, reason));
        let hosts = self.hosts.iter().enumerate();
        let hosts = hosts.map(|(at, host)| ("hosts", Some(at), Pattern::parse(host).err()));
        hosts
            .chain(single)
            .filter_map(|(key, element, reason)| Some(Unusable { key, element, reason: reason? }))
            .collect()
    }

    fn unprintable(&self) -> Option<String> {
        let printable = HeaderValue::from_str(&self.user_agent).is_ok();
        (!printable).then(|| format!("expected printable characters, found {:?}", self.user_agent))
    }
}

fn outside<N>(found: N, bounds: &RangeInclusive<N>, what: &str) -> Option<String>
where
    N: PartialOrd + fmt::Display + fmt::Debug,
{
    let (least, most) = (bounds.start(), bounds.end());
    // `1e-300` is not to be told with its zeros.
    (!bounds.contains(&found)).then(|| format!("expected {least} to {most} {what}, found `{found:?}`"))
}

fn beyond(found: Duration) -> Option<String> {
    let usable = !found.is_zero() && found <= LONGEST;
    (!usable).then(|| format!("expected more than 0s and at most a day, found {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn problem(settings: Settings) -> String {
        Upstream::new("maps", settings).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_usable() {
        let upstream = Upstream::new("maps", Settings::default()).unwrap();
        assert_eq!(format!("{upstream:?}"), "Upstream(maps)");
    }

    #[test]
    fn settings_that_cannot_be_used_are_told() {
        let of = Settings::default;
        let rate = |rate| problem(Settings { rate: Some(rate), ..of() });
        insta::assert_snapshot!(rate(0.0), @"source `maps`: `rate`: expected 0.001 to 10000 requests per second, found `0.0`");
        for wrong in [-1.0, 1e-300, 1e300, f64::INFINITY, f64::NAN] {
            assert!(rate(wrong).contains("`rate`"), "{wrong}");
        }
        insta::assert_snapshot!(
            problem(Settings { concurrency: 0, ..of() }),
            @"source `maps`: `concurrency`: expected 1 to 1024 requests at a time, found `0`"
        );
        insta::assert_snapshot!(
            problem(Settings { deadline: Duration::from_secs(100_000), ..of() }),
            @"source `maps`: `deadline`: expected more than 0s and at most a day, found 100000s"
        );
        insta::assert_snapshot!(
            problem(Settings { hosts: vec!["a.org/x".to_owned()], ..of() }),
            @"source `maps`: `hosts`: expected `name`, `name:port` or `*.name`, without scheme and path, found `a.org/x`"
        );
        insta::assert_snapshot!(
            problem(Settings { ca_file: Some("missing.pem".into()), ..of() }),
            @"source `maps`: `ca_file`: cannot read `missing.pem`: No such file or directory (os error 2)"
        );
        insta::assert_snapshot!(
            problem(Settings { ca_file: Some("Cargo.toml".into()), ..of() }),
            @"source `maps`: `ca_file`: expected certificates in PEM form, found none in `Cargo.toml`"
        );
        let broken = tempfile::NamedTempFile::new().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n";
        std::fs::write(&broken, pem).unwrap();
        let told = problem(Settings { ca_file: Some(broken.path().to_owned()), ..of() });
        assert!(told.contains("holds a broken certificate: "), "{told}");
        insta::assert_snapshot!(
            problem(Settings { user_agent: "a\nb".to_owned(), ..of() }),
            @r#"source `maps`: `user_agent`: expected printable characters, found "a\nb""#
        );
    }

    #[test]
    fn an_operator_writes_five_keys() {
        let read = |text| toml::from_str::<Settings>(text);
        let settings =
            read("rate = 2\nconcurrency = 3\nhosts = ['a.org']\nallow_private = true\nca_file = 'ca.pem'");
        let settings = settings.unwrap();
        assert_eq!((settings.rate, settings.concurrency), (Some(2.0), 3));
        assert!(read("deadline = '1s'").unwrap_err().to_string().contains("unknown field `deadline`"));
    }
}
