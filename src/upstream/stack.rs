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

/// More hosts than one source uses. Beyond it one of the least used is forgotten, and with it
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
    Ok(around(guard, wire, settings))
}

/// What stands around all hosts of one source, outermost first.
fn around<W>(guard: Guard, wire: W, settings: Settings) -> Route<Cause>
where
    W: Service<Call, Response = Answer, Error = UpstreamError> + Clone + Send + Sync + 'static,
    W::Future: Send,
{
    let deadline = settings.deadline;
    let hosts = Hosts { guard, wire, settings: Arc::new(settings), known: Arc::new(Cache::new(HOSTS)) };
    ServiceBuilder::new()
        .layer(BoxCloneSyncService::layer())
        // Outermost: the caller's patience covers redirects, retries and every kind of waiting.
        .layer(TimeoutLayer::new(deadline))
        // Above the hosts: each step is admitted, paced and counted where it leads.
        .layer(layer_fn(Follow::new))
        .service(hosts)
}

/// All layers of one host, outermost first; `label` names it in metrics.
fn host<W>(at: &Place, label: Arc<str>, wire: W, settings: &Settings) -> Route
where
    W: Service<Call, Response = Answer, Error = UpstreamError> + Clone + Send + Sync + 'static,
    W::Future: Send,
{
    // Below the deadline: else a host that never answers would be cut off from outside each time
    // and neither breaker nor meter would hear of it.
    let patience = settings.attempt_timeout.min(settings.deadline.mul_f64(0.9));
    let elapsed = {
        let (at, after) = (at.clone(), patience);
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
        .layer(TimeoutLayer::new(patience))
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
struct Hosts<W> {
    guard: Guard,
    wire: W,
    settings: Arc<Settings>,
    known: Arc<Cache<Arc<str>, Route>>,
}

impl<W> Service<Call> for Hosts<W>
where
    W: Service<Call, Response = Answer, Error = UpstreamError> + Clone + Send + Sync + 'static,
    W::Future: Send,
{
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::super::Upstream;
    use super::super::doubles::{Stub, answer, call, call_for, place, unreachable};
    use super::*;

    fn stack(stub: &Stub, settings: Settings) -> Route {
        host(&place(), "dam.example.org".into(), stub.clone(), &settings)
    }

    #[tokio::test(start_paused = true)]
    async fn sixty_four_requests_hold_the_cap() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stub = Stub::slow({
            let most = Arc::clone(&most);
            move |_, _| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                Box::pin(async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(Duration::from_secs(1)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(answer(200))
                })
            }
        });
        let route = stack(&stub, Settings { concurrency: 4, ..Settings::default() });
        let start = Instant::now();
        let all = (0..64).map(|_| tokio::spawn(route.clone().oneshot(call())));
        for outcome in futures_util::future::join_all(all).await {
            assert!(outcome.unwrap().is_ok());
        }
        assert_eq!(most.load(Ordering::SeqCst), 4);
        assert_eq!(start.elapsed(), Duration::from_secs(16));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_while_backing_off() {
        let stub = Stub::slow(|_, request| {
            Box::pin(async move {
                if request.url.path() == "/fails" { Err(unreachable()) } else { Ok(answer(200)) }
            })
        });
        let route = stack(&stub, Settings { concurrency: 1, ..Settings::default() });
        let mut failing = call();
        failing.request.url.set_path("/fails");
        let failing = tokio::spawn(route.clone().oneshot(failing));
        sleep(Duration::from_millis(10)).await;
        let start = Instant::now();
        route.oneshot(call()).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(!failing.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_has_its_own_clock_which_starts_after_the_queue() {
        let stub = Stub::slow(|_, _| {
            Box::pin(async {
                sleep(Duration::from_secs(6)).await;
                Ok(answer(200))
            })
        });
        let route = stack(&stub, Settings { concurrency: 1, ..Settings::default() });
        let all = (0..4).map(|_| tokio::spawn(route.clone().oneshot(call())));
        for outcome in futures_util::future::join_all(all).await {
            assert!(outcome.unwrap().is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_never_answers_is_tried_three_times() {
        let stub = Stub::slow(|_, _| Box::pin(std::future::pending()));
        let error =
            stack(&stub, Settings::default()).oneshot(call_for(Duration::from_secs(60))).await.unwrap_err();
        insta::assert_snapshot!(error, @"`dam.example.org` (source `maps`) did not answer within 10s");
        assert_eq!(stub.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_counts_attempts_and_its_word_is_final() {
        let stub = Stub::new(|_| Err(unreachable()));
        let route = stack(&stub, Settings::default());
        assert!(matches!(route.clone().oneshot(call()).await, Err(UpstreamError::Unreachable { .. })));
        let error = route.clone().oneshot(call()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::BreakerOpen { .. }), "{error}");
        assert_eq!(stub.count(), 5, "three attempts, then two until it opens");
        let start = Instant::now();
        assert!(route.oneshot(call()).await.unwrap_err().is_temporary());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// A source with one host, `https://dam.example.org`.
    fn upstream(stub: &Stub, settings: Settings) -> Upstream {
        let (source, deadline) = ("maps".into(), settings.deadline);
        let settings = Settings { base: Some(call().request.url), ..settings };
        let guard = Guard::new(&source, &settings).unwrap();
        Upstream { source, deadline, route: around(guard, stub.clone(), settings) }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_the_deadline() {
        let stub = Stub::slow(|_, _| Box::pin(std::future::pending()));
        let upstream = upstream(
            &stub,
            Settings { concurrency: 1, retries: 0, deadline: Duration::from_secs(25), ..Settings::default() },
        );
        let start = Instant::now();
        let all = futures_util::future::join_all((0..4).map(|_| upstream.send(call().request))).await;
        let messages: Vec<_> = all.into_iter().map(|outcome| outcome.unwrap_err().to_string()).collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        `dam.example.org` (source `maps`) did not answer within 10s
        `dam.example.org` (source `maps`) did not answer within 10s
        `dam.example.org` (source `maps`) gave no answer, waiting and retries included, within 25s
        `dam.example.org` (source `maps`) gave no answer, waiting and retries included, within 25s
        ");
        assert_eq!(start.elapsed(), Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_deadline_still_lets_the_breaker_see_a_dead_host() {
        let stub = Stub::slow(|_, _| Box::pin(std::future::pending()));
        let short = Settings { deadline: Duration::from_secs(2), retries: 0, ..Settings::default() };
        let upstream = upstream(&stub, short);
        for _ in 0..5 {
            let error = upstream.send(call().request).await.unwrap_err();
            assert!(matches!(error, UpstreamError::Timeout { .. }), "{error}");
        }
        assert!(upstream.send(call().request).await.unwrap_err().retry_after().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_asked_never_gets_that_far() {
        let stub = Stub::new(|_| Ok(answer(200)));
        let mut request = call().request;
        request.url.set_host(Some("evil.example.com")).unwrap();
        let error = upstream(&stub, Settings::default()).send(request).await.unwrap_err();
        assert!(matches!(error, UpstreamError::HostRefused { .. }), "{error}");
        assert_eq!(stub.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_is_paced() {
        let stub = Stub::new(|_| Err(unreachable()));
        let start = Instant::now();
        let route = stack(&stub, Settings { rate: Some(0.5), ..Settings::default() });
        assert!(route.oneshot(call()).await.is_err());
        assert_eq!(stub.times(start), [0, 2000, 4000]);
    }
}
