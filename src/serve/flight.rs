//! Single flight: of many who want the same thing at the same time, one does the work.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tracing::{Instrument, Span};

use super::ServeError;

type Landing<V> = Shared<BoxFuture<'static, Result<V, ServeError>>>;

/// Work under way, by key. The work runs in a task of its own: a caller that leaves, even the
/// first one, does not stop it for the others.
#[derive(Clone)]
pub struct Flights<K, V> {
    running: Arc<Mutex<HashMap<K, Landing<V>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<K, V> Debug for Flights<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flights")
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The outcome of `work`, or of the same work that somebody else began before.
    pub async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Result<V, ServeError>
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let landing = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.get(&key) {
                Some(landing) => {
                    metrics::counter!(crate::serve::metrics::COALESCED).increment(1);
                    landing.clone()
                }
                None => {
                    let landing = self.depart(key.clone(), work());
                    running.insert(key, landing.clone());
                    landing
                }
            }
        };
        landing.await
    }

    /// Begins work that nobody waits for, unless it is under way or so many others are.
    pub fn begin<F>(&self, key: K, most: usize, work: impl FnOnce() -> F)
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let landing = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.len() >= most || running.contains_key(&key) {
                return;
            }
            let landing = self.depart(key.clone(), work());
            running.insert(key, landing.clone());
            landing
        };
        tokio::spawn(landing);
    }

    fn depart<F>(&self, key: K, work: F) -> Landing<V>
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let gone = Arrival { key, running: Arc::clone(&self.running) };
        // What goes wrong is logged under the request that wanted it first.
        let work = async move {
            let _gone = gone;
            work.await
        }
        .instrument(Span::current());
        // The task begins when somebody first waits for it, and so not under the lock: a runtime
        // that is closing drops a new task at once, and dropping it takes the lock.
        let landing = async move {
            let task = tokio::spawn(work);
            task.await.unwrap_or_else(|error| Err(ServeError::internal(error)))
        };
        landing.boxed().shared()
    }
}

/// Takes the flight off the board when its task ends, also by a panic.
struct Arrival<K: Eq + Hash, V> {
    key: K,
    running: Arc<Mutex<HashMap<K, Landing<V>>>>,
}

impl<K: Eq + Hash, V> Drop for Arrival<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn many_callers_cost_one_piece_of_work_and_the_first_may_leave() {
        let flights = Flights::<&str, usize>::default();
        let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            move || async move {
                runs.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                Ok(7)
            }
        };
        let mut first = Box::pin(flights.join("tile", work()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut others: Vec<_> = (0..63).map(|_| Box::pin(flights.join("tile", work()))).collect();
        assert!(others.iter_mut().all(|other| other.as_mut().now_or_never().is_none()));
        drop(first);
        go.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), 7);
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(flights.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_begun_once_and_within_bounds() {
        let flights = Flights::<&str, usize>::default();
        let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        for key in ["a", "a", "b", "c"] {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            flights.begin(key, 2, || async move {
                runs.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                Ok(7)
            });
        }
        let waiting = flights.join("a", || async { Err(ServeError::Busy) });
        tokio::task::yield_now().await;
        assert_eq!((flights.running.lock().unwrap().len(), runs.load(Ordering::SeqCst)), (2, 2));
        go.notify_waiters();
        assert_eq!(waiting.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_for_its_callers_and_the_next_one_tries_again() {
        let flights = Flights::<&str, usize>::default();
        let outcome = flights.join("tile", || async { panic!("a bug") }).await;
        assert!(matches!(outcome, Err(ServeError::Internal(_))), "{outcome:?}");
        assert_eq!(flights.join("tile", || async { Ok(1) }).await.unwrap(), 1);
    }
}
