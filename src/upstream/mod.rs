//! Everything that the gateway sends to remote systems: one [`Upstream`] per configured source,
//! one tower stack per remote host behind it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

mod body;
mod error;
mod message;
mod wire;

pub use error::{Halt, Phase, Place, UpstreamError};
pub use message::{Answer, Redirects, Replay, Request};

use wire::Wire;

/// The way to one configured source. Cheap to clone; clones share connections and limits.
#[derive(Clone, Debug)]
pub struct Upstream {
    wire: Wire,
}

impl Upstream {
    /// Prepares the way to the source called `source`; connects to nothing yet.
    pub fn new(source: &str, settings: Settings) -> Result<Self, UpstreamError> {
        Ok(Self { wire: Wire::new(source, &settings)? })
    }

    /// Asks and returns as soon as the head of the answer is there. Error statuses that are left
    /// after all retries are answers too: what a 404 means is the adapter's to say.
    pub async fn send(&self, request: Request) -> Result<Answer, UpstreamError> {
        self.wire.send(request).await
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
    /// One attempt, from sending to the head of the answer.
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
