//! What the handlers work with, and what comes of it.

use std::sync::Arc;

use http::Response;

use super::{Body, Problem};
use crate::serve::collections::Collections;
use crate::serve::gate::Gate;
use crate::serve::pictures::Pictures;
use crate::serve::present::Uris;
use crate::serve::purge::Purge;
use crate::store::Memory;

/// An answer, or why there is none.
pub(in crate::http) type Outcome = Result<Response<Body>, Problem>;

/// What the handlers work with.
#[derive(Debug)]
pub struct Parts {
    /// Decides access to everything.
    pub gate: Gate,
    /// Knows what is in a source.
    pub collections: Collections,
    /// Has pictures.
    pub pictures: Pictures,
    /// Finished documents in memory: looked up without a task or a wait.
    pub finished: Arc<Memory>,
    /// Drops what is kept. Here for others to take; it ends with the parts.
    pub purge: Purge,
    /// Prints public addresses.
    pub uris: Uris,
}
