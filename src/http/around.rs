//! A layer made from one async function: request and inner service in, answer out.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Map;
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};

use super::{Body, Stack};

/// Makes a layer out of `wrap`, which is given every request and what lies inside.
pub(super) fn around<F, A>(wrap: F) -> Around<F>
where
    F: Fn(Request<Body>, Inner) -> A + Clone,
    A: Future<Output = Response<Body>>,
{
    Around { wrap }
}

/// See [`around`].
#[derive(Clone, Debug)]
pub(super) struct Around<F> {
    wrap: F,
}

impl<F, S> Layer<S> for Around<F>
where
    F: Clone,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Service = AroundService<F>;

    fn layer(&self, inner: S) -> AroundService<F> {
        AroundService { wrap: self.wrap.clone(), inner: Stack::new(inner) }
    }
}

/// What lies inside such a layer, for one request.
#[derive(Debug)]
pub(super) struct Inner(Stack);

impl Inner {
    /// Asks it.
    pub(super) async fn run(self, req: Request<Body>) -> Response<Body> {
        match self.0.oneshot(req).await {
            Ok(res) => res,
            Err(never) => match never {},
        }
    }
}

/// The service that [`Around`] makes.
#[derive(Clone, Debug)]
pub(super) struct AroundService<F> {
    wrap: F,
    inner: Stack,
}

impl<F, A> Service<Request<Body>> for AroundService<F>
where
    F: Fn(Request<Body>, Inner) -> A,
    A: Future<Output = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<A, fn(Response<Body>) -> Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Body>) -> Self::Future {
        (self.wrap)(req, Inner(self.inner.clone())).map(Ok)
    }
}
