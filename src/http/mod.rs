//! HTTP: connections, the outer stack of layers, bodies, headers, errors as documents.

mod activity;
pub mod admin;
pub mod app;
mod around;
mod body;
mod client;
mod compression;
pub mod conditional;
mod cors;
mod door;
mod gather;
mod handlers;
pub mod health;
pub mod listen;
pub mod method;
pub mod negotiate;
mod observe;
pub mod parts;
pub mod problem;
mod request_id;
pub mod rescue;
mod service;
mod settings;
pub mod stack;
pub mod warm;
mod weight;

pub use body::Body;
pub use client::{Client, Peer};
pub use observe::{RouteClass, SourceName};
pub use problem::Problem;
pub use request_id::RequestId;
pub use service::Stack;
pub use settings::{Proxies, PublicUrl, Settings, SettingsError};
