//! Whether a bucket is of any use just now, so that one that is not costs nobody more than one wait.
//!
//! The first question that fails ends its use; until a task has had an answer to a question of its own, every other
//! question fails at once.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::store::metrics;
use crate::store::seldom::Seldom;

/// The first pause after a failure; each one in a row is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: a bucket that is back is seen within twenty seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// After so long without a failure, the next one is a new story.
const STEADY: Duration = Duration::from_secs(60);

/// How things stand with a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The first try is under way.
    Trying,
    /// It is used.
    Up,
    /// It is not used at present, for this reason.
    Down(String),
}

/// See above.
pub(super) struct Watch {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

struct Shared {
    name: &'static str,
    at: String,
    condition: Mutex<Condition>,
    /// Tells the keeper that it failed.
    failed: Notify,
    complaints: Seldom,
}

struct Condition {
    standing: Standing,
    /// Counts how often it came up: what a question from before says of it is old.
    era: u64,
}

impl Watch {
    /// Begins to try in the background.
    pub(super) fn open<F>(
        name: &'static str,
        at: String,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            name,
            at,
            condition: Mutex::new(Condition { standing: Standing::Trying, era: 0 }),
            failed: Notify::new(),
            complaints: Seldom::default(),
        });
        metrics::up(name, 0.0);
        let keeper = tokio::spawn(keep(Arc::clone(&shared), probe));
        Self { shared, keeper }
    }

    /// Where the bucket is.
    pub(super) fn at(&self) -> &str {
        &self.shared.at
    }

    pub(super) fn standing(&self) -> Standing {
        self.shared.condition().standing.clone()
    }

    /// When a question is asked; or why it had better not be.
    pub(super) fn era(&self) -> Result<u64, String> {
        let condition = self.shared.condition();
        match &condition.standing {
            Standing::Up => Ok(condition.era),
            Standing::Trying => Err("not tried yet".to_owned()),
            Standing::Down(reason) => Err(reason.clone()),
        }
    }

    /// A question of that time failed: no more are asked.
    pub(super) fn end(&self, era: u64, reason: &str) {
        let is_current = self.era() == Ok(era);
        if is_current {
            self.shared.down(reason.to_owned());
            self.shared.failed.notify_one();
        }
    }

    /// Once a minute: whoever asked goes on without, and hears nothing.
    pub(super) fn complain(&self, reason: &str) {
        self.shared.complain(reason);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) {
        let mut condition = self.condition();
        *condition = Condition { standing: Standing::Up, era: condition.era + 1 };
        metrics::up(self.name, 1.0);
        info!(store = self.name, "the bucket `{}` answers", self.at);
    }

    fn down(&self, reason: String) {
        self.complain(&reason);
        self.condition().standing = Standing::Down(reason);
        metrics::up(self.name, 0.0);
    }

    fn complain(&self, reason: &str) {
        if self.complaints.is_due() {
            warn!(store = self.name, reason, "the bucket `{}` is of no help, going on without", self.at);
        }
    }
}

/// Tries whenever it is not used.
async fn keep<F>(shared: Arc<Shared>, probe: impl Fn() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match probe().await {
            Ok(()) => {
                let begun = Instant::now();
                shared.up();
                shared.failed.notified().await;
                if begun.elapsed() >= STEADY {
                    pause = FIRST_PAUSE;
                }
            }
            Err(reason) => shared.down(reason),
        }
        // Replicas that lost the same bucket do not come back at the same moment.
        sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_left_alone_until_it_answers_again() {
        let (works, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let probe = {
            let (works, tries) = (Arc::clone(&works), Arc::clone(&tries));
            move || {
                tries.fetch_add(1, Ordering::Relaxed);
                let answer = if works.load(Ordering::Relaxed) { Ok(()) } else { Err("away".to_owned()) };
                async { answer }
            }
        };
        let watch = Watch::open("test", "s3://b".to_owned(), probe);
        assert_eq!((watch.standing(), watch.era()), (Standing::Trying, Err("not tried yet".to_owned())));
        yield_now().await;
        let era = watch.era().unwrap();

        works.store(false, Ordering::Relaxed);
        watch.end(era, "late");
        assert_eq!(watch.era(), Err("late".to_owned()));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(watch.standing(), Standing::Down("away".to_owned()));
        let tried = tries.load(Ordering::Relaxed);
        assert!((180..=380).contains(&tried), "{tried} in an hour");

        works.store(true, Ordering::Relaxed);
        sleep(LONGEST_PAUSE).await;
        assert!(watch.era().unwrap() > era);
        // What was asked before says nothing of it.
        watch.end(era, "late");
        assert_eq!(watch.standing(), Standing::Up);
    }
}
