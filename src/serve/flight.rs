//! Single flight: of many who want the same thing at the same time, one does the work.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Notify;
use tracing::{Instrument, Span};

use super::ServeError;
use crate::imaging::demand;

/// Work under way, by key. The work runs in a task of its own: a caller that leaves, even the
/// first one, does not stop it for the others. When the last one leaves, work that waits for a turn in the imaging pool is
/// given up; all other work goes on.
pub struct Flights<K, V> {
    board: Arc<Board<K, V>>,
}

type Board<K, V> = Mutex<HashMap<K, Flight<V>>>;

type Landing<V> = Shared<BoxFuture<'static, Result<V, ServeError>>>;

/// The outcome of a piece of work, and who waits for it.
struct Flight<V> {
    landing: Landing<V>,
    passengers: Arc<Passengers>,
}

/// How many callers wait. The number changes while the board is locked: nobody joins a flight that is given up.
#[derive(Default)]
struct Passengers {
    count: AtomicUsize,
    left: Notify,
}

impl<K, V> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Self { board: Arc::clone(&self.board) }
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { board: Arc::default() }
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
        let (landing, _seat) = {
            let mut board = look(&self.board);
            if let Some(flight) = board.get(&key) {
                metrics::counter!(crate::serve::metrics::COALESCED).increment(1);
                (flight.landing.clone(), self.take_seat(&flight.passengers))
            } else {
                self.depart(&mut board, key, work())
            }
        };
        landing.await
    }

    /// Begins work that nobody waits for, unless it is under way or so many others are.
    pub fn begin<F>(&self, key: K, most: usize, work: impl FnOnce() -> F)
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let (landing, seat) = {
            let mut board = look(&self.board);
            if board.len() >= most || board.contains_key(&key) {
                return;
            }
            self.depart(&mut board, key, work())
        };
        // It takes a seat itself, so that it is never given up.
        tokio::spawn(async move {
            let _seat = seat;
            landing.await
        });
    }

    fn depart<F>(&self, board: &mut HashMap<K, Flight<V>>, key: K, work: F) -> (Landing<V>, Seat<K, V>)
    where
        F: Future<Output = Result<V, ServeError>> + Send + 'static,
    {
        let passengers = Arc::<Passengers>::default();
        let seat = self.take_seat(&passengers);
        let place =
            Place { key: key.clone(), board: Arc::clone(&self.board), passengers: Arc::clone(&passengers) };
        let left = place.clone().left().boxed().shared();
        // What goes wrong is logged under the request that wanted it first.
        let work = async move {
            let _arrival = Arrival(place);
            demand::while_wanted(left, work).await
        }
        .instrument(Span::current());
        // The task begins when somebody first waits for it, and so not under the lock: a runtime
        // that is closing drops a new task at once, and dropping it takes the lock.
        let landing = async move {
            let task = tokio::spawn(work);
            task.await.unwrap_or_else(|error| Err(ServeError::internal(error)))
        };
        let landing = landing.boxed().shared();
        board.insert(key, Flight { landing: landing.clone(), passengers });
        (landing, seat)
    }

    fn take_seat(&self, passengers: &Arc<Passengers>) -> Seat<K, V> {
        passengers.count.fetch_add(1, Ordering::Relaxed);
        Seat { board: Arc::clone(&self.board), passengers: Arc::clone(passengers) }
    }
}

fn look<K, V>(board: &Board<K, V>) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A caller's, while it waits.
struct Seat<K, V> {
    board: Arc<Board<K, V>>,
    passengers: Arc<Passengers>,
}

impl<K, V> Drop for Seat<K, V> {
    fn drop(&mut self) {
        let _board = look(&self.board);
        if self.passengers.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.passengers.left.notify_waiters();
        }
    }
}

/// Where a flight stands on the board.
struct Place<K, V> {
    key: K,
    board: Arc<Board<K, V>>,
    passengers: Arc<Passengers>,
}

impl<K: Clone, V> Clone for Place<K, V> {
    fn clone(&self) -> Self {
        let (board, passengers) = (Arc::clone(&self.board), Arc::clone(&self.passengers));
        Self { key: self.key.clone(), board, passengers }
    }
}

impl<K: Eq + Hash, V> Place<K, V> {
    /// Waits until all passengers have left, and takes the flight off the board.
    async fn left(self) {
        loop {
            let mut left = pin!(self.passengers.left.notified());
            left.as_mut().enable();
            if self.clear(|passengers| passengers.count.load(Ordering::Relaxed) == 0) {
                return;
            }
            left.await;
        }
    }

    /// Takes it off the board if something holds while nobody can join. Another flight of the same name may stand there
    /// by now.
    fn clear(&self, holds: impl FnOnce(&Passengers) -> bool) -> bool {
        let mut board = look(&self.board);
        let holds = holds(&self.passengers);
        let is_ours = |flight: &Flight<V>| Arc::ptr_eq(&flight.passengers, &self.passengers);
        let is_there = board.get(&self.key).is_some_and(is_ours);
        let flight = if holds && is_there { board.remove(&self.key) } else { None };
        // What it holds may want the lock when it is dropped.
        drop(board);
        drop(flight);
        holds
    }
}

/// Takes the flight off the board when its task ends, also by a panic.
struct Arrival<K: Eq + Hash, V>(Place<K, V>);

impl<K: Eq + Hash, V> Drop for Arrival<K, V> {
    fn drop(&mut self) {
        self.0.clear(|_| true);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::yield_now;

    use super::*;
    use crate::imaging::{Pool, Settings};

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
        assert!(look(&flights.board).is_empty());
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
        yield_now().await;
        assert_eq!((look(&flights.board).len(), runs.load(Ordering::SeqCst)), (2, 2));
        go.notify_waiters();
        assert_eq!(waiting.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_waits_for_its_turn_is_given_up_when_all_have_left() {
        let settings = Settings { threads: 1, ..Settings::default() };
        let (pool, flights) = (Pool::new(&settings), Flights::<&str, usize>::default());
        let (runs, (go, held)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel::<()>());
        let mut first = Box::pin(pool.run(1, move || {
            let _: Result<(), _> = held.recv();
            Ok(())
        }));
        assert!(first.as_mut().now_or_never().is_none());
        let work = || {
            let (pool, runs) = (pool.clone(), Arc::clone(&runs));
            let count = move || Ok(runs.fetch_add(1, Ordering::SeqCst));
            move || async move { pool.run(1, count).await.map_err(|_| ServeError::Busy) }
        };
        let mut callers: Vec<_> =
            ["a", "a", "b"].map(|key| Box::pin(flights.join(key, work()))).into_iter().collect();
        for caller in &mut callers {
            assert!(caller.as_mut().now_or_never().is_none());
        }
        // One of two has left `a`, all have left `b`.
        callers.pop();
        callers.pop();
        while look(&flights.board).contains_key("b") {
            yield_now().await;
        }
        drop(go);
        first.await.unwrap();
        callers.pop().unwrap().await.unwrap();
        assert_eq!(flights.join("b", work()).await.unwrap(), 1, "begun anew");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_for_its_callers_and_the_next_one_tries_again() {
        let flights = Flights::<&str, usize>::default();
        let outcome = flights.join("tile", || async { panic!("a bug") }).await;
        assert!(matches!(outcome, Err(ServeError::Internal(_))), "{outcome:?}");
        assert_eq!(flights.join("tile", || async { Ok(1) }).await.unwrap(), 1);
    }
}
