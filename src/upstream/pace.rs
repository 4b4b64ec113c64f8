//! Keeps to a source's rate: a token bucket whose waiting happens inside `call`.
//!
//! tower's own rate limit is not `Clone` and waits in `poll_ready`, where nobody sees the queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};
use tower::{Service, ServiceExt};

use super::error::Place;
use super::stack::Call;
use super::{Answer, UpstreamError};

/// The layer: clones share one [`Bucket`].
#[derive(Clone)]
pub(super) struct Pace<S> {
    inner: S,
    bucket: Arc<Bucket>,
}

impl<S> Pace<S> {
    pub(super) fn new(inner: S, bucket: Arc<Bucket>) -> Self {
        Self { inner, bucket }
    }
}

impl<S> Service<Call> for Pace<S>
where
    S: Service<Call, Response = Answer, Error = UpstreamError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Answer, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let inner = self.inner.clone();
        let bucket = Arc::clone(&self.bucket);
        Box::pin(async move {
            let turn = bucket.reserve(call.deadline)?;
            sleep_until(turn).await;
            inner.oneshot(call).await
        })
    }
}

/// Tokens of one host, kept as a single moment: when the bucket will be full again. It refills
/// by itself as time passes, and every request pushes the moment one interval away.
pub(super) struct Bucket {
    at: Place,
    interval: Duration,
    /// How far away that moment may lie for a request to go at once: one second's worth of
    /// requests, at least one.
    burst: Duration,
    full: Mutex<Instant>,
}

impl Bucket {
    /// A full bucket for `rate` requests a second. The rate is known to be a sensible one.
    pub(super) fn new(at: Place, rate: f64) -> Arc<Self> {
        let interval = Duration::from_secs_f64(rate.recip());
        let burst = Duration::from_secs(1).saturating_sub(interval);
        Arc::new(Self { at, interval, burst, full: Mutex::new(Instant::now()) })
    }

    /// The caller's turn. Turns are given in the order of asking; one given to a caller that
    /// leaves is lost, which errs on the polite side. A turn beyond the caller's deadline is none.
    fn reserve(&self, deadline: Instant) -> Result<Instant, UpstreamError> {
        let now = Instant::now();
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let base = now.max(*full);
        let wait = base.duration_since(now).saturating_sub(self.burst);
        if now + wait >= deadline {
            return Err(UpstreamError::Busy { at: self.at.clone(), retry_after: wait });
        }
        *full = base + self.interval;
        Ok(now + wait)
    }
}
