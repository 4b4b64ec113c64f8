//! Leaves a host alone that fails again and again, and sends one scout after a while.
//!
//! Closed: attempts go through, failures in a row are counted. Open: every attempt fails at once.
//! Half open: the pause is over and one attempt is under way; how it ends decides. Who comes meanwhile waits a
//! moment for its verdict: what belongs together is asked side by side, and must not fail because a part of it
//! was the scout.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tower::{Service, ServiceExt};

use super::error::Place;
use super::metrics;
use super::stack::Call;
use super::{Answer, UpstreamError};

/// One request's worth of retries does not open it, two in a row do.
const FAILURES: u32 = 5;
/// The first pause; every scout that fails doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: a source that is back is seen within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long those wait who come while the scout is out, and when they may come again after that: a host that is
/// well has answered by then, one that hangs shall not hold everybody up.
const SCOUTING: Duration = Duration::from_secs(1);

/// The layer: clones share one [`Fuse`].
#[derive(Clone)]
pub(super) struct Breaker<S> {
    inner: S,
    fuse: Arc<Fuse>,
}

impl<S> Breaker<S> {
    pub(super) fn new(inner: S, fuse: Arc<Fuse>) -> Self {
        Self { inner, fuse }
    }
}

impl<S> Service<Call> for Breaker<S>
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
        let fuse = Arc::clone(&self.fuse);
        Box::pin(async move {
            let attempt = fuse.enter(call.deadline).await?;
            let outcome = inner.oneshot(call).await;
            attempt.end(Health::of(&outcome));
            outcome
        })
    }
}

/// What an outcome says about the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    Ill,
    /// The host was never asked.
    Unknown,
}

impl Health {
    fn of(outcome: &Result<Answer, UpstreamError>) -> Self {
        match outcome {
            // Not 500: one broken record must not close the whole house. Not 429: who says that is up.
            Ok(answer) => match answer.status {
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    Self::Ill
                }
                _ => Self::Well,
            },
            Err(
                UpstreamError::Unreachable { .. } | UpstreamError::Tls { .. } | UpstreamError::Timeout { .. },
            ) => Self::Ill,
            Err(_) => Self::Unknown,
        }
    }
}

/// The state of one host, shared by all requests to it.
pub(super) struct Fuse {
    at: Place,
    /// Which setting allowed the host, for the metric.
    label: Arc<str>,
    inside: Mutex<Inside>,
    /// Calls those that wait for a scout.
    verdict: Notify,
}

/// What a fuse says to an attempt.
enum Door {
    Through(Attempt),
    /// For this long.
    Shut(Duration),
    /// A scout is out.
    Ajar,
}

struct Inside {
    state: State,
    /// Counts changes of state. An attempt that began before the last change has no say.
    era: u64,
}

enum State {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration },
}

impl Fuse {
    pub(super) fn new(at: Place, label: Arc<str>) -> Arc<Self> {
        let inside = Mutex::new(Inside { state: State::Closed { failures: 0 }, era: 0 });
        Arc::new(Self { at, label, inside, verdict: Notify::new() })
    }

    /// Lets an attempt through, at once or after a scout's good news.
    async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<Attempt, UpstreamError> {
        let patience = deadline.min(Instant::now() + SCOUTING);
        loop {
            // Listens before it looks: a verdict in between is not missed.
            let verdict = self.verdict.notified();
            let closed_for = match self.knock() {
                Door::Through(attempt) => return Ok(attempt),
                Door::Shut(rest) => rest,
                Door::Ajar => match timeout_at(patience, verdict).await {
                    Ok(()) => continue,
                    Err(_) => SCOUTING,
                },
            };
            return Err(UpstreamError::BreakerOpen { at: self.at.clone(), retry_after: closed_for });
        }
    }

    fn knock(self: &Arc<Self>) -> Door {
        let mut inside = self.inside();
        match inside.state {
            State::Closed { .. } => {}
            State::HalfOpen { .. } => return Door::Ajar,
            State::Open { until, pause } => {
                let rest = until.saturating_duration_since(Instant::now());
                if !rest.is_zero() {
                    return Door::Shut(rest);
                }
                inside.turn(State::HalfOpen { pause });
            }
        }
        Door::Through(Attempt { fuse: Arc::clone(self), era: inside.era })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, inside: &mut Inside, pause: Duration) {
        inside.turn(State::Open { until: Instant::now() + pause, pause });
        self.verdict.notify_waiters();
        metrics::breaker_opened(&self.at, &self.label);
        let Place { source, host } = &self.at;
        tracing::warn!(%source, %host, pause_s = pause.as_secs(), "`{host}` fails repeatedly and is left alone");
    }

    fn close(&self, inside: &mut Inside) {
        inside.turn(State::Closed { failures: 0 });
        self.verdict.notify_waiters();
        let Place { source, host } = &self.at;
        tracing::info!(%source, %host, "`{host}` answers again");
    }
}

