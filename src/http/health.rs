//! What operators ask: alive? ready? how many? Answered before anything that can be full.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use metrics_exporter_prometheus::PrometheusHandle;

use super::around::Inner;
use super::client::Route;
use super::problem::{Kind, written};
use super::{Body, Client, Problem, PublicUrl, method, request_id};
use crate::iiif::address::Address;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The text format of Prometheus, version 0.0.4.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Whether the gateway can do its work just now, and if not, what it is waiting for.
///
/// It is asked on every `/ready`; it must neither wait nor do I/O.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Result<Ready, String> + Send + Sync>);

/// How well it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Nothing is missing.
    Fully,
    /// It can do without something, for a while at least; a sentence says what and why.
    Without(String),
}

impl Ready {
    /// Both at once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fully, other) => other,
            (this, Self::Fully) => this,
            (Self::Without(this), Self::Without(other)) => Self::Without(format!("{this}, and {other}")),
        }
    }
}

impl Readiness {
    /// Ready when `ask` says so; its error ends up in the answer.
    pub fn new(ask: impl Fn() -> Result<Ready, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// How well it can, as soon as it can at all.
    pub async fn settled(&self) -> Ready {
        /// How often it is asked meanwhile.
        const SOON: Duration = Duration::from_millis(5);
        loop {
            match (self.0)() {
                Ok(ready) => return ready,
                Err(_) => tokio::time::sleep(SOON).await,
            }
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readiness({:?})", (self.0)())
    }
}

/// Who may read the metrics on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Whoever reaches the listener: the operators' own.
    Everybody,
    /// Processes on this machine, and no request that passed a proxy on it.
    ThisMachine,
    /// Nobody: there is another listener for it.
    Nobody,
}

/// What the short cut needs.
#[derive(Clone, Debug)]
pub struct Health {
    /// Answers `/ready`.
    pub ready: Readiness,
    /// Answers `/metrics`.
    pub metrics: PrometheusHandle,
    /// To whom.
    pub exposure: Exposure,
}

impl Health {
    /// The answer to an operators' address, or nothing for all others.
    fn answer(&self, req: &Request<Body>) -> Option<Response<Body>> {
        let path = req.uri().path();
        let answer: fn(&Self, &Request<Body>) -> Result<Response<Body>, Problem> = match path {
            Address::HEALTH => |_, _| Ok(plain(TEXT, "alive\n")),
            Address::READY => |health, _| health.ready(),
            Address::METRICS => Self::metrics,
            _ => return None,
        };
        Some(method::reads(req.method()).and_then(|()| answer(self, req)).unwrap_or_else(Response::from))
    }

    fn ready(&self) -> Result<Response<Body>, Problem> {
        let not = |why| Problem::new(Kind::Busy, why).with_retry_after(Duration::from_secs(5));
        let told = |ready| match ready {
            Ready::Fully => plain(TEXT, "ready\n"),
            // Still 200: what all replicas share is gone for all, and nobody would be left to answer.
            Ready::Without(what) => plain(TEXT, format!("ready, but {what}\n")),
        };
        (self.ready.0)().map(told).map_err(not)
    }

    fn metrics(&self, req: &Request<Body>) -> Result<Response<Body>, Problem> {
        let local = |client: &Client| client.peer.is_loopback() && client.route == Route::Direct;
        let shown = match self.exposure {
            Exposure::Everybody => true,
            Exposure::ThisMachine => req.extensions().get().is_some_and(local),
            Exposure::Nobody => false,
        };
        match shown {
            true => Ok(plain(METRICS, self.metrics.render())),
            false => Err(Problem::new(Kind::NotFound, "no such address")),
        }
    }
}

/// Answers operators at once and passes everything else on.
pub(super) async fn short_cut(
    (health, public): (Arc<Health>, Arc<PublicUrl>),
    req: Request<Body>,
    inner: Inner,
) -> Response<Body> {
    match health.answer(&req) {
        Some(res) => written(res, &public, &request_id::of(&req)),
        None => inner.run(req).await,
    }
}

fn plain(kind: HeaderValue, text: impl Into<Body>) -> Response<Body> {
    let mut res = Response::new(text.into());
    res.headers_mut().insert(CONTENT_TYPE, kind);
    res.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    res
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::http::{Peer, Proxies};
    use crate::telemetry;

    fn status(exposure: Exposure, peer: &str, header: Option<&'static str>) -> StatusCode {
        let health = Health {
            ready: Readiness::new(|| Ok(Ready::Fully)),
            metrics: telemetry::recorder().handle(),
            exposure,
        };
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = "/metrics".parse().unwrap();
        if let Some(name) = header {
            req.headers_mut().insert(name, HeaderValue::from_static("127.0.0.1"));
        }
        req.extensions_mut().insert(Peer(peer.parse().unwrap()));
        let client = Client::of(&req, &Proxies::default());
        req.extensions_mut().insert(client);
        health.answer(&req).unwrap().status()
    }

    #[test]
    fn metrics_are_for_this_machine() {
        use Exposure::{Everybody, Nobody, ThisMachine};
        for (name, exposure, peer, header, expected) in [
            ("loopback", ThisMachine, "127.0.0.1:9", None, 200),
            ("loopback, v6", ThisMachine, "[::1]:9", None, 200),
            ("loopback, v4 in v6", ThisMachine, "[::ffff:127.0.0.1]:9", None, 200),
            ("stranger", ThisMachine, "192.0.2.1:9", None, 404),
            ("proxy on this machine", ThisMachine, "127.0.0.1:9", Some("x-forwarded-for"), 404),
            ("other proxy on this machine", ThisMachine, "127.0.0.1:9", Some("via"), 404),
            ("operators' listener elsewhere", Nobody, "127.0.0.1:9", None, 404),
            ("operators' listener", Everybody, "192.0.2.1:9", None, 200),
        ] {
            assert_eq!(status(exposure, peer, header), expected, "{name}");
        }
    }

    #[test]
    fn all_that_is_missing_is_told() {
        let without = |what: &str| Ready::Without(format!("without {what}"));
        assert_eq!(Ready::Fully.and(Ready::Fully), Ready::Fully);
        assert_eq!(Ready::Fully.and(without("a")), without("a").and(Ready::Fully));
        assert_eq!(without("a").and(without("b")), without("a, and without b"));
    }

    #[test]
    fn what_is_missing_is_told_and_decides_only_where_nothing_goes_without() {
        for (ready, status) in [
            (Ok(Ready::Fully), 200),
            (Ok(Ready::Without("without Redis: no answer".to_owned())), 200),
            (Err("what is kept on disk is still being looked through".to_owned()), 503),
        ] {
            let health = Health {
                ready: Readiness::new({
                    let ready = ready.clone();
                    move || ready.clone()
                }),
                metrics: telemetry::recorder().handle(),
                exposure: Exposure::Nobody,
            };
            let mut req = Request::new(Body::empty());
            *req.uri_mut() = Address::READY.parse().unwrap();
            assert_eq!(health.answer(&req).unwrap().status(), status, "{ready:?}");
        }
    }

    #[test]
    fn a_request_without_a_known_peer_sees_no_metrics() {
        let health = Health {
            ready: Readiness::new(|| Ok(Ready::Fully)),
            metrics: telemetry::recorder().handle(),
            exposure: Exposure::ThisMachine,
        };
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = "/metrics".parse().unwrap();
        assert_eq!(health.answer(&req).unwrap().status(), StatusCode::NOT_FOUND);
    }
}
