//! From a grant to a picture: original, turn in the pool, pixels.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::task::spawn_blocking;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use super::ServeError;
use super::cache::CacheLayer;
use super::flight::Flights;
use super::gate::Grant;
use super::lending::Lending;
use super::metrics;
use super::originals::{Original, Originals};
use super::pyramids::Pyramids;
use super::remote::Remote;
use super::replicas::Replicas;
use super::tiles::{Tiles, put_together};
use crate::imaging::{self, Header, ImagingError, Limits, Master, Pool};
use crate::store::{Key, Store};

/// Grants in, finished pictures out. It takes nothing else: rendering without asking does not compile.
pub type Derivatives = BoxCloneSyncService<Grant, Bytes, ServeError>;

/// The stack around one derivative, outermost first. Single flight stands outside the cache, so
/// that a picture whose only caller left is still kept, and no gap opens between "made" and "kept".
pub fn derivatives(store: Arc<dyn Store>, replicas: Replicas, render: Render) -> Derivatives {
    let cache = CacheLayer::new(store, replicas);
    let stack = ServiceBuilder::new().layer(FlightLayer).layer(cache).service(render);
    BoxCloneSyncService::new(stack)
}

/// A file, or why there is none.
type Drawn = Result<Vec<u8>, ImagingError>;

/// Makes pictures.
#[derive(Clone, Debug)]
pub struct Render {
    originals: Originals,
    lending: Lending,
    pyramids: Pyramids,
    pool: Arc<Pool>,
    limits: Limits,
}

impl Render {
    /// From these masters or their pyramids, on these workers.
    pub fn new(
        originals: Originals,
        lending: Lending,
        pyramids: Pyramids,
        pool: Arc<Pool>,
        limits: Limits,
    ) -> Self {
        Self { originals, lending, pyramids, pool, limits }
    }

    async fn run(self, grant: Grant) -> Result<Bytes, ServeError> {
        let begun = Instant::now();
        let remote = match &grant.tiles {
            Some(_) => None,
            None => self.originals.remote(&grant, &self.pool, &self.limits).await?,
        };
        if let Some(remote) = &remote
            && let Some(bytes) = self.borrow(&grant, remote).await?
        {
            ::metrics::counter!(metrics::TILES).increment(1);
            return Ok(bytes.into());
        }
        if remote.is_none()
            && let Some(bytes) = self.lend(&grant).await?
        {
            return Ok(bytes);
        }
        let bytes = match self.redraw(&grant, grant.tiles.clone()).await {
            Some(bytes) => bytes,
            None => match self.draw_parts(&grant, remote).await? {
                Some(bytes) => bytes,
                None => self.draw_master(&grant).await?,
            },
        };
        ::metrics::counter!(metrics::RENDERS).increment(1);
        ::metrics::histogram!(metrics::RENDER_SECONDS).record(begun.elapsed().as_secs_f64());
        let failed =
            |error| ServeError::from_imaging(&grant.view.source.name, grant.view.media.as_str(), error);
        bytes.map(Bytes::from).map_err(failed)
    }

    /// Drawn from a pyramid, if there is one. One that is damaged is dropped, and the master serves.
    async fn redraw(&self, grant: &Grant, tiles: Option<Arc<Tiles>>) -> Option<Drawn> {
        match self.pyramids.redraw(&*tiles?, grant.job).await? {
            Err(error @ (ImagingError::Broken(_) | ImagingError::Read(_))) => {
                self.pyramids.drop_damaged(grant, &error).await;
                None
            }
            drawn => Some(drawn),
        }
    }

    /// Tiles of a master that stays with its source, if they answer as they are.
    async fn borrow(&self, grant: &Grant, remote: &Remote) -> Result<Option<Vec<u8>>, ServeError> {
        let Some(lift) = remote.find(&grant.job) else { return Ok(None) };
        let Some(fetched) = self.originals.parts(remote, lift.ranges().collect()).await? else {
            return Ok(None);
        };
        let tiles = fetched.each(lift.ranges());
        match put_together(&self.pool, lift, tiles).await {
            Err(ImagingError::Busy) => Err(ServeError::Busy),
            // Whatever is wrong is told by who draws from them.
            lifted => Ok(lifted.ok()),
        }
    }

