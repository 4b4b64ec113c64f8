//! One picture for whoever holds a grant: from the nearest place where it lies, else made.

use std::sync::Arc;

use bytes::Bytes;
use tower::ServiceExt;

use super::ServeError;
use super::gate::Grant;
use super::lending::Lending;
use super::pyramids::Pyramids;
use super::render::Derivatives;
use crate::imaging::ImagingError;
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
            None => self.pyramids.get(&grant).await,
            lent => lent,
        };
        match tiles {
            Some(tiles) => grant.with_tiles(tiles),
            None => grant,
        }
    }

    /// The picture. What lies in memory or in a pyramid costs neither a task nor a lock that anybody holds for long.
    pub async fn get(&self, grant: Grant) -> Result<Bytes, ServeError> {
        if let Some(bytes) = self.finished.get_now(grant.key()) {
            return Ok(bytes);
        }
        // Found again as quickly as in memory, which has room for others.
        if let Some(tiles) = &grant.tiles {
            match tiles.find(&grant.job).await {
                Some(Ok(bytes)) => return Ok(bytes),
                // Drawn instead, it would be other bytes under the same tag.
                Some(Err(ImagingError::Busy)) => return Err(ServeError::Busy),
                Some(Err(_)) if tiles.are_the_masters() => self.lending.close_one(&grant),
                Some(Err(error)) => self.pyramids.drop_damaged(&grant, &error).await,
                None => {}
            }
        }
        self.derivatives.clone().oneshot(grant).await
    }
}
