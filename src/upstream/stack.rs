//! Puts the layers together: a short stack per source, and behind it one per remote host.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use quick_cache::sync::Cache;
use reqwest::dns::Resolve;
use tokio::time::Instant;
use tower::layer::layer_fn;
use tower::limit::ConcurrencyLimitLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::util::{BoxCloneSyncService, option_layer};
use tower::{Service, ServiceBuilder, ServiceExt};

use super::breaker::{Breaker, Fuse};
use super::error::{Cause, Phase, Place};
use super::follow::Follow;
use super::guard::Guard;
use super::metrics::Meter;
use super::pace::{Bucket, Pace};
use super::retry::Retries;
use super::wire::Wire;
use super::{Answer, Request, Settings, UpstreamError};

/// More hosts than one source uses. Beyond it the one unused longest is forgotten, and with it
/// what its breaker and its pace had learned.
const HOSTS: usize = 1024;

/// A request on its way through the layers.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    /// When the caller stops waiting; layers that would wait longer say so at once.
    pub(super) deadline: Instant,
}

/// A stack, its layers boxed away.
pub(super) type Route<E = UpstreamError> = BoxCloneSyncService<Call, Answer, E>;

/// All layers of one source. `names` resolves host names.
pub(super) fn source<R>(
    source: &Arc<str>,
    names: R,
    settings: Settings,
) -> Result<Route<Cause>, UpstreamError>
where
    R: Resolve + 'static,
{
    let guard = Guard::new(source, &settings)?;
    let wire = Wire::new(&guard, names, &settings)?;
    let deadline = settings.deadline;
    let hosts = Hosts { guard, wire, settings: Arc::new(settings), known: Arc::new(Cache::new(HOSTS)) };
    Ok(ServiceBuilder::new()
        .layer(BoxCloneSyncService::layer())
        // Outermost: the caller's patience covers redirects, retries and every kind of waiting.
        .layer(TimeoutLayer::new(deadline))
        // Above the hosts: each step is admitted, paced and counted where it leads.
        .layer(layer_fn(Follow::new))
        .service(hosts))
}

/// All layers of one host, outermost first; `label` names it in metrics.
fn host<W>(at: &Place, label: Arc<str>, wire: W, settings: &Settings) -> Route
where
    W: Service<Call, Response = Answer, Error = UpstreamError> + Clone + Send + Sync + 'static,
    W::Future: Send,
{
    let elapsed = {
        let (at, after) = (at.clone(), settings.attempt_timeout);
        move |error| unboxed(error, || UpstreamError::Timeout { at, phase: Phase::Attempt, after })
    };
    let fuse = Fuse::new(at.clone(), Arc::clone(&label));
    let bucket = settings.rate.map(|rate| Bucket::new(at.clone(), rate));
    let source = Arc::clone(&at.source);
    ServiceBuilder::new()
        .layer(BoxCloneSyncService::layer())
        // Around everything that makes up one attempt; it holds nothing while it backs off.
        .layer(RetryLayer::new(Retries::new(settings.retries)))
        // Inside the retries, so that it counts attempts; its refusal is not retried.
        .layer(layer_fn(move |inner| Breaker::new(inner, Arc::clone(&fuse))))
        // Inside the breaker: what is refused there costs no token.
        .layer(option_layer(
            bucket.map(|bucket| layer_fn(move |inner| Pace::new(inner, Arc::clone(&bucket)))),
        ))
        // Inside the pace: a permit is not held while waiting for a token. It is given back at the
        // head of the answer; bodies are bounded by their own timeouts.
        .layer(ConcurrencyLimitLayer::new(settings.concurrency))
        // Inside all waiting of our own: it measures the host, not us.
        .layer(layer_fn(move |inner| Meter::new(inner, Arc::clone(&source), Arc::clone(&label))))
        .map_err(elapsed)
        // Innermost, for the same reason: a queue here must not look like a slow host.
        .layer(TimeoutLayer::new(settings.attempt_timeout))
        .service(wire)
}

/// tower's timeout boxes every error; this opens the box again. What is not ours is "elapsed".
pub(super) fn unboxed(error: Cause, elapsed: impl FnOnce() -> UpstreamError) -> UpstreamError {
    match error.downcast() {
        Ok(own) => *own,
        Err(_) => elapsed(),
    }
}

/// Leads every call to the stack of its host, if the guard lets it.
#[derive(Clone)]
struct Hosts {
    guard: Guard,
    wire: Wire,
    settings: Arc<Settings>,
    known: Arc<Cache<Arc<str>, Route>>,
}

impl Service<Call> for Hosts {
    type Response = Answer;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Answer, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let url = &call.request.url;
        let route = self.guard.admit(url).and_then(|label| {
            let at = self.guard.place(url);
            let make = || Ok(host(&at, label, self.wire.clone(), &self.settings));
            self.known.get_or_insert_with(&at.host, make)
        });
        Box::pin(async move { route?.oneshot(call).await })
    }
}
