//! Which attempts are repeated, and after what pause.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};

use super::error::Phase;
use super::stack::Call;
use super::{Answer, Replay, UpstreamError};

/// Answers that say "not now": too many requests, and three kinds of a gateway without its server.
const NOT_NOW: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];
/// The first pause on average; every further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A host that asks for more patience than a viewer has gets its answer passed on instead.
const PATIENCE: Duration = Duration::from_secs(5);

/// tower's retry policy: one clone per request, one budget per host.
#[derive(Clone)]
pub(super) struct Retries {
    left: u32,
    pause: Duration,
    budget: Arc<TpsBudget>,
}

impl Retries {
    /// At most `retries` per request. All requests together may repeat a fifth of what succeeds,
    /// and one a second besides: a host in trouble must not get three times its traffic.
    pub(super) fn new(retries: u32) -> Self {
        let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 1, 0.2));
        Self { left: retries, pause: FIRST_PAUSE, budget }
    }

    /// How long to wait before the next attempt; `None`: this outcome stays.
    fn next(&mut self, deadline: Instant, outcome: &Result<Answer, UpstreamError>) -> Option<Duration> {
        let wish = match outcome {
            Ok(answer) if NOT_NOW.contains(&answer.status) => answer.retry_after().unwrap_or_default(),
            Ok(_) => {
                self.budget.deposit();
                return None;
            }
            Err(UpstreamError::Unreachable { .. } | UpstreamError::Timeout { phase: Phase::Attempt, .. }) => {
                Duration::ZERO
            }
            Err(_) => return None,
        };
        // Between half and one and a half: callers that failed together do not return together.
        let pause = wish.max(self.pause.mul_f64(0.5 + rand::random::<f64>()));
        // The real reason now is worth more than a vague "too slow" at the deadline.
        let in_time = pause <= PATIENCE && Instant::now() + pause < deadline;
        if self.left == 0 || !in_time || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        self.pause = self.pause.saturating_mul(2);
        Some(pause)
    }
}

impl Policy<Call, Answer, UpstreamError> for Retries {
    type Future = Sleep;

    fn retry(&mut self, call: &mut Call, outcome: &mut Result<Answer, UpstreamError>) -> Option<Sleep> {
        self.next(call.deadline, outcome).map(sleep)
    }

    /// Without a copy there is no second attempt.
    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        (call.request.replay == Replay::Safe).then(|| call.clone())
    }
}
