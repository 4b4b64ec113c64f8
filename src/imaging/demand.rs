//! Whether somebody still waits for what a task makes: work that waits for its turn gives up when nobody does.

use std::future::{Future, pending};

use futures_util::future::{BoxFuture, Shared};

/// Ends when the last caller has left.
pub type Left = Shared<BoxFuture<'static, ()>>;

tokio::task_local! {
    static LEFT: Left;
}

/// Does a task for callers who may leave. What has had its turn by then is brought to its end: somebody may come back.
pub async fn while_wanted<F: Future>(left: Left, task: F) -> F::Output {
    LEFT.scope(left, task).await
}

/// Ends when nobody waits any more for what this task makes; never, where nobody tells.
pub(super) async fn left() {
    match LEFT.try_with(Clone::clone) {
        Ok(left) => left.await,
        Err(_) => pending().await,
    }
}
