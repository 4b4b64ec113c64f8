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
use super::gate::{Grant, View};
use super::lending::Lending;
use super::metrics;
use super::originals::{Original, Originals};
use super::purge::Purge;
use super::pyramids::Pyramids;
use super::remembered::Name;
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

/// What came of making a picture.
enum Made {
    /// It lies in the master.
    Lent(Bytes),
    /// It had to be drawn.
    Drawn(Vec<u8>),
}

/// Makes pictures.
#[derive(Clone, Debug)]
pub struct Render {
    originals: Originals,
    lending: Lending,
    pyramids: Pyramids,
    purge: Purge,
    renewing: Flights<Name, ()>,
    pool: Arc<Pool>,
    limits: Limits,
}

impl Render {
    /// From these masters, lent or whole, or their pyramids, on these workers. What turns out to be made of a file that
    /// is no more is purged.
    pub fn new(
        (originals, lending): (Originals, Lending),
        pyramids: Pyramids,
        purge: Purge,
        pool: Arc<Pool>,
        limits: Limits,
    ) -> Self {
        Self { originals, lending, pyramids, purge, renewing: Flights::default(), pool, limits }
    }

    async fn run(self, grant: Grant) -> Result<Bytes, ServeError> {
        let begun = Instant::now();
        let made = match self.make_of_parts(&grant).await {
            Ok(Some(made)) => made,
            Ok(None) => self.make_of_whole(grant).await?,
            Err(error) => {
                if matches!(error, ServeError::Changed { .. }) {
                    self.renew(&grant.view).await;
                }
                return Err(error);
            }
        };
        Ok(match made {
            Made::Lent(bytes) => bytes,
            Made::Drawn(bytes) => {
                ::metrics::counter!(metrics::RENDERS).increment(1);
                ::metrics::histogram!(metrics::RENDER_SECONDS).record(begun.elapsed().as_secs_f64());
                bytes.into()
            }
        })
    }

    /// Has everything forgotten that was made of an item: tiles of two files would be put together to one picture.
    async fn renew(&self, view: &Arc<View>) {
        let (originals, purge, view) = (self.originals.clone(), self.purge.clone(), Arc::clone(view));
        let item = view.item().clone();
        let work = || async move {
            // Others may have found out before.
            if !view.is_purged() {
                let (source, item) = view.item();
                tracing::warn!(source, item, media = %view.media, "a file changed that is read in parts");
                originals.changed(view.item());
                purge.run(source, Some(item)).await?;
            }
            Ok(())
        };
        if let Err(error) = self.renewing.join(item, work).await {
            tracing::error!(%error, "what was made of a file that is no more is told further on");
        }
    }

    /// Made of those parts that it takes of a master that stays with its source; `None` where all of it has to be fetched,
    /// of which the same is made.
    async fn make_of_parts(&self, grant: &Grant) -> Result<Option<Made>, ServeError> {
        if grant.tiles.is_some() {
            return Ok(None);
        }
        let Some(remote) = self.originals.remote(grant, &self.pool, &self.limits).await? else {
            return Ok(None);
        };
        if let Some(lift) = remote.find(&grant.job) {
            let fetched = self.originals.parts(&remote, lift.ranges().collect()).await?;
            let Some(fetched) = fetched else { return Ok(None) };
            let tiles = fetched.each(lift.ranges());
            match put_together(&self.pool, lift, tiles).await {
                Ok(bytes) => {
                    ::metrics::counter!(metrics::TILES).increment(1);
                    return Ok(Some(Made::Lent(bytes.into())));
                }
                // Whatever is wrong with them is told by who draws from them.
                Err(ImagingError::Unsupported { .. } | ImagingError::Broken(_)) => {}
                Err(error) => return Err(grant.view.failed(error)),
            }
        }
        let failed = |error| grant.view.failed(error);
        let needs = imaging::admit(remote.header(), &grant.job, &self.limits);
        let needs = match needs.and_then(|_| remote.needs(&grant.job)) {
            Ok(Some(needs)) => needs,
            Ok(None) | Err(ImagingError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Some(fetched) = self.originals.parts(&remote, needs).await? else { return Ok(None) };
        let master = Box::new(remote.with(fetched.parts()));
        let drawn = self.draw(remote.header().clone(), master, grant).await;
        drawn.map(|drawn| Some(Made::Drawn(drawn))).map_err(failed)
    }

    /// Made of a pyramid, or of all of a master, which is fetched if need be: one that lends its tiles may have to be.
    async fn make_of_whole(&self, grant: Grant) -> Result<Made, ServeError> {
        if let Some(tiles) = &grant.tiles {
            return match self.pyramids.redraw(&grant, tiles).await {
                Some(drawn) => drawn.map(Made::Drawn),
                None => self.draw_master(&grant).await,
            };
        }
        let Some(tiles) = self.lending.fetch(&grant).await? else { return self.draw_master(&grant).await };
        match tiles.find(&grant.job).await {
            Some(Ok(bytes)) => Ok(Made::Lent(bytes)),
            Some(Err(error)) => Err(self.lending.failed(&grant, error)),
            None => self.draw_master(&grant.with_tiles(tiles)).await,
        }
    }

    /// A master that is too large to be drawn from at once is drawn from its tiles, row by row as they are made.
    async fn draw_master(&self, grant: &Grant) -> Result<Made, ServeError> {
        let lent = grant.tiles.as_deref().and_then(Tiles::masters);
        let (header, original) = match lent {
            Some((header, original)) => (header.clone(), original.clone()),
            None => self.open(grant).await?,
        };
        let error = match self.draw_original(header, original, grant).await {
            Ok(drawn) => {
                // Whoever asks for a part will soon ask for another.
                if lent.is_none() {
                    self.pyramids.wish(grant);
                }
                return Ok(Made::Drawn(drawn));
            }
            Err(error) => error,
        };
        match error {
            ImagingError::TooLarge { .. } => {
                if let Some(tiles) = self.pyramids.need(grant).await?
                    && let Some(drawn) = self.pyramids.redraw(grant, &tiles).await
                {
                    return drawn.map(Made::Drawn);
                }
            }
            // It may have changed since it was opened.
            ImagingError::Broken(_) => self.lending.close_one(grant),
            _ => {}
        }
        Err(grant.view.failed(error))
    }

    async fn open(&self, grant: &Grant) -> Result<(Header, Original), ServeError> {
        let view = &grant.view;
        let original = self.originals.open(&view.source, &view.media, &view.version).await?;
        let header = self.pool.header(original.reader(), view.page(), self.limits).await;
        header.map(|(header, _)| (header, original)).map_err(|error| view.failed(error))
    }

    /// Drawn from a master that is the same from its first byte to its last.
    async fn draw_original(
        &self,
        header: Header,
        original: Original,
        grant: &Grant,
    ) -> Result<Vec<u8>, ImagingError> {
        let drawn = self.draw(header, original.reader(), grant).await?;
        let checked = spawn_blocking(move || original.check()).await;
        checked.unwrap_or_else(|error| Err(ImagingError::Decoder(error.to_string())))?;
        Ok(drawn)
    }

    /// Admitted by what the header says it will cost, the header of the very file that is drawn.
    async fn draw(
        &self,
        header: Header,
        master: Box<dyn Master>,
        grant: &Grant,
    ) -> Result<Vec<u8>, ImagingError> {
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
