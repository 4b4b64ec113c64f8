//! The use cases, in domain terms: no status codes, no headers.

pub mod present;
