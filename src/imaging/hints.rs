//! What was learnt of a master, for those who read it again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::jpeg::{self, Checkpoints, Jpeg};
use super::sniff::Layout;
use super::{Header, ImagingError};

/// What was learnt of one version of a master, and helps whoever reads it again: nothing at first. Cheap to clone, and
/// all clones learn together.
#[derive(Clone, Debug)]
pub struct Hints {
    header: Arc<Header>,
    /// Places in a JPEG from which it can be read on, once somebody has seen all of it.
    checkpoints: Arc<Mutex<Option<Checkpoints>>>,
}

impl Hints {
    /// For the master with this header.
    pub fn new(header: &Header) -> Self {
        Self { header: Arc::new(header.clone()), checkpoints: Arc::default() }
    }

    /// Whether they may be of a master with this header, as far as that tells.
    pub fn fit(&self, header: &Header) -> bool {
        *self.header == *header
    }

    /// Bytes of memory that they will take, at most.
    pub fn weight(&self) -> u64 {
        let checkpoints = match &self.header.layout {
            Layout::Jpeg(frame) => jpeg::cost_of_checkpoints(frame, self.header.stored()),
            _ => 0,
        };
        checkpoints + size_of::<Header>() as u64
    }

    /// A JPEG of which everything was seen. Of many who come at once, one looks: the others have little to do without.
    pub(super) fn walk(&self, jpeg: Jpeg) -> Result<Jpeg, ImagingError> {
        let mut known = self.checkpoints();
        if let Some(checkpoints) = &*known {
            return Ok(jpeg.with_checkpoints(checkpoints.clone()));
        }
        let jpeg = jpeg.walk()?;
        *known = jpeg.checkpoints();
        Ok(jpeg)
    }

    /// A JPEG with the help of what is known of it.
    pub(super) fn help(&self, jpeg: Jpeg) -> Jpeg {
        match &*self.checkpoints() {
            Some(checkpoints) => jpeg.with_checkpoints(checkpoints.clone()),
            None => jpeg,
        }
    }

    /// Learns what was seen on the way to the end of a JPEG.
    pub(super) fn keep(&self, checkpoints: Option<Checkpoints>) {
        if checkpoints.is_some() {
            *self.checkpoints() = checkpoints;
        }
    }

    fn checkpoints(&self) -> MutexGuard<'_, Option<Checkpoints>> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
