//! The Presentation API, 3.0 and 2.1, from one version-neutral model.

pub mod text;

/// Which Presentation API a document speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// 2.1, under `/iiif/2/`.
    V2,
    /// 3.0, under `/iiif/3/`.
    V3,
}
