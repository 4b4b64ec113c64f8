//! What several tests share.

pub(crate) mod archive;
pub(crate) mod bucket;
pub(crate) mod counts;
pub(crate) mod crawl;
pub(crate) mod fake_dam;
pub(crate) mod gateway;
pub(crate) mod logs;
pub(crate) mod masters;
pub(crate) mod redis;
pub(crate) mod wellformed;
pub(crate) mod wiki;
