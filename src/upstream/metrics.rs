//! What operators see of remote systems: how often each is asked, how long it takes, how often it is left alone.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use metrics::{counter, histogram};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::error::Place;
use super::stack::Call;
use super::{Answer, UpstreamError};

/// Attempts by `source`, `host` (the setting that allows it) and `outcome`.
pub const REQUESTS: &str = "loggia_upstream_requests_total";
/// Seconds from sending to the head of the answer, by `source` and `host`.
pub const SECONDS: &str = "loggia_upstream_request_seconds";
/// How often a host was left alone for a while, by `source` and `host`.
pub const BREAKER: &str = "loggia_upstream_breaker_openings_total";

/// The layer.
#[derive(Clone)]
pub(super) struct Meter<S> {
    inner: S,
    source: Arc<str>,
    host: Arc<str>,
}

impl<S> Meter<S> {
    pub(super) fn new(inner: S, source: Arc<str>, host: Arc<str>) -> Self {
        Self { inner, source, host }
    }
}

impl<S> Service<Call> for Meter<S>
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
        let Self { inner, source, host } = self.clone();
        Box::pin(async move {
            let begun = Instant::now();
            let outcome = inner.oneshot(call).await;
            let word = word(&outcome);
            counter!(REQUESTS, "source" => source.clone(), "host" => host.clone(), "outcome" => word)
                .increment(1);
            histogram!(SECONDS, "source" => source, "host" => host).record(begun.elapsed());
            outcome
        })
    }
}

/// An outcome as a label.
fn word(outcome: &Result<Answer, UpstreamError>) -> &'static str {
    match outcome {
        Ok(answer) => match answer.status.as_u16() {
            429 => "429",
            500.. => "5xx",
            400.. => "4xx",
            300.. => "3xx",
            _ => "2xx",
        },
        Err(UpstreamError::Timeout { .. }) => "timeout",
        Err(UpstreamError::Unreachable { .. }) => "unreachable",
        Err(UpstreamError::Tls { .. }) => "tls",
        Err(_) => "refused",
    }
}

/// Notes that a breaker opened.
pub(super) fn breaker_opened(at: &Place, host: &Arc<str>) {
    counter!(BREAKER, "source" => at.source.clone(), "host" => host.clone()).increment(1);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::super::doubles::{Stub, answer, call, place, timeout};
    use super::super::error::Phase;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_and_timed() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let stub = Stub::new(|n| match n {
            0 | 1 => Ok(answer(206)),
            2 => Ok(answer(429)),
            3 => Ok(answer(503)),
            _ => Err(timeout(Phase::Attempt)),
        });
        let meter = Meter::new(stub, "maps".into(), "*.example.org".into());
        for _ in 0..5 {
            let _ = meter.clone().oneshot(call()).await;
        }
        breaker_opened(&place(), &"*.example.org".into());
        let page = handle.render();
        let mut lines: Vec<_> =
            page.lines().filter(|line| !line.contains("quantile") && !line.is_empty()).collect();
        lines.sort_unstable();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        # TYPE loggia_upstream_breaker_openings_total counter
        # TYPE loggia_upstream_request_seconds summary
        # TYPE loggia_upstream_requests_total counter
        loggia_upstream_breaker_openings_total{source="maps",host="*.example.org"} 1
        loggia_upstream_request_seconds_count{source="maps",host="*.example.org"} 5
        loggia_upstream_request_seconds_sum{source="maps",host="*.example.org"} 0
        loggia_upstream_requests_total{source="maps",host="*.example.org",outcome="2xx"} 2
        loggia_upstream_requests_total{source="maps",host="*.example.org",outcome="429"} 1
        loggia_upstream_requests_total{source="maps",host="*.example.org",outcome="5xx"} 1
        loggia_upstream_requests_total{source="maps",host="*.example.org",outcome="timeout"} 1
        "#);
    }
}
