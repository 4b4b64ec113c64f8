//! One worker among replicas: a lock with an end, in a store that all of them share.
//!
//! It saves work and guards nothing: whoever cannot have the lock, or hear of it, works all the same.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::metrics;
use crate::store::{Key, Store, StoreError};

/// How long a lock holds unless it is renewed: a replica that was killed holds nobody up for longer.
pub(super) const HELD: Duration = Duration::from_secs(5);
/// After so long a lock is left to end by itself: it might be somebody else's by the time it is removed.
const OURS: Duration = Duration::from_secs(4);
/// It is made to hold on so often while the work goes on.
const RENEWED: Duration = Duration::from_secs(1);
/// How long work of another replica is waited for that takes longer: more than any picture takes.
const PATIENCE: Duration = Duration::from_secs(900);
/// The first pause between two looks at what another replica makes; each one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause where the work takes longer.
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Words to the others that wait to be said; what is more is heard when it is asked for anew.
const WORDS: usize = 256;

/// All gateways in front of the same sources.
#[derive(Clone, Debug)]
pub struct Replicas {
    others: Option<Others>,
}

#[derive(Clone, Debug)]
struct Others {
    locks: Arc<dyn Store>,
    /// How long work of another one is waited for that somebody waits for.
    patience: Duration,
    words: mpsc::Sender<Gone>,
    said: Arc<Mutex<Option<mpsc::Receiver<Gone>>>>,
}

/// What was told before and must not be told any more, as its source says.
#[derive(Debug)]
pub(super) struct Gone {
    /// What kind of answer.
    pub(super) kind: &'static str,
    pub(super) source: String,
    pub(super) id: String,
}

/// Who does it.
pub(super) enum Turn<V> {
    /// Another one did.
    Done(V),
    /// This one, and nobody else while this lives.
    Ours(Stint),
}

/// A lock that is held for as long as this lives, by a task that goes on asking for it; a replica that is killed lets go
/// of it. To be dropped after what was made is where the others look for it.
pub(super) struct Stint {
    _held: Option<DropGuard>,
}

/// Given back when it is dropped.
struct Lock {
    locks: Arc<dyn Store>,
    key: Key,
    since: Instant,
}

impl Replicas {
    /// There is no other gateway.
    pub fn none() -> Self {
        Self { others: None }
    }

    /// Those that use this store. Nobody waits longer than `patience` for what one of them makes for a request.
    pub fn sharing(locks: Arc<dyn Store>, patience: Duration) -> Self {
        let (words, said) = mpsc::channel(WORDS);
        Self { others: Some(Others { locks, patience, words, said: Arc::new(Mutex::new(Some(said))) }) }
    }

    /// Whether there is no other.
    pub(super) fn is_alone(&self) -> bool {
        self.others.is_none()
    }

    /// Has the others forget what they were told. Nobody waits for that, and at worst they learn of it by themselves.
    pub(super) fn tell(&self, gone: Gone) {
        if let Some(others) = &self.others {
            _ = others.words.try_send(gone);
        }
    }

    /// What is to be said to the others, for the one who can; it is there once.
    pub(super) fn said(&self) -> Option<mpsc::Receiver<Gone>> {
        self.others.as_ref()?.said.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits while another replica makes what belongs under `key`; `look` is where it will be found.
    pub(super) async fn turn<V, F>(&self, key: &Key, look: impl Fn() -> F) -> Turn<V>
    where
        F: Future<Output = Option<V>>,
    {
        let Some(Others { locks, patience, .. }) = &self.others else { return Turn::Ours(Stint::none()) };
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match Lock::take(locks, key).await {
                // Somebody may have been done just before.
                Ok(Some(lock)) => {
                    let stint = Stint::holding(lock, *patience);
                    return look().await.map_or(Turn::Ours(stint), Turn::Done);
                }
                Ok(None) if begun.elapsed() < *patience => {}
                Ok(None) | Err(_) => return Turn::Ours(Stint::none()),
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            if let Some(done) = look().await {
                ::metrics::counter!(metrics::ELSEWHERE).increment(1);
                return Turn::Done(done);
            }
        }
    }
}

impl Replicas {
    /// The same for work of minutes, which nobody waits for but others who would do it; `look` may cost something, and is
    /// asked once the lock is to be had.
    pub(super) async fn stint<V, F>(&self, key: &Key, look: impl FnOnce() -> F) -> Result<V, Stint>
    where
        F: Future<Output = Option<V>>,
    {
        let Some(Others { locks, .. }) = &self.others else { return Err(Stint::none()) };
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match Lock::take(locks, key).await {
                Ok(Some(lock)) => {
                    let stint = Stint::holding(lock, Duration::MAX);
                    return match look().await {
                        Some(done) => {
                            ::metrics::counter!(metrics::ELSEWHERE).increment(1);
                            Ok(done)
                        }
                        None => Err(stint),
                    };
                }
                Ok(None) if begun.elapsed() < PATIENCE => {}
                Ok(None) | Err(_) => return Err(Stint::none()),
            }
            sleep(pause).await;
            pause = LONG_PAUSE.min(pause * 2);
        }
    }
}

impl Stint {
    /// Of who works without a lock.
    fn none() -> Self {
        Self { _held: None }
    }

    /// Work that goes on for longer gives its lock back then.
    fn holding(lock: Lock, longest: Duration) -> Self {
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        tokio::spawn(over.run_until_cancelled_owned(timeout(longest, lock.hold_on())));
        Self { _held: Some(guard) }
    }
}

