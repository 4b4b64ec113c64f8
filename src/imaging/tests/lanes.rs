//! The pool: admission, lanes, panics, callers that leave.

use std::sync::mpsc;
use std::time::Duration;

use ::metrics::with_local_recorder;
use tokio::time::advance;

use super::metrics::{BYTES, LIMIT, REFUSED, WAITING};
use super::*;

const MIB: u64 = 1 << 20;

fn settings() -> Settings {
    Settings { memory: Bytes::mib(64), max_pixels: 1000, threads: 1, queue: 1 }
}

/// Work that lasts until the sender is dropped.
fn held() -> (mpsc::Sender<()>, impl FnOnce() -> Result<(), ImagingError> + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    (sender, move || {
        let _ = receiver.recv();
        Ok(())
    })
}

#[tokio::test]
async fn small_work_does_not_wait_behind_large_work() {
    let pool = Pool::new(&settings());
    let (release, work) = held();
    let large = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(40 * MIB, work).await }
    });
    assert_eq!(pool.run(MIB, || Ok(7)).await.unwrap(), 7);
    drop(release);
    large.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_queue_is_busy_and_recovers() {
    let pool = Pool::new(&settings());
    let (release, work) = held();
    let mut running = Box::pin(pool.run(40 * MIB, work));
    let mut waiting = Box::pin(pool.run(40 * MIB, || Ok(1)));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert!(matches!(pool.run(40 * MIB, || Ok(2)).await, Err(ImagingError::Busy)));
    drop(release);
    running.await.unwrap();
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(pool.run(40 * MIB, || Ok(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_frees_its_place() {
    let pool = Pool::new(&settings());
    let (release, work) = held();
    let mut running = Box::pin(pool.run(40 * MIB, work));
    assert!(futures_util::poll!(&mut running).is_pending());
    for _ in 0..3 {
        let mut waiting = Box::pin(pool.run(40 * MIB, || Ok(())));
        assert!(futures_util::poll!(&mut waiting).is_pending(), "its predecessor left the only place");
    }
    drop(release);
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_long_is_sent_away() {
    let pool = Pool::new(&settings());
    let (release, work) = held();
    let mut running = Box::pin(pool.run(40 * MIB, work));
    let mut waiting = Box::pin(pool.run(40 * MIB, || Ok(())));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    advance(Duration::from_secs(9)).await;
    assert!(futures_util::poll!(&mut waiting).is_pending());
    advance(Duration::from_secs(1)).await;
    assert!(matches!(waiting.await, Err(ImagingError::Busy)));
    let patient = pool.patient();
    let mut waiting = Box::pin(patient.run(40 * MIB, || Ok(())));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    advance(Duration::from_secs(60)).await;
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    drop(release);
    running.await.unwrap();
}

#[tokio::test]
async fn the_budget_of_abandoned_work_returns_when_it_ends() {
    let pool = Pool::new(&settings());
    let (release, work) = held();
    let mut running = Box::pin(pool.run(40 * MIB, work));
    assert!(futures_util::poll!(&mut running).is_pending());
    drop(running);
    let mut next = Box::pin(pool.run(40 * MIB, || Ok(())));
    assert!(futures_util::poll!(&mut next).is_pending(), "the abandoned work goes on");
    drop(release);
    tokio::time::timeout(Duration::from_secs(10), next).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_is_an_error() {
    let pool = Pool::new(&settings());
    let answer: Result<(), _> = pool.run(MIB, || panic!("a decoder at its wits' end")).await;
    assert!(matches!(answer, Err(ImagingError::Decoder(_))));
    assert_eq!(pool.run(MIB, || Ok(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn work_beyond_the_memory_is_refused() {
    let pool = Pool::new(&settings());
    let answer = pool.run(49 * MIB, || Ok(())).await;
    assert!(matches!(answer, Err(ImagingError::TooLarge { .. })));
}

#[tokio::test]
async fn what_waits_and_what_is_held_is_told() {
    let recorder = crate::telemetry::recorder();
    let handle = recorder.handle();
    let told = |name: &str| {
        let (text, series) = (handle.render(), format!("{name}{{lane=\"large\"}} "));
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.unwrap_or_else(|| panic!("{name}: {text}")).parse::<u64>().unwrap()
    };
    let pool = with_local_recorder(&recorder, || Pool::new(&settings()));
    assert_eq!((told(LIMIT), told(BYTES)), (48 * MIB, 0));
    let (release, work) = held();
    let mut running = Box::pin(pool.run(40 * MIB, work));
    let mut waiting = Box::pin(pool.run(30 * MIB, || Ok(1)));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert!(pool.run(20 * MIB, || Ok(2)).await.is_err());
    assert_eq!((told(BYTES), told(WAITING), told(REFUSED)), (40 * MIB, 1, 1));
    drop(release);
    running.await.unwrap();
    waiting.await.unwrap();
    assert_eq!((told(BYTES), told(WAITING), told(REFUSED)), (0, 0, 1));
}

/// Work that holds little may still take its time: it leaves the lane for small work to others.
#[tokio::test]
async fn long_work_does_not_keep_small_work_waiting() {
    let pool = Pool::new(&settings());
    let (release, work) = held();
    let mut long = Box::pin(pool.run_long(MIB, work));
    assert!(futures_util::poll!(&mut long).is_pending());
    assert_eq!(pool.run(MIB, || Ok(7)).await.unwrap(), 7);
    drop(release);
    long.await.unwrap();
}
