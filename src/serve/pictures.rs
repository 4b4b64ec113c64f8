//! One picture for whoever holds a grant: from the nearest place where it lies, else made.

use std::sync::Arc;

use bytes::Bytes;
use tower::ServiceExt;

use super::ServeError;
use super::gate::Grant;
use super::lending::Lending;
use super::pyramids::Pyramids;
use super::render::Derivatives;
use crate::store::Memory;

/// All pictures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pictures {
    finished: Arc<Memory>,
    lending: Lending,
    pyramids: Pyramids,
    derivatives: Derivatives,
}

impl Pictures {
    /// Looked for in `finished`, in masters that lend their tiles and in `pyramids`, else made by `derivatives`.
    pub fn new(
        finished: Arc<Memory>,
        lending: Lending,
        pyramids: Pyramids,
        derivatives: Derivatives,
    ) -> Self {
        Self { finished, lending, pyramids, derivatives }
    }

    /// Where the picture comes from is known before it is made, for it decides about the bytes.
    pub async fn placed(&self, grant: Grant) -> Grant {
        let tiles = match self.lending.get(&grant).await {
            Ok(None) => self.pyramids.get(&grant).await,
            // An answer that was kept is none the worse for an error; who would have to make one meets it again.
            lent => lent.ok().flatten(),
        };
        match tiles {
            Some(tiles) => grant.with_tiles(tiles),
            None => grant,
        }
    }

    /// The picture, and the grant that it answers: not the one that was asked with if a pyramid turns out to be damaged.
    pub async fn get(&self, grant: Grant) -> Result<(Bytes, Grant), ServeError> {
        let (found, grant) = match self.find(&grant).await {
            Err(ServeError::Damaged(_)) => {
                let grant = grant.without_tiles();
                (self.find(&grant).await, grant)
            }
            found => (found, grant),
        };
        Ok((found?, grant))
    }

    /// What lies in memory or in a pyramid costs neither a task nor a lock that anybody holds for long.
    async fn find(&self, grant: &Grant) -> Result<Bytes, ServeError> {
        if let Some(bytes) = self.finished.get_now(grant.key()) {
            return Ok(bytes);
        }
        // Found again as quickly as in memory, which has room for others.
        if let Some(tiles) = &grant.tiles {
            match tiles.find(&grant.job).await {
                Some(Ok(bytes)) => return Ok(bytes),
                Some(Err(error)) if tiles.are_the_masters() => return Err(self.lending.failed(grant, error)),
                Some(Err(error)) => return Err(self.pyramids.failed(grant, tiles, error).await),
                None => {}
            }
        }
        self.derivatives.clone().oneshot(grant.clone()).await
    }
}
