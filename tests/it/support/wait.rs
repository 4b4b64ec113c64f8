//! Waiting for what will be so in a moment, and not for ever.

use std::thread;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::timeout;

/// Longer than any test has to wait on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            yield_now().await;
        }
    };
    timeout(LONGEST, waiting).await.unwrap_or_else(|_| panic!("waited too long: {what}"));
}

/// The same on a thread without a runtime.
pub(crate) fn until_now(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONGEST, "waited too long: {what}");
        thread::yield_now();
    }
}
