//! The Image API, 3.0 and 2.1.1: requests, their arithmetic and info.json.

pub mod canonical;
pub mod geometry;
pub mod info;
pub mod levels;
mod limits;
pub mod number;
pub mod quality;
pub mod region;
pub mod request;
pub mod rotation;
pub mod size;
pub mod syntax;

/// Which Image API a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// 2.1.1, under `/iiif/2/`.
    V2,
    /// 3.0, under `/iiif/3/`.
    V3,
}
