//! What the pool tells about itself; each series has the label `lane`.

use metrics::{Counter, Gauge, counter, gauge};

/// Jobs that wait for memory or for a thread.
pub const WAITING: &str = "loggia_pool_waiting";
/// Bytes that running jobs were admitted with.
pub const BYTES: &str = "loggia_pool_bytes";
/// Bytes that there are to admit jobs with.
pub const LIMIT: &str = "loggia_pool_limit_bytes";
/// Jobs that were refused because as many were waiting as may.
pub const REFUSED: &str = "loggia_pool_refused_total";

/// The series of one lane, found once.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) waiting: Gauge,
    pub(super) bytes: Gauge,
    pub(super) refused: Counter,
}

impl Meters {
    pub(super) fn of(lane: &'static str, limit: u64) -> Self {
        gauge!(LIMIT, "lane" => lane).set(limit as f64);
        Self {
            waiting: gauge!(WAITING, "lane" => lane),
            bytes: gauge!(BYTES, "lane" => lane),
            refused: counter!(REFUSED, "lane" => lane),
        }
    }
}
