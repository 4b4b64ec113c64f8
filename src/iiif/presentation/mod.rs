//! The Presentation API, 3.0 and 2.1, from one version-neutral model.

pub mod text;
