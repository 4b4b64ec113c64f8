//! All integration tests in one binary: it links once and shares its helpers.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod access;
mod adapters;
mod bucket;
mod caching;
mod cli;
mod collection;
mod faults;
mod house;
mod image;
mod manifest;
mod mediawiki;
mod pdf;
mod presentation;
mod purge;
mod pyramids;
mod ranges;
mod redis;
mod settings;
mod settings_page;
mod support;
mod warm;
