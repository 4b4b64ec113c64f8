//! Failures become problems here, and are logged here: the errors of load shedding, panics, mistakes.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Map;
use http::{Request, Response};
use tower::load_shed::error::Overloaded;
use tower::util::Oneshot;
use tower::{BoxError, Layer, Service, ServiceExt};
use tracing::error;

use super::problem::Kind;
use super::{Body, Problem};
use crate::telemetry::{HTTP_PANICS, HTTP_SHED};

/// Turns a service that may fail into one that always answers.
///
/// Written by hand because tower's `then` keeps the inner error type.
#[derive(Clone, Copy, Debug, Default)]
pub struct RescueLayer;

impl<S> Layer<S> for RescueLayer {
    type Service = Rescue<S>;

    fn layer(&self, inner: S) -> Rescue<S> {
        Rescue { inner }
    }
}

/// The service that [`RescueLayer`] makes.
#[derive(Clone, Debug)]
pub struct Rescue<S> {
    inner: S,
}

type Outcome = Result<Response<Body>, BoxError>;
type Rescued = Result<Response<Body>, Infallible>;

impl<S> Service<Request<Body>> for Rescue<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<Oneshot<S, Request<Body>>, fn(Outcome) -> Rescued>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Body>) -> Self::Future {
        self.inner.clone().oneshot(req).map(|outcome| Ok(outcome.unwrap_or_else(|error| rescued(&error))))
    }
}

fn rescued(error: &BoxError) -> Response<Body> {
    if error.is::<Overloaded>() {
        metrics::counter!(HTTP_SHED).increment(1);
        return Problem::busy("more requests are running than the gateway takes on").into();
    }
    internal(&**error).into()
}

/// A mistake of ours: the cause goes to the log, the client gets fixed words and the request's id.
pub fn internal(cause: &(dyn Error + 'static)) -> Problem {
    let mut chain = cause.to_string();
    let mut next = cause.source();
    while let Some(error) = next {
        chain = format!("{chain}: {error}");
        next = error.source();
    }
    error!(cause = chain, "a request failed because of a mistake in the gateway");
    Problem::new(Kind::Internal, "")
}

/// The answer to a request whose handling panicked.
#[expect(clippy::needless_pass_by_value, reason = "the panic layer hands the panic over")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    metrics::counter!(HTTP_PANICS).increment(1);
    error!(panic = text.unwrap_or("of an unknown kind"), "a request failed in a panic");
    Problem::new(Kind::Internal, "").into()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn an_error_becomes_a_500_without_its_words() {
        let failing = service_fn(async |_: Request<Body>| Err::<Response<Body>, BoxError>("secret".into()));
        let res = RescueLayer.layer(failing).oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(res.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
