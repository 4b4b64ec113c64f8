//! What a remote system looks like to the gateway: one trait, neutral values, abilities as data.

use std::fmt::Debug;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::StatusCode;

pub mod catalogue;
pub mod declared;
pub mod folder;
mod heard;
pub mod input;
pub mod record;

use crate::upstream::UpstreamError;
pub use heard::Heard;
use record::{Collection, Cursor, ItemId, Leaf, Listed, MediaId, Page, Record};

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
    /// [`Adapter::media`] opens files that lie on this machine.
    pub local: bool,
}

/// One kind of system, bound to one configured source.
#[async_trait]
pub trait Adapter: Send + Sync + Debug + 'static {
    /// What this adapter can do.
    fn abilities(&self) -> Abilities;

    /// What the answers of this source depend on, beside the questions: another system, or the same
    /// one read by another definition, has another identity. It is part of every key under which
    /// answers are kept.
    fn identity(&self) -> String {
        String::new()
    }

    /// How long a record is good where the settings do not say; `None`: as long as for every system.
    fn freshness(&self) -> Option<Duration> {
        None
    }

    /// The description of one item, freshly asked for. An adapter that learns who may see the item before it knows
    /// the rest says so in `heard`: a word stricter than *open* holds at once.
    async fn record(&self, id: &ItemId, heard: &Heard) -> Result<Record, AdapterError>;

    /// The item that a media id belongs to, be it a file or a page of one; pure. Every decision about its pixels uses that
    /// item's record. `None`: no item of this source can have such a media id, it stays closed.
    fn item_of(&self, id: &MediaId) -> Option<ItemId>;

    /// The bytes of one file (never of a page), all of them or a range; one that ends at [`u64::MAX`] has all the rest. An
    /// adapter without the ability `ranges` (or a server that ignores them) answers from the first byte;
    /// [`Media::start`] tells.
    async fn media(&self, id: &MediaId, range: Option<Range<u64>>) -> Result<Media, AdapterError>;

    /// One page of all items of the source.
    async fn list(&self, _after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
        Err(AdapterError::Unsupported("listing"))
    }

    /// A collection with one page of its direct members.
    async fn collection(&self, _leaf: &Leaf, _after: Option<&Cursor>) -> Result<Collection, AdapterError> {
        Err(AdapterError::Unsupported("collections"))
    }
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
    /// A value in an answer is not what the definition promises.
    #[error("field `{field}` of `{item}`: expected {expected}, found {found} (adapter `{adapter}`)")]
    Field {
        /// The definition.
        adapter: String,
        /// Whose answer it was: the id of an item, or `list`.
        item: String,
        /// The key of the definition, e.g. `canvas[3].image.width`.
        field: String,
        /// What the definition promises.
        expected: &'static str,
        /// What came instead.
        found: String,
    },
    /// The source answered with a status that says nothing about the item.
    #[error("the source answered `{status}` when asked for `{asked}`, expected 200{}", hint(*.status))]
    Status {
        /// What it answered.
        status: StatusCode,
        /// What it was asked for: the name of a fetch, `list` or `file`.
        asked: String,
        /// When asking again makes sense, where it says so.
        retry_after: Option<Duration>,
    },
    /// The source asked, in its own words, to come back later.
    #[error("the source asks to come back later, when asked for `{asked}`")]
    Later {
        /// What it was asked for, as above.
        asked: String,
        /// When that makes sense, where it says so.
        retry_after: Option<Duration>,
    },
    /// The source does not say who may see the item, and not all of its answers came: nothing of it may be shown.
    #[error("{0} (nor does the source say who may see the item)")]
    Unclear(Box<Self>),
    /// All answers came, and they neither say who may see the item nor describe one. Nothing of it may be shown,
    /// but that is no word about the item either.
    #[error("{0} (nor does the source say who may see the item)")]
    Senseless(Box<Self>),
    /// The answers of the source took too long, all together.
    #[error("the source did not describe `{item}` within {after:?}")]
    TooSlow {
        /// The item.
        item: String,
        /// How long we waited.
        after: Duration,
    },
    /// The source could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The adapter lacks the ability.
    #[error("this adapter does not offer {0}")]
    Unsupported(&'static str),
    /// A description that a person wrote beside a master cannot be read.
    #[error("description `{path}`: {problem}")]
    Description {
        /// Path relative to the source's folder.
        path: String,
        /// Where and what.
        problem: String,
    },
    /// A local file or folder could not be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// Path relative to the source's folder.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl AdapterError {
    /// When asking again makes sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } | Self::Later { retry_after, .. } => *retry_after,
            Self::Upstream(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the file ends before the part of it that was asked for.
    pub fn is_beyond_end(&self) -> bool {
        matches!(self, Self::Status { status, .. } if *status == StatusCode::RANGE_NOT_SATISFIABLE)
    }

    /// Whether the same question may well be answered later, with nobody changing anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Later { .. } | Self::TooSlow { .. } => true,
            Self::Upstream(error) => error.is_temporary(),
            _ => false,
        }
    }
}

fn hint(status: StatusCode) -> &'static str {
    if status == StatusCode::UNAUTHORIZED { ": the credentials of this source are not accepted" } else { "" }
}
