//! Finished derivatives, kept: a tower layer around the rendering.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::ServeError;
use super::gate::Grant;
use crate::store::Store;

/// A derivative never becomes wrong, since its key names the version of its master; unused ones are evicted.
pub(super) const KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Asks a store first, fills it afterwards.
#[derive(Clone, Debug)]
pub struct CacheLayer {
    store: Arc<dyn Store>,
}

impl CacheLayer {
    /// Keeps derivatives in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cached<S>;

    fn layer(&self, inner: S) -> Cached<S> {
        Cached { inner, store: Arc::clone(&self.store) }
    }
}

/// See [`CacheLayer`].
#[derive(Clone, Debug)]
pub struct Cached<S> {
    inner: S,
    store: Arc<dyn Store>,
}

impl<S> Service<Grant> for Cached<S>
where
    S: Service<Grant, Response = Bytes, Error = ServeError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Bytes;
    type Error = ServeError;
    type Future = BoxFuture<'static, Result<Bytes, ServeError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ServeError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, grant: Grant) -> Self::Future {
        let (inner, store) = (self.inner.clone(), Arc::clone(&self.store));
        Box::pin(async move {
            // A cache that fails is a miss: this is the one place where that is forgiven.
            match store.get(grant.key()).await {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "the cache cannot be read, going on without"),
            }
            let key = grant.key().clone();
            let derivative = inner.oneshot(grant).await?;
            if let Err(error) = store.put(&key, derivative.clone(), KEPT).await {
                tracing::debug!(%error, "the cache takes nothing, going on without");
            }
            Ok(derivative)
        })
    }
}
