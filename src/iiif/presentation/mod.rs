//! The Presentation API, 3.0 and 2.1, from one version-neutral model.

mod document;
pub mod html;
pub mod model;
pub mod text;
pub mod v2;
pub mod v3;

/// Which Presentation API a document speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// 2.1, under `/iiif/2/`.
    V2,
    /// 3.0, under `/iiif/3/`.
    V3,
}
