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
use guard::SystemNames;
use stack::Call;

pub use error::{Halt, Phase, Place, UpstreamError};
pub use message::{Answer, Redirects, Replay, Request};

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
        settings.check().map_err(|problem| UpstreamError::Settings { name: source.to_owned(), problem })?;
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
    /// From asking to the head of the answer: redirects, retries and waiting included.
    #[serde(skip)]
    pub deadline: Duration,
    /// One attempt, from sending to the head of the answer; always somewhat less than the deadline.
    #[serde(skip)]
    pub attempt_timeout: Duration,
    /// Establishing one connection, TLS included.
    #[serde(skip)]
    pub connect_timeout: Duration,
    /// A whole body, from its first byte to its last.
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

impl Settings {
    /// What is wrong with them, in terms of the keys that an operator or an adapter's author wrote.
    fn check(&self) -> Result<(), String> {
        if let Some(rate) = self.rate.filter(|rate| !RATES.contains(rate)) {
            return Err(format!(
                "`rate` is {rate}, expected {} to {} requests per second",
                RATES.start(),
                RATES.end()
            ));
        }
        if !CONCURRENCY.contains(&self.concurrency) {
            let (least, most) = (CONCURRENCY.start(), CONCURRENCY.end());
            return Err(format!("`concurrency` is {}, expected {least} to {most}", self.concurrency));
        }
        if HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(format!("`user_agent` is {:?}, expected printable characters", self.user_agent));
        }
        let durations = [
            ("deadline", self.deadline),
            ("attempt_timeout", self.attempt_timeout),
            ("connect_timeout", self.connect_timeout),
            ("body_timeout", self.body_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        match durations.into_iter().find(|(_, found)| found.is_zero() || *found > LONGEST) {
            Some((key, found)) => {
                Err(format!("`{key}` is {found:?}, expected more than 0s and at most a day"))
            }
            None => Ok(()),
        }
    }
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
        insta::assert_snapshot!(rate(0.0), @"source `maps`: `rate` is 0, expected 0.001 to 10000 requests per second");
        for wrong in [-1.0, 1e-300, 1e300, f64::INFINITY, f64::NAN] {
            assert!(rate(wrong).contains("`rate`"), "{wrong}");
        }
        insta::assert_snapshot!(
            problem(Settings { concurrency: 0, ..of() }),
            @"source `maps`: `concurrency` is 0, expected 1 to 1024"
        );
        insta::assert_snapshot!(
            problem(Settings { deadline: Duration::from_secs(100_000), ..of() }),
            @"source `maps`: `deadline` is 100000s, expected more than 0s and at most a day"
        );
        insta::assert_snapshot!(
            problem(Settings { hosts: vec!["a.org/x".to_owned()], ..of() }),
            @"source `maps`: host `a.org/x`: expected `name`, `name:port` or `*.name`, without scheme and path"
        );
        insta::assert_snapshot!(
            problem(Settings { ca_file: Some("missing.pem".into()), ..of() }),
            @"source `maps`: `ca_file` `missing.pem`: No such file or directory (os error 2)"
        );
        insta::assert_snapshot!(
            problem(Settings { ca_file: Some("Cargo.toml".into()), ..of() }),
            @"source `maps`: `ca_file` `Cargo.toml`: expected certificates in PEM form"
        );
        insta::assert_snapshot!(
            problem(Settings { user_agent: "a\nb".to_owned(), ..of() }),
            @r#"source `maps`: `user_agent` is "a\nb", expected printable characters"#
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
