//! Whether a store elsewhere is of any use just now, so that one that is not costs nobody more than one wait.
//!
//! A task keeps a line to it. The first question that fails ends the line; until the task has another, over which the
//! store has answered, every question fails at once.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::metrics;
use super::seldom::Seldom;

/// After so long without a failure, the next one is a new story.
const STEADY: Duration = Duration::from_secs(60);

/// How things stand with a store elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The first try is under way.
    Trying,
    /// It is used.
    Up,
    /// It is not used at present, for this reason.
    Down(String),
}

/// Pauses between tries: each one in a row is twice as long as the one before, up to the longest.
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Begins again with the first.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// Replicas that lost the same store do not come back at the same moment.
    pub(super) async fn pass(&mut self) {
        let pause = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = self.longest.min(self.next * 2);
        sleep(pause).await;
    }
}

/// A line to a store, while there is one.
pub(super) struct Watch<T> {
    shared: Arc<Shared<T>>,
    keeper: JoinHandle<()>,
}

struct Shared<T> {
    /// Labels metrics and messages.
    name: &'static str,
    /// The store in a sentence: "Redis at `localhost:6379`".
    what: String,
    condition: Mutex<Condition<T>>,
    /// Tells the keeper that its line has ended.
    ended: Notify,
    complaints: Seldom,
}

struct Condition<T> {
    line: Line<T>,
    /// Counts lines: what a question over an earlier one says is old.
    era: u64,
}

enum Line<T> {
    Trying,
    Up(T),
    Down(String),
}

impl<T: Clone + Send + 'static> Watch<T> {
    /// Begins to connect in the background.
    pub(super) fn open<F>(
        name: &'static str,
        what: String,
        pauses: Pauses,
        connect: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let condition = Mutex::new(Condition { line: Line::Trying, era: 0 });
        let (ended, complaints) = (Notify::new(), Seldom::default());
        let shared = Arc::new(Shared { name, what, condition, ended, complaints });
        metrics::up(name, 0.0);
        let keeper = tokio::spawn(keep(Arc::clone(&shared), pauses, connect));
        Self { shared, keeper }
    }

    pub(super) fn standing(&self) -> Standing {
        match &self.shared.condition().line {
            Line::Trying => Standing::Trying,
            Line::Up(_) => Standing::Up,
            Line::Down(reason) => Standing::Down(reason.clone()),
        }
    }

    /// The line and its era; or why nothing had better be asked.
    pub(super) fn line(&self) -> Result<(T, u64), String> {
        let condition = self.shared.condition();
        match &condition.line {
            Line::Up(line) => Ok((line.clone(), condition.era)),
            Line::Trying => Err("not tried yet".to_owned()),
            Line::Down(reason) => Err(reason.clone()),
        }
    }

    /// A question over the line of that era failed: no more are asked.
    pub(super) fn end(&self, era: u64, reason: &str) {
        if self.shared.down(Some(era), reason) {
            self.shared.ended.notify_one();
        }
    }

    /// Once a minute: whoever asked goes on without, and hears nothing.
    pub(super) fn complain(&self, reason: &str) {
        self.shared.complain(reason);
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl<T> Shared<T> {
    fn condition(&self) -> MutexGuard<'_, Condition<T>> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self, line: T) {
        let mut condition = self.condition();
        *condition = Condition { line: Line::Up(line), era: condition.era + 1 };
        metrics::up(self.name, 1.0);
        info!(store = self.name, "{} answers", self.what);
    }

    /// Whether it was up until now, in that era if one is given: what still comes of a line has no say over the next one.
    fn down(&self, era: Option<u64>, reason: &str) -> bool {
        let mut condition = self.condition();
        let was_up = matches!(condition.line, Line::Up(_));
        if era.is_some_and(|era| !was_up || era != condition.era) {
            return false;
        }
        condition.line = Line::Down(reason.to_owned());
        metrics::up(self.name, 0.0);
        drop(condition);
        self.complain(reason);
        was_up
    }

    fn complain(&self, reason: &str) {
        if self.complaints.is_due() {
            warn!(store = self.name, reason, "{} is of no help, going on without", self.what);
        }
    }
}

/// Makes a line whenever there is none.
async fn keep<T, F>(shared: Arc<Shared<T>>, mut pauses: Pauses, connect: impl Fn() -> F)
where
    F: Future<Output = Result<T, String>>,
{
    loop {
        match connect().await {
            Ok(line) => {
                let begun = Instant::now();
                shared.up(line);
                shared.ended.notified().await;
                if begun.elapsed() >= STEADY {
                    pauses.reset();
                }
            }
            Err(reason) => _ = shared.down(None, &reason),
        }
        pauses.pass().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::task::yield_now;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn it_is_left_alone_until_it_answers_again() {
        let (works, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let connect = {
            let (works, tries) = (Arc::clone(&works), Arc::clone(&tries));
            move || {
                tries.fetch_add(1, Ordering::Relaxed);
                let answer = if works.load(Ordering::Relaxed) { Ok('l') } else { Err("away".to_owned()) };
                async { answer }
            }
        };
        let pauses = Pauses::new(Duration::from_millis(200), LONGEST);
        let watch = Watch::open("test", "a test".to_owned(), pauses, connect);
        assert_eq!((watch.standing(), watch.line()), (Standing::Trying, Err("not tried yet".to_owned())));
        yield_now().await;
        let (line, era) = watch.line().unwrap();
        assert_eq!(line, 'l');

        works.store(false, Ordering::Relaxed);
        watch.end(era, "late");
        assert_eq!(watch.line(), Err("late".to_owned()));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(watch.standing(), Standing::Down("away".to_owned()));
        let tried = tries.load(Ordering::Relaxed);
        assert!((180..=380).contains(&tried), "{tried} in an hour");

        works.store(true, Ordering::Relaxed);
        sleep(LONGEST).await;
        assert!(watch.line().unwrap().1 > era);
        // What was asked before says nothing of it.
        watch.end(era, "late");
        assert_eq!(watch.standing(), Standing::Up);
    }
}