impl Lock {
    /// The lock for what belongs under `key`, unless another replica has it.
    async fn take(locks: &Arc<dyn Store>, key: &Key) -> Result<Option<Self>, StoreError> {
        let (key, since) = (Key::new(["lock", key.as_str()]), Instant::now());
        let is_ours = locks.put_new(&key, Bytes::new(), HELD).await?;
        Ok(is_ours.then(|| Self { locks: Arc::clone(locks), key, since }))
    }

    /// Makes it hold on. Once it may be somebody else's it is left to them.
    async fn hold_on(mut self) {
        loop {
            sleep(RENEWED).await;
            let now = Instant::now();
            if self.since.elapsed() < OURS && self.locks.touch(&self.key, HELD).await.is_ok() {
                self.since = now;
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.since.elapsed() < OURS
            && let Ok(runtime) = Handle::try_current()
        {
            let (locks, key) = (Arc::clone(&self.locks), self.key.clone());
            // Nobody's answer waits for it.
            runtime.spawn(async move { _ = locks.remove(&key).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;
    use crate::store::Memory;

    /// How long a request may take.
    const REQUEST: Duration = Duration::from_secs(60);

    fn key() -> Key {
        Key::new(["tile", "a"])
    }

    fn sharing() -> (Replicas, Arc<Memory>) {
        let locks = Arc::new(Memory::new("test", 1 << 20));
        (Replicas::sharing(locks.clone(), REQUEST), locks)
    }

    async fn nothing() -> Option<u8> {
        None
    }

    async fn ours(replicas: &Replicas) -> Stint {
        match replicas.turn(&key(), nothing).await {
            Turn::Ours(stint) => stint,
            Turn::Done(_) => panic!("there was nothing to be found"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_second_waits_for_the_first() {
        // Some work takes longer than a lock holds by itself.
        for took in [1, 30].map(Duration::from_secs) {
            let ((replicas, _), made) = (sharing(), Mutex::new(None));
            let stint = ours(&replicas).await;
            let first = async {
                sleep(took).await;
                *made.lock().unwrap() = Some(7);
                drop(stint);
            };
            let begun = Instant::now();
            let look = || async { *made.lock().unwrap() };
            let key = key();
            let ((), second) = tokio::join!(first, replicas.turn(&key, look));
            assert!(matches!(second, Turn::Done(7)));
            assert!(begun.elapsed() <= took + LONGEST_PAUSE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_one_that_fails_lets_the_second_go() {
        let (replicas, locks) = sharing();
        drop(ours(&replicas).await);
        while locks.get_now(&Key::new(["lock", key().as_str()])).is_some() {
            yield_now().await;
        }
        let begun = Instant::now();
        assert!(ours(&replicas).await._held.is_some());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_for_one_that_was_killed_than_its_lock_holds() {
        let (replicas, locks) = sharing();
        locks.put_now(&Key::new(["lock", key().as_str()]), Bytes::new(), HELD);
        let begun = Instant::now();
        assert!(ours(&replicas).await._held.is_some());
        assert!(begun.elapsed() >= HELD && begun.elapsed() <= HELD + LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_for_one_that_hangs_than_a_request_may_take() {
        let (replicas, _) = sharing();
        let (_first, begun) = (ours(&replicas).await, Instant::now());
        ours(&replicas).await;
        assert!(begun.elapsed() >= REQUEST && begun.elapsed() <= REQUEST + LONGEST_PAUSE);
        // By then it has given its lock back: whoever comes waits no more.
        sleep(RENEWED).await;
        let begun = Instant::now();
        assert!(ours(&replicas).await._held.is_some());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_made_just_before_is_not_made_again() {
        let (replicas, _) = sharing();
        assert!(matches!(replicas.turn(&key(), || async { Some(7) }).await, Turn::Done(7)));
    }

    async fn stint(replicas: &Replicas) -> Stint {
        match replicas.stint(&key(), nothing).await {
            Err(stint) => stint,
            Ok(_) => panic!("there was nothing to be found"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_minutes_keeps_its_lock_until_it_ends() {
        let ((replicas, locks), made) = (sharing(), Mutex::new(None));
        let first = stint(&replicas).await;
        let begun = Instant::now();
        let work = async {
            sleep(Duration::from_secs(300)).await;
            *made.lock().unwrap() = Some(7);
            drop(first);
        };
        let key = key();
        let ((), second) = tokio::join!(work, replicas.stint(&key, || async { *made.lock().unwrap() }));
        assert!(matches!(second, Ok(7)));
        assert!(begun.elapsed() <= Duration::from_secs(300) + LONG_PAUSE);
        // The second one gives it back at once.
        while locks.get_now(&Key::new(["lock", key.as_str()])).is_some() {
            yield_now().await;
        }
        assert!(begun.elapsed() <= Duration::from_secs(300) + LONG_PAUSE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_work_of_minutes() {
        let (replicas, _) = sharing();
        let (_first, begun) = (stint(&replicas).await, Instant::now());
        assert!(stint(&replicas).await._held.is_none());
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() <= PATIENCE + LONG_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn without_others_nobody_waits() {
        let (replicas, begun) = (Replicas::none(), Instant::now());
        let _first = ours(&replicas).await;
        ours(&replicas).await;
        let _stint = stint(&replicas).await;
        stint(&replicas).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
