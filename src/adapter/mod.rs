//! What a remote system looks like to the gateway: one trait, neutral values, abilities as data.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub mod folder;
pub mod record;

use record::{Cursor, ItemId, Leaf, Listed, MediaId, Member, Page, Record};

/// What an adapter can do. The behaviour suite holds it to its word, both ways: what is
/// claimed works, what is not claimed answers [`AdapterError::Unsupported`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// [`Adapter::list`] names every item of the source.
    pub listing: bool,
    /// [`Adapter::collection`] knows nested collections.
    pub collections: bool,
    /// [`Adapter::media`] honours byte ranges.
    pub ranges: bool,
}

/// One kind of system, bound to one configured source.
#[async_trait]
pub trait Adapter: Send + Sync + Debug + 'static {
    /// What this adapter can do.
    fn abilities(&self) -> Abilities;

    /// The description of one item, freshly asked for.
    async fn record(&self, id: &ItemId) -> Result<Record, AdapterError>;

    /// The item that a media id belongs to; pure. Every decision about its pixels uses that
    /// item's record. `None`: no item of this source can have such a media id, it stays closed.
    fn item_of(&self, id: &MediaId) -> Option<ItemId>;

    /// What the source says of one file without sending it, where that is cheaper than asking
    /// for the record. `Ok(None)`: it has no such means.
    async fn facts(&self, id: &MediaId) -> Result<Option<FileFacts>, AdapterError>;

    /// The bytes of one file, all of them or a range. An adapter without the ability `ranges`
    /// (or a server that ignores them) answers from the first byte; [`Media::start`] tells.
    async fn media(&self, id: &MediaId, range: Option<Range<u64>>) -> Result<Media, AdapterError>;

    /// One page of all items of the source.
    async fn list(&self, _after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
        Err(AdapterError::Unsupported("listing"))
    }

    /// One page of the direct members of a collection.
    async fn collection(&self, _leaf: &Leaf, _after: Option<&Cursor>) -> Result<Page<Member>, AdapterError> {
        Err(AdapterError::Unsupported("collections"))
    }
}

/// What a source says of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Media type, e.g. `image/tiff`.
    pub format: Option<String>,
    /// Length in bytes.
    pub bytes: Option<u64>,
    /// Changes whenever the bytes change.
    pub version: Option<String>,
}

/// The bytes of a file, or of a part of it.
#[derive(Debug)]
pub struct Media {
    /// Length of the whole file in bytes, where the source says so.
    pub total: Option<u64>,
    /// Changes whenever the bytes change, where the source says so.
    pub version: Option<String>,
    /// Media type, where the source says so.
    pub format: Option<String>,
    /// Offset of the first byte of `content` within the file.
    pub start: u64,
    /// The bytes themselves.
    pub content: Content,
}

/// Where bytes come from.
pub enum Content {
    /// A regular file on this machine, open at its beginning; it is read in place, never copied into a cache.
    /// (A range asked for is ignored: [`Media::start`] is 0.)
    Local(std::fs::File),
    /// Bytes as they arrive from elsewhere.
    Stream(BoxStream<'static, Result<Bytes, AdapterError>>),
}

impl Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Local(_) => "Local",
            Self::Stream(_) => "Stream",
        })
    }
}

/// Why a source gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The source has no such item or file, or keeps it from us.
    #[error("the source has no `{0}`")]
    NotFound(String),
    /// The source says that it refuses this item to everybody without special rights.
    #[error("the source refuses `{0}`")]
    Denied(String),
    /// The answer does not have the shape that the definition expects.
    #[error("{0}")]
    Shape(String),
    /// The adapter lacks the ability.
    #[error("this adapter does not offer {0}")]
    Unsupported(&'static str),
    /// A local file or folder could not be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// Path relative to the source's folder.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
}
