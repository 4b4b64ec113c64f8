//! IIIF itself: grammars, arithmetic and documents. Pure: no I/O, no async, no HTTP types, no clock.

pub mod image;
pub mod presentation;
