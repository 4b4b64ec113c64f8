//! What stores tell about themselves; each series has the label `store`.

use metrics::{counter, gauge};

/// Requests by `outcome`: `hit`, `miss`, `broken` (a damaged entry was dropped), `stored`, `refused`
/// (too large to keep), `failed`.
pub const REQUESTS: &str = "loggia_store_requests_total";
/// Bytes held.
pub const BYTES: &str = "loggia_store_bytes";
/// Entries dropped to make room.
pub const EVICTIONS: &str = "loggia_store_evictions_total";

/// Whether a store elsewhere answers: 1 or 0.
pub const UP: &str = "loggia_store_up";

/// How a request to a store ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Hit,
    Miss,
    Broken,
    Stored,
    Refused,
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Broken => "broken",
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

pub(super) fn request(store: &'static str, outcome: Outcome) {
    counter!(REQUESTS, "store" => store, "outcome" => outcome.as_str()).increment(1);
}

pub(super) fn bytes(store: &'static str, bytes: u64) {
    gauge!(BYTES, "store" => store).set(bytes as f64);
}

pub(super) fn evicted(store: &'static str) {
    counter!(EVICTIONS, "store" => store).increment(1);
}

pub(super) fn up(store: &'static str, up: f64) {
    gauge!(UP, "store" => store).set(up);
}