    /// Drawn from those parts of a master that it takes, if they are few.
    async fn draw_parts(
        &self,
        grant: &Grant,
        remote: Option<Arc<Remote>>,
    ) -> Result<Option<Drawn>, ServeError> {
        let Some(remote) = remote else { return Ok(None) };
        let header = remote.header();
        let needs = imaging::admit(header, &grant.job, &self.limits).and_then(|_| remote.needs(&grant.job));
        let needs = match needs {
            Ok(Some(needs)) => needs,
            Ok(None) | Err(ImagingError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Ok(Some(Err(error))),
        };
        let Some(fetched) = self.originals.parts(&remote, needs).await? else { return Ok(None) };
        let master = Box::new(remote.with(fetched.parts()));
        Ok(Some(self.draw(header.clone(), master, grant).await))
    }

    /// Tiles of a master that had to be fetched for them.
    async fn lend(&self, grant: &Grant) -> Result<Option<Bytes>, ServeError> {
        if grant.tiles.is_some() || !grant.lends() || self.originals.has(grant) {
            return Ok(None);
        }
        let view = &grant.view;
        // Held while it is looked into: nothing else pushes it out.
        let _fetched = self.originals.open(&view.source, &view.media, &view.version).await?;
        let Some(tiles) = self.lending.get(grant).await else { return Ok(None) };
        match tiles.find(&grant.job).await {
            Some(Err(ImagingError::Busy)) => Err(ServeError::Busy),
            found => Ok(found.and_then(Result::ok)),
        }
    }

    /// A master that is too large to be drawn from at once is drawn from its tiles, row by row as they are made.
    async fn draw_master(&self, grant: &Grant) -> Result<Drawn, ServeError> {
        let (header, original) = match grant.tiles.as_deref().and_then(Tiles::masters) {
            Some((header, original)) => (header.clone(), original.clone()),
            None => match self.open(grant).await? {
                Ok(opened) => opened,
                Err(error) => return Ok(Err(error)),
            },
        };
        let drawn = self.draw_original(header, original, grant).await;
        match &drawn {
            // Whoever asks for a part will soon ask for another.
            Ok(_) if self.lending.get(grant).await.is_none() => self.pyramids.wish(grant),
            Ok(_) => {}
            Err(ImagingError::TooLarge { .. }) => {
                let tiles = self.pyramids.need(grant).await?;
                return Ok(self.redraw(grant, tiles).await.unwrap_or(drawn));
            }
            // It may have changed since it was opened.
            Err(ImagingError::Broken(_)) => self.lending.close_one(grant),
            Err(_) => {}
        }
        Ok(drawn)
    }

    async fn open(&self, grant: &Grant) -> Result<Result<(Header, Original), ImagingError>, ServeError> {
        let view = &grant.view;
        let original = self.originals.open(&view.source, &view.media, &view.version).await?;
        let header = self.pool.header(original.reader(), view.page(), self.limits).await;
        Ok(header.map(|(header, _)| (header, original)))
    }

    /// Drawn from a master that is the same from its first byte to its last.
    async fn draw_original(&self, header: Header, original: Original, grant: &Grant) -> Drawn {
        let drawn = self.draw(header, original.reader(), grant).await?;
        let checked = spawn_blocking(move || original.check()).await;
        checked.unwrap_or_else(|error| Err(ImagingError::Decoder(error.to_string())))?;
        Ok(drawn)
    }

    /// Admitted by what the header says it will cost, the header of the very file that is drawn.
    async fn draw(&self, header: Header, master: Box<dyn Master>, grant: &Grant) -> Drawn {
        let (job, limits) = (grant.job, self.limits);
        let cost = imaging::admit(&header, &job, &limits)?;
        let hints = self.originals.hints(&grant.view.source, &grant.view.media, &grant.view.version, &header);
        let work = move || imaging::render(master, &header, &job, &limits, &hints);
        // A part of a large picture may take all of it.
        match grant.pyramid().is_some() && !grant.tiles.as_deref().is_some_and(Tiles::are_the_masters) {
            true => self.pool.run_long(cost, work).await,
            false => self.pool.run(cost, work).await,
        }
    }
}

impl Service<Grant> for Render {
    type Response = Bytes;
    type Error = ServeError;
    type Future = BoxFuture<'static, Result<Bytes, ServeError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ServeError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, grant: Grant) -> Self::Future {
        Box::pin(self.clone().run(grant))
    }
}

/// One maker per derivative.
#[derive(Clone, Copy, Debug)]
struct FlightLayer;

impl<S> Layer<S> for FlightLayer {
    type Service = Flown<S>;

    fn layer(&self, inner: S) -> Flown<S> {
        Flown { inner, flights: Flights::default() }
    }
}

#[derive(Clone, Debug)]
struct Flown<S> {
    inner: S,
    flights: Flights<Key, Bytes>,
}

impl<S> Service<Grant> for Flown<S>
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
        let (flights, inner) = (self.flights.clone(), self.inner.clone());
        Box::pin(async move { flights.join(grant.key().clone(), move || inner.oneshot(grant)).await })
    }
}
