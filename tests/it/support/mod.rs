//! What several tests share.

pub(crate) mod archive;
#[path = "../../../src/imaging/tests/book.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
pub(crate) mod book;
pub(crate) mod bucket;
pub(crate) mod counts;
pub(crate) mod crawl;
pub(crate) mod fake_dam;
pub(crate) mod gateway;
pub(crate) mod logs;
pub(crate) mod masters;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod wait;
pub(crate) mod wellformed;
pub(crate) mod wiki;