impl Inside {
    fn turn(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }
}

/// One attempt that was let through.
struct Attempt {
    fuse: Arc<Fuse>,
    era: u64,
}

impl Attempt {
    fn end(self, health: Health) {
        let fuse = Arc::clone(&self.fuse);
        let mut inside = fuse.inside();
        if inside.era != self.era {
            return;
        }
        match (&mut inside.state, health) {
            (_, Health::Unknown) | (State::Open { .. }, _) => {}
            (State::Closed { failures }, Health::Well) => *failures = 0,
            (State::Closed { failures }, Health::Ill) => {
                *failures += 1;
                if *failures >= FAILURES {
                    fuse.open(&mut inside, FIRST_PAUSE);
                }
            }
            (State::HalfOpen { .. }, Health::Well) => fuse.close(&mut inside),
            (State::HalfOpen { pause }, Health::Ill) => {
                let pause = (*pause * 2).min(LONGEST_PAUSE);
                fuse.open(&mut inside, pause);
            }
        }
    }
}

/// A scout that comes back without news, because its caller left for instance, must not leave
/// the door shut for ever: the next one goes at once.
impl Drop for Attempt {
    fn drop(&mut self) {
        let mut inside = self.fuse.inside();
        if let State::HalfOpen { pause } = inside.state
            && inside.era == self.era
        {
            inside.turn(State::Open { until: Instant::now(), pause });
            self.fuse.verdict.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::doubles::{Outcome, Stub, answer, call, call_for, place, timeout, unreachable};
    use super::super::error::{Halt, Phase};
    use super::*;

    fn breaker(stub: &Stub) -> Breaker<Stub> {
        Breaker::new(stub.clone(), Fuse::new(place(), "dam.example.org".into()))
    }

    async fn ask(breaker: &Breaker<Stub>) -> Outcome {
        breaker.clone().oneshot(call()).await
    }

    /// A breaker that has just opened.
    async fn opened(stub: &Stub) -> Breaker<Stub> {
        let breaker = breaker(stub);
        for _ in 0..FAILURES {
            assert!(matches!(ask(&breaker).await, Err(UpstreamError::Unreachable { .. })));
        }
        breaker
    }

    #[track_caller]
    fn refused(outcome: Outcome) -> Duration {
        match outcome {
            Err(UpstreamError::BreakerOpen { retry_after, .. }) => retry_after,
            other => panic!("expected an open breaker, got {other:?}"),
        }
    }

    #[test]
    fn outcomes_speak_of_the_hosts_health() {
        let cases: [(&str, Outcome, Health); 12] = [
            ("fine", Ok(answer(200)), Health::Well),
            ("missing", Ok(answer(404)), Health::Well),
            ("too many requests", Ok(answer(429)), Health::Well),
            ("one broken record", Ok(answer(500)), Health::Well),
            ("bad gateway", Ok(answer(502)), Health::Ill),
            ("maintenance", Ok(answer(503)), Health::Ill),
            ("gateway timeout", Ok(answer(504)), Health::Ill),
            ("no connection", Err(unreachable()), Health::Ill),
            ("no trust", Err(UpstreamError::Tls { at: place(), cause: "expired".into() }), Health::Ill),
            ("too slow", Err(timeout(Phase::Attempt)), Health::Ill),
            ("never asked", Err(UpstreamError::Busy { at: place(), retry_after: SCOUTING }), Health::Unknown),
            (
                "not for us",
                Err(UpstreamError::Redirected { at: place(), to: String::new(), halt: Halt::Denied }),
                Health::Unknown,
            ),
        ];
        for (name, outcome, expected) in cases {
            assert_eq!(Health::of(&outcome), expected, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_asks_no_more() {
        let stub = Stub::new(|_| Err(unreachable()));
        let breaker = opened(&stub).await;
        assert_eq!(refused(ask(&breaker).await), FIRST_PAUSE);
        advance(Duration::from_secs(2)).await;
        assert_eq!(refused(ask(&breaker).await), FIRST_PAUSE - Duration::from_secs(2));
        assert_eq!(stub.count(), FAILURES as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_starts_the_count_again() {
        let stub = Stub::new(|n| if n % 5 == 4 { Ok(answer(200)) } else { Err(unreachable()) });
        let breaker = breaker(&stub);
        for _ in 0..50 {
            let _ = ask(&breaker).await;
        }
        assert_eq!(stub.count(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scout_that_succeeds_closes_it() {
        let stub = Stub::new(|n| if n < FAILURES as usize { Err(unreachable()) } else { Ok(answer(200)) });
        let breaker = opened(&stub).await;
        advance(FIRST_PAUSE).await;
        for _ in 0..3 {
            assert!(ask(&breaker).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn scouts_that_fail_double_the_pause_up_to_a_minute() {
        let stub = Stub::new(|_| Err(unreachable()));
        let breaker = opened(&stub).await;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = refused(ask(&breaker).await);
            pauses.push(pause.as_secs());
            advance(pause).await;
            assert!(matches!(ask(&breaker).await, Err(UpstreamError::Unreachable { .. })));
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    /// A host that was down for [`FAILURES`] attempts; each one after that takes `answer` to answer.
    fn back_after(answer_after: Duration, outcome: fn() -> Outcome) -> Stub {
        Stub::slow(move |n, _| {
            Box::pin(async move {
                if n < FAILURES as usize {
                    return Err(unreachable());
                }
                tokio::time::sleep(answer_after).await;
                outcome()
            })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_scout_at_a_time_and_the_others_wait_for_its_verdict() {
        type Reply = fn() -> Outcome;
        let cases: [(&str, u64, Reply, [bool; 2], usize); 3] = [
            ("well", 900, || Ok(answer(200)), [true, true], 2),
            ("ill", 900, || Ok(answer(503)), [true, false], 1),
            ("too slow to wait for", 1100, || Ok(answer(200)), [true, false], 1),
        ];
        for (name, millis, outcome, expected, asked) in cases {
            let stub = back_after(Duration::from_millis(millis), outcome);
            let breaker = opened(&stub).await;
            advance(FIRST_PAUSE).await;
            let start = Instant::now();
            let waits = async {
                let outcome = ask(&breaker).await;
                (outcome, start.elapsed())
            };
            let (scout, (other, waited)) = tokio::join!(ask(&breaker), waits);
            assert_eq!([scout.is_ok(), other.is_ok()], expected, "{name}");
            assert_eq!(stub.count(), FAILURES as usize + asked, "{name}");
            assert_eq!(waited.as_millis(), if asked == 2 { 1800 } else { millis.min(1000).into() }, "{name}");
            if name == "ill" {
                assert_eq!(refused(other), FIRST_PAUSE * 2);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_scout_beyond_the_deadline() {
        let breaker = opened(&back_after(Duration::from_secs(9), || Ok(answer(200)))).await;
        advance(FIRST_PAUSE).await;
        let start = Instant::now();
        let hasty = breaker.clone().oneshot(call_for(Duration::from_millis(300)));
        let other = async { (hasty.await, start.elapsed()) };
        let (scout, (other, waited)) = tokio::join!(ask(&breaker), other);
        assert!(scout.is_ok());
        assert_eq!((refused(other), waited.as_millis()), (SCOUTING, 300));
    }

    /// What one part of a record learns must reach the others.
    #[tokio::test(start_paused = true)]
    async fn questions_side_by_side_come_through_after_an_outage() {
        let breaker = opened(&back_after(Duration::from_millis(50), || Ok(answer(200)))).await;
        advance(FIRST_PAUSE).await;
        let all = futures_util::future::try_join_all((0..3).map(|_| ask(&breaker))).await;
        assert!(all.is_ok(), "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn when_a_scout_is_abandoned_one_of_those_who_wait_goes_at_once() {
        let stub = Stub::slow(|n, _| {
            Box::pin(async move {
                match n {
                    0..5 => Err(unreachable()),
                    5 => std::future::pending().await,
                    _ => Ok(answer(200)),
                }
            })
        });
        let breaker = opened(&stub).await;
        advance(FIRST_PAUSE).await;
        let start = Instant::now();
        let abandoned = tokio::time::timeout(Duration::from_millis(200), ask(&breaker));
        let (abandoned, first, second) = tokio::join!(abandoned, ask(&breaker), ask(&breaker));
        assert!(abandoned.is_err() && first.is_ok() && second.is_ok());
        assert_eq!(start.elapsed().as_millis(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_scout_lets_the_next_one_go() {
        let stub = Stub::slow(|n, _| {
            Box::pin(async move {
                match n {
                    0..5 => Err(unreachable()),
                    5 => std::future::pending().await,
                    _ => Ok(answer(200)),
                }
            })
        });
        let breaker = opened(&stub).await;
        advance(FIRST_PAUSE).await;
        let abandoned = tokio::time::timeout(Duration::from_secs(1), ask(&breaker)).await;
        assert!(abandoned.is_err());
        assert!(ask(&breaker).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_from_before_have_no_say_after() {
        let stub = Stub::slow(|n, _| {
            Box::pin(async move {
                if n == 0 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    return Ok(answer(200));
                }
                Err(unreachable())
            })
        });
        let breaker = breaker(&stub);
        let late = tokio::spawn(breaker.clone().oneshot(call()));
        tokio::task::yield_now().await;
        for _ in 0..FAILURES {
            let _ = ask(&breaker).await;
        }
        assert!(late.await.unwrap().is_ok());
        assert_eq!(refused(ask(&breaker).await), FIRST_PAUSE - Duration::from_secs(1));
    }
}
