//! Loggia stands in front of an existing asset-management system or repository and makes it speak IIIF.
//!
//! Calls go down, values come up. A module imports only modules of a lower rank, as
//! `docs/ARCHITECTURE.md` lists them and `tests/it/house.rs` checks.

pub mod access;
pub mod adapter;
pub mod assemble;
pub mod cli;
pub mod clock;
pub mod http;
pub mod iiif;
pub mod imaging;
pub mod jq;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod units;
pub mod upstream;
pub mod weighed;
