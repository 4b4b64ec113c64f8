//! Who may work on pixels, and when: admission by bytes and cores, in two lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::demand;
use super::metrics::Meters;
use super::sniff::{HEADER_COST, cost_of_header};
use super::{Header, ImagingError, Limits, Master, Page, Settings, header_of_page};

/// Permits are counted in units of this many bytes: a semaphore counts no further than four billion.
const UNIT: u64 = 64 * 1024;

/// Work that needs no more than this part of the memory is small.
const SMALL: u64 = 32;

/// Who has waited so long for a turn is sent away: the answer would come too late, and others wait behind.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Work in the background waits so long for those who wait for a picture, so many times; then it does a little.
const STEP: Duration = Duration::from_millis(2);
const PATIENCE: u32 = 10;

/// Worker threads behind two lanes: tiles of a pyramid and thumbnails never wait behind full
/// decodes. A job waits in a short queue; when that is full, or the wait is long, it is refused as busy.
///
/// The threads are those of the runtime's blocking pool: it keeps them, and what runs there goes on
/// when the caller leaves. Its bytes are given back when the work ends, not when the caller does.
/// What still waits for its turn when the last caller leaves is not begun.
#[derive(Clone, Debug)]
pub struct Pool {
    small: Arc<Lane>,
    large: Arc<Lane>,
    small_bytes: u64,
    background: Arc<Semaphore>,
    longest_wait: Duration,
}

impl Pool {
    /// Divides memory and threads: a quarter of the memory is kept for small work.
    pub fn new(settings: &Settings) -> Self {
        let cores = || available_parallelism().map_or(2, usize::from);
        let threads = if settings.threads == 0 { cores() } else { settings.threads };
        let large = settings.limits().memory;
        let small = *settings.memory - large;
        Self {
            small: Arc::new(Lane::new("small", small, threads, settings.queue)),
            large: Arc::new(Lane::new("large", large, threads, settings.queue)),
            small_bytes: *settings.memory / SMALL,
            background: Arc::new(Semaphore::new(1)),
            longest_wait: LONGEST_WAIT,
        }
    }

    /// The same for work that nobody waits for: it waits as long as it takes.
    pub fn patient(&self) -> Self {
        Self { longest_wait: Duration::MAX, ..self.clone() }
    }

    /// The same for a process that works on nothing but what others do in the background: so many pieces at a time.
    pub fn in_background(self, turns: usize) -> Self {
        Self { background: Arc::new(Semaphore::new(turns)), ..self.patient() }
    }

    /// Runs blocking work that will hold at most `cost` bytes. A panic in it is an error, not the
    /// end of the process.
    pub async fn run<T, F>(&self, cost: u64, work: F) -> Result<T, ImagingError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ImagingError> + Send + 'static,
    {
        let lane = if cost <= self.small_bytes { &self.small } else { &self.large };
        self.run_in(lane, cost, work).await
    }

    /// The same for work that may take long, however little it holds.
    pub async fn run_long<T, F>(&self, cost: u64, work: F) -> Result<T, ImagingError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ImagingError> + Send + 'static,
    {
        self.run_in(&self.large, cost, work).await
    }

    async fn run_in<T, F>(&self, lane: &Lane, cost: u64, work: F) -> Result<T, ImagingError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ImagingError> + Send + 'static,
    {
        let permit = lane.enter(cost, self.longest_wait).await?;
        let running = spawn_blocking(move || {
            let _held = permit;
            work()
        });
        running.await.unwrap_or_else(|error| Err(ImagingError::Decoder(error.to_string())))
    }
}

impl Pool {
    /// Reads the header of an open file, which is handed back. Of a PDF that is one of its pages; it is read as a whole, and
    /// is admitted by its length.
    pub async fn header(
        &self,
        mut master: Box<dyn Master>,
        page: Page,
        limits: Limits,
    ) -> Result<(Header, Box<dyn Master>), ImagingError> {
        let look = move || match cost_of_header(&mut *master)? {
            None => Ok((Some(header_of_page(&mut *master, page, &limits)?), 0, master)),
            Some(cost) => Ok((None, cost, master)),
        };
        match self.run(HEADER_COST, look).await? {
            (Some(header), _, master) => Ok((header, master)),
            (None, cost, mut master) => {
                self.run(cost, move || Ok((header_of_page(&mut *master, page, &limits)?, master))).await
            }
        }
    }

    /// Waits for a turn in the background, of which there is one at a time unless it was set up otherwise.
    pub async fn background(self: &Arc<Self>) -> Turn {
        let turn = Arc::clone(&self.background).acquire_owned().await;
        Turn { pool: Arc::clone(self), _turn: turn.expect("nobody closes it") }
    }

    #[expect(clippy::disallowed_methods, reason = "called on a thread that may wait")]
    fn let_others_go_first(&self) {
        for _ in 0..PATIENCE {
            if !self.is_busy() {
                break;
            }
            sleep(STEP);
        }
    }

