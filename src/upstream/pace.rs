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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::doubles::{Stub, answer, call_for, place};
    use super::*;

    const PATIENT: Duration = Duration::from_secs(3600);

    /// When each of `count` requests that arrive together is let through, in milliseconds.
    async fn turns(rate: f64, count: usize) -> Vec<u128> {
        let start = Instant::now();
        let stub = Stub::new(|_| Ok(answer(200)));
        let pace = Pace::new(stub.clone(), Bucket::new(place(), rate));
        let all = (0..count).map(|_| pace.clone().oneshot(call_for(PATIENT)));
        for outcome in futures_util::future::join_all(all).await {
            outcome.unwrap();
        }
        stub.times(start)
    }

    #[tokio::test(start_paused = true)]
    async fn a_seconds_worth_goes_at_once_the_rest_at_the_rate() {
        assert_eq!(turns(4.0, 8).await, [0, 0, 0, 0, 250, 500, 750, 1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_rates_let_one_go_at_once() {
        assert_eq!(turns(0.5, 3).await, [0, 2000, 4000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_beyond_the_deadline_is_refused_at_once_and_takes_no_token() {
        let bucket = Bucket::new(place(), 1.0);
        let now = Instant::now();
        let soon = now + Duration::from_millis(1500);
        assert_eq!(bucket.reserve(soon).unwrap(), now);
        assert_eq!(bucket.reserve(soon).unwrap(), now + Duration::from_secs(1));
        for _ in 0..3 {
            let error = bucket.reserve(soon).unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
            assert!(matches!(error, UpstreamError::Busy { .. }));
        }
        assert_eq!(bucket.reserve(now + PATIENT).unwrap(), now + Duration::from_secs(2));
    }

    proptest! {
        /// In no stretch of time do more go than the burst and the rate allow together.
        #[test]
        fn no_stretch_holds_more_than_its_share(
            rate in 0.1f64..50.0,
            gaps in prop::collection::vec(0u64..3000, 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let turns: Vec<Instant> = runtime.unwrap().block_on(async {
                let bucket = Bucket::new(place(), rate);
                let mut turns = Vec::new();
                for gap in gaps {
                    tokio::time::advance(Duration::from_millis(gap)).await;
                    turns.push(bucket.reserve(Instant::now() + PATIENT).unwrap());
                }
                turns
            });
            for (i, first) in turns.iter().enumerate() {
                for (j, last) in turns.iter().enumerate().skip(i) {
                    let share = rate.max(1.0) + rate * last.duration_since(*first).as_secs_f64();
                    prop_assert!((j - i + 1) as f64 <= share + 1e-6 * share + 1e-3);
                }
            }
        }
    }
}
