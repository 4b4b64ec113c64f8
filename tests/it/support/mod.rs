//! What several tests share.

pub(crate) mod fake_dam;
pub(crate) mod wellformed;
