//! Finished derivatives, kept: a tower layer around the rendering.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::ServeError;
use super::gate::Grant;
use super::replicas::{Replicas, Turn};
use crate::store::{Key, Store};

/// A derivative never becomes wrong, since its key names the version of its master; unused ones are evicted.
pub(super) const KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Asks a store first, fills it afterwards; of several replicas one does.
#[derive(Clone, Debug)]
pub struct CacheLayer {
    store: Arc<dyn Store>,
    replicas: Replicas,
}

impl CacheLayer {
    /// Keeps derivatives in `store`, which is where the others of `replicas` look for them.
    pub fn new(store: Arc<dyn Store>, replicas: Replicas) -> Self {
        Self { store, replicas }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cached<S>;

    fn layer(&self, inner: S) -> Cached<S> {
        Cached { inner, kept: self.clone() }
    }
}

/// See [`CacheLayer`].
#[derive(Clone, Debug)]
pub struct Cached<S> {
    inner: S,
    kept: CacheLayer,
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
        let (inner, CacheLayer { store, replicas }) = (self.inner.clone(), self.kept.clone());
        Box::pin(async move {
            let key = grant.key().clone();
            if let Some(bytes) = look(&*store, &key).await {
                return Ok(bytes);
            }
            let _stint = match replicas.turn(&key, || look(&*store, &key)).await {
                Turn::Done(bytes) => return Ok(bytes),
                Turn::Ours(stint) => stint,
            };
            // What an encoder has left over in its buffer would be kept with it, and counted by nobody.
            let derivative = Bytes::copy_from_slice(&inner.oneshot(grant.clone()).await?);
            if grant.view.is_purged() {
                return Ok(derivative);
            }
            if let Err(error) = store.put(&key, derivative.clone(), KEPT).await {
                tracing::debug!(%error, "the cache takes nothing, going on without");
            }
            Ok(derivative)
        })
    }
}

/// A cache that fails is a miss: this is the one place where that is forgiven.
async fn look(store: &dyn Store, key: &Key) -> Option<Bytes> {
    store.get(key).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the cache cannot be read, going on without");
        None
    })
}
