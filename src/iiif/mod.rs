//! IIIF itself: grammars, arithmetic and documents. Pure: no I/O, no async, no HTTP types, no clock.

pub mod address;
pub mod identifier;
pub mod image;
pub mod presentation;
