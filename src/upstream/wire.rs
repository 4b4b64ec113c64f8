//! The innermost service: one HTTP exchange, by reqwest.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::dns::Resolve;
use tower::Service;

use super::body::{Body, Limits};
use super::error::{Place, root};
use super::guard::{Guard, PrivateAddress, Resolver};
use super::stack::Call;
use super::{Answer, Settings, UpstreamError, Wanted};

/// Often enough to notice a dead connection before a viewer's patience ends.
const PING: Duration = Duration::from_secs(10);

/// Sends one request and waits for the head of the answer.
#[derive(Clone)]
pub(super) struct Wire {
    source: Arc<str>,
    client: reqwest::Client,
    limits: Limits,
    deadline: Duration,
}

impl Wire {
    /// One client for all hosts of a source. `names` is asked for addresses, `guard` for leave.
    pub(super) fn new<R>(guard: &Guard, names: R, settings: &Settings) -> Result<Self, UpstreamError>
    where
        R: Resolve + 'static,
    {
        let source = Arc::clone(&guard.source);
        let wrong = |problem| UpstreamError::Settings { name: source.to_string(), problem };
        let mut client = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(settings.concurrency)
            .dns_resolver(Arc::new(Resolver::new(guard.clone(), names)))
            // Through a proxy from the environment the guard would check the proxy's address, not the host's.
            .no_proxy()
            // Redirects pass the guard and the layers of the host that they lead to; see `follow`.
            .redirect(reqwest::redirect::Policy::none())
            // Every attempt is counted and paced; none may happen behind the layers' back.
            .retry(reqwest::retry::never())
            // All requests share one HTTP/2 connection: if it dies quietly, all of them would wait for it.
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING);
        for certificate in
            settings.ca_file.as_deref().map(certificates).transpose().map_err(wrong)?.into_iter().flatten()
        {
            client = client.add_root_certificate(certificate);
        }
        let client = client.build().map_err(|error| wrong(format!("no HTTP client: {}", root(&error))))?;
        // The limit in bytes is the request's own.
        let limits =
            Limits { bytes: 0, whole: settings.body_timeout, since: None, piece: settings.idle_timeout };
        Ok(Self { source, client, limits, deadline: settings.deadline })
    }
}

impl Service<Call> for Wire {
    type Response = Answer;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Answer, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Call { request, deadline }: Call) -> Self::Future {
        let at = Place::new(&self.source, &request.url);
        let limits = Limits { bytes: request.max_body, ..self.limits };
        let limits = match request.wanted {
            Wanted::Description => {
                Limits { whole: self.deadline, since: deadline.checked_sub(self.deadline), ..limits }
            }
            Wanted::File => limits,
        };
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(Into::into);
        let exchange = self.client.execute(outgoing);
        Box::pin(async move {
            let response = exchange.await.map_err(|error| failure(at.clone(), error))?;
            let (status, headers, url) =
                (response.status(), response.headers().clone(), response.url().clone());
            let length = response.content_length();
            let pieces = response.bytes_stream().map_err(|error| error.without_url().into()).boxed();
            Ok(Answer { status, headers, url, body: Body { at, pieces, length, limits } })
        })
    }
}

/// The certificates in a file. Whether they are any is seen only when a client is to trust them.
pub(super) fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let none = || format!("expected certificates in PEM form, found none in `{shown}`");
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
    if found.is_empty() {
        return Err(none());
    }
    let client = reqwest::Client::builder().tls_built_in_root_certs(false);
    let client = found.iter().cloned().fold(client, reqwest::ClientBuilder::add_root_certificate);
    client.build().map_err(|error| format!("`{shown}` holds a broken certificate: {}", root(&error)))?;
    Ok(found)
}

/// Sorts the causes of the transport. Its own texts hold whole addresses and are not kept.
fn failure(at: Place, error: reqwest::Error) -> UpstreamError {
    let error = error.without_url();
    if let Some(PrivateAddress(hint)) = causes(&error).find_map(|cause| cause.downcast_ref()) {
        return UpstreamError::HostRefused { at, hint: hint.clone() };
    }
    // rustls hands its verdict on as an I/O error of this kind; a network has none of it.
    let is_verdict = |io: &io::Error| io.kind() == io::ErrorKind::InvalidData;
    let tls = causes(&error).any(|cause| cause.downcast_ref().is_some_and(is_verdict));
    let cause = error.into();
    if tls { UpstreamError::Tls { at, cause } } else { UpstreamError::Unreachable { at, cause } }
}

/// An error and all that lies under it. (An I/O error names as its source what lies under the one it wraps.)
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as _),
        None => error.source(),
    })
}
