//! A part of the gateway behind one pointer: requests in, answers out, nothing fails.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower::{Service, ServiceExt};

use super::Body;

/// The whole gateway as one service, or the inner part of it: what [`super::stack::stack`] makes and
/// [`super::listen::serve`] serves.
///
/// tower's boxes are cloned with all that lies inside, for each request and at each layer; here a clone is a count.
#[derive(Clone)]
pub struct Stack(Arc<dyn Answers>);

/// What a service does for one request, on a clone of its own.
trait Answers: Send + Sync {
    fn answer(&self, req: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Infallible>>;
}

impl<S> Answers for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn answer(&self, req: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        Box::pin(self.clone().oneshot(req))
    }
}

impl Stack {
    /// Puts a service behind a pointer.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        Self(Arc::new(service))
    }
}

impl Service<Request<Body>> for Stack {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Body>) -> Self::Future {
        self.0.answer(req)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stack")
    }
}
