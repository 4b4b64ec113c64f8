//! The use cases in domain terms: a picture, a description, a collection, for whoever asks.
//!
//! [`gate::Gate`] decides access and is the only maker of grants; nothing is rendered or described without one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::adapter::AdapterError;
use crate::imaging::ImagingError;
use crate::upstream::{Halt, UpstreamError};

pub mod cache;
pub mod collections;
pub mod depot;
pub mod epochs;
pub mod facts;
pub mod flight;
pub mod gate;
mod hints;
pub mod lending;
pub mod metrics;
pub mod offer;
pub mod originals;
pub mod pictures;
pub mod present;
pub mod purge;
pub mod pyramids;
mod ranges;
pub mod records;
pub mod remembered;
mod remote;
pub mod render;
pub mod replicas;
pub mod source;
pub mod tiles;
pub mod warming;

/// Why there is no answer. Cheap to clone: one failure may be told to many who waited for the same thing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ServeError {
    /// The request cannot be meant for this image, e.g. a region outside of it.
    #[error("{0}")]
    Impossible(String),
    /// Somebody with more rights could have it.
    #[error("`{0}` is not open to the public")]
    NeedsLogin(String),
    /// There is nothing of this name, or nobody may learn of it.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// What was looked for: `source`, `item`, `image`, …
        kind: &'static str,
        /// Its id as it was asked for.
        id: String,
    },
    /// A feature of the standard that is not offered here.
    #[error("{0}")]
    NotOffered(String),
    /// Larger than the declared limits.
    #[error("{0}")]
    TooLarge(String),
    /// All hands are full.
    #[error("the gateway is busy; try again shortly")]
    Busy,
    /// What was made of a master is damaged and gone; it can be made again.
    #[error("the pyramid of `{0}` was damaged; try again shortly")]
    Damaged(String),
    /// The source cannot be reached at present.
    #[error("source `{name}`: {message}")]
    Unreachable {
        /// The source.
        name: String,
        /// What happened, in words for people.
        message: String,
        /// When another try may help.
        retry_after: Option<Duration>,
    },
    /// A file of the source became another one while it was read in parts: what was made of it is out of date.
    #[error("source `{name}`: file `{media}` changed while it was read")]
    Changed {
        /// The source.
        name: String,
        /// The file.
        media: String,
    },
    /// The source took too long.
    #[error("source `{name}`: {message}")]
    Timeout {
        /// The source.
        name: String,
        /// What happened, in words for people.
        message: String,
    },
    /// The source answered something else than its definition expects, or a file that is no image.
    #[error("source `{name}`: {message}{}", .found.as_ref().map(|found| format!(", found {found}")).unwrap_or_default())]
    BadAnswer {
        /// The source.
        name: String,
        /// What was expected, in words for everybody.
        message: String,
        /// What came instead. For the operator: it quotes the source, which may have said it in confidence.
        found: Option<String>,
    },
    /// What is told of an item cannot be read. It may say that the item is closed, so nothing that was known before
    /// may stand in for it.
    #[error("source `{name}`: {message}")]
    Unreadable {
        /// The source.
        name: String,
        /// Where and what.
        message: String,
        /// What becomes of what was known before.
        earlier: Earlier,
    },
    /// A fault of ours; the cause is for the log only.
    #[error("{0}")]
    Internal(Arc<dyn Error + Send + Sync>),
}

/// What becomes of an earlier answer, when a new one cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It is void: somebody meant to say something else.
    Void,
    /// It is kept for better days: the new one was nonsense.
    Kept,
}

impl ServeError {
    /// A fault of ours.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(cause.into()))
    }

    /// Whether the same question may be answered soon: an older answer serves better than this one.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable { .. } | Self::Timeout { .. } | Self::BadAnswer { .. })
    }

    /// What an adapter says, with the name of its source.
    pub fn from_adapter(name: &str, kind: &'static str, error: AdapterError) -> Self {
        let name = name.to_owned();
        let (message, retry_after) = (error.to_string(), error.retry_after());
        match error {
            AdapterError::NotFound(id) | AdapterError::Denied(id) => Self::NotFound { kind, id },
            AdapterError::Unsupported(_) => Self::NotOffered(format!("source `{name}`: {message}")),
            AdapterError::Upstream(error) => Self::from_upstream(name, &error),
            AdapterError::Description { .. } | AdapterError::Unclear(_) => {
                Self::Unreadable { name, message, earlier: Earlier::Void }
            }
            AdapterError::Senseless(_) => Self::Unreadable { name, message, earlier: Earlier::Kept },
            AdapterError::TooSlow { .. } => Self::Timeout { name, message },
            AdapterError::Io { .. } => Self::Unreachable { name, message, retry_after },
            error if error.is_temporary() => Self::Unreachable { name, message, retry_after },
            AdapterError::Field { adapter, item, field, expected, found } => {
                let message =
                    format!("field `{field}` of `{item}`: expected {expected} (adapter `{adapter}`)");
                Self::BadAnswer { name, message, found: Some(found) }
            }
            _ => Self::BadAnswer { name, message, found: None },
        }
    }

    /// Which host was asked, and what it sent us to, is how the house behind us is built: that is for the log.
    fn from_upstream(name: String, error: &UpstreamError) -> Self {
        let said = match error {
            UpstreamError::Unreachable { .. } => "it cannot be reached",
            UpstreamError::Tls { .. } => "it offers no trusted connection",
            UpstreamError::Timeout { .. } => "it did not answer in time",
            UpstreamError::BreakerOpen { .. } => "it failed repeatedly and is left alone for a while",
            UpstreamError::Busy { .. } => "too many requests wait for it",
            UpstreamError::HostRefused { .. } => "it sends us to an address that may not be asked",
            UpstreamError::Redirected { halt: Halt::TooMany, .. } => "it redirects in circles",
            UpstreamError::Redirected { .. } => "it redirects elsewhere",
            UpstreamError::BodyTooLarge { .. } => "its answer is too long",
            UpstreamError::Cut { .. } => "its answer broke off",
            UpstreamError::Settings { .. } => "it cannot be asked as it is set up",
        };
        match error {
            // Said once already, by what came before.
            UpstreamError::BreakerOpen { .. } | UpstreamError::Busy { .. } => {
                tracing::debug!(source = %name, %error, "a source is not asked")
            }
            _ => tracing::warn!(source = %name, %error, "a source gave no answer"),
        }
        let message = said.to_owned();
        match error {
            UpstreamError::Timeout { .. } => Self::Timeout { name, message },
            error if error.is_temporary() => {
                Self::Unreachable { name, message, retry_after: error.retry_after() }
            }
            _ => Self::BadAnswer { name, message, found: None },
        }
    }

    /// What the imaging says of a master, with the name of its source.
    pub fn from_imaging(name: &str, media: &str, error: ImagingError) -> Self {
        match error {
            ImagingError::Busy => Self::Busy,
            error @ ImagingError::OutputTooLarge { .. } => Self::TooLarge(error.to_string()),
            // The file is as it should be; this gateway was not given the means.
            error @ ImagingError::TooLarge { .. } => {
                Self::NotOffered(format!("source `{name}`: master `{media}`: {error}"))
            }
            error @ ImagingError::Decoder(_) => Self::internal(error),
            error => Self::BadAnswer {
                name: name.to_owned(),
                message: format!("master `{media}`: {error}"),
                found: None,
            },
        }
    }
}
