//! One worker among replicas: a lock with an end, in a store that all of them share.
//!
//! It saves work and guards nothing: whoever cannot have the lock, or hear of it, works all the same.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::metrics;
use crate::store::{Key, Store};

/// How long a lock holds: most things are made in less, and a replica that was killed holds nobody up for longer.
pub(super) const HELD: Duration = Duration::from_secs(5);
/// After so long a lock is left to end by itself: it might be somebody else's by the time it is removed.
const OURS: Duration = Duration::from_secs(4);
/// A lock of work that takes longer is made to hold on so often.
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
    /// This one, and nobody else while the lock lives.
    Ours(Lock),
}

/// Given back when it is dropped: after what was made is where the others look for it.
pub(super) struct Lock(Option<Held>);

/// Held for as long as this lives, by a task that goes on asking for it; a replica that is killed lets go of it.
pub(super) struct Stint {
    _held: Option<DropGuard>,
}

struct Held {
    locks: Arc<dyn Store>,
    key: Key,
    since: Instant,
}

impl Replicas {
    /// There is no other gateway.
    pub fn none() -> Self {
        Self { others: None }
    }

    /// Those that use this store.
    pub fn sharing(locks: Arc<dyn Store>) -> Self {
        let (words, said) = mpsc::channel(WORDS);
        Self { others: Some(Others { locks, words, said: Arc::new(Mutex::new(Some(said))) }) }
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
        let Some(Others { locks, .. }) = &self.others else { return Turn::Ours(Lock(None)) };
        let lock = Key::new(["lock", key.as_str()]);
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let since = Instant::now();
            match locks.put_new(&lock, Bytes::new(), HELD).await {
                Ok(false) if begun.elapsed() < HELD => {}
                Ok(true) => {
                    let held = Lock(Some(Held { locks: Arc::clone(locks), key: lock, since }));
                    // Somebody may have been done just before.
                    return look().await.map_or(Turn::Ours(held), Turn::Done);
                }
                Ok(false) | Err(_) => return Turn::Ours(Lock(None)),
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
    /// The same for work of minutes. Its lock is made to hold on while the work goes on, so who waits knows that
    /// somebody works; `look` may cost something, and is asked once the lock is to be had.
    pub(super) async fn stint<V, F>(&self, key: &Key, look: impl FnOnce() -> F) -> Result<V, Stint>
    where
        F: Future<Output = Option<V>>,
    {
        let Some(Others { locks, .. }) = &self.others else { return Err(Stint { _held: None }) };
        let lock = Key::new(["lock", key.as_str()]);
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let since = Instant::now();
            match locks.put_new(&lock, Bytes::new(), HELD).await {
                Ok(true) => {
                    let held = Held { locks: Arc::clone(locks), key: lock, since };
                    let stint = Stint::holding(Lock(Some(held)));
                    return match look().await {
                        Some(done) => {
                            ::metrics::counter!(metrics::ELSEWHERE).increment(1);
                            Ok(done)
                        }
                        None => Err(stint),
                    };
                }
                Ok(false) if begun.elapsed() < PATIENCE => {}
                Ok(false) | Err(_) => return Err(Stint { _held: None }),
            }
            sleep(pause).await;
            pause = LONG_PAUSE.min(pause * 2);
        }
    }
}

impl Stint {
    fn holding(mut lock: Lock) -> Self {
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        tokio::spawn(async move {
            while over.run_until_cancelled(sleep(RENEWED)).await.is_some() {
                lock.renew().await;
            }
        });
        Self { _held: Some(guard) }
    }
}

impl Lock {
    /// Makes it hold on.
    async fn renew(&mut self) {
        let Some(Held { locks, key, since }) = &mut self.0 else { return };
        let now = Instant::now();
        // Once it may be somebody else's it is left to them.
        if since.elapsed() < OURS && locks.touch(key, HELD).await.is_ok() {
            *since = now;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(Held { locks, key, since }) = self.0.take() else { return };
        if since.elapsed() < OURS
            && let Ok(runtime) = Handle::try_current()
        {
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

    fn key() -> Key {
        Key::new(["tile", "a"])
    }

    fn sharing() -> (Replicas, Arc<Memory>) {
        let locks = Arc::new(Memory::new("test", 1 << 20));
        (Replicas::sharing(locks.clone()), locks)
    }

    async fn nothing() -> Option<u8> {
        None
    }

    async fn ours(replicas: &Replicas) -> Lock {
        match replicas.turn(&key(), nothing).await {
            Turn::Ours(lock) => lock,
            Turn::Done(_) => panic!("there was nothing to be found"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_second_waits_for_the_first() {
        let ((replicas, _), made) = (sharing(), Mutex::new(None));
        let lock = ours(&replicas).await;
        let first = async {
            sleep(Duration::from_secs(1)).await;
            *made.lock().unwrap() = Some(7);
            drop(lock);
        };
        let begun = Instant::now();
        let look = || async { *made.lock().unwrap() };
        let key = key();
        let ((), second) = tokio::join!(first, replicas.turn(&key, look));
        assert!(matches!(second, Turn::Done(7)));
        assert!(begun.elapsed() <= Duration::from_secs(1) + LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_one_that_fails_lets_the_second_go() {
        let (replicas, locks) = sharing();
        drop(ours(&replicas).await);
        while locks.get_now(&Key::new(["lock", key().as_str()])).is_some() {
            yield_now().await;
        }
        let begun = Instant::now();
        assert!(ours(&replicas).await.0.is_some());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_a_lock_holds() {
        let (replicas, locks) = sharing();
        let first = ours(&replicas).await;
        let begun = Instant::now();
        let second = ours(&replicas).await;
        assert!(begun.elapsed() >= HELD && begun.elapsed() <= HELD + LONGEST_PAUSE);
        // What the first one held for too long is the second one's now.
        drop(first);
        yield_now().await;
        assert!(second.0.is_some());
        assert!(locks.get_now(&Key::new(["lock", key().as_str()])).is_some());
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