    /// Whether somebody waits for a picture.
    fn is_busy(&self) -> bool {
        self.small.is_busy() || self.large.is_busy()
    }
}

/// Leave to work in the background: on a thread of its own, with memory from the lane for large work, and only while
/// nobody waits for a picture, or slowly.
#[derive(Debug)]
pub struct Turn {
    pool: Arc<Pool>,
    _turn: OwnedSemaphorePermit,
}

impl Turn {
    /// Runs blocking work that will hold at most `cost` bytes. It is given a function to call now and then, which
    /// lets others go first, and fails as soon as the caller is gone.
    pub async fn run<T, F>(self, cost: u64, work: F) -> Result<T, ImagingError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn FnMut() -> Result<(), ImagingError>) -> Result<T, ImagingError> + Send + 'static,
    {
        let lane = &self.pool.large;
        let bytes = lane.acquire(lane.units(cost)?).await?;
        let caller = Arc::new(());
        let (left, pool) = (Arc::downgrade(&caller), Arc::clone(&self.pool));
        let running = spawn_blocking(move || {
            let _held = bytes;
            work(&mut || {
                pool.let_others_go_first();
                if left.strong_count() == 0 { Err(ImagingError::Busy) } else { Ok(()) }
            })
        });
        let done = running.await;
        drop(caller);
        done.unwrap_or_else(|error| Err(ImagingError::Decoder(error.to_string())))
    }
}

#[derive(Debug)]
struct Lane {
    bytes: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    total: u64,
    all_threads: usize,
    waiting: AtomicUsize,
    queue: usize,
    meters: Arc<Meters>,
}

impl Lane {
    fn new(name: &'static str, bytes: u64, threads: usize, queue: usize) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(units(bytes) as usize)),
            threads: Arc::new(Semaphore::new(threads)),
            total: bytes,
            all_threads: threads,
            waiting: AtomicUsize::new(0),
            queue,
            meters: Arc::new(Meters::of(name, bytes)),
        }
    }

    /// Waits for bytes and for a thread. Bytes first: who waits for bytes must not keep a thread
    /// from those that could run.
    async fn enter(
        &self,
        cost: u64,
        longest_wait: Duration,
    ) -> Result<(Held, OwnedSemaphorePermit), ImagingError> {
        let units = self.units(cost)?;
        let try_now = || {
            let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(units).ok()?;
            Some((self.hold(bytes), Arc::clone(&self.threads).try_acquire_owned().ok()?))
        };
        if let Some(permits) = try_now() {
            return Ok(permits);
        }
        let _waiting = self.wait()?;
        let turn = async {
            let bytes = self.acquire(units).await?;
            let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(closed)?;
            Ok((bytes, thread))
        };
        tokio::select! {
            turn = timeout(longest_wait, turn) => turn.unwrap_or_else(|_| Err(self.refuse())),
            () = demand::left() => Err(ImagingError::Busy),
        }
    }

    async fn acquire(&self, units: u32) -> Result<Held, ImagingError> {
        Arc::clone(&self.bytes).acquire_many_owned(units).await.map(|bytes| self.hold(bytes)).map_err(closed)
    }

    fn hold(&self, bytes: OwnedSemaphorePermit) -> Held {
        let held = Held { meters: Arc::clone(&self.meters), bytes };
        held.meters.bytes.increment(held.count());
        held
    }

    fn units(&self, cost: u64) -> Result<u32, ImagingError> {
        if cost > self.total {
            return Err(ImagingError::too_much_memory(cost, self.total));
        }
        Ok(units(cost).min(units(self.total)))
    }

    /// Whether somebody works here. Who waits for a thread waits for one who does; who waits for memory may wait for
    /// what the background holds, and is not helped by its being slow.
    fn is_busy(&self) -> bool {
        self.threads.available_permits() < self.all_threads
    }

    fn wait(&self) -> Result<Waiting<'_>, ImagingError> {
        self.meters.waiting.increment(1);
        let place = Waiting(self);
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.queue { Ok(place) } else { Err(self.refuse()) }
    }

    fn refuse(&self) -> ImagingError {
        self.meters.refused.increment(1);
        ImagingError::Busy
    }
}

fn closed(_: AcquireError) -> ImagingError {
    ImagingError::Busy
}

/// Bytes of a lane, given back when the work ends.
struct Held {
    meters: Arc<Meters>,
    bytes: OwnedSemaphorePermit,
}

impl Held {
    fn count(&self) -> f64 {
        (self.bytes.num_permits() as u64 * UNIT) as f64
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.meters.bytes.decrement(self.count());
    }
}

/// A place in the queue, given back when the caller is admitted or leaves.
struct Waiting<'a>(&'a Lane);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.meters.waiting.decrement(1);
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}
