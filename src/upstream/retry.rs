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

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;
    use tower::retry::Retry;
    use tower::{Service, ServiceExt};

    use super::super::doubles::{
        Outcome, Stub, answer, answer_with, call, call_for, place, timeout, unreachable,
    };
    use super::*;

    async fn ask(stub: &Stub, call: Call) -> Outcome {
        Retry::new(Retries::new(2), stub.clone()).oneshot(call).await
    }

    fn open() -> UpstreamError {
        UpstreamError::BreakerOpen { at: place(), retry_after: FIRST_PAUSE }
    }

    fn untrusted() -> UpstreamError {
        UpstreamError::Tls { at: place(), cause: "expired".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times_and_the_rest_once() {
        type Reply = fn(usize) -> Outcome;
        let cases: [(&str, Reply, usize); 12] = [
            ("fine", |_| Ok(answer(200)), 1),
            ("missing", |_| Ok(answer(404)), 1),
            ("too many requests", |_| Ok(answer(429)), 3),
            ("broken record", |_| Ok(answer(500)), 1),
            ("bad gateway", |_| Ok(answer(502)), 3),
            ("unavailable", |_| Ok(answer(503)), 3),
            ("gateway timeout", |_| Ok(answer(504)), 3),
            ("no connection", |_| Err(unreachable()), 3),
            ("slow attempt", |_| Err(timeout(Phase::Attempt)), 3),
            ("open breaker", |_| Err(open()), 1),
            ("no trust", |_| Err(untrusted()), 1),
            ("healed", |n| if n == 0 { Err(unreachable()) } else { Ok(answer(200)) }, 2),
        ];
        for (name, reply, expected) in cases {
            let stub = Stub::new(reply);
            let _ = ask(&stub, call()).await;
            assert_eq!(stub.count(), expected, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_change_something_is_sent_once() {
        let stub = Stub::new(|_| Err(unreachable()));
        let mut once = call();
        once.request.replay = Replay::Once;
        assert!(ask(&stub, once).await.is_err());
        assert_eq!(stub.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_differ() {
        let mut firsts = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            let stub = Stub::new(|_| Err(unreachable()));
            let _ = ask(&stub, call()).await;
            let [0, first, second] = stub.times(start)[..] else { panic!("three attempts") };
            assert!((100..=301).contains(&first), "{first}");
            assert!((200..=602).contains(&(second - first)), "{first}, {second}");
            firsts.push(first);
        }
        firsts.dedup();
        assert!(firsts.len() > 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_wish_to_wait_is_obeyed_and_a_long_one_passed_on() {
        let cases = [("2", 2), ("5", 2), ("6", 1), ("3600", 1), ("soon", 2)];
        for (wish, expected) in cases {
            let start = Instant::now();
            let stub = Stub::new(move |n| match n {
                0 => Ok(answer_with(503, RETRY_AFTER, wish)),
                _ => Ok(answer(200)),
            });
            let outcome = ask(&stub, call()).await.unwrap();
            assert_eq!(stub.count(), expected, "{wish}");
            match wish.parse::<u128>() {
                Ok(seconds) if expected == 2 => assert!(stub.times(start)[1] >= seconds * 1000, "{wish}"),
                Ok(_) => assert_eq!(outcome.headers[RETRY_AFTER], wish),
                Err(_) => {}
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_reaches_beyond_the_deadline() {
        let stub = Stub::new(|_| Ok(answer_with(429, RETRY_AFTER, "2")));
        let outcome = ask(&stub, call_for(Duration::from_secs(3))).await.unwrap();
        assert_eq!(outcome.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(stub.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_ends_a_storm() {
        let stub = Stub::new(|_| Err(unreachable()));
        let mut retry = Retry::new(Retries::new(2), stub.clone());
        let storm: Vec<_> = (0..100).map(|_| retry.call(call())).collect();
        futures_util::future::join_all(storm).await;
        assert!((101..=115).contains(&stub.count()), "{}", stub.count());
    }
}
